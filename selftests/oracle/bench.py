# SPDX-License-Identifier: GPL-2.0
"""Test bench: a hypervisor with stt devices, and the oracle at the other end
of its underlay.

    namespace hv                                namespace far
    stt devices - under0 10.0.0.1 fd00::1 ----- under0x (packet socket)
    br0 - plain0 ------------------------------ plain0x (packet socket)

The far ends have no address and no stack behind them: what answers is the
oracle. 10.0.0.2 and fd00::2 are its addresses by convention.
"""

import os
import re
import contextlib

from oracle import link, netlink, stt
from oracle.ktap import Failure, check, equal

KEY = 0x0102030405060708
MARK_TYPE = 0x88b5
PEER_MAC = "02:00:00:00:00:01"
OUR_MAC = "02:00:00:00:00:02"
BRIDGE_MAC = "02:00:00:00:00:fe"
NET_STATS = "/proc/net/stt"
# include/uapi/linux/stt_genl.h, Documentation/stt.rst
REASM_SET, REASM_BUDGET, REASM_TIMEOUT, REASM_DEFAULT_MS = 14, 1, 3, 1000


class Under:
    """The bench over one address family of the underlay."""

    def __init__(self, bench, name, far, near):
        self.bench, self.name = bench, name
        self.far, self.near = far, near
        self.number = 1 if "." in far else 2
        self.path = self.path_from(far)
        self.overhead = self.path.overhead

    def path_from(self, far, **kwargs):
        return stt.Path(far, self.near, smac=self.bench.wire.far_mac,
                        dmac=self.bench.wire.near_mac, **kwargs)

    @property
    def dev(self):
        return self.bench.plain_device(self)


class Dev:
    """An stt device and a packet socket on it."""

    def __init__(self, bench, under, name, key, path, port=stt.PORT):
        self.bench, self.under, self.name, self.key = bench, under, name, key
        self.path, self.dport = path, port
        self.port = link.Port(bench.hv, name, vnet=True)
        # addresses of the inner network: (the oracle's, the device's)
        self.ip4 = tuple("192.168.%d.%d" % (under.number, i) for i in (1, 2))
        self.ip6 = tuple("fd01:%d::%d" % (under.number, i) for i in (1, 2))
        # the same, as sent by a host behind the device
        self.out4, self.out6 = self.ip4[::-1], self.ip6[::-1]

    # ------------------------------------------------------------- receive

    def cut(self, frame, ack=None, size=None, **kwargs):
        """Segments of a frame; without size as long as the MTU allows."""
        ack = self.bench.new_id() if ack is None else ack
        return self.path.cut(frame, ack, size or 1500 - self.under.overhead -
                             len(kwargs.get("options", b"")), **kwargs)

    def frame(self, inside, **kwargs):
        return stt.frame(inside, self.key, **kwargs)

    def offloaded(self, inside, **kwargs):
        return stt.offloaded(inside, self.key, **kwargs)

    def rx(self, ethers, port=None):
        """Packets that the device delivers because of these segments.

        Two marks follow. The first looks like the middle of a frame, which
        GRO holds back like any other; when it comes, all is on its way. The
        second looks like an end, and comes after all of that.
        """
        port = port or self.port
        port.drain()
        for ether in ethers:
            self.bench.far.send(ether)
        out = []
        for flags in (stt.ACK, stt.ACK | stt.PSH):
            mark = self.bench.mark()
            frame = self.frame(mark)
            self.bench.far.send(self.path.segment(
                frame, 0, len(frame), self.bench.new_id(), flags=flags))
            out += port.until(lambda p, _, m=mark: p.data == m)
        return [p for p in out if not is_mark(p.data)]

    # ------------------------------------------------------------ transmit

    def capture(self, action, keep):
        """STT frames sent while action() runs, and after it until a mark,
        whose inner frame `keep` accepts.

        Two marks follow, one after the other: what has a bridge to cross
        first may be overtaken by one.
        """
        far = self.bench.far
        far.drain()
        action()
        table = stt.Reassembler()
        out = []

        def marked(packet, mark):
            self.bench.captured.append(packet.data)
            seg = stt.Segment.parse(packet.data, self.dport)
            if seg is None:
                self.bench.strays.append(packet.data)
                return False
            frame = table.add(seg)
            if frame is None:
                return False
            if frame.inner == mark:
                return True
            if keep(frame.inner):
                out.append(frame)
            return False

        for mark in (self.bench.mark(), self.bench.mark()):
            self.port.send(mark)
            far.until(lambda packet, _, m=mark: marked(packet, m))
        if table.errors:
            raise Failure("; ".join(table.errors))
        for rest in table.pending.values():
            raise Failure("incomplete frame: %s" % "; ".join(map(str, rest)))
        return out

    def tx(self, *items, port=None):
        """STT frames that come of these (frame, vnet header) pairs."""
        sources = {frame[6:12] for frame, _ in items}

        def send():
            for frame, vnet in items:
                (port or self.port).send(frame, vnet)

        return self.capture(send, lambda inside: inside[6:12] in sources)

    def tx_one(self, frame, vnet=None):
        frames = self.tx((frame, vnet))
        equal(len(frames), 1, "frames sent")
        return frames[0]

    def stats(self):
        """Standard counters and the device's own."""
        return dict(self.bench.route.stats(self.name),
                    **self.bench.hv.ethtool_stats(self.name))

    def delete(self):
        self.port.close()
        self.bench.hv.ip("link", "del", self.name)


def is_mark(inside):
    return inside[12:14] == MARK_TYPE.to_bytes(2, "big")


class Bench:
    """Everything that the tests share."""

    def __init__(self):
        # One CPU for all that happens, so that order is kept.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        self.hv = link.Netns("hv")
        self.oracle = link.Netns("far")
        self.spaces = [self.hv, self.oracle]
        self.route = netlink.Route(self.hv)
        self.devices = {}
        self.serial = 0
        self.captured, self.strays = [], []
        self.wire = link.Wire(self.hv, self.oracle, "under0")
        self.hv.sysctl("net.ipv6.conf.default.accept_dad", 0)
        self.hv.sysctl("net.ipv6.conf.default.router_solicitations", 0)
        self.addresses()
        self.far = link.Port(self.oracle, self.wire.far)
        self.v4 = Under(self, "IPv4", "10.0.0.2", "10.0.0.1")
        self.v6 = Under(self, "IPv6", "fd00::2", "fd00::1")
        self.plain = None
        self.limits = None

    def addresses(self):
        """(Again) after the underlay's MTU was below that of IPv6."""
        self.hv.batch(
            ["addr replace 10.0.0.1/24 dev under0",
             "addr replace fd00::1/64 dev under0 nodad"] +
            ["neigh replace %s%d lladdr %s dev under0 nud permanent" %
             (net, i, self.wire.far_mac)
             for net in ("10.0.0.", "fd00::") for i in (2, 3, 4)])

    def close(self):
        for space in self.spaces:
            with contextlib.suppress(Failure):
                space.delete()

    @property
    def unders(self):
        return (self.v4, self.v6)

    def new_id(self):
        """An identifier that no other frame of the oracle has."""
        self.serial += 1
        return 0x70000000 + self.serial

    def mark(self):
        self.serial += 1
        return stt.eth(self.serial.to_bytes(46, "big"), MARK_TYPE,
                       OUR_MAC, PEER_MAC)

    # ------------------------------------------------------------- devices

    def add(self, under, name, *options, key=KEY, far=None, mtu=None,
            path=None, port=stt.PORT, address=OUR_MAC):
        """Make an stt device with these plugin options."""
        far = far or under.far
        path = path or under.path_from(far, dport=port)
        near = path.dst
        args = ["link", "add", name, "address", address]
        if mtu:
            args += ["mtu", str(mtu)]
        args += ["type", "stt", "id", hex(key), "remote", far, "local",
                 text(near)]
        if port != stt.PORT:
            args += ["dstport", str(port)]
        self.hv.batch([" ".join([*args, *options]),
                       "link set %s addrgenmode none up" % name])
        return Dev(self, under, name, key, path, port)

    @contextlib.contextmanager
    def device(self, under, name, *options, **kwargs):
        dev = self.add(under, name, *options, **kwargs)
        try:
            yield dev
        finally:
            dev.delete()

    def plain_device(self, under):
        """The device that most tests use: no options, largest MTU, inner
        addresses."""
        if under.name not in self.devices:
            name = "stt%d" % (4 if under is self.v4 else 6)
            dev = self.add(under, name)
            self.hv.ip("link", "set", name, "mtu", str(self.max_mtu(name)))
            self.hv.batch(
                ["addr add %s/24 dev %s" % (dev.ip4[1], name),
                 "addr add %s/64 dev %s nodad" % (dev.ip6[1], name)] +
                ["neigh replace %s lladdr %s dev %s nud permanent" %
                 (a, PEER_MAC, name) for a in (dev.ip4[0], dev.ip6[0])])
            # received frames in the order in which they came
            self.hv.ethtool(name, gro=False)
            self.devices[under.name] = dev
        return self.devices[under.name]

    def max_mtu(self, name):
        out = self.hv.ip("-d", "link", "show", "dev", name)
        return int(re.search(r"\bmaxmtu (\d+)", out).group(1))

    def bridged(self, under):
        """A device that is a port of a bridge whose other port has no
        offload at all; its frames come out at self.plain."""
        name = "sttb%d" % (4 if under is self.v4 else 6)
        if self.plain is None:
            wire = link.Wire(self.hv, self.oracle, "plain0", 65535, 1)
            wire.offloads(tx=False, gro=False, gso=False, sg=False)
            self.hv.batch(["link add br0 type bridge mcast_snooping 0",
                           "link set plain0 master br0",
                           "link set br0 addrgenmode none up"])
            self.plain = link.Port(self.oracle, wire.far)
        if name not in self.devices:
            # what is sent to our MAC is to cross the bridge
            dev = self.add(under, name, key=KEY + 1, address=BRIDGE_MAC)
            self.hv.ip("link", "set", name, "mtu", str(self.max_mtu(name)),
                       "master", "br0")
            self.hv.ethtool(name, gro=False)
            for device in (name, "br0", "plain0"):
                self.hv.sysctl("net.ipv6.conf.%s.disable_ipv6" % device, 1)
            self.devices[name] = dev
        return self.devices[name]

    # ------------------------------------------------------------ counters

    def net_stats(self):
        """Counters of the namespace."""
        out = {}
        for line in self.hv.read(NET_STATS).splitlines():
            name, value = line.split()
            out[name] = int(value)
        return out

    def counters(self, dev=None):
        """All counters, those of a device under "device/"."""
        out = self.net_stats()
        if dev is not None:
            for name, value in dev.stats().items():
                out["device/" + name] = value
        return out

    @contextlib.contextmanager
    def slow(self, budget=None):
        """Incomplete frames wait longer, for a machine that is slow; with
        budget, all together have no more memory than that."""
        genl = netlink.Generic(self.hv, "stt")

        def limit(ms, most):
            genl.command(REASM_SET, (REASM_TIMEOUT, netlink.u32(ms)),
                         (REASM_BUDGET, netlink.u64(most)))

        usual = self.net_stats()["reasm_budget"]
        limit(60000, budget or usual)
        try:
            yield
        finally:
            limit(REASM_DEFAULT_MS, usual)
            genl.close()

    @contextlib.contextmanager
    def counting(self, dev, **names):
        """The block must raise each counter by at least the number given:
        rx_bad_version=1 for the namespace's, dev_NAME=1 for the device's."""
        before = self.counters(dev)
        yield
        after = self.counters(dev)
        for name, least in names.items():
            full = name.replace("dev_", "device/", 1) \
                if name.startswith("dev_") else name
            check(full in after, "no counter", full, "among", sorted(after))
            grown = after[full] - before.get(full, 0)
            if grown < least:
                raise Failure("counter %s grew by %d, not %d; moved: %s" % (
                    full, grown, least, moved(before, after)))


def moved(before, after):
    return {n: v - before.get(n, 0) for n, v in after.items()
            if v != before.get(n, 0)}


def text(address):
    import socket  # pylint: disable=import-outside-toplevel
    family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, address)
