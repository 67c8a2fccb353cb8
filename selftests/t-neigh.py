#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The forwarding database by rtnetlink, as bridge(8) has it.

Entries made, changed, deleted, flushed and dumped; who is told; what is
learned; and where frames go then. Segments are built and read by the oracle.
Run as root with the module loaded.
"""

import contextlib
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
    AGEING, EXTERNAL, KEY, KEYBASE, LEARNING, LIMIT, LOCAL, OKEY, PORT, REMOTE,
    REMOTE6)
from oracle.netlink import (                                    # noqa: E402
    F_APPEND, F_BULK, F_CREATE, F_DUMP, F_EXCL, F_REPLACE, NDA_DST,
    NDA_FLAGS_MASK, NDA_IFINDEX, NDA_LLADDR, NDA_PORT, NDA_SRC_VNI,
    NDA_STATE_MASK, NDA_VLAN, NDA_VNI, NTF_EXT_LEARNED, NTF_ROUTER, NTF_SELF,
    NUD_NOARP, NUD_PERMANENT, NUD_REACHABLE, RTM_DELNEIGH, RTM_GETNEIGH,
    RTM_NEWNEIGH, RTNLGRP_NEIGH)
from oracle.netlink import (                                    # noqa: E402
    be, inet, parse, refusal, u8, u16, u32, u64)

SUITE = ktap.Suite()
B = None                        # the Bench
RT = WATCH = None               # sockets of its namespace

NDA_CACHEINFO = 3
NTF_USE = 1
RTN_UNICAST = 1
ADD, REPLACE = F_CREATE | F_EXCL, F_CREATE | F_REPLACE
APPEND = F_CREATE | F_APPEND

ZERO = bytes(6)
GROUP = bytes((1, 0, 0x5e, 0, 0, 1))


def mac(last):
    return bytes((2, 0, 0, 0)) + struct.pack("!H", last)


@contextlib.contextmanager
def device(*data, name="x", up=True):
    """The index of a device."""
    RT.add(*(data or ((KEY, u64(5)),)), name=name, up=up)
    try:
        yield RT.index(name)
    finally:
        refusal(RT.delete, name)


def to(text):
    return (NDA_DST, inet(text))


def new(index, lladdr, dst, *data, flags=ADD, **kwargs):
    RT.neigh(RTM_NEWNEIGH, flags, index, lladdr, to(dst), *data, **kwargs)


def delete(index, lladdr, *data):
    RT.neigh(RTM_DELNEIGH, 0, index, lladdr, *data)


def flush(index, *data, state=0, ntf=NTF_SELF):
    RT.neigh(RTM_DELNEIGH, F_BULK, index, None, *data, state=state, ntf=ntf)


def entry(index, lladdr, dst, *data, state=NUD_PERMANENT, ntf=0):
    """What is said of an entry, besides when it was used."""
    return (index, state, ntf | NTF_SELF,
            {NDA_LLADDR: lladdr, NDA_DST: inet(dst), **dict(data)})


def understood(body):
    """A neighbour message in the form of entry()."""
    family, index, state, ntf = struct.unpack_from("=BxxxiHB", body)
    equal(family, socket.AF_BRIDGE, "family")
    have = parse(body[12:])
    # confirmed, used, updated, references: hundredths of a second
    times = have.pop(NDA_CACHEINFO, bytes(16))
    check(max(struct.unpack("=4I", times)) < 60000, "times", times)
    return index, state, ntf, have


def entries(index):
    bodies = RT.neigh(RTM_GETNEIGH, F_DUMP, index, None, state=0, ntf=0)
    none("type %d" % body[11] for body in bodies if body[11] != RTN_UNICAST)
    return [understood(body) for body in bodies]


def places(index):
    """(MAC, destination) of the entries."""
    return [(e[3][NDA_LLADDR], bench.text(e[3][NDA_DST]))
            for e in entries(index)]


def arrive(station, far="10.0.0.2", key=5):
    """A frame of that station arrives."""
    under = B.v6 if ":" in far else B.v4
    frame = stt.eth(bytes(100), 0x88b6, bench.OUR_MAC, station)
    for ether in under.path_from(far).cut(stt.frame(frame, key), B.new_id(),
                                          1400):
        B.far.send(ether)


def learned(index, station, far="10.0.0.2", key=5):
    arrive(station, far, key)
    link.await_("%s behind %s" % (station.hex(), far),
                lambda: (station, far) in places(index))


class Watcher(netlink.Route):
    """Hears of neighbours."""

    def __init__(self, space):
        super().__init__(space)
        self.join(RTNLGRP_NEIGH)

    def hear(self, least=0):
        """(message type, entry) of stt devices since the last call, when at
        least that many have come. An own entry of the underlay is the mark."""
        out = []
        marked = False
        while True:
            if len(out) >= least and not marked:
                mark()
                marked = True
            try:
                fresh = list(self.received())
            except TimeoutError as late:
                raise Failure("after", out, "no more") from late
            for kind, _, _, body in fresh:
                if body[0] != socket.AF_BRIDGE:
                    continue
                have = understood(body)
                if have[3].get(NDA_LLADDR) == MARK:
                    return out
                out.append((kind, have))


MARK = mac(0xffff)


def mark():
    """A message that nothing else makes: about an entry of a dummy."""
    RT.neigh(RTM_NEWNEIGH, REPLACE, RT.index("mark0"), MARK)


def heard(action, least=0):
    """What is told because of it."""
    WATCH.hear()
    action()
    return WATCH.hear(least)


def sent(port, frame, count, dport=stt.PORT):
    """STT frames that a frame becomes, which are that many."""
    B.far.drain()
    port.send(frame)
    table = stt.Reassembler()
    out = []

    def complete(packet, _):
        seg = stt.Segment.parse(packet.data, dport)
        done = table.add(seg) if seg else None
        if done and done.inner == frame:
            out.append(done)
        return len(out) >= count

    B.far.until(complete)
    return sorted((bench.text(f.segments[0].dst), f.header.key) for f in out)


# --------------------------------------------------------------- the entries

@SUITE.test("entries are shown as they were made")
def _():
    under = RT.index("under0")
    with device((KEY, u64(5)), (OKEY, u64(6)), (PORT, be(7000))) as x:
        made = (
            # address, destination, attributes, state, flags; and what is
            # shown of the attributes, if that differs
            (mac(1), "10.0.0.2", (), NUD_PERMANENT, 0),
            (mac(2), "10.0.0.2", (), NUD_NOARP, 0),
            (mac(3), "10.0.0.2", (), NUD_REACHABLE, 0),
            (mac(4), "fd00::2", (), NUD_PERMANENT, NTF_EXT_LEARNED),
            (mac(5), "10.0.0.2", (), NUD_PERMANENT, NTF_ROUTER),
            (mac(6), "10.0.0.3", ((NDA_PORT, be(9999)),), NUD_PERMANENT, 0),
            (mac(7), "10.0.0.3", ((NDA_IFINDEX, u32(under)),), NUD_PERMANENT,
             0),
            (mac(8), "10.0.0.3", ((NDA_VNI, u32(77)),), NUD_PERMANENT, 0),
            (mac(9), "10.0.0.3", ((NDA_VNI, u64(1 << 32)),), NUD_PERMANENT,
             0),
            (mac(10), "10.0.0.3", ((NDA_VNI, u64(77)),), NUD_PERMANENT, 0,
             ((NDA_VNI, u32(77)),)),
            # what is the device's own is not repeated
            (mac(11), "10.0.0.3", ((NDA_VNI, u32(6)), (NDA_PORT, be(7000)),
                                   (NDA_SRC_VNI, u32(5))), NUD_PERMANENT, 0,
             ()),
            # orders, and what is the bridge's: not properties of the entry
            (mac(12), "10.0.0.3", ((NDA_VLAN, u16(5)),), NUD_PERMANENT, 0,
             ()),
            (ZERO, "239.1.1.1", ((NDA_IFINDEX, u32(under)),), NUD_PERMANENT,
             0),
            (GROUP, "ff02::1", ((NDA_IFINDEX, u32(under)),), NUD_PERMANENT,
             0),
        )
        want = []
        for address, dst, data, state, ntf, *shown in made:
            new(x, address, dst, *data, state=state,
                ntf=ntf | NTF_SELF | (NTF_USE if address == mac(12) else 0))
            want.append(entry(x, address, dst, *(shown[0] if shown else data),
                              state=state, ntf=ntf))
        equal(entries(x), want, "entries")
        for one in want:
            answer, = RT.neigh(RTM_GETNEIGH, 0, x, one[3][NDA_LLADDR],
                               state=0)
            equal(understood(answer), one, "one entry")
        reason = refusal(RT.neigh, RTM_GETNEIGH, 0, x, mac(99), state=0)
        check(reason and reason.code == errno.ENOENT, reason)
        check("No FDB entry" in reason.text, reason)


@SUITE.test("an external device has entries for each Context ID")
def _():
    # the upper half of a Context ID is the device's, not the entry's
    for keybase in ((), ((KEYBASE, u32(9)),)):
        with device((EXTERNAL, u8(1)), *keybase) as x:
            new(x, mac(1), "10.0.0.2")
            new(x, mac(1), "10.0.0.3", (NDA_SRC_VNI, u32(7)))
            new(x, mac(1), "10.0.0.4", (NDA_SRC_VNI, u64(1 << 33)),
                (NDA_VNI, u32(8)))
            want = [
                entry(x, mac(1), "10.0.0.2"),
                entry(x, mac(1), "10.0.0.3", (NDA_SRC_VNI, u32(7)),
                      (NDA_VNI, u32(7))),
                entry(x, mac(1), "10.0.0.4", (NDA_SRC_VNI, u64(1 << 33)),
                      (NDA_VNI, u32(8)))]
            equal(entries(x), want, "entries")
            # a question cannot have a src_vni, but a vni
            for data, one in (((), want[0]), (((NDA_VNI, u32(7)),), want[1])):
                answer, = RT.neigh(RTM_GETNEIGH, 0, x, mac(1), *data, state=0)
                equal(understood(answer), one, "one entry")
            delete(x, mac(1), (NDA_SRC_VNI, u64(7)))
            equal(entries(x), [want[0], want[2]], "entries left")
            delete(x, mac(1))
            equal(entries(x), want[2:], "entries left")


def refused(code, words, function, *args, **kwargs):
    reason = refusal(function, *args, **kwargs)
    check(reason and reason.code == code and re.search(words, reason.text),
          args, kwargs, "want", errno.errorcode[code], words, "have", reason)


@SUITE.test("add, replace, append, delete: one destination, or several")
def _():
    with device((KEY, u64(5)), (LOCAL, inet("10.0.0.1"))) as x:
        refused(errno.EINVAL, "permanent", new, x, mac(1), "10.0.0.2",
                state=0)
        refused(errno.ENOENT, "", new, x, mac(1), "10.0.0.2",
                flags=F_REPLACE)
        new(x, mac(1), "10.0.0.2")
        refused(errno.EEXIST, "exists", new, x, mac(1), "10.0.0.3")
        refused(errno.EOPNOTSUPP, "append", new, x, mac(1), "10.0.0.3",
                flags=APPEND)
        refused(errno.EAFNOSUPPORT, "family", new, x, mac(1), "fd00::2",
                flags=REPLACE)
        new(x, mac(1), "10.0.0.3", flags=F_REPLACE, state=NUD_NOARP)
        new(x, mac(2), "10.0.0.2", flags=REPLACE)
        equal(entries(x), [entry(x, mac(1), "10.0.0.3", state=NUD_NOARP),
                           entry(x, mac(2), "10.0.0.2")], "entries")
        refused(errno.ENOENT, "", delete, x, mac(1), to("10.0.0.2"))
        refused(errno.ENOENT, "", delete, x, mac(3))
        refused(errno.EINVAL, "dst", delete, x, mac(1), to("0.0.0.0"))
        delete(x, mac(1), to("10.0.0.3"))
        delete(x, mac(2))
        equal(entries(x), [], "entries left")
        for address in (ZERO, GROUP):
            new(x, address, "10.0.0.2")
            refused(errno.EEXIST, "exists", new, x, address, "10.0.0.3")
            refused(errno.EOPNOTSUPP, "append", new, x, address, "10.0.0.3",
                    flags=REPLACE)
            for data in ((), (), ((NDA_PORT, be(9)),), ((NDA_VNI, u32(9)),)):
                new(x, address, "10.0.0.3", *data, flags=APPEND)
            equal(entries(x), [
                entry(x, address, "10.0.0.2"), entry(x, address, "10.0.0.3"),
                entry(x, address, "10.0.0.3", (NDA_PORT, be(9))),
                entry(x, address, "10.0.0.3", (NDA_VNI, u32(9)))], "several")
            refused(errno.ENOENT, "", delete, x, address, to("10.0.0.4"))
            delete(x, address, to("10.0.0.3"))
            delete(x, address, to("10.0.0.3"), (NDA_VNI, u32(9)))
            delete(x, address, to("10.0.0.2"))
            equal(entries(x), [entry(x, address, "10.0.0.3",
                                     (NDA_PORT, be(9)))], "the last")
            delete(x, address, to("10.0.0.3"), (NDA_PORT, be(9)))
            equal(entries(x), [], "after the last")
            new(x, address, "10.0.0.2")
            new(x, address, "10.0.0.3", flags=APPEND)
            delete(x, address)
            equal(entries(x), [], "after all at once")


@SUITE.test("a long dump has each entry once, after those of other devices")
def _():
    count = 100
    with device() as x, device((KEY, u64(6)), name="y") as y:
        new(y, mac(1), "10.0.0.3")
        for i in range(count):
            new(x, mac(i), "10.0.0.2")
        for i in range(40):
            new(x, ZERO, "10.0.1.%d" % i, flags=APPEND)
        want = [(mac(i), "10.0.0.2") for i in range(count)] + \
            [(ZERO, "10.0.1.%d" % i) for i in range(40)]
        small = netlink.Route(B.hv, room=4096)
        out = small.neigh(RTM_GETNEIGH, F_DUMP, x, None, state=0, ntf=0)
        check(small.datagrams > 3, "datagrams", small.datagrams)
        equal([(e[3][NDA_LLADDR], bench.text(e[3][NDA_DST])) for e in
               map(understood, out)], want, "entries")
        # without an index: all devices of the namespace
        out = [struct.unpack_from("=i", body, 4)[0] for body in small.neigh(
            RTM_GETNEIGH, F_DUMP, 0, None, state=0, ntf=0)]
        equal((out.count(x), out.count(y)), (len(want), 1), "of all devices")
        small.close()


def fill(x):
    """One entry of each kind, each known by a letter."""
    refusal(delete, x, ZERO)
    flush(x)
    new(x, mac(1), "10.0.0.2")
    new(x, mac(2), "10.0.0.2", state=NUD_NOARP)
    new(x, mac(3), "10.0.0.3", (NDA_VNI, u32(9)), state=NUD_REACHABLE)
    new(x, mac(4), "fd00::2", ntf=NTF_EXT_LEARNED | NTF_SELF)
    new(x, GROUP, "10.0.0.2", flags=APPEND)
    new(x, GROUP, "10.0.0.2", (NDA_PORT, be(9)), flags=APPEND)
    new(x, ZERO, "10.0.0.2", flags=APPEND)
    new(x, ZERO, "10.0.0.3", flags=APPEND)


LETTERS = {mac(1): "1", mac(2): "2", mac(3): "3", mac(4): "4", GROUP: "g",
           ZERO: "z"}


def left(x):
    return "".join(sorted(LETTERS[e[0]] for e in places(x)))


@SUITE.test("a flush takes the states and flags that were asked for")
def _():
    with device() as x:
        for data, header, want in (
                ((), {}, "zz"),
                (((NDA_STATE_MASK, u16(NUD_NOARP)),), {"state": NUD_NOARP},
                 "134ggzz"),
                (((NDA_STATE_MASK, u16(NUD_PERMANENT)),), {}, "14ggzz"),
                (((NDA_STATE_MASK, u16(NUD_PERMANENT | NUD_NOARP)),),
                 {"state": NUD_PERMANENT}, "23zz"),
                (((NDA_FLAGS_MASK, u8(NTF_EXT_LEARNED)),),
                 {"ntf": NTF_SELF | NTF_EXT_LEARNED}, "123ggzz"),
                (((NDA_FLAGS_MASK, u8(NTF_EXT_LEARNED)),), {}, "4zz"),
                (((NDA_FLAGS_MASK, u8(NTF_ROUTER)),),
                 {"ntf": NTF_SELF | NTF_ROUTER}, "1234ggzz")):
            fill(x)
            flush(x, *data, **header)
            equal(left(x), want, "left by a flush of %s" % (data,))
        fill(x)
        refused(errno.EINVAL, "VLAN|Unsupported", flush, x,
                (NDA_VLAN, u16(5)))
        refused(errno.EINVAL, "brport", flush, x, (NDA_IFINDEX, u32(x)))
        equal(left(x), "1234ggzz", "left by what was refused")


@SUITE.test("a flush takes the destinations that were asked for")
def _():
    with device() as x:
        fill(x)
        reason = refusal(flush, x, to("10.0.0.9"))
        if reason and "nsupported" in reason.text:
            raise Skip("this kernel (before 6.7) does not know such flushes")
        for data, want in (
                ((to("10.0.0.2"),), "34z"),
                ((to("10.0.0.9"),), "1234ggzz"),
                ((to("fd00::2"),), "123ggzz"),
                (((NDA_PORT, be(9)),), "1234gzz"),
                (((NDA_VNI, u32(9)),), "124ggzz"),
                (((NDA_VNI, u64(9)), to("10.0.0.2")), "1234ggzz"),
                (((NDA_SRC_VNI, u32(5)),), "zz"),
                (((NDA_SRC_VNI, u64(6)),), "1234ggzz")):
            fill(x)
            flush(x, *data)
            equal(left(x), want, "left by a flush of %s" % (data,))
        fill(x)
        for data, words in ((to("0.0.0.0"), "dst"),
                            ((NDA_PORT, be(0)), "port"),
                            ((NDA_SRC_VNI, bytes(5)), "vni"),
                            ((NDA_VNI, bytes(7)), "vni")):
            refused(errno.EINVAL, words, flush, x, data)
        equal(left(x), "1234ggzz", "left by what was refused")


# ------------------------------------------------------------- notifications

@SUITE.test("each change is told once to those who watch neighbours")
def _():
    with device() as x:
        def change(kind, address, action, *args, **kwargs):
            have = heard(lambda: action(x, address, *args, **kwargs))
            # what else is said of it is up to the kernel, before 6.13
            equal([(k, e[0], e[3][NDA_LLADDR]) for k, e in have],
                  [(kind, x, address)], "told of %s" % (args,))

        change(RTM_NEWNEIGH, mac(1), new, "10.0.0.2")
        change(RTM_NEWNEIGH, mac(1), new, "10.0.0.3", flags=REPLACE)
        change(RTM_NEWNEIGH, ZERO, new, "10.0.0.2", flags=APPEND)
        change(RTM_NEWNEIGH, ZERO, new, "10.0.0.3", flags=APPEND)
        change(RTM_DELNEIGH, ZERO, delete, to("10.0.0.3"))
        change(RTM_DELNEIGH, ZERO, delete, to("10.0.0.2"))
        change(RTM_DELNEIGH, mac(1), delete)
        equal(heard(lambda: refusal(delete, x, mac(1))), [],
              "told of what was refused")
        new(x, mac(1), "10.0.0.2")
        equal(heard(lambda: flush(x)), [], "told of a flush")
        equal(entries(x), [], "entries after a flush")


@SUITE.test("what the device does itself is told in full")
def _():
    with device((KEY, u64(5)), (OKEY, u64(6))) as x:
        def seen(kind, far):
            return kind, entry(x, mac(7), far, state=NUD_REACHABLE)

        equal(heard(lambda: arrive(mac(7)), 1),
              [seen(RTM_NEWNEIGH, "10.0.0.2")], "told of a station")
        equal(heard(lambda: arrive(mac(7), "fd00::3"), 1),
              [seen(RTM_NEWNEIGH, "fd00::3")], "told of its move")
        equal(heard(lambda: RT.change((AGEING, u32(1))), 1),
              [seen(RTM_DELNEIGH, "fd00::3")], "told of its end")


@SUITE.test("the remote of the device is a destination like others")
def _():
    with device() as x:
        def remote(kind, address):
            return [(k, e[3]) for k, e in heard(
                lambda: RT.change((kind, inet(address))))]

        def zero(kind, dst):
            return kind, {NDA_LLADDR: ZERO, NDA_DST: inet(dst)}

        new(x, ZERO, "10.0.0.20", flags=APPEND)
        new(x, ZERO, "10.0.0.30", flags=APPEND)
        # that is one already
        equal(remote(REMOTE, "10.0.0.30"), [], "told of it")
        equal(remote(REMOTE, "10.0.0.40"),
              [zero(RTM_NEWNEIGH, "10.0.0.40"),
               zero(RTM_DELNEIGH, "10.0.0.30")], "told of another")
        equal(places(x), [(ZERO, "10.0.0.20"), (ZERO, "10.0.0.40")],
              "destinations")
        equal(remote(REMOTE, "10.0.0.40"), [], "told of the same")
        delete(x, ZERO, to("10.0.0.20"))
        equal(remote(REMOTE, "0.0.0.0"), [zero(RTM_DELNEIGH, "10.0.0.40")],
              "told of none")
        equal(places(x), [], "destinations")
        equal(remote(REMOTE6, "fd00::2"), [zero(RTM_NEWNEIGH, "fd00::2")],
              "told of a new one")
        # deleted by hand, it is gone; it need not be there to be changed
        delete(x, ZERO)
        equal(remote(REMOTE6, "fd00::3"), [zero(RTM_NEWNEIGH, "fd00::3")],
              "told of the next")


@SUITE.test("a device for one remote becomes one for several")
def _():
    one = ((KEY, u64(5)), (REMOTE, inet("10.0.0.2")))
    with device(*one) as x:
        equal(places(x), [], "entries of a device for one remote")
        refused(errno.ENOENT, "", delete, x, ZERO)
        flush(x)
        # its remote is there already: what is refused leaves no trace
        have = heard(lambda: refused(errno.EEXIST, "exists", new, x, ZERO,
                                     "10.0.0.3"))
        equal([k for k, _ in have].count(RTM_NEWNEIGH),
              [k for k, _ in have].count(RTM_DELNEIGH), "told of a failure")
        equal(places(x), [], "entries after a failure")
        new(x, ZERO, "10.0.0.3", flags=APPEND)
        equal(places(x), [(ZERO, "10.0.0.2"), (ZERO, "10.0.0.3")],
              "destinations")
        # there can be one such device for a Context ID
        with device(*one, name="y") as y:
            refused(errno.EEXIST, "", new, y, ZERO, "10.0.0.3", flags=APPEND)
            equal(places(y), [], "entries of the other")


# ------------------------------------------------------------------ learning

@SUITE.test("no more is learned than allowed, and only if it is wanted")
def _():
    with device((KEY, u64(5)), (LIMIT, u32(2)), (LEARNING, u8(1))) as x:
        port = link.Port(B.hv, "x")
        new(x, mac(100), "10.0.0.2")
        for i in (1, 2):
            learned(x, mac(i))
        arrive(mac(3))
        port.until(lambda p, _: p.data[6:12] == mac(3))
        stations = [(mac(100), "10.0.0.2"), (mac(1), "10.0.0.2"),
                    (mac(2), "10.0.0.2")]
        equal(places(x), stations, "entries at the limit")
        # one that is known may move
        learned(x, mac(1), "10.0.0.3")
        # one that is set, or comes from elsewhere, is not learned
        new(x, mac(2), "10.0.0.2", flags=REPLACE,
            ntf=NTF_EXT_LEARNED | NTF_SELF)
        learned(x, mac(3))
        RT.change((LEARNING, u8(0)))
        delete(x, mac(3))
        arrive(mac(4))
        port.until(lambda p, _: p.data[6:12] == mac(4))
        equal(places(x), [(mac(100), "10.0.0.2"), (mac(1), "10.0.0.3"),
                          (mac(2), "10.0.0.2")], "entries without learning")
        RT.change((LEARNING, u8(1)), (LIMIT, u32(0)))
        for i in (4, 5, 6):
            learned(x, mac(i))
        port.close()


@SUITE.test("a station ages unless it is heard or sent to, when that is on")
def _():
    # As long as nothing may keep a sender from its work.
    ageing = (AGEING, u32(2 * link.SLOW))
    with device((KEY, u64(5)), ageing) as x:
        port = link.Port(B.hv, "x")
        # state "dynamic" is for those that age like learned ones
        new(x, mac(1), "10.0.0.2", state=NUD_REACHABLE)
        new(x, mac(2), "10.0.0.2", state=NUD_NOARP)
        for i in (3, 4, 5):
            learned(x, mac(i))

        def gone():
            arrive(mac(3))
            port.send(stt.eth(bytes(60), 0x88b6, mac(4), mac(99)))
            return mac(5) not in dict(places(x))

        link.await_("a silent station to be forgotten", gone)
        link.await_("the dynamic entry to be forgotten",
                    lambda: gone() and mac(1) not in dict(places(x)))
        equal([a for a, _ in places(x)], [mac(2), mac(3), mac(4)],
              "entries left")
        RT.change((AGEING, u32(0)))
        learned(x, mac(6))
        RT.change(ageing)
        link.await_("all to be forgotten",
                    lambda: places(x) == [(mac(2), "10.0.0.2")])
        port.close()


@SUITE.test("entries outlast the device's being down, not the device")
def _():
    with device() as x:
        new(x, mac(1), "10.0.0.2")
        learned(x, mac(2))
        want = places(x)
        RT.change(up=False)
        equal(places(x), want, "entries while it is down")
        RT.change(up=True)
        equal(places(x), want, "entries when it is up again")
        equal(heard(RT.delete), [], "told of entries when the device goes")
    with device() as x:
        equal(places(x), [], "entries of a new device")


# ----------------------------------------------------------- where frames go

@SUITE.test("frames go where the entries say, a copy to each destination")
def _():
    with device((KEY, u64(5)), (OKEY, u64(6))) as x:
        port = link.Port(B.hv, "x")
        near = RT.index("under0")
        new(x, mac(1), "10.0.0.2")
        new(x, mac(2), "fd00::3", (NDA_VNI, u64(1 << 40)))
        new(x, mac(3), "10.0.0.3", (NDA_PORT, be(9999)),
            (NDA_IFINDEX, u32(near)))
        for dst in ("10.0.0.2", "10.0.0.3", "fd00::4"):
            new(x, ZERO, dst, flags=APPEND)
        new(x, GROUP, "10.0.0.4", (NDA_VNI, u32(7)), flags=APPEND)
        new(x, GROUP, "239.1.1.1", (NDA_IFINDEX, u32(near)), flags=APPEND)

        def to_station(address):
            return stt.eth(stt.rng(address[-1]).randbytes(90), 0x88b6,
                           address, mac(99))

        everyone = [("10.0.0.2", 6), ("10.0.0.3", 6), ("fd00::4", 6)]
        for address, want in (
                (mac(1), [("10.0.0.2", 6)]),
                (mac(2), [("fd00::3", 1 << 40)]),
                (GROUP, [("10.0.0.4", 7), ("239.1.1.1", 6)]),
                (bytes((1, 0, 0x5e, 0, 0, 2)), everyone),
                (b"\xff" * 6, everyone),
                (mac(50), everyone)):
            equal(sent(port, to_station(address), len(want)), want,
                  "sent to " + address.hex())
        equal(sent(port, to_station(mac(3)), 1, dport=9999),
              [("10.0.0.3", 6)], "sent to another port")
        # an entry that changes takes the frames along
        new(x, mac(1), "10.0.0.3", flags=REPLACE)
        equal(sent(port, to_station(mac(1)), 1), [("10.0.0.3", 6)], "moved")
        delete(x, mac(1))
        equal(sent(port, to_station(mac(1)), 3), everyone, "deleted")
        port.close()


# ---------------------------------------------------------------------- main

def setup():
    global B, RT, WATCH  # pylint: disable=global-statement
    B = bench.Bench()
    # that nothing is sent but by the tests
    B.hv.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
    B.hv.ip("link", "add", "mark0", "type", "dummy")
    RT = netlink.Route(B.hv)
    WATCH = Watcher(B.hv)


def main():
    try:
        return SUITE.run(setup=setup)
    finally:
        if B is not None:
            B.close()


if __name__ == "__main__":
    link.require_module()
    sys.exit(main())
