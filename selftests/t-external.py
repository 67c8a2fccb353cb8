#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
# long
# timeout: 600
"""The recipes of Documentation/external.rst, as they are printed there.

    vm1           hv1                              hv2           vm2
    eth0 ------ vm0  under0 ---------------- under0  vm0 ------ eth0
                192.0.2.1                192.0.2.2
                2001:db8::1            2001:db8::2

Each recipe has new hypervisors. Its blocks of commands are run in order; what
their last one tries must work, and be seen on the underlay with the Context IDs
that the document announces. Run as root with the module loaded.
"""

import contextlib
import os
import re
import subprocess
import sys
import tempfile

sys.pycache_prefix = os.path.join(
    os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "stt",
    "pycache")

# pylint: disable=wrong-import-position
from oracle import ktap, link, stt                              # noqa: E402
from oracle.ktap import Failure, check, equal                   # noqa: E402

DOCUMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..",
                        "Documentation", "external.rst")
SUITE = ktap.Suite()
RECIPES = set()


def blocks():
    """{name: text} of the named code blocks of the document."""
    with open(DOCUMENT, encoding="ascii") as file:
        text = file.read()
    found = re.findall(r"^\.\. code-block:: \w+\n   :name: (\S+)\n\n"
                       r"((?:   .*\n|\n)+)", text, re.M)
    equal(len(found), text.count(".. code-block::"), "blocks with a name")
    return {name: re.sub("^   ", "", body, flags=re.M) for name, body in found}


BLOCKS = blocks()


class Recipe:
    """Two hypervisors with a virtual machine each."""

    def __init__(self, name):
        self.name = name
        self.left = [n for n in BLOCKS if n.startswith(name + "-")]
        self.spaces = {}
        self.folder = tempfile.TemporaryDirectory(prefix="stt-")
        for file, text in BLOCKS.items():
            if file.endswith(".c"):
                with open(os.path.join(self.folder.name, file), "w",
                          encoding="ascii") as out:
                    out.write(text)
        for space in ("hv1", "hv2", "vm1", "vm2"):
            self.spaces[space] = link.Netns(space)
            for which in ("all", "default"):
                self.spaces[space].sysctl(
                    "net.ipv6.conf.%s.accept_dad" % which, 0)
        link.run("ip", "link", "add", "under0", "netns", self.of("hv1").name,
                 "type", "veth", "peer", "name", "under0", "netns",
                 self.of("hv2").name)
        for n in (1, 2):
            self.of("hv%d" % n).batch([
                "addr add 192.0.2.%d/24 dev under0" % n,
                "addr add 2001:db8::%d/64 dev under0 nodad" % n,
                "link set under0 up"])
            self.machine(n, "vm0", "vm%d" % n)
        self.wire = link.Port(self.of("hv2"), "under0")

    def of(self, space):
        return self.spaces[space]

    def machine(self, number, port, name):
        """A virtual machine on a port of a hypervisor."""
        if name not in self.spaces:
            self.spaces[name] = link.Netns(name)
        link.run("ip", "link", "add", port, "netns",
                 self.of("hv%d" % number).name, "type", "veth", "peer",
                 "name", "eth0", "netns", self.of(name).name)
        self.of("hv%d" % number).ip("link", "set", port, "up")
        self.of(name).ip("link", "set", "eth0", "up")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.wire.close()
        for space in self.spaces.values():
            with contextlib.suppress(Failure):
                space.delete()
        self.folder.cleanup()

    def do(self, block, space):
        """Run a block of the document; its first error is a failure."""
        name = "%s-%s" % (self.name, block)
        self.left.remove(name)
        with self.of(space):
            done = subprocess.run(
                ["bash", "-eux", "-c", BLOCKS[name]], cwd=self.folder.name,
                env=link.env(), text=True, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise Failure("%s on %s: status %d: %s%s" % (
                name, space, done.returncode, done.stdout, self.causes()))
        return done.stdout

    def causes(self):
        """Counters that are not zero."""
        out = []
        for name in ("hv1", "hv2"):
            text = self.of(name).run("ethtool", "-S", "stt0", fail=False)[1]
            text += self.of(name).read("/proc/net/stt")
            out.append(name + ": " + ", ".join(
                " ".join(line.split()) for line in text.splitlines()
                if not re.search(r"\b0$", line)))
        return "\n".join(out)

    def seen(self):
        """{(family, Context ID): packets} that arrived at hv2."""
        out = {}
        table = stt.Reassembler()
        for packet in self.wire.drain():
            seg = stt.Segment.parse(packet.data)
            frame = seg and table.add(seg)
            if frame:
                what = (seg.outer.family, frame.header.key)
                out[what] = out.get(what, 0) + 1
        return out


def recipe(name):
    """Run test(recipe) as a test."""
    RECIPES.add(name)

    def add(test):
        def run():
            with Recipe(name) as there:
                test(there)
                equal(there.left, [], "commands not run")
        run.__name__ = test.__name__
        SUITE.test(test.__doc__)(run)
        return test
    return add


def modules(*names):
    for name in names:
        link.load(name)


@recipe("routes")
def routes(r):
    """routes over IPv4 and IPv6"""
    r.do("hv1", "hv1")
    r.do("hv2", "hv2")
    r.do("try", "hv1")
    equal(r.seen(), {(4, 0xfedcba9876543210): 1, (6, 0x0123456789abcdef): 1},
          "on the underlay")


@recipe("rules")
def rules(r):
    """ip rule tells Context IDs apart by their upper half"""
    machines = ("blue", "red")
    for name in machines:
        r.machine(2, name, name)
        r.of(name).batch(["addr add 10.3.0.2/24 dev eth0",
                          "route add default via 10.3.0.1"])
        r.of("hv2").ip("addr", "add", "10.3.0.1/24", "dev", name,
                       "noprefixroute")
    r.do("hv2", "hv2")
    r.do("hv1", "hv1")
    taps = [link.Port(r.of(m), "eth0", protocol=0x0800) for m in machines]
    r.do("try", "hv1")
    equal(r.seen(), {(4, 0x100000005): 1, (4, 0x200000005): 1},
          "on the underlay")
    equal([len(tap.drain()) for tap in taps], [1, 1],
          "packets for blue and red")
    for tap in taps:
        tap.close()


@recipe("tc")
def tc_gateway(r):
    """a gateway with tc"""
    modules("cls_flower", "cls_matchall", "act_tunnel_key", "act_mirred")
    for n in (1, 2):
        r.of("vm%d" % n).ip("addr", "add", "10.4.0.%d/24" % n, "dev", "eth0")
    r.do("hv1", "hv1")
    r.do("hv2", "hv2")
    r.do("try", "vm1")
    seen = r.seen()
    equal(set(seen), {(4, 0xaabb0000004d)}, "on the underlay")


@recipe("ebpf")
def ebpf(r):
    """eBPF programs that set and read all of the Context ID"""
    link.need("bpf-gcc", "gcc-bpf")
    modules("cls_bpf")
    r.do("hv1", "hv1")
    r.do("hv2", "hv2")
    r.do("try", "hv1")
    equal(set(r.seen()), {(4, 0xfedcba9876543210)}, "on the underlay")


@recipe("nft")
def nft(r):
    """nftables, by a mark"""
    link.need("nft", "nftables")
    modules("cls_flower", "act_skbedit")
    r.do("hv2", "hv2")
    r.do("hv1", "hv1")
    r.do("try", "hv1")
    seen = r.seen()
    equal(seen, {(4, 0xaabb0000004d): 1, (4, 0xaabb0000004e): 1},
          "on the underlay")
    text = r.of("hv2").run("nft", "list", "counter", "inet", "overlay",
                           "other")
    check("packets 1 " in text, "the other ID was not counted:", text)


@recipe("bridge")
def bridge(r):
    """one device for the VLANs of a bridge"""
    modules("bridge", "8021q")
    for n in (1, 2):
        r.of("vm%d" % n).batch([
            line for vlan in (10, 20) for line in (
                "link add v%d link eth0 type vlan id %d" % (vlan, vlan),
                "addr add 10.6.%d.%d/24 dev v%d" % (vlan, n, vlan),
                "link set v%d up" % vlan)])
    r.do("hv1", "hv1")
    r.do("hv2", "hv2")
    r.do("try", "vm1")
    equal(set(r.seen()), {(4, 10010), (4, 10020)}, "on the underlay")
    fdb = link.run("bridge", "-n", r.of("hv1").name, "fdb", "show", "dev",
                   "stt0")
    for vlan in (10010, 10020):
        check(re.search(r"dst 192\.0\.2\.2 (vni \d+ )?src_vni %d self"
                        r"(?! permanent)" % vlan, fdb),
              "nothing learned for", vlan, "in", fdb)


@recipe("ovs")
def ovs(r):
    """the datapath of Open vSwitch with the device as a port"""
    link.need("ovs-dpctl", "openvswitch-switch")
    modules("openvswitch")
    for n in (1, 2):
        r.of("vm%d" % n).ip("addr", "add", "10.7.0.%d/24" % n, "dev", "eth0")
    try:
        r.do("hv1", "hv1")
        r.do("hv2", "hv2")
        r.do("try", "vm1")
    except Failure as reason:
        for n in (1, 2):
            ktap.diag(r.of("hv%d" % n).run("ovs-dpctl", "-m", "dump-flows",
                                           "dp0", fail=False)[1])
        raise reason
    equal(set(r.seen()), {(4, 0xfedcba9876543210)}, "on the underlay")


@SUITE.test("each recipe of the document is tested")
def all_tested():
    equal({name.split("-")[0] for name in BLOCKS if "-" in name}, RECIPES,
          "recipes")


def main():
    link.require_module()
    return SUITE.run()


if __name__ == "__main__":
    sys.exit(main())
