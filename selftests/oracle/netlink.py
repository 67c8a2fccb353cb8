# SPDX-License-Identifier: GPL-2.0
"""Netlink messages, byte by byte: attributes, requests, answers, events.

Sockets belong to a namespace (link.Netns). Who needs a request that no tool
would send, or hundreds of them in a second, finds it here.
"""

import errno
import os
import socket
import struct
import sys

from oracle import link
from oracle.ktap import Failure, equal

# linux/netlink.h
NLMSG_ERROR, NLMSG_DONE = 2, 3
F_REQUEST, F_MULTI, F_ACK, F_ECHO, F_DUMP_INTR = 1, 2, 4, 8, 0x10
F_REPLACE, F_EXCL, F_CREATE, F_APPEND = 0x100, 0x200, 0x400, 0x800
F_BULK, F_DUMP = 0x200, 0x300
F_CAPPED, F_ACK_TLVS = 0x100, 0x200
ATTR_MSG, ATTR_OFFS = 1, 2
SOL_NETLINK = 270
ADD_MEMBERSHIP, EXT_ACK, GET_STRICT_CHK = 1, 11, 12

# linux/rtnetlink.h, if_link.h, neighbour.h
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
RTM_GETNSID, NETNSA_NSID, NETNSA_FD = 90, 1, 3
RTNLGRP_NEIGH = 3
IFLA_ADDRESS, IFLA_IFNAME, IFLA_LINKINFO, IFLA_NET_NS_FD = 1, 3, 18, 28
IFLA_STATS64 = 23
INFO_KIND, INFO_DATA = 1, 2
LINK_STATS = """
    rx_packets tx_packets rx_bytes tx_bytes rx_errors tx_errors rx_dropped
    tx_dropped rx_multicast tx_collisions rx_length_errors rx_over_errors
    rx_crc_errors rx_frame_errors rx_fifo_errors rx_missed_errors
    tx_aborted_errors tx_carrier_errors tx_fifo_errors tx_heartbeat_errors
    tx_window_errors""".split()
IFF_UP = 1
NDA_DST, NDA_LLADDR, NDA_VLAN, NDA_PORT, NDA_VNI = 1, 2, 5, 6, 7
NDA_IFINDEX, NDA_LINK_NETNSID, NDA_SRC_VNI, NDA_NH_ID = 8, 10, 11, 13
NDA_STATE_MASK, NDA_FLAGS_MASK = 16, 17
NUD_REACHABLE, NUD_NOARP, NUD_PERMANENT = 2, 0x40, 0x80
NTF_SELF, NTF_EXT_LEARNED, NTF_ROUTER = 2, 0x10, 0x80

# linux/genetlink.h
GENL_ID_CTRL, CTRL_GETFAMILY = 16, 3
CTRL_FAMILY_ID, CTRL_FAMILY_NAME, CTRL_MCAST_GROUPS = 1, 2, 7
CTRL_GRP_NAME, CTRL_GRP_ID = 1, 2

# include/uapi/linux/if_stt.h
(PAD, KEY, REMOTE, REMOTE6, LOCAL, LOCAL6, LINK, PORT, PORT_RANGE, TTL,
 TTL_INHERIT, TOS, DF, LABEL, EXTERNAL, LEARNING, AGEING, LIMIT, CSUM_TRUST,
 VLAN_COMPAT, KEYBASE, DSCP_COPY, OKEY, FWMARK, LABEL_INHERIT) = range(25)


# --------------------------------------------------------------- attributes

def u8(value):
    return struct.pack("=B", value)


def u16(value):
    return struct.pack("=H", value)


def u32(value):
    return struct.pack("=I", value)


def u64(value):
    return struct.pack("=Q", value)


def be(*values):
    return struct.pack("!%dH" % len(values), *values)


def inet(text):
    return socket.inet_pton(
        socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def string(text):
    return text.encode() + b"\0"


def number(data):
    """Value of an attribute in host byte order."""
    return int.from_bytes(data, sys.byteorder)


def attr(kind, payload):
    size = 4 + len(payload)
    return struct.pack("=HH", size, kind) + payload + bytes(-size % 4)


def attrs(pairs):
    """(kind, payload) pairs as they follow each other in a message."""
    return b"".join(attr(kind, payload) for kind, payload in pairs)


def pairs_of(data):
    """The reverse of attrs(): for kinds that may come several times."""
    out = []
    while len(data) >= 4:
        size, kind = struct.unpack_from("=HH", data)
        if not 4 <= size <= len(data):
            raise Failure("attribute", kind, "of", size, "bytes:", data.hex())
        out.append((kind & 0x3fff, data[4:size]))
        data = data[(size + 3) & ~3:]
    return out


def parse(data):
    """{kind: payload}"""
    return dict(pairs_of(data))


# ------------------------------------------------------------------ sockets

class Refused(OSError):
    """What the kernel said of a request: error number, sentence and, if it
    named an attribute, the offset of that in the request's payload."""

    def __init__(self, code, text="", offset=None):
        super().__init__(code, "%s: %s" % (
            errno.errorcode.get(code, code), text or os.strerror(code)))
        self.code, self.text, self.offset = code, text, offset


def refusal(function, *args, **kwargs):
    """The Refused that a call ends with, None if it succeeds."""
    try:
        function(*args, **kwargs)
    except Refused as reason:
        return reason
    return None


class Netlink:
    """A socket. Its latest request is what answers() is about.

    room: largest datagram to receive; the kernel fills those of a dump.
    """

    def __init__(self, space, protocol=0, room=1 << 17):
        self.sock = space.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self.sock.settimeout(link.PATIENCE)
        self.sock.setsockopt(SOL_NETLINK, EXT_ACK, 1)
        self.sock.setsockopt(SOL_NETLINK, GET_STRICT_CHK, 1)
        self.sock.bind((0, 0))
        self.pid = self.sock.getsockname()[0]
        self.serial = 0
        self.acked = False
        self.room = bytearray(room)
        # of the latest dump: how many datagrams; did things change meanwhile?
        self.datagrams, self.interrupted = 0, False

    def pack(self, kind, flags, payload):
        """The next request."""
        self.serial += 1
        self.acked = bool(flags & F_ACK)
        return struct.pack("=IHHII", 16 + len(payload), kind,
                           flags | F_REQUEST, self.serial, 0) + payload

    def received(self):
        """(kind, flags, serial, payload) of each message of a datagram."""
        data = bytes(memoryview(self.room)[:self.sock.recv_into(self.room)])
        while data:
            size, kind, flags, serial, _ = struct.unpack_from("=IHHII", data)
            if not 16 <= size <= len(data):
                raise Failure("message", kind, "of", size, "bytes, have",
                              len(data))
            yield kind, flags, serial, data[16:size]
            data = data[(size + 3) & ~3:]

    def answers(self):
        """Payloads of the answers up to the last; raises Refused, or OSError
        if one was lost."""
        out = []
        self.datagrams, self.interrupted = 0, False
        while True:
            self.datagrams += 1
            for kind, flags, serial, body in self.received():
                if serial != self.serial:
                    continue
                self.interrupted |= bool(flags & F_DUMP_INTR)
                if kind in (NLMSG_ERROR, NLMSG_DONE):
                    self._verdict(kind, flags, body)
                    return out
                out.append(body)
                if not flags & F_MULTI and not self.acked:
                    return out

    @staticmethod
    def _verdict(kind, flags, body):
        code = -struct.unpack_from("=i", body)[0]
        if not code:
            return
        at = 4
        if kind == NLMSG_ERROR:
            # the request comes first, of which no more than the header if it
            # is capped
            at = 20 if flags & F_CAPPED else 4 + struct.unpack_from(
                "=I", body, 4)[0]
        more = parse(body[at:]) if flags & F_ACK_TLVS else {}
        offset = more.get(ATTR_OFFS)
        raise Refused(code, more.get(ATTR_MSG, b"").rstrip(b"\0").decode(),
                      number(offset) - 16 if offset else None)

    def ask(self, kind, flags, payload):
        """Send a request; the payloads of its answers."""
        self.sock.send(self.pack(kind, flags, payload))
        return self.answers()

    def join(self, group):
        """Hear what is told to a multicast group, and lose none of it."""
        self.sock.setsockopt(socket.SOL_SOCKET, link.SO_RCVBUFFORCE, 8 << 20)
        self.sock.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, group)

    def close(self):
        self.sock.close()


class Route(Netlink):
    """rtnetlink, for devices of kind stt and their forwarding database."""

    @staticmethod
    def link(name, *data, more=b"", up=None):
        """A link message; data are those of the kind."""
        head = struct.pack("=BxHiII", 0, 0, 0, int(bool(up)),
                           int(up is not None))
        info = attr(IFLA_LINKINFO, attr(INFO_KIND, string("stt")) +
                    attr(INFO_DATA, attrs(data))) if data else b""
        return head + attr(IFLA_IFNAME, string(name)) + more + info

    def add(self, *data, name="x", more=b"", up=None):
        if not data:
            more += attr(IFLA_LINKINFO, attr(INFO_KIND, string("stt")))
        self.ask(RTM_NEWLINK, F_ACK | F_CREATE | F_EXCL,
                 self.link(name, *data, more=more, up=up))

    def change(self, *data, name="x", more=b"", up=None):
        self.ask(RTM_NEWLINK, F_ACK, self.link(name, *data, more=more, up=up))

    def delete(self, name="x"):
        self.ask(RTM_DELLINK, F_ACK, self.link(name))

    def show(self, name="x"):
        """(index, attributes of the kind)"""
        answer, = self.ask(RTM_GETLINK, 0, self.link(name))
        info = parse(parse(answer[16:])[IFLA_LINKINFO])
        equal(info[INFO_KIND], string("stt"), "kind")
        return struct.unpack_from("=i", answer, 4)[0], parse(info[INFO_DATA])

    def index(self, name):
        answer, = self.ask(RTM_GETLINK, 0, self.link(name))
        return struct.unpack_from("=i", answer, 4)[0]

    def stats(self, name):
        """The counters that every device has."""
        answer, = self.ask(RTM_GETLINK, 0, self.link(name))
        return dict(zip(LINK_STATS, struct.unpack_from(
            "=%dQ" % len(LINK_STATS), parse(answer[16:])[IFLA_STATS64])))

    def nsid(self, fd):
        """What this namespace calls another."""
        answer, = self.ask(RTM_GETNSID, 0, bytes(4) + attr(NETNSA_FD, u32(fd)))
        return parse(answer[4:])[NETNSA_NSID]

    def neigh(self, kind, flags, index, mac, *data, state=NUD_PERMANENT,
              ntf=NTF_SELF):
        """Payloads of the answers to a message about the FDB."""
        return self.ask(kind, flags | (0 if kind == RTM_GETNEIGH else F_ACK),
                        self.neighbour(index, mac, *data, state=state,
                                       ntf=ntf))

    @staticmethod
    def neighbour(index, mac, *data, state=NUD_PERMANENT, ntf=NTF_SELF):
        """A neighbour message, mac None for one of no single entry."""
        head = struct.pack("=BxxxiHBB", socket.AF_BRIDGE, index, state, ntf, 0)
        return head + (b"" if mac is None else attr(NDA_LLADDR, mac)) + \
            attrs(data)


class Generic(Netlink):
    """A family of generic netlink; hears a group of it, if named."""

    def __init__(self, space, family, group=None, version=1, header=b"",
                 room=1 << 17):
        """header: the family's own, which comes before attributes."""
        super().__init__(space, 16, room)
        self.version, self.header = version, header
        try:
            answer, = self.ask(GENL_ID_CTRL, 0, struct.pack(
                "=BBH", CTRL_GETFAMILY, 1, 0) + attr(CTRL_FAMILY_NAME,
                                                     string(family)))
        except Refused as reason:
            raise Failure("no generic netlink family", family) from reason
        have = parse(answer[4:])
        self.family = number(have[CTRL_FAMILY_ID])
        self.groups = {}
        for one in parse(have.get(CTRL_MCAST_GROUPS, b"")).values():
            one = parse(one)
            self.groups[one[CTRL_GRP_NAME].rstrip(b"\0").decode()] = number(
                one[CTRL_GRP_ID])
        if group is not None:
            self.join(self.groups[group])

    def payload(self, command, *data):
        return struct.pack("=BBH", command, self.version, 0) + \
            self.header + attrs(data)

    def command(self, command, *data, flags=F_ACK):
        """Attributes of each answer to a command."""
        return [parse(body[4 + len(self.header):]) for body in
                self.ask(self.family, flags, self.payload(command, *data))]

    def dump(self, command, *data):
        return self.command(command, *data, flags=F_DUMP)

    def events(self):
        """(command, attributes) of what comes next, a datagram's worth."""
        return [(body[0], parse(body[4 + len(self.header):]))
                for kind, _, _, body in self.received()
                if kind == self.family]

    def receive(self):
        """Attributes of the next message."""
        return self.events()[0][1]
