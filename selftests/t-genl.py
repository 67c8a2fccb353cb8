#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# timeout: 300
"""Generic netlink family "stt": each command, its answer, what it refuses.

Devices, forwarding database, flushes, counters, limits of reassembly, and the
events that listeners are told. Segments are built by the oracle. Run as root
with the module loaded.
"""

import contextlib
import ctypes
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
from oracle import bench, ktap, link, netlink, stt              # noqa: E402
from oracle.ktap import Failure, Skip, check, equal, none       # noqa: E402
from oracle.netlink import (                                    # noqa: E402
    AGEING, EXTERNAL, F_ACK, F_DUMP, IFLA_NET_NS_FD, KEY, KEYBASE, LEARNING,
    NTF_EXT_LEARNED, NTF_ROUTER, NTF_SELF, NUD_NOARP, NUD_PERMANENT,
    NUD_REACHABLE, OKEY, PORT, REMOTE, REMOTE6, TOS, be, inet, number, parse,
    refusal, string, u8, u16, u32, u64)

SUITE = ktap.Suite()
B = None                        # the Bench
RT = GENL = EVENTS = None       # sockets of its namespace
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
NOBODY = 65534

# include/uapi/linux/stt_genl.h
(_, DEV_GET, DEV_NEW_NTF, DEV_CHANGE_NTF, DEV_DEL_NTF, FDB_GET, FDB_NEW,
 FDB_DEL, FDB_FLUSH, FDB_NEW_NTF, FDB_MOVE_NTF, FDB_DEL_NTF, FDB_FLUSH_NTF,
 STATS_GET, REASM_SET) = range(15)
(_, D_IFINDEX, D_IFNAME, D_LINK_NETNSID, D_CONF, D_XSTATS, D_STATS64,
 D_ENTRIES, D_LEARNED, D_FLAGS) = range(10)
(_, IFINDEX, IFNAME, LLADDR, SRC_KEY, F_KEY, DST, DST6, F_PORT, F_LINK, MODE,
 STATE, STATE_MASK, FLAGS, FLAGS_MASK, USED, UPDATED, OLD_DST, OLD_DST6,
 COUNT) = range(20)
ADD, REPLACE, APPEND = range(3)
S_COUNTER, S_REASM = 1, 2
C_NAME, C_VALUE = 1, 2
(_, R_BUDGET, R_DEFAULT, R_TIMEOUT, R_MEM, R_FRAMES, R_TIMEOUTS,
 R_EVICTIONS) = range(8)
BUDGET_MIN, BUDGET_MAX = 1 << 20, 1 << 30

# include/uapi/linux/if_stt.h
XSTATS = 15
X_TX_NO_REMOTE = 5

# linux/if.h
UP, BROADCAST, RUNNING, MULTICAST, LOWER_UP = 1, 2, 0x40, 0x1000, 0x10000

ZERO = bytes(6)
GROUP = bytes((1, 0, 0x5e, 0, 0, 1))
X = (IFNAME, string("x"))
# Attributes of the volatile kind: since when an entry was not used.
TIMES = (USED, UPDATED)

# Documentation/stt.rst
COUNTERS = """
    rx_segments rx_whole rx_reassembled rx_bad_header rx_bad_csum rx_empty
    rx_bad_length rx_duplicate rx_overlap rx_length_mismatch rx_no_budget
    rx_no_mem rx_policy rx_fragment rx_bad_version rx_unknown_id pmtu_learned
    pmtu_rejected tx_unreachable""".split()


def mac(last):
    return bytes((2, 0, 0, 0)) + struct.pack("!H", last)


@contextlib.contextmanager
def device(*data, name="x", **kwargs):
    """The index of a device that is up."""
    RT.add(*(data or ((KEY, u64(5)),)), name=name, up=True, **kwargs)
    try:
        yield RT.index(name)
    finally:
        refusal(RT.delete, name)


def get_dev(name="x"):
    answer, = GENL.command(DEV_GET, (D_IFNAME, string(name)), flags=0)
    return answer


def new(lladdr, dst, *data, mode=ADD, dev=X):
    to = DST6 if len(inet(dst)) == 16 else DST
    GENL.command(FDB_NEW, dev, (LLADDR, lladdr), (to, inet(dst)),
                 (MODE, u8(mode)), *data)


def entry(index, lladdr, dst, name="x", src=5, **more):
    """What is said of an entry, besides when it was used."""
    out = {IFINDEX: u32(index), IFNAME: string(name), LLADDR: lladdr,
           SRC_KEY: u64(src), F_KEY: u64(more.get("key", src)),
           DST6 if ":" in dst else DST: inet(dst),
           F_PORT: be(more.get("port", 7471)),
           STATE: u16(more.get("state", NUD_PERMANENT)),
           FLAGS: u8(more.get("flags", 0))}
    if "via" in more:
        out[F_LINK] = u32(more["via"])
    return out


def timeless(have):
    """An entry without its times, which are to be plausible."""
    for kind in TIMES:
        check(kind in have, "no attribute", kind, "in", have)
        equal(len(have[kind]), 8, "length of time")
        check(number(have[kind]) < 600000, "time", number(have[kind]))
    return {k: v for k, v in have.items() if k not in TIMES}


def entries(*data):
    return [timeless(e) for e in GENL.dump(FDB_GET, *data)]


def places(*data):
    """(MAC, IPv4 destination) of the entries."""
    return [(e[LLADDR], socket.inet_ntoa(e[DST]))
            for e in GENL.dump(FDB_GET, *data)]


def arrive(station, far="10.0.0.2", key=5, size=100):
    """A frame of that station arrives in one segment."""
    under = B.v6 if ":" in far else B.v4
    frame = stt.eth(bytes(size), 0x88b6, bench.OUR_MAC, station)
    for ether in under.path_from(far).cut(stt.frame(frame, key), B.new_id(),
                                          1400):
        B.far.send(ether)


class Listener(netlink.Generic):
    """Hears the events of a namespace."""

    def __init__(self, space, mark_it):
        super().__init__(space, "stt", "events")
        self.mark = mark_it

    def hear(self, least=0):
        """Events since the last call, when at least that many have come."""
        out = []
        marked = False
        while True:
            if len(out) >= least and not marked:
                self.mark()
                marked = True
            try:
                fresh = self.events()
            except TimeoutError as late:
                raise Failure("after the events", out, "no more") from late
            for command, have in fresh:
                if have.get(IFNAME) == string("mark"):
                    return out
                out.append((command, have))


def heard(action, least=0):
    """Events that come of it."""
    EVENTS.hear()
    action()
    return EVENTS.hear(least)


def told(action, *want, least=0):
    """It is told as (event, entry), each once and in this order."""
    have = [(c, timeless(e) if c in (FDB_NEW_NTF, FDB_MOVE_NTF, FDB_DEL_NTF)
             else e) for c, e in heard(action, least)]
    equal(have, list(want), "events")


def mark():
    """An event that nothing else makes."""
    RT.change((TOS, u8(4)), name="mark")


# ------------------------------------------------------------------ devices

@SUITE.test("a device is shown by index and by name, with all that it is")
def _():
    with device((KEY, u64(5)), (REMOTE, inet("10.0.0.2")), (LEARNING, u8(1)),
                (OKEY, u64(1 << 40))) as index:
        have = get_dev()
        equal(GENL.command(DEV_GET, (D_IFINDEX, u32(index)), flags=0), [have],
              "by index")
        equal(GENL.dump(DEV_GET, (D_IFINDEX, u32(index))), [have],
              "dump by index")
        equal(GENL.dump(DEV_GET, (D_IFNAME, string("x"))), [have],
              "dump by name")
        equal(have[D_IFINDEX], u32(index), "index")
        equal(have[D_IFNAME], string("x"), "name")
        equal(number(have[D_FLAGS]), UP | BROADCAST | RUNNING | MULTICAST |
              LOWER_UP, "flags")
        conf = parse(have[D_CONF])
        equal(conf, RT.show()[1], "configuration and that of the link")
        equal((conf[KEY], conf[OKEY], conf[REMOTE]),
              (u64(5), u64(1 << 40), inet("10.0.0.2")), "configuration")
        equal(sorted(parse(have[D_XSTATS])), list(range(1, XSTATS + 1)),
              "kinds of drops")
        equal(number(have[D_ENTRIES]), 1, "its remote is an entry")
        equal(number(have[D_LEARNED]), 0, "learned entries")
        check(D_LINK_NETNSID not in have, "namespace of the underlay")
        RT.change(up=False)
        equal(number(get_dev()[D_FLAGS]), BROADCAST | MULTICAST,
              "flags of a device that is down")


@SUITE.test("the answer has the counters of the device and of its FDB")
def _():
    with device():
        port = link.Port(B.hv, "x")
        port.send(stt.eth(bytes(100), 0x88b6, mac(1), mac(2)))
        link.await_("a drop", lambda: number(
            parse(get_dev()[D_XSTATS])[X_TX_NO_REMOTE]))
        have = get_dev()
        equal({k: number(v) for k, v in parse(have[D_XSTATS]).items() if
               number(v)}, {X_TX_NO_REMOTE: 1}, "drops")
        equal((number(have[D_ENTRIES]), number(have[D_LEARNED])), (0, 0),
              "entries")
        arrive(mac(1), size=100)
        link.await_("a frame", lambda: number(get_dev()[D_LEARNED]))
        have = get_dev()
        # rx_packets, tx_packets, rx_bytes (what is behind the Ethernet header,
        # as of any device), ..., tx_dropped
        stats = struct.unpack_from("=8Q", have[D_STATS64])
        equal((stats[0], stats[1], stats[2], stats[7]), (1, 0, 100, 1),
              "statistics")
        new(mac(9), "10.0.0.2")
        have = get_dev()
        equal((number(have[D_ENTRIES]), number(have[D_LEARNED])), (2, 1),
              "entries")
        port.close()
    with device((KEY, u64(5)), (REMOTE, inet("10.0.0.2"))):
        have = get_dev()
        check(D_ENTRIES not in have and D_LEARNED not in have,
              "entries without an FDB")


@SUITE.test("a device tells where its underlay is, if elsewhere")
def _():
    with contextlib.ExitStack() as stack:
        there = netlink.Generic(B.oracle, "stt")
        listener = netlink.Generic(B.oracle, "stt", "events")
        route = netlink.Route(B.oracle)
        near, far = (os.open("/run/netns/" + space.name, os.O_RDONLY)
                     for space in (B.hv, B.oracle))
        for one in (there, listener, route):
            stack.callback(one.close)
        for one in (near, far):
            stack.callback(os.close, one)
        nsid = route.nsid(near)
        check(struct.unpack("=i", nsid)[0] >= 0, "namespace", nsid)
        stack.enter_context(device((KEY, u64(5)), (AGEING, u32(0))))
        stack.callback(refusal, route.delete)

        before = get_dev()
        (left, gone), = heard(lambda: RT.change(
            more=netlink.attr(IFLA_NET_NS_FD, u32(far))))
        equal((left, gone[D_IFNAME]), (DEV_DEL_NTF, string("x")),
              "event where it was")
        (came, arrived), = listener.events()
        equal(came, DEV_NEW_NTF, "event where it is")
        equal([d[D_IFNAME] for d in GENL.dump(DEV_GET)], [string("mark")],
              "devices that are still here")
        have, = there.dump(DEV_GET)
        for what in (arrived, have):
            equal(what[D_LINK_NETNSID], nsid, "namespace of the underlay")
            equal(what[D_CONF], before[D_CONF], "configuration")
        # it goes on working
        route.change(up=True)
        there.command(FDB_NEW, X, (LLADDR, mac(1)), (DST, inet("10.0.0.2")))
        arrive(mac(2))
        link.await_("an address to be learned",
                    lambda: len(there.dump(FDB_GET)) == 2)
        answer, = route.neigh(netlink.RTM_GETNEIGH, 0, route.index("x"),
                              mac(2), state=0)
        equal(parse(answer[12:]).get(netlink.NDA_LINK_NETNSID), nsid,
              "namespace of the underlay in a neighbour message")
        route.delete()
        equal(there.dump(DEV_GET), [], "devices after the end")


@SUITE.test("a dump of many devices has each once, or says that it has not")
def _():
    count = 16
    small = netlink.Generic(B.hv, "stt", room=4096)
    try:
        for i in range(count):
            RT.add((KEY, u64(100 + i)), name="many%d" % i)
        have = small.dump(DEV_GET)
        names = ["many%d" % i for i in range(count)] + ["mark"]
        equal(sorted(d[D_IFNAME] for d in have),
              sorted(map(string, names)), "devices")
        check(small.datagrams > 3, "datagrams of a dump", small.datagrams)
        check(not small.interrupted, "a quiet dump says it is not")
        equal(small.dump(DEV_GET, (D_IFNAME, string("many7"))),
              [get_dev("many7")], "one of many")
        small.sock.send(small.pack(small.family, F_DUMP,
                                   small.payload(DEV_GET)))
        first = list(small.received())
        check(first and not first[0][1] & netlink.F_DUMP_INTR, "first part")
        RT.delete("many0")
        small.answers()
        check(small.interrupted, "a device went, and nothing was said of it")
    finally:
        small.close()
        for i in range(count):
            refusal(RT.delete, "many%d" % i)


# ------------------------------------------------------------------ refusals

def here(index):
    return (IFINDEX, u32(index))


ONE = ((LLADDR, mac(1)), (DST, inet("10.0.0.9")))

# command, attributes, error, what its sentence speaks of, and the number of
# the attribute that it points at
WRONG_DEVICE = (
    ((), errno.EINVAL, "ifindex or an ifname", None),
    (((IFINDEX, u32(1)), (IFNAME, string("x"))), errno.EINVAL, "Either", None),
    (((IFINDEX, u32(0x7fffffff)),), errno.ENODEV, "No such device", 0),
    (((IFNAME, string("nobody")),), errno.ENODEV, "No such device", 0),
    (((IFINDEX, u32(1)),), errno.EOPNOTSUPP, "kind stt", 0),
    (((IFNAME, string("under0")),), errno.EOPNOTSUPP, "kind stt", 0),
    (((IFNAME, string("a" * 16)),), errno.EINVAL, ".", 0),
    (((IFINDEX, b"\1"),), errno.EINVAL, ".", 0),
    (((19, u32(1)), (IFINDEX, u32(1))), errno.EINVAL, ".", 0),
)
WRONG = (
    (FDB_NEW, (X, (DST, inet("10.0.0.9"))), errno.EINVAL, "lladdr", None),
    (FDB_NEW, (X, ONE[0]), errno.EINVAL, "dst", None),
    (FDB_NEW, (X, *ONE, (DST6, inet("fd00::9"))), errno.EINVAL, "not both",
     3),
    (FDB_NEW, (X, ONE[0], (DST, bytes(4))), errno.EINVAL, "unicast", 2),
    (FDB_NEW, (X, ONE[0], (DST6, bytes(16))), errno.EINVAL, "unicast", 2),
    (FDB_NEW, (X, *ONE, (FLAGS, u8(NTF_SELF))), errno.EINVAL, "NTF_ROUTER",
     3),
    (FDB_NEW, (X, *ONE, (MODE, u8(3))), errno.EINVAL, "Mode", 3),
    (FDB_NEW, (X, *ONE, (STATE, u16(4))), errno.EINVAL, "permanent", None),
    (FDB_NEW, (X, *ONE, (F_PORT, be(0))), errno.EINVAL, "port", 3),
    (FDB_NEW, (X, *ONE, (F_LINK, u32(0x7fffffff))), errno.ENODEV, "index", 3),
    (FDB_NEW, (X, *ONE, (SRC_KEY, u64(6))), errno.EINVAL, "external", 3),
    (FDB_NEW, (X, *ONE, (COUNT, u32(6))), errno.EINVAL, ".", 3),
    (FDB_NEW, (X, (LLADDR, b"\2"), ONE[1]), errno.ERANGE, ".", 1),
    (FDB_DEL, (X,), errno.EINVAL, "lladdr", None),
    (FDB_DEL, (X, ONE[0]), errno.ENOENT, "No FDB entry", None),
    (FDB_DEL, (X, *ONE, (MODE, u8(0))), errno.EINVAL, "adding", 3),
    (FDB_DEL, (X, *ONE, (SRC_KEY, u64(6))), errno.EINVAL, "external", 3),
    (FDB_FLUSH, (X, (STATE, u16(2))), errno.EINVAL, "masks", None),
    (FDB_FLUSH, (X, (STATE, u16(6)), (STATE_MASK, u16(2))), errno.EINVAL,
     "masks", None),
    (FDB_FLUSH, (X, (FLAGS, u8(0x10))), errno.EINVAL, "masks", None),
    (FDB_FLUSH, (X, ONE[1], (DST6, inet("fd00::9"))), errno.EINVAL,
     "not both", 2),
    (FDB_FLUSH, (X, (MODE, u8(0))), errno.EINVAL, ".", 1),
    (REASM_SET, (), errno.EINVAL, "budget or a timeout", None),
    (REASM_SET, ((R_BUDGET, u64(BUDGET_MIN - 1)),), errno.ERANGE, "1048576",
     0),
    (REASM_SET, ((R_BUDGET, u64(BUDGET_MAX + 1)),), errno.ERANGE,
     "1073741824", 0),
    (REASM_SET, ((R_BUDGET, u64(BUDGET_MIN)), (R_TIMEOUT, u32(0))),
     errno.ERANGE, "60000", 1),
    (REASM_SET, ((R_TIMEOUT, u32(60001)),), errno.ERANGE, "60000", 0),
    (REASM_SET, ((R_MEM, u64(0)),), errno.EINVAL, ".", 0),
    (15, (), errno.EOPNOTSUPP, "", None),
)


def expect_refusal(command, data, code, words, at, flags=F_ACK):
    """None, or what is not as it should be."""
    reason = refusal(GENL.command, command, *data, flags=flags)
    offset = None if at is None else 4 + len(netlink.attrs(data[:at]))
    if reason and reason.code == code and (
            # 6.1 keeps to itself what the beginning of a dump has to say
            flags == F_DUMP and not reason.text or
            reason.offset == offset and re.search(words, reason.text)):
        return None
    return "%d %s: want %s /%s/ at %s, have %r at %s" % (
        command, data, errno.errorcode[code], words, offset, reason,
        reason and reason.offset)


@SUITE.test("what is asked wrongly is refused, and it is said why")
def _():
    problems = []
    with device():
        before = entries(), reasm()
        for data, *want in WRONG_DEVICE:
            rest = ONE if len(data) == 1 else ()
            problems += [
                expect_refusal(DEV_GET, data, *want),
                expect_refusal(DEV_GET, data, *want, flags=F_DUMP) if data
                else None,
                expect_refusal(FDB_GET, data, *want, flags=F_DUMP) if data
                else None,
                expect_refusal(FDB_NEW, (*data, *(rest or ONE)), *want),
                expect_refusal(FDB_DEL, (*data, *(rest or ONE)), *want),
                expect_refusal(FDB_FLUSH, data, *want)]
        for want in WRONG:
            problems.append(expect_refusal(*want))
        problems.append(expect_refusal(
            FDB_GET, (X, ONE[1], (DST6, inet("fd00::9"))), errno.EINVAL,
            "not both", 2, flags=F_DUMP))
        # for one entry there is rtnetlink
        problems.append(expect_refusal(FDB_GET, (X,), errno.EOPNOTSUPP, "",
                                       None))
        equal((entries(), reasm()), before, "after all that was refused")
    none(p for p in problems if p)


@SUITE.test("a device for one remote has no entries, nothing to flush")
def _():
    with device((KEY, u64(5)), (REMOTE, inet("10.0.0.2"))) as index:
        equal(entries(X), [], "entries")
        answer, = GENL.command(FDB_FLUSH, X)
        equal(answer, {IFINDEX: u32(index), IFNAME: string("x"),
                       COUNT: u32(0)}, "flush")
        reason = refusal(GENL.command, FDB_DEL, X, (LLADDR, mac(1)))
        check(reason and reason.code == errno.ENOENT, reason)
        # the remote is a destination of the all-zero address already
        reason = refusal(new, ZERO, "10.0.0.3")
        check(reason and reason.code == errno.EEXIST, reason)
        check(D_ENTRIES not in get_dev(), "an FDB after what was refused")
        new(mac(1), "10.0.0.3")
        equal(entries(X), [entry(index, ZERO, "10.0.0.2"),
                           entry(index, mac(1), "10.0.0.3")], "entries")


# --------------------------------------------------------------- the entries

@SUITE.test("an entry is shown as it was made, with every attribute")
def _():
    under = RT.index("under0")
    with device((KEY, u64(5)), (OKEY, u64(6)), (PORT, be(7000))) as index:
        new(mac(1), "10.0.0.2")
        new(mac(2), "10.0.0.3", (F_KEY, u64(1 << 63)), (F_PORT, be(1)),
            (F_LINK, u32(under)), (SRC_KEY, u64(5)))
        new(mac(3), "fd00::2", (STATE, u16(NUD_NOARP)),
            (FLAGS, u8(NTF_ROUTER | NTF_EXT_LEARNED)))
        new(mac(4), "10.0.0.4", (STATE, u16(NUD_REACHABLE)))
        new(GROUP, "239.1.1.1", (F_LINK, u32(under)))
        new(ZERO, "ff02::1", (F_LINK, u32(under)))
        equal(entries(), [
            entry(index, mac(1), "10.0.0.2", key=6, port=7000),
            entry(index, mac(2), "10.0.0.3", key=1 << 63, port=1, via=under),
            entry(index, mac(3), "fd00::2", key=6, port=7000,
                  state=NUD_NOARP, flags=NTF_ROUTER | NTF_EXT_LEARNED),
            entry(index, mac(4), "10.0.0.4", key=6, port=7000,
                  state=NUD_REACHABLE),
            entry(index, GROUP, "239.1.1.1", key=6, port=7000, via=under),
            entry(index, ZERO, "ff02::1", key=6, port=7000, via=under)],
            "entries")


@SUITE.test("an external device has entries for each Context ID")
def _():
    with device((EXTERNAL, u8(1)), (KEYBASE, u32(9))) as index:
        new(mac(1), "10.0.0.2")
        new(mac(1), "10.0.0.3", (SRC_KEY, u64(1 << 40)))
        new(mac(1), "10.0.0.4", (SRC_KEY, u64(7)), (F_KEY, u64(8)))
        equal(entries(X), [
            entry(index, mac(1), "10.0.0.2", src=0),
            entry(index, mac(1), "10.0.0.3", src=1 << 40),
            entry(index, mac(1), "10.0.0.4", src=7, key=8)], "entries")
        GENL.command(FDB_DEL, X, (LLADDR, mac(1)), (SRC_KEY, u64(1 << 40)))
        equal([e[SRC_KEY] for e in entries(X)], [u64(0), u64(7)],
              "Context IDs left")
        equal(entries(X, (SRC_KEY, u64(0))),
              [entry(index, mac(1), "10.0.0.2", src=0)], "those of 0")


@SUITE.test("add, replace, append, delete: one destination, or several")
def _():
    with device() as index:
        new(mac(1), "10.0.0.2")
        for mode, code, words in ((ADD, errno.EEXIST, "exists"),
                                  (APPEND, errno.EOPNOTSUPP, "one dest")):
            reason = refusal(new, mac(1), "10.0.0.3", mode=mode)
            check(reason and reason.code == code, mode, reason)
            check(words in reason.text, reason)
        new(mac(1), "10.0.0.3", mode=REPLACE)
        new(mac(2), "10.0.0.2", mode=REPLACE)
        new(mac(3), "10.0.0.2", mode=APPEND)
        equal(places(X), [(mac(1), "10.0.0.3"), (mac(2), "10.0.0.2"),
                          (mac(3), "10.0.0.2")], "one destination each")
        for address in (ZERO, GROUP):
            new(address, "10.0.0.2", mode=REPLACE)
            for mode, code in ((ADD, errno.EEXIST),
                               (REPLACE, errno.EOPNOTSUPP)):
                reason = refusal(new, address, "10.0.0.3", mode=mode)
                check(reason and reason.code == code, mode, reason)
            new(address, "10.0.0.3", mode=APPEND)
            new(address, "10.0.0.3", (F_PORT, be(9)), mode=APPEND)
            new(address, "10.0.0.3", mode=APPEND)
            mine = (LLADDR, address)
            equal(entries(X, mine),
                  [entry(index, address, "10.0.0.2"),
                   entry(index, address, "10.0.0.3"),
                   entry(index, address, "10.0.0.3", port=9)], "several")
            reason = refusal(GENL.command, FDB_DEL, X, mine,
                             (DST, inet("10.0.0.4")))
            check(reason and reason.code == errno.ENOENT, reason)
            GENL.command(FDB_DEL, X, mine, (DST, inet("10.0.0.2")))
            GENL.command(FDB_DEL, X, mine, (DST, inet("10.0.0.3")),
                         (F_PORT, be(9)))
            equal(entries(X, mine), [entry(index, address, "10.0.0.3")],
                  "the one that is left")
            GENL.command(FDB_DEL, X, mine, (DST, inet("10.0.0.3")))
            equal(entries(X, mine), [], "after the last")
            new(address, "10.0.0.2")
            new(address, "10.0.0.3", mode=APPEND)
            GENL.command(FDB_DEL, X, mine)
            equal(entries(X, mine), [], "after all at once")
        reason = refusal(GENL.command, FDB_DEL, X, (LLADDR, mac(1)),
                         (DST, inet("10.0.0.2")))
        check(reason and reason.code == errno.ENOENT, reason)
        GENL.command(FDB_DEL, X, (LLADDR, mac(1)), (DST, inet("10.0.0.3")))
        GENL.command(FDB_DEL, X, (LLADDR, mac(2)))
        equal(places(X), [(mac(3), "10.0.0.2")], "entries left")


@SUITE.test("a dump of the FDB has those that were asked for")
def _():
    with device() as x, device((EXTERNAL, u8(1)), name="y") as y:
        also = (IFNAME, string("y"))
        new(mac(1), "10.0.0.2")
        new(mac(2), "10.0.0.3")
        new(mac(3), "fd00::2")
        new(mac(1), "10.0.0.2", (SRC_KEY, u64(8)), dev=also)
        new(mac(1), "10.0.0.3", (SRC_KEY, u64(9)), dev=also)

        def chosen(*data):
            return sorted((number(e[IFINDEX]), e[LLADDR][5],
                           number(e[SRC_KEY])) for e in entries(*data))

        everything = [(x, 1, 5), (x, 2, 5), (x, 3, 5), (y, 1, 8), (y, 1, 9)]
        for data, want in (
                ((), [0, 1, 2, 3, 4]),
                (((IFINDEX, u32(x)),), [0, 1, 2]),
                ((also,), [3, 4]),
                (((LLADDR, mac(1)),), [0, 3, 4]),
                (((LLADDR, mac(7)),), []),
                (((SRC_KEY, u64(9)),), [4]),
                (((SRC_KEY, u64(5)),), [0, 1, 2]),
                (((DST, inet("10.0.0.2")),), [0, 3]),
                (((DST6, inet("fd00::2")),), [2]),
                (((DST6, inet("fd00::3")),), []),
                ((also, (LLADDR, mac(1)), (SRC_KEY, u64(9)),
                  (DST, inet("10.0.0.3"))), [4]),
                ((also, (LLADDR, mac(1)), (SRC_KEY, u64(9)),
                  (DST, inet("10.0.0.2"))), [])):
            equal(chosen(*data), [everything[i] for i in want],
                  "chosen by %s" % (data,))


@SUITE.test("a long dump has each entry once, whatever comes and goes")
def _():
    count = 150
    small = netlink.Generic(B.hv, "stt", room=4096)
    with device():
        new(mac(999), "10.0.0.2")
        for i in range(40):
            new(ZERO, "10.0.1.%d" % i, mode=APPEND)
        for i in range(count):
            new(mac(i), "10.0.0.2")

        def begin():
            small.sock.send(small.pack(small.family, F_DUMP,
                                       small.payload(FDB_GET, X)))

        def rest(out):
            out += small.answers()
            have = [parse(body[4:]) for body in out]
            return [e[LLADDR] for e in have], \
                [e[DST] for e in have if e[LLADDR] == ZERO]

        def part():
            return [body for kind, _, _, body in small.received()
                    if kind == small.family]

        want = [mac(i) for i in range(count)]
        begin()
        macs, dests = rest([])
        check(small.datagrams > 3, "datagrams", small.datagrams)
        equal(macs, [mac(999)] + [ZERO] * 40 + want, "all")
        equal(len(set(dests)), 40, "destinations of one address")
        # the first go, some of which were dumped, and the last
        begin()
        out = part() + part()
        check(parse(out[-1][4:])[LLADDR] != want[-1], "over already")
        gone = {mac(999), want[-1], ZERO}
        for address in gone:
            GENL.command(FDB_DEL, X, (LLADDR, address))
        new(mac(998), "10.0.0.2")
        macs, _ = rest(out)
        equal([m for m in macs if m not in gone and m != mac(998)],
              want[:-1], "those that were there all the time")
        # all that follow go but the last ones: it finds its place again
        begin()
        out = part()
        at = want.index(parse(out[-1][4:])[LLADDR]) + 1
        gone = set(want[at:-10])
        check(len(gone) > 80, "left to dump", len(gone))
        for address in gone:
            GENL.command(FDB_DEL, X, (LLADDR, address))
        macs, _ = rest(out)
        equal([m for m in macs if m not in gone],
              want[:at] + want[-10:-1] + [mac(998)],
              "those that were there all the time")
        equal(len(macs), len(set(macs)), "entries, each once")
    small.close()


@SUITE.test("a flush takes what was asked for, and says how many")
def _():
    with device() as x:
        def fill():
            GENL.command(FDB_FLUSH, X)
            refusal(GENL.command, FDB_DEL, X, (LLADDR, ZERO))
            new(mac(1), "10.0.0.2")
            new(mac(2), "10.0.0.2", (STATE, u16(NUD_NOARP)))
            new(mac(3), "10.0.0.3", (STATE, u16(NUD_REACHABLE)))
            new(mac(4), "fd00::2", (FLAGS, u8(NTF_EXT_LEARNED)))
            new(GROUP, "10.0.0.2", mode=APPEND)
            new(GROUP, "10.0.0.3", mode=APPEND)
            new(ZERO, "10.0.0.2", mode=APPEND)
            new(ZERO, "10.0.0.4", mode=APPEND)

        # filter, destinations flushed, addresses left
        name = {mac(1): "1", mac(2): "2", mac(3): "3", mac(4): "4",
                GROUP: "g", ZERO: "z"}
        for data, count, left in (
                ((), 6, "zz"),
                (((DST, inet("10.0.0.2")),), 4, "34gz"),
                (((DST, inet("10.0.0.4")),), 1, "1234ggz"),
                (((DST6, inet("fd00::2")),), 1, "123ggzz"),
                (((DST, inet("10.0.0.9")),), 0, "1234ggzz"),
                (((STATE_MASK, u16(NUD_PERMANENT)),), 2, "14ggzz"),
                (((STATE, u16(NUD_NOARP)), (STATE_MASK, u16(NUD_NOARP))), 1,
                 "134ggzz"),
                (((FLAGS, u8(NTF_EXT_LEARNED)),
                  (FLAGS_MASK, u8(NTF_EXT_LEARNED))), 1, "123ggzz"),
                (((FLAGS_MASK, u8(NTF_EXT_LEARNED)),), 5, "4zz"),
                (((SRC_KEY, u64(5)),), 6, "zz"),
                (((SRC_KEY, u64(6)),), 0, "1234ggzz")):
            fill()
            answers = []
            events = heard(lambda d=data, a=answers: a.extend(
                GENL.command(FDB_FLUSH, X, *d)))
            # what is not compared is not part of the filter
            want = {IFINDEX: u32(x), IFNAME: string("x"), COUNT: u32(count),
                    **dict(data)}
            if STATE_MASK in want:
                want.setdefault(STATE, u16(0))
            if FLAGS_MASK in want:
                want.setdefault(FLAGS, u8(0))
            equal(answers, [want], "answer to a flush of %s" % (data,))
            equal(events, [(FDB_FLUSH_NTF, want)] if count else [],
                  "events of a flush of %s" % (data,))
            equal("".join(sorted(name[e[LLADDR]] for e in entries(X))), left,
                  "left by a flush of %s" % (data,))
        # the remote of the device is the device's affair
        RT.change((REMOTE, inet("10.0.0.4")))
        fill_zero = [e for e in entries(X) if e[LLADDR] == ZERO]
        answer, = GENL.command(FDB_FLUSH, X, (DST, inet("10.0.0.4")))
        equal(answer[COUNT], u32(0), "destinations flushed")
        equal([e for e in entries(X) if e[LLADDR] == ZERO], fill_zero,
              "destinations of the all-zero address")


@SUITE.test("a flush of more than a batch leaves nothing")
def _():
    with device():
        for i in range(260):
            new(mac(i), "10.0.0.2")
        answer, = GENL.command(FDB_FLUSH, X)
        equal(answer[COUNT], u32(260), "destinations flushed")
        equal(entries(X), [], "entries left")


# -------------------------------------------------------------------- events

@SUITE.test("events of devices: made, changed, deleted")
def _():
    events = heard(lambda: RT.add((KEY, u64(5)), (TOS, u8(8))))
    (made, have), = events
    equal(made, DEV_NEW_NTF, "event")
    equal(have[D_IFNAME], string("x"), "name")
    equal(have[D_IFINDEX], u32(RT.index("x")), "index")
    equal(parse(have[D_CONF])[TOS], u8(8), "configuration")
    (changed, have), = heard(lambda: RT.change((TOS, u8(16))))
    equal(changed, DEV_CHANGE_NTF, "event")
    equal(have, get_dev(), "as told and as shown")
    equal(parse(have[D_CONF])[TOS], u8(16), "configuration")
    check(heard(lambda: refusal(RT.change, (TOS, u8(0)), (KEY, u64(9)))) == [],
          "event of a change that was refused")
    (gone, have), = heard(RT.delete)
    equal((gone, have[D_IFNAME]), (DEV_DEL_NTF, string("x")), "event")


@SUITE.test("events of entries: new, moved, gone, each once")
def _():
    with device() as x:
        def replace(*data, dst="10.0.0.2", address=mac(1)):
            return lambda: new(address, dst, *data, mode=REPLACE)

        def append(dst, address=ZERO):
            return lambda: new(address, dst, mode=APPEND)

        def delete(*data, address=mac(1)):
            return lambda: GENL.command(FDB_DEL, X, (LLADDR, address), *data)

        told(lambda: new(mac(1), "10.0.0.2"),
             (FDB_NEW_NTF, entry(x, mac(1), "10.0.0.2")))
        told(replace())
        told(replace((STATE, u16(NUD_NOARP))),
             (FDB_NEW_NTF, entry(x, mac(1), "10.0.0.2", state=NUD_NOARP)))
        told(replace((F_PORT, be(9))),
             (FDB_NEW_NTF, entry(x, mac(1), "10.0.0.2", port=9)))
        told(replace(dst="10.0.0.3"),
             (FDB_MOVE_NTF, {**entry(x, mac(1), "10.0.0.3"),
                             OLD_DST: inet("10.0.0.2")}))
        told(replace(dst="fd00::2"),
             (FDB_MOVE_NTF, {**entry(x, mac(1), "fd00::2"),
                             OLD_DST: inet("10.0.0.3")}))
        told(replace(dst="10.0.0.3"),
             (FDB_MOVE_NTF, {**entry(x, mac(1), "10.0.0.3"),
                             OLD_DST6: inet("fd00::2")}))
        told(lambda: refusal(delete((DST, inet("10.0.0.9")))))
        told(delete(), (FDB_DEL_NTF, entry(x, mac(1), "10.0.0.3")))
        for dst in ("10.0.0.2", "fd00::2", "10.0.0.3"):
            told(append(dst), (FDB_NEW_NTF, entry(x, ZERO, dst)))
        told(append("10.0.0.3"))
        told(delete((DST6, inet("fd00::2")), address=ZERO),
             (FDB_DEL_NTF, entry(x, ZERO, "fd00::2")))
        told(delete(address=ZERO),
             (FDB_DEL_NTF, entry(x, ZERO, "10.0.0.2")),
             (FDB_DEL_NTF, entry(x, ZERO, "10.0.0.3")))
        new(mac(1), "10.0.0.2")
        # that the device is gone says it all
        (gone, _), = heard(RT.delete)
        equal(gone, DEV_DEL_NTF, "event")


@SUITE.test("events of learning: a station comes, moves and is forgotten")
def _():
    with device((KEY, u64(5)), (OKEY, u64(6))) as x:
        def seen(dst):
            return entry(x, mac(7), dst, key=6, state=NUD_REACHABLE)

        told(lambda: arrive(mac(7)), (FDB_NEW_NTF, seen("10.0.0.2")), least=1)
        told(lambda: arrive(mac(7), "10.0.0.3"),
             (FDB_MOVE_NTF, {**seen("10.0.0.3"), OLD_DST: inet("10.0.0.2")}),
             least=1)
        told(lambda: arrive(mac(7), "fd00::2"),
             (FDB_MOVE_NTF, {**seen("fd00::2"), OLD_DST: inet("10.0.0.3")}),
             least=1)
        told(lambda: arrive(mac(7), "fd00::3"),
             (FDB_MOVE_NTF, {**seen("fd00::3"), OLD_DST6: inet("fd00::2")}),
             least=1)
        # one that is set stays where it is, whatever arrives
        new(mac(8), "10.0.0.2")
        new(mac(9), "10.0.0.2", (STATE, u16(NUD_REACHABLE)),
            (FLAGS, u8(NTF_EXT_LEARNED)))
        told(lambda: [arrive(mac(i), "10.0.0.3") for i in (8, 9)])
        # one of the device, which has changed, and one of the station
        events = heard(lambda: RT.change((AGEING, u32(1))), 2)
        equal([(c, timeless(e)) for c, e in events if c != DEV_CHANGE_NTF],
              [(FDB_DEL_NTF, seen("fd00::3"))], "told of its end")
        equal(places(X), [(mac(8), "10.0.0.2"), (mac(9), "10.0.0.2")],
              "those that do not age")


@SUITE.test("the remote of a device is an entry, whose changes are told")
def _():
    with device() as x:
        def remote(kind, address):
            events = heard(lambda: RT.change((kind, inet(address))))
            equal(events[-1][0], DEV_CHANGE_NTF, "the last event")
            return [(c, timeless(e)) for c, e in events[:-1]]

        def zero(dst):
            return entry(x, ZERO, dst)

        equal(remote(REMOTE, "10.0.0.2"), [(FDB_NEW_NTF, zero("10.0.0.2"))],
              "a remote")
        equal(remote(REMOTE, "10.0.0.3"), [(FDB_NEW_NTF, zero("10.0.0.3")),
                                           (FDB_DEL_NTF, zero("10.0.0.2"))],
              "another")
        equal(remote(REMOTE, "0.0.0.0"), [(FDB_DEL_NTF, zero("10.0.0.3"))],
              "none")
        equal(number(get_dev()[D_ENTRIES]), 0, "entries")
        equal(remote(REMOTE6, "fd00::2"), [(FDB_NEW_NTF, zero("fd00::2"))],
              "one of IPv6")


# ------------------------------------------------------ counters, reassembly

def stats():
    """(counters by name, attributes of reassembly)"""
    body, = GENL.ask(GENL.family, 0, GENL.payload(STATS_GET))
    counters = {}
    have = netlink.pairs_of(body[4:])
    for kind, nest in have:
        if kind == S_COUNTER:
            one = parse(nest)
            name = one[C_NAME].rstrip(b"\0").decode()
            check(name not in counters, "twice", name)
            counters[name] = number(one[C_VALUE])
    return counters, {k: number(v) for k, v in
                      parse(dict(have)[S_REASM]).items()}


def reasm():
    return stats()[1]


@SUITE.test("counters of the namespace are those of /proc/net/stt")
def _():
    with device():
        before, _ = stats()
        equal(sorted(before), sorted(COUNTERS), "names")
        arrive(mac(1), key=77)
        link.await_("a frame for nobody",
                    lambda: stats()[0]["rx_unknown_id"] >
                    before["rx_unknown_id"])
        after, held = stats()
        equal(bench.moved(before, after),
              {"rx_segments": 1, "rx_whole": 1, "rx_unknown_id": 1}, "moved")
        other = B.net_stats()
        equal({n: other[n] for n in after}, after, "counters in /proc")
        equal((other["reasm_budget"], other["reasm_timeouts"],
               other["reasm_evictions"], other["reasm_mem"]),
              (held[R_BUDGET], held[R_TIMEOUTS], held[R_EVICTIONS],
               held[R_MEM]), "reassembly in /proc")


@SUITE.test("limits of reassembly are set, each alone, and have effect")
def _():
    before = reasm()
    equal(sorted(before), list(range(R_BUDGET, R_EVICTIONS + 1)),
          "attributes")
    equal(before[R_TIMEOUT], 1000, "default of the timeout")
    equal(before[R_BUDGET], before[R_DEFAULT], "budget and its default")
    check(4 << 20 <= before[R_DEFAULT] <= 64 << 20, before[R_DEFAULT])
    try:
        for value in (1, 60000, 100):
            GENL.command(REASM_SET, (R_TIMEOUT, u32(value)))
            equal(reasm(), {**before, R_TIMEOUT: value}, "timeout")
        for value in (BUDGET_MIN, BUDGET_MAX, before[R_DEFAULT] + 1):
            GENL.command(REASM_SET, (R_BUDGET, u64(value)))
            equal(reasm(), {**before, R_TIMEOUT: 100, R_BUDGET: value},
                  "budget")
        with device():
            frame = stt.frame(stt.eth(bytes(2000), 0x88b6, bench.OUR_MAC,
                                      mac(1)), 5)
            first, _ = B.v4.path.cut(frame, B.new_id(), 1400)
            GENL.command(REASM_SET, (R_TIMEOUT, u32(60000)))
            B.far.send(first)
            held = link.await_("a part of a frame",
                               lambda: reasm() if reasm()[R_FRAMES] else None)
            equal(held[R_FRAMES], 1, "incomplete frames")
            check(held[R_MEM] >= 1400, "bytes held", held[R_MEM])
            # which counts for the frames that begin from now on
            GENL.command(REASM_SET, (R_TIMEOUT, u32(50)))
            first, _ = B.v4.path.cut(frame, B.new_id(), 1400)
            B.far.send(first)
            link.await_("a frame to be given up",
                        lambda: reasm()[R_TIMEOUTS] > before[R_TIMEOUTS])
    finally:
        GENL.command(REASM_SET, (R_TIMEOUT, u32(before[R_TIMEOUT])),
                     (R_BUDGET, u64(before[R_BUDGET])))


# -------------------------------------------------------------- permissions

class Here:
    """The namespace that a process is in."""
    socket = staticmethod(socket.socket)


def elsewhere(function):
    """What function() returns in another process: a text."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            text = function()
        except BaseException as reason:  # pylint: disable=broad-except
            text = repr(reason)
        os.write(writer, text.encode()[:4000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as file:
        out = file.read()
    os.waitpid(child, 0)
    return out


def codes(*calls):
    """The errors of these calls, by their names."""
    return " ".join(errno.errorcode[r.code] if r else "0" for r in
                    (refusal(*call) for call in calls))


@SUITE.test("who may not administer the network may look, not touch")
def _():
    def unprivileged():
        # for good: it may not go back
        contextlib.ExitStack().enter_context(B.hv)
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        genl = netlink.Generic(Here, "stt")
        return codes((genl.command, FDB_NEW, X, *ONE),
                     (genl.command, FDB_DEL, X, ONE[0]),
                     (genl.command, FDB_FLUSH, X),
                     (genl.command, REASM_SET, (R_TIMEOUT, u32(9))),
                     (genl.command, STATS_GET),
                     (genl.command, DEV_GET, X)) + \
            " %d" % len(genl.dump(FDB_GET, X))

    with device():
        new(mac(1), "10.0.0.2")
        equal(elsewhere(unprivileged), "EPERM EPERM EPERM EPERM 0 0 1",
              "errors")
        equal(len(entries(X)), 1, "entries")


@SUITE.test("root of a user namespace rules its own, within the default")
def _():
    if not os.path.exists("/proc/self/ns/user"):
        raise Skip("this kernel has no user namespaces")
    limit = reasm()[R_DEFAULT]

    def apart():
        if LIBC.unshare(CLONE_NEWUSER | CLONE_NEWNET):
            return "unshare: " + os.strerror(ctypes.get_errno())
        genl = netlink.Generic(Here, "stt")
        route = netlink.Route(Here)
        route.add((KEY, u64(5)))
        over = refusal(genl.command, REASM_SET, (R_BUDGET, u64(limit + 1)))
        return codes((genl.command, FDB_NEW, X, *ONE),
                     (genl.command, FDB_FLUSH, X),
                     (genl.command, REASM_SET, (R_TIMEOUT, u32(9))),
                     (genl.command, REASM_SET, (R_BUDGET, u64(limit)))) + \
            " %s %s %s" % (over and errno.errorcode[over.code],
                           over and over.offset, over and over.text)

    have = elsewhere(apart)
    check(re.fullmatch("0 0 0 0 EPERM 4 .*administrator of the machine.*",
                       have), have)
    equal(reasm()[R_TIMEOUT], 1000, "timeout of the other namespace")


# ---------------------------------------------------------------------- main

def setup():
    global B, RT, GENL, EVENTS  # pylint: disable=global-statement
    B = bench.Bench()
    # that nothing is sent but by the tests
    B.hv.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
    RT = netlink.Route(B.hv)
    GENL = netlink.Generic(B.hv, "stt")
    RT.add((KEY, u64(0xffff)), (REMOTE, inet("10.0.0.99")), name="mark")
    EVENTS = Listener(B.hv, mark)


def main():
    try:
        return SUITE.run(setup=setup)
    finally:
        if B is not None:
            B.close()


if __name__ == "__main__":
    link.require_module()
    sys.exit(main())
