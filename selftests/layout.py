#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Compares structures as a module declares them with those of a kernel module.

  layout.py FILE.ko MODULE STRUCT...

FILE.ko has DWARF, MODULE is loaded and has BTF. What FILE.ko knows of a
structure must be its beginning: the same members at the same offsets, and the
same size if it knows them all.
"""

import re
import struct
import subprocess
import sys

KINDS = {1: 4, 3: 12, 14: 4, 17: 4}     # INT, ARRAY, VAR, DECL_TAG: bytes
PER_MEMBER = {4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12}
STRUCT = 4


class Btf:
    """Types in the BTF of a kernel, or of a module on top of it."""

    def __init__(self, path, base=None):
        with open(path, "rb") as file:
            data = file.read()
        magic, _, _, header, *sections = struct.unpack_from("=HBBIIIII", data)
        if magic != 0xeb9f:
            sys.exit(f"{path}: no BTF")
        types, types_len, strings, strings_len = sections
        self.base = base
        self.strings = data[header + strings:][:strings_len]
        self.structs = {}
        self._parse(data[header + types:][:types_len])

    def name(self, offset):
        if self.base:
            if offset < len(self.base.strings):
                return self.base.name(offset)
            offset -= len(self.base.strings)
        return self.strings[offset:self.strings.index(0, offset)].decode()

    def _parse(self, data):
        at = 0
        while at < len(data):
            name, info, size = struct.unpack_from("=III", data, at)
            kind, count = info >> 24 & 0x1f, info & 0xffff
            at += 12
            if kind == STRUCT:
                members = []
                for number in range(count):
                    member, _, bits = struct.unpack_from(
                        "=III", data, at + 12 * number)
                    if info >> 31:      # the upper byte is for bit fields
                        bits &= 0xffffff
                    members.append((self.name(member), bits // 8))
                self.structs.setdefault(self.name(name), (size, members))
            at += KINDS.get(kind, 0) + count * PER_MEMBER.get(kind, 0)


def dwarf(path):
    """All top-level structures in the debug information of a file."""
    text = subprocess.run(["readelf", "--wide", "--debug-dump=info", path],
                          check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True).stdout
    structs, current, attributes, depth = {}, None, {}, 0

    def end():
        if depth == 1 and tag == "structure_type" and "size" in attributes:
            return structs.setdefault(
                attributes.get("name"), (int(attributes["size"], 0), []))
        if depth == 2 and tag == "member" and current and "at" in attributes:
            current[1].append((attributes.get("name"),
                               int(attributes["at"], 0)))
        return None if depth == 1 else current

    tag = None
    for line in text.splitlines():
        match = re.match(r" <(\w+)><\w+>:.*\(DW_TAG_(\w+)\)", line)
        if match:
            current = end()
            depth, tag, attributes = int(match[1], 16), match[2], {}
            continue
        match = re.match(r" +<\w+> +DW_AT_(\w+) *: *(.*)", line)
        if match:
            key = {"byte_size": "size", "data_member_location": "at",
                   "name": "name"}.get(match[1])
            if key:
                attributes[key] = match[2].split()[-1]
    end()
    return structs


def differences(ours, theirs):
    size, members = ours
    if members != theirs[1][:len(members)]:
        for mine, other in zip(members, theirs[1] + [("nothing", 0)] *
                               len(members)):
            if mine != other:
                return f"{mine[0]} at {mine[1]}, not {other[0]} at {other[1]}"
    if len(members) == len(theirs[1]) and size != theirs[0]:
        return f"size {size}, not {theirs[0]}"
    return "" if members else "no members"


def main(path, module, *names):
    kernel = Btf("/sys/kernel/btf/vmlinux")
    theirs = Btf("/sys/kernel/btf/" + module, kernel).structs
    ours = dwarf(path)
    failed = False
    for name in names:
        if name not in ours or name not in theirs:
            problem = "unknown to " + (path if name not in ours else module)
        else:
            problem = differences(ours[name], theirs[name])
        print(f"struct {name}:", problem or
              f"{len(ours[name][1])} of {len(theirs[name][1])} members agree")
        failed |= bool(problem)
    return failed


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
