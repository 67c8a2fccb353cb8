#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Every allocation on the way of a packet fails once, one after another.

A frame gets there as it is, or it does not, and one counter says why. Run by
fault.sh, which tells the kernel what may fail. A packet that a process sends,
and one that it writes to a tap, makes its way in that process, whose
allocations can be made to fail by number.
"""

import os
import socket
import struct
import sys

sys.pycache_prefix = os.path.join(
    os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "stt",
    "pycache")

# pylint: disable=wrong-import-position
from oracle import fault, ktap, link, netlink, stt              # noqa: E402
from oracle.ktap import Failure, check, equal                   # noqa: E402

SUITE = ktap.Suite()
B = None                        # the Bench

OUR_MAC, FAR_MAC = "02:00:00:00:00:02", "02:00:00:00:00:01"
UNDER_MAC = "02:00:00:00:01:01"
MARK_TYPE = 0x88b5

# Of the namespace, those that say of no packet that it was lost.
HARMLESS = ("rx_segments", "rx_whole", "rx_reassembled")


class Bench:
    """A namespace with a tap for underlay, and its far end."""

    def __init__(self):
        # One CPU for all that happens, so that order is kept.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        self.space = space = link.Netns("packets")
        self.tap = link.Tap(space, "tap0")
        # that the tunnels have nothing to say
        space.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
        space.batch(
            ["link set tap0 address %s addrgenmode none up" % UNDER_MAC,
             "addr add 10.0.0.1/24 dev tap0",
             "addr add fd00::1/64 dev tap0 nodad"] +
            ["neigh add %s lladdr %s dev tap0 nud permanent" % (far, FAR_MAC)
             for far in ("10.0.0.2", "10.0.0.3", "fd00::2")])
        self.route = netlink.Route(space)
        self.faults = fault.Faults()
        # Listeners share what passes: nothing of it may be written to.
        self.listeners = [link.Port(space, "tap0")]
        # Messages for those who listen are made only if somebody does.
        self.watchers = netlink.Route(space), netlink.Generic(space, "stt",
                                                              "events")
        self.watchers[0].join(netlink.RTNLGRP_NEIGH)
        self.serial = 0
        self.devices = {}

    @staticmethod
    def path(far):
        return stt.Path(far, "fd00::1" if ":" in far else "10.0.0.1",
                        smac=FAR_MAC, dmac=UNDER_MAC)

    def unique(self):
        self.serial += 1
        return self.serial

    def device(self, name, *options):
        if name not in self.devices:
            self.space.ip("link", "add", name, "address", OUR_MAC, "mtu",
                          "60000", "type", "stt", *options)
            self.space.ip("link", "set", name, "addrgenmode", "none", "up")
            self.space.ethtool(name, gro=False)
            self.devices[name] = link.Port(self.space, name, vnet=True)
            self.listeners.append(link.Port(self.space, name))
            self.listeners[-1].sock.setsockopt(
                link.SOL_PACKET, link.PACKET_IGNORE_OUTGOING, 0)
        return self.devices[name]

    def causes(self, device):
        """{name: value} of all counters of lost packets."""
        out = {}
        for line in self.space.read("/proc/net/stt").splitlines():
            name, value = line.split()
            if name.startswith(("rx_", "tx_")) and name not in HARMLESS:
                out["stt " + name] = int(value)
        for name, value in self.space.ethtool_stats(device).items():
            out["%s %s" % (device, name)] = value
        # what the kernel's own helpers count, and errors of a kind once more
        errors = self.route.stats(device)
        out[device + " errors"] = errors["tx_errors"] + errors["rx_errors"]
        under = self.route.stats("tap0")
        out["tap0 dropped"] = under["tx_dropped"] + under["rx_dropped"]
        lines = [line.split() for line in
                 self.space.read("/proc/net/snmp").splitlines()]
        ip = dict(zip(lines[0], lines[1]))
        out["ip discards"] = int(ip["InDiscards"]) + int(ip["OutDiscards"])
        ip6 = dict(line.split() for line in
                   self.space.read("/proc/net/snmp6").splitlines())
        out["ip6 discards"] = int(ip6["Ip6InDiscards"]) + \
            int(ip6["Ip6OutDiscards"])
        return out

    def delete(self):
        self.tap.close()
        self.space.delete()


def mark():
    return stt.eth(struct.pack("!I42x", B.unique()), MARK_TYPE, OUR_MAC,
                   FAR_MAC)


def is_mark(inside):
    return inside[12:14] == struct.pack("!H", MARK_TYPE)


def walk(device, act, copies=1):
    """act() sends something while an allocation may fail: it returns (error
    number, what is to get there, a function that returns what did). Each but
    for one of its copies must, or it is counted."""
    tolerated = 0
    lost = {}
    nth = 0
    while True:
        nth += 1
        before = B.causes(device)
        code, want, arrived = act(nth)
        left = B.faults.disarm()
        have = arrived()
        for listener in B.listeners:
            listener.drain()
        after = B.causes(device)
        moved = {k: v - before[k] for k, v in after.items() if v != before[k]}
        if any(k.startswith(device) for k in moved if "errors" not in k):
            moved.pop(device + " errors", None)
        what = "allocation %d: " % nth
        for one in have:
            if one != want:
                raise Failure(what, "sent", ktap.show(want), "arrived",
                              ktap.show(one))
        missing = copies - len(have)
        if left:
            equal((code, missing, moved), (0, 0, {}), what + "none failed")
            break
        check(0 <= missing <= copies, what, len(have), "copies arrived")
        if missing and not code:
            equal(sum(moved.values()), missing,
                  what + "lost, and counted as %s" % moved)
        elif not missing:
            check(not moved, what, "not lost, but counted as", moved)
        tolerated += not missing
        for name in moved or ({"told": 1} if code else {}):
            lost[name] = lost.get(name, 0) + 1
    check(nth > 1, "nothing was allocated")
    return "%d allocations, %d dispensable; %s" % (
        nth - 1, tolerated, ", ".join("%s %d" % one for one in
                                      sorted(lost.items())))


# ------------------------------------------------------------------- receive

def received(port, key, path):
    """What has come out of the device until a mark does."""
    last = mark()
    equal(B.tap.send(path.segment(stt.frame(last, key), 0,
                                  len(last) + stt.HDR_LEN, B.unique())), 0,
          "mark")
    got = port.until(lambda packet, _: packet.data == last)
    return [packet.wire for packet in got[:-1]]


def receive(name, options, frame, key=1, far="10.0.0.2", size=None, tos=0,
            turned=False, merged=False):
    """frame() gives (STT frame, what is to come out of it). It comes in
    segments of that size, the last one first (turned), or as the one that a
    driver makes of these (merged)."""
    port = B.device(name, *options)
    path = B.path(far)

    def act(nth):
        data, want = frame()
        vnet = None
        if merged:
            ethers = path.cut(data, B.unique(), tos=tos, csum="partial")
            vnet = link.vnet_for(ethers[0], stt.Inner(ethers[0]), size)
        else:
            ethers = path.cut(data, B.unique(), size, tos=tos)
        if turned:
            ethers.reverse()
        port.drain()
        B.faults.arm(nth)
        code = 0
        for ether in ethers:
            code = B.tap.send(ether, vnet) or code
        return code, want, lambda: received(port, key, path)

    return walk(name, act)


def plain(size, key=1, source=FAR_MAC, **kwargs):
    inside = stt.inner(stt.UDP, "192.168.1.2", "192.168.1.1", bytes(size),
                       smac=source, dmac=OUR_MAC, **kwargs)
    return stt.frame(inside, key), inside


def gso(size):
    inside = stt.inner(stt.TCP, "192.168.1.2", "192.168.1.1", bytes(size),
                       smac=FAR_MAC, dmac=OUR_MAC, csum="partial",
                       flags=stt.ACK | stt.PSH)
    return stt.offloaded(inside, 1, mss=1000), stt.complete(inside)


P2P = ("id", "1", "remote", "10.0.0.2")


@SUITE.test("receive a segment that is a frame")
def receive_whole():
    return receive("p2p", P2P, lambda: plain(100))


@SUITE.test("receive a segment over IPv6")
def receive_whole_v6():
    return receive("six", ("id", "6", "remote", "fd00::2"),
                   lambda: plain(100, 6), key=6, far="fd00::2")


@SUITE.test("receive a frame of three segments")
def receive_three():
    return receive("p2p", P2P, lambda: plain(4000), size=1400)


@SUITE.test("receive a frame of three segments, the last one first")
def receive_turned():
    return receive("p2p", P2P, lambda: plain(4000), size=1400, turned=True)


@SUITE.test("receive a frame that is left to be segmented")
def receive_gso():
    return receive("p2p", P2P, lambda: gso(4000), size=1400)


@SUITE.test("receive a frame that the driver has put together")
def receive_merged():
    return receive("p2p", P2P, lambda: gso(4000), size=1400, merged=True)


@SUITE.test("receive a frame with congestion marked")
def receive_ce():
    def frame():
        inside = stt.inner(stt.UDP, "192.168.1.2", "192.168.1.1", bytes(100),
                           smac=FAR_MAC, dmac=OUR_MAC, tos=stt.ECT0)
        marked = stt.inner(stt.UDP, "192.168.1.2", "192.168.1.1", bytes(100),
                           smac=FAR_MAC, dmac=OUR_MAC, tos=stt.CE)
        return stt.frame(inside, 1), marked
    return receive("p2p", P2P, frame, tos=stt.CE)


@SUITE.test("receive a frame of an unknown station")
def receive_learn():
    def frame():
        return plain(100, 2, b"\2\1" + struct.pack("!I", B.unique()))
    return receive("learn", ("id", "2", "learning"), frame, key=2)


@SUITE.test("receive a frame of a station that has moved")
def receive_move():
    port = B.device("learn", "id", "2", "learning")
    home = B.path("10.0.0.2")

    def act(nth):
        data, want = plain(100, 2, "02:00:00:00:00:77")
        equal(B.tap.send(*home.cut(data, B.unique())), 0, "frame before")
        equal(received(port, 2, home), [want], "frames before")
        away = B.path("10.0.0.%d" % (100 + nth))
        segment, = away.cut(data, B.unique())
        B.faults.arm(nth)
        code = B.tap.send(segment)
        return code, want, lambda: received(port, 2, home)

    return walk("learn", act)


@SUITE.test("receive a frame with metadata")
def receive_metadata():
    return receive("ext", ("external",), lambda: plain(100, 9), key=9)


# ------------------------------------------------------------------ transmit

def sent(port):
    """The inner frames on the wire until a mark."""
    last = mark()
    port.send(last)
    table = stt.Reassembler()
    out = []
    while True:
        ether = B.tap.receive()
        check(ether is not None, "no mark has come")
        segment = stt.Segment.parse(ether)
        frame = segment and table.add(segment)
        if not frame:
            continue
        if frame.inner == last:
            break
        if not is_mark(frame.inner):
            out.append(frame.delivered()[1])
    check(not table.pending and not table.errors, "in part:", table.errors)
    return out


def attempt(nth, sock, data):
    """Error number of sending this, while an allocation may fail."""
    B.faults.arm(nth)
    try:
        sock.send(data)
    except OSError as reason:
        return reason.errno
    return 0


def transmit(name, options, build, copies=1):
    """build() gives (frame, vnet header, what is to arrive)."""
    port = B.device(name, *options)

    def act(nth):
        frame, vnet, want = build()
        return attempt(nth, port.sock, vnet + frame), want, lambda: sent(port)

    return walk(name, act, copies)


def offloaded(proto, size, mss=0, ends=("192.168.1.1", "192.168.1.2"),
              **kwargs):
    frame = stt.inner(proto, *ends, bytes(size), smac=OUR_MAC,
                      dmac=FAR_MAC, csum="partial", flags=stt.ACK | stt.PSH,
                      **kwargs)
    return frame, link.vnet_for(frame, stt.Inner(frame), mss), \
        stt.complete(frame)


@SUITE.test("transmit a frame")
def transmit_small():
    return transmit("p2p", P2P, lambda: offloaded(stt.UDP, 100))


@SUITE.test("transmit a frame over IPv6")
def transmit_v6():
    return transmit("six", ("id", "6", "remote", "fd00::2"),
                    lambda: offloaded(stt.UDP, 100))


@SUITE.test("transmit a frame that is left to be segmented")
def transmit_gso():
    return transmit("p2p", P2P, lambda: offloaded(stt.TCP, 20000, 1400))


@SUITE.test("transmit a frame of many pages")
def transmit_large():
    def build():
        body = bytes(range(256)) * 200
        frame = stt.eth(body, 0x88b6, FAR_MAC, OUR_MAC)
        return frame, link.vnet_header(), frame
    return transmit("p2p", P2P, build)


@SUITE.test("transmit a frame whose L4 header is too far off")
def transmit_far():
    far = [stt.options_header(stt.DSTOPTS, stt.padn(206))]
    return transmit("p2p", P2P, lambda: offloaded(
        stt.UDP, 100, ends=("fd01::1", "fd01::2"), ext=far))


@SUITE.test("flood a frame to two remotes")
def transmit_flood():
    B.device("flood", "id", "3", "learning")
    for far in ("10.0.0.2", "10.0.0.3"):
        B.space.run("bridge", "fdb", "append", "00:00:00:00:00:00", "dev",
                    "flood", "dst", far)

    def build():
        frame = stt.inner(stt.UDP, "192.168.1.1", "192.168.1.2", bytes(100),
                          smac=OUR_MAC, dmac="ff:ff:ff:ff:ff:ff")
        return frame, link.vnet_header(), frame

    return transmit("flood", (), build, copies=2)


def routed(encap, far):
    """A datagram that a route gives metadata to, each time to another remote:
    far(n) is its address."""
    B.device("ext", "external")
    payload = bytes(100)

    def to(nth):
        B.space.batch(
            ["neigh replace %s lladdr %s dev tap0" % (far(nth), FAR_MAC),
             "addr replace 192.168.2.1/24 dev ext",
             "neigh replace 192.168.2.2 lladdr %s dev ext" % FAR_MAC,
             "route replace 192.168.2.2 encap %s id 9 dst %s dev ext" % (
                 encap, far(nth))])
        sock = B.space.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect(("192.168.2.2", 9))
        return sock

    def datagrams(sock):
        """Those on the wire; another follows for a mark."""
        last = b"mark %d" % B.unique()
        out = []
        sock.send(last)
        while True:
            ether = B.tap.receive()
            check(ether is not None, "no mark has come")
            segment = stt.Segment.parse(ether)
            if segment is None:
                continue
            inside = stt.Frame([segment]).delivered()[1]
            parsed = stt.Inner(inside)
            if parsed.proto != stt.UDP:
                continue
            check(not parsed.errors, parsed.errors)
            body = inside[parsed.l4 + 8:parsed.end]
            if body == last:
                sock.close()
                return out
            out.append(body)

    def act(nth):
        sock = to(nth)
        return attempt(nth, sock, payload), payload, lambda: datagrams(sock)

    return walk("ext", act)


@SUITE.test("transmit what a route gives metadata to")
def transmit_metadata():
    return routed("ip", lambda nth: "10.0.0.%d" % (100 + nth))


@SUITE.test("transmit what a route gives metadata of IPv6 to")
def transmit_metadata_v6():
    return routed("ip6", lambda nth: "fd00::%d" % (100 + nth))


def setup():
    global B  # pylint: disable=global-statement
    B = Bench()


def main():
    try:
        return SUITE.run(lambda name: not sys.argv[1:] or any(
            part in name for part in sys.argv[1:]), setup)
    finally:
        if B is not None:
            B.delete()


if __name__ == "__main__":
    sys.exit(main())
