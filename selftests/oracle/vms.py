# SPDX-License-Identifier: GPL-2.0
"""Two VMs behind the bridges of two hypervisors, and traffic between them.

    vm1            hv1                               hv2             vm2
    eth0 --- vm0 - br0 - stt0  under0 --- under0  stt0 - br0 - vm0 --- eth0
"""

import select
import socket
import struct
import time

from oracle import link, stt
from oracle.ktap import Failure, check, equal

KEY = 0x1122334455667788
HV, VM = [], []

# Offloads of the underlay, by what a test is called.
OFFLOADS = {
    "TSO, GRO": {"tx": True, "tso": True, "gro": True},
    "TSO, no GRO": {"tx": True, "tso": True, "gro": False},
    "no TSO, GRO": {"tx": True, "tso": False, "gro": True},
    "no TSO, no GRO": {"tx": True, "tso": False, "gro": False},
    "no TSO, GRO by lists": {"tx": True, "tso": False, "gro": True,
                             "rx_gro_list": True},
    "no checksum offload, GRO": {"tx": False, "rx": False, "gro": True},
    "no checksum offload, no GRO": {"tx": False, "rx": False, "gro": False},
}
DEFAULTS = {"tx": True, "tso": True, "rx": True, "gro": True,
            "rx_gro_list": False}


# ----------------------------------------------------------------- topology

def setup():
    for number in (1, 2):
        HV.append(link.Netns("hv%d" % number))
        VM.append(link.Netns("vm%d" % number))
    for space in HV + VM:
        space.sysctl("net.ipv6.conf.default.accept_dad", 0)
    HV[0].ip("link", "add", "under0", "type", "veth", "peer", "name",
             "under0", "netns", HV[1].name)
    for number in (0, 1):
        HV[number].ip("link", "add", "vm0", "mtu", "9000", "type", "veth",
                      "peer", "name", "eth0", "mtu", "9000", "netns",
                      VM[number].name)
        HV[number].batch(["link add br0 mtu 9000 type bridge",
                          "link set br0 up", "link set vm0 master br0 up",
                          "link set under0 up"])
        VM[number].batch(["link set eth0 up"] + [
            "addr add %s dev eth0%s" % (a, b)
            for a, b in (("192.0.2.%d/24" % (number + 1), ""),
                         ("2001:db8::%d/64" % (number + 1), " nodad"))])
        VM[number].sysctl("net.ipv4.ping_group_range", "0 0")


def close():
    for space in HV + VM:
        space.delete()


class Underlay:
    """What the devices stand on now; changed only where it differs."""

    family = under = inner = offloads = None

    def prepare(self, family, under, inner, offloads):
        if (self.family, self.under) != (family, under):
            self.tunnel(family, under)
        if self.inner != inner:
            for space in VM:
                space.ip("link", "set", "eth0", "mtu", str(inner))
            self.inner = inner
        if self.offloads != offloads:
            have = dict(DEFAULTS, **OFFLOADS[self.offloads]) \
                if self.offloads else {}
            want = dict(DEFAULTS, **OFFLOADS[offloads])
            for space in HV:
                space.ethtool("under0", **{k: v for k, v in want.items()
                                           if have.get(k) != v})
            self.offloads = offloads

    def tunnel(self, family, under):
        net = "10.0.0.%d" if family == 4 else "fd00::%d"
        for number, space in enumerate(HV):
            mine, yours = net % (number + 1), net % (2 - number)
            # IPv6 loses its addresses below its least MTU
            space.batch((["link del stt0"] if self.family else []) +
                        ["link set under0 mtu %d" % under,
                         "addr replace %s dev under0 %s" % (
                             (mine + "/24", "") if family == 4 else
                             (mine + "/64", "nodad")),
                         "link add stt0 mtu 9000 type stt id %d remote %s "
                         "local %s" % (KEY, yours, mine),
                         "link set stt0 master br0 up"])
        self.family, self.under = family, under


UNDERLAY = Underlay()


# ------------------------------------------------------------------ traffic

def ends(family, net=None):
    """Addresses of the VMs; net has a place for the number of the VM."""
    net = net or ("192.0.2.%d" if family == socket.AF_INET else
                  "2001:db8::%d")
    return net % 1, net % 2


def ping(family, sizes, net=None):
    """Echo requests of these sizes, from each VM to the other."""
    proto = socket.IPPROTO_ICMP if family == socket.AF_INET else \
        socket.IPPROTO_ICMPV6
    kind, answer = (8, 0) if family == socket.AF_INET else (128, 129)
    for number, space in enumerate(VM):
        sock = space.socket(family, socket.SOCK_DGRAM, proto)
        sock.settimeout(link.PATIENCE)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.connect((ends(family, net)[1 - number], 0))
        for serial, size in enumerate(sizes):
            data = stt.rng(size).randbytes(size)
            sock.send(struct.pack("!BBHHH", kind, 0, 0, 0, serial) + data)
            try:
                got = sock.recv(70000)
            except TimeoutError:
                raise Failure("no answer to %d bytes" % size) from None
            equal((got[0], got[6:]), (answer, struct.pack("!H", serial) +
                                      data), "answer to %d bytes" % size)
        sock.close()


def datagrams(family, sizes):
    socks = [space.socket(family, socket.SOCK_DGRAM) for space in VM]
    for sock, address in zip(socks, ends(family)):
        sock.bind((address, 5000))
        sock.settimeout(link.PATIENCE)
    for size in sizes:
        for one, other, address in ((0, 1, ends(family)[1]),
                                    (1, 0, ends(family)[0])):
            data = stt.rng(size).randbytes(size)
            socks[one].sendto(data, (address, 5000))
            equal(socks[other].recv(70000), data, "%d bytes" % size)
    for sock in socks:
        sock.close()


def stream(family, size, net=None):
    """Both directions of one connection at once; all bytes compared."""
    server = VM[1].socket(family, socket.SOCK_STREAM)
    server.bind((ends(family, net)[1], 0))
    server.listen()
    client = VM[0].socket(family, socket.SOCK_STREAM)
    client.settimeout(link.PATIENCE)
    client.connect(server.getsockname()[:2])
    peer, _ = server.accept()
    server.close()
    socks = (client, peer)
    data = [stt.rng(number).randbytes(min(size, 1 << 20)) * (
        max(1, size >> 20)) for number in (1, 2)]
    sent, got = [0, 0], [0, 0]
    views = [memoryview(d) for d in data]
    for sock in socks:
        sock.setblocking(False)
    deadline = time.monotonic() + link.PATIENCE * (1 + (size >> 24))
    while min(got) < size:
        readable, writable, _ = select.select(
            socks, [s for s, n in zip(socks, sent) if n < size], [], 1)
        check(time.monotonic() < deadline, "stalled: sent", sent, "received",
              got)
        for number, sock in enumerate(socks):
            if sock in writable:
                sent[number] += sock.send(
                    views[number][sent[number]:sent[number] + (1 << 18)])
            if sock in readable:
                part = sock.recv(1 << 18)
                check(part, "connection closed after", got)
                want = views[1 - number][got[number]:got[number] + len(part)]
                check(part == want, "other bytes within", len(part), "at",
                      got[number])
                got[number] += len(part)
    for sock in socks:
        sock.close()
