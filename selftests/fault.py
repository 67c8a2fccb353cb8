#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Every allocation of a configuration command fails once, one after another.

A command that fails must say so and leave everything as it was; one that
succeeds in spite of it must have done all it should. Run by fault.sh, which
tells the kernel what may fail.
"""

import argparse
import ctypes
import errno
import os
import struct
import sys

sys.pycache_prefix = os.path.join(
    os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "stt",
    "pycache")

# pylint: disable=wrong-import-position
from oracle import fault, ktap, link, netlink                   # noqa: E402
from oracle.ktap import Failure                                 # noqa: E402
from oracle.netlink import (                                    # noqa: E402
    AGEING, EXTERNAL, F_ACK, F_APPEND, F_BULK, F_CREATE, F_DUMP, F_EXCL,
    F_REPLACE, KEY, LEARNING, LINK, REMOTE, RTM_DELLINK, RTM_DELNEIGH,
    RTM_NEWLINK, RTM_NEWNEIGH, Refused, inet, parse, string, u32,
    u64)

SUITE = ktap.Suite()
LIBC = ctypes.CDLL(None, use_errno=True)
STEP = [1]

SYS_DELETE_MODULE, SYS_FINIT_MODULE = 176, 313
CLONE_NEWNET = 0x40000000

# include/uapi/linux/stt_genl.h
DEV_GET, FDB_GET, FDB_NEW, FDB_DEL, FDB_FLUSH = 1, 5, 6, 7, 8
STATS_GET, REASM_SET = 13, 14
DEV_IFNAME, DEV_CONF, DEV_FLAGS = 2, 4, 9
FDB_IFNAME, FDB_LLADDR, FDB_SRC_KEY, FDB_DST = 2, 3, 4, 6
FDB_VOLATILE = (15, 16)         # since when it was used and updated

MAC = bytes((2, 0, 0, 0, 0, 9))
# Most allocations between two of the module.
GAP = 50
# The kernel says ENFILE if there is no memory for a socket, and TCP EADDRINUSE
# if there is none to note that a port is taken.
NO_MEMORY = (errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN, errno.ENFILE,
             errno.EADDRINUSE)


class World:
    """Two namespaces and the sockets of the first."""

    def __init__(self):
        self.space = link.Netns("fault")
        self.space.ip("link", "add", "low0", "up", "type", "dummy")
        self.space.ip("addr", "add", "10.0.0.1/24", "dev", "low0")
        self.low = int(self.space.ip("-o", "link", "show", "low0")
                       .split(":")[0])
        self.route = netlink.Route(self.space)
        self.genl = netlink.Generic(self.space, "stt")
        # Messages for those who listen are made only if somebody does.
        self.listeners = netlink.Route(self.space), netlink.Generic(
            self.space, "stt", "events")
        self.listeners[0].join(netlink.RTNLGRP_NEIGH)
        self.faults = fault.Faults()

    def link(self, kind, flags, name, *data, up=None):
        return self.route, kind, flags | F_ACK, self.route.link(
            name, *data, up=up)

    def neigh(self, kind, flags, mac, *data):
        return self.route, kind, flags | F_ACK, self.route.neighbour(
            self.route.index("x"), mac, *data)

    def generic(self, cmd, flags, *data):
        return self.genl, self.genl.family, flags, self.genl.payload(
            cmd, *data)

    def do(self, message):
        sock, kind, flags, payload = message
        return sock.ask(kind, flags, payload)

    @staticmethod
    def outcome(sock):
        """0, an error, or None if the answer was lost."""
        try:
            sock.answers()
        except Refused as reason:
            return reason.code
        except OSError as reason:
            if reason.errno != errno.ENOBUFS:
                raise
            return None
        return 0

    def attempt(self, message, number):
        """(0, an error or None if unknown, allocations left)"""
        sock, kind, flags, payload = message
        data = sock.pack(kind, flags, payload)
        self.faults.arm(number)
        code = 0
        try:
            sock.sock.send(data)
        except OSError as reason:
            code = reason.errno
        if not code:
            code = self.outcome(sock)
        left = self.faults.disarm()
        return code, left

    def state(self):
        out = []
        for body in self.do(self.generic(DEV_GET, F_DUMP)):
            have = parse(body[4:])
            out.append((have[DEV_IFNAME], have[DEV_CONF],
                        struct.unpack("=I", have[DEV_FLAGS])[0] & 1))
        for body in self.do(self.generic(FDB_GET, F_DUMP)):
            out.append(tuple(sorted((k, v) for k, v in
                                    parse(body[4:]).items()
                                    if k not in (1, *FDB_VOLATILE))))
        return sorted(out, key=repr)

    def reset(self):
        for name in ("x", "y"):
            try:
                self.do(self.link(RTM_DELLINK, 0, name))
            except OSError:
                pass


W = None


def walk(name, prepare, act):
    """act() gives the message, when all that prepare() asks for is done."""
    before = after = None
    tolerated = number = 0
    dirty = True
    odd = ""
    while True:
        if dirty:
            W.reset()
            for message in prepare():
                W.do(message)
            if before is None:
                before = W.state()
                W.do(act())
                after = W.state()
                continue
        number += STEP[0]
        code, left = W.attempt(act(), number)
        now = W.state()
        what = "%s: allocation %d: " % (name, number)
        if code is None:
            if now not in (before, after):
                raise Failure(what, "half done:", now)
        elif code:
            # An error it is; which one is up to who lacks the memory.
            if code not in NO_MEMORY:
                odd += ", %s at %d" % (os.strerror(code), number)
            if now != before:
                raise Failure(what, "failed and left", now, "not", before)
        elif now != after:
            raise Failure(what, "succeeded with", now, "not", after)
        dirty = now != before
        if left:
            if code:
                raise Failure(what, "failed without a cause")
            W.reset()
            return "%d allocations, %d dispensable%s" % (
                number - 1, tolerated, odd)
        tolerated += code == 0


def simple(name, act, *prepare):
    @SUITE.test(name)
    def run():
        return walk(name, lambda: (p() for p in prepare), act)


def new(*data):
    return lambda: W.link(RTM_NEWLINK, F_CREATE | F_EXCL, "x", *data)


def change(*data):
    return lambda: W.link(RTM_NEWLINK, 0, "x", *data)


def updown(up):
    return lambda: W.link(RTM_NEWLINK, 0, "x", up=up)


def neigh(kind, flags, mac, *data):
    return lambda: W.neigh(kind, flags, mac, *data)


def fdb(cmd, *data):
    return lambda: W.generic(cmd, F_ACK, (FDB_IFNAME, string("x")), *data)


def register():
    one = ((KEY, u64(1)), (REMOTE, inet("10.0.0.2")))
    many = ((KEY, u64(1)),)
    group = (lambda: ((KEY, u64(1)), (REMOTE, inet("239.0.0.1")),
                      (LINK, u32(W.low))))

    simple("create a device", new(*one))
    simple("create a device with an FDB", new(*one, (LEARNING, b"\1")))
    simple("create an external device", new((EXTERNAL, b"\1")))
    simple("set a device of a group up", updown(True),
           lambda: new(*group())())
    simple("set a device of a group down", updown(False),
           lambda: new(*group())(), updown(True))
    simple("change the group of a device that is up",
           change((REMOTE, inet("239.0.0.2"))), lambda: new(*group())(),
           updown(True))
    simple("change a remote", change((REMOTE, inet("10.0.0.3"))), new(*one))
    simple("change the remote of a device with an FDB",
           change((REMOTE, inet("10.0.0.3"))),
           new(*one, (LEARNING, b"\1")))
    simple("let a device learn", change((LEARNING, b"\1")), new(*one))
    simple("let a device learn, with another remote",
           change((LEARNING, b"\1"), (REMOTE, inet("10.0.0.3"))), new(*one))
    simple("change the ageing time", change((AGEING, u32(1))), new(*many))
    simple("delete a device", lambda: W.link(RTM_DELLINK, 0, "x"),
           new(*many), neigh(RTM_NEWNEIGH, F_CREATE, MAC,
                             (1, inet("10.0.0.3"))))
    simple("first FDB entry", neigh(RTM_NEWNEIGH, F_CREATE | F_EXCL, MAC,
                                    (1, inet("10.0.0.3"))), new(*one))
    simple("FDB entry", neigh(RTM_NEWNEIGH, F_CREATE | F_EXCL, MAC,
                              (1, inet("10.0.0.3"))), new(*many))
    simple("another destination of an FDB entry",
           neigh(RTM_NEWNEIGH, F_CREATE | F_APPEND, bytes(6),
                 (1, inet("10.0.0.4"))), new(*many),
           neigh(RTM_NEWNEIGH, F_CREATE, bytes(6), (1, inet("10.0.0.3"))))
    simple("replace an FDB entry",
           neigh(RTM_NEWNEIGH, F_CREATE | F_REPLACE, MAC,
                 (1, inet("10.0.0.4"))), new(*many),
           neigh(RTM_NEWNEIGH, F_CREATE, MAC, (1, inet("10.0.0.3"))))
    simple("delete an FDB entry", neigh(RTM_DELNEIGH, 0, MAC), new(*many),
           neigh(RTM_NEWNEIGH, F_CREATE, MAC, (1, inet("10.0.0.3"))))
    simple("flush the FDB", neigh(RTM_DELNEIGH, F_BULK, None), new(*many),
           neigh(RTM_NEWNEIGH, F_CREATE, MAC, (1, inet("10.0.0.3"))))
    simple("FDB entry by generic netlink",
           fdb(FDB_NEW, (FDB_LLADDR, MAC), (FDB_DST, inet("10.0.0.3"))),
           new(*many))
    simple("flush the FDB by generic netlink", fdb(FDB_FLUSH), new(*many),
           fdb(FDB_NEW, (FDB_LLADDR, MAC), (FDB_DST, inet("10.0.0.3"))))
    simple("ask for a device", lambda: W.generic(
        DEV_GET, 0, (DEV_IFNAME, string("x"))), new(*many))
    simple("dump devices", lambda: W.generic(DEV_GET, F_DUMP), new(*many))
    simple("dump the FDB", lambda: W.generic(FDB_GET, F_DUMP), new(*one),
           fdb(FDB_NEW, (FDB_LLADDR, MAC), (FDB_DST, inet("10.0.0.3"))))
    simple("ask for counters", lambda: W.generic(STATS_GET, 0))
    simple("limit reassembly", lambda: W.generic(
        REASM_SET, F_ACK, (3, u32(1000))))
    SUITE.test("create a namespace's first device")(first_device)
    SUITE.test("create a network namespace")(make_namespace)
    SUITE.test("load the module")(load_module)


def of_module(total, attempt):
    """Of so many allocations all that are the module's fail, from the last to
    the first, and those between and around them. attempt(number) returns what
    the kernel says of the failure, if it warns of it. How many are known."""
    count = others = 0
    for number in range(total, 0, -STEP[0]):
        others += 1
        if "[stt]" in attempt(number):
            count += 1
            others = 0
        if count and others > GAP:
            break
    if not count:
        raise Failure("none of %d allocations is of the module" % total)
    return count


def make_namespace():
    """The module is one of the last to prepare a namespace, before the
    devices that every one has: but for loopback there need be none."""
    sysctl = "/proc/sys/net/core/fb_tunnels_only_for_init_net"
    failed = 0

    def act():
        return LIBC.unshare(CLONE_NEWNET) and ctypes.get_errno()

    def attempt(number):
        nonlocal failed
        # Other parts of the kernel answer with other errors, too.
        code, trace = W.faults.trace(number, act)
        failed += bool(code)
        LIBC.setns(home.fileno(), CLONE_NEWNET)
        return trace

    with open(sysctl, "r+", encoding="ascii") as file, \
            open("/proc/self/ns/net", "rb") as home:
        before = file.read()
        os.pwrite(file.fileno(), b"2", 0)
        try:
            W.faults.arm(1 << 20)
            if act():
                raise Failure("unshare", os.strerror(ctypes.get_errno()))
            total = (1 << 20) - W.faults.disarm()
            LIBC.setns(home.fileno(), CLONE_NEWNET)
            count = of_module(total, attempt)
        finally:
            os.pwrite(file.fileno(), before.encode(), 0)
    return "%d of %d allocations, with others %d make it fail" % (
        count, total, failed)


def first_device():
    """A namespace is prepared for its first device, all or nothing."""
    space = None
    number = tolerated = 0
    odd = ""
    while True:
        if not space:
            space = link.Unnamed()
            route, genl = netlink.Route(space), netlink.Generic(space, "stt")
        number += STEP[0]
        code, left = W.attempt((
            route, RTM_NEWLINK, F_CREATE | F_EXCL | F_ACK, route.link(
                "x", (KEY, u64(1)), (REMOTE, inet("10.0.0.2")))), number)
        # device_add() says EINVAL if there is none for the name in sysfs.
        if code and code not in NO_MEMORY:
            odd += ", %s at %d" % (os.strerror(code), number)
        genl.command(STATS_GET, flags=0)
        genl.command(REASM_SET, (3, u32(1000)))
        if code and number % 8:
            continue
        route.close()
        genl.close()
        space.delete()
        space = None
        if left:
            return "%d allocations, %d dispensable%s" % (number - 1,
                                                         tolerated, odd)
        tolerated += code == 0


def load_module():
    """Last, for its family gets another number."""
    tolerated = 0

    def act():
        return LIBC.syscall(SYS_FINIT_MODULE, file.fileno(), b"", 0) and \
            ctypes.get_errno()

    def attempt(number):
        nonlocal tolerated
        code, trace = W.faults.trace(number, act)
        if bool(code) == os.path.exists("/sys/module/stt/refcnt"):
            raise Failure("allocation %d:" % number, code, "but",
                          os.listdir("/sys/module/stt"))
        if code and code not in NO_MEMORY:
            raise Failure("allocation %d:" % number, os.strerror(code))
        if not code:
            tolerated += 1
            unload()
        return trace

    W.reset()
    unload()
    with open(os.environ["STT_KO"], "rb") as file:
        W.faults.arm(1 << 20)
        if act():
            raise Failure("load", os.strerror(ctypes.get_errno()))
        total = (1 << 20) - W.faults.disarm()
        unload()
        count = of_module(total, attempt)
    return "%d of %d allocations, with others %d dispensable" % (
        count, total, tolerated)


def unload():
    def gone():
        return not LIBC.syscall(SYS_DELETE_MODULE, b"stt", os.O_NONBLOCK)
    link.await_("the end of the module", gone)


def setup():
    global W  # pylint: disable=global-statement
    W = World()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", type=int, default=1,
                        help="let only every N-th allocation fail")
    parser.add_argument("tests", nargs="*", help="parts of names")
    args = parser.parse_args()
    STEP[0] = args.step
    register()
    try:
        return SUITE.run(lambda name: not args.tests or any(
            part in name for part in args.tests), setup)
    finally:
        if W is not None:
            W.space.delete()


if __name__ == "__main__":
    sys.exit(main())
