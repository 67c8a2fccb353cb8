#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Ethernet frames and FDB entries in number, for the shell selftests.

  frames.py send DEV SRC DST [COUNT [STEP]]
      COUNT (1) frames through DEV, the source address counting up from SRC
      in steps of STEP (1)
  frames.py fill DEV REMOTE COUNT [FIRST]
      COUNT static entries for 02:00:00:00:00:00 or FIRST and up behind REMOTE
  frames.py churn DEV REMOTE COUNT FIRST
      such entries, which exist, are removed and made again until there is
      nobody to read what is printed: a line each time
"""

import socket
import struct
import sys

RTM_NEWNEIGH, RTM_DELNEIGH, NLMSG_ERROR = 28, 29, 2
F_REQUEST, F_ACK, F_EXCL, F_CREATE = 1, 4, 0x200, 0x400
NDA_DST, NDA_LLADDR = 1, 2
NUD_NOARP, NTF_SELF = 0x40, 2


def address(text):
    return int(text.replace(":", ""), 16)


def send(device, source, target, count="1", step="1"):
    first, target = address(source), address(target).to_bytes(6, "big")
    # local experimental ethertype
    rest = struct.pack("!H", 0x88b5) + bytes(46)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((device, 0))
    for number in range(int(count)):
        sock.send(target + (first + number * int(step)).to_bytes(6, "big") +
                  rest)


def change(kind, device, remote, count, base):
    index = socket.if_nametoindex(device)
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    sock.setsockopt(socket.SOL_SOCKET, 32, 4 << 20)     # SO_SNDBUFFORCE
    sock.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)     # SO_RCVBUFFORCE
    head = struct.pack("=BxxxiHBB", socket.AF_BRIDGE, index, NUD_NOARP,
                       NTF_SELF, 0)
    tail = struct.pack("=HH", 8, NDA_DST) + socket.inet_aton(remote)
    message = struct.Struct("=IHHII12sHH6sxx8s")
    batch = 1000
    # No more memory is needed later: that is limited in a test.
    data, answer = bytearray(batch * message.size), bytearray(1 << 16)
    for first in range(0, count, batch):
        end = min(first + batch, count)
        for number in range(first, end):
            flags = F_REQUEST
            if kind == RTM_NEWNEIGH:
                flags |= F_CREATE | F_EXCL
            if number == end - 1:
                flags |= F_ACK
            message.pack_into(
                data, (number - first) * message.size, message.size, kind,
                flags, number, 0, head, 10, NDA_LLADDR,
                (base + number).to_bytes(6, "big"), tail)
        sock.send(memoryview(data)[:(end - first) * message.size])
        sock.recv_into(answer)
        answered, = struct.unpack_from("=H", answer, 4)
        code, = struct.unpack_from("=i", answer, 16)
        if answered != NLMSG_ERROR or code:
            sys.exit("entries from %d: error %d" % (first, code))


def fill(device, remote, count, first="02:00:00:00:00:00"):
    change(RTM_NEWNEIGH, device, remote, int(count), address(first))


def churn(device, remote, count, first):
    while True:
        change(RTM_DELNEIGH, device, remote, int(count), address(first))
        change(RTM_NEWNEIGH, device, remote, int(count), address(first))
        print("again", flush=True)


if __name__ == "__main__":
    {"send": send, "fill": fill, "churn": churn}[sys.argv[1]](*sys.argv[2:])
