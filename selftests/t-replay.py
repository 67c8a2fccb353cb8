#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
"""Replays captures of another implementation against the module.

Every frame of every capture must come out of the device byte for byte, with
a correct inner checksum. That implementation sends the tag field without V:
captures that have such frames are also replayed to a device that takes it
for a tag (vlancompat). Run as root with the module loaded.
"""

import glob
import os
import sys

sys.pycache_prefix = os.path.join(
    os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "stt",
    "pycache")

# pylint: disable=wrong-import-position
from oracle import ktap, link, stt                              # noqa: E402
from oracle.ktap import check, equal, none                      # noqa: E402

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
ENDS = ("10.0.0.1", "10.0.0.2")
SUITE = ktap.Suite()
SITES = []


class Site:
    """One of the two ends of the captured tunnel, and the wire to it."""

    def __init__(self, oracle, number):
        self.near, self.far = ENDS[number], ENDS[1 - number]
        self.space = link.Netns("site%d" % number)
        self.wire = link.Wire(self.space, oracle, "site%d" % number,
                              mtu=9000, number=number)
        self.space.ip("addr", "add", self.near + "/24", "dev",
                      self.wire.near)
        self.sock = link.Port(oracle, self.wire.far)
        self.ports = {}

    def port(self, key, compat):
        """Packet socket on the device for this Context ID; made anew when
        the option changes."""
        name = "stt%d" % key
        if len(name) > 14:
            name = "stt"
        if self.ports.get(name, (None, None))[1] != compat:
            if name in self.ports:
                self.ports[name][0].close()
                self.space.ip("link", "del", name)
            self.space.ip("link", "add", name, "type", "stt", "id",
                          str(key), "remote", self.far, "local", self.near,
                          "vlancompat" if compat else "novlancompat")
            self.space.batch(["link set %s addrgenmode none up" % name])
            # one packet per frame: do not merge them again
            self.space.ethtool(name, gro=False)
            self.ports[name] = (link.Port(self.space, name, vnet=True),
                                compat)
        return self.ports[name][0]

    def replay(self, ethers, compat):
        ethers = [e for e in ethers
                  if stt.Inner(e).dst == stt.addr(self.near)]
        frames, errors = stt.reassemble(ethers)
        none(errors)
        for key in sorted({f.header.key for f in frames}):
            self.port(key, compat).drain()
        for ether in ethers:
            self.sock.send(stt.mac(self.wire.near_mac) + ether[6:])
        for key in sorted({f.header.key for f in frames}):
            want = [f for f in frames if f.header.key == key]
            got = self.port(key, compat).until(
                lambda _, a, n=len(want): len(a) == n)
            # frames complete in the order of their last segments
            for packet, frame in zip(got, want):
                compare(packet, frame, compat)
        return len(frames)


def compare(packet, frame, compat):
    vlan, inside = frame.delivered(compat)
    check(stt.CE not in {s.tos & 3 for s in frame.segments}, "CE in capture")
    if packet.flags & link.NEEDS_CSUM:
        parsed = stt.Inner(packet.data)
        equal((packet.csum_start, packet.csum_offset),
              (parsed.l4, parsed.csum_at()), "place of the checksum")
        check(parsed.l4_partial_ok(), "partial checksum")
    # the kernel takes any tag out of the data before a socket sees it
    equal(packet.wire, link.with_tag(inside, vlan),
          "frame [%s]" % frame.header)
    equal(packet.gso_size, frame.header.mss, "GSO size")
    none(stt.problems(packet.wire, padding=False))


def register(path):
    ethers = [e for _, e in stt.read_pcap(path)]
    tagged = any(f.header.tci and not f.header.tci & stt.TAG_VALID
                 for f in stt.reassemble(ethers)[0])
    for compat in (False, True)[:1 + tagged]:
        for gro in (False, True):
            name = "%s%s, underlay GRO %s" % (
                os.path.basename(path), ", vlancompat" if compat else "",
                "on" if gro else "off")

            @SUITE.test(name)
            def run(compat=compat, gro=gro):
                for site in SITES:
                    site.wire.offloads(gro=gro)
                return "%d frames" % sum(s.replay(ethers, compat)
                                         for s in SITES)


def setup():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    oracle = link.Netns("far")
    SITES.extend(Site(oracle, n) for n in (0, 1))
    setup.spaces = [oracle] + [s.space for s in SITES]


setup.spaces = []


def main():
    paths = sorted(glob.glob(os.path.join(DATA, "*.pcap")))
    for path in paths:
        register(path)
    check(paths, "no captures in", DATA)
    try:
        return SUITE.run(setup=setup)
    finally:
        for space in setup.spaces:
            space.delete()


if __name__ == "__main__":
    link.require_module()
    sys.exit(main())
