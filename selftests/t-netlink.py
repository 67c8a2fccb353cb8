#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Netlink messages as no tool would send them.

Every attribute at creation, read back and changed, by value; every attribute
too short, too long or out of its range; attributes that do not exist. Each
refusal must come with a message. Then the same for messages about the FDB.
Run as root with the module loaded.
"""

import errno
import os
import re
import socket
import struct
import sys

sys.pycache_prefix = os.path.join(
    os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "stt",
    "pycache")

# pylint: disable=wrong-import-position
from oracle import ktap, link                                   # noqa: E402
from oracle.ktap import check, equal, none                      # noqa: E402

SUITE = ktap.Suite()
SPACES = []

# linux/netlink.h, rtnetlink.h, if_link.h, neighbour.h
(NLMSG_ERROR, NLMSG_DONE, RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_NEWNEIGH,
 RTM_DELNEIGH, RTM_GETNEIGH) = 2, 3, 16, 17, 18, 28, 29, 30
F_REQUEST, F_MULTI, F_ACK = 1, 2, 4
F_REPLACE, F_EXCL, F_CREATE, F_APPEND = 0x100, 0x200, 0x400, 0x800
F_BULK = 0x200
ERR_MSG, NLMSGERR_ATTR_MSG = 0x200, 1
SOL_NETLINK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 270, 11, 12
IFLA_IFNAME, IFLA_MTU, IFLA_LINKINFO, IFLA_ADDRESS = 3, 4, 18, 1
INFO_KIND, INFO_DATA = 1, 2
NDA_DST, NDA_LLADDR, NDA_PORT, NDA_VNI = 1, 2, 6, 7
NDA_IFINDEX, NDA_SRC_VNI, NDA_NH_ID = 8, 11, 13
NUD_PERMANENT, NTF_SELF = 0x80, 2

# include/uapi/linux/if_stt.h
(PAD, KEY, REMOTE, REMOTE6, LOCAL, LOCAL6, LINK, PORT, PORT_RANGE, TTL,
 TTL_INHERIT, TOS, DF, LABEL, EXTERNAL, LEARNING, AGEING, LIMIT, CSUM_TRUST,
 VLAN_COMPAT, KEYBASE, DSCP_COPY, OKEY, FWMARK, LABEL_INHERIT) = range(25)
KNOWN = 24
LAST = 50                       # a link type can have no more


def inet(text):
    return socket.inet_pton(
        socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def u8(value):
    return struct.pack("=B", value)


def u32(value):
    return struct.pack("=I", value)


def u64(value):
    return struct.pack("=Q", value)


def be(*values):
    return struct.pack("!%dH" % len(values), *values)


def attr(kind, payload):
    size = 4 + len(payload)
    return struct.pack("=HH", size, kind) + payload + bytes(-size % 4)


def parse(data):
    out = {}
    while len(data) >= 4:
        size, kind = struct.unpack_from("=HH", data)
        out[kind & 0x3fff] = data[4:size]
        data = data[(size + 3) & ~3:]
    return out


class Refused(Exception):
    def __init__(self, code, text):
        super().__init__("%s: %s" % (errno.errorcode.get(code, code), text))
        self.code, self.text = code, text


class Rtnetlink:
    """A socket of one namespace."""

    def __init__(self, space):
        self.space = space
        self.sock = space.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self.sock.settimeout(link.PATIENCE)
        self.sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self.sock.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
        self.serial = 0

    def talk(self, kind, flags, payload):
        """Answer to a message (or None); raises Refused."""
        self.serial += 1
        self.sock.send(struct.pack("=IHHII", 16 + len(payload), kind,
                                   flags | F_REQUEST, self.serial, 0) +
                       payload)
        while True:
            data = self.sock.recv(1 << 16)
            size, kind, flags, serial, _ = struct.unpack_from("=IHHII", data)
            if serial != self.serial:
                continue
            if kind != NLMSG_ERROR:
                return data[16:size]
            code = struct.unpack_from("=i", data, 16)[0]
            if not code:
                return None
            text = ""
            if flags & ERR_MSG:
                # the request, unless capped, comes first
                skip = struct.unpack_from("=I", data, 20)[0]
                skip = 16 if flags & 0x100 else skip
                text = parse(data[20 + skip:size]).get(NLMSGERR_ATTR_MSG, b"")
                text = text.rstrip(b"\0").decode()
            raise Refused(-code, text)

    @staticmethod
    def _info(data):
        nest = b"".join(attr(k, v) for k, v in data)
        return attr(IFLA_LINKINFO, attr(INFO_KIND, b"stt\0") +
                    attr(INFO_DATA, nest))

    def add(self, *data, name="x", more=b""):
        self.talk(RTM_NEWLINK, F_ACK | F_CREATE | F_EXCL,
                  bytes(16) + attr(IFLA_IFNAME, name.encode() + b"\0") +
                  more + self._info(data))

    def change(self, *data, name="x"):
        self.talk(RTM_NEWLINK, F_ACK,
                  bytes(16) + attr(IFLA_IFNAME, name.encode() + b"\0") +
                  self._info(data))

    def delete(self, name="x"):
        self.talk(RTM_DELLINK, F_ACK,
                  bytes(16) + attr(IFLA_IFNAME, name.encode() + b"\0"))

    def show(self, name="x"):
        """(index, attributes of the kind)"""
        answer = self.talk(RTM_GETLINK, 0, bytes(16) + attr(
            IFLA_IFNAME, name.encode() + b"\0"))
        info = parse(parse(answer[16:])[IFLA_LINKINFO])
        equal(info[INFO_KIND], b"stt\0", "kind")
        return struct.unpack_from("=i", answer, 4)[0], parse(info[INFO_DATA])

    def neigh(self, kind, flags, index, mac, *data, state=NUD_PERMANENT):
        message = struct.pack("=BxxxiHBB", socket.AF_BRIDGE, index, state,
                              NTF_SELF, 0)
        if mac is not None:
            message += attr(NDA_LLADDR, mac)
        return self.talk(kind, flags | (0 if kind == RTM_GETNEIGH else F_ACK),
                         message + b"".join(attr(k, v) for k, v in data))


def refusal(function, *data, **kwargs):
    """What the kernel says about a message that it must refuse."""
    try:
        function(*data, **kwargs)
    except Refused as reason:
        return reason
    return None


def setup():
    SPACES.append(link.Netns("netlink"))
    space = SPACES[0]
    space.ip("link", "add", "under0", "type", "dummy")
    space.ip("addr", "add", "10.0.0.1/24", "dev", "under0")
    space.ip("link", "set", "under0", "up")


def rtnetlink():
    """A socket; what a test that failed has left is gone."""
    nl = Rtnetlink(SPACES[0])
    for name in ("x", "y"):
        refusal(nl.delete, name)
    return nl


def under0():
    return SPACES[0].ip("-o", "link", "show", "under0").split(":")[0]


# A value for each attribute other than its default, and another one to change
# it to, or None if it cannot be changed. Those of the two sets do not go
# together with the ones of the other.
PLAIN = {
    KEY: (u64(0xfedcba9876543210), None),
    REMOTE: (inet("10.0.0.2"), inet("10.0.0.3")),
    LOCAL: (inet("10.0.0.1"), inet("10.0.0.9")),
    PORT: (be(7000), None),
    PORT_RANGE: (be(1, 65535), be(9, 9)),
    TTL: (u8(255), u8(1)),
    TTL_INHERIT: (u8(0), u8(0)),
    TOS: (u8(1), u8(0xfc)),
    DF: (u8(2), u8(0)),
    LEARNING: (u8(1), u8(0)),
    AGEING: (u32(0), u32(0xffffffff)),
    LIMIT: (u32(0xffffffff), u32(1)),
    CSUM_TRUST: (u8(0), u8(1)),
    VLAN_COMPAT: (u8(1), u8(0)),
    DSCP_COPY: (u8(1), u8(0)),
    OKEY: (u64(1), None),
    FWMARK: (u32(0xffffffff), u32(0)),
    LABEL_INHERIT: (u8(0), u8(0)),
}
PLAIN6 = {
    KEY: (u64(0), None),
    REMOTE6: (inet("fd00::2"), inet("fd00::3")),
    LOCAL6: (inet("fd00::1"), inet("fd00::9")),
    LABEL: (struct.pack("!I", 0xfffff), struct.pack("!I", 1)),
    TTL_INHERIT: (u8(1), u8(0)),
    OKEY: (u64(5), u64(0xffffffffffffffff)),
}
INHERIT6 = {
    KEY: (u64(0), None),
    REMOTE6: (inet("fd00::2"), inet("fd00::3")),
    LABEL_INHERIT: (u8(1), u8(0)),
}
OUTER = {
    EXTERNAL: (u8(1), None),
    KEYBASE: (u32(0xffffffff), None),
    PORT: (be(65535), None),
    LEARNING: (u8(1), u8(0)),
}


def round_trip(values):
    nl = rtnetlink()
    nl.add(*((k, v[0]) for k, v in values.items()))
    try:
        have = nl.show()[1]
        for number, (value, _) in values.items():
            equal(have.get(number), value, "attribute %d" % number)
        for number, (_, value) in values.items():
            if value is None:
                continue
            nl.change((number, value))
            have[number] = value
            equal(nl.show()[1], have, "after the change of %d" % number)
    finally:
        nl.delete()


@SUITE.test("every attribute is read back as written, and changes alone")
def _():
    for values in (PLAIN, PLAIN6, INHERIT6, OUTER):
        round_trip(values)
    number = u32(int(under0()))
    round_trip({KEY: (u64(1), None), LINK: (number, None)})
    round_trip({KEY: (u64(1), None), REMOTE: (inet("239.0.0.1"),
                                              inet("239.0.0.2")),
                LINK: (number, None)})
    names = set(PLAIN) | set(PLAIN6) | set(OUTER) | {LINK}
    equal(names, set(range(1, KNOWN + 1)), "attributes tried")


@SUITE.test("any 64-bit Context ID is a Context ID")
def _():
    nl = rtnetlink()
    for key in (0, 1, 0xffffff, 0x1000000, 0xffffffff, 0x100000000, 1 << 53,
                (1 << 53) + 1, 1 << 63, (1 << 64) - 1):
        nl.add((KEY, u64(key)))
        equal(struct.unpack("=Q", nl.show()[1][KEY])[0], key, "key")
        nl.delete()


@SUITE.test("a device without a Context ID is refused, external or it")
def _():
    nl = rtnetlink()
    for data in ((), ((REMOTE, inet("10.0.0.2")),), ((EXTERNAL, u8(0)),)):
        reason = refusal(nl.add, *data)
        check(reason and reason.code == errno.EINVAL, data, reason)
        check("Context ID" in reason.text, reason)


@SUITE.test("attributes that do not exist are refused")
def _():
    nl = rtnetlink()
    nl.add((KEY, u64(1)), name="y")
    problems = []
    for number in range(KNOWN + 1, LAST + 1):
        for function, name in ((nl.add, "x"), (nl.change, "y")):
            for value in (b"", u8(1), u64(1)):
                reason = refusal(function, (KEY, u64(1)), (number, value),
                                 name=name)
                if not reason or not reason.text:
                    problems.append("%d %s: %s" % (number, value.hex(),
                                                   reason))
                if not reason and name == "x":
                    nl.delete()
    nl.delete("y")
    none(problems)


@SUITE.test("attributes of another length than theirs are refused")
def _():
    nl = rtnetlink()
    problems = []
    sizes = {}
    for values in (PLAIN, PLAIN6, OUTER, {LINK: (u32(0),)}):
        sizes.update((k, v[0]) for k, v in values.items())
    for number, value in sizes.items():
        key = () if number in (EXTERNAL, KEYBASE) else ((KEY, u64(1)),)
        if number == KEYBASE:
            key = ((EXTERNAL, u8(1)),)
        for wrong in (b"", value[:-1], value + b"\0"):
            reason = refusal(nl.add, *key, (number, wrong))
            if not reason or not reason.text:
                problems.append("%d with %d bytes: %s" % (
                    number, len(wrong), reason))
            if not reason:
                nl.delete()
    none(problems)


# data, what the message speaks of
WRONG = (
    (((PORT, be(0)),), "port"),
    (((PORT_RANGE, be(0, 5)),), "[Ss]ource port"),
    (((PORT_RANGE, be(6, 5)),), "[Ss]ource port"),
    (((PORT_RANGE, be(0, 0)),), "[Ss]ource port"),
    (((TTL_INHERIT, u8(2)),), "range"),
    (((TTL_INHERIT, u8(1)), (TTL, u8(5))), "TTL"),
    (((DF, u8(3)),), "range"),
    (((LEARNING, u8(2)),), "range"),
    (((CSUM_TRUST, u8(255)),), "range"),
    (((VLAN_COMPAT, u8(2)),), "range"),
    (((DSCP_COPY, u8(2)),), "range"),
    (((EXTERNAL, u8(2)),), "range"),
    (((LABEL, struct.pack("!I", 0x100000)),), "[Ll]abel"),
    (((LABEL, struct.pack("!I", 1)), (REMOTE, inet("10.0.0.2"))), "label"),
    (((LABEL, struct.pack("!I", 1)), (LOCAL, inet("10.0.0.1"))), "label"),
    (((REMOTE, inet("255.255.255.255")),), "Remote"),
    (((REMOTE6, inet("::ffff:10.0.0.2")),), "IPv4"),
    (((REMOTE, inet("10.0.0.2")), (REMOTE6, inet("fd00::2"))), "both"),
    (((LOCAL, inet("10.0.0.1")), (LOCAL6, inet("fd00::1"))), "both"),
    (((REMOTE, inet("10.0.0.2")), (LOCAL6, inet("fd00::1"))), "family"),
    (((REMOTE6, inet("fd00::2")), (LOCAL, inet("10.0.0.1"))), "family"),
    (((REMOTE, inet("239.0.0.1")),), "dev"),
    (((REMOTE6, inet("ff02::1")),), "dev"),
    (((REMOTE6, inet("fe80::1")),), "dev"),
    (((LOCAL, inet("239.0.0.1")),), "Local"),
    (((LOCAL, inet("255.255.255.255")),), "Local"),
    (((LOCAL6, inet("ff02::1")),), "Local"),
    (((LINK, u32(0x7fffffff)),), "device"),
    (((LINK, u32(0xffffffff)),), "device"),
    (((LABEL_INHERIT, u8(2)),), "range"),
    (((LABEL_INHERIT, u8(1)), (LABEL, struct.pack("!I", 1))), "label"),
    (((LABEL_INHERIT, u8(1)), (REMOTE, inet("10.0.0.2"))), "label"),
    (((KEYBASE, u32(1)),), "[Kk]eybase"),
    (((EXTERNAL, u8(1)),), r"\(id\)"),
)
WRONG_OUTER = (
    (((REMOTE, inet("10.0.0.2")),), "remote"),
    (((REMOTE6, inet("fd00::2")),), "remote"),
    (((KEY, u64(1)),), r"\(id\)"),
    (((OKEY, u64(1)),), r"\(okey\)"),
)


@SUITE.test("values out of range and at odds are refused, with a reason")
def _():
    nl = rtnetlink()
    problems = []
    for base, table in ((((KEY, u64(1)),), WRONG),
                        (((EXTERNAL, u8(1)),), WRONG_OUTER)):
        for data, want in table:
            reason = refusal(nl.add, *base, *data)
            if not reason or not re.search(want, reason.text):
                problems.append("%s, want %s: %s" % (data, want, reason))
            if not reason:
                nl.delete()
    none(problems)


@SUITE.test("the same are refused for a change, which then changes nothing")
def _():
    nl = rtnetlink()
    problems = []
    for base, table in ((((KEY, u64(1)),), WRONG),
                        (((EXTERNAL, u8(1)),), WRONG_OUTER)):
        nl.add(*base)
        before = nl.show()
        for data, _ in table:
            # in the same message as something that can be changed
            reason = refusal(nl.change, (TOS, u8(8)), *data)
            if not reason or not reason.text:
                problems.append("%s: %s" % (data, reason))
            equal(nl.show(), before, "after %s" % (data,))
        nl.delete()
    none(problems)


@SUITE.test("what identifies a device cannot be changed")
def _():
    nl = rtnetlink()
    problems = []
    for base, data, want in (
            (((KEY, u64(1)),), (KEY, u64(2)), r"\(id\)"),
            (((KEY, u64(1)),), (KEY, u64((1 << 32) + 1)), r"\(id\)"),
            (((KEY, u64(1)),), (OKEY, u64(2)), r"\(okey\)"),
            (((KEY, u64(1)),), (PORT, be(7472)), "dstport"),
            (((KEY, u64(1)),), (EXTERNAL, u8(1)), "external"),
            (((EXTERNAL, u8(1)),), (EXTERNAL, u8(0)), "external"),
            (((EXTERNAL, u8(1)),), (PORT, be(7472)), "dstport"),
            (((EXTERNAL, u8(1)),), (KEYBASE, u32(0)), "keybase"),
            (((EXTERNAL, u8(1)), (KEYBASE, u32(5))), (KEYBASE, u32(6)),
             "keybase"),
            (((KEY, u64(1)), (REMOTE, inet("10.0.0.2"))),
             (REMOTE6, inet("fd00::2")), "family"),
            (((KEY, u64(1)), (REMOTE6, inet("fd00::2"))),
             (REMOTE, inet("10.0.0.2")), "family")):
        nl.add(*base)
        before = nl.show()
        reason = refusal(nl.change, (TOS, u8(8)), data)
        if not reason or not re.search(want, reason.text):
            problems.append("%s -> %s: %s" % (base, data, reason))
        equal(nl.show(), before, "after %s" % (data,))
        # the value that it has is no change
        same = dict(base).get(data[0])
        if same is not None:
            nl.change((data[0], same))
        nl.delete()
    none(problems)


@SUITE.test("link addresses that are none are refused")
def _():
    nl = rtnetlink()
    for address in (bytes(6), b"\xff" * 6, b"\1" + bytes(5), b"\2" + bytes(4),
                    b"\2" + bytes(6)):
        reason = refusal(nl.add, (KEY, u64(1)),
                         more=attr(IFLA_ADDRESS, address))
        check(reason and reason.text, address, reason)


@SUITE.test("FDB messages with attributes that are none are refused")
def _():
    nl = rtnetlink()
    nl.add((KEY, u64(1)), (LOCAL, inet("10.0.0.1")))
    index = nl.show()[0]
    mac, dst = b"\2" + bytes(5), (NDA_DST, inet("10.0.0.2"))
    problems = []
    for data, want in (
            ((), "dst"),
            (((NDA_DST, b""),), "dst"),
            (((NDA_DST, bytes(5)),), "dst"),
            (((NDA_DST, inet("0.0.0.0")),), "dst"),
            (((NDA_DST, inet("::")),), "dst"),
            (((NDA_DST, inet("255.255.255.255")),), "dst"),
            (((NDA_DST, inet("::ffff:10.0.0.2")),), "dst"),
            (((NDA_DST, inet("fd00::2")),), "family"),
            ((dst, (NDA_PORT, be(0))), "port"),
            ((dst, (NDA_PORT, b"\0")), "port"),
            ((dst, (NDA_PORT, u32(7))), "port"),
            ((dst, (NDA_VNI, b"")), "vni"),
            ((dst, (NDA_VNI, be(1))), "vni"),
            ((dst, (NDA_VNI, u64(1) + u64(1))), "vni"),
            ((dst, (NDA_SRC_VNI, be(1))), "vni"),
            ((dst, (NDA_SRC_VNI, u32(2))), "external"),
            ((dst, (NDA_IFINDEX, u32(0x7fffffff))), "via"),
            ((dst, (NDA_IFINDEX, b"\1")), "via"),
            ((dst, (NDA_NH_ID, u32(1))), "exthop")):
        reason = refusal(nl.neigh, RTM_NEWNEIGH, F_CREATE | F_EXCL, index,
                         mac, *data)
        if not reason or not re.search(want, reason.text):
            problems.append("%s, want %s: %s" % (data, want, reason))
        reason = refusal(nl.neigh, RTM_GETNEIGH, 0, index, mac, state=0)
        check(reason and reason.code == errno.ENOENT, data, reason)
    nl.delete()
    none(problems)


@SUITE.test("an FDB entry takes and gives a 64-bit Context ID")
def _():
    nl = rtnetlink()
    nl.add((KEY, u64(1)))
    index = nl.show()[0]
    mac, dst = b"\2" + bytes(5), (NDA_DST, inet("10.0.0.2"))
    for key, raw in ((0xfedcba9876543210, u64), (0xffffffff, u32), (7, u32)):
        nl.neigh(RTM_NEWNEIGH, F_CREATE | F_REPLACE, index, mac, dst,
                 (NDA_VNI, u64(key)))
        have = parse(nl.neigh(RTM_GETNEIGH, 0, index, mac, state=0)[12:])
        equal(have.get(NDA_VNI), raw(key), "Context ID")
        equal(have.get(NDA_DST), dst[1], "destination")
    nl.delete()


def main():
    try:
        return SUITE.run(setup=setup)
    finally:
        for space in SPACES:
            space.delete()


if __name__ == "__main__":
    link.require_module()
    sys.exit(main())
