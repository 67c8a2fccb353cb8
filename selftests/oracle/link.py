# SPDX-License-Identifier: GPL-2.0
"""Network namespaces, ip(8), packet sockets and counters.

Waiting is always for a condition with a deadline; nothing here sleeps for a
fixed time.
"""

import ctypes
import errno
import fcntl
import functools
import mmap
import os
import select
import socket
import struct
import subprocess
import tempfile
import time

from oracle import stt
from oracle.ktap import Failure, Skip

PATIENCE = float(os.environ.get("STT_PATIENCE", "20"))
# factor by which the kernel is slow
SLOW = int(os.environ.get("STT_SLOW", "1"))

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_RX_RING, PACKET_STATISTICS, PACKET_AUXDATA = 5, 6, 8
PACKET_VERSION = 10
PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 15, 23
SO_ATTACH_FILTER, SO_RCVBUFFORCE = 26, 33
VLAN_VALID, TPID_VALID, CSUM_VALID = 0x10, 0x40, 0x80
CLONE_NEWNET = 0x40000000

NEEDS_CSUM, DATA_VALID = 1, 2
GSO_NONE, GSO_TCP4, GSO_TCP6, GSO_UDP_L4, GSO_ECN = 0, 1, 4, 5, 0x80

# linux/if.h, linux/sockios.h, linux/ethtool.h
IFF_UP = 1
SIOCSIFFLAGS, SIOCETHTOOL = 0x8914, 0x8946
ETHTOOL_GSTRINGS, ETHTOOL_GSTATS, ETHTOOL_GSSET_INFO = 0x1b, 0x1d, 0x37
ETH_SS_STATS, ETH_GSTRING_LEN = 1, 32
ETHTOOL_SET = {"rx": 0x15, "tx": 0x17, "sg": 0x19, "tso": 0x1f, "gso": 0x24,
               "gro": 0x2c}

_LIBC = ctypes.CDLL(None, use_errno=True)


# ----------------------------------------------------------------- commands

def env():
    """Environment in which ip(8) finds the plugin of this tree."""
    out = dict(os.environ)
    if "STT_PLUGIN_DIR" in out:
        out["IP_LIB_DIR"] = out["STT_PLUGIN_DIR"]
    return out


def run(*args, fail=True, text=None):
    """Output of a command; raises Failure with its messages if it fails
    (and `fail`), else returns what it wrote."""
    done = subprocess.run(args, input=text, text=True, env=env(),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)
    if fail and done.returncode:
        raise Failure("%s: status %d: %s%s" % (" ".join(args),
                                               done.returncode, done.stdout,
                                               done.stderr))
    return done.stdout if fail else (done.returncode,
                                     done.stdout + done.stderr)


def have(program):
    return any(os.access(os.path.join(d, program), os.X_OK)
               for d in os.environ.get("PATH", "").split(":") +
               ["/usr/sbin", "/sbin"])


def need(program, package=None):
    if not have(program):
        raise Skip("%s is not installed (package %s)" %
                   (program, package or program))


def await_(what, condition, patience=None):
    """Poll until condition() is true and return its value."""
    deadline = time.monotonic() + (patience or PATIENCE)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure("timed out waiting for " + what)
        time.sleep(0.01)


@functools.cache
def load(module):
    """Load a kernel module; Skip if the kernel has none of that name."""
    status, text = run("modprobe", module, fail=False)
    if status:
        raise Skip("no kernel module %s: %s" % (module, text.strip()))


def require_module():
    """Exit as skipped, in the way of KTAP, if the module is not here."""
    why = None
    if os.geteuid():
        why = "needs root"
    elif not os.path.isdir("/sys/module/stt") and \
            run("modprobe", "stt", fail=False)[0]:
        why = "module stt is neither loaded nor installed"
    if why:
        print("KTAP version 1\n1..0 # SKIP " + why)
        raise SystemExit(4)


# --------------------------------------------------------------- namespaces

def _setns(fd):
    if _LIBC.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Netns:
    """A named network namespace. Used as a context, this thread is in it."""

    def __init__(self, name):
        self.name = "%s-%d" % (name, os.getpid())
        self.depth = []
        run("ip", "netns", "add", self.name)
        with self.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack(
                "16sH22x", b"lo", IFF_UP))

    def __enter__(self):
        self.depth.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))
        fd = self.open()
        try:
            _setns(fd)
        finally:
            os.close(fd)
        return self

    def open(self):
        return os.open("/run/netns/" + self.name, os.O_RDONLY)

    def __exit__(self, *exc):
        fd = self.depth.pop()
        _setns(fd)
        os.close(fd)

    def run(self, *args, **kwargs):
        with self:
            return run(*args, **kwargs)

    def ip(self, *args, **kwargs):
        return run("ip", "-n", self.name, *args, **kwargs)

    def batch(self, lines):
        """Several ip(8) commands in one process."""
        return run("ip", "-n", self.name, "-batch", "-",
                   text="\n".join(lines) + "\n")

    def sysctl(self, name, value=None):
        with self:
            path = "/proc/sys/" + name.replace(".", "/")
            if value is None:
                with open(path, encoding="ascii") as file:
                    return file.read().strip()
            with open(path, "w", encoding="ascii") as file:
                file.write(str(value))
        return None

    def read(self, path):
        """Text of a file below /proc/net, '' if there is none."""
        with self:
            try:
                with open(path.replace("/proc/net/",
                                       "/proc/thread-self/net/"),
                          encoding="ascii") as file:
                    return file.read()
            except FileNotFoundError:
                return ""

    def ethtool(self, device, **features):
        """As ethtool -K: keyword arguments, '_' stands for '-'."""
        args = []
        with self.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for name, on in features.items():
                if name in ETHTOOL_SET:
                    _ethtool(sock, device, bytearray(struct.pack(
                        "=II", ETHTOOL_SET[name], bool(on))))
                else:
                    args += [name.replace("_", "-"), "on" if on else "off"]
        if args:
            self.run("ethtool", "-K", device, *args)

    def gro_timeout(self, device, nanoseconds):
        """How long GRO holds a packet that has come alone."""
        with self, tempfile.TemporaryDirectory() as place:
            # what it shows is that of the namespace it is mounted in
            if _LIBC.mount(b"sysfs", place.encode(), b"sysfs", 0, None):
                raise OSError(ctypes.get_errno(), "mount")
            try:
                with open("%s/class/net/%s/gro_flush_timeout" % (
                        place, device), "w", encoding="ascii") as file:
                    file.write(str(nanoseconds))
            finally:
                _LIBC.umount(place.encode())

    def socket(self, *args):
        with self:
            return socket.socket(*args)

    def delete(self):
        run("ip", "netns", "del", self.name)

    def ethtool_stats(self, device):
        """As ethtool -S. Tests ask so often that a program for each answer
        is too slow."""
        with self.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            return _ethtool_stats(sock, device)


class Unnamed(Netns):
    """One that is empty, costs no process, and ends with the last socket."""

    # pylint: disable=super-init-not-called
    def __init__(self):
        self.name, self.depth = None, []
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        if _LIBC.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "unshare")
        self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        _setns(home)
        os.close(home)

    def open(self):
        return os.dup(self.fd)

    def delete(self):
        os.close(self.fd)


def _ethtool(sock, device, data):
    """SIOCETHTOOL; data is what the command begins with, and its answer."""
    buffer = (ctypes.c_char * len(data)).from_buffer(data)
    try:
        fcntl.ioctl(sock, SIOCETHTOOL, struct.pack(
            "16sQ16x", device.encode(), ctypes.addressof(buffer)))
    except OSError as reason:
        raise Failure("ethtool", device, bytes(data[:8]).hex(),
                      reason) from reason


def _ethtool_stats(sock, device):
    info = bytearray(struct.pack("=IIQI", ETHTOOL_GSSET_INFO, 0,
                                 1 << ETH_SS_STATS, 0))
    _ethtool(sock, device, info)
    if not struct.unpack_from("=Q", info, 8)[0]:
        return {}
    count, = struct.unpack_from("=I", info, 16)
    names = bytearray(struct.pack("=III", ETHTOOL_GSTRINGS, ETH_SS_STATS,
                                  count) + bytes(count * ETH_GSTRING_LEN))
    _ethtool(sock, device, names)
    values = bytearray(struct.pack("=II", ETHTOOL_GSTATS, count) +
                       bytes(count * 8))
    _ethtool(sock, device, values)
    return {names[12 + at * ETH_GSTRING_LEN:][:ETH_GSTRING_LEN].split(
        b"\0")[0].decode(): struct.unpack_from("=Q", values, 8 + 8 * at)[0]
        for at in range(count)}


# ----------------------------------------------------------- packet sockets

class Packet:
    """A received frame with what the kernel knows about it."""

    __slots__ = ("data", "vlan", "tpid", "status", "flags", "gso_type",
                 "gso_size", "csum_start", "csum_offset")

    def __init__(self, data, status, vlan, tpid, vnet):
        self.data, self.status, self.vlan, self.tpid = data, status, vlan, tpid
        self.flags, self.gso_type, _, self.gso_size, self.csum_start, \
            self.csum_offset = vnet

    @property
    def wire(self):
        """With the checksum computed and the tag where it is on a wire."""
        data = self.data
        if self.flags & NEEDS_CSUM:
            at, field = self.csum_start, self.csum_start + self.csum_offset
            value = stt.checksum(data[at:]) or 0xffff
            data = data[:field] + struct.pack("!H", value) + data[field + 2:]
        return with_tag(data, self.vlan, self.tpid)

    def __str__(self):
        return "%d bytes vlan %s vnet flags %d gso %d/%d csum %d+%d: %s" % (
            len(self.data), self.vlan, self.flags, self.gso_type,
            self.gso_size, self.csum_start, self.csum_offset,
            self.data[:80].hex())


def with_tag(frame, tci, tpid=stt.ETH_8021Q):
    if tci is None:
        return frame
    return frame[:12] + struct.pack("!HH", tpid, tci) + frame[12:]


def vnet_header(flags=0, gso_type=0, hdr_len=0, gso_size=0, csum_start=0,
                csum_offset=0):
    return struct.pack("=BBHHHH", flags, gso_type, hdr_len, gso_size,
                       csum_start, csum_offset)


def vnet_for(frame, parsed, mss=0, gso=None, ecn=False):
    """Header that asks the kernel for checksum and, with mss, for GSO."""
    size = frame[parsed.l4 + 12] // 16 * 4 if parsed.proto == 6 else 8
    if gso is None:
        gso = {(4, 6): GSO_TCP4, (6, 6): GSO_TCP6}.get(
            (parsed.family, parsed.proto), GSO_UDP_L4) if mss else GSO_NONE
    return vnet_header(NEEDS_CSUM, gso | (GSO_ECN if ecn else 0),
                       parsed.l4 + size, mss, parsed.l4, parsed.csum_at())


class Port:
    """A packet socket on one device: frames in and out as they are.

    With vnet, frames carry the kernel's offload state in both directions.
    """

    def __init__(self, netns, device, vnet=False, protocol=ETH_P_ALL):
        self.netns, self.device, self.vnet = netns, device, vnet
        self.sock = netns.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        sock = self.sock
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        if vnet:
            sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        sock.bind((device, protocol))
        sock.setblocking(False)

    def send(self, frame, vnet=None, patience=None):
        if self.vnet:
            frame = (vnet or vnet_header()) + frame
        deadline = None
        while True:
            try:
                self.sock.send(frame)
                return
            except OSError as error:
                # ENOBUFS: the far end's queue is full for the moment; or it
                # never takes a frame that exceeds its MTU
                if error.errno not in (errno.EAGAIN, errno.ENOBUFS):
                    raise
                now = time.monotonic()
                deadline = deadline or now + (patience or PATIENCE)
                if now > deadline:
                    raise
                select.select([], [self.sock], [], 0.01)

    def _receive(self):
        while True:
            try:
                return self.sock.recvmsg(70000, 64)
            except BlockingIOError:
                return None
            except OSError as error:
                # reported once when the device went down, and for a packet
                # whose offload state a vnet header cannot tell
                if error.errno not in (errno.ENETDOWN, errno.EINVAL):
                    raise

    def receive(self, patience=None):
        """The next packet, or None when patience runs out (0: no wait)."""
        wait = PATIENCE if patience is None else patience
        got = self._receive()
        if got is None and wait:
            select.select([self.sock], [], [], wait)
            got = self._receive()
        if got is None:
            return None
        data, anc, _, _ = got
        status = vlan = tpid = None
        for level, kind, body in anc:
            if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
                status, _, _, _, _, tci, tpid = struct.unpack("=IIIHHHH",
                                                              body[:20])
                vlan = tci if status & VLAN_VALID else None
                tpid = tpid if status & TPID_VALID else None
        vnet = (0,) * 6
        if self.vnet:
            vnet = struct.unpack_from("=BBHHHH", data)
            data = data[10:]
        return Packet(data, status, vlan, tpid, vnet)

    def drain(self):
        """All that is queued, without waiting."""
        out = []
        while True:
            packet = self.receive(0)
            if packet is None:
                return out
            out.append(packet)

    def until(self, enough, patience=None):
        """Receive until enough(packet, all so far) is true; the packets."""
        deadline = time.monotonic() + (patience or PATIENCE)
        out = []
        while True:
            left = deadline - time.monotonic()
            packet = self.receive(max(left, 0))
            if packet is None:
                if left > 0:
                    continue
                raise Failure("%s: timed out after %d packets: %s" % (
                    self.device, len(out), "; ".join(map(str, out[-3:]))))
            out.append(packet)
            if enough(packet, out):
                return out

    def close(self):
        self.sock.close()


class Tap:
    """A device whose wire is a file: what arrives on it is received in the
    course of the write(). It leaves no work to this end."""

    SETIFF, SETSNDBUF, MODE = 0x400454ca, 0x400454d4, 0x5002

    def __init__(self, netns, device):
        with netns:
            self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self.fd, self.SETIFF, struct.pack(
                "16sH22x", device.encode(), self.MODE))
        # As a driver that copies headers; without a limit, packets are built
        # around the page that they were written to.
        fcntl.ioctl(self.fd, self.SETSNDBUF, struct.pack("i", 1 << 30))

    def send(self, ether, vnet=None):
        """Error number, 0 if it has arrived."""
        try:
            os.write(self.fd, (vnet or vnet_header()) + ether)
        except OSError as reason:
            return reason.errno
        return 0

    def receive(self, patience=None):
        """The next frame that the kernel sends, None if there is none."""
        if not select.select([self.fd], [], [],
                             PATIENCE if patience is None else patience)[0]:
            return None
        return os.read(self.fd, 70000)[10:]

    def close(self):
        os.close(self.fd)


class Ring:
    """A memory-mapped packet ring that keeps the first bytes of very many
    frames, read column by column. Not for content, only for header fields.
    """

    SIZE = 256
    HDR = 32

    def __init__(self, netns, device, slots, classic=None):
        block = 1 << 20
        slots = -(-slots // (block // self.SIZE)) * (block // self.SIZE)
        self.slots = slots
        self.sock = netns.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        sock = self.sock
        sock.setsockopt(SOL_PACKET, PACKET_VERSION, 1)
        sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        if classic:
            attach_filter(sock, classic)
        sock.setsockopt(SOL_PACKET, PACKET_RX_RING, struct.pack(
            "IIII", block, slots * self.SIZE // block, self.SIZE, slots))
        self.map = mmap.mmap(sock.fileno(), slots * self.SIZE)
        self.words = memoryview(self.map).cast("I")
        self.shorts = memoryview(self.map).cast("H")
        self.head = 0
        sock.bind((device, ETH_P_ALL))

    def filled(self, wanted):
        """How many slots are in use when `wanted` packets have come: all but
        the few that a ring may drop when two CPUs meet at it."""
        deadline = time.monotonic() + PATIENCE
        step = self.SIZE // 4
        dropped = 0
        while True:
            if self.words[(wanted - dropped - 1) * step] & 1:
                break
            if time.monotonic() > deadline:
                status = self.words[::step].tolist()
                raise Failure("%d of %d packets captured" % (
                    sum(s & 1 for s in status), wanted))
            select.select([self.sock], [], [], 0.01)
            dropped += struct.unpack("II", self.sock.getsockopt(
                SOL_PACKET, PACKET_STATISTICS, 8))[1]
            if dropped > 1 + wanted // 1000:
                raise Failure("%d packets dropped by the ring" % dropped)
        return wanted - dropped

    def column16(self, offset, count):
        """16-bit field at `offset` of each of the first frames."""
        mac = self.shorts[6]
        first = (mac + offset) // 2
        step = self.SIZE // 2
        values = self.shorts[first:first + step * count:step].tolist() \
            if count else []
        return [v >> 8 | (v & 255) << 8 for v in values]

    def column32(self, offset, count):
        return [high << 16 | low for high, low in
                zip(self.column16(offset, count),
                    self.column16(offset + 2, count))]

    def close(self):
        self.words.release()
        self.shorts.release()
        self.map.close()
        self.sock.close()


def attach_filter(sock, program):
    """Attach classic BPF: a list of (code, jt, jf, k)."""
    code = b"".join(struct.pack("HBBI", *step) for step in program)
    buffer = ctypes.create_string_buffer(code)
    prog = struct.pack("HL", len(program), ctypes.addressof(buffer))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, prog)


def first_segments(port=7471):
    """Filter: TCP over IPv4 without options, to port, at frame offset 0."""
    ldh, ldb, jeq, ret = 0x28, 0x30, 0x15, 0x06
    return [(ldh, 0, 0, 12), (jeq, 0, 7, 0x0800),
            (ldb, 0, 0, 23), (jeq, 0, 5, 6),
            (ldh, 0, 0, 36), (jeq, 0, 3, port),
            (ldh, 0, 0, 40), (jeq, 0, 1, 0),
            (ret, 0, 0, 160), (ret, 0, 0, 0)]


# ----------------------------------------------------------------- topology

class Wire:
    """A veth pair between a namespace under test and one that only the
    oracle lives in: that end has no address and answers nothing."""

    def __init__(self, netns, oracle, name, mtu=1500, number=0):
        self.netns, self.oracle = netns, oracle
        self.near, self.far = name, name + "x"
        self.near_mac = "02:00:00:00:%02x:01" % (16 + number)
        self.far_mac = "02:00:00:00:%02x:02" % (16 + number)
        netns.ip("link", "add", self.near, "address", self.near_mac,
                 "mtu", str(mtu), "numtxqueues", "1", "numrxqueues", "1",
                 "type", "veth", "peer", "name", self.far,
                 "netns", oracle.name, "address", self.far_mac,
                 "mtu", "65535", "numtxqueues", "1", "numrxqueues", "1")
        oracle.sysctl("net.ipv6.conf.%s.disable_ipv6" % self.far, 1)
        for where, device, up in ((oracle, self.far, "arp off up"),
                                  (netns, self.near, "up")):
            where.sysctl("net.ipv6.conf.%s.accept_dad" % device, 0)
            where.sysctl("net.ipv6.conf.%s.router_solicitations" % device, 0)
            where.batch(["link set %s addrgenmode none" % device,
                         "link set %s %s" % (device, up)])
        self.offloads(tx=False, gro=False)
        # veth offers to GRO only what a device without TSO has sent
        oracle.ethtool(self.far, gro=False, tso=False)

    def offloads(self, tx=None, gro=None, **more):
        """tx: checksum and segmentation by the device, i.e. not at all.
        gro: hold packets for some milliseconds, as each comes alone."""
        features = dict(more)
        if tx is not None:
            features.update(tx=tx, tso=tx, gso=True)
        if gro is not None:
            features.update(gro=gro)
            self.netns.gro_timeout(self.near, 20000000 if gro else 0)
        self.netns.ethtool(self.near, **features)

    def mtu(self, size):
        self.netns.ip("link", "set", self.near, "mtu", str(size))

    def neighbour(self, address, mac=None):
        self.netns.ip("neigh", "replace", address, "lladdr",
                      mac or self.far_mac, "dev", self.near, "nud",
                      "permanent")
