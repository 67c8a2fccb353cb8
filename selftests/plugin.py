#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Cases of plugin.sh, which builds what they need and starts this.

usage: plugin.py WORK TARGET...

WORK holds link_stt.so and link_probe.so. A TARGET is "host", "NAME=ROOT" for
the ip(8) in the chroot ROOT, "NAME#REASON" for one that cannot be had, or
"NAME!REASON" for one that should have been.

Requests are read from the bytes that strace sees ip(8) send; the kernel
refuses all of them, as "lo" exists and is of no kind. Text comes out of
"ip monitor file", JSON out of link_probe.so, both fed with messages made here.
"""

import json
import os
import random
import re
import shutil
import socket
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

# Part of the ABI: numbers are written out here and not read from the header.
(KEY, REMOTE, REMOTE6, LOCAL, LOCAL6, LINK, PORT, PORT_RANGE, TTL, TTL_INHERIT,
 TOS, DF, LABEL, COLLECT_METADATA, LEARNING, AGEING, LIMIT, CSUM_TRUST,
 VLAN_COMPAT, KEYBASE, DSCP_COPY, OKEY, FWMARK, LABEL_INHERIT) = range(1, 25)
IFLA_STT_MAX = 24

# Counters by attribute type; 0 is padding.
XSTATS = ("", "tx_no_route", "tx_loop", "tx_too_long", "tx_bad_inner",
          "tx_no_remote", "tx_no_mem", "tx_no_metadata", "rx_down",
          "rx_short", "rx_bad_flags", "rx_bad_offload", "rx_bad_mss",
          "rx_bad_mac", "rx_ecn", "rx_no_mem")

RTM_NEWLINK = 16
NLM_F_EXCL, NLM_F_CREATE = 0x200, 0x400
IFLA_IFNAME, IFLA_LINKINFO = 3, 18
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_XSTATS = 1, 2, 3
LO = 1


def u8(val):
    return struct.pack("=B", val)


def u32(val):
    return struct.pack("=I", val)


def u64(val):
    return struct.pack("=Q", val)


def be16(*vals):
    return struct.pack(f">{len(vals)}H", *vals)


def be32(val):
    return struct.pack(">I", val)


def ip4(text):
    return socket.inet_pton(socket.AF_INET, text)


def ip6(text):
    return socket.inet_pton(socket.AF_INET6, text)


# ------------------------------------------------------------------ netlink

def attr(kind, payload):
    pad = b"\0" * (-len(payload) % 4)
    return struct.pack("=HH", 4 + len(payload), kind) + payload + pad


def attrs(values):
    return b"".join(attr(kind, payload) for kind, payload in values)


def parse_attrs(data):
    found = []
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        assert 4 <= length <= len(data), f"attribute of length {length}"
        found.append((kind & 0x3fff, data[4:length]))
        data = data[(length + 3) & ~3:]
    return found


def link_message(values=None, xstats=None, name="stt0", index=78):
    """RTM_NEWLINK as the kernel sends it; no IFLA_INFO_DATA for None."""
    info = attr(IFLA_INFO_KIND, b"stt\0")
    if values is not None:
        info += attr(IFLA_INFO_DATA, attrs(values))
    if xstats is not None:
        info += attr(IFLA_INFO_XSTATS, attrs(xstats))
    body = struct.pack("=BBHiII", 0, 0, 1, index, 0x1003, 0)
    body += attr(IFLA_IFNAME, name.encode() + b"\0")
    body += attr(IFLA_LINKINFO, info)
    return struct.pack("=IHHII", 16 + len(body), RTM_NEWLINK, 0, 1, 0) + body


class Request:
    """The request that creates or changes a link of kind stt."""

    def __init__(self, message):
        self.flags = struct.unpack_from("=H", message, 6)[0]
        link = dict(parse_attrs(message[32:]))
        info = dict(parse_attrs(link[IFLA_LINKINFO]))
        self.kind = info[IFLA_INFO_KIND].rstrip(b"\0").decode()
        self.values = parse_attrs(info.get(IFLA_INFO_DATA, b""))

    @property
    def creates(self):
        return self.flags & (NLM_F_CREATE | NLM_F_EXCL) != 0


def sent_requests(trace):
    """Link requests in the hex dumps of "strace -e write=all"."""
    dumps = re.findall(r"^ \* \d+ bytes in buffer \d+\n((?:^ \| .*\n)+)",
                       trace, re.M)
    for dump in dumps:
        message = b"".join(bytes.fromhex(line[10:60])
                           for line in dump.splitlines())
        if len(message) >= 32 and \
           struct.unpack_from("=H", message, 4)[0] == RTM_NEWLINK:
            yield Request(message)


# ---------------------------------------------------------------- targets

class Target:
    """An ip(8) that has the plugins installed."""

    def __init__(self, spec, work):
        self.name, _, self.root = spec.partition("=")
        self.env = dict(os.environ, LC_ALL="C")
        self.env.pop("IP_LIB_DIR", None)
        self.trace = os.path.join(work, "trace")
        if self.root:
            self.command = ["chroot", self.root, "/sbin/ip"]
            self.folder = "/tmp"
            self.binary = os.path.join(self.root, "sbin/ip")
            plugins = self.root + self.plugin_dir()
            os.makedirs(plugins, exist_ok=True)
            for name in "link_stt.so", "link_probe.so":
                shutil.copy(os.path.join(work, name), plugins)
        else:
            self.command = ["ip"]
            self.folder = work
            self.binary = os.path.realpath(shutil.which("ip"))
            self.env["IP_LIB_DIR"] = work

    def plugin_dir(self):
        """Where tools/ip-plugin-dir says that this ip looks."""
        script = os.path.join(self.root, "tmp/ip-plugin-dir")
        wrapper = os.path.join(self.root, "tmp/ip")
        shutil.copy(os.path.join(HERE, "../tools/ip-plugin-dir"), script)
        with open(wrapper, "w", encoding="ascii") as out:
            out.write(f'#!/bin/sh\nexec chroot "{self.root}" /sbin/ip "$@"\n')
        os.chmod(wrapper, 0o755)
        found = subprocess.run([script], check=True, text=True,
                               stdout=subprocess.PIPE,
                               env=dict(self.env, IP=wrapper))
        os.unlink(script)
        os.unlink(wrapper)
        return found.stdout.strip()

    def run(self, *args, before=(), **env):
        return subprocess.run([*before, *self.command, *args], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=60, check=False,
                              env=dict(self.env, **env))

    def send(self, *args, **env):
        """Run, and also return the link requests that were sent."""
        done = self.run(*args, before=["strace", "-f", "-o", self.trace,
                                       "-e", "trace=sendmsg,sendto",
                                       "-e", "write=all"], **env)
        with open(self.trace, encoding="latin-1") as trace:
            return done, list(sent_requests(trace.read()))

    def write(self, name, data):
        """Write a file; the path is the one that ip(8) sees."""
        path = os.path.join(self.folder, name)
        with open(self.root + path, "wb") as out:
            out.write(data)
        return path

    def text(self, message, *options):
        """What "ip -d" says after the kind, on its line and further ones."""
        path = self.write("messages", message)
        done = self.run("-d", *options, "monitor", "link", "file", path)
        assert done.returncode == 0, done.stderr
        assert done.stderr == "", done.stderr
        return re.search(r"\n    stt ?(.*)\n\Z", done.stdout, re.S).group(1)

    def probe(self, messages, *options):
        path = self.write("messages", messages)
        done = self.run(*options, "link", "help", "probe", PROBE_KIND="stt",
                        PROBE_FILE=path)
        assert done.returncode == 0, (done.returncode, done.stderr)
        assert done.stderr == "", done.stderr
        return done.stdout

    def json(self, *messages):
        return json.loads(self.probe(b"".join(messages), "-j"))


# ------------------------------------------------------------------- cases

# Command line and the attributes that it makes.
SENT = [
    ("id 0", [(KEY, u64(0))]),
    ("id 5000", [(KEY, u64(5000))]),
    ("id 0x1122334455667788", [(KEY, u64(0x1122334455667788))]),
    ("id 18446744073709551615", [(KEY, u64(2**64 - 1))]),
    ("id 9007199254740993", [(KEY, u64(2**53 + 1))]),
    ("key 0XFEDCBA9876543210", [(KEY, u64(0xfedcba9876543210))]),
    ("vni 16777216", [(KEY, u64(1 << 24))]),
    ("remote 10.0.0.2", [(REMOTE, ip4("10.0.0.2"))]),
    ("remote 2001:db8::2", [(REMOTE6, ip6("2001:db8::2"))]),
    ("remote fe80::1", [(REMOTE6, ip6("fe80::1"))]),
    ("remote 0.0.0.0", [(REMOTE, ip4("0.0.0.0"))]),
    ("remote any local 2001:db8::1",
     [(REMOTE, ip4("0.0.0.0")), (LOCAL6, ip6("2001:db8::1"))]),
    ("remote 10.0.0.2 local ::",
     [(REMOTE, ip4("10.0.0.2")), (LOCAL6, ip6("::"))]),
    ("local any", [(LOCAL, ip4("0.0.0.0"))]),
    ("group 239.1.1.1", [(REMOTE, ip4("239.1.1.1"))]),
    ("group ff05::7", [(REMOTE6, ip6("ff05::7"))]),
    ("local 10.0.0.1", [(LOCAL, ip4("10.0.0.1"))]),
    ("local 2001:db8::1", [(LOCAL6, ip6("2001:db8::1"))]),
    ("dev lo", [(LINK, u32(LO))]),
    ("dstport 1", [(PORT, be16(1))]),
    ("dstport 65535", [(PORT, be16(65535))]),
    ("srcport 1 65535", [(PORT_RANGE, be16(1, 65535))]),
    ("srcport 40000 40000", [(PORT_RANGE, be16(40000, 40000))]),
    ("srcport 0 0", [(PORT_RANGE, be16(49152, 65535))]),
    ("ttl 1", [(TTL, u8(1)), (TTL_INHERIT, u8(0))]),
    ("ttl 255", [(TTL, u8(255)), (TTL_INHERIT, u8(0))]),
    ("ttl 0", [(TTL, u8(0)), (TTL_INHERIT, u8(0))]),
    ("ttl auto", [(TTL, u8(0)), (TTL_INHERIT, u8(0))]),
    ("ttl inherit", [(TTL, u8(0)), (TTL_INHERIT, u8(1))]),
    ("tos 0", [(TOS, u8(0))]),
    ("tos 0xb8", [(TOS, u8(0xb8))]),
    ("dsfield b8", [(TOS, u8(0xb8))]),
    ("tos AF11", [(TOS, u8(0x28))]),
    ("tos ff", [(TOS, u8(255))]),
    ("tos inherit", [(TOS, u8(1))]),
    ("df unset", [(DF, u8(0))]),
    ("df set", [(DF, u8(1))]),
    ("df inherit", [(DF, u8(2))]),
    ("flowlabel 0xfffff", [(LABEL, be32(0xfffff)), (LABEL_INHERIT, u8(0))]),
    ("flowlabel 74565", [(LABEL, be32(0x12345)), (LABEL_INHERIT, u8(0))]),
    ("flowlabel 0", [(LABEL, be32(0)), (LABEL_INHERIT, u8(0))]),
    ("flowlabel inherit", [(LABEL, be32(0)), (LABEL_INHERIT, u8(1))]),
    ("fwmark 0xffffffff", [(FWMARK, u32(0xffffffff))]),
    ("fwmark 0", [(FWMARK, u32(0))]),
    ("ikey 5 okey 0xfedcba9876543210",
     [(KEY, u64(5)), (OKEY, u64(0xfedcba9876543210))]),
    ("okey 0", [(OKEY, u64(0))]),
    ("external", [(COLLECT_METADATA, u8(1))]),
    ("noexternal", [(COLLECT_METADATA, u8(0))]),
    ("learning", [(LEARNING, u8(1))]),
    ("nolearning", [(LEARNING, u8(0))]),
    ("ageing 300", [(AGEING, u32(300))]),
    ("ageing none", [(AGEING, u32(0))]),
    ("maxaddress 4294967295", [(LIMIT, u32(2**32 - 1))]),
    ("maxaddress unlimited", [(LIMIT, u32(0))]),
    ("csumtrust", [(CSUM_TRUST, u8(1))]),
    ("nocsumtrust", [(CSUM_TRUST, u8(0))]),
    ("vlancompat", [(VLAN_COMPAT, u8(1))]),
    ("novlancompat", [(VLAN_COMPAT, u8(0))]),
    ("dscpcopy", [(DSCP_COPY, u8(1))]),
    ("nodscpcopy", [(DSCP_COPY, u8(0))]),
    ("external keybase 0x11223344",
     [(COLLECT_METADATA, u8(1)), (KEYBASE, u32(0x11223344))]),
    ("id 0x1122334455667788 remote 10.0.0.2 local 10.0.0.1 dev lo "
     "ttl inherit tos inherit df unset dstport 7472 srcport 50000 60000 "
     "learning ageing 60 maxaddress 1000 nocsumtrust vlancompat",
     [(KEY, u64(0x1122334455667788)), (REMOTE, ip4("10.0.0.2")),
      (LOCAL, ip4("10.0.0.1")), (LINK, u32(LO)), (TTL, u8(0)),
      (TTL_INHERIT, u8(1)), (TOS, u8(1)), (DF, u8(0)), (PORT, be16(7472)),
      (PORT_RANGE, be16(50000, 60000)), (LEARNING, u8(1)), (AGEING, u32(60)),
      (LIMIT, u32(1000)), (CSUM_TRUST, u8(0)), (VLAN_COMPAT, u8(1))]),
]

MAX64 = "18446744073709551615"
# Command line, and words that the sentence about it has to contain.
REFUSED = [
    ("id", ['"id"', "0 to " + MAX64]),
    ("id 18446744073709551616", ['"18446744073709551616"', '"id"', MAX64]),
    ("id 0x10000000000000000", ['"0x10000000000000000"', '"id"']),
    ("id -1", ['"-1"', '"id"', "0 to " + MAX64]),
    ("id +1", ['"+1"', '"id"']),
    ("id 010", ['"010"', '"id"', "leading zero"]),
    ("id 0x", ['"0x"', '"id"']),
    ("id 0x-1", ['"0x-1"', '"id"']),
    ("id 0x0x1", ['"0x0x1"', '"id"']),
    ("key 12ab", ['"12ab"', '"key"']),
    ("vni 1.2.3.4", ['"1.2.3.4"', '"vni"']),
    ("id 1 vni 2", ['"vni"', '"id"', "again"]),
    ("id 1 ikey 2", ['"ikey"', '"id"', "again"]),
    ("okey 18446744073709551616", ['"okey"', "0 to " + MAX64]),
    ("fwmark 0x100000000", ['"0x100000000"', '"fwmark"', "0 to 4294967295"]),
    ("fwmark 1/3", ['"1/3"', '"fwmark"']),
    ("fwmark", ['"fwmark"', "lacks"]),
    ("remote", ['"remote"', "IPv4 or IPv6"]),
    ("remote 10.0.0", ['"10.0.0"', '"remote"', "IPv4 or IPv6"]),
    ("remote 10.0.0.256", ['"10.0.0.256"', '"remote"']),
    ("remote 10.0.0.1/24", ['"10.0.0.1/24"', '"remote"']),
    ("remote fe80::1%lo", ['"fe80::1%lo"', '"remote"']),
    ("remote 2001:db8::g", ['"2001:db8::g"', '"remote"']),
    ("remote 239.1.1.1", ['"239.1.1.1"', '"remote"', "unicast", '"group"']),
    ("remote ff05::7", ['"ff05::7"', '"remote"', "unicast", '"group"']),
    ("group any", ['"any"', '"group"', "multicast"]),
    ("group 10.0.0.2", ['"10.0.0.2"', '"group"', "multicast", '"remote"']),
    ("remote 10.0.0.2 group 239.1.1.1", ['"group"', '"remote"', "again"]),
    ("remote 10.0.0.2 remote 2001:db8::2", ['"remote"', "again"]),
    ("local 239.1.1.1", ['"239.1.1.1"', '"local"', "unicast"]),
    ("local eth0", ['"eth0"', '"local"']),
    ("remote 10.0.0.2 local 2001:db8::1",
     ["10.0.0.2", "2001:db8::1", "famil"]),
    ("local 10.0.0.1 group ff05::7", ["10.0.0.1", "group ff05::7", "famil"]),
    ("dev nosuch0", ['"nosuch0"', '"dev"', "device"]),
    ("dev", ['"dev"', "device"]),
    ("dstport 0", ['"0"', '"dstport"', "1 to 65535"]),
    ("dstport 65536", ['"65536"', '"dstport"', "1 to 65535"]),
    ("dstport http", ['"http"', '"dstport"']),
    ("srcport 1", ['"srcport"', "lacks", "two ports"]),
    ("srcport", ['"srcport"', "lacks", "two ports"]),
    ("srcport 70000 1", ['"70000"', '"srcport"', "1 to 65535"]),
    ("srcport 1 70000", ['"70000"', '"srcport"', "1 to 65535"]),
    ("srcport 0 5", ['"0"', '"srcport"', "1 to 65535"]),
    ("srcport 20 10", ["20", "10", '"srcport"']),
    ("ttl 256", ['"256"', '"ttl"', "auto", "inherit", "255"]),
    ("ttl always", ['"always"', '"ttl"']),
    ("ttl 5 ttl inherit", ['"ttl"', "again"]),
    ("tos 100", ['"100"', '"tos"', "inherit", "0 to ff"]),
    ("dsfield nosuch", ['"nosuch"', '"dsfield"', "0 to ff"]),
    ("tos 1 dsfield 2", ['"dsfield"', '"tos"', "again"]),
    ("df yes", ['"yes"', '"df"', "unset, set or inherit"]),
    ("df se", ['"se"', '"df"']),
    ("flowlabel 0x100000", ['"0x100000"', '"flowlabel"', "1048575"]),
    ("flowlabel copy", ['"copy"', '"flowlabel"', "inherit"]),
    ("ageing 4294967296", ['"4294967296"', '"ageing"', "none", "4294967295"]),
    ("maxaddress -5", ['"-5"', '"maxaddress"', "unlimited"]),
    ("keybase 0x100000000", ['"0x100000000"', '"keybase"', "4294967295"]),
    ("learning nolearning", ['"nolearning"', '"learning"', "again"]),
    ("external external", ['"external"', "again"]),
    ("rem 10.0.0.2", ['"rem"', "ip link help stt"]),
    ("csumtrust on", ['"on"', "ip link help stt"]),
    ("id 1 mtu 1400", ['"mtu"', 'before "type"']),
    ("ID 1", ['"ID"', "ip link help stt"]),
]

# Attributes, then what is printed: text, and members of the JSON object.
PRINTED = [
    ([(KEY, u64(0))],
     "id 0", {"id": 0, "id_hex": "0x0000000000000000"}),
    ([(KEY, u64(5000))],
     "id 5000", {"id": 5000, "id_hex": "0x0000000000001388"}),
    ([(KEY, u64(2**32 - 1))],
     "id 4294967295", {"id": 2**32 - 1, "id_hex": "0x00000000ffffffff"}),
    ([(KEY, u64(2**32))],
     "id 0x100000000", {"id": 2**32, "id_hex": "0x0000000100000000"}),
    ([(KEY, u64(0xfedcba9876543210))], "id 0xfedcba9876543210",
     {"id": 0xfedcba9876543210, "id_hex": "0xfedcba9876543210"}),
    ([(REMOTE, ip4("10.0.0.2")), (LOCAL, ip4("10.0.0.1"))],
     "remote 10.0.0.2 local 10.0.0.1",
     {"remote": "10.0.0.2", "local": "10.0.0.1"}),
    ([(REMOTE6, ip6("2001:db8::2")), (LOCAL6, ip6("2001:db8::1"))],
     "remote 2001:db8::2 local 2001:db8::1",
     {"remote6": "2001:db8::2", "local6": "2001:db8::1"}),
    ([(REMOTE, ip4("239.1.1.1"))],
     "group 239.1.1.1", {"group": "239.1.1.1"}),
    ([(REMOTE6, ip6("ff05::7"))], "group ff05::7", {"group6": "ff05::7"}),
    ([(REMOTE, ip4("0.0.0.0")), (LOCAL6, ip6("::"))], "", {}),
    ([(LINK, u32(LO))], "dev lo", {"link": "lo"}),
    ([(LINK, u32(0))], "", {}),
    ([(PORT_RANGE, be16(49152, 65535)), (PORT, be16(7471))],
     "srcport 49152 65535 dstport 7471",
     {"port_range": {"low": 49152, "high": 65535}, "port": 7471}),
    ([(TTL, u8(64)), (TTL_INHERIT, u8(0))],
     "ttl 64", {"ttl": 64, "ttl_inherit": False}),
    ([(TTL, u8(0)), (TTL_INHERIT, u8(0))],
     "ttl auto", {"ttl": 0, "ttl_inherit": False}),
    ([(TTL, u8(0)), (TTL_INHERIT, u8(1))],
     "ttl inherit", {"ttl": 0, "ttl_inherit": True}),
    ([(TOS, u8(0))], "", {}),
    ([(TOS, u8(1))], "tos inherit", {"tos": "inherit"}),
    ([(TOS, u8(0xb8))], "tos 0xb8", {"tos": "0xb8"}),
    ([(DF, u8(0))], "df unset", {"df": "unset"}),
    ([(DF, u8(1))], "df set", {"df": "set"}),
    ([(DF, u8(2))], "df inherit", {"df": "inherit"}),
    ([(LABEL, be32(0)), (LABEL_INHERIT, u8(0))], "", {}),
    ([(LABEL, be32(0x12345)), (LABEL_INHERIT, u8(0))], "flowlabel 0x12345",
     {"label": "0x12345"}),
    ([(COLLECT_METADATA, u8(1)), (KEYBASE, u32(0x11223344))],
     "external keybase 0x11223344",
     {"external": True, "keybase": 0x11223344}),
    ([(COLLECT_METADATA, u8(0)), (KEYBASE, u32(0))],
     "", {"external": False, "keybase": 0}),
    ([(LEARNING, u8(1)), (AGEING, u32(300)), (LIMIT, u32(1000))],
     "learning ageing 300 maxaddress 1000",
     {"learning": True, "ageing": 300, "limit": 1000}),
    ([(LEARNING, u8(0)), (AGEING, u32(0)), (LIMIT, u32(0))],
     "nolearning ageing none", {"learning": False, "ageing": 0, "limit": 0}),
    ([(CSUM_TRUST, u8(1)), (VLAN_COMPAT, u8(0))],
     "csumtrust novlancompat", {"csumtrust": True, "vlancompat": False}),
    ([(CSUM_TRUST, u8(0)), (VLAN_COMPAT, u8(1))],
     "nocsumtrust vlancompat", {"csumtrust": False, "vlancompat": True}),
    ([(DSCP_COPY, u8(1))], "dscpcopy", {"dscpcopy": True}),
    ([(KEY, u64(5)), (OKEY, u64(5))], "id 5",
     {"id": 5, "id_hex": "0x0000000000000005",
      "okey": 5, "okey_hex": "0x0000000000000005"}),
    ([(KEY, u64(5)), (OKEY, u64(2**64 - 1))], "id 5 okey 0xffffffffffffffff",
     {"id": 5, "id_hex": "0x0000000000000005",
      "okey": 2**64 - 1, "okey_hex": "0xffffffffffffffff"}),
    ([(LABEL, be32(0)), (LABEL_INHERIT, u8(1))], "flowlabel inherit",
     {"label": "inherit"}),
    ([(FWMARK, u32(0))], "", {}),
    ([(FWMARK, u32(0x80000007))], "fwmark 0x80000007",
     {"fwmark": "0x80000007"}),
]

# All at once, in the order of the header; the text has an order of its own.
EVERYTHING = [
    (KEY, u64(0x1122334455667788)), (REMOTE, ip4("10.0.0.2")),
    (LOCAL, ip4("10.0.0.1")), (LINK, u32(LO)), (PORT, be16(7472)),
    (PORT_RANGE, be16(50000, 60000)), (TTL, u8(9)), (TTL_INHERIT, u8(0)),
    (TOS, u8(0x28)), (DF, u8(2)), (LABEL, be32(0xabcde)),
    (COLLECT_METADATA, u8(0)), (LEARNING, u8(1)), (AGEING, u32(60)),
    (LIMIT, u32(7)), (CSUM_TRUST, u8(0)), (VLAN_COMPAT, u8(1)),
    (KEYBASE, u32(0)), (DSCP_COPY, u8(1)), (OKEY, u64(8)),
    (FWMARK, u32(9)), (LABEL_INHERIT, u8(0)),
]
EVERYTHING_TEXT = (
    "id 0x1122334455667788 okey 8 remote 10.0.0.2 local 10.0.0.1 dev lo "
    "srcport 50000 60000 dstport 7472 ttl 9 tos 0x28 df inherit "
    "flowlabel 0xabcde fwmark 0x9 learning ageing 60 maxaddress 7 nocsumtrust vlancompat "
    "dscpcopy")


def check(good, *why):
    if not good:
        raise AssertionError(" ".join(str(part) for part in why))


def check_usage(text):
    check(re.match(r"Usage: \.\.\. stt ", text), "no usage:", repr(text))
    words = set(re.findall(r"[a-z]+", text))
    for word in ("id key vni remote group local dev dstport srcport ttl tos "
                 "dsfield df flowlabel external learning ageing maxaddress "
                 "csumtrust vlancompat dscpcopy keybase ikey okey "
                 "fwmark").split():
        check(word in words, "usage lacks", word)


def test_help(ip):
    """help: on stdout, on request, with all options"""
    done = ip.run("link", "help", "stt")
    check(done.returncode == 0, "exit status", done.returncode)
    check(done.stderr == "", "stderr:", done.stderr)
    check_usage(done.stdout)

    for args in ("help", "id 1 help"):
        done, sent = ip.send(*f"link add stt0 type stt {args}".split())
        check(done.returncode != 0, args, "succeeds")
        check(not sent, args, "sends a request")
        check_usage(done.stderr)


def test_symbols(ip):
    """symbols: ip exports all that the plugin needs"""
    def nm(*args):
        lines = subprocess.run(["nm", "-D", *args], check=True, text=True,
                               stdout=subprocess.PIPE).stdout.splitlines()
        return [line.split() for line in lines]

    plugin = os.path.join(WORK, "link_stt.so")
    needed = {words[-1] for words in nm("--undefined-only", plugin)
              if words[-2] == "U" and "@" not in words[-1]}
    exported = {words[-1] for words in nm("--defined-only", ip.binary)}
    check("addattr_l" in needed, "nm shows no undefined addattr_l")
    check(not needed - exported, "missing:", *sorted(needed - exported))

    own = {words[-1] for words in nm("--defined-only", plugin)}
    check(own == {"stt_link_util"}, "plugin exports", *sorted(own))

    # Also binds what it needs of the C library.
    done = ip.run("link", "help", "stt", LD_BIND_NOW="1")
    check_usage(done.stdout)


def test_sent(ip):
    """requests: each option makes its attributes, and no others"""
    for line, expected in SENT:
        for verb, creates in ("add", True), ("change", False):
            done, sent = ip.send("link", verb, "lo", "type", "stt",
                                 *line.split())
            check(len(sent) == 1, verb, line, "sends", len(sent), done.stderr)
            check(sent[0].kind == "stt", "kind", sent[0].kind)
            check(sent[0].creates == creates, verb, "flags", sent[0].flags)
            check(sorted(sent[0].values) == sorted(expected),
                  f"{verb} {line}: sent", sent[0].values)


def test_sent_nothing(ip):
    """requests: without options no attribute goes out"""
    _, sent = ip.send("link", "add", "lo", "type", "stt")
    check(len(sent) == 1 and sent[0].kind == "stt", sent)
    check(sent[0].values == [], sent[0].values)


def test_refused(ip):
    """refusals: one sentence, naming the value and the limits"""
    for line, words in REFUSED:
        done, sent = ip.send("link", "add", "lo", "type", "stt",
                             *line.split())
        check(done.returncode != 0, line, "succeeds")
        check(not sent, line, "sends a request")
        check(done.stdout == "", line, "prints", done.stdout)
        check(re.fullmatch(r"Error: [^\n]+\.\n", done.stderr), line,
              "says", repr(done.stderr))
        for word in words:
            check(word in done.stderr, f"{line}: no {word} in", done.stderr)


def test_empty_value(ip):
    """refusals: an empty word is no value"""
    for option in ("id remote group local dev dstport ttl tos df flowlabel "
                   "ageing maxaddress keybase okey fwmark").split():
        done, sent = ip.send("link", "add", "lo", "type", "stt", option, "")
        check(done.returncode != 0 and not sent, option, "takes nothing")
        check(re.fullmatch(r'Error: argument "" is wrong: [^\n]+\.\n',
                           done.stderr), option, "says", repr(done.stderr))


def test_batch(ip):
    """refusals: ip goes on with the next line of a batch"""
    path = ip.write("batch", b"link add lo type stt id x\n"
                             b"link add lo type stt id 6\n")
    done, sent = ip.send("-force", "-batch", path)
    check([request.values for request in sent] == [[(KEY, u64(6))]],
          "sent", sent, done.stderr)
    check(f"{path}:1" in done.stderr, "line not named:", done.stderr)


def test_text(ip):
    """text: each attribute"""
    for values, text, _ in PRINTED:
        printed = ip.text(link_message(values))
        check(printed.rstrip(" ") == text, values, "printed", repr(printed))


def test_json(ip):
    """JSON: each attribute, no digit lost"""
    shown = ip.json(*(link_message(values) for values, _, _ in PRINTED))
    for (values, _, members), item in zip(PRINTED, shown, strict=True):
        check(item == {"info_data": members}, values, "printed", item)


def test_order(ip):
    """text: the order does not depend on the kernel's"""
    check(len(EVERYTHING) == IFLA_STT_MAX - 2, "an attribute is not tested")
    shuffled = list(EVERYTHING)
    for seed in range(4):
        printed = ip.text(link_message(shuffled))
        check(printed == EVERYTHING_TEXT + " ", "printed", repr(printed))
        random.Random(seed).shuffle(shuffled)


def test_round_trip(ip):
    """text: is a command line that makes the same attributes"""
    # Not printed, as it means the same as no attribute at all.
    nothing = [(LINK, u32(0)), (TOS, u8(0)), (LABEL, be32(0)),
               (LIMIT, u32(0)), (KEYBASE, u32(0)), (FWMARK, u32(0)),
               (OKEY, u64(5)), (LABEL_INHERIT, u8(0)),
               (COLLECT_METADATA, u8(0)), (REMOTE, bytes(4)),
               (LOCAL6, bytes(16))]
    for values in [*(case[0] for case in PRINTED), EVERYTHING]:
        expected = [value for value in values if value not in nothing]
        printed = ip.text(link_message(values)).split()
        if not printed:
            check(not expected, "nothing printed for", expected)
            continue
        done, sent = ip.send("link", "add", "lo", "type", "stt", *printed)
        check(len(sent) == 1, printed, "refused:", done.stderr)
        # Both go out with any label.
        values = [value for value in sent[0].values
                  if value not in ((LABEL_INHERIT, u8(0)), (LABEL, be32(0)))]
        check(sorted(values) == sorted(expected),
              printed, "sent", sent[0].values)


def test_no_data(ip):
    """printing: a device without attributes"""
    check(ip.text(link_message()).strip() == "", "text")
    check(ip.json(link_message()) == [{"info_data": {}}], "JSON")
    check(ip.text(link_message([])).strip() == "", "text, empty nest")


def test_newer_module(ip):
    """printing: attributes and counters of a newer module are no harm"""
    values = [(KEY, u64(7)), (IFLA_STT_MAX + 1, u64(1)), (63, b"xyz")]
    xstats = [(0, b""), (len(XSTATS), u64(9)), (0x3ff0, u64(9))]
    message = link_message(values, xstats)
    check(ip.text(message, "-s") == "id 7 ", "text")
    shown = ip.json(message)
    check(shown == [{"info_data": {"id": 7, "id_hex": f"0x{7:016x}"},
                     "info_xstats": {}}], shown)


def test_xstats(ip):
    """counters: all as JSON, those that count as text, with -s only"""
    values = [(KEY, u64(7))]
    some = [(0, b""), (1, u64(2**64 - 1)), (2, u64(0)), (0, b""),
            (XSTATS.index("rx_no_mem"), u64(5))]
    some_text = "dropped: tx_no_route 18446744073709551615 rx_no_mem 5 "
    message = link_message(values, some)
    check(ip.text(message) == "id 7 ", "text without -s")
    printed = ip.text(message, "-s")
    check(printed == f"id 7 \n    {some_text}\n    ", repr(printed))
    printed = ip.text(link_message(values, [(1, u64(0))]), "-s")
    check(printed == "id 7 ", "text without drops", repr(printed))

    every = [(kind, u64(kind)) for kind in range(1, len(XSTATS))]
    shown = ip.json(link_message(values, every), message)
    check(shown[0]["info_xstats"] ==
          {name: kind for kind, name in enumerate(XSTATS) if kind}, shown)
    check(shown[1]["info_xstats"] == {"tx_no_route": 2**64 - 1, "tx_loop": 0,
                                      "rx_no_mem": 5}, shown)


def test_oneline(ip):
    """text: -o keeps it on one line, -c leaves it as it is"""
    path = ip.write("messages", link_message(EVERYTHING, [(1, u64(3))]))
    done = ip.run("-d", "-s", "-o", "monitor", "link", "file", path)
    check(done.stdout.count("\n") == 1, repr(done.stdout))
    check(EVERYTHING_TEXT in done.stdout, repr(done.stdout))
    done = ip.run("-d", "-c=always", "monitor", "link", "file", path)
    check("stt " + EVERYTHING_TEXT in done.stdout, repr(done.stdout))


def test_broken_attributes(ip):
    """printing: lengths that no module sends"""
    rng = random.Random(7471)
    messages = []
    for _ in range(2000):
        kinds = rng.sample(range(IFLA_STT_MAX + 3), rng.randrange(12))
        values = [(kind, rng.randbytes(rng.randrange(20))) for kind in kinds]
        xstats = [(rng.randrange(64), rng.randbytes(rng.randrange(12)))
                  for _ in range(rng.randrange(4))]
        messages.append(link_message(values, xstats))
    shown = ip.json(*messages)
    check(len(shown) == len(messages), len(shown), "objects")
    lines = ip.probe(b"".join(messages)).splitlines()
    check(len(lines) >= len(messages), len(lines), "lines")

    # What is too short counts as absent; a later one would supply the bytes.
    short = [(KEY, u32(1)), (REMOTE, b"\n\0"), (LIMIT, u8(9)),
             (PORT_RANGE, be16(1)), (REMOTE6, ip4("10.0.0.1"))]
    shown = ip.json(link_message(short, [(1, u32(9)), (2, u64(8))]))
    check(shown == [{"info_data": {}, "info_xstats": {"tx_loop": 8}}], shown)


TESTS = [test_help, test_symbols, test_sent, test_sent_nothing, test_refused,
         test_empty_value, test_batch, test_text, test_json, test_order,
         test_round_trip, test_no_data, test_newer_module, test_xstats,
         test_oneline, test_broken_attributes]


class Ktap:
    """Numbered results; a failure does not end the run."""

    def __init__(self, plan):
        self.count = 0
        self.failed = 0
        self.skipped = 0
        print(f"KTAP version 1\n1..{plan}", flush=True)

    def result(self, good, name, skip=""):
        self.count += 1
        self.failed += not good
        self.skipped += bool(skip)
        skip = f" # SKIP {skip}" if skip else ""
        print(f"{'ok' if good else 'not ok'} {self.count} - {name}{skip}",
              flush=True)

    def run(self, name, test, target):
        try:
            test(target)
        except (AssertionError, LookupError, ValueError, AttributeError,
                OSError, struct.error, subprocess.SubprocessError) as error:
            for line in f"{type(error).__name__}: {error}".splitlines():
                print(f"# {line}")
            self.result(False, name)
        else:
            self.result(True, name)

    def totals(self):
        passed = self.count - self.failed - self.skipped
        print(f"{passed} passed, {self.failed} failed, "
              f"{self.skipped} skipped")
        return self.failed == 0


def main(specs):
    ktap = Ktap(sum(1 if set("#!") & set(spec) else len(TESTS)
                    for spec in specs))
    for spec in specs:
        name, mark, reason = re.fullmatch("([^#!]*)([#!]?)(.*)",
                                          spec).groups()
        if mark:
            if mark == "!":
                print(f"# {reason}")
            ktap.result(mark == "#", name, reason if mark == "#" else "")
            continue
        target = Target(spec, WORK)
        version = target.run("-V").stdout.strip().removeprefix("ip utility, ")
        print(f"# {target.name}: {version}, {target.binary}")
        for test in TESTS:
            ktap.run(f"{target.name} {test.__doc__}", test, target)
    return 0 if ktap.totals() else 1


WORK = sys.argv[1]
sys.exit(main(sys.argv[2:]))
