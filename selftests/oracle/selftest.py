#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Self-test of the oracle. Needs no kernel, no module and no privileges."""

import glob
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(HERE))

# pylint: disable=wrong-import-position
from oracle import ktap, stt                                    # noqa: E402
from oracle.ktap import check, equal, none                      # noqa: E402

DATA = os.path.join(os.path.dirname(HERE), "data")
SUITE = ktap.Suite()
test = SUITE.test

# A frame of 136 bytes in segments of 60: TCP-like header and payload.
VECTOR_KEY = 0x0123456789abcdef
VECTOR = [bytes.fromhex(text) for text in (
    "c3501d2f0088000001020304501000000bf30000"
    "000e22000020b0640123456789abcdef0000"
    "020000000002020000000001080045000068123440004006a508c0a80101c0a80102"
    "03e807d011111111",
    "c3501d2f0088003c010203045010000063ff0000"
    "222222225018100083ae0000"
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
    "202122232425262728292a2b2c2d2e2f",
    "c3501d2f008800780102030450180000fc720000"
    "303132333435363738393a3b3c3d3e3f")]


def vector_inner(csum):
    return stt.inner(stt.TCP, "192.168.1.1", "192.168.1.2", bytes(range(64)),
                     ident=0x1234, flags=stt.ACK | stt.PSH, csum=csum)


def vector_path():
    return stt.Path("10.0.0.1", "10.0.0.2", smac="02:00:00:00:01:01",
                    dmac="02:00:00:00:01:02", sport=50000)


@test("vector: encode, byte for byte")
def vector_encode():
    frame = stt.offloaded(vector_inner("partial"), VECTOR_KEY, mss=32,
                          tci=0xb064)
    equal(len(frame), 136, "frame length")
    have = [e[34:] for e in vector_path().cut(frame, 0x01020304, 60)]
    for number, (one, want) in enumerate(zip(have, VECTOR)):
        equal(one, want, "segment %d" % number)
    equal(len(have), len(VECTOR), "segments")


@test("vector: decode")
def vector_decode():
    path = vector_path()
    frames, errors = stt.reassemble([path.ether(path.ip(tcp))
                                     for tcp in VECTOR])
    none(errors)
    equal(len(frames), 1, "frames")
    none(frames[0].problems(mtu=100))
    equal(frames[0].header, stt.Header(0, 0x0e, 34, 0, 32, 0xb064,
                                       VECTOR_KEY, 0), "header")
    vlan, inside = frames[0].delivered()
    equal(vlan, 5 << 13 | 100, "tag")
    equal(inside, vector_inner("full"), "inner frame")
    none(stt.problems(inside, padding=False))


@test("vector: every order of segments gives the same frame")
def vector_orders():
    path = vector_path()
    ethers = [path.ether(path.ip(tcp)) for tcp in VECTOR]
    for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1),
                  (2, 1, 0)):
        frames, errors = stt.reassemble([ethers[i] for i in order])
        none(errors)
        equal(b"".join(tcp[20:] for tcp in VECTOR), frames[0].data)


@test("checksum agrees with word-by-word addition")
def checksum_naive():
    rng = stt.rng(1)
    samples = [b"", b"\0", b"\0\0", b"\xff\xff", b"\xff\xff\0\1", b"\1"]
    samples += [rng.randbytes(rng.randint(1, 99)) for _ in range(500)]
    for data in samples:
        total = 0
        padded = data + b"\0" * (len(data) & 1)
        for (word,) in struct.iter_unpack("!H", padded):
            total += word
            total = (total & 0xffff) + (total >> 16)
        equal(stt.ones_sum(data), total, data.hex())


@test("CRC-32C of the check string")
def crc():
    equal(stt.crc32c(b"123456789"), 0xe3069283.to_bytes(4, "little"))


@test("inner packets: built right, seen wrong when spoilt")
def inner_packets():
    v4, v6 = ("192.168.1.1", "192.168.1.2"), ("fd00::1", "fd00::2")
    cases = [(proto, ends, {}) for ends in (v4, v6)
             for proto in (stt.TCP, stt.UDP)]
    cases += [(stt.ICMP, v4, {}), (stt.ICMPV6, v6, {"icmp_type": 128}),
              (stt.UDP, v4, {"options": b"\1" * 8}),
              (stt.TCP, v4, {"tcp_options": b"\1" * 12}),
              (stt.UDP, v6, {"ext": [
                  stt.options_header(stt.DSTOPTS, stt.padn(230))]}),
              (stt.TCP, v6, {"ext": [stt.options_header(stt.HOPOPTS),
                                     stt.options_header(stt.DSTOPTS)]})]
    for proto, ends, kwargs in cases:
        for size in (0, 1, 2, 63, 64, 999):
            payload = bytes(range(256)) * 4
            good = stt.inner(proto, *ends, payload[:size], **kwargs)
            none(stt.problems(good, padding=False), kwargs)
            parsed = stt.Inner(good)
            equal(parsed.proto, proto)
            bad = stt.inner(proto, *ends, payload[:size], csum="bad",
                            **kwargs)
            equal(stt.problems(bad), ["layer 4 checksum"])
            if proto in (stt.TCP, stt.UDP):
                part = stt.inner(proto, *ends, payload[:size],
                                 csum="partial", **kwargs)
                check(stt.Inner(part).l4_partial_ok(), "partial")
                equal(stt.complete(part), good)
    equal(stt.Inner(stt.inner(stt.UDP, *v6, b"x", ext=[
        stt.options_header(stt.DSTOPTS, stt.padn(230))])).l4, 14 + 40 + 232)


@test("TCP segmentation: pieces are right and add up")
def segmentation():
    for ends in (("192.168.1.1", "192.168.1.2"), ("fd00::1", "fd00::2")):
        data = bytes(range(256)) * 20
        big = stt.inner(stt.TCP, *ends, data, csum="partial",
                        flags=stt.ACK | stt.PSH | stt.FIN | stt.CWR,
                        tcp_options=b"\1" * 12)
        parts = stt.tcp_segments(big, 1000)
        equal(len(parts), 6)
        got = b""
        for number, part in enumerate(parts):
            none(stt.problems(part, padding=False))
            parsed = stt.Inner(part)
            flags = part[parsed.l4 + 13]
            equal(bool(flags & stt.CWR), number == 0, "CWR")
            equal(bool(flags & stt.FIN), number == 5, "FIN")
            seq = int.from_bytes(part[parsed.l4 + 4:parsed.l4 + 8], "big")
            equal(seq, 0x11111111 + len(got), "sequence number")
            got += parsed.tcp_payload()
        equal(got, data)


@test("every rule of a sender is noticed when broken")
def rules():
    path = vector_path()
    inside = vector_inner("partial")
    full = vector_inner("full")

    def found(data, expect, **kwargs):
        frames, errors = stt.reassemble(path.cut(data, 7, 60, **kwargs))
        none(errors)
        have = frames[0].problems(mtu=100)
        check(any(expect in p for p in have), expect, "not among", have)

    def header(expect, **kwargs):
        found(stt.offloaded(inside, 1, **kwargs), expect)

    frames, errors = stt.reassemble(path.cut(stt.offloaded(inside, 1), 7, 60))
    none(errors)
    none(frames[0].problems(mtu=100))
    header("version 1", version=1)
    header("reserved flags", flags=0x1e)
    header("reserved byte", reserved=1)
    header("padding 1", padding=1)
    header("C and P", flags=0x0f)
    header("without V", tci=0x0064)
    header("flag V does not", flags=0x0a)
    header("flag T does not", flags=0x06)
    header("L4 offset", l4off=33)
    found(stt.frame(full, 1, flags=0x04), "P=0 with")
    found(stt.frame(full, 1, l4off=34), "P=0 with")
    found(stt.frame(full, 1, mss=34), "P=0 with")
    found(stt.frame(inside, 1), "layer 4 checksum")
    found(stt.offloaded(full, 1), "pseudo-header")
    good = stt.offloaded(inside, 1)
    found(good, "checksum 0x", csum=0x1234)
    found(good, "data offset", options=b"\1" * 4)
    found(good, "ACK clear", flags=0)
    found(good, "flags 0x", flags=stt.ACK | stt.ECE)
    found(good, "window 9", window=9)
    found(good, "PSH before", flags=stt.ACK | stt.PSH)
    frames, errors = stt.reassemble(path.cut(good, 7, 80))
    check(any("MTU" in p for p in frames[0].problems(mtu=100)), "MTU")
    ethers = path.cut(good, 7, 60)
    check(stt.reassemble(ethers[:2])[1], "incomplete frame not noticed")
    check(stt.reassemble(ethers[:2] + ethers[:1])[1], "overlap not noticed")


def pieces(path):
    return [ether for _, ether in stt.read_pcap(path)]


def capture_test(path):
    name = os.path.basename(path)

    @test("capture %s: whole frames, right checksums" % name)
    def capture():
        ethers = pieces(path)
        check(ethers, "empty capture")
        for ether in ethers:
            seg = stt.Segment.parse(ether)
            check(seg is not None, "not a segment:", ether.hex())
            none(p for p in seg.problems() if not p.startswith("window"))
        frames, errors = stt.reassemble(ethers)
        none(errors)
        offloads = 0
        for frame in frames:
            none((p for p in frame.header.problems(frame.inner)
                  if "without V" not in p), frame.header)
            offloads += bool(frame.header.flags & stt.P)
            inside = frame.delivered()[1]
            none(stt.problems(inside, padding=False), frame.header)
            if frame.header.mss:
                for part in stt.tcp_segments(frame.inner, frame.header.mss):
                    none(stt.problems(part, padding=False))
        return "%d segments, %d frames, %d with offload" % (
            len(ethers), len(frames), offloads)


CAPTURES = sorted(glob.glob(os.path.join(DATA, "*.pcap")))


@test("captures are there")
def captures_there():
    equal(len(CAPTURES), 22, "captures")


for one_path in CAPTURES:
    capture_test(one_path)

if __name__ == "__main__":
    sys.exit(SUITE.run())
