# SPDX-License-Identifier: GPL-2.0
"""Wire format of Stateless Transport Tunneling (draft-davie-stt-08).

Written from the protocol description alone; nothing here is shared with the
implementation under test. Only the standard library is used, and of it only
what imports quickly: these tests also run under emulation.

    one STT frame                        cut into segments
    +--------------------+-----------+   +----+-----------+ +----+-------+
    | frame header (18)  | Ethernet  |   | IP | TCP-like  | | IP | TCP.. | ..
    +--------------------+-----------+   +----+-----------+ +----+-------+
"""

import random
import socket
import struct

PORT = 7471
HDR_LEN = 18
MAX_FRAME = 65535

C, P, V4, T = 0x01, 0x02, 0x04, 0x08
RESERVED_FLAGS = 0xf0
TAG_VALID = 0x1000

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << i for i in range(8))
NS = 0x100

ETH_IP, ETH_ARP, ETH_8021Q, ETH_IPV6 = 0x0800, 0x0806, 0x8100, 0x86dd
ETH_8021AD, ETH_LLDP = 0x88a8, 0x88cc
ICMP, TCP, UDP, GRE, ESP, ICMPV6, SCTP = 1, 6, 17, 47, 50, 58, 132
HOPOPTS, ROUTING, FRAGMENT, DSTOPTS = 0, 43, 44, 60

NOT_ECT, ECT1, ECT0, CE = range(4)


# ---------------------------------------------------------------- checksums

def ones_sum(data):
    """Folded ones' complement sum of 16-bit words, not complemented."""
    if len(data) & 1:
        data = bytes(data) + b"\0"
    value = int.from_bytes(data, "big")
    # 2^16 is 1 modulo 65535, so the remainder is the end-around-carry sum;
    # only all-zero data sums to zero.
    return value % 0xffff or (0xffff if value else 0)


def checksum(data):
    return ones_sum(data) ^ 0xffff


def pseudo(src, dst, proto, length):
    """Pseudo-header of RFC 793 or RFC 8200, by the length of the address."""
    if len(src) == 4:
        return src + dst + struct.pack("!BBH", 0, proto, length)
    return src + dst + struct.pack("!I3xB", length, proto)


def crc32c(data):
    """CRC of SCTP (RFC 9260, appendix A), as stored: little-endian."""
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return (crc ^ 0xffffffff).to_bytes(4, "little")


# ---------------------------------------------------------------- addresses

def addr(text):
    if isinstance(text, (bytes, bytearray)):
        return bytes(text)
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    return socket.inet_pton(family, text)


def mac(text):
    if isinstance(text, (bytes, bytearray)):
        return bytes(text)
    return bytes.fromhex(text.replace(":", ""))


# ------------------------------------------------------------ inner packets

def tag(vid, pcp=0, dei=0, tpid=ETH_8021Q):
    """A VLAN tag for eth(): (TPID, TCI)."""
    return tpid, pcp << 13 | dei << 12 | vid


def eth(payload, ethertype, dst="02:00:00:00:00:02", src="02:00:00:00:00:01",
        tags=()):
    out = mac(dst) + mac(src)
    for tpid, tci in tags:
        out += struct.pack("!HH", tpid, tci)
    return out + struct.pack("!H", ethertype) + payload


def ip4(payload, proto, src, dst, *, tos=0, ttl=64, ident=0, df=True,
        options=b"", frag=0, csum_delta=0):
    if len(options) % 4:
        raise ValueError("IPv4 options are not a multiple of 4 bytes")
    ihl = 5 + len(options) // 4
    frag |= 0x4000 if df else 0
    head = struct.pack("!BBHHHBBH", 0x40 | ihl, tos, ihl * 4 + len(payload),
                       ident, frag, ttl, proto, 0) + addr(src) + addr(dst)
    head += options
    csum = (checksum(head) + csum_delta) & 0xffff
    return head[:10] + struct.pack("!H", csum) + head[12:] + payload


def options_header(kind, data=b""):
    """A hop-by-hop or destination options header of any size, padded."""
    body = bytes(data)
    room = -(2 + len(body)) % 8
    if room == 1:
        body += b"\0"
    elif room:
        body += struct.pack("!BB", 1, room - 2) + bytes(room - 2)
    return kind, body


def padn(size):
    """Destination-option bytes that do nothing, `size` of them."""
    out = b""
    while size:
        part = min(size, 255)
        if size - part == 1:
            part -= 1
        out += b"\0" if part == 1 else \
            struct.pack("!BB", 1, part - 2) + bytes(part - 2)
        size -= part
    return out


def ip6(payload, nexthdr, src, dst, *, tclass=0, hlim=64, label=0, ext=()):
    chain = b""
    kinds = [kind for kind, _ in ext] + [nexthdr]
    for i, (_, body) in enumerate(ext):
        head = struct.pack("!BB", kinds[i + 1], (2 + len(body)) // 8 - 1)
        chain += head + body
    return struct.pack("!IHBB", 6 << 28 | tclass << 20 | label,
                       len(chain) + len(payload), kinds[0], hlim) + \
        addr(src) + addr(dst) + chain + payload


def _place(l4, at, src, dst, proto, csum):
    """Fill in a layer 4 checksum: "full", "partial", "bad", "none", int."""
    if csum == "none":
        value = 0
    elif isinstance(csum, int):
        value = csum
    else:
        head = pseudo(addr(src), addr(dst), proto, len(l4))
        if csum == "partial":
            value = ones_sum(head)
        else:
            value = checksum(head + l4)
            if csum == "bad":
                # 0x5555 is no multiple of 65535, so the sum does change
                value = (value + 0x5555) % 0xffff or 0x5555
            elif value == 0 and proto == UDP:
                value = 0xffff
    return l4[:at] + struct.pack("!H", value) + l4[at + 2:]


def packet(proto, src, dst, payload=b"", *, sport=1000, dport=2000,
           csum="full", seq=0x11111111, ack=0x22222222, flags=ACK,
           tcp_options=b"", window=0x1000, icmp_type=8, icmp_code=0,
           **ipargs):
    """An IP packet. Arguments not named go to ip4() or ip6()."""
    if proto == TCP:
        doff = 5 + len(tcp_options) // 4
        l4 = struct.pack("!HHIIHHHH", sport, dport, seq, ack,
                         doff << 12 | flags, window, 0, 0)
        l4 = _place(l4 + tcp_options + payload, 16, src, dst, TCP, csum)
    elif proto == UDP:
        l4 = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0)
        l4 = _place(l4 + payload, 6, src, dst, UDP, csum)
    elif proto == ICMP:
        l4 = struct.pack("!BBHHH", icmp_type, icmp_code, 0, sport, 1)
        l4 += payload
        value = checksum(l4) ^ (0x5555 if csum == "bad" else 0)
        l4 = l4[:2] + struct.pack("!H", value) + l4[4:]
    elif proto == ICMPV6:
        l4 = struct.pack("!BBHHH", icmp_type, icmp_code, 0, sport, 1)
        l4 = _place(l4 + payload, 2, src, dst, ICMPV6, csum)
    else:
        l4 = payload
    make = ip4 if len(addr(src)) == 4 else ip6
    return make(l4, proto, src, dst, **ipargs)


def inner(proto, src, dst, payload=b"", *, tags=(), smac="02:00:00:00:00:01",
          dmac="02:00:00:00:00:02", **kwargs):
    """An Ethernet frame around packet()."""
    kind = ETH_IP if len(addr(src)) == 4 else ETH_IPV6
    return eth(packet(proto, src, dst, payload, **kwargs), kind, dmac, smac,
               tags)


def arp(op=1, smac="02:00:00:00:00:01", sip="192.168.1.1",
        tmac="00:00:00:00:00:00", tip="192.168.1.2",
        dmac="ff:ff:ff:ff:ff:ff"):
    body = struct.pack("!HHBBH", 1, ETH_IP, 6, 4, op) + mac(smac) + addr(sip)
    return eth(body + mac(tmac) + addr(tip), ETH_ARP, dmac, smac)


class Inner:
    """What an Ethernet frame holds, as far as it can be parsed.

    tags, ethertype, l3; family is 4, 6 or None; proto, l4 (offset), end
    (where the IP packet ends) are None if there is no IP packet; frag is
    true for anything but a whole datagram.
    """

    def __init__(self, frame):
        self.frame = frame
        self.tags = []
        self.family = self.proto = self.l4 = self.end = None
        self.frag = False
        self.ext = []
        self.errors = []
        at = 12
        kind = int.from_bytes(frame[12:14], "big")
        while kind in (ETH_8021Q, ETH_8021AD) and len(frame) >= at + 6:
            self.tags.append((kind, int.from_bytes(frame[at + 2:at + 4],
                                                   "big")))
            at += 4
            kind = int.from_bytes(frame[at:at + 2], "big")
        self.ethertype = kind
        self.l3 = at + 2
        if kind == ETH_IP:
            self._parse4()
        elif kind == ETH_IPV6:
            self._parse6()
        if self.l4 is not None and not self.frag:
            self._check_l4()

    def _parse4(self):
        at, frame = self.l3, self.frame
        if len(frame) < at + 20 or frame[at] >> 4 != 4:
            self.errors.append("not an IPv4 header")
            return
        size = (frame[at] & 15) * 4
        total = int.from_bytes(frame[at + 2:at + 4], "big")
        if size < 20 or total < size or at + total > len(frame):
            self.errors.append("IPv4 lengths: header %d, total %d, room %d" %
                               (size, total, len(frame) - at))
            return
        if ones_sum(frame[at:at + size]) != 0xffff:
            self.errors.append("IPv4 header checksum")
        self.family, self.proto = 4, frame[at + 9]
        self.src, self.dst = frame[at + 12:at + 16], frame[at + 16:at + 20]
        self.tos, self.ttl = frame[at + 1], frame[at + 8]
        self.ident = int.from_bytes(frame[at + 4:at + 6], "big")
        self.frag = bool(int.from_bytes(frame[at + 6:at + 8], "big") & 0x3fff)
        self.l4, self.end = at + size, at + total

    def _parse6(self):
        at, frame = self.l3, self.frame
        if len(frame) < at + 40 or frame[at] >> 4 != 6:
            self.errors.append("not an IPv6 header")
            return
        length = int.from_bytes(frame[at + 4:at + 6], "big")
        end = at + 40 + length
        if end > len(frame):
            self.errors.append("IPv6 payload length %d, room %d" %
                               (length, len(frame) - at - 40))
            return
        self.src, self.dst = frame[at + 8:at + 24], frame[at + 24:at + 40]
        self.tos = (frame[at] << 4 | frame[at + 1] >> 4) & 0xff
        self.ttl = frame[at + 7]
        self.family, self.end = 6, end
        kind, at = frame[at + 6], at + 40
        while kind in (HOPOPTS, ROUTING, FRAGMENT, DSTOPTS):
            if at + 8 > end:
                self.errors.append("truncated extension header")
                return
            self.ext.append(kind)
            size = 8 if kind == FRAGMENT else 8 + 8 * frame[at + 1]
            if kind == FRAGMENT and frame[at + 2:at + 4] != b"\0\0":
                self.frag = True
            kind, at = frame[at], at + size
        self.proto, self.l4 = kind, at

    def _check_l4(self):
        at, end, frame = self.l4, self.end, self.frame
        size = end - at
        need = {TCP: 20, UDP: 8, ICMP: 8, ICMPV6: 4}.get(self.proto)
        if need is None:
            return
        if size < need:
            self.errors.append("layer 4 header truncated")
            return
        if self.proto == TCP and not 20 <= frame[at + 12] // 16 * 4 <= size:
            self.errors.append("TCP data offset")
        if self.proto == UDP:
            length = int.from_bytes(frame[at + 4:at + 6], "big")
            if length != size:
                self.errors.append("UDP length %d, is %d" % (length, size))
        if not self.l4_sum_ok():
            self.errors.append("layer 4 checksum")

    def csum_at(self):
        return {TCP: 16, UDP: 6, ICMP: 2, ICMPV6: 2}.get(self.proto)

    def l4_sum_ok(self):
        body = self.frame[self.l4:self.end]
        if self.proto == ICMP:
            return ones_sum(body) == 0xffff
        if self.proto == UDP and body[6:8] == b"\0\0":
            return self.family == 4
        head = pseudo(self.src, self.dst, self.proto, len(body))
        return ones_sum(head + body) == 0xffff

    def l4_partial_ok(self):
        """The checksum field holds the pseudo-header sum and no more."""
        at = self.l4 + self.csum_at()
        have = int.from_bytes(self.frame[at:at + 2], "big")
        want = ones_sum(pseudo(self.src, self.dst, self.proto,
                               self.end - self.l4))
        return have % 0xffff == want % 0xffff

    def tcp_payload(self):
        return self.frame[self.l4 + self.frame[self.l4 + 12] // 16 * 4:
                          self.end]


def problems(frame, padding=True):
    """What is wrong with a frame that claims to be in final wire form."""
    parsed = Inner(frame)
    errors = list(parsed.errors)
    if not padding and parsed.end is not None and parsed.end != len(frame):
        errors.append("%d bytes behind the packet" % (len(frame) - parsed.end))
    return errors


def complete(frame):
    """The frame with its layer 4 checksum computed in full."""
    parsed = Inner(frame)
    at = parsed.l4 + parsed.csum_at()
    body = frame[:at] + b"\0\0" + frame[at + 2:]
    l4 = body[parsed.l4:parsed.end]
    value = checksum(pseudo(parsed.src, parsed.dst, parsed.proto, len(l4)) +
                     l4)
    if value == 0 and parsed.proto == UDP:
        value = 0xffff
    return body[:at] + struct.pack("!H", value) + body[at + 2:]


def tcp_segments(frame, mss):
    """The packets that TCP segmentation offload would put on a wire."""
    parsed = Inner(frame)
    doff = frame[parsed.l4 + 12] // 16 * 4
    payload = parsed.tcp_payload()
    head = bytearray(frame[:parsed.l4 + doff])
    l3, l4 = parsed.l3, parsed.l4
    seq = int.from_bytes(head[l4 + 4:l4 + 8], "big")
    flags = head[l4 + 13]
    out = []
    for at in range(0, max(len(payload), 1), mss):
        part = payload[at:at + mss]
        first, last = at == 0, at + mss >= len(payload)
        one = bytearray(head)
        length = len(one) - l3 + len(part)
        if parsed.family == 4:
            struct.pack_into("!HH", one, l3 + 2, length,
                             (parsed.ident + len(out)) & 0xffff)
            struct.pack_into("!H", one, l3 + 10, 0)
            struct.pack_into("!H", one, l3 + 10, checksum(one[l3:l4]))
        else:
            struct.pack_into("!H", one, l3 + 4, length - 40)
        struct.pack_into("!I", one, l4 + 4, (seq + at) & 0xffffffff)
        one[l4 + 13] = flags & ~(0 if first else CWR) & \
            ~(0 if last else FIN | PSH)
        out.append(complete(bytes(one) + part))
    return out


# ------------------------------------------------------------- frame header

class Header:
    """The 18 bytes in front of the inner Ethernet frame."""

    FORMAT = struct.Struct("!BBBBHHQH")
    FIELDS = ("version", "flags", "l4off", "reserved", "mss", "tci", "key",
              "padding")

    def __init__(self, version=0, flags=0, l4off=0, reserved=0, mss=0, tci=0,
                 key=0, padding=0):
        self.version, self.flags, self.l4off = version, flags, l4off
        self.reserved, self.mss, self.tci = reserved, mss, tci
        self.key, self.padding = key, padding

    @classmethod
    def unpack(cls, data):
        return cls(*cls.FORMAT.unpack_from(data))

    def pack(self):
        return self.FORMAT.pack(*(getattr(self, f) for f in self.FIELDS))

    def __eq__(self, other):
        return self.pack() == other.pack()

    def __str__(self):
        return "v%d flags 0x%02x l4off %d rsvd %d mss %d tci 0x%04x " \
            "key 0x%016x pad %d" % tuple(getattr(self, f)
                                         for f in self.FIELDS)

    def problems(self, inside):
        """Rules 2-8 and 24 of a sender, for this header on that frame."""
        out = []
        parsed = Inner(inside)
        if self.version:
            out.append("version %d" % self.version)
        if self.flags & RESERVED_FLAGS:
            out.append("reserved flags 0x%02x" % self.flags)
        if self.reserved or self.padding:
            out.append("reserved byte %d, padding %d" %
                       (self.reserved, self.padding))
        if self.flags & C and self.flags & P:
            out.append("C and P")
        if not self.tci & TAG_VALID and self.tci:
            out.append("tag field 0x%04x without V" % self.tci)
        if parsed.tags and parsed.tags[0][0] == ETH_8021Q and \
                not self.tci & TAG_VALID:
            out.append("802.1Q tag in the payload, none in the header")
        if not self.flags & P:
            if self.flags & (V4 | T) or self.l4off or self.mss:
                out.append("P=0 with flags 0x%02x l4off %d mss %d" %
                           (self.flags, self.l4off, self.mss))
            return out + ["inner: " + e for e in parsed.errors]
        return out + self._offload_problems(parsed)

    def _offload_problems(self, parsed):
        out = []
        if parsed.family is None or parsed.proto not in (TCP, UDP):
            return ["P=1 on neither TCP nor UDP"]
        if parsed.tags:
            out.append("P=1 with a tag in the payload")
        if bool(self.flags & V4) != (parsed.family == 4):
            out.append("flag V does not match the inner packet")
        if bool(self.flags & T) != (parsed.proto == TCP):
            out.append("flag T does not match the inner packet")
        if self.l4off != parsed.l4:
            out.append("L4 offset %d, is %d" % (self.l4off, parsed.l4))
        if not parsed.l4_partial_ok():
            out.append("checksum field is not the pseudo-header sum")
        if self.mss and parsed.proto != TCP:
            out.append("MSS on other than TCP")
        out += ["inner: " + e for e in parsed.errors
                if e != "layer 4 checksum"]
        return out


def frame(inside, key, *, version=0, flags=0, l4off=0, reserved=0, mss=0,
          tci=0, padding=0):
    return Header(version, flags, l4off, reserved, mss, tci, key,
                  padding).pack() + inside


def offload_flags(inside):
    """P, V and T and the L4 offset that describe a TCP or UDP packet."""
    parsed = Inner(inside)
    flags = P | (V4 if parsed.family == 4 else 0)
    return flags | (T if parsed.proto == TCP else 0), parsed.l4


def offloaded(inside, key, *, mss=0, **kwargs):
    """A frame that asks for checksum (and segmentation) at the far end."""
    flags, l4off = offload_flags(inside)
    kwargs.setdefault("flags", flags)
    kwargs.setdefault("l4off", l4off)
    return frame(inside, key, mss=mss, **kwargs)


def delivered(data, vlancompat=False):
    """(tag or None, Ethernet frame in final form) that a frame stands for.

    A frame with MSS is not cut: see tcp_segments().
    """
    head, inside = Header.unpack(data), data[HDR_LEN:]
    vlan = None
    if head.tci & TAG_VALID or (vlancompat and head.tci):
        vlan = head.tci & 0xefff
    if head.flags & P:
        inside = complete(inside)
    return vlan, inside


# ----------------------------------------------------------------- segments

class Path:
    """One direction of the underlay: everything that is the same in every
    segment. Knobs of segment() override it byte by byte."""

    def __init__(self, src, dst, *, smac, dmac, sport=50000, dport=PORT,
                 tos=0, ttl=64, df=True):
        self.src, self.dst = addr(src), addr(dst)
        self.smac, self.dmac = mac(smac), mac(dmac)
        self.sport, self.dport = sport, dport
        self.tos, self.ttl, self.df = tos, ttl, df
        self.ident = 1

    @property
    def v4(self):
        return len(self.src) == 4

    @property
    def overhead(self):
        return 40 if self.v4 else 60

    def ether(self, packet_, tags=(), pad=None):
        """Pad to the 60 bytes of Ethernet with `pad` bytes if given."""
        out = eth(packet_, ETH_IP if self.v4 else ETH_IPV6, self.dmac,
                  self.smac, tags)
        if pad is not None and len(out) < 60:
            out += bytes([pad]) * (60 - len(out))
        return out

    def ip(self, l4, proto=TCP, *, src=None, dst=None, tos=None, ttl=None,
           df=None, ident=None, **kwargs):
        src = self.src if src is None else addr(src)
        dst = self.dst if dst is None else addr(dst)
        tos = self.tos if tos is None else tos
        ttl = self.ttl if ttl is None else ttl
        if not self.v4:
            return ip6(l4, proto, src, dst, tclass=tos, hlim=ttl, **kwargs)
        if ident is None:
            ident = self.ident
            self.ident = self.ident + 1 & 0xffff
        return ip4(l4, proto, src, dst, tos=tos, ttl=ttl, ident=ident,
                   df=self.df if df is None else df, **kwargs)

    def tcp(self, payload, offset, total, ack, *, src=None, dst=None,
            sport=None, dport=None, flags=ACK, doff=None, options=b"",
            window=0, urgent=0, csum="full"):
        src = self.src if src is None else addr(src)
        dst = self.dst if dst is None else addr(dst)
        if doff is None:
            doff = 5 + len(options) // 4
        l4 = struct.pack("!HHHHIHHHH",
                         self.sport if sport is None else sport,
                         self.dport if dport is None else dport,
                         total, offset, ack, doff << 12 | flags, window, 0,
                         urgent)
        return _place(l4 + options + payload, 16, src, dst, TCP, csum)

    def segment(self, payload, offset, total, ack, *, tags=(), pad=None,
                ipargs=None, tos=None, ttl=None, **kwargs):
        ipargs = dict(ipargs or {}, tos=tos, ttl=ttl)
        for end in ("src", "dst"):
            if end in kwargs:
                ipargs[end] = kwargs[end]
        return self.ether(self.ip(self.tcp(payload, offset, total, ack,
                                           **kwargs), **ipargs), tags, pad)

    def cut(self, data, ack, size=None, cuts=None, **kwargs):
        """All segments of a frame, in order. `cuts` are offsets inside the
        frame where a new segment starts; `size` cuts at every multiple."""
        total = kwargs.pop("total", len(data))
        if cuts is None:
            size = size or len(data)
            cuts = range(size, len(data), size)
        edges = [0, *cuts, len(data)]
        flags = kwargs.pop("flags", ACK)
        out = []
        for start, end in zip(edges, edges[1:]):
            last = PSH if end == len(data) else 0
            out.append(self.segment(data[start:end], start, total, ack,
                                    flags=flags | last, **kwargs))
        return out


class Segment:
    """A segment as found on the underlay."""

    def __init__(self, ether, vlan=None, when=0.0):
        self.ether, self.when = ether, when
        parsed = Inner(ether)
        self.outer = parsed
        self.vlan = vlan
        self.v4 = parsed.family == 4
        self.src, self.dst = parsed.src, parsed.dst
        self.tos, self.ttl = parsed.tos, parsed.ttl
        at = parsed.l4
        self.ip_len = parsed.end - parsed.l3
        self.l3_errors = [e for e in parsed.errors
                          if e != "layer 4 checksum"]
        self.df = self.v4 and bool(ether[parsed.l3 + 6] & 0x40)
        self.fragment = parsed.frag
        self.ident = int.from_bytes(ether[parsed.l3 + 4:parsed.l3 + 6],
                                    "big") if self.v4 else None
        self.label = None if self.v4 else int.from_bytes(
            ether[parsed.l3 + 1:parsed.l3 + 4], "big") & 0xfffff
        (self.sport, self.dport, self.total, self.offset, self.ack, word,
         self.window, self.csum, self.urgent) = \
            struct.unpack_from("!HHHHIHHHH", ether, at)
        self.doff, self.rsvd, self.flags = word >> 12, word >> 9 & 7, \
            word & 0x1ff
        self.options = ether[at + 20:at + self.doff * 4]
        self.payload = ether[at + self.doff * 4:parsed.end]
        self.csum_ok = parsed.l4_sum_ok()

    @classmethod
    def parse(cls, ether, port=PORT, **kwargs):
        """The segment in this Ethernet frame, or None if there is none."""
        parsed = Inner(ether)
        if parsed.l4 is None or parsed.proto != TCP or parsed.frag:
            return None
        if parsed.end - parsed.l4 < 20:
            return None
        if int.from_bytes(ether[parsed.l4 + 2:parsed.l4 + 4], "big") != port:
            return None
        return cls(ether, **kwargs)

    @property
    def key(self):
        return (self.src, self.dst, self.sport, self.dport, self.ack,
                self.total)

    def __str__(self):
        return "%s:%d > %s:%d len %d ack 0x%08x off %d+%d flags 0x%03x" % (
            socket.inet_ntop(socket.AF_INET if self.v4 else socket.AF_INET6,
                             self.src), self.sport,
            socket.inet_ntop(socket.AF_INET if self.v4 else socket.AF_INET6,
                             self.dst), self.dport,
            self.total, self.ack, self.offset, len(self.payload), self.flags)

    def problems(self, mtu=None):
        """Rules of a sender for a segment by itself (1, 18-22)."""
        out = list(self.l3_errors)
        if not self.csum_ok:
            out.append("checksum 0x%04x" % self.csum)
        if self.doff != 5:
            out.append("data offset %d" % self.doff)
        if not self.flags & ACK:
            out.append("ACK clear")
        if self.flags & ~(ACK | PSH) or self.rsvd:
            out.append("flags 0x%03x reserved %d" % (self.flags, self.rsvd))
        if self.window or self.urgent:
            out.append("window %d urgent %d" % (self.window, self.urgent))
        if not self.payload:
            out.append("no payload")
        if self.offset + len(self.payload) > self.total:
            out.append("end %d behind frame length %d" %
                       (self.offset + len(self.payload), self.total))
        if mtu and self.ip_len > mtu:
            out.append("packet of %d bytes, MTU %d" % (self.ip_len, mtu))
        return out


class Frame:
    """A reassembled frame and the segments that made it, as received."""

    def __init__(self, segments):
        self.segments = sorted(segments, key=lambda s: s.offset)
        self.data = b"".join(s.payload for s in self.segments)
        self.header = Header.unpack(self.data)
        self.inner = self.data[HDR_LEN:]
        self.total = self.segments[0].total

    def problems(self, mtu=None):
        """Every rule that the frame, taken alone, lets one check (1-24)."""
        out = []
        for seg in self.segments:
            out += ["segment at %d: %s" % (seg.offset, e)
                    for e in seg.problems(mtu)]
        first = self.segments[0]
        for seg in self.segments[1:]:
            for field in ("sport", "tos", "ttl", "window", "urgent", "df",
                          "label"):
                if getattr(seg, field) != getattr(first, field):
                    out.append("%s differs between segments" % field)
        for seg in self.segments[:-1]:
            if seg.flags & PSH:
                out.append("PSH before the last segment")
        if not self.segments[-1].flags & PSH:
            out.append("no PSH on the last segment")
        return out + self.header.problems(self.inner)

    def delivered(self, vlancompat=False):
        return delivered(self.data, vlancompat)


class Reassembler:
    """Strict and simple: exact pieces only, complains about all others."""

    def __init__(self):
        self.pending = {}
        self.errors = []

    def add(self, seg):
        """The Frame that this segment completes, or None."""
        have = self.pending.setdefault(seg.key, [])
        end = seg.offset + len(seg.payload)
        for other in have:
            if seg.offset < other.offset + len(other.payload) and \
                    other.offset < end:
                self.errors.append("overlap: %s and %s" % (other, seg))
                return None
        have.append(seg)
        if sum(len(s.payload) for s in have) < seg.total:
            return None
        del self.pending[seg.key]
        if len(b"".join(s.payload for s in have)) != seg.total:
            self.errors.append("more bytes than announced: %s" % seg)
            return None
        return Frame(have)


def reassemble(ethers, port=PORT):
    """(frames, errors) of a list of Ethernet frames; others are ignored."""
    table = Reassembler()
    frames = []
    for ether in ethers:
        seg = Segment.parse(ether, port)
        if seg is not None:
            done = table.add(seg)
            if done is not None:
                frames.append(done)
    errors = list(table.errors)
    for have in table.pending.values():
        errors.append("incomplete: %s" % have[0])
    return frames, errors


def random_cuts(rng, length, most=12):
    """Sorted offsets that cut `length` bytes into up to `most` pieces."""
    count = rng.randint(0, min(most, length) - 1)
    return sorted(rng.sample(range(1, length), count))


def rng(seed):
    return random.Random(seed)


# --------------------------------------------------------------------- pcap

def read_pcap(path):
    """[(seconds, Ethernet frame)] of a classic pcap file."""
    with open(path, "rb") as file:
        data = file.read()
    for order in "<>":
        magic = struct.unpack_from(order + "I", data)[0]
        if magic in (0xa1b2c3d4, 0xa1b23c4d):
            break
    else:
        raise ValueError("%s: not a pcap file" % path)
    tick = 1e-9 if magic == 0xa1b23c4d else 1e-6
    if struct.unpack_from(order + "I", data, 20)[0] & 0xfffffff != 1:
        raise ValueError("%s: link type is not Ethernet" % path)
    at, out = 24, []
    while at < len(data):
        sec, frac, size, full = struct.unpack_from(order + "IIII", data, at)
        if size != full:
            raise ValueError("%s: truncated packet" % path)
        out.append((sec + frac * tick, data[at + 16:at + 16 + size]))
        at += 16 + size
    return out


def write_pcap(path, ethers):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
        for i, ether in enumerate(ethers):
            file.write(struct.pack("<IIII", 0, i, len(ether), len(ether)))
            file.write(ether)
