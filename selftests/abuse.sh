#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2317
# Floods of segments that no honest peer sends.  Memory stays bounded, nobody
# is answered, nothing is said in the log, and a tunnel goes on: it keeps at
# least PERCENT of the throughput that it has while as much plain TCP for a
# port without a listener comes in.
#
# Usage: abuse.sh [SECONDS]     of each measurement (2)
#
# In an emulated machine the ratio needs vm/run --icount.
#
# Environment: ROUNDS of measurements of each flood and of TCP, in turns (1);
# RATE in segments a second (a quarter of what the machine can send and
# refuse as TCP); PERCENT (90); SEED (1)
#
# Needs gcc, or in $STT_BIN_DIR what fuzz/Makefile builds.  As root; unloads
# and loads the module.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=selftests/lib.sh
. "$here/lib.sh"
# shellcheck source=selftests/vm/common.sh
. "$here/vm/common.sh"
# shellcheck source=selftests/leaks.sh
. "$here/leaks.sh"

seconds=${1:-2}
rounds=${ROUNDS:-1}
percent=${PERCENT:-90}
seed=${SEED:-1}
work=$(mktemp -d)

# flood NAME RATE: the options of segflood for it, on standard output
flood_options()
{
	local from='10.66.0.2' to='10.66.0.1' mode=$1 port=7471 sources=1

	case $1 in
	spoofed) mode=first sources=60000 from=10.66.1.0 ;;
	spoofed-oneid) mode=oneid sources=60000 from=10.66.1.0 ;;
	first6) mode=first from=fd66::2 to=fd66::1 ;;
	tcp) port=9999 ;;
	esac
	echo "-r $2 -R $seed -p $port -s $sources evil0 $mac $from $to $mode"
}

# flood NAME RATE SECONDS: for that long; prints the number of segments
flood()
{
	local options

	read -ra options <<<"$(flood_options "$1" "$2")"
	# shellcheck disable=SC2154
	in_ns "$foe" "$bin/segflood" -t "$3" "${options[@]}"
}

# Packets that have come back to the attacker; ARP and ND would be for a reply.
answers()
{
	in_ns "$foe" cat /sys/class/net/evil0/statistics/rx_packets
}

meminfo()
{
	awk -v name="$1:" '$1 == name { print $2 }' /proc/meminfo
}

net_stat()
{
	# shellcheck disable=SC2154
	in_ns "$hv" cat /proc/net/stt | sed -n "s/^$1 //p"
}

# Bits a second through the tunnel while NAME floods; appends to a file what
# was sent and what came through.
measure()
{
	local name=$1 bits sent

	flood "$name" "$rate" $((seconds + 2)) >"$work/sent" &
	# shellcheck disable=SC2154
	bits=$(in_ns "$far" iperf3 -c 172.16.0.1 -t "$seconds" -O 1 -J |
	       jq '.end.sum_received.bits_per_second | round')
	wait $!
	sent=$(cat "$work/sent")
	echo "$name $bits $sent" | tee -a "$work/results"
}

watch_memory()
{
	local held most=0 budget low free

	budget=$(net_stat reasm_budget)
	free=$(meminfo MemAvailable)
	low=$free
	while [ -e "$work/watch" ]; do
		held=$(net_stat reasm_mem)
		[ "$held" -le "$most" ] || most=$held
		held=$(meminfo MemAvailable)
		[ "$held" -ge "$low" ] || low=$held
		sleep 0.2
	done
	echo "$most of $budget bytes held, $((free - low)) KiB less free"
	# Each CPU may be about to add a segment.
	[ "$most" -le $((budget + 1048576)) ]
	[ $((free - low)) -le $((budget * 2 / 1024 + 65536)) ]
}

# compare NAME: memory, answers and the throughput of the tunnel
compare()
{
	local before after i ratio watcher

	touch "$work/watch"
	: >"$work/results"
	watch_memory >"$work/memory" &
	watcher=$!
	before=0
	for ((i = 0; i < rounds; i++)); do
		measure tcp
		after=$(answers)
		measure "$1"
		before=$((before + $(answers) - after))
	done
	rm "$work/watch"
	wait "$watcher" || { cat "$work/memory"; return 1; }
	cat "$work/memory"
	echo "$before answers"
	[ "$before" = 0 ]
	ratio=$(awk -v name="$1" '
		{ bits[$1] += $2; sent[$1] += $3 }
		END {
			ratio = 100 * bits[name] / bits["tcp"]
			load = 100 * sent[name] / sent["tcp"]
			print int(ratio)
			print int(ratio) " % of the throughput, with " \
			      int(load) " % of the load" >"/dev/stderr"
			exit load < 90
		}' "$work/results")
	[ "$ratio" -ge "$percent" ]
}

first_segments() { compare first; }
last_segments() { compare last; }
segments_of_one_frame() { compare oneid; }
unknown_Context_IDs() { compare unknown; }
spoofed_sources() { compare spoofed; }
spoofed_sources_of_one_frame() { compare spoofed-oneid; }
first_segments_over_IPv6() { compare first6; }

# The test can see an answer: TCP gives one.
TCP_is_answered()
{
	local before

	before=$(answers)
	flood tcp 100 2
	[ "$(answers)" -gt "$before" ]
}

tunnel_works()
{
	busywait 20 in_ns "$hv" ping -q -c 1 -W 2 -s 20000 172.16.0.2
}

incomplete_frames_expire()
{
	busywait 20 reasm_empty "$hv"
}

# A flood that is told of would fill the log.
log_is_quiet()
{
	dmesg | awk -v mark="$mark" 'index($0, mark) { n = 0; next }
		{ line[n++] = $0 }
		END { for (i = 0; i < n; i++) print line[i]; exit n > 10 }'
}

all_namespaces_end()
{
	namespaces_end "$hv" "$far" "$foe"
}

setup()
{
	local ns

	# shellcheck disable=SC2119
	topology_pair || return
	ns_create foe
	ip link add evil0 netns "$hv" type veth peer name evil0 netns "$foe"
	# Frames of the tunnel must need reassembly, too.
	for ns in "$hv" "$far"; do
		in_ns "$ns" ethtool -K under0 tso off gso off gro off
	done
	# Only an answer makes the victim send anything to the attacker.
	for ns in "$hv" "$foe"; do
		in_ns "$ns" sysctl -qw \
			net.ipv6.conf.evil0.router_solicitations=0 \
			net.ipv6.conf.evil0.addr_gen_mode=1
	done
	ip -n "$hv" -batch - <<-END || return
		addr add 10.66.0.1/16 dev evil0
		link set evil0 up
		addr add fd66::1/64 dev evil0 nodad
	END
	ip -n "$foe" -batch - <<-END || return
		addr add 10.66.0.2/16 dev evil0
		link set evil0 up
	END
	mac=$(in_ns "$foe" cat /sys/class/net/evil0/address)
	ip -n "$hv" neigh add 10.66.0.2 lladdr "$mac" dev evil0 nud permanent
	mac=$(in_ns "$hv" cat /sys/class/net/evil0/address)
	iperf_server "$hv"
	# What IPv6 says at the beginning.
	in_ns "$foe" sysctl -qw net.ipv6.conf.evil0.disable_ipv6=1
	busywait 10 tunnel_works >/dev/null
}

[ "$(id -u)" = 0 ] || skip "needs root"
require ip iperf3 ethtool jq
programs "$work"
# shellcheck disable=SC2119
stt_load || exit 1
leaks_begin
setup || exit 1
if [ -n "${RATE:-}" ]; then
	rate=$RATE
else
	rate=$(($(flood tcp 0 4) / 16 + 1))
fi
echo "# $rate segments a second, $rounds rounds of $seconds s"
mark="abuse-$$"
echo "$mark" >/dev/kmsg

run_tests TCP_is_answered first_segments last_segments segments_of_one_frame \
	unknown_Context_IDs spoofed_sources spoofed_sources_of_one_frame \
	first_segments_over_IPv6 tunnel_works incomplete_frames_expire \
	log_is_quiet all_namespaces_end module_unloads kernel_silent \
	checks_enabled leaks_none
rc=$?
! no_netns >/dev/null || namespaces=()
rm -rf "$work"
exit $rc
