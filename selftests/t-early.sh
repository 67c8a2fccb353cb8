#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# timeout: 240
# Segments whose way is known skip the stack's routing decision. That must
# never be seen but in the time it saves: rules, routes and addresses count
# from the next segment on.  As root, with the module loaded.
set -u
cd "$(dirname "$0")" || exit 1
# shellcheck source=selftests/lib.sh
. ./lib.sh

require jq ping nft
# between packets of a flow, in seconds
interval=$(printf '0.%02d' $((2 * ${STT_SLOW:-1})))

# pair 4|6: two hosts, here and there, with stt0 between them.
pair()
{
	local n name net=10.0.0.

	[ "$1" = 4 ] || net=fd00::
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
			link add stt0 type stt id 5 remote $net$((3 - n))
			addr add 192.0.2.$n/24 dev stt0
			link set stt0 up
		END
	done
	busywait 10 pings >/dev/null
	# What follows must find ways known, and more that would go by them.
	in_ns "$here" ping -q -i "$interval" 192.0.2.2 >/dev/null 2>&1 &
}

# An answer comes, within the time that a slow kernel may take.
pings()
{
	in_ns "$here" ping -q -c 1 -W $((2 * ${STT_SLOW:-1})) 192.0.2.2 \
		>/dev/null
}

# segments: how many the far host has taken
segments()
{
	# shellcheck disable=SC2016
	in_ns "$there" awk '$1 == "rx_segments" { print $2 }' /proc/net/stt
}

# The ping may fail for another reason, so see where the segment ended.  It has
# ended by the time that an answer could come, and so have some of the others.
lost_before_stt()
{
	local before

	before=$(segments)
	fails in_ns "$here" ping -q -c 1 -W 0.5 192.0.2.2 >/dev/null
	[ "$(segments)" = "$before" ]
}

# What the kernel looks up for 100 pings there and back.
lookups()
{
	local tracing=/sys/kernel/tracing

	in_ns "$here" ping -q -c 1 -W 1 192.0.2.2 >/dev/null
	echo >$tracing/trace
	in_ns "$here" ping -q -f -c 100 192.0.2.2 >/dev/null
	grep -c "fib_table_lookup:.* iif [1-9].* 10\.0\.0\." $tracing/trace
}

event=/sys/kernel/tracing/events/fib/fib_table_lookup/enable

known_ways_are_not_looked_up()
{
	local with without

	mountpoint -q /sys/kernel/tracing ||
		mount -t tracefs tracefs /sys/kernel/tracing ||
		skip "no tracefs"
	[ -e $event ] || skip "no tracepoint fib_table_lookup"
	# What it limits it tracks, in every namespace.
	[ ! -e /sys/module/openvswitch/refcnt ] ||
		[ ! -e /sys/module/nf_conncount ] ||
		skip "openvswitch is loaded: connections are tracked"
	pair 4
	trap 'echo 0 >$event; end_jobs; ns_cleanup' EXIT
	echo 1 >$event
	with=$(lookups) || :
	in_ns "$here" sysctl -qw net.ipv4.ip_early_demux=0
	in_ns "$there" sysctl -qw net.ipv4.ip_early_demux=0
	# A note lives for a second.
	busywait 10 many_lookups
	without=$(lookups)
	echo "$with lookups for 200 segments, $without without early demux"
	[ "$without" -ge 200 ]
	[ "$with" -le $((without / 4)) ]
}

many_lookups()
{
	[ "$(lookups)" -ge 200 ]
}

# rules_count 4|6 HOOK PRIORITY
rules_count()
{
	local hook=$2 priority=$3

	pair "$1"
	in_ns "$there" nft -f - <<-END
		table inet t {
			chain c {
				type filter hook $hook priority $priority
				tcp dport 7471 counter drop
			}
		}
	END
	lost_before_stt
	in_ns "$there" nft -j list chain inet t c |
		jq -e "any(.. | .counter?; .packets? > 0)" >/dev/null
	in_ns "$there" nft delete table inet t
	pings
}

rules_for_input_count_at_once()
{
	rules_count 4 input 0
	ns_cleanup
	rules_count 6 input 0
}

rules_before_routing_count_at_once()
{
	rules_count 4 prerouting -300
	ns_cleanup
	rules_count 6 prerouting -300
}

an_address_that_goes_is_gone_at_once()
{
	pair 4
	ip -n "$there" addr del 10.0.0.2/24 dev under0
	lost_before_stt
	ip -n "$there" addr add 10.0.0.2/24 dev under0
	busywait 10 pings
	ns_cleanup
	pair 6
	ip -n "$there" addr del fd00::2/64 dev under0
	lost_before_stt
	ip -n "$there" addr add fd00::2/64 dev under0 nodad
	busywait 10 pings
}

# With a filter for sources the stack takes nothing from where it has no way
# back to.
a_route_counts_at_once()
{
	pair 4
	in_ns "$there" sysctl -qw net.ipv4.conf.all.rp_filter=1
	pings
	ip -n "$there" route add blackhole 10.0.0.1/32
	lost_before_stt
	ip -n "$there" route del blackhole 10.0.0.1/32
	pings
}

a_routing_rule_counts_at_once()
{
	local family

	for family in 4 6; do
		pair $family
		ip -n "$there" -$family -batch - <<-END
			rule add prio 10 table local
			rule add prio 5 iif under0 blackhole
			rule del prio 0
		END
		lost_before_stt
		ip -n "$there" -$family rule del prio 5
		pings
		ns_cleanup
	done
}

# Only what changes no route takes up to a second.
a_source_filter_counts_in_a_second()
{
	pair 4
	in_ns "$there" sysctl -qw net.ipv4.conf.all.rp_filter=0 \
		net.ipv4.conf.under0.rp_filter=0
	ip -n "$there" route add blackhole 10.0.0.1/32
	fails pings
	in_ns "$there" sysctl -qw net.ipv4.conf.all.rp_filter=1
	busywait 5 lost_before_stt >/dev/null
}

run_tests known_ways_are_not_looked_up rules_for_input_count_at_once \
	rules_before_routing_count_at_once \
	an_address_that_goes_is_gone_at_once a_route_counts_at_once \
	a_routing_rule_counts_at_once a_source_filter_counts_in_a_second
