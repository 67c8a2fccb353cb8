#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# long
# timeout: 900
# Which way segments take, and what decides it: firewall marks, protocol and
# ports, flow labels, IPsec; and Context IDs that differ by direction.  As
# root, with the module loaded.
set -u
cd "$(dirname "$0")" || exit 1
# shellcheck source=selftests/lib.sh
. ./lib.sh

require jq ping tcpdump nft

# two_ways 4|6 [OPTION...]: two hosts, here and there, with two links between
# them, of which the main table knows the first alone; stt0 over them, and
# 192.0.2.1 and .2 inside.  stt0 sends nothing but what it is told to.
two_ways()
{
	local family=$1 n m name net=10.0.0 dots=.

	shift
	[ "$family" = 4 ] || net=fd00: dots=:
	ns_create here there
	for m in 0 1; do
		# shellcheck disable=SC2154
		ip link add under$m netns "$here" type veth \
			peer name under$m netns "$there"
	done
	for n in 1 2; do
		name=$([ $n = 1 ] && echo here || echo there)
		for m in 0 1; do
			in_ns "${!name}" sysctl -qw \
				net.ipv4.conf.under$m.rp_filter=0
		done
		in_ns "${!name}" sysctl -qw net.ipv4.conf.all.rp_filter=0 \
			net.ipv6.conf.default.disable_ipv6=1
		ip -n "${!name}" -batch - <<-END
			addr add 10.0.0.$n/24 dev under0
			addr add 10.0.1.$n/24 dev under1
			addr add fd00::$n/64 dev under0 nodad
			addr add fd01::$n/64 dev under1 nodad
			link set under0 up
			link set under1 up
			route add 10.0.0.0/24 via 10.0.1.$((3 - n)) table 7
			route add fd00::/64 via fd01::$((3 - n)) table 7
			link add stt0 address 02:00:00:00:00:0$n type stt id 5 \
				local $net$dots$n remote $net$dots$((3 - n)) $*
			addr add 192.0.2.$n/24 dev stt0
			link set stt0 up
			neigh add 192.0.2.$((3 - n)) dev stt0 \
				lladdr 02:00:00:00:00:0$((3 - n))
		END
	done
	await 10 pings
}

pings()
{
	# The neighbour on the other link may take a second to be found.
	in_ns "$here" ping -q -c 1 -W 5 "$@" 192.0.2.2 >/dev/null
}

# count_start: counts segments from here on both links, as they arrive.
count_start()
{
	in_ns "$there" nft -f - <<-END
		table netdev count
		delete table netdev count
		table netdev count {
			chain c0 {
				type filter hook ingress device under0 \
					priority 0
				tcp dport 7471 counter
			}
			chain c1 {
				type filter hook ingress device under1 \
					priority 0
				tcp dport 7471 counter
			}
		}
	END
}

# counted 0|1: segments by that link since.
counted()
{
	in_ns "$there" nft -j list chain netdev count "c$1" |
		jq '[.nftables[].rule?.expr[]?.counter?.packets // empty][0]'
}

# by 0|1 COMMAND...: what COMMAND sends takes that link.
by()
{
	local way=$1 this other

	shift
	count_start
	"$@" || {
		echo "$* fails; under$way: $(counted "$way") segments"
		return 1
	}
	this=$(counted "$way")
	other=$(counted $((1 - way)))
	[ "$this" -gt 0 ] && [ "$other" = 0 ] && return
	echo "$*: $this segments by under$way, $other by the other"
	return 1
}

# rule ARGUMENT...: segments that match take the second link.
rule()
{
	ip -n "$here" rule add "$@" table 7
	ip -n "$here" -6 rule add "$@" table 7
}

no_rule()
{
	ip -n "$here" rule del "$@" table 7
	ip -n "$here" -6 rule del "$@" table 7
}

mark_of_the_device()
{
	local family

	for family in 4 6; do
		two_ways $family fwmark 7
		by 0 pings
		rule fwmark 7
		by 1 pings -c 3 -i 0.2
		ip -n "$here" link change stt0 type stt fwmark 8
		by 0 pings
		ip -n "$here" link change stt0 type stt fwmark 7
		by 1 pings
		# It comes before the mark of the packet.
		by 1 pings -m 8
		ip -n "$here" link change stt0 type stt fwmark 0
		by 0 pings
		ns_cleanup
	done
}

mark_of_the_packet()
{
	local family

	for family in 4 6; do
		two_ways $family
		rule fwmark 7
		by 0 pings
		by 1 pings -m 7
		# The route of one is not that of the next.
		by 0 pings
		by 0 pings -m 8
		ns_cleanup
	done
}

protocol_and_ports()
{
	local family match

	for family in 4 6; do
		two_ways $family srcport 5000 5000
		for match in "ipproto tcp" "dport 7471" "sport 5000" \
			     "ipproto tcp sport 5000-5001 dport 7471"; do
			# shellcheck disable=SC2086
			rule $match
			by 1 pings
			# shellcheck disable=SC2086
			no_rule $match
			by 0 pings
		done
		for match in "ipproto udp" "dport 7472" "sport 5001"; do
			# shellcheck disable=SC2086
			rule $match
			by 0 pings
		done
		ns_cleanup
	done
}

# Flows of one tunnel that is not bound to a route: each device its own.
equal_paths()
{
	local id lines=() ways

	two_ways 4
	in_ns "$here" sysctl -qw net.ipv4.fib_multipath_hash_policy=1
	ip -n "$here" route add 10.0.0.2/32 \
		nexthop via 10.0.0.2 dev under0 onlink \
		nexthop via 10.0.1.2 dev under1
	count_start
	for id in {10..41}; do
		lines+=("link add s$id type stt id $id remote 10.0.0.2 \
				local 10.0.0.1 srcport $id $id"
			"addr add 198.18.$id.1/24 dev s$id"
			"link set s$id up"
			"neigh add 198.18.$id.2 dev s$id \
				lladdr 02:00:00:00:00:02")
	done
	printf '%s\n' "${lines[@]}" | ip -n "$here" -batch -
	# shellcheck disable=SC2016
	in_ns "$here" bash -c \
		'for i in {10..41}; do echo x >/dev/udp/198.18.$i.2/9; done'
	ways="$(counted 0) $(counted 1)"
	echo "segments by each link: $ways"
	[ "$(counted 0)" -gt 3 ]
	[ "$(counted 1)" -gt 3 ]
}

# labels FILE: flow labels of the outer headers, one a line.
labels()
{
	tcpdump -n -v -r "$1" 2>/dev/null |
		sed -nE 's/.*flowlabel (0x[0-9a-f]+).*/\1/p' | sort -u
}

captured()
{
	[ "$(tcpdump -n -r "$1" 2>/dev/null | wc -l)" -ge "$2" ]
}

flow_label_of_the_packet()
{
	local dir n ns

	two_ways 6 flowlabel inherit
	dir=$(mktemp -d)
	for n in 1 2; do
		ns=$([ $n = 1 ] && echo "$here" || echo "$there")
		in_ns "$ns" sysctl -qw net.ipv6.conf.stt0.disable_ipv6=0
		ip -n "$ns" addr add 2001:db8::$n/64 dev stt0 nodad
	done
	await 10 in_ns "$here" ping -q -c 1 -W 1 2001:db8::2
	# Programs may choose a label that they have not reserved.
	in_ns "$here" sysctl -qw net.ipv6.flowlabel_consistency=0 \
		net.ipv6.flowlabel_state_ranges=0
	in_ns "$there" tcpdump -n -U --immediate-mode -i under0 \
		-w "$dir/pcap" 'tcp port 7471 and src host fd00::1' \
		2>"$dir/log" &
	await 10 grep -q 'listening on' "$dir/log"
	in_ns "$here" ping -q -c 1 -W 5 -F 0x12345 2001:db8::2
	await 10 captured "$dir/pcap" 1
	kill $!
	wait $! || :
	labels "$dir/pcap"
	labels "$dir/pcap" | grep -qx 0x12345
	rm -rf "$dir"
}

# Policies name protocol and port, as for any TCP.
ipsec()
{
	local family net dir

	modprobe -q esp4 || skip "no ESP"
	modprobe -q esp6 || skip "no ESP for IPv6"
	for family in 4 6; do
		two_ways $family
		net=10.0.0.
		[ $family = 4 ] || net=fd00::
		dir=$(mktemp -d)
		ip -n "$here" xfrm state add src ${net}1 dst ${net}2 \
			proto esp spi 0x100 mode transport \
			aead 'rfc4106(gcm(aes))' \
			0x000102030405060708090a0b0c0d0e0f10111213 128 ||
			skip "no AES-GCM"
		ip -n "$there" xfrm state add src ${net}1 dst ${net}2 \
			proto esp spi 0x100 mode transport \
			aead 'rfc4106(gcm(aes))' \
			0x000102030405060708090a0b0c0d0e0f10111213 128
		ip -n "$here" xfrm policy add dir out src ${net}1 \
			dst ${net}2 proto tcp dport 7471 \
			tmpl proto esp mode transport
		ip -n "$there" xfrm policy add dir in src ${net}1 \
			dst ${net}2 proto tcp dport 7471 \
			tmpl proto esp mode transport
		in_ns "$there" tcpdump -n -U --immediate-mode -i under0 \
			-w "$dir/pcap" "src host ${net}1" 2>"$dir/log" &
		await 10 grep -q 'listening on' "$dir/log"
		await 10 pings
		pings -s 20000 -W 5
		await 10 captured "$dir/pcap" 15
		kill $!
		wait $! || :
		[ "$(tcpdump -n -r "$dir/pcap" tcp 2>/dev/null |
			wc -l)" = 0 ]
		[ "$(tcpdump -n -r "$dir/pcap" 2>/dev/null |
			grep -c ESP)" -ge 15 ]
		# What should have been encrypted and was not is dropped.
		ip -n "$here" xfrm policy flush
		fails pings
		in_ns "$there" grep -q '^rx_policy [1-9]' /proc/net/stt
		rm -rf "$dir"
		ns_cleanup
	done
}

# Errors of a firewall or router; nobody but those on the way may cause them.
errors_are_counted()
{
	local family net

	for family in 4 6; do
		two_ways $family
		net=10.0.0.
		[ $family = 4 ] || net=fd00::
		in_ns "$here" grep -qx 'tx_unreachable 0' /proc/net/stt
		in_ns "$there" nft -f - <<-END
			table inet fw {
				chain in {
					type filter hook input priority 0
					tcp dport 7471 reject with \
						icmpx port-unreachable
				}
			}
		END
		fails pings
		in_ns "$here" grep -q '^tx_unreachable [1-9]' /proc/net/stt
		in_ns "$there" nft flush ruleset
		in_ns "$there" nft -f - <<-END
			table inet fw {
				chain in {
					type filter hook input priority 0
					tcp dport 9 reject with \
						icmpx port-unreachable
				}
			}
		END
		before=$(in_ns "$here" grep '^tx_unr' /proc/net/stt)
		# Of other ports they are none of ours.
		fails in_ns "$here" bash -c "echo x >/dev/tcp/${net}2/9" \
			2>/dev/null
		[ "$(in_ns "$here" grep '^tx_unr' /proc/net/stt)" = \
		  "$before" ]
		await 10 pings
		ns_cleanup
	done
}

# What one end sends with is what the other has.
ids_by_direction()
{
	two_ways 4
	ip -n "$here" link del stt0
	ip -n "$there" link del stt0
	ip -n "$here" link add stt0 type stt ikey 6 okey 0xfffffffffffffff7 \
		remote 10.0.0.2
	ip -n "$there" link add stt0 type stt id 0xfffffffffffffff7 okey 6 \
		remote 10.0.0.1
	ip -n "$here" addr add 192.0.2.1/24 dev stt0
	ip -n "$there" addr add 192.0.2.2/24 dev stt0
	ip -n "$here" link set stt0 up
	ip -n "$there" link set stt0 up
	await 10 pings
	pings -s 20000 -W 5
	ip -n "$here" link change stt0 type stt okey 9
	fails pings
	ip -n "$here" link change stt0 type stt okey 0xfffffffffffffff7
	await 10 pings
	# With an FDB, entries have it unless they have their own.
	ip -n "$here" link add stt1 type stt id 0x10 okey 0x11 dstport 7472
	bridge -n "$here" fdb add 02:00:00:00:00:01 dev stt1 dst 10.0.0.2
	bridge -n "$here" fdb add 02:00:00:00:00:02 dev stt1 dst 10.0.0.2 \
		vni 18
	ip -n "$here" link set stt1 up
	ip -n "$there" link add s17 type stt id 17 okey 16 remote 10.0.0.1 \
		dstport 7472
	ip -n "$there" link add s18 type stt id 18 okey 16 remote 10.0.0.1 \
		dstport 7472
	ip -n "$there" link set s17 up
	ip -n "$there" link set s18 up
	in_ns "$here" ./frames.py send stt1 02:00:00:00:00:0a \
		02:00:00:00:00:01
	in_ns "$here" ./frames.py send stt1 02:00:00:00:00:0a \
		02:00:00:00:00:02 2
	await 10 received s17 1
	await 10 received s18 2
	# And so have those that are learned.
	in_ns "$there" ./frames.py send s17 02:00:00:00:00:0b \
		02:00:00:00:00:0a
	await 10 learned
	[ "$(link_stat "$there" s17 rx.packets)" = 1 ]
	in_ns "$here" ./frames.py send stt1 02:00:00:00:00:0a \
		02:00:00:00:00:0b
	await 10 received s17 2
}

received()
{
	[ "$(link_stat "$there" "$1" rx.packets)" -ge "$2" ]
}

learned()
{
	bridge -n "$here" fdb get 02:00:00:00:00:0b dev stt1 self |
		grep -q 'dst 10.0.0.2'
}

[ $# -gt 0 ] || set -- mark_of_the_device mark_of_the_packet \
	protocol_and_ports equal_paths flow_label_of_the_packet ipsec \
	errors_are_counted ids_by_direction
run_tests "$@"
