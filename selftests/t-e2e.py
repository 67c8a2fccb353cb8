#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 400
"""Traffic of two VMs through the tunnel, over every kind of underlay.

For each underlay MTU and address family, and each way in which its offloads
can be set: pings of many sizes, datagrams, and TCP in both directions at the
same time with every byte compared, all over IPv4 and IPv6. With TSO off the
segments are cut before the receiver sees them, as a wire would have them.
Run as root with the module loaded. STT_FULL=1 tries every combination, and
sends more.
"""

import itertools
import os
import socket
import sys
import time

sys.pycache_prefix = os.path.join(
    os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "stt",
    "pycache")

# pylint: disable=wrong-import-position
from oracle import ktap, link, vms                              # noqa: E402

SUITE = ktap.Suite()
FULL = os.environ.get("STT_FULL") == "1"
BYTES = ((64 if FULL else 1) << 20) // link.SLOW

# MTU of the underlay and of the VMs. 576 is below what IPv6 allows.
MTUS = ((576, 1500), (1280, 1500), (1500, 1500), (1500, 9000), (9000, 9000))
# All ways to set the offloads with the usual MTU, with the others these.
FEW = ("TSO, GRO", "no TSO, GRO", "no TSO, GRO by lists",
       "no checksum offload, no GRO")


def register(family, under, inner, offloads):
    @SUITE.test("IPv%d underlay, MTU %d, VMs %d, %s" % (family, under, inner,
                                                       offloads))
    def run():
        vms.UNDERLAY.prepare(family, under, inner, offloads)
        for kind in (socket.AF_INET, socket.AF_INET6):
            head = 28 if kind == socket.AF_INET else 48
            whole = inner - head
            vms.ping(kind, (0, 1, 56, 512, under - 150, whole, whole + 1,
                            20000, 60000))
            vms.datagrams(kind, (0, 1, 999, whole))
            begin = time.monotonic()
            vms.stream(kind, BYTES)
            if FULL:
                ktap.diag("%.0f Mbit/s" % (16e-6 * BYTES / (
                    time.monotonic() - begin)))


def main():
    for (under, inner), family in itertools.product(MTUS, (4, 6)):
        if family == 6 and under < 1280:
            continue
        for offloads in vms.OFFLOADS:
            if FULL or (under, inner) == (1500, 1500) or offloads in FEW:
                register(family, under, inner, offloads)
    try:
        return SUITE.run(setup=vms.setup)
    finally:
        vms.close()


if __name__ == "__main__":
    link.require_module()
    sys.exit(main())
