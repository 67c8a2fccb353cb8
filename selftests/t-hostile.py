#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
"""Input that no peer would send, and input that only odd paths produce.

Nothing here may be answered, crash, leak or disturb the frames of others.
--seed repeats a random run, STT_FULL=1 makes it longer. Run as root with the
module loaded.
"""

import argparse
import itertools
import os
import struct
import sys
import time

sys.pycache_prefix = os.path.join(
    os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "stt",
    "pycache")

# pylint: disable=wrong-import-position
from oracle import bench, ktap, link, stt                       # noqa: E402
from oracle.ktap import Failure, check, equal                   # noqa: E402

FULL = os.environ.get("STT_FULL") == "1"
SUITE = ktap.Suite()
SEED = [0]
B = None


def test(name):
    """Register a test of an underlay, to be run over both."""
    def add(function):
        def run():
            notes = []
            for under in B.unders:
                before = B.net_stats()
                try:
                    notes.append(function(under))
                except Failure as reason:
                    raise Failure("over %s:" % under.name, reason,
                                  "counters:", bench.moved(
                                      before, B.net_stats())) from reason
            return "\n".join(n for n in notes if n)
        SUITE.test(name)(run)
        return function
    return add


def plain(size=1000, fill=b"H"):
    return stt.eth(fill * size, 0x88b6)


def same(packets, wanted, what="delivered"):
    equal([p.data for p in packets], list(wanted), what)


def unanswered():
    """Neither TCP nor ICMP, apart from MLD and ND, came back."""
    for packet in B.far.drain():
        parsed = stt.Inner(packet.data)
        check(parsed.proto != stt.TCP or stt.Segment.parse(packet.data),
              "answer:", packet.data.hex())
        check(parsed.proto != stt.ICMP and (
            parsed.proto != stt.ICMPV6 or packet.data[parsed.l4] >= 130),
              "answer:", packet.data.hex())


# --------------------------------------------------------- the outer headers

@test("IPv4 options and IPv6 extension headers in front of the segment")
def outer_options(under):
    dev = under.dev
    more = [{"options": b"\1" * 4}, {"options": b"\1" * 40}] \
        if under is B.v4 else \
        [{"ext": [stt.options_header(stt.DSTOPTS)]},
         {"ext": [stt.options_header(stt.HOPOPTS),
                  stt.options_header(stt.DSTOPTS, stt.padn(60))]}]
    frame = dev.frame(plain())
    for ipargs in more:
        same(dev.rx(dev.cut(frame, size=500, ipargs=ipargs)), [frame[18:]])


def fragments(under, ether, size, ident, first=None):
    """An outer packet in IP fragments of `size` bytes, but for the first."""
    parsed = stt.Inner(ether)
    l4 = ether[parsed.l4:parsed.end]
    edges = [0, *range(first or size, len(l4), size), len(l4)]
    out = []
    for at, end in zip(edges, edges[1:]):
        part = l4[at:end]
        more = end < len(l4)
        if under is B.v4:
            out.append(under.path.ether(under.path.ip(
                part, df=False, ident=ident,
                frag=at // 8 | (0x2000 if more else 0))))
        else:
            head = struct.pack("!BBHI", stt.TCP, 0, at | more, ident)
            out.append(under.path.ether(under.path.ip(head + part,
                                                      stt.FRAGMENT)))
    return out


@test("segments that come as IP fragments: reassembled by IP or dropped, "
      "never answered")
def ip_fragments(under):
    dev = under.dev
    frame = dev.frame(plain(1200))
    for size, turn in ((400, 1), (400, -1), (8, 1), (2000, 1)):
        ethers = [f for number, e in enumerate(dev.cut(frame, size=700))
                  for f in fragments(under, e, size, B.serial + number)]
        B.far.drain()
        got = dev.rx(ethers[::turn])
        check(len(got) <= 1, "frames")
        same(got, [frame[18:]] * len(got))
        if under is B.v4:
            equal(len(got), 1, "fragments of %d" % size)
        unanswered()
    if under is B.v6:
        # behind other headers, too
        for more, want in ((1, []), (0, [frame[18:]])):
            ether = under.path.segment(frame, 0, len(frame), B.new_id(),
                                       ipargs={"ext": [
                                           stt.options_header(stt.DSTOPTS),
                                           (stt.FRAGMENT, struct.pack(
                                               "!HI", more, 9))]})
            with B.counting(dev, rx_fragment=more):
                same(dev.rx([ether]), want, "of which more come: %d" % more)


@test("what is authenticated, or on its way elsewhere, is not taken as it is")
def other_headers(under):
    if under is B.v4:
        return
    dev = under.dev
    frame = dev.frame(plain(1000))
    before = B.net_stats()["rx_segments"]
    # no SA for AH, and no SRv6 here: the stack drops both
    for header in ((51, bytes((0, 0, 0, 0, 1, 0))),
                   (43, bytes((4, 1, 0, 0, 0, 0)) + bytes(16))):
        same(dev.rx([under.path.segment(frame, 0, len(frame), B.new_id(),
                                        ipargs={"ext": [header]})]), [],
             "header %d" % header[0])
    # none but the marks
    equal(B.net_stats()["rx_segments"], before + 4, "segments taken")


@test("a header and its data in two IP fragments, seen by a tap, cut anew")
def header_fragment(under):
    """What is left of the header's skb is empty, and GSO takes no such one."""
    if under is B.v6:
        return
    dev = B.bridged(under)
    inside = stt.inner(stt.TCP, *dev.ip4, stt.rng(3).randbytes(20000),
                       csum="partial")
    frame = dev.offloaded(inside, mss=1000)
    tap = link.Port(B.hv, B.wire.near, vnet=True)
    try:
        B.hv.ethtool("plain0", sg=True)
        for way in (1, -1):
            ethers = [f for number, e in enumerate(dev.cut(
                          frame, size=1392, options=b"\1" * 4))
                      for f in fragments(under, e, 1480, B.serial + number,
                                         24)]
            same(dev.rx(ethers[::way], B.plain),
                 stt.tcp_segments(inside, 1000), "cut anew")
    finally:
        B.hv.ethtool("plain0", sg=False)
        tap.close()


@test("truncated TCP-like headers: dropped, not answered")
def truncated(under):
    dev = under.dev
    whole = dev.path.tcp(dev.frame(plain(100)), 0, 132, B.new_id())
    B.far.drain()
    same(dev.rx([under.path.ether(under.path.ip(whole[:size]))
                 for size in range(0, 20)]), [])
    unanswered()


@test("a foreign source, our own source, another of our addresses")
def other_ends(under):
    dev = under.dev
    frame = dev.frame(plain())
    B.far.drain()
    for src in (under.far[:-1] + "3", under.near):
        same(dev.rx(dev.cut(frame, size=400, src=src)), [], "from " + src)
    other = "10.0.0.77" if under is B.v4 else "fd00::77"
    bits = "/24" if under is B.v4 else "/64"
    B.hv.ip("addr", "add", other + bits, "dev", "under0",
            *(("nodad",) if under is B.v6 else ()))
    same(dev.rx(dev.cut(frame, size=400, dst=other)), [], "to " + other)
    B.hv.ip("addr", "del", other + bits, "dev", "under0")
    if under is B.v4:
        same(dev.rx(dev.cut(frame, size=400, dst="10.0.0.255")), [],
             "to a broadcast address")
    unanswered()


@test("one frame that takes all the memory is refused more of it")
def hungry(under):
    dev = under.dev
    budget = 1 << 20
    frame = dev.frame(plain(60000))
    others = [under.far[:-1] + end for end in "34"]
    with B.slow(budget), \
            B.device(under, "other3", key=77, far=others[0]) as one, \
            B.device(under, "other4", key=77, far=others[1]) as two:
        with B.counting(dev, rx_no_budget=1):
            for at in range(0, len(frame) - 20, 20):
                B.far.send(dev.path.segment(frame[at:at + 20], at, len(frame),
                                            0x66660000 + under.number))
            # Once in 256 times a source shares the account of another one.
            got = [calm.rx(calm.cut(calm.frame(plain(3000)), size=700))
                   for calm in (one, two)]
            same(max(got, key=len), [plain(3000)],
                 "of another sender, meanwhile")
        held = B.net_stats()["reasm_mem"]
        check(budget / 4 < held <= budget, held, "bytes held of", budget)


# ----------------------------------------------------------- the inner frame

@test("inner source address of the device itself, multicast or zero: dropped")
def inner_source(under):
    dev = under.dev
    for smac in (bench.OUR_MAC, "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff",
                 "00:00:00:00:00:00"):
        inside = stt.eth(b"x" * 60, 0x88b6, src=smac)
        with B.counting(dev, dev_rx_bad_mac=1):
            same(dev.rx(dev.cut(dev.frame(inside))), [], smac)


@test("inner frames of all lengths from 14 bytes to the longest")
def inner_lengths(under):
    dev = under.dev
    for size in [*range(14, 40), 59, 60, 1399, 65516, 65517]:
        inside = stt.eth(stt.rng(size).randbytes(size - 14), 0x88b6)
        same(dev.rx(dev.cut(dev.frame(inside))), [inside], "%d bytes" % size)
    # 802.3 length instead of a type
    inside = stt.eth(b"\xaa\xaa\3" + bytes(40), 43)
    same(dev.rx(dev.cut(dev.frame(inside))), [inside], "802.3")


@test("the longest TCP packet with MSS, cut by every way to a plain NIC")
def longest_gso(under):
    dev = B.bridged(under)
    # What stands at the place of a TCP header's length must not matter.
    low = ("10.0.0.1", "10.0.0.2")
    for ends, head, more in ((dev.ip4, 54, {}), (low, 54, {}),
                             (low, 58, {"options": b"\1" * 4}),
                             (dev.ip6, 74, {})):
        for total, gro in ((65535, False), (65000, False), (65000, True)):
            inside = stt.inner(stt.TCP, *ends, stt.rng(1).randbytes(
                total - 18 - head), csum="partial", **more)
            try:
                B.hv.ethtool(dev.name, gro=gro)
                got = dev.rx(dev.cut(dev.offloaded(inside, mss=1400)),
                             B.plain)
            finally:
                B.hv.ethtool(dev.name, gro=False)
            same(got, stt.tcp_segments(inside, 1400), "from %s, GRO %s: "
                 "forwarded" % (ends[0], gro))


@test("a tag in the header and more in the payload")
def tags(under):
    dev = under.dev
    for inline in ([stt.tag(7, 1)], [stt.tag(8, 2, tpid=stt.ETH_8021AD)],
                   [stt.tag(9, tpid=stt.ETH_8021AD), stt.tag(10)]):
        inside = stt.inner(stt.UDP, *dev.ip4, b"tags", tags=inline)
        got = dev.rx(dev.cut(dev.frame(inside, tci=0x7005)))
        equal([p.wire for p in got], [link.with_tag(inside, 0x6005)],
              "tags %s" % inline)


# --------------------------------------------------------------- reassembly

@test("very many pieces of one byte, GRO off and on")
def one_byte(under):
    dev = under.dev
    size = (8000 if FULL else 1500) // link.SLOW
    inside = stt.eth(stt.rng(5).randbytes(size), 0x88b6)
    frame = dev.frame(inside)
    try:
        for gro in (False, True):
            B.wire.offloads(gro=gro)
            for order in ("forward", "backward", "random"):
                ethers = dev.cut(frame, size=1)
                if order == "backward":
                    ethers.reverse()
                elif order == "random":
                    stt.rng(SEED[0]).shuffle(ethers)
                with B.slow():
                    same(dev.rx(ethers), [inside], order)
    finally:
        B.wire.offloads(gro=False)


@test("superframes of a local peer, mixed with cut segments, in all orders")
def superframes(under):
    """A peer that needs no wire sends segments that were never cut: GSO, the
    checksum still to be computed."""
    dev = under.dev
    port = link.Port(B.oracle, B.wire.far, vnet=True)
    inside = stt.inner(stt.TCP, *dev.ip4, stt.rng(2).randbytes(20000),
                       csum="partial")
    frame = dev.offloaded(inside, mss=1448)
    kind = link.GSO_TCP4 if under is B.v4 else link.GSO_TCP6
    cuts = [1400, 8400, 9000, 16000]
    try:
        B.wire.mtu(65535)
        B.oracle.ethtool(B.wire.far, tso=True)
        for order in itertools.permutations(range(5)):
            ethers = dev.path.cut(frame, B.new_id(), cuts=cuts,
                                  csum="partial")
            dev.port.drain()
            for number in order:
                ether = ethers[number]
                parsed = stt.Inner(ether)
                size = parsed.end - parsed.l4 - 20
                port.send(ether, link.vnet_header(
                    link.NEEDS_CSUM, kind if size > 1400 else 0,
                    parsed.l4 + 20, 1400 if size > 1400 else 0, parsed.l4,
                    16))
            got = dev.port.until(lambda *_: True)
            same(got, [inside], "order %s" % (order,))
            equal(got[0].gso_size, 1448, "GSO size")
    finally:
        port.close()
        B.oracle.ethtool(B.wire.far, tso=False)
        B.wire.mtu(1500)
        B.addresses()


@test("what a source leaves incomplete gives way to what it begins later")
def eviction(under):
    """To the table, sources with the same of 256 hashes are one: of two that
    make noise, both are not the sender to it."""
    dev, budget = under.dev, 1 << 20
    for last in "45":
        noise = under.path_from(under.far[:-1] + last)
        with B.slow(budget):
            before = B.net_stats()["reasm_evictions"]
            for number in range(600):
                B.far.send(noise.segment(bytes(1400), 0, 60000,
                                         0x44000000 + number))
            have = dev.rx(dev.cut(dev.frame(plain(3000)), size=700))
            after = B.net_stats()
        if have:
            break
        link.await_("the noise to expire",
                    lambda: not B.net_stats()["reasm_mem"])
    same(have, [plain(3000)], "of another sender, meanwhile")
    check(after["reasm_evictions"] > before + 200, "given up:",
          after["reasm_evictions"] - before)
    check(budget / 4 < after["reasm_mem"] <= budget, after["reasm_mem"],
          "bytes held of", budget)


@test("garbage of one source does not evict the frames of another")
def fairness(under):
    dev = under.dev
    noise = under.path_from(under.far[:-1] + "4")
    inside = plain(5000, b"F")
    mine = dev.cut(dev.frame(inside), size=1000)
    with B.slow():
        for part, ether in enumerate(mine[:-1]):
            B.far.send(ether)
            for number in range(40):
                B.far.send(noise.segment(bytes(1400), 0, 60000,
                                         0x30000000 + 1000 * part + number))
        same(dev.rx(mine[-1:]), [inside])


@test("what else looks at the segments, a tap or a mirror, sees them as they "
      "came")
def bystanders(under):
    """Delivery changes ECN, GSO and checksum state: not in shared data."""
    dev = under.dev
    inside, marked = (stt.inner(stt.TCP, *dev.ip4, stt.rng(4).randbytes(5000),
                                csum="partial", tos=t)
                      for t in (stt.ECT0, stt.CE))
    frame = dev.offloaded(inside, mss=1000)

    def tapped():
        """Segments seen by a socket that reads them after the delivery."""
        tap = link.Port(B.hv, B.wire.near, vnet=True)
        same(dev.rx(dev.cut(frame, size=1400, tos=stt.CE)), [marked])
        out = [(p, stt.Segment.parse(p.data)) for p in tap.drain()]
        tap.close()
        return [(p, s) for p, s in out if s and s.total == len(frame)]

    def unaltered():
        """True if GRO has left one segment."""
        seen = tapped()
        for packet, seg in seen:
            check(seg.csum_ok or packet.flags & link.NEEDS_CSUM and
                  seg.outer.l4_partial_ok(), "checksum of", seg)
            equal(packet.gso_size, 1400 if len(seg.payload) > 1400 else 0,
                  "GSO size of %s" % seg)
        equal(b"".join(s.payload for _, s in
                       sorted(seen, key=lambda x: x[1].offset)), frame,
              "bytes seen")
        return len(seen) == 1

    unaltered()
    try:
        B.wire.offloads(gro=True)
        link.await_("GRO to merge a frame", unaltered)
    finally:
        B.wire.offloads(gro=False)


@test("segments of a frame that arrive on different CPUs")
def two_cpus(under):
    dev = under.dev
    cpus = sorted(os.sched_getaffinity(1))[:2]
    if len(cpus) < 2:
        raise ktap.Skip("needs two CPUs")
    rng = stt.rng(SEED[0])
    for _ in range(6):
        insides = [stt.eth(rng.randbytes(2000), 0x88b6) for _ in range(40)]
        halves = [[], []]
        for inside in insides:
            for ether in dev.cut(dev.frame(inside), size=300):
                rng.choice(halves).append(ether)
        ready, go = os.pipe()
        dev.port.drain()
        child = os.fork()
        if not child:
            os.sched_setaffinity(0, {cpus[1]})
            os.read(ready, 1)
            for ether in halves[1]:
                B.far.send(ether)
            os._exit(0)
        with B.slow():
            os.write(go, b"!")
            for ether in halves[0]:
                B.far.send(ether)
            equal(os.waitpid(child, 0)[1], 0, "status of the other sender")
            got = dev.port.until(lambda _, a: len(a) == len(insides))
        os.close(ready)
        os.close(go)
        equal(sorted(p.data for p in got), sorted(insides), "delivered")


@test("random bytes in headers: alive, nothing held, nothing answered")
def fuzz(under):
    rng = stt.rng(SEED[0] * 2 + (under is B.v6))
    dev = B.bridged(under)
    B.hv.run("bridge", "link", "set", "dev", dev.name, "learning", "off")
    ends = [dev.ip4, dev.ip6]
    base = []
    for pair in ends:
        for proto in (stt.TCP, stt.UDP):
            part = stt.inner(proto, *pair, rng.randbytes(3000),
                             csum="partial")
            base += [dev.offloaded(part), dev.offloaded(part, mss=1000),
                     dev.offloaded(stt.inner(proto, *pair, b"short",
                                             csum="partial"), tci=0x7005)]
    base += [dev.frame(stt.arp()), dev.frame(stt.inner(
        stt.UDP, *dev.ip6, b"x" * 90,
        ext=[stt.options_header(stt.DSTOPTS, stt.padn(100))]))]
    rounds = 6000 if FULL else 600
    B.far.drain()
    for done in range(0, rounds, 100):
        ethers = []
        for _ in range(100):
            frame = bytearray(rng.choice(base))
            for _ in range(rng.choice((0, 1, 1, 2, 8))):
                # the Context ID stays, or nothing gets any further
                at = rng.choice((*range(0, 8), *range(16, 18),
                                 *range(30, min(len(frame), 110))))
                frame[at] = rng.choice((0, 1, 0xff, rng.randrange(256),
                                        frame[at] ^ 1 << rng.randrange(8)))
            if rng.random() < .2:
                del frame[rng.randrange(32, len(frame)):]
            pieces = dev.path.cut(
                bytes(frame), B.new_id(),
                cuts=sorted(set(range(1400, len(frame), 1400)) |
                            set(stt.random_cuts(rng, len(frame), 4))),
                flags=rng.choice((stt.ACK, rng.randrange(512))),
                tos=rng.choice((0, 0, 1, 2, 3)))
            if rng.random() < .3:
                rng.shuffle(pieces)
            ethers += pieces
        try:
            dev.rx(ethers, B.plain)
        except Failure as reason:
            raise Failure("seed", SEED[0], "after", done, "frames:",
                          reason) from reason
    unanswered()
    link.await_("an empty reassembly table",
                lambda: B.net_stats()["reasm_mem"] == 0)
    return "seed %d, %d frames" % (SEED[0], rounds)


def setup():
    global B  # pylint: disable=global-statement
    B = bench.Bench()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10 ** 6)
    parser.add_argument("-k", metavar="WORD", default="",
                        help="only tests with this in their name")
    args = parser.parse_args()
    SEED[0] = args.seed
    try:
        return SUITE.run(lambda name: args.k in name, setup)
    finally:
        if B is not None:
            B.close()


if __name__ == "__main__":
    link.require_module()
    sys.exit(main())
