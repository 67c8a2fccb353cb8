#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
"""An independent decoder reads what traffic of two VMs leaves on the underlay
and has no complaint, neither about the segments nor about what is in them.
Run as root with the module loaded, and with tshark.
"""

import os
import socket
import sys
import tempfile

sys.pycache_prefix = os.path.join(
    os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "stt",
    "pycache")

# pylint: disable=wrong-import-position
from oracle import ktap, link, stt, vms                         # noqa: E402
from oracle.ktap import check, equal, none                      # noqa: E402

SUITE = ktap.Suite()

# Payload is payload: heuristics see other protocols in random bytes.
# Retransmissions are no fault of a frame.
DECODE = ("tcp.port==1-65535,data", "udp.port==1-65535,data")
OPTIONS = ("ip.try_heuristic_first:TRUE", "ipv6.try_heuristic_first:TRUE",
           "tcp.analyze_sequence_numbers:FALSE", "ip.check_checksum:TRUE")
WARNING = 0x600000


def capture(family):
    """Ethernet frames on the underlay, as cut for a wire."""
    vms.UNDERLAY.prepare(family, 1500, 1500, "no checksum offload, no GRO")
    port = link.Port(vms.HV[1], "under0")
    back = link.Port(vms.HV[0], "under0")
    for number, space in enumerate(vms.VM):
        # a retransmission too many is nothing to complain of
        space.sysctl("net.ipv4.tcp_dsack", 0)
        space.ip("link", "add", "link", "eth0", "name", "eth0.5", "type",
                 "vlan", "id", "5", "egress", "0:3")
        space.ip("addr", "add", "198.51.100.%d/24" % (number + 1), "dev",
                 "eth0.5")
        space.ip("link", "set", "eth0.5", "up")
    try:
        for kind in (socket.AF_INET, socket.AF_INET6):
            vms.ping(kind, (0, 56, 1400, 4000))
            vms.datagrams(kind, (1, 1000, 1400))
            vms.stream(kind, 1 << 18)
        vms.ping(socket.AF_INET, (56, 3000), net="198.51.100.%d")
        vms.stream(socket.AF_INET, 1 << 17, net="198.51.100.%d")
    finally:
        for space in vms.VM:
            space.ip("link", "del", "eth0.5")
    ethers = [p.data for side in (port, back) for p in side.drain()]
    port.close()
    back.close()
    return ethers


def decodable(ethers):
    """Without frames whose last segment has up to 20 bytes: the dissector
    takes it for the end of a frame that is whole already."""
    frames, errors = stt.reassemble(ethers)
    none(errors)
    return [f for f in frames if len(f.segments) == 1 or
            len(f.segments[-1].payload) > 20]


def judge(family):
    frames = decodable(capture(family))
    ethers = [s.ether for f in frames for s in f.segments]
    with tempfile.TemporaryDirectory() as where:
        path = os.path.join(where, "sent.pcap")
        stt.write_pcap(path, ethers)
        args = ["tshark", "-r", path]
        for rule in DECODE:
            args += ["-d", rule]
        for option in OPTIONS:
            args += ["-o", option]
        args += ["-T", "fields"]
        for field in ("frame.number", "frame.protocols", "stt.context_id",
                      "_ws.expert.severity", "_ws.expert.message"):
            args += ["-e", field]
        out = link.run(*args)
    rows = [line.split("\t") for line in out.splitlines()]
    equal(len(rows), len(ethers), "packets decoded")
    for number, protocols, _, severity, message in rows:
        check("stt" in protocols.split(":"), "packet", number,
              "is not STT but", protocols)
        check(not severity or max(map(int, severity.split(","))) < WARNING,
              "packet", number, "complaint:", message)
    equal([r[2] for r in rows if r[2]], ["0x%016x" % vms.KEY] * len(frames),
          "Context IDs")
    kinds = {":".join(r[1].split(":")[3:]) for r in rows}
    for want in ("icmp", "icmpv6", "udp", "tcp"):
        check(any(want in kind.split(":") for kind in kinds), want,
              "not among", kinds)
    check(any(f.header.tci for f in frames), "no frame had a tag")
    check(any(len(f.segments) > 1 for f in frames), "no frame was cut")
    return "%d frames, %d segments" % (len(frames), len(ethers))


@SUITE.test("tshark decodes all without a warning, IPv4 underlay")
def over_ipv4():
    return judge(4)


@SUITE.test("tshark decodes all without a warning, IPv6 underlay")
def over_ipv6():
    return judge(6)


def setup():
    link.need("tshark")
    vms.setup()


def main():
    try:
        return SUITE.run(setup=setup)
    finally:
        vms.close()


if __name__ == "__main__":
    link.require_module()
    sys.exit(main())
