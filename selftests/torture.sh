#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2317
# Life and death of tunnels: everything that creates, changes, moves or
# removes something goes on at once, on all CPUs, with traffic and incomplete
# frames.  Afterwards nothing may be left.
#
# Usage: torture.sh [SECONDS]	how long (60, or DURATION)
#
# Environment: SEED (random, printed)
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

duration=${1:-${DURATION:-60}}
seed=${SEED:-$RANDOM}
work=$(mktemp -d)
names=7
rounds=$work/rounds

# pick WORD...: one of them
pick()
{
	shift $((RANDOM % $#))
	echo "$1"
}

# A random tunnel of the namespace hv; most commands fail, which is fine.
random_command()
{
	local dev=t$1.$((RANDOM % names)) n=$((RANDOM % 4))

	case $((RANDOM % 14)) in
	0|1|2) echo "link add $dev type stt id $n local 10.0.0.1" \
		    "remote 10.0.0.$((2 + n)) dstport $((7471 + n % 2))" ;;
	3) echo "link add $dev up type stt id $n remote fd00::$((2 + n))" \
		"dev under0" ;;
	4|5) echo "link del $dev" ;;
	6|7) echo "link set $dev up" ;;
	8) echo "link set $dev down" ;;
	9) echo "link set $dev mtu $((68 + RANDOM * 2))" ;;
	10) echo "link set $dev type stt remote 10.0.0.$((2 + n)) ttl $n" ;;
	11) echo "link set $dev type stt tos $(pick inherit 0 4) local any" ;;
	12) echo "link set $dev netns $(pick "$far" "$hv" "$far")" ;;
	13) echo "link set $dev master $(pick br0 br1)" ;;
	esac
}

churn_links()
{
	local i

	for ((i = 0; i < 10; i++)); do
		random_command "$1"
	done >"$work/batch.$1"
	ip -n "$hv" -force -batch "$work/batch.$1"
	ip -n "$far" -force -batch "$work/batch.$1"
}

# Devices die with the device below them, in whatever namespace they are.
churn_lower()
{
	local n=$1

	ip -n "$hv" -force -batch - <<-END
		link add low$n type dummy
		addr add 192.0.2.$n/24 dev low$n
		link set low$n up
		link add up$n up type stt id 77 remote 192.0.2.99 dev low$n
		link add up$n.1 up type stt id 78 remote 192.0.2.99 dev up$n
		link add up$n.2 type stt id 79 remote 192.0.2.99 dev low$n
		link set up$n.2 netns $far
		link set low$n mtu 1400
		link set low$n $(pick up down)
		link del $(pick "low$n" "up$n")
		link del low$n
	END
}

# A namespace ends while its tunnel is in use.
churn_netns()
{
	local ns=brief$1-$BASHPID

	ip netns add "$ns" || return
	ip link add under0 netns "$ns" type veth peer name "brief$1" \
		netns "$far"
	ip -n "$far" link set "brief$1" up
	ip -n "$ns" -force -batch - <<-END
		addr add 198.51.100.1/24 dev under0
		link set lo up
		link set under0 up
		link add stt0 up type stt id 5 remote 198.51.100.2
		link add stt1 type stt id 6 remote 198.51.100.2
		link set stt1 netns $far
		addr add 203.0.113.1/24 dev stt0
	END
	in_ns "$ns" timeout 2 ping -q -f -c 20 -s 20000 203.0.113.2 &
	[ $((RANDOM % 2)) = 0 ] || wait $!
	ip netns del "$ns"
}

churn_underlay()
{
	ip -n "$hv" -force -batch - <<-END
		link set under0 mtu $(pick 1280 1500 9000 600)
		addr del 10.0.0.1/24 dev under0
		link set under0 $(pick up down)
		addr add 10.0.0.1/24 dev under0
		addr add fd00::1/64 dev under0 nodad
		link set under0 up
		route flush cache
	END
	in_ns "$hv" ethtool -K under0 tso "$(pick on off)" gro "$(pick on off)"
	in_ns "$hv" ethtool -K stt0 gso "$(pick on off)" tx "$(pick on off)" \
		gro "$(pick on off)"
}

# Segments whose frames never become complete, from many sources.
churn_fragments()
{
	local mac ends

	mac=$(in_ns "$hv" cat /sys/class/net/under0/address)
	read -ra ends <<<"$(pick "10.0.0.2 10.0.0.1" "fd00::2 fd00::1")"
	in_ns "$far" "$bin/segflood" -r 2000 -n 1000 -s 50 -R $((RANDOM + 1)) \
		under0 "$mac" "${ends[@]}" "$(pick first last oneid unknown)"
}

# Entries of devices that come and go, and of the one that carries traffic.
churn_fdb()
{
	local i mac dev

	for ((i = 0; i < 20; i++)); do
		mac=02:00:00:00:00:0$((RANDOM % 10))
		dev=$(pick stt0 "t1.$((RANDOM % names))" \
			   "t2.$((RANDOM % names))")
		case $((RANDOM % 6)) in
		0|1) echo "fdb replace $mac dev $dev" \
			"dst 10.0.0.$((RANDOM % 5))" ;;
		2) echo "fdb append 00:00:00:00:00:00 dev $dev" \
			"dst $(pick 10.0.0.2 10.0.0.9 fd00::2)" ;;
		3) echo "fdb del $mac dev $dev" ;;
		4) echo "fdb del 00:00:00:00:00:00 dev $dev dst 10.0.0.9" ;;
		5) echo "fdb flush dev $dev" ;;
		esac
	done >"$work/fdb"
	bridge -n "$hv" -force -batch "$work/fdb"
	bridge -n "$hv" fdb show
	ip -n "$hv" link set stt0 type stt "$(pick learning nolearning)" \
		ageing "$(pick 0 1 300)"
}

# Features and MTU of devices that may be gone by then.
churn_features()
{
	local dev i

	for ((i = 0; i < 6; i++)); do
		dev=t$(pick 1 2).$((RANDOM % names))
		in_ns "$hv" ethtool -K "$dev" "$(pick gso tso tx sg gro rx \
			rxvlan txvlan)" "$(pick on off)"
		ip -n "$hv" link set "$dev" mtu $((68 + RANDOM * 2))
		ip -n "$hv" link set "$dev" address \
			"02:00:00:00:01:0$((RANDOM % 10))"
	done
}

# The tunnel that carries traffic between hv and far.
traffic_tunnel()
{
	local n far=2

	for n in "$hv" "$2"; do
		ip -n "$n" -force -batch - <<-END
			link add stt0 up type stt id 1 remote 10.0.0.$far
			addr add 172.16.0.$((3 - far))/24 dev stt0
		END
		far=1
	done
}

churn_traffic()
{
	traffic_tunnel "$hv" "$far"
	in_ns "$far" timeout 5 iperf3 -c 172.16.0.1 -t 3 &
	in_ns "$hv" timeout 5 ping -q -f -s "$(pick 100 1400 20000)" 172.16.0.2
	wait
}

churn_readers()
{
	ip -n "$hv" -d -s link
	ip -n "$far" -d -s -j link
	in_ns "$hv" cat /proc/net/stt
	in_ns "$hv" ethtool -S stt0
}

churn_module()
{
	sleep 3
	rmmod stt && insmod "$STT_KO"
}

# worker NAME SECONDS COMMAND...: until the end; none may hang.
worker()
{
	local name=$1 n=0

	shift
	# Commands may fail here.
	set +e
	trap - ERR
	RANDOM=$((seed + ${#name}))
	while [ "$SECONDS" -lt "$deadline" ]; do
		"$@" >/dev/null 2>&1
		n=$((n + 1))
	done
	echo "$name $n" >>"$rounds"
}

everything_at_once()
{
	local args workers=()

	deadline=$((SECONDS + duration))
	: >"$rounds"
	iperf_server "$hv"
	for args in "links.1 churn_links 1" "links.2 churn_links 2" \
		    "lower churn_lower 1" "netns churn_netns 1" \
		    "underlay churn_underlay" "fdb churn_fdb" \
		    "features churn_features" "fragments churn_fragments" \
		    "traffic churn_traffic" "readers churn_readers" \
		    "module churn_module"; do
		# shellcheck disable=SC2086
		worker $args &
		workers+=($!)
	done
	# All must see the deadline; what they wait for is bounded.
	busywait $((duration + 120)) all_done ${#workers[@]}
	wait "${workers[@]}"
	# A worker that never got through proves nothing.
	! grep -w 0 "$rounds"
}

all_done()
{
	cat "$rounds"
	[ "$(wc -l <"$rounds")" -eq "$1" ]
}

incomplete_frames_expire()
{
	# shellcheck disable=SC2119
	stt_load
	busywait 20 reasm_empty "$hv"
	busywait 20 reasm_empty "$far"
}

all_namespaces_end()
{
	namespaces_end "$hv" "$far"
}

# Without hooks TCP is alone: it refuses a connection, and serves one.
port_is_free()
{
	local rc=0 slow=${STT_SLOW:-1}

	timeout $((5 * slow)) bash -c 'exec 3<>/dev/tcp/127.0.0.1/7471' || rc=$?
	[ "$rc" = 1 ]
	iperf3 -s -p 7471 -1 -D
	busywait 10 grep -q ":1D2F 0*:0000 0A" /proc/net/tcp /proc/net/tcp6
	timeout $((20 * slow)) iperf3 -c 127.0.0.1 -p 7471 -n 100K
}

[ "$(id -u)" = 0 ] || skip "needs root"
require ip iperf3 ethtool
programs "$work"
# shellcheck disable=SC2119
stt_load || exit 1
echo "# seed $seed, $duration s"

# ns_cleanup of the last test ends these.
ns_create hv far
# shellcheck disable=SC2154
ip link add under0 netns "$hv" type veth peer name under0 netns "$far"
for n in 1 2; do
	ns=$([ $n = 1 ] && echo "$hv" || echo "$far")
	ip -n "$ns" -batch - <<-END
		addr add 10.0.0.$n/24 dev under0
		addr add fd00::$n/64 dev under0 nodad
		link set under0 up
		link add br0 up type bridge
		link add br1 up type bridge
	END
done
leaks_begin

run_tests everything_at_once incomplete_frames_expire all_namespaces_end \
	module_unloads port_is_free kernel_silent checks_enabled leaks_none
rc=$?
# Gone already, unless the test that ends them failed.
! no_netns >/dev/null || namespaces=()
rm -rf "$work"
exit $rc
