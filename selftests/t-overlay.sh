#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# long
# timeout: 400
# Bridges over the tunnel: three hypervisors with one stt port per bridge and
# a VM behind each, over both address families, with what bridges can do, and
# what can be put on top of a tunnel.  As root, with the module loaded.
#
#   vm1            hv1                wire               hv2            vm2
#   eth0 --- vm0 - br0 - stt0  under0 --- br0 --- under0  stt0 - br0 - ...
#   192.0.2.1             10.0.0.1     |      10.0.0.2            192.0.2.2
#                         fd00::1     hv3     fd00::2
set -u
cd "$(dirname "$0")" || exit 1
# shellcheck source=selftests/lib.sh
. ./lib.sh

require jq bridge python3 ping

frames=$PWD/frames.py
zero=00:00:00:00:00:00

# Predictable: 02:00:00:00:00:0N is the address of VM N.
mac()
{
	echo "02:00:00:00:00:0$1"
}

# hypervisors COUNT: the picture without stt0.  No IPv6 on the inside, so that
# nothing is sent but what a test sends.
hypervisors()
{
	local n hv vm

	ns_create wire hv1 hv2 hv3 vm1 vm2 vm3
	# shellcheck disable=SC2154
	ip -n "$wire" -batch - <<-END
		link add br0 type bridge mcast_snooping 0
		link set br0 up
	END
	for n in 1 2 3; do
		hv=hv$n vm=vm$n
		ip link add under0 netns "${!hv}" type veth \
			peer name p$n netns "$wire"
		ip -n "$wire" link set p$n master br0 up
		ip -n "${!hv}" -batch - <<-END
			addr add 10.0.0.$n/24 dev under0
			addr add fd00::$n/64 dev under0 nodad
			link set under0 up
		END
		in_ns "${!hv}" sysctl -qw net.ipv6.conf.default.disable_ipv6=1
		in_ns "${!vm}" sysctl -qw net.ipv6.conf.default.disable_ipv6=1
		ip link add vm0 netns "${!hv}" type veth \
			peer name eth0 address "$(mac $n)" netns "${!vm}"
		ip -n "${!hv}" -batch - <<-END
			link add br0 type bridge mcast_snooping 0
			link set br0 up
			link set vm0 master br0 up
		END
		ip -n "${!vm}" -batch - <<-END
			addr add 192.0.2.$n/24 dev eth0
			link set eth0 up
		END
	done
}

# tunnels NET [OPTION...]: stt0 in each bridge, to the other two by the
# all-zero address; NET is 10.0.0. or fd00::.
tunnels()
{
	local net=$1 n m hv

	shift
	for n in 1 2 3; do
		hv=hv$n
		ip -n "${!hv}" link add stt0 type stt id 0xabcdef0123456789 \
			local "$net$n" "$@"
		ip -n "${!hv}" link set stt0 master br0 up
		for m in 1 2 3; do
			[ $m = $n ] || bridge -n "${!hv}" fdb append $zero \
				dev stt0 dst "$net$m"
		done
	done
}

# on_hv N LINE...: lines of ip(8).
on_hv()
{
	local hv=hv$1

	shift
	printf '%s\n' "$@" | ip -n "${!hv}" -batch -
}

# on_fdb N LINE...: lines of bridge(8).
on_fdb()
{
	local hv=hv$1

	shift
	printf '%s\n' "$@" | bridge -n "${!hv}" -batch -
}

# pings FROM TO [ARGUMENT...]: number of a VM, number of another.
pings()
{
	local vm=vm$1 to=$2

	shift 2
	in_ns "${!vm}" ping -c 1 -W 2 -q "$@" "192.0.2.$to" >/dev/null
}

all_ping()
{
	await 20 pings 1 2
	await 20 pings 1 3
	await 20 pings 2 3
	pings 3 1 -s 20000
}

# behind HV MAC REMOTE: it is in the table of stt0, learned.
behind()
{
	local hv=hv$1

	bridge -n "${!hv}" fdb show dev stt0 | sed 's/ *$//' |
		grep -qx "$2 dst $3 self"
}

not_behind()
{
	! behind "$@"
}

# sends N DST [COUNT [SRC]]: VM N sends frames.
sends()
{
	local vm=vm$1

	in_ns "${!vm}" "$frames" send eth0 "${4:-$(mac "$1")}" "$2" "${3:-1}" 0
}

# have COUNT COUNT COUNT: frames that the VMs have received, all in all.
have()
{
	local n vm

	for n in 1 2 3; do
		vm=vm$n
		[ "$(link_stat "${!vm}" eth0 rx.packets)" = "${!n}" ] || {
			echo "VM $n: $(link_stat "${!vm}" eth0 rx.packets)"
			return 1
		}
	done
}

# stt_received HV COUNT: stt0 has received that many frames at least.
stt_received()
{
	local hv=hv$1

	[ "$(link_stat "${!hv}" stt0 rx.packets)" -ge "$2" ]
}

# Every frame is counted: nobody but the test sends any.
flood_learn_move_age_remove()
{
	local net=$1 all=ff:ff:ff:ff:ff:ff m1 m2

	m1=$(mac 1) m2=$(mac 2)
	hypervisors
	tunnels "$net"
	# To an unknown address: a copy for everyone, who learn.
	sends 1 "$m2"
	await 10 have 0 1 1
	behind 2 "$m1" "${net}1"
	behind 3 "$m1" "${net}1"
	# To one that was learned: for its host alone.
	sends 2 "$m1"
	await 10 have 1 1 1
	sends 1 "$m2" 10
	await 10 have 1 11 1
	# Its VM moves from hypervisor 2 to 3; broadcast tells all.
	sends 3 $all 1 "$m2"
	await 10 have 2 12 1
	behind 1 "$m2" "${net}3"
	sends 1 "$m2" 5
	await 10 have 2 12 6
	[ "$(link_stat "$hv2" stt0 rx.packets)" = 12 ]
	# Forgotten, it is unknown again: hypervisor 2 gets a copy too.
	on_hv 1 "link set stt0 type stt ageing 1"
	await 10 not_behind 1 "$m2" "${net}3"
	sends 1 "$m2"
	await 10 have 2 12 7
	await 10 stt_received 2 13
	# A remote is taken out.
	on_fdb 1 "fdb del $zero dev stt0 dst ${net}3"
	sends 1 $all
	await 10 have 2 13 7
	on_fdb 1 "fdb append $zero dev stt0 dst ${net}3"
	all_ping
}

bridges_over_ipv4()
{
	flood_learn_move_age_remove 10.0.0.
}

bridges_over_ipv6()
{
	flood_learn_move_age_remove fd00::
}

# VMs 1 and 2 in VLAN 10, VM 3 in another; tags inside the tunnel.
bridges_filter_vlans()
{
	local n vid all=ff:ff:ff:ff:ff:ff

	hypervisors
	tunnels 10.0.0.
	for n in 1 2 3; do
		vid=$((n < 3 ? 10 : 20))
		on_hv $n "link set br0 type bridge vlan_filtering 1 \
			vlan_default_pvid 0"
		on_fdb $n "vlan add dev stt0 vid 10" \
			"vlan add dev stt0 vid 20" \
			"vlan add dev vm0 vid $vid pvid untagged"
	done
	sends 1 $all
	await 10 have 0 1 0
	sends 3 $all
	await 10 stt_received 1 1
	have 0 1 0
	await 10 pings 1 2
	pings 2 1 -s 5000
	# The frame that was for another VLAN did come, tagged.
	on_fdb 3 "vlan del dev vm0 vid 20" \
		"vlan add dev vm0 vid 10 pvid untagged"
	all_ping
}

port_states()
{
	local hv

	for hv in hv1 hv2; do
		bridge -n "${!hv}" -j link show |
			jq -r '.[] | select(.master == "br0") | .state'
	done | sort | uniq -c | xargs
}

states_are()
{
	echo "$(port_states), not $1"
	[ "$(port_states)" = "$1" ]
}

# Two tunnels between two bridges are a loop; BPDUs through them find it.
bridges_run_stp()
{
	local n

	hypervisors
	for n in 1 2; do
		on_hv $n "link set br0 type bridge stp_state 1 \
				forward_delay 200 hello_time 100" \
			"link add stt0 type stt id 1 remote 10.0.0.$((3 - n))" \
			"link add stt1 type stt id 2 remote fd00::$((3 - n))" \
			"link set stt0 master br0 up" \
			"link set stt1 master br0 up"
	done
	await 30 states_are "1 blocking 5 forwarding"
	await 20 pings 1 2
	# The other one takes over.
	on_hv 1 "link set stt0 down"
	on_hv 2 "link set stt0 down"
	await 30 states_are "2 disabled 4 forwarding"
	await 20 pings 1 2
}

# Ports that are isolated from each other do not make a star out of the mesh.
bridge_ports_are_isolated()
{
	hypervisors
	on_hv 1 "link add stt2 type stt id 2 remote 10.0.0.2" \
		"link add stt3 type stt id 3 remote 10.0.0.3" \
		"link set stt2 master br0 up" "link set stt3 master br0 up" \
		"link set stt2 type bridge_slave isolated on" \
		"link set stt3 type bridge_slave isolated on"
	on_hv 2 "link add stt0 type stt id 2 remote 10.0.0.1" \
		"link set stt0 master br0 up"
	on_hv 3 "link add stt0 type stt id 3 remote 10.0.0.1" \
		"link set stt0 master br0 up"
	sends 2 ff:ff:ff:ff:ff:ff
	await 10 have 1 0 0
	sends 3 ff:ff:ff:ff:ff:ff
	await 10 have 2 0 0
	sends 1 ff:ff:ff:ff:ff:ff
	await 10 have 2 1 1
	on_hv 1 "link set stt2 type bridge_slave isolated off" \
		"link set stt3 type bridge_slave isolated off"
	sends 2 ff:ff:ff:ff:ff:ff
	await 10 have 3 1 2
}

knows_neighbour()
{
	# shellcheck disable=SC2154
	in_ns "$vm1" ping -c 1 -W 1 -q 192.0.2.2 >/dev/null || :
	ip -n "$vm1" neigh show 192.0.2.2 | grep "lladdr $(mac 2)"
}

# The bridge answers for who is behind the tunnel.
a_bridge_suppresses_neighbour_discovery()
{
	hypervisors
	tunnels 10.0.0. nolearning
	on_hv 1 "link set stt0 type bridge_slave neigh_suppress on \
			learning off" \
		"neigh add 192.0.2.2 lladdr $(mac 2) dev br0 nud permanent"
	on_fdb 1 "fdb add $(mac 2) dev stt0 master static"
	# Nobody else could.
	on_hv 2 "link set stt0 down"
	await 10 knows_neighbour
}

group_of_remotes()
{
	local n

	hypervisors
	for n in 1 2 3; do
		on_hv $n "link add stt0 type stt id 9 group $1 dev under0" \
			"link set stt0 master br0 up"
	done
	sends 1 ff:ff:ff:ff:ff:ff
	await 10 have 0 1 1
	sends 2 "$(mac 1)"
	await 10 have 1 1 1
	all_ping
	# Who is down is no member; the others are.
	on_hv 3 "link set stt0 down"
	is_member 2 "$1"
	! is_member 3 "$1" || return 1
}

# is_member HV GROUP
is_member()
{
	local hv=hv$1

	ip -n "${!hv}" maddr show dev under0 | grep -qw "$2"
}

remotes_of_an_ipv4_group()
{
	group_of_remotes 239.1.1.1
}

remotes_of_an_ipv6_group()
{
	group_of_remotes ff0e::1:1
}

link_local()
{
	ip -n "$1" -j addr show under0 | jq -r '.[0].addr_info[] |
		select(.scope == "link") | .local' | grep .
}

link_local_underlay()
{
	local ll1 ll2

	hypervisors
	# shellcheck disable=SC2154
	ll1=$(link_local "$hv1") ll2=$(link_local "$hv2")
	on_hv 1 "link add stt0 type stt id 9 remote $ll2 dev under0" \
		"link set stt0 master br0 up"
	# By an FDB entry as well.
	on_hv 2 "link add stt0 type stt id 9 dev under0" \
		"link set stt0 master br0 up"
	on_fdb 2 "fdb append $zero dev stt0 dst $ll1 via under0"
	sends 1 ff:ff:ff:ff:ff:ff
	await 10 have 0 1 0
	await 20 pings 1 2
	bridge -n "$hv2" fdb show dev stt0 |
		grep "$(mac 1) dst $ll1 via under0 self"
}

# pair: hv1 and hv2 with stt0 and stt1 between them, in no bridge.
pair()
{
	local n far

	hypervisors
	for n in 1 2; do
		far=$((3 - n))
		on_hv $n "link add stt0 type stt id 1 remote 10.0.0.$far" \
			"link add stt1 type stt id 2 remote fd00::$far" \
			"link set stt0 up" "link set stt1 up"
	done
}

# reaches DEVICE: an address on the device of that name in both answers.
reaches()
{
	local n

	for n in 1 2; do
		on_hv $n "addr add 198.51.100.$n/24 dev $1" "link set $1 up"
	done
	await 20 in_ns "$hv1" ping -c 1 -W 1 198.51.100.2
	in_ns "$hv1" ping -q -c 1 -W 5 -s 20000 198.51.100.2 >/dev/null
	for n in 1 2; do
		on_hv $n "addr del 198.51.100.$n/24 dev $1"
	done
}

# both LINE...: of ip(8), in both hypervisors.
both()
{
	on_hv 1 "$@"
	on_hv 2 "$@"
}

devices_on_top_of_a_tunnel()
{
	pair
	reaches stt0
	both "link add link stt0 name v5 type vlan id 5"
	reaches v5
	both "link add link stt0 name s7 type vlan protocol 802.1ad id 7" \
		"link set s7 up" "link add link s7 name q8 type vlan id 8"
	reaches s7
	reaches q8
	both "link add link v5 name q9 type vlan id 9"
	reaches q9
	both "link add link stt0 name m0 type macvlan mode bridge"
	reaches m0
	both "link add red type vrf table 10" "link set red up" \
		"link set stt1 master red" "addr add 203.0.113.1/32 dev red"
	on_hv 1 "addr add 198.51.101.1/24 dev stt1"
	on_hv 2 "addr add 198.51.101.2/24 dev stt1"
	await 20 in_ns "$hv1" ping -c 1 -W 1 -I red 198.51.101.2
}

# The one that is left carries the traffic.
a_bond_of_tunnels()
{
	modprobe -q bonding || skip "no bonding"
	pair
	both "link set stt0 down" "link set stt1 down" \
		"link add bond0 type bond mode active-backup miimon 50" \
		"link set stt0 master bond0" "link set stt1 master bond0" \
		"link set bond0 up"
	reaches bond0
	both "link set stt0 down"
	reaches bond0
	both "link del stt0"
	reaches bond0
}

[ $# -gt 0 ] || set -- \
	bridges_over_ipv4 bridges_over_ipv6 bridges_filter_vlans \
	bridges_run_stp bridge_ports_are_isolated \
	a_bridge_suppresses_neighbour_discovery remotes_of_an_ipv4_group \
	remotes_of_an_ipv6_group link_local_underlay \
	devices_on_top_of_a_tunnel a_bond_of_tunnels
run_tests "$@"
