#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 600
"""What an external device does as its metadata say, and says of what arrives.

Routes, tc, eBPF programs, a bridge and Open vSwitch give the metadata; packet
sampling (psample), filters and eBPF programs tell what was received. Segments
are built and read by the oracle. Run as root with the module loaded.
"""

import contextlib
import errno
import json
import os
import re
import socket
import struct
import sys
import tempfile

sys.pycache_prefix = os.path.join(
    os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "stt",
    "pycache")

# pylint: disable=wrong-import-position
from oracle import bench, ktap, link, netlink, stt              # noqa: E402
from oracle.ktap import Failure, Skip, check, equal             # noqa: E402
from oracle.netlink import parse                                # noqa: E402

SUITE = ktap.Suite()
B = None                        # the Bench
FOLDER = None                   # for eBPF programs

FULL_ID = 0xfedcba9876543210
OTHER_MAC = "02:00:00:00:99:01"

# linux/psample.h, openvswitch.h
SAMPLE_DATA, SAMPLE_TUNNEL = 6, 8
(T_ID, T_SRC4, T_DST4, T_TOS, T_TTL, T_DF, T_CSUM, T_OAM, T_GENEVE, T_SPORT,
 T_DPORT, T_VXLAN, T_SRC6, T_DST6) = range(14)


class Sampler:
    """Metadata of what a device receives, as packet sampling tells them."""

    def __init__(self, *devices):
        for module in ("psample", "act_sample", "cls_matchall",
                       "sch_ingress"):
            link.load(module)
        for device in devices:
            B.hv.run("tc", "qdisc", "replace", "dev", device, "clsact")
            B.hv.run("tc", "filter", "add", "dev", device, "ingress", "prio",
                     "9", "matchall", "action", "sample", "rate", "1",
                     "group", "7")
        self.genl = netlink.Generic(B.hv, "psample", "packets")

    def of(self, frame):
        """Metadata that came with this frame."""
        while True:
            got = self.genl.receive()
            if got.get(SAMPLE_DATA) == frame:
                check(SAMPLE_TUNNEL in got, "sampled without metadata")
                return parse(got[SAMPLE_TUNNEL])

    def close(self):
        self.genl.close()


def sampled_key(meta):
    return int.from_bytes(meta[T_ID], "big")


def u8(meta, kind):
    return meta[kind][0] if kind in meta else 0


class External(bench.Dev):
    """An external device, heard by the key of its own that marks have."""

    def __init__(self, under, name, *options, key, address=bench.OUR_MAC,
                 path=None):
        B.hv.ip("link", "add", name, "address", address, "mtu", "60000",
                "type", "stt", "external", *options)
        with contextlib.suppress(FileNotFoundError):
            B.hv.sysctl("net.ipv6.conf.%s.disable_ipv6" % name, 1)
        B.hv.ip("link", "set", name, "up")
        super().__init__(B, under, name, key, path or under.path)

    def received(self, ethers, under=None):
        """rx(), with the marks coming over that underlay."""
        before = self.path
        self.path = (under or self.under).path
        try:
            return self.rx(ethers)
        finally:
            self.path = before


@contextlib.contextmanager
def external(name, *options, under=None, key=0x77, **kwargs):
    dev = External(under or B.v4, name, *options, key=key, **kwargs)
    try:
        yield dev
    finally:
        dev.delete()


def sent(action, key=None):
    """Frames that go out while action() runs, by the P2P device's mark; with
    key those of that Context ID. What that device sends of itself, as when
    its addresses join groups, is nobody's."""
    frames = B.v4.dev.capture(action, lambda inside: True)
    return [f for f in frames if f.header.key == key or
            key is None and f.header.key != B.v4.dev.key]


def one(frames, what="frames sent"):
    equal(len(frames), 1, what)
    return frames[0]


SERIAL = [0]


def unique():
    SERIAL[0] += 1
    return "02:55:00:00:%02x:%02x" % divmod(SERIAL[0], 256)


def plain(size=200, source=None):
    """A frame like no other."""
    return stt.eth(stt.rng(size + SERIAL[0]).randbytes(size), 0x88b6,
                   bench.PEER_MAC, source or unique())


def incoming(size=200):
    return stt.eth(stt.rng(size + SERIAL[0]).randbytes(size), 0x88b6,
                   bench.OUR_MAC, unique())


def set_metadata(device, *args):
    """tc gives all that leaves the device these metadata."""
    link.load("act_tunnel_key")
    link.load("cls_matchall")
    link.load("sch_ingress")
    B.hv.run("tc", "qdisc", "replace", "dev", device, "clsact")
    B.hv.run("tc", "filter", "del", "dev", device, "egress", fail=False)
    B.hv.run("tc", "filter", "add", "dev", device, "egress", "matchall",
             "action", "tunnel_key", "set", *args)


def forwards(ports):
    """The bridge does, once the link of a port is seen to be up."""
    link.await_("the bridge to forward", lambda: B.hv.ip(
        "-d", "link", "show", "master", "sw0").count("state forwarding") ==
        ports)


def over(under):
    """Arguments of tunnel_key for the far end of an underlay."""
    return ["src_ip", under.near, "dst_ip", under.far]


def compiled(*programs):
    """An object file with these eBPF programs, each (text, definitions), in
    sections tc0, tc1, ...: the compiler takes longer than any test."""
    link.need("bpf-gcc", "gcc-bpf")
    link.load("cls_bpf")
    source = os.path.join(FOLDER.name, "p%d.c" % len(os.listdir(FOLDER.name)))
    with open(source, "w", encoding="ascii") as file:
        file.write("""
            #include <linux/bpf.h>
            #include <linux/pkt_cls.h>
            #define CALL(name) ((long (*)())BPF_FUNC_##name)
            """)
        for number, (text, defines) in enumerate(programs):
            defines.setdefault("ID", FULL_ID)
            file.write("".join("\n#undef %s\n#define %s %s" % (k, k, v)
                               for k, v in defines.items()))
            file.write("""
                __attribute__((section("tc%d"), used))
                int run%d(struct __sk_buff *skb)
                {
                        struct bpf_tunnel_key key = {};
                        __u64 id = __builtin_bswap64(ID);
                        %s
                        return TC_ACT_OK;
                }""" % (number, number, text))
    link.run("bpf-gcc", "-std=gnu17", "-O2", "-w",
             "-I", "/usr/include/x86_64-linux-gnu", "-I", "/usr/include",
             "-c", source, "-o", source + ".o")
    return source + ".o"


def attach(device, way, file, number):
    """Let a device use the number-th program of a file."""
    B.hv.run("tc", "-batch", "-", text="""
        qdisc replace dev %s clsact
        filter replace dev %s %s prio 1 handle 1 bpf direct-action obj %s \
            sec tc%d
        """ % (device, device, way, file, number))


def program(text, device, way="egress", **defines):
    """Let a device use one of its own."""
    attach(device, way, compiled((text, defines)), 0)


def inet(text):
    return int.from_bytes(socket.inet_aton(text), "big")


# ------------------------------------------------------------------- receive

@SUITE.test("what is received, over IPv4 and IPv6, has its metadata")
def received():
    with external("ext0") as dev:
        sampler = Sampler("ext0")
        for under in B.unders:
            path = under.path_from(under.far, sport=51234, tos=0x48, ttl=77)
            for size in (200, 20000):
                frame = incoming(size)
                data = stt.frame(frame, FULL_ID)
                got = dev.received(path.cut(data, B.new_id(), 1400), under)
                equal([p.data for p in got], [frame], under.name)
                meta = sampler.of(frame)
                src, dst = (T_SRC4, T_DST4) if path.v4 else (T_SRC6, T_DST6)
                want = {T_ID: FULL_ID.to_bytes(8, "big"), src: path.src,
                        dst: path.dst, T_TOS: b"\x48", T_TTL: b"\x4d",
                        T_CSUM: b"", T_SPORT: struct.pack("!H", 51234),
                        T_DPORT: struct.pack("!H", 7471)}
                equal(meta, want, "metadata over " + under.name)
        sampler.close()


@SUITE.test("with a keybase the upper half is not seen, but for eBPF")
def received_keybase():
    with external("ext0", "keybase", "0xaabb", key=0xaabb00000001) as dev:
        sampler = Sampler("ext0")
        frame = incoming()
        got = dev.rx(dev.cut(stt.frame(frame, 0xaabb00000005)))
        equal([p.data for p in got], [frame], "received")
        equal(sampled_key(sampler.of(frame)), 5, "Context ID")
        with B.counting(dev, rx_unknown_id=2):
            for key in (5, 0xaabc00000005):
                got = dev.rx(dev.cut(stt.frame(incoming(), key)))
                equal(got, [], "packets of key %#x" % key)
        sampler.close()
        ebpf_reads(dev, B.v4, 0xaabb00000005, 5)


def ebpf_reads(dev, under, full, low):
    """eBPF sees the tunnel's key, its option, and the flow label."""
    # gcc-bpf 12 lets a constant that is used twice stand in a register, and
    # then cannot call the function of that number
    index = 7777
    B.hv.ip("link", "add", "tap0", "index", str(index), "type", "veth",
            "peer", "name", "tap1")
    try:
        for name in ("tap0", "tap1"):
            B.hv.ip("link", "set", name, "addrgenmode", "none", "up")
        program("""
            if (CALL(skb_get_tunnel_key)(skb, &key, sizeof(key), FLAGS) ||
                CALL(skb_get_tunnel_opt)(skb, &id, sizeof(id)) != sizeof(id))
                    return TC_ACT_SHOT;
            CALL(skb_store_bytes)(skb, 14, &key, sizeof(key), 0);
            CALL(skb_store_bytes)(skb, 14 + sizeof(key), &id, sizeof(id), 0);
            return CALL(redirect)(INDEX, 0);
            """, dev.name, "ingress", INDEX=index,
                FLAGS=0 if under.path.v4 else 1)
        port = link.Port(B.hv, "tap1")
        path = under.path_from(under.far, tos=0x20, ttl=33)
        label = {} if path.v4 else {"ipargs": {"label": 0x54321}}
        frame = incoming(300)
        for ether in path.cut(stt.frame(frame, full), B.new_id(), 1400,
                              **label):
            B.far.send(ether)
        data = port.until(lambda p, _: p.data[6:12] == frame[6:12])[-1].data
        port.close()
        size = 44
        tunnel_id, = struct.unpack_from("=I", data, 14)
        tos, ttl = data[14 + 20:14 + 22]
        have_label, = struct.unpack_from("=I", data, 14 + 24)
        equal((tunnel_id, tos, ttl), (low, 0x20, 33), "tunnel key")
        equal(int.from_bytes(data[14 + size:22 + size], "big"), full,
              "tunnel option")
        equal(have_label, 0 if path.v4 else 0x54321, "flow label")
        if path.v4:
            equal(struct.unpack_from("=I", data, 18)[0],
                  int.from_bytes(path.src, "big"), "remote")
        else:
            equal(data[18:34], path.src, "remote")
    finally:
        B.hv.ip("link", "del", "tap0")
        B.hv.run("tc", "filter", "del", "dev", dev.name, "ingress", "prio",
                 "1", fail=False)


@SUITE.test("eBPF reads all 64 bits, and the flow label")
def received_ebpf():
    with external("ext0") as dev:
        for under in B.unders:
            ebpf_reads(dev, under, FULL_ID, FULL_ID & 0xffffffff)


@SUITE.test("each of many frames has metadata of its own, some being kept")
def metadata_of_many():
    """Half of them wait in the queue of a device that keeps metadata."""
    link.load("sch_tbf")
    many = 300
    with external("ext0") as dev, contextlib.ExitStack() as stack:
        B.hv.batch(["link add tap0 index 7777 type veth peer name tap1",
                    "link add link tap0 index 7778 name queue0 type macvlan"])
        stack.callback(B.hv.ip, "link", "del", "tap0")
        for name in ("tap0", "tap1", "queue0"):
            B.hv.ip("link", "set", name, "addrgenmode", "none", "up")
        B.hv.run("tc", "qdisc", "add", "dev", "queue0", "root", "tbf", "rate",
                 "8bit", "burst", "1600", "limit", "1m")
        program("""
            if (CALL(skb_get_tunnel_opt)(skb, &id, sizeof(id)) != sizeof(id))
                    return TC_ACT_SHOT;
            CALL(skb_store_bytes)(skb, 14, &id, sizeof(id), 0);
            """, "tap0")
        program("""
            if (CALL(skb_get_tunnel_opt)(skb, &id, sizeof(id)) != sizeof(id))
                    return TC_ACT_SHOT;
            return CALL(redirect)(id >> 56 & 1 ? 7778 : 7777, 0);
            """, "ext0", "ingress")
        port = link.Port(B.hv, "tap1")
        stack.callback(port.close)
        want = {}

        def send(key):
            frame = incoming()
            want[frame[6:12]] = key
            for ether in dev.cut(stt.frame(frame, key)):
                B.far.send(ether)

        def arrived(how_many):
            return lambda _, out: how_many == sum(
                p.data[6:12] in want for p in out)

        for key in range(many):
            send(key)
        link.await_("half of them to be queued", lambda: json.loads(B.hv.run(
            "tc", "-s", "-j", "qdisc", "show", "dev", "queue0", "root"))[0][
                "qlen"] > many // 3)
        B.hv.run("tc", "qdisc", "change", "dev", "queue0", "root", "tbf",
                 "rate", "1gbit", "burst", "1m", "limit", "1m")
        # tbf looks at its queue when the next comes
        send(many + 1)
        got = port.until(arrived(many + 1))
        equal({p.data[6:12]: int.from_bytes(p.data[14:22], "big")
               for p in got if p.data[6:12] in want}, want,
              "Context IDs of the frames")


@SUITE.test("flower compares the lower half alone, a keybase makes it exact")
def flower():
    link.load("cls_flower")
    with external("ext0") as any_, \
            external("ext1", "keybase", "0xaabb", key=0xaabb00000001,
                     address=bench.BRIDGE_MAC) as base:
        for dev in (any_, base):
            B.hv.run("tc", "qdisc", "replace", "dev", dev.name, "clsact")
            B.hv.run("tc", "filter", "add", "dev", dev.name, "ingress",
                     "protocol", "all", "flower", "enc_key_id", "77",
                     "action", "pass")
        for key in (77, 0x10000004d, 0xaabb0000004d, 78):
            for ether in any_.cut(stt.frame(incoming(), key)):
                B.far.send(ether)
        for dev in (any_, base):
            dev.rx([])
        hits = [int(re.search(r"Sent \d+ bytes (\d+) pkt", B.hv.run(
            "tc", "-s", "filter", "show", "dev", d.name, "ingress")).group(1))
            for d in (any_, base)]
        # 77 and 0x10000004d without a keybase; its own with one
        equal(hits, [2, 1], "packets that match 77")


# ------------------------------------------------------------------ transmit

@SUITE.test("what is sent follows the metadata of tc, over IPv4 and IPv6")
def honoured():
    with external("ext0") as dev:
        for under in B.unders:
            for size in (200, 40000):
                set_metadata("ext0", "id", "4294967295", *over(under), "tos",
                             "0x48", "ttl", "77", "dst_port", "7471")
                frame = plain(size)
                got = one(sent(lambda f=frame: dev.port.send(f)))
                equal(got.inner, frame, "inner frame")
                equal(got.header.key, 0xffffffff, "Context ID")
                for seg in got.segments:
                    equal((seg.src, seg.dst, seg.tos, seg.ttl),
                          (under.path.dst, under.path.src, 0x48, 77),
                          "outer header")
                    check(seg.sport >= 49152, "source port", seg.sport)
        set_metadata("ext0", "id", "5", *over(B.v4), "dst_port", "7000")
        B.far.drain()
        dev.port.send(plain())
        seg = B.far.until(lambda p, _: stt.Segment.parse(p.data, 7000))[-1]
        equal(stt.Segment.parse(seg.data, 7000).dport, 7000, "port")


@SUITE.test("IPv4 and IPv6 routes give all 64 bits")
def routes():
    with external("ext0", "ttl", "9"):
        B.hv.batch([
            "addr add 172.16.0.1/32 dev ext0",
            "neigh add 172.16.0.2 lladdr %s dev ext0" % bench.PEER_MAC,
            "route add 172.16.0.2/32 encap ip id %#x dst 10.0.0.2 src "
            "10.0.0.1 ttl 44 tos 0x20 key via 172.16.0.2 dev ext0 onlink" %
            FULL_ID,
            "neigh add 172.16.0.3 lladdr %s dev ext0" % bench.PEER_MAC,
            "route add 172.16.0.3/32 encap ip6 id %#x dst fd00::2 "
            "hoplimit 45 tc 0x24 key dev ext0" % (FULL_ID + 1)])
        sock = B.hv.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for far, key, under, ttl, tos in (
                ("172.16.0.2", FULL_ID, B.v4, 44, 0x20),
                ("172.16.0.3", FULL_ID + 1, B.v6, 45, 0x24)):
            got = one(sent(lambda a=far: sock.sendto(b"x" * 100, (a, 9)),
                           key))
            seg = got.segments[0]
            equal((seg.src, seg.dst, seg.ttl, seg.tos),
                  (under.path.dst, under.path.src, ttl, tos), under.name)
        sock.close()


@SUITE.test("routes without a cache of their own change in time")
def routes_change():
    """Those to IPv6; by routes, marks and addresses of the underlay."""
    with external("ext0"):
        B.hv.batch([
            "addr add 172.16.0.1/32 dev ext0",
            "neigh add 172.16.0.2 lladdr %s dev ext0" % bench.PEER_MAC,
            "route add 172.16.0.2/32 encap ip6 id 5 dst fd00::2 key dev ext0",
            "neigh replace fd00::77 lladdr %s dev under0 nud permanent" %
            OTHER_MAC])
        sock = B.hv.socket(socket.AF_INET, socket.SOCK_DGRAM)

        def where():
            """MAC address of the next hop, source address"""
            frame = one(sent(lambda: sock.sendto(b"x" * 100,
                                                 ("172.16.0.2", 9)), 5))
            seg = frame.segments[0]
            return seg.ether[:6], seg.src

        here = stt.mac(B.wire.far_mac), stt.addr("fd00::1")
        there = stt.mac(OTHER_MAC), stt.addr("fd00::1")
        for _ in range(3):
            equal(where(), here, "at first")
        B.hv.ip("-6", "route", "add", "fd00::2/128", "via", "fd00::77", "dev",
                "under0")
        equal(where(), there, "with another route")
        B.hv.ip("-6", "route", "del", "fd00::2/128")
        equal(where(), here, "without it")
        B.hv.ip("-6", "rule", "add", "fwmark", "3", "table", "33")
        B.hv.ip("-6", "route", "add", "fd00::2/128", "via", "fd00::77", "dev",
                "under0", "table", "33")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 3)
        equal(where(), there, "with a mark")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 0)
        equal(where(), here, "without it")
        B.hv.ip("-6", "rule", "del", "fwmark", "3", "table", "33")
        B.hv.ip("-6", "route", "flush", "table", "33")
        try:
            B.hv.batch(["addr del fd00::1/64 dev under0",
                        "addr add fd00::8/64 dev under0 nodad",
                        "neigh replace fd00::2 lladdr %s dev under0 nud "
                        "permanent" % B.wire.far_mac])
            equal(where(), (here[0], stt.addr("fd00::8")), "another address")
        finally:
            B.hv.ip("addr", "del", "fd00::8/64", "dev", "under0", fail=False)
            B.addresses()
        equal(where(), here, "the old address")
        sock.close()


@SUITE.test("eBPF: DF, flow label, 64 bits, no route kept")
def sent_ebpf():
    text = """
        key.remote_ipv4 = REMOTE;
        key.tunnel_id = 5;
        key.tunnel_ttl = 3;
        key.tunnel_tos = 0x44;
        if (CALL(skb_set_tunnel_key)(skb, &key, sizeof(key), FLAGS))
                return TC_ACT_SHOT;
        """
    option = """
        if (CALL(skb_set_tunnel_opt)(skb, &id, sizeof(id)))
                return TC_ACT_SHOT;
        """
    six = """
        key.remote_ipv6[0] = __builtin_bswap32(0xfd000000);
        key.remote_ipv6[3] = __builtin_bswap32(2);
        key.tunnel_label = 0x12345;
        key.tunnel_ttl = 8;
        if (CALL(skb_set_tunnel_key)(skb, &key, sizeof(key), 1))
                return TC_ACT_SHOT;
        """
    nexthops = 3, 2, 4

    def to(last, **more):
        return dict(REMOTE=inet("10.0.0.%d" % last), FLAGS=0, **more)

    file = compiled(
        (text, to(2)), (text, dict(to(2), FLAGS=4)),
        *((text, to(last)) for last in nexthops),
        (text + option, to(2)), (six + option, {}),
        *((text + option, to(2, ID=high << 32 | 9))
          for high in (0xaabb, 0xaabc, 0)))
    with external("ext0") as dev:
        def segment(key):
            return one(sent(lambda: dev.port.send(plain()), key)).segments[0]

        for number, df in enumerate((False, True)):
            attach("ext0", "egress", file, number)
            seg = segment(5)
            equal((seg.df, seg.ttl, seg.tos), (df, 3, 0x44), "DF, TTL, TOS")
        # the metadata are the same ones for each packet of a CPU
        for number, last in enumerate(nexthops):
            B.hv.ip("neigh", "replace", "10.0.0.%d" % last, "lladdr",
                    "02:00:00:00:88:%02x" % last, "dev", "under0", "nud",
                    "permanent")
            attach("ext0", "egress", file, 2 + number)
            equal(segment(5).ether[:6],
                  stt.mac("02:00:00:00:88:%02x" % last), "next hop")
        B.addresses()
        attach("ext0", "egress", file, 5)
        segment(FULL_ID)
        attach("ext0", "egress", file, 6)
        seg = segment(FULL_ID)
        equal((seg.label, seg.ttl), (0x12345, 8), "flow label, hop limit")
    with external("ext1", "keybase", "0xaabb", key=0xaabb00000001) as dev:
        for number, good in enumerate((True, False, False)):
            attach("ext1", "egress", file, 7 + number)
            if good:
                one(sent(lambda: dev.port.send(plain()), 0xaabb00000009))
                continue
            with B.counting(dev, dev_tx_no_metadata=1):
                equal(sent(lambda: dev.port.send(plain())), [],
                      "sent against the keybase")


@SUITE.test("without a key, metadata or one family it is dropped and counted")
def refused():
    with external("ext0") as dev:
        with B.counting(dev, dev_tx_no_metadata=1):
            equal(sent(lambda: dev.port.send(plain())), [], "no metadata")
        B.hv.batch([
            "addr add 172.16.0.1/32 dev ext0",
            "neigh add 172.16.0.2 lladdr %s dev ext0" % bench.PEER_MAC,
            "route add 172.16.0.2/32 encap ip dst 10.0.0.2 dev ext0"])
        sock = B.hv.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with B.counting(dev, dev_tx_no_metadata=1):
            equal(sent(lambda: sock.sendto(b"x", ("172.16.0.2", 9))), [],
                  "no key")
        # 0 is a Context ID like any other, if it is one
        B.hv.ip("route", "replace", "172.16.0.2/32", "encap", "ip", "id", "0",
                "dst", "10.0.0.2", "key", "dev", "ext0")
        one(sent(lambda: sock.sendto(b"x", ("172.16.0.2", 9)), 0))
        sock.close()
    with external("ext0", "local", "10.0.0.1") as dev:
        set_metadata("ext0", "id", "5", "src_ip", "::", "dst_ip", "fd00::2")
        with B.counting(dev, dev_tx_no_metadata=1):
            equal(sent(lambda: dev.port.send(plain())), [], "two families")
    with external("ext0", "keybase", "1", key=0x100000001):
        B.hv.batch([
            "addr add 172.16.0.1/32 dev ext0",
            "neigh add 172.16.0.2 lladdr %s dev ext0" % bench.PEER_MAC,
            "route add 172.16.0.2/32 encap ip id %#x dst 10.0.0.2 key "
            "dev ext0" % FULL_ID])
        sock = B.hv.socket(socket.AF_INET, socket.SOCK_DGRAM)
        equal(sent(lambda: sock.sendto(b"x", ("172.16.0.2", 9))), [],
              "more than 32 bits with a keybase")
        sock.close()


# -------------------------------------------------------------- side by side

@SUITE.test("the exact tunnel wins, the external device has the rest")
def beside():
    mac = {name: "02:00:00:00:0a:%02x" % n for n, name in
           enumerate(("p2p", "multi", "any", "base", "near"))}
    B.hv.ip("addr", "add", "10.0.0.9/24", "dev", "under0")
    with contextlib.ExitStack() as stack:
        stack.callback(B.hv.ip, "addr", "del", "10.0.0.9/24", "dev", "under0")
        B.hv.ip("link", "add", "multi", "address", mac["multi"], "type",
                "stt", "id", "0x22")
        stack.callback(B.hv.ip, "link", "del", "multi")
        B.hv.ip("link", "add", "p2p", "address", mac["p2p"], "type", "stt",
                "id", "0x11", "remote", "10.0.0.2")
        stack.callback(B.hv.ip, "link", "del", "p2p")
        for name, options in (("any", ()), ("base", ("keybase", "0xaabb")),
                              ("near", ("local", "10.0.0.9"))):
            B.hv.ip("link", "add", name, "address", mac[name], "type", "stt",
                    "external", *options)
            stack.callback(B.hv.ip, "link", "del", name)
        ports = {}
        for name in mac:
            B.hv.ip("link", "set", name, "addrgenmode", "none", "up")
            ports[name] = link.Port(B.hv, name, protocol=0x88b6)
            stack.callback(ports[name].close)
        sampler = Sampler("any", "base", "near")
        stack.callback(sampler.close)

        cases = [("p2p", "10.0.0.2", "10.0.0.1", 0x11),
                 ("any", "10.0.0.3", "10.0.0.1", 0x11),
                 ("multi", "10.0.0.2", "10.0.0.1", 0x22),
                 ("multi", "fd00::2", "fd00::1", 0x22),
                 ("any", "10.0.0.2", "10.0.0.1", 0x100000011),
                 ("any", "fd00::2", "fd00::1", 0x11),
                 ("base", "10.0.0.2", "10.0.0.1", 0xaabb00000011),
                 ("base", "fd00::3", "fd00::1", 0xaabb00000022),
                 ("any", "10.0.0.2", "10.0.0.1", 0xaabc00000011),
                 ("near", "10.0.0.3", "10.0.0.9", 0x33),
                 ("p2p", "10.0.0.2", "10.0.0.9", 0x11)]
        frames = []
        for name, far, near, key in cases:
            frame = stt.eth(stt.rng(len(frames)).randbytes(2000), 0x88b6,
                            mac[name], unique())
            frames.append((name, key, frame))
            path = stt.Path(far, near, smac=B.wire.far_mac,
                            dmac=B.wire.near_mac)
            for ether in path.cut(stt.frame(frame, key), B.new_id(), 1400):
                B.far.send(ether)
        for n, (name, key, frame) in enumerate(frames):
            case = "%s (%#x, %s):" % (name, key, cases[n][1])
            got = ports[name].receive()
            check(got is not None, case, "nothing")
            equal(got.data, frame, case)
            if name not in ("p2p", "multi"):
                equal(sampled_key(sampler.of(frame)),
                      key & 0xffffffff if name == "base" else key, case)
        for name, port in ports.items():
            equal(port.drain(), [], "more for " + name)


@SUITE.test("what cannot be is refused in one sentence")
def sentences():
    with external("ext0"), external("ext1", "keybase", "7", key=7 << 32):
        for args, words in (
                (("external",), "port, local address and keybase"),
                (("external", "keybase", "7"), "port, local address"),
                (("external", "dstport", "7472", "remote", "10.0.0.2"),
                 "remote"),
                (("external", "dstport", "7472", "id", "5"), "Context ID"),
                (("id", "5", "keybase", "1"), "external")):
            status, text = B.hv.ip("link", "add", "ext2", "type", "stt",
                                   *args, fail=False)
            check(status, "accepted:", *args)
            lines = [s for s in text.splitlines() if s]
            equal(len(lines), 1, "lines in: " + text)
            check(words in lines[0], "of", *args, "said:", lines[0])


# ------------------------------------------------------ bridge, Open vSwitch

@SUITE.test("a bridge maps VLANs, the FDB has (MAC, Context ID)")
def vlan_tunnel():
    link.load("bridge")
    same = "02:00:00:00:77:77"
    with external("ext0", "learning", address=bench.BRIDGE_MAC), \
            contextlib.ExitStack() as stack:
        B.hv.ip("link", "add", "sw0", "type", "bridge", "vlan_filtering", "1",
                "vlan_default_pvid", "0", "mcast_snooping", "0")
        stack.callback(B.hv.ip, "link", "del", "sw0")
        B.hv.ip("link", "add", "tap0", "type", "veth", "peer", "name", "tap1")
        stack.callback(B.hv.ip, "link", "del", "tap0")
        B.hv.batch(["link set %s addrgenmode none up" % d
                    for d in ("sw0", "tap0", "tap1")] +
                   ["link set tap0 master sw0", "link set ext0 master sw0"])
        forwards(2)
        lines = ["link set dev ext0 vlan_tunnel on"]
        for vlan, far in ((10, 2), (20, 3)):
            lines += ["vlan add dev %s vid %d" % (d, vlan)
                      for d in ("tap0", "ext0")]
            lines += ["vlan add dev ext0 vid %d tunnel_info id %d" %
                      (vlan, 10000 + vlan),
                      "fdb add %s dev ext0 dst 10.0.0.%d src_vni %d" %
                      (same, far, 10000 + vlan),
                      "fdb append 00:00:00:00:00:00 dev ext0 dst fd00::%d "
                      "src_vni %d" % (far, 10000 + vlan)]
        link.run("bridge", "-n", B.hv.name, "-batch", "-",
                 text="\n".join(lines) + "\n")
        tap = link.Port(B.hv, "tap1")
        stack.callback(tap.close)

        def tagged(vlan, dst, src):
            body = stt.rng(vlan).randbytes(300)
            return stt.eth(body, 0x88b6, dst, src, [stt.tag(vlan)]), \
                stt.eth(body, 0x88b6, dst, src)

        # out: the same address behind another host in each network
        for vlan, far in ((10, "10.0.0.2"), (20, "10.0.0.3")):
            full, bare = tagged(vlan, same, unique())
            got = one(sent(lambda f=full: tap.send(f), 10000 + vlan))
            equal(got.segments[0].dst, stt.addr(far), "remote")
            equal(got.inner, bare, "frame without the tag")
        # what is flooded
        full, _ = tagged(20, "ff:ff:ff:ff:ff:ff", unique())
        got = one(sent(lambda: tap.send(full), 10020))
        equal(got.segments[0].dst, stt.addr("fd00::3"), "remote")
        # in: the Context ID becomes the tag, the source is learned
        source = unique()
        for vlan, far in ((10, "10.0.0.4"), (20, "10.0.0.2")):
            full, bare = tagged(vlan, "02:00:00:00:66:66", source)
            tap.drain()
            path = B.v4.path_from(far)
            for ether in path.cut(stt.frame(bare, 10000 + vlan), B.new_id(),
                                  1400):
                B.far.send(ether)
            got = tap.until(lambda p, _, s=source:
                            p.data[6:12] == stt.mac(s))[-1]
            equal(got.wire, full, "frame with the tag")
        for vlan, far in ((10, "10.0.0.4"), (20, "10.0.0.2")):
            full, _ = tagged(vlan, source, unique())
            got = one(sent(lambda f=full: tap.send(f), 10000 + vlan))
            equal(got.segments[0].dst, stt.addr(far), "learned remote")


OVS_PACKET_EGRESS_TUN_KEY = 5
OVS_DP_SET, OVS_DP_NAME, OVS_DP_FEATURES = 4, 1, 5


@SUITE.test("a bridge gives half the Context ID, a keybase the other")
def vlan_tunnel_keybase():
    link.load("bridge")
    with contextlib.ExitStack() as stack:
        B.hv.batch(["link add sw0 type bridge vlan_filtering 1 "
                    "vlan_default_pvid 0 mcast_snooping 0",
                    "link add tap0 type veth peer name tap1"])
        for name in ("sw0", "tap0"):
            stack.callback(B.hv.ip, "link", "del", name)
        B.hv.batch(["link set %s addrgenmode none up" % d
                    for d in ("sw0", "tap0", "tap1")] +
                   ["link set tap0 master sw0"])
        forwards(1)
        tap = link.Port(B.hv, "tap1")
        stack.callback(tap.close)

        def attach(*more):
            lines = ["vlan add dev %s vid 10" % d for d in ("tap0", "ext0")]
            B.hv.ip("link", "set", "ext0", "master", "sw0")
            link.run("bridge", "-n", B.hv.name, "-batch", "-", text="\n".join(
                ["link set dev ext0 vlan_tunnel on", *lines,
                 "vlan add dev ext0 vid 10 tunnel_info id 9", *more, ""]))

        def frame():
            return stt.eth(bytes(100), 0x88b6, bench.PEER_MAC, unique(),
                           [stt.tag(10)])

        with external("ext0", "keybase", "0xaabb", "learning",
                      key=0xaabb00000001, address=bench.BRIDGE_MAC):
            attach("fdb add %s dev ext0 dst 10.0.0.3 src_vni 9" %
                   bench.PEER_MAC)
            got = one(sent(lambda: tap.send(frame()), 0xaabb00000009))
            equal(got.segments[0].dst, stt.addr("10.0.0.3"), "remote")
        # a bridge does not know where to send
        with external("ext0", address=bench.BRIDGE_MAC) as dev:
            attach()
            with B.counting(dev, dev_tx_no_remote=1):
                equal(sent(lambda: tap.send(frame())), [], "sent to nobody")
    with external("ext0", "keybase", "0xaabb", key=0xaabb00000001) as dev:
        set_metadata("ext0", "id", "8", *over(B.v4))
        one(sent(lambda: dev.port.send(plain()), 0xaabb00000008))


@SUITE.test("Open vSwitch is told the ends of what it sends")
def fill_metadata():
    """ndo_fill_metadata_dst, as sFlow uses it"""
    link.need("ovs-dpctl", "openvswitch-switch")
    link.load("openvswitch")
    with external("ext0"), contextlib.ExitStack() as stack:
        B.hv.ip("link", "add", "tap0", "type", "veth", "peer", "name", "tap1")
        stack.callback(B.hv.ip, "link", "del", "tap0")
        for name in ("tap0", "tap1"):
            B.hv.ip("link", "set", name, "addrgenmode", "none", "up")
        dp = "dp%d" % os.getpid()
        B.hv.run("ovs-dpctl", "add-dp", dp)
        stack.callback(B.hv.run, "ovs-dpctl", "del-dp", dp)
        for name in ("tap0", "ext0"):
            B.hv.run("ovs-dpctl", "add-if", dp, name)
        genl = netlink.Generic(B.hv, "ovs_packet", header=bytes(4))
        control = netlink.Generic(B.hv, "ovs_datapath", version=2,
                                  header=bytes(4))
        for sock in (genl, control):
            stack.callback(sock.close)
        tap = link.Port(B.hv, "tap1")
        stack.callback(tap.close)
        for under, dst, ports in ((B.v4, "dst", ""),
                                  (B.v6, "ipv6_dst", ",tp_src=1234")):
            B.hv.run("ovs-dpctl", "del-flows", dp)
            B.hv.run("ovs-dpctl", "add-flow", dp,
                     "in_port(1),eth(),eth_type(0x88b6)",
                     "set(tunnel(tun_id=%#x,%s=%s,ttl=64%s,flags(df|key))),"
                     "userspace(pid=%d,userdata(0102030405060708),"
                     "tunnel_out_port=2),2" % (FULL_ID, dst, under.far,
                                               ports, genl.pid))
            # ovs-dpctl leaves it in a mode in which daemons alone hear
            control.command(OVS_DP_SET,
                            (OVS_DP_NAME, netlink.string(dp)),
                            (OVS_DP_FEATURES, netlink.u32(0)))
            frame = one(sent(lambda: tap.send(plain()), FULL_ID))
            seg = frame.segments[0]
            equal(seg.df, under.path.v4, "DF")
            check(seg.sport == 1234 if ports else seg.sport >= 49152,
                  "source port", seg.sport)
            try:
                got = genl.receive()
            except TimeoutError as late:
                raise Failure(
                    "no upcall", genl.pid, B.hv.run("ovs-dpctl", "show", dp),
                    B.hv.run("ovs-dpctl", "dump-flows", dp)) from late
            tunnel = parse(got[OVS_PACKET_EGRESS_TUN_KEY])
            # OVS_TUNNEL_KEY_ATTR_*: as psample's, but for the ports' order
            at = {"id": 0, "src": 1 if under.path.v4 else 12,
                  "dst": 2 if under.path.v4 else 13, "sport": 9, "dport": 10}
            equal({n: tunnel.get(k) for n, k in at.items()},
                  {"id": FULL_ID.to_bytes(8, "big"), "src": seg.src,
                   "dst": seg.dst, "sport": struct.pack("!H", seg.sport),
                   "dport": struct.pack("!H", 7471)}, "ends")
        # until the datapath lets go of a device that goes, it asks
        B.hv.ip("link", "set", "ext0", "down")
        tap.send(plain())
        check(OVS_PACKET_EGRESS_TUN_KEY not in genl.receive(),
              "ends, of a device that is down")


# linux/openvswitch.h
OVS_VPORT_NEW, OVS_VPORT_DEL = 1, 2
OVS_VPORT_NO, OVS_VPORT_TYPE, OVS_VPORT_NAME, OVS_VPORT_OPTIONS, \
    OVS_VPORT_PID = range(1, 6)
OVS_VPORT_TYPE_STT, OVS_TUNNEL_DST_PORT = 106, 1
VPORT_MTU = 65000


@contextlib.contextmanager
def vport_stt():
    """vport-stt.ko, which comes with the module."""
    file = os.path.join(os.path.dirname(os.environ.get("STT_KO", "")),
                        "vport-stt.ko")
    if not os.path.exists(file):
        raise Skip("vport-stt.ko was not built for this kernel")
    link.load("openvswitch")
    with open("/proc/kallsyms", encoding="ascii") as symbols:
        if "__ovs_vport_ops_register" not in symbols.read():
            raise Skip("no type of port can be registered with this "
                       "kernel's datapath")
    link.run("insmod", file)
    try:
        yield
    finally:
        link.await_("the end of vport-stt", lambda: not link.run(
            "rmmod", "vport-stt", fail=False)[0])


@SUITE.test("a port of Open vSwitch of type stt is an external device")
def vport():
    link.need("ovs-dpctl", "openvswitch-switch")
    with vport_stt(), contextlib.ExitStack() as stack:
        dp = "dp%d" % os.getpid()
        B.hv.run("ovs-dpctl", "add-dp", dp)
        stack.callback(B.hv.run, "ovs-dpctl", "del-dp", dp)
        index = json.loads(B.hv.run("ip", "-j", "link", "show", dp))[0][
            "ifindex"]
        ports = netlink.Generic(B.hv, "ovs_vport", header=netlink.u32(index))
        stack.callback(ports.close)

        def new(name, port):
            return ports.command(
                OVS_VPORT_NEW, (OVS_VPORT_NAME, netlink.string(name)),
                (OVS_VPORT_TYPE, netlink.u32(OVS_VPORT_TYPE_STT)),
                (OVS_VPORT_PID, netlink.u32(ports.pid)),
                (OVS_VPORT_OPTIONS, netlink.attr(OVS_TUNNEL_DST_PORT,
                                                 netlink.u16(port))),
                flags=netlink.F_ECHO)

        def gone(name):
            return B.hv.run("ip", "link", "show", name, fail=False)[0] != 0

        answer, = new("port0", 7472)
        equal(parse(answer[OVS_VPORT_OPTIONS]),
              {OVS_TUNNEL_DST_PORT: netlink.u16(7472)}, "options")
        device, = json.loads(B.hv.run("ip", "-j", "-d", "link", "show",
                                      "port0"))
        equal(device["mtu"], VPORT_MTU, "MTU")
        check("UP" in device["flags"], "flags", device["flags"])
        _, have = netlink.Route(B.hv).show("port0")
        equal((have.get(netlink.EXTERNAL), have[netlink.PORT]),
              (b"\1", netlink.be(7472)), "external, port")

        refused = netlink.refusal(new, "port1", 7472)
        equal(refused and refused.code, errno.EEXIST, "the same port again")
        check(gone("port1"), "a device was left")
        with contextlib.closing(B.hv.socket(socket.AF_INET,
                                            socket.SOCK_STREAM)) as taken:
            taken.bind(("", 7473))
            taken.listen()
            refused = netlink.refusal(new, "port1", 7473)
        equal(refused and refused.code, errno.EADDRINUSE, "a port of TCP")
        check(gone("port1"), "a device was left")

        ports.command(OVS_VPORT_DEL, (OVS_VPORT_NAME,
                                      netlink.string("port0")))
        check(gone("port0"), "the device outlives the port")


# ---------------------------------------------------------------------- main

def setup():
    global B, FOLDER  # pylint: disable=global-statement
    FOLDER = tempfile.TemporaryDirectory(prefix="stt-")
    B = bench.Bench()


def with_counters(function):
    """A failure shows which counters have moved."""
    def run():
        before = B.net_stats()
        try:
            return function()
        except Failure as reason:
            raise Failure(reason, "counters:", bench.moved(
                before, B.net_stats())) from reason
    return run


def main():
    link.require_module()
    SUITE.tests = [(name, with_counters(test)) for name, test in SUITE.tests]
    try:
        return SUITE.run(setup=setup)
    finally:
        if B is not None:
            B.close()
        if FOLDER is not None:
            FOLDER.cleanup()


if __name__ == "__main__":
    sys.exit(main())
