#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Netlink messages as no tool would send them.

Every attribute at creation, read back and changed, by value; every attribute
too short, too long or out of its range; attributes that do not exist. Each
refusal must come with a message. Then the same for messages about the FDB.
Run as root with the module loaded.
"""

import contextlib
import errno
import os
import re
import struct
import sys

sys.pycache_prefix = os.path.join(
    os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "stt",
    "pycache")

# pylint: disable=wrong-import-position
from oracle import ktap, link, netlink                          # noqa: E402
from oracle.ktap import check, equal, none                      # noqa: E402
from oracle.netlink import (                                    # noqa: E402
    AGEING, CSUM_TRUST, DF, DSCP_COPY, EXTERNAL, FWMARK, KEY, KEYBASE, LABEL,
    LABEL_INHERIT, LEARNING, LIMIT, LINK, LOCAL, LOCAL6, OKEY, PORT,
    PORT_RANGE, REMOTE, REMOTE6, TOS, TTL, TTL_INHERIT, VLAN_COMPAT)
from oracle.netlink import (                                    # noqa: E402
    F_CREATE, F_EXCL, F_REPLACE, IFLA_ADDRESS, NDA_DST, NDA_IFINDEX,
    NDA_NH_ID, NDA_PORT, NDA_SRC_VNI, NDA_VNI, RTM_GETNEIGH, RTM_NEWNEIGH)
from oracle.netlink import (                                    # noqa: E402
    attr, be, inet, parse, refusal, u8, u32, u64)

SUITE = ktap.Suite()
SPACES = []

KNOWN = 24                      # the last attribute of a device
LAST = 50                       # a link type can have no more


def setup():
    SPACES.append(link.Netns("netlink"))
    space = SPACES[0]
    space.ip("link", "add", "under0", "type", "dummy")
    space.ip("addr", "add", "10.0.0.1/24", "dev", "under0")
    space.ip("link", "set", "under0", "up")


def rtnetlink():
    """A socket; what a test that failed has left is gone."""
    nl = netlink.Route(SPACES[0])
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


@SUITE.test("an address of zeros is none, as for ip(8)")
def _():
    nl = rtnetlink()
    nl.add((KEY, u64(1)), (REMOTE, inet("0.0.0.0")), (LOCAL, inet("0.0.0.0")))
    have = nl.show()[1]
    equal(sorted(set(have) & {REMOTE, REMOTE6, LOCAL, LOCAL6}), [],
          "addresses")
    for far, near, a, b in ((REMOTE, LOCAL, "10.0.0.2", "10.0.0.1"),
                            (REMOTE6, LOCAL6, "fd00::2", "fd00::1")):
        nl.change((far, inet(a)), (near, inet(b)))
        equal({far: inet(a), near: inet(b)}, {
            k: v for k, v in nl.show()[1].items() if k not in have},
            "addresses set")
        zero = inet("0.0.0.0" if far == REMOTE else "::")
        nl.change((far, zero), (near, zero))
        equal(nl.show()[1], have, "addresses taken away")
    nl.delete()


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


@SUITE.test("a device does not come up, or change, without its group")
def _():
    nl = rtnetlink()
    space = SPACES[0]
    # below the least MTU of IPv6 there is none
    space.ip("link", "add", "low0", "mtu", "1000", "up", "type", "dummy")
    low = (LINK, u32(nl.index("low0")))
    nl.add((KEY, u64(1)), (REMOTE6, inet("ff02::1")), low)
    check(refusal(nl.change, up=True), "up, with a group that it has not")
    equal(nl.show()[1].get(REMOTE6), inet("ff02::1"), "remote")
    nl.delete()
    nl.add((KEY, u64(1)), (REMOTE6, inet("fd00::2")), low, up=True)
    before = nl.show()
    reason = refusal(nl.change, (TOS, u8(8)), (REMOTE6, inet("ff02::1")))
    check(reason and "group" in reason.text, reason)
    equal(nl.show(), before, "after what was refused")
    nl.delete()
    space.ip("link", "del", "low0")


@contextlib.contextmanager
def dummies(nl, *more):
    """Devices low0 to low2; their indexes as attributes."""
    names = ["low%d" % n for n in range(3)]
    SPACES[0].batch(["link add %s up type dummy" % n for n in names] +
                    list(more))
    try:
        yield [(LINK, u32(nl.index(n))) for n in names]
    finally:
        SPACES[0].batch(["link del " + n for n in names])


@SUITE.test("a device follows its underlay into a VRF, if none is there")
def _():
    nl = rtnetlink()
    space = SPACES[0]
    one = (KEY, u64(5)), (REMOTE, inet("10.0.0.2"))

    def taken(function, *data, name):
        reason = refusal(function, *data, name=name)
        equal(reason and reason.code, errno.EEXIST, "%s: %s" % (name, reason))

    with dummies(nl, "link add red up type vrf table 10",
                 "link set low1 master red") as (low0, low1, low2):
        nl.add(*one, low0)
        nl.add(*one, low1, name="y")
        taken(nl.add, *one, low2, name="z")
        before = nl.show()
        taken(nl.change, low1, name="x")
        equal(nl.show(), before, "after what was refused")
        # in red, y has the tunnel: x remains where it was
        space.ip("link", "set", "low0", "master", "red")
        taken(nl.add, *one, low2, name="z")
        nl.delete("y")
        space.ip("link", "set", "low0", "nomaster")
        space.ip("link", "set", "low0", "master", "red")
        taken(nl.add, *one, low1, name="y")
        nl.add(*one, low2, name="z")
        space.ip("link", "del", "red")
    for name in ("x", "z"):
        check(refusal(nl.show, name), name, "outlives its underlay")


@SUITE.test("devices on top of each other: not both ways, not too many")
def _():
    nl = rtnetlink()
    space = SPACES[0]

    def refused(function, *data, why, name):
        reason = refusal(function, *data, name=name)
        check(reason and why in reason.text, name, reason)

    with dummies(nl) as (below, _, _):
        nl.add((KEY, u64(1)), (REMOTE, inet("10.0.0.2")))
        space.ip("link", "add", "link", "x", "name", "above", "type",
                 "macvlan")
        before = nl.show()
        refused(nl.change, (TOS, u8(8)), (LINK, u32(nl.index("above"))),
                why="on top of this device", name="x")
        equal(nl.show(), before, "after what was refused")
        # MAX_NEST_DEV of the kernel is 8
        for level in range(7):
            name = "level%d" % level
            nl.add((KEY, u64(level + 2)), (REMOTE, inet("10.0.0.2")), below,
                   name=name)
            below = (LINK, u32(nl.index(name)))
        refused(nl.add, (KEY, u64(99)), (REMOTE, inet("10.0.0.2")), below,
                why="Too many devices", name="y")
        refused(nl.change, below, why="Too many devices", name="x")
        equal(nl.show(), before, "after what was refused")
        nl.delete()
    for name in ("x", "y", "level0", "level6"):
        check(refusal(nl.show, name), name, "is left")


@SUITE.test("tools are told the driver, and the speed of the device below")
def _():
    nl = rtnetlink()
    space = SPACES[0]
    link.need("ethtool")
    space.ip("link", "add", "low0", "type", "veth", "peer", "name", "low1")
    low0 = (LINK, u32(nl.index("low0")))
    nl.add((KEY, u64(1)), (REMOTE, inet("10.0.0.2")), low0)
    nl.add((KEY, u64(2)), name="y")
    check("driver: stt\n" in space.run("ethtool", "-i", "x"), "driver")
    for name, want in ("low0", "10000Mb/s"), ("x", "10000Mb/s"), \
            ("y", "Unknown!"):
        text = space.run("ethtool", name)
        check("Speed: %s\n" % want in text, name, text)
    space.ip("link", "del", "low0")
    nl.delete("y")


@SUITE.test("routes that lead in a circle end the question for the speed")
def _():
    nl = rtnetlink()
    space = SPACES[0]
    link.need("ethtool")
    nl.add((KEY, u64(1)), (REMOTE, inet("10.1.0.2")), up=True)
    nl.add((KEY, u64(2)), (REMOTE, inet("10.2.0.2")), name="y", up=True)
    space.batch(["link add link x name x.5 up type vlan id 5",
                 "addr add 10.1.0.1/24 dev x.5",
                 "link add link y name y.5 up type vlan id 5",
                 "addr add 10.2.0.1/24 dev y.5"])

    def unknown(why):
        for name in ("x", "y", "x.5", "y.5"):
            text = space.run("ethtool", name)
            check("Speed: Unknown!" in text, name, why, text)

    unknown("by way of itself")
    space.batch(["addr flush dev x.5", "addr flush dev y.5",
                 "addr add 10.1.0.1/24 dev y.5",
                 "addr add 10.2.0.1/24 dev x.5"])
    unknown("by way of the other")
    nl.delete("y")


@SUITE.test("a device goes with the namespace of its underlay")
def _():
    nl = rtnetlink()
    gone = link.Netns("gone")
    with contextlib.ExitStack() as stack:
        stack.callback(gone.delete)
        fd = os.open("/run/netns/" + SPACES[0].name, os.O_RDONLY)
        stack.callback(os.close, fd)
        there = netlink.Route(gone)
        stack.callback(there.close)
        there.add((KEY, u64(1)), (REMOTE, inet("10.0.0.2")),
                  more=attr(netlink.IFLA_NET_NS_FD, u32(fd)))
        nl.change((TOS, u8(8)), up=True)
        nl.add((KEY, u64(1)), (REMOTE, inet("10.0.0.2")), name="y")
    link.await_("the device to go", lambda: refusal(nl.show))
    nl.show("y")
    nl.delete("y")


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
        answer, = nl.neigh(RTM_GETNEIGH, 0, index, mac, state=0)
        have = parse(answer[12:])
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
