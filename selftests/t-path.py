#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Ways that a tunnel takes through the underlay, by segments.

Link-local ends, flow labels of what is inside, a way that leads back into the
tunnel or is too narrow for it, errors on the way, policies and queues at its
end. Segments are built and read by the oracle. Run as root with the module
loaded.
"""

import contextlib
import os
import struct
import sys

sys.pycache_prefix = os.path.join(
    os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "stt",
    "pycache")

# pylint: disable=wrong-import-position
from oracle import bench, ktap, link, netlink, stt              # noqa: E402
from oracle.ktap import check, equal, none                      # noqa: E402

SUITE = ktap.Suite()
B = None                        # the Bench


def plain(size=1000):
    return stt.eth(bytes(size), 0x88b6)


def await_growth(counter, before):
    link.await_(counter, lambda: B.net_stats()[counter] > before[counter])


@contextlib.contextmanager
def route(family, *args):
    B.hv.ip(family, "route", "add", *args)
    try:
        yield
    finally:
        B.hv.ip(family, "route", "del", *args)


@SUITE.test("link-local ends are those of one interface")
def _():
    wire = B.wire
    B.hv.batch(["addr add fe80::1/64 dev under0 nodad",
                "neigh replace fe80::2 lladdr %s dev under0 nud permanent" %
                wire.far_mac,
                "link add other0 up type dummy",
                "addr add fe80::1/64 dev other0 nodad"])
    path = stt.Path("fe80::2", "fe80::1", smac=wire.far_mac,
                    dmac=wire.near_mac)
    with B.device(B.v6, "here0", "dev", "under0", far="fe80::2", path=path,
                  key=0x51) as here:
        # the same addresses elsewhere are another tunnel
        with B.device(B.v6, "there0", "dev", "other0", far="fe80::2",
                      path=path, key=0x51) as there:
            seg = here.tx_one(plain()).segments[0]
            equal((bench.text(seg.src), bench.text(seg.dst)),
                  ("fe80::1", "fe80::2"), "ends")
            before = there.stats()["rx_packets"]
            for size in (None, 300):
                got = here.rx(here.cut(here.frame(plain()), size=size))
                equal([p.data for p in got], [plain()], "delivered")
            equal(there.stats()["rx_packets"], before, "received elsewhere")
    B.hv.ip("link", "del", "other0")


@SUITE.test("the flow label of a packet inside, or one of the flow's own")
def _():
    with B.device(B.v6, "label0", "flowlabel", "inherit", key=0x52,
                  mtu=9000) as dev:
        def labels(inside):
            return {s.label for s in dev.tx_one(inside).segments}

        for label in (1, 0x12345, 0xfffff):
            inside = stt.inner(stt.UDP, *dev.out6, bytes(3000), label=label)
            equal(labels(inside), {label}, "flow label")
        # as without the option; net.ipv6.auto_flowlabels is on
        for ends in (dev.out6, dev.out4):
            have = labels(stt.inner(stt.UDP, *ends, bytes(3000)))
            equal(len(have), 1, "flow labels of a frame")
            check(have != {0}, "no flow label of its own")


@SUITE.test("a way that leads back into the tunnel is none")
def _():
    for under, family, far in ((B.v4, "-4", "10.1.0.9"),
                               (B.v6, "-6", "fd02::9")):
        with B.device(under, "loop0", far=far, key=0x53, mtu=20000) as dev, \
                route(family, far, "dev", "loop0"), \
                B.counting(dev, dev_tx_loop=2):
            for size in (100, 10000):
                dev.port.send(plain(size))


@SUITE.test("a way too narrow for the frame header is none, any other serves")
def _():
    for under, family in ((B.v4, "-4"), (B.v6, "-6")):
        far, bits = under.far[:-1] + "3", "/32" if under is B.v4 else "/128"
        least = under.overhead + 18
        with B.device(under, "narrow0", "df", "unset", far=far, key=0x54,
                      mtu=20000) as dev:
            for mtu in (1, under.overhead - 1, under.overhead, least - 1):
                with route(family, far + bits, "dev", "under0", "mtu",
                           str(mtu)), B.counting(dev, dev_tx_too_long=2):
                    frames = under.dev.capture(
                        lambda: [dev.port.send(plain(size))
                                 for size in (100, 10000)],
                        lambda inside: inside[12:14] == b"\x88\xb6")
                    none(frames, "MTU %d" % mtu)
            with route(family, far + bits, "dev", "under0", "mtu",
                       str(least)):
                # the marks go the same way
                sizes = [len(s.payload) for s in dev.tx_one(
                    plain(990)).segments]
            equal(sizes, [18] * 56 + [14], "segments")


def icmp_error(under):
    """An error that quotes a segment of ours."""
    proto, kind = (stt.ICMP, 3) if under is B.v4 else (stt.ICMPV6, 1)
    under.dev.tx_one(plain())
    return under.path.ether(stt.packet(
        proto, under.far, under.near, B.captured[-1][14:200], icmp_type=kind,
        icmp_code=1, sport=0))


@SUITE.test("errors that others report of segments are counted")
def _():
    for under in B.unders:
        error, before = icmp_error(under), B.net_stats()
        B.far.send(error)
        await_growth("tx_unreachable", before)
        none([n for n in bench.moved(before, B.net_stats())
              if n.startswith("pmtu")], "took it for a path MTU")


@SUITE.test("what a policy of IPsec forbids is not received")
def _():
    for under in B.unders:
        policy = ["policy", "add", "dir", "in", "src", under.far, "dst",
                  under.near, "proto", "tcp", "action", "block"]
        B.hv.ip("xfrm", *policy)
        dev, before = under.dev, B.net_stats()
        for ether in dev.cut(dev.frame(plain())):
            B.far.send(ether)
        await_growth("rx_policy", before)
        policy[1] = "delete"
        B.hv.ip("xfrm", *policy[:-2])
        got = dev.rx(dev.cut(dev.frame(plain())))
        equal([p.data for p in got], [plain()], "delivered without policy")


# linux/netfilter/nfnetlink_queue.h
NETLINK_NETFILTER = 12
NFQNL_MSG_PACKET, NFQNL_MSG_VERDICT, NFQNL_MSG_CONFIG = range(0x300, 0x303)
NFQA_CFG_CMD, NFQA_CFG_PARAMS = 1, 2
NFQNL_CFG_CMD_BIND, NFQNL_COPY_META = 1, 1
NFQA_PACKET_HDR, NFQA_VERDICT_HDR = 1, 2
NF_ACCEPT = 1


class Queue(netlink.Netlink):
    """Packets that wait for a verdict: nft's "queue num 0"."""

    HEAD = bytes(4)             # any family, queue 0

    def __init__(self, space):
        super().__init__(space, NETLINK_NETFILTER)
        for attr in ((NFQA_CFG_CMD, struct.pack("!BBH", NFQNL_CFG_CMD_BIND,
                                                0, 0)),
                     (NFQA_CFG_PARAMS, struct.pack("!IB", 0,
                                                   NFQNL_COPY_META))):
            self.ask(NFQNL_MSG_CONFIG, netlink.F_ACK,
                     self.HEAD + netlink.attr(*attr))

    def accept(self):
        """Let the next packet pass: it does in this process."""
        for kind, _, _, body in self.received():
            equal(kind, NFQNL_MSG_PACKET, "message of the queue")
            ident = netlink.parse(body[4:])[NFQA_PACKET_HDR][:4]
            self.ask(NFQNL_MSG_VERDICT, netlink.F_ACK,
                     self.HEAD + netlink.attr(
                         NFQA_VERDICT_HDR, struct.pack("!I", NF_ACCEPT) +
                         ident))


@SUITE.test("what a process lets pass is received in that process")
def _():
    link.need("nft", "nftables")
    link.load("nfnetlink_queue")
    link.load("nft_queue")
    with contextlib.ExitStack() as stack:
        queue = Queue(B.hv)
        stack.callback(queue.close)
        for command in ("table inet q",
                        "chain inet q in { type filter hook input priority 0; }",
                        "rule inet q in icmp type destination-unreachable "
                        "queue num 0",
                        "rule inet q in icmpv6 type destination-unreachable "
                        "queue num 0",
                        "rule inet q in tcp flags urg queue num 0"):
            B.hv.run("nft", "add " + command)
        stack.callback(B.hv.run, "nft", "delete table inet q")
        for under in B.unders:
            error, before = icmp_error(under), B.net_stats()
            B.far.send(error)
            queue.accept()
            await_growth("tx_unreachable", before)

            dev, before = under.dev, B.net_stats()
            ether, = dev.cut(dev.frame(plain()), flags=stt.ACK | 0x20)
            B.far.send(ether)
            queue.accept()
            await_growth("rx_segments", before)
            got = dev.port.until(lambda *_: True)
            equal([p.data for p in got], [plain()], "delivered")


def setup():
    global B  # pylint: disable=global-statement
    B = bench.Bench()


def main():
    link.require_module()
    try:
        return SUITE.run(setup=setup)
    finally:
        if B is not None:
            B.close()


if __name__ == "__main__":
    sys.exit(main())
