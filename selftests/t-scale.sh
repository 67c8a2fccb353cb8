#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Ten thousand tunnel devices, beside as many of vxlan in the same kernel: time
# to make and to remove them, memory, and what a packet through the last one
# costs.
# long
# timeout: 5400
#
# Environment: STT_SCALE, how many (10000)
#
# Devices of both kinds are made and removed in turns, so that whatever else
# the machine does weighs on both.
set -u
cd "$(dirname "$0")" || exit 1
# shellcheck source=selftests/lib.sh
. ./lib.sh

require jq
modprobe vxlan || skip "no vxlan"
many=${STT_SCALE:-10000}
turns=10
each=$((many / turns))

# Processor time spent so far, in hundredths of a second; whoever spent it.
busy()
{
	awk '/^cpu / { print $2 + $3 + $4 + $7 + $8 }' /proc/stat
}

now()
{
	date +%s%N
}

# Kernel memory of objects and per-CPU data, in KiB.
used()
{
	awk '/^(Slab|Percpu):/ { sum += $2 } END { print sum }' /proc/meminfo
}

declare -A wall cpu memory

# timed KIND WHAT COMMAND...: adds to the time that WHAT takes with KIND.
timed()
{
	local what="$1 $2" begin busy_begin

	shift 2
	begin=$(now) busy_begin=$(busy)
	"$@" || return
	wall[$what]=$((${wall[$what]:-0} + $(now) - begin))
	cpu[$what]=$((${cpu[$what]:-0} + $(busy) - busy_begin))
}

# compare WHAT UNIT STT VXLAN
compare()
{
	awk -v what="$1" -v unit="$2" -v stt="$3" -v vxlan="$4" 'BEGIN {
		printf "%s: stt %d, vxlan %d %s: %.3f\n", what, stt, vxlan,
			unit, stt / vxlan }'
}

# no_more WHAT UNIT STT VXLAN PERCENT: fails if STT is the larger figure by
# more than PERCENT.
no_more()
{
	compare "$1" "$2" "$3" "$4"
	[ $(($3 * 100)) -le $(($4 * (100 + $5))) ]
}

# links KIND FIRST LAST OPTION...: commands for ip -batch
links()
{
	local kind=$1 first=$2 last=$3

	shift 3
	seq "$first" "$last" | sed "s/.*/link add t& group 7 type $kind \
id & $*/"
}

# make_and_remove OPTION...
make_and_remove()
{
	local turn kind before what

	wall=() cpu=() memory=()
	ns_create vxlan stt
	for turn in $(seq "$turns"); do
		for kind in vxlan stt; do
			before=$(used)
			timed "$kind" make ip -n "${!kind}" -batch - < <(
				links "$kind" $(((turn - 1) * each + 1)) \
					$((turn * each)) dstport 7471 "$@")
			memory[$kind]=$((${memory[$kind]:-0} +
					 $(used) - before))
		done
	done
	for kind in vxlan stt; do
		[ "$(ip -n "${!kind}" -br link show type "$kind" | wc -l)" = \
		  $((turns * each)) ]
	done
	# One by one, which asks for a device by its name.
	for turn in $(seq "$turns"); do
		for kind in vxlan stt; do
			timed "$kind" "remove half one by one" \
				ip -n "${!kind}" -batch - < <(
				seq -f "link del t%.0f" \
					$(((turn - 1) * each + 1)) 2 \
					$((turn * each)))
		done
	done
	# The namespace takes the rest with it.
	for kind in vxlan stt; do
		timed "$kind" "remove the rest at once" remove_ns "${!kind}"
	done
	namespaces=()
	# The clock measures what else the machine does, too.
	for what in make "remove half one by one" "remove the rest at once"; do
		compare "time to $what" ms $((${wall[stt $what]} / 1000000)) \
			$((${wall[vxlan $what]} / 1000000))
	done
	no_more "processor time to make" ticks "${cpu[stt make]}" \
		"${cpu[vxlan make]}" 10
	what="remove half one by one"
	no_more "processor time to $what" ticks "${cpu[stt $what]}" \
		"${cpu[vxlan $what]}" 10
	# Not in turns, so less certain.
	what="remove the rest at once"
	no_more "processor time to $what" ticks "${cpu[stt $what]}" \
		"${cpu[vxlan $what]}" 30
	no_more memory KiB "${memory[stt]}" "${memory[vxlan]}" 0
}

# Namespaces end in the background, one batch after the other: when the end of
# a second one begins after the first has begun, the first is over.
remove_ns()
{
	local next

	ip netns del "$1"
	for next in second third; do
		echo "$next"
		ip netns add "probe-$$"
		ip link add "probe-$$" type veth peer name peer \
			netns "probe-$$"
		ip netns del "probe-$$"
		busywait 600 no_probe >/dev/null
	done
}

no_probe()
{
	! ip link show "probe-$$" >/dev/null 2>&1
}

devices_to_one_remote_each()
{
	make_and_remove local 10.0.0.1 remote 10.0.0.2 nolearning
}

devices_with_an_fdb()
{
	make_and_remove learning
}

# flood DEV ADDRESS: nanoseconds of a flood ping, the least of several.
flood()
{
	local begin least='' took turn

	for turn in 1 2 3 4 5; do
		begin=$(now)
		# shellcheck disable=SC2154
		in_ns "$near" ping -q -f -c 500 -I "$1" "$2" >&2
		took=$(($(now) - begin))
		echo "turn $turn: $took ns" >&2
		[ -n "$least" ] && [ "$least" -le "$took" ] || least=$took
	done
	echo "$least"
}

the_last_is_as_fast_as_the_first()
{
	local n first last

	ns_create near far
	# shellcheck disable=SC2154
	ip link add under0 netns "$near" type veth \
		peer name under0 netns "$far"
	for n in near far; do
		ip -n "${!n}" link set under0 up
	done
	ip -n "$near" addr add 10.0.0.1/24 dev under0
	ip -n "$far" addr add 10.0.0.2/24 dev under0
	links stt 1 "$many" local 10.0.0.1 remote 10.0.0.2 |
		ip -n "$near" -batch -
	for n in 1 "$many"; do
		ip -n "$far" link add "t$n" type stt id "$n" \
			local 10.0.0.2 remote 10.0.0.1
		ip -n "$near" link set "t$n" up
		ip -n "$far" link set "t$n" up
	done
	ip -n "$near" addr add 192.0.2.1/30 dev t1
	ip -n "$far" addr add 192.0.2.2/30 dev t1
	ip -n "$near" addr add 192.0.2.5/30 dev "t$many"
	ip -n "$far" addr add 192.0.2.6/30 dev "t$many"
	busywait 20 in_ns "$near" ping -c 1 -W 1 192.0.2.2 >/dev/null
	busywait 20 in_ns "$near" ping -c 1 -W 1 192.0.2.6 >/dev/null
	first=$(flood t1 192.0.2.2)
	last=$(flood "t$many" 192.0.2.6)
	echo "first $first ns, last $last ns"
	[ $((last * 100)) -le $((first * 130)) ]
}

run_tests devices_to_one_remote_each devices_with_an_fdb \
	the_last_is_as_fast_as_the_first
