#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
"""Property of reassembly: a frame comes out whole and unchanged or not at all.

Random frames are cut at random places and sent in random order, interleaved,
with duplicates, with overlapping segments of other bytes and with losses.
What is delivered must be among what was sent; a frame of which every byte
was taken must be delivered. Run as root with the module loaded.
"""

import argparse
import os
import sys
import time

sys.pycache_prefix = os.path.join(
    os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "stt",
    "pycache")

# pylint: disable=wrong-import-position
from oracle import bench, ktap, link, stt                       # noqa: E402
from oracle.ktap import Failure, equal                          # noqa: E402

SUITE = ktap.Suite()
B = None


class Victim:
    """A random frame, its segments in the order of sending, and what must
    become of it."""

    def __init__(self, rng, dev, serial, faults):
        size = rng.choice((32, 60, 200, 1500, 4000, 9000, 20000))
        size = rng.randint(size // 2, size)
        body = serial.to_bytes(4, "big") + rng.randbytes(max(size - 18, 0))
        self.inside = stt.eth(body, 0x88b6, src=b"\x02\x02" + body[:4])
        self.frame = dev.frame(self.inside)
        self.ack = B.new_id()
        self.sport = rng.randint(49152, 65535)
        most = 40 if rng.random() < .1 else 8
        cuts = stt.random_cuts(rng, len(self.frame), most)
        edges = [0, *cuts, len(self.frame)]
        pieces = [p for p in zip(edges, edges[1:])]
        self.lost = "loss" in faults and len(pieces) > 1
        if self.lost:
            pieces.remove(rng.choice(pieces))
        if rng.random() < .7:
            rng.shuffle(pieces)
        self.segments = []
        sent = []
        for start, end in pieces:
            self.add(dev, start, self.frame[start:end])
            sent.append((start, end))
            if "duplicate" in faults and rng.random() < .4:
                again = rng.choice(sent)
                self.add(dev, again[0], self.frame[slice(*again)])
            # Behind a frame that is whole, the two may make another one.
            whole = len(sent) == len(pieces) and "duplicate" in faults
            if "overlap" in faults and rng.random() < .4 and not whole:
                self.spoil(rng, dev, rng.choice(sent))

    def add(self, dev, start, payload):
        self.segments.append(dev.path.segment(
            payload, start, len(self.frame), self.ack, sport=self.sport))

    def spoil(self, rng, dev, piece):
        """Other bytes for a range that touches one that was sent, so that
        they can never be part of a whole."""
        inside = rng.randrange(*piece)
        start = rng.randint(max(0, inside - 500), inside)
        end = rng.randint(inside + 1, min(len(self.frame), inside + 900))
        if (start, end) == piece:
            return
        self.add(dev, start, bytes(b ^ 0xa5 for b in self.frame[start:end]))


def interleave(rng, victims):
    """The segments of all, each frame's in its own order."""
    queues = [list(v.segments) for v in victims]
    out = []
    while queues:
        queue = rng.choice(queues)
        out.append(queue.pop(0))
        if not queue:
            queues.remove(queue)
    return out


def round_of(seed, under, gro, faults):
    rng = stt.rng(seed)
    dev = under.dev
    B.wire.offloads(gro=gro)
    victims = [Victim(rng, dev, number, faults)
               for number in range(rng.randint(1, 24))]
    ethers = interleave(rng, victims)
    with B.slow():
        got = [p.data for p in dev.rx(ethers)]
    sent = {v.inside: v for v in victims}
    for data in got:
        if data not in sent:
            raise Failure("delivered what was not sent:", ktap.show(data))
        if sent[data].lost:
            raise Failure("delivered though incomplete:", ktap.show(data))
    for inside, victim in sent.items():
        count = got.count(inside)
        # Duplicates of all segments of a frame are that frame once more.
        # GRO may merge what is refused with what is not: then both are gone.
        if not victim.lost and count != 1 and not (
                count > 1 and "duplicate" in faults or
                count == 0 and gro and faults):
            raise Failure("%d times delivered:" % count, len(victim.frame),
                          "bytes in", len(victim.segments), "segments")
    return len(victims)


def register(seed, rounds):
    for number, faults in enumerate((
            (), ("duplicate",), ("overlap",), ("loss",),
            ("duplicate", "overlap"), ("duplicate", "overlap", "loss"))):
        @SUITE.test("%s, seed %d" % (" and ".join(faults) or
                                     "cuts and orders", seed))
        def run(number=number, faults=faults):
            frames = 0
            for turn in range(rounds):
                one = seed * 1000003 + number * 10007 + turn
                under = B.unders[turn & 1]
                try:
                    frames += round_of(one, under, bool(turn & 2), faults)
                except Failure as reason:
                    raise Failure("round %d over %s, GRO %s:" % (
                        turn, under.name, bool(turn & 2)),
                        str(reason)) from reason
            return "%d frames" % frames

    @SUITE.test("reassembly memory returns to 0")
    def empty():
        ktap.check(B.net_stats())
        equal(link.await_("an empty table", lambda: B.net_stats()[
            "reasm_mem"] == 0), True)


def setup():
    global B  # pylint: disable=global-statement
    B = bench.Bench()
    B.wire.mtu(65535)           # segments of any size


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10 ** 6)
    parser.add_argument("--rounds", type=int, default=8)
    args = parser.parse_args()
    register(args.seed, args.rounds)
    try:
        return SUITE.run(setup=setup)
    finally:
        if B is not None:
            B.close()


if __name__ == "__main__":
    link.require_module()
    sys.exit(main())
