#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# long
# timeout: 600
# What any network device owes its surroundings: namespaces that come and go,
# VRFs, underlay devices that change or vanish, the TCP port it takes, tools
# that look at it, users without privileges, and the module's own end.  As
# root, with the module loaded.
set -u
cd "$(dirname "$0")" || exit 1
# shellcheck source=selftests/lib.sh
. ./lib.sh

require jq ping python3 ethtool

# pair [OPTION...]: two hosts, here and there, with stt0 between them over
# under0, and 192.0.2.1 and .2 inside.
pair()
{
	local n name

	ns_create here there
	# shellcheck disable=SC2154
	ip link add under0 netns "$here" type veth \
		peer name under0 netns "$there"
	for n in 1 2; do
		name=$([ $n = 1 ] && echo here || echo there)
		ip -n "${!name}" -batch - <<-END
			addr add 10.0.0.$n/24 dev under0
			addr add fd00::$n/64 dev under0 nodad
			link set under0 up
			link add stt0 type stt id 5 remote 10.0.0.$((3 - n)) $*
			addr add 192.0.2.$n/24 dev stt0
			link set stt0 up
		END
	done
}

pings()
{
	in_ns "$here" ping -q -c 1 -W 1 "$@" 192.0.2.2 >/dev/null
}

has_link()
{
	ip -n "$1" link show dev "$2" >/dev/null 2>&1
}

has_no_link()
{
	! has_link "$@"
}

# The underlay stays where the device was made.
device_in_another_namespace()
{
	pair
	ns_create vm
	# shellcheck disable=SC2154
	ip -n "$here" link set stt0 netns "$vm"
	ip -n "$vm" addr add 192.0.2.1/24 dev stt0
	ip -n "$vm" link set stt0 up
	await 10 in_ns "$vm" ping -q -c 1 -W 1 192.0.2.2
	in_ns "$vm" ping -q -c 1 -W 5 -s 20000 192.0.2.2 >/dev/null
	ip -n "$vm" link show stt0 | grep -q 'link-netns'
	# A change looks for its things in the underlay's namespace.
	ip -n "$vm" link set stt0 type stt ttl 9
	# It comes back.
	ip -n "$vm" link set stt0 netns "$here"
	ip -n "$here" addr add 192.0.2.1/24 dev stt0
	ip -n "$here" link set stt0 up
	await 10 pings
}

device_made_for_another_namespace()
{
	pair
	ns_create vm
	ip -n "$here" link del stt0
	ip -n "$vm" link add stt0 link-netns "$here" type stt id 5 \
		remote 10.0.0.2 dev under0 2>/dev/null ||
	ip -n "$vm" link add stt0 link-netns "$here" type stt id 5 \
		remote 10.0.0.2
	ip -n "$vm" addr add 192.0.2.1/24 dev stt0
	ip -n "$vm" link set stt0 up
	await 10 in_ns "$vm" ping -q -c 1 -W 1 192.0.2.2
}

namespaces_that_go_take_their_devices()
{
	local ns

	pair
	ns_create vm vm2
	# shellcheck disable=SC2154
	ip -n "$here" link set stt0 netns "$vm"
	ip -n "$here" link add stt1 type stt id 6 remote 10.0.0.2
	# shellcheck disable=SC2154
	ip -n "$here" link set stt1 netns "$vm2"
	ip -n "$vm2" link set stt1 up
	# Where a device is.
	ip netns del "$vm2"
	ip netns add "$vm2"
	await 10 same_tunnel_again
	# What it stands on.
	ip netns del "$here"
	ip netns add "$here"
	await 10 has_no_link "$vm" stt0
}

# Works once the old one has gone.
same_tunnel_again()
{
	ip -n "$here" link add stt1 type stt id 6 remote 10.0.0.2
}

# Traffic in flight in both directions while either end is removed.
namespaces_that_go_under_traffic()
{
	local i

	for i in 1 2 3; do
		pair
		await 10 pings
		in_ns "$here" ping -q -f -s 8000 192.0.2.2 >/dev/null 2>&1 &
		in_ns "$there" ping -q -f -s 8000 192.0.2.1 >/dev/null 2>&1 &
		await 10 busy
		if [ $((i % 2)) = 1 ]; then
			ip -n "$there" link del under0
		else
			ip -n "$there" link del stt0
		fi
		ns_cleanup
	done
}

busy()
{
	[ "$(link_stat "$here" stt0 rx.packets)" -ge 50 ]
}

underlay_in_a_vrf()
{
	local n m name

	ns_create here there
	ip link add under0 netns "$here" type veth \
		peer name under0 netns "$there"
	for n in 1 2; do
		m=$((3 - n))
		name=$([ $n = 1 ] && echo here || echo there)
		ip -n "${!name}" -batch - <<-END
			link add red type vrf table 10
			link set red up
			link set under0 master red up
			addr add 10.0.0.$n/24 dev under0
			addr add fd00::$n/64 dev under0 nodad
			link add stt0 type stt id 5 remote 10.0.0.$m dev red
			link add stt1 type stt id 6 remote fd00::$m dev under0
			link add dark type stt id 7 remote 10.0.0.$m
			addr add 192.0.2.$n/24 dev stt0
			addr add 198.51.100.$n/24 dev stt1
			addr add 203.0.113.$n/24 dev dark
			link set stt0 up
			link set stt1 up
			link set dark up
		END
	done
	await 10 pings
	pings -s 20000
	await 10 in_ns "$here" ping -q -c 1 -W 1 198.51.100.2
	# A tunnel that is not in the VRF neither finds it nor hears it.
	fails in_ns "$here" ping -q -c 1 -W 1 203.0.113.2
	[ "$(ethtool_stat "$here" dark tx_no_route)" -ge 1 ]
	# Out of the VRF, everything still fits.
	for name in here there; do
		ip -n "${!name}" link set under0 nomaster
		n=$([ $name = here ] && echo 1 || echo 2)
		ip -n "${!name}" addr replace "fd00::$n/64" dev under0 nodad
	done
	await 10 in_ns "$here" ping -q -c 1 -W 1 198.51.100.2
	await 10 in_ns "$here" ping -q -c 1 -W 1 203.0.113.2
}

tunnels_end_with_the_device_they_are_bound_to()
{
	pair dev under0
	ip -n "$here" link add stt1 type stt id 6 remote 10.0.0.2
	ip -n "$here" link add stt2 type stt id 7 group 239.1.1.1 dev under0
	ip -n "$here" link add stt3 type stt id 8 group ff0e::1 dev under0
	ip -n "$here" link set stt2 up
	ip -n "$here" link set stt3 up
	ip -n "$here" link del under0
	await 10 has_no_link "$here" stt0
	has_no_link "$here" stt2
	has_no_link "$here" stt3
	has_link "$here" stt1
	# The same when it moves away.
	ns_create other
	ip -n "$here" link add under1 type dummy
	ip -n "$here" link add stt4 type stt id 9 remote 10.0.0.2 dev under1
	# shellcheck disable=SC2154
	ip -n "$here" link set under1 netns "$other"
	await 10 has_no_link "$here" stt4
}

# longest NS: the longest packet that has come in, headers and all.
longest()
{
	tcpdump -n -r "$1" 2>/dev/null | awk '
		{ n = 0
		  if (match($0, /length [0-9]+$/))
			n = substr($0, RSTART + 7) + 0
		  if (n > max) max = n }
		END { print max + 0 }'
}

# The next frames are cut to what fits now.
underlay_mtu_changes()
{
	local mtu dir max

	require tcpdump
	pair
	dir=$(mktemp -d)
	await 10 pings
	in_ns "$here" ethtool -K under0 tso off gso off >/dev/null
	for mtu in 1500 1000 600 1500; do
		ip -n "$here" link set under0 mtu $mtu
		ip -n "$there" link set under0 mtu $mtu
		in_ns "$there" tcpdump -n -U --immediate-mode -i under0 \
			-w "$dir/$mtu" 'tcp port 7471 and src host 10.0.0.1' \
			2>"$dir/log" &
		await 10 grep -q 'listening on' "$dir/log"
		await 10 pings -s 5000
		await 10 captured "$dir/$mtu" 4
		kill $!
		wait $! || :
		max=$(longest "$dir/$mtu")
		# IPv4 and TCP headers are not counted.
		[ "$max" = $((mtu - 40)) ] || {
			echo "MTU $mtu: $max bytes of payload"
			return 1
		}
	done
	rm -rf "$dir"
}

captured()
{
	[ "$(tcpdump -n -r "$1" 2>/dev/null | wc -l)" -ge "$2" ]
}

what_tools_see()
{
	pair
	in_ns "$here" grep -qx DEVTYPE=stt /sys/class/net/stt0/uevent
	in_ns "$here" ethtool -i stt0 | grep -qx 'driver: stt'
	in_ns "$here" ethtool stt0 | grep -q 'Link detected: yes'
	# That of the device below.
	[ "$(in_ns "$here" ethtool stt0 | grep Speed)" = \
	  "$(in_ns "$here" ethtool under0 | grep Speed)" ]
	ip -n "$here" link set under0 down
	await 10 no_route_is_counted
	ip -n "$here" -s -d link show stt0 | grep -q 'dropped:.*tx_no_route'
	ip -n "$here" -j -s -d link show stt0 |
		jq -e '.[0].linkinfo.info_xstats.tx_no_route > 0' >/dev/null
	ip -n "$here" -j -s link show stt0 |
		jq -e '.[0].stats64.tx.errors >= 0' >/dev/null
	ip -n "$here" link set under0 up
	await 10 pings
}

# below NS DEV: devices that it is on top of, as sysfs has it.
below()
{
	in_ns "$1" find "/sys/class/net/$2/" -name 'lower_*' -printf '%f ' |
		sed 's/ $//'
}

# above NS DEV: and those on top of it.
above()
{
	in_ns "$1" find "/sys/class/net/$2/" -name 'upper_*' -printf '%f\n' |
		sort | xargs
}

links_in_sysfs()
{
	local output

	pair dev under0
	ip -n "$here" link add under1 type dummy
	[ "$(below "$here" stt0)" = lower_under0 ]
	[ "$(above "$here" under0)" = upper_stt0 ]
	ip -n "$here" link change stt0 type stt dev under1
	[ "$(below "$here" stt0)" = lower_under1 ]
	[ -z "$(above "$here" under0)" ]
	# A change that fails leaves them alone.
	fails ip -n "$here" link change stt0 type stt dev under0 id 6 \
		2>/dev/null
	ip -n "$here" link add stt1 type stt id 6 remote 10.0.0.2 dev under0
	fails ip -n "$here" link change stt0 type stt dev under0 \
		local fd00::1 2>/dev/null
	[ "$(above "$here" under0) $(above "$here" under1)" = \
	  "upper_stt1 upper_stt0" ]
	# Neither may be on top of the other both ways.
	ip -n "$here" link add br0 type bridge
	ip -n "$here" link set stt1 master br0
	output=$(ip -n "$here" link change stt1 type stt dev br0 2>&1) &&
		return 1
	grep -qx 'Error: .*on top of this device.' <<<"$output"
	[ "$(below "$here" stt1)" = lower_under0 ]
	ip -n "$here" link change stt0 type stt dev br0
	fails ip -n "$here" link set stt0 master br0 2>/dev/null
	# They end with either device.
	ip -n "$here" link del br0
	has_no_link "$here" stt0
	ip -n "$here" link del stt1
	[ -z "$(above "$here" under0)" ]
	# And do not show in another namespace.
	ns_create vm
	ip -n "$here" link add stt2 type stt id 7 remote 10.0.0.2 dev under0
	ip -n "$here" link set stt2 netns "$vm"
	[ -z "$(below "$vm" stt2)$(above "$here" under0)" ]
	ip -n "$vm" link set stt2 netns "$here"
	[ "$(above "$here" under0)" = upper_stt2 ]
	ip -n "$here" link del under0
	has_no_link "$here" stt2
}

# traced REASON: a packet was dropped for it.
traced()
{
	grep -qw "kfree_skb:.*reason: $1" "$trace/trace"
}

# Reasons that the kernel has; those of 6.1 are fewer.
drops_are_given_reasons()
{
	local event mac=02:00:00:00:00:01

	trace=$(mktemp -d)
	mount -t tracefs none "$trace" || skip "no tracefs"
	event=$trace/events/skb/kfree_skb
	[ -e "$event/enable" ] || skip "no tracepoint for drops"
	pair
	echo 1 >"$event/enable"
	ip -n "$here" link set under0 down
	in_ns "$here" ./frames.py send stt0 $mac $mac
	await 10 traced IP_OUTNOROUTES
	ip -n "$here" link set under0 up
	fails traced DEV_READY
	ip -n "$there" link set stt0 down
	in_ns "$here" ./frames.py send stt0 $mac $mac
	await 10 traced DEV_READY
	ip -n "$there" link set stt0 up
	if grep -q NO_TX_TARGET "$event/format"; then
		ip -n "$here" link add stt1 type stt id 6
		ip -n "$here" link set stt1 up
		in_ns "$here" ./frames.py send stt1 $mac $mac
		await 10 traced NO_TX_TARGET
	fi
	if grep -q MAC_INVALID_SOURCE "$event/format"; then
		in_ns "$here" ./frames.py send stt0 01:00:00:00:00:01 $mac
		await 10 traced MAC_INVALID_SOURCE
	fi
	echo 0 >"$event/enable"
	umount "$trace"
	rmdir "$trace"
}

no_route_is_counted()
{
	pings || :
	[ "$(ethtool_stat "$here" stt0 tx_no_route)" -gt 0 ]
}

offloads_can_be_off()
{
	local feature

	pair
	await 10 pings
	for feature in tso tx gso sg rx gro txvlan rxvlan; do
		in_ns "$here" ethtool -K stt0 $feature off >/dev/null
		pings -s 20000
	done
	in_ns "$here" ethtool -k stt0 | grep -q '^tx-checksumming: off'
	in_ns "$here" ethtool -k stt0 | grep -q '^tcp-segmentation-offload: off'
	for feature in tx sg gso tso rx gro txvlan rxvlan; do
		in_ns "$here" ethtool -K stt0 $feature on >/dev/null
	done
	in_ns "$here" ethtool -k stt0 | grep -q '^tcp-segmentation-offload: on'
	pings -s 20000
}

# What a device does with frames in a thread of its own.
frames_are_received_in_a_thread()
{
	pair
	in_ns "$there" bash -c 'echo 1 >/sys/class/net/stt0/threaded'
	await 10 pings
	pings -s 20000 -W 5
	in_ns "$there" bash -c 'echo 0 >/sys/class/net/stt0/threaded'
	pings -s 20000 -W 5
}

# Pages of a program, which it writes again once it is told that it may.
data_is_sent_without_copying()
{
	local server

	pair
	await 10 pings
	in_ns "$there" timeout 60 python3 -c '
import hashlib, socket
s = socket.create_server(("192.0.2.2", 9000))
c = s.accept()[0]
h = hashlib.sha256()
while data := c.recv(1 << 16):
    h.update(data)
c.sendall(h.digest())' &
	server=$!
	await 10 listening "$there" 9000
	in_ns "$here" timeout 60 python3 -c '
import hashlib, os, select, socket
SO_ZEROCOPY, MSG_ZEROCOPY = 60, 0x4000000
c = socket.create_connection(("192.0.2.2", 9000))
c.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
poll = select.poll()
poll.register(c, 0)
h = hashlib.sha256()
sends = told = 0
for i in range(40):
    data = bytearray(os.urandom(50000))
    h.update(data)
    view = memoryview(data)
    while view:
        view = view[c.send(view, MSG_ZEROCOPY):]
        sends += 1
    while told < sends:
        poll.poll(1000)
        try:
            news = c.recvmsg(100, 512, socket.MSG_ERRQUEUE)[1]
        except BlockingIOError:
            continue
        for _, _, error in news:
            told = max(told, int.from_bytes(error[12:16], "little") + 1)
    data[:] = bytes(len(data))
c.shutdown(socket.SHUT_WR)
assert c.recv(100) == h.digest(), "other data arrived"'
	wait $server
}

protodown_holds_the_carrier()
{
	pair
	ip -n "$here" link set stt0 protodown on
	ip -n "$here" link show stt0 | grep -q 'protodown on'
	# The carrier goes, and with it the queue in its own time.
	await 10 fails pings
	ip -n "$here" link set stt0 protodown off
	await 10 pings
}

addresses_change_while_up()
{
	pair
	ip -n "$here" link set stt0 address 02:00:00:00:00:77
	in_ns "$there" ip neigh flush dev stt0
	await 10 pings
	fails ip -n "$here" link set stt0 address 01:00:00:00:00:01 2>/dev/null
}

# listens PORT: a program that cannot bind fails.
listens()
{
	in_ns "$here" python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET6 if sys.argv[2] == "6" else socket.AF_INET)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", int(sys.argv[1])))
s.listen()
print("ready", flush=True)
if len(sys.argv) > 3:
    sys.stdin.read()
' "$@"
}

the_port_belongs_to_one()
{
	local output

	pair
	fails listens 7471 4 2>/dev/null
	fails listens 7471 6 2>/dev/null
	listens 7472 4
	# The other way round.
	exec 9> >(listens 7472 4 stay >"$reason_file.ready")
	await 10 grep -q ready "$reason_file.ready"
	output=$(ip -n "$here" link add x type stt id 5 dstport 7472 2>&1) &&
		return 1
	grep -q 'port.*taken' <<<"$output"
	exec 9>&-
	await 10 ip -n "$here" link add x type stt id 5 dstport 7472
	rm -f "$reason_file.ready"
	# Free again after the last device has gone, not before.
	ip -n "$here" link add y type stt id 6 dstport 7472
	ip -n "$here" link del x
	fails listens 7472 4 2>/dev/null
	ip -n "$here" link del y
	await 10 listens 7472 4
}

# A segment for a tunnel that is down or unknown is dropped, not answered.
nobody_answers_for_a_device_that_is_down()
{
	local dir

	require tcpdump
	pair
	dir=$(mktemp -d)
	ip -n "$there" link set stt0 down
	in_ns "$here" tcpdump -n -U --immediate-mode -i under0 -w "$dir/pcap" \
		'src host 10.0.0.2 and not arp' 2>"$dir/log" &
	await 10 grep -q 'listening on' "$dir/log"
	ip -n "$here" neigh replace 192.0.2.2 lladdr 02:00:00:00:00:02 dev stt0
	fails pings
	[ "$(ethtool_stat "$there" stt0 rx_down)" -ge 1 ]
	ip -n "$here" link add stt1 type stt id 99 remote 10.0.0.2
	ip -n "$here" link set stt1 up
	in_ns "$here" ping -c 1 -W 1 -I stt1 -q 224.0.0.1 >/dev/null || :
	await 10 unknown_counted
	# What would have been an answer comes before this one.
	in_ns "$here" ping -c 1 -W 5 -q 10.0.0.2 >/dev/null
	await 10 captured "$dir/pcap" 1
	[ "$(tcpdump -n -r "$dir/pcap" tcp 2>/dev/null | wc -l)" = 0 ]
	kill $!
	rm -rf "$dir"
}

unknown_counted()
{
	in_ns "$there" grep -q '^rx_unknown_id [1-9]' /proc/net/stt
}

# as_nobody COMMAND...: with all privileges in a user namespace of its own, and
# none outside.
as_nobody()
{
	exec setpriv --reuid 65534 --regid 65534 --clear-groups \
		unshare -r -n "$@"
}

# What root alone may read, where anyone can.
plugin_for_all()
{
	local dir

	dir=$(mktemp -d)
	chmod 755 "$dir"
	cp "${IP_LIB_DIR:-/nowhere}/link_stt.so" "$dir" 2>/dev/null || :
	echo "$dir"
}

users_without_privileges()
{
	local dir output pid

	(as_nobody true) || skip "no user namespaces for users"
	dir=$(plugin_for_all)
	[ -z "${IP_LIB_DIR:-}" ] || IP_LIB_DIR=$dir
	output=$(as_nobody bash -ec '
		ip link set lo up
		ip link add stt0 type stt id 5 remote 127.0.0.2 local 127.0.0.1
		ip link add stt1 type stt id 5 remote 127.0.0.1 local 127.0.0.2
		ip link set stt0 up
		ip link set stt1 up
		bridge fdb append 00:00:00:00:00:00 dev stt0 dst 127.0.0.3
		ip -d link show stt0' 2>&1) || {
		echo "$output"
		return 1
	}
	grep -q 'stt id 5' <<<"$output"
	# A device whose underlay is another's is not theirs to change.
	ns_create here
	ip -n "$here" link add stt0 type stt id 5 remote 10.0.0.2
	(as_nobody bash -c '
		until ip link set stt0 up 2>/dev/null; do sleep 0.1; done
		ip link set stt0 type stt ttl 5; echo $?') >"$dir/out" 2>&1 &
	pid=$!
	await 10 other_net $pid
	ip -n "$here" link set stt0 netns $pid
	wait $pid
	cat "$dir/out"
	grep -q 'not permitted' "$dir/out"
	[ "$(tail -n 1 "$dir/out")" != 0 ]
	rm -rf "$dir"
}

other_net()
{
	[ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

# An entry costs memory, which counts for who has asked for it, and is not to
# be had beyond the limit.
memory_is_limited()
{
	local group=/sys/fs/cgroup/stt-$$ limit=$((20 << 20)) pid out

	[ -w /sys/fs/cgroup/cgroup.procs ] || skip "no cgroup2"
	mkdir "$group"
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null || :
	if [ ! -e "$group/memory.max" ]; then
		rmdir "$group"
		skip "no memory controller"
	fi
	echo $limit >"$group/memory.max"
	out=$(mktemp)
	ns_create here
	ip -n "$here" link add x type stt id 5
	(
		echo "$BASHPID" >"$group/cgroup.procs"
		exec ip netns exec "$here" ./frames.py fill x 10.0.0.2 400000
	) >"$out" 2>&1 &
	pid=$!
	await 60 ended $pid
	wait $pid && return 1
	grep -q 'error -12' "$out"
	rm -f "$out"
	[ "$(cat "$group/memory.peak" 2>/dev/null || echo 0)" -le $limit ]
	# Nearly all of it is slab, and the entries are why.
	[ "$(bridge -n "$here" fdb show dev x | wc -l)" -gt 50000 ]
	ip -n "$here" link del x
	await 20 rmdir "$group"
}

ended()
{
	! kill -0 "$1" 2>/dev/null
}

# reload: the module loads by itself, and unloads with tunnels up and busy.
the_module_comes_and_goes()
{
	local ko config

	ko=/lib/modules/$(uname -r)/extra/stt.ko
	[ -n "${STT_KO:-}" ] || skip "not this tree's module"
	[ "$(cat /sys/module/stt/refcnt)" = 0 ] || skip "in use"
	mkdir -p "${ko%/*}"
	cp "$STT_KO" "$ko"
	depmod -a
	pair
	await 10 pings
	in_ns "$here" ping -q -f -s 8000 192.0.2.2 >/dev/null 2>&1 &
	await 10 busy
	rmmod stt
	has_no_link "$here" stt0
	has_no_link "$there" stt0
	[ ! -e /proc/net/stt ]
	ip -n "$here" link add stt0 type stt id 5 remote 10.0.0.2
	stt_loaded
	ip -n "$there" link add stt0 type stt id 5 remote 10.0.0.1
	for config in "$here 1" "$there 2"; do
		# shellcheck disable=SC2086
		set -- $config
		ip -n "$1" addr add "192.0.2.$2/24" dev stt0
		ip -n "$1" link set stt0 up
	done
	await 10 pings
	rm -f "$ko"
	depmod -a
}

[ $# -gt 0 ] || set -- \
	device_in_another_namespace device_made_for_another_namespace \
	namespaces_that_go_take_their_devices namespaces_that_go_under_traffic \
	underlay_in_a_vrf tunnels_end_with_the_device_they_are_bound_to \
	underlay_mtu_changes what_tools_see links_in_sysfs \
	drops_are_given_reasons offloads_can_be_off \
	frames_are_received_in_a_thread data_is_sent_without_copying \
	protodown_holds_the_carrier addresses_change_while_up \
	the_port_belongs_to_one nobody_answers_for_a_device_that_is_down \
	users_without_privileges memory_is_limited \
	the_module_comes_and_goes
run_tests "$@"
