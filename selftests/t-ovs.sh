#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# long
# timeout: 900
# Two hypervisors with an Open vSwitch each, as Debian packages it, and ports
# of type "stt" between them, which vport-stt.ko makes. As root, with the
# module loaded.
#
#   vm1             hv1                              hv2             vm2
#   eth0 --- vm0 - br0 - stt0  under0 --- under0  stt0 - br0 - vm0 --- eth0
#   192.0.2.1                10.0.0.1   10.0.0.2                  192.0.2.2
#                             fd00::1   fd00::2
set -u
cd "$(dirname "$0")" || exit 1
# shellcheck source=selftests/lib.sh
. ./lib.sh

key=0x1122334455667788
device=stt_sys_7471
config=/run/modprobe.d/stt-selftest.conf

require ovs-vsctl ovs-vswitchd ovsdb-server ovs-ofctl ovs-dpctl jq iperf3 \
	ping tcpdump
modprobe -q openvswitch || skip "this kernel has no Open vSwitch datapath"
grep -qw __ovs_vport_ops_register /proc/kallsyms ||
	skip "no type of port can be registered with this kernel's datapath"

# on N COMMAND...: in hypervisor N, with its switch.
on()
{
	local dir=$work/$1 hv=hv$1

	shift
	OVS_RUNDIR=$dir OVS_DBDIR=$dir OVS_LOGDIR=$dir OVS_SYSCONFDIR=$dir \
		in_ns "${!hv}" "$@"
}

vsctl()
{
	local n=$1

	shift
	on "$n" ovs-vsctl --timeout=$((60 * ${STT_SLOW:-1})) "$@"
}

# start_switch N: both daemons, the way their init script does.
start_switch()
{
	local dir=$work/$1

	mkdir -p "$dir"
	on "$1" ovsdb-tool create "$dir/conf.db"
	on "$1" ovsdb-server --remote="punix:$dir/db.sock" --detach \
		--no-chdir --pidfile --log-file -vconsole:off "$dir/conf.db"
	vsctl "$1" --no-wait init
	on "$1" ovs-vswitchd "unix:$dir/db.sock" --detach --no-chdir \
		--pidfile --log-file -vconsole:off
}

# underlay NUMBER...: those hypervisors and their VMs.
underlay()
{
	local n hv vm

	for n; do
		hv=hv$n vm=vm$n
		ip link add vm0 netns "${!hv}" type veth \
			peer name eth0 netns "${!vm}"
		ip -n "${!hv}" -batch - <<-END
			addr add 10.0.0.$n/24 dev under0
			addr add fd00::$n/64 dev under0 nodad
			link set under0 up
			link set vm0 up
		END
		ip -n "${!vm}" -batch - <<-END
			addr add 192.0.2.$n/24 dev eth0
			link set eth0 up
		END
	done
}

# has_ofport N PORT NUMBER
has_ofport()
{
	[ "$(vsctl "$1" get interface "$2" ofport)" = "$3" ]
}

# add_bridge N: br0 with vm0 as port 1, and no flow.
add_bridge()
{
	vsctl "$1" --if-exists del-br br0 -- add-br br0 \
		-- set-fail-mode br0 secure \
		-- add-port br0 vm0 -- set interface vm0 ofport_request=1
}

# add_tunnel N OPTION...: stt0 as port 2.
add_tunnel()
{
	local n=$1

	shift
	vsctl "$n" add-port br0 stt0 -- set interface stt0 type=stt \
		ofport_request=2 "${@/#/options:}"
	await 20 has_ofport "$n" stt0 2
}

# bridges NET [OPTION...]: br0 with stt0 in both hypervisors; NET is the
# network of the underlay.
bridges()
{
	local net=$1 n

	shift
	for n in 1 2; do
		add_bridge $n
		add_tunnel $n "remote_ip=$net$((3 - n))" key=flow "$@"
	done
}

# flows N LINE...: in place of all there are, and of what the datapath makes
# of these.
flows()
{
	local n=$1

	shift
	on "$n" ovs-ofctl del-flows br0
	printf '%s\n' "$@" | on "$n" ovs-ofctl add-flows br0 -
	on "$n" ovs-appctl revalidator/purge
}

# flows_by_key N [KEY]: frames go to Context ID KEY, and come from $key.
flows_by_key()
{
	flows "$1" \
		"in_port=1 actions=set_field:${2:-$key}->tun_id,output:2" \
		"in_port=2,tun_id=$key actions=output:1" \
		"priority=7,in_port=2 actions=drop"
}

# packets_in N PRIORITY: counted by the flow of that priority, if any.
packets_in()
{
	on "$1" ovs-ofctl dump-flows br0 | grep "priority=$2," |
		grep -q 'n_packets=[1-9]'
}

pings()
{
	local vm=vm$1 to=$2

	shift 2
	in_ns "${!vm}" ping -c 1 -W 2 -q "$@" "$to" >/dev/null
}

vms_ping()
{
	await 20 pings 1 192.0.2.2
	pings 2 192.0.2.1
	pings 1 192.0.2.2 -s 20000
	pings 2 192.0.2.1 -s 20000
}

module_loaded()
{
	[ -d /sys/module/vport_stt ]
}

module_unused()
{
	[ "$(cat /sys/module/vport_stt/refcnt)" = 0 ]
}

# has_device N [DEVICE]
has_device()
{
	local hv=hv$1

	ip -n "${!hv}" link show "${2:-$device}" >/dev/null 2>&1
}

has_no_device()
{
	! has_device "$@"
}

datapath_has()
{
	on "$1" ovs-dpctl show | grep "port [0-9]*: $2 (stt"
}

datapath_lacks()
{
	! datapath_has "$@"
}

module_was_built()
{
	[ -e "$vport_ko" ] || modinfo -n vport-stt
}

structures_are_those_of_this_kernel()
{
	command -v readelf >/dev/null || skip "readelf is not installed"
	[ -e /sys/kernel/btf/openvswitch ] ||
		skip "this kernel has no type information (BTF) of openvswitch"
	[ -e "$vport_ko" ] || vport_ko=$(modinfo -n vport-stt)
	readelf -S "$vport_ko" | grep -q debug_info ||
		skip "vport-stt.ko has no debug information"
	./layout.py "$vport_ko" openvswitch datapath vport vport_parms \
		vport_ops
}

switches_start()
{
	ovs-vswitchd --version | head -n 1
	underlay 1 2
	start_switch 1
	start_switch 2
}

# Nobody loads the module but the kernel, by its alias.
a_port_is_an_external_device()
{
	! module_loaded || rmmod vport_stt
	add_bridge 1
	add_tunnel 1 remote_ip=10.0.0.2 key=flow
	module_loaded
	ip -n "$hv1" -d -j link show $device | jq -e '.[0] |
		.linkinfo.info_kind == "stt" and
		.linkinfo.info_data.external and
		.mtu == 65000 and .master == "ovs-system" and
		(.flags | index("UP")) != null'
	datapath_has 1 $device
}

modules_are_in_use_by_a_port()
{
	bridges 10.0.0.
	! rmmod vport_stt || return 1
	! rmmod stt || return 1
	vsctl 1 del-port stt0
	await 10 has_no_device 1
	! rmmod vport_stt || return 1
	vsctl 2 del-port stt0
	await 10 has_no_device 2
	await 10 module_unused
	rmmod vport_stt
	[ "$(cat /sys/module/stt/refcnt)" = 0 ]
	# And again.
	add_tunnel 1 remote_ip=10.0.0.2 key=flow
	has_device 1
}

traffic_by_64_bit_key()
{
	local dump bytes='\x11\x22\x33\x44\x55\x66\x77\x88'

	bridges 10.0.0.
	flows_by_key 1
	flows_by_key 2
	await 20 pings 1 192.0.2.2
	# Not by in_ns, which would be what is killed.
	ip netns exec "$hv2" tcpdump -n -U --immediate-mode -i under0 \
		-w "$work/pcap" "dst port 7471" 2>"$work/tcpdump" &
	dump=$!
	await 10 grep -q 'listening on' "$work/tcpdump"
	vms_ping
	LC_ALL=C await 10 grep -qaP "$bytes" "$work/pcap"
	kill $dump
	wait $dump || :
}

# A segment comes, and nothing of it arrives.
drops()
{
	local before

	# shellcheck disable=SC2154
	before=$(link_stat "$vm2" eth0 rx.packets)
	! pings 1 192.0.2.2 || return 1
	packets_in 2 7 || return 1
	[ "$(link_stat "$vm2" eth0 rx.packets)" = "$before" ]
}

# In the lower half, in the upper half, and in the upper half alone.
wrong_tun_id_drops()
{
	local wrong

	bridges 10.0.0.
	for wrong in 0x1122334455667789 0x9122334455667788 0x55667788; do
		flows_by_key 2
		flows_by_key 1
		await 20 pings 1 192.0.2.2
		flows_by_key 1 $wrong
		flows_by_key 2
		# The datapath has its flows for a moment longer.
		await 20 drops
	done
}

# Nothing but tagged frames passes, and the tag is what it was.
vlans_are_carried()
{
	local n vm actions match

	bridges 10.0.0.
	for n in 1 2; do
		vm=vm$n
		ip -n "${!vm}" -batch - <<-END
			link add link eth0 name v10 type vlan id 10
			addr add 198.51.100.$n/24 dev v10
			link set v10 up
			link add link eth0 s7 type vlan protocol 802.1ad id 7
			link set s7 up
			link add link s7 name q8 mtu 1496 type vlan id 8
			addr add 203.0.113.$n/24 dev q8
			link set q8 up
		END
		flows $n \
			"in_port=1 actions=set_field:$key->tun_id,output:2" \
			"in_port=2,tun_id=$key,dl_vlan=10 actions=output:1" \
			"in_port=2,tun_id=$key,dl_vlan=7 actions=output:1"
	done
	await 20 pings 1 198.51.100.2
	pings 2 198.51.100.1 -s 20000
	await 20 pings 1 203.0.113.2
	pings 2 203.0.113.1 -s 20000
	! pings 1 192.0.2.2 || return 1
	# The switches tag and untag.
	for n in 1 2; do
		actions=mod_vlan_vid:10,set_field:$key-\>tun_id,output:2
		match=in_port=2,tun_id=$key,dl_vlan=10
		flows $n "in_port=1 actions=$actions" \
			"$match actions=strip_vlan,output:1"
	done
	vms_ping
	for n in 1 2; do
		vm=vm$n
		ip -n "${!vm}" link del v10
		ip -n "${!vm}" link del s7
	done
}

# transfers [ARGUMENT...]: of 20 MiB, most are read; iperf3 does not wait for
# the last ones.
transfers()
{
	# shellcheck disable=SC2154
	in_ns "$vm1" iperf3 -c 192.0.2.2 -n 20M -J "$@" |
		jq -e '.end.sum_received | .bytes,
		       (.bits_per_second / 1e6 | floor), .bytes >= 15e6'
}

bulk_traffic_both_ways()
{
	bridges 10.0.0.
	flows_by_key 1
	flows_by_key 2
	await 20 pings 1 192.0.2.2
	iperf_server "$vm2"
	transfers
	transfers -R
	ip netns pids "$vm2" | xargs -r kill
}

over_ipv6()
{
	bridges fd00::
	flows_by_key 1
	flows_by_key 2
	vms_ping
}

remote_and_key_by_flow()
{
	local n far actions match

	for n in 1 2; do
		far=10.0.0.$((3 - n))
		add_bridge $n
		add_tunnel $n remote_ip=flow key=flow
		actions=set_field:$far-\>tun_dst
		actions+=,set_field:$key-\>tun_id,output:2
		match=in_port=2,tun_id=$key,tun_src=$far
		flows $n "in_port=1 actions=$actions" "$match actions=output:1"
	done
	vms_ping
}

# The key is matched by the datapath; the bridges learn.
key_by_option()
{
	local n

	for n in 1 2; do
		add_bridge $n
		add_tunnel $n "remote_ip=10.0.0.$((3 - n))" key=$key
		flows $n actions=NORMAL
	done
	vms_ping
	vsctl 2 set interface stt0 options:key=0x55667788
	! pings 1 192.0.2.2 || return 1
}

another_destination_port()
{
	bridges 10.0.0. dst_port=7472
	datapath_has 1 stt_sys_7472
	has_no_device 1
	flows_by_key 1
	flows_by_key 2
	vms_ping
	vsctl 1 del-br br0
	vsctl 2 del-br br0
	await 10 has_no_device 1 stt_sys_7472
	await 10 has_no_device 2 stt_sys_7472
}

is_refused()
{
	vsctl 1 get interface stt0 error | tee "$work/error"
	! grep -qx '\[\]' "$work/error"
}

# An external device that has what the port would hear is in the way.
a_port_that_cannot_be_leaves_nothing()
{
	add_bridge 1
	await 10 has_no_device 1
	ip -n "$hv1" link add stt9 type stt external
	vsctl 1 add-port br0 stt0 -- set interface stt0 type=stt \
		options:remote_ip=10.0.0.2 options:key=flow || :
	await 10 is_refused
	has_no_device 1
	vsctl 2 --if-exists del-br br0
	await 10 module_unused
	ip -n "$hv1" link del stt9
	vsctl 1 del-port stt0
	add_tunnel 1 remote_ip=10.0.0.2 key=flow
}

# Other hands may delete the device; the port goes with it.
the_device_is_deleted()
{
	vsctl 2 --if-exists del-br br0
	add_bridge 1
	add_tunnel 1 remote_ip=10.0.0.2 key=flow
	ip -n "$hv1" link del $device
	has_no_device 1 || datapath_has 1 $device
	vsctl 1 del-br br0
	await 10 datapath_lacks 1 $device
	await 10 has_no_device 1
	await 10 module_unused
	bridges 10.0.0.
	flows_by_key 1
	flows_by_key 2
	vms_ping
}

daemons_gone()
{
	local hv=hv$1

	! ip netns pids "${!hv}" | grep -q .
}

# stop_switch N: as a crash does, and the datapath stays.
stop_switch()
{
	local hv=hv$1

	ip netns pids "${!hv}" | xargs -r kill -9
	await 10 daemons_gone "$1"
	has_device "$1"
}

the_datapath_is_deleted()
{
	vsctl 2 --if-exists del-br br0
	add_bridge 1
	add_tunnel 1 remote_ip=10.0.0.2 key=flow
	stop_switch 1
	on 1 ovs-dpctl del-dp system@ovs-system
	has_no_device 1
	await 10 module_unused
	rmmod vport_stt
}

the_namespace_is_deleted()
{
	local ns

	vsctl 2 --if-exists del-br br0
	ns_create hv3
	start_switch 3
	vsctl 3 add-br br0
	add_tunnel 3 remote_ip=10.0.0.2 key=flow
	stop_switch 3
	ns_cleanup
	await 20 module_unused
	rmmod vport_stt
	[ "$(cat /sys/module/stt/refcnt)" = 0 ]
}

vport_ko=${STT_KO:-}
vport_ko=${vport_ko%/*}/vport-stt.ko
work=$(mktemp -d)
# What depmod would tell modprobe of a module that is installed.
if [ -e "$vport_ko" ]; then
	mkdir -p "${config%/*}"
	modinfo -F alias "$vport_ko" | sed 's/.*/alias & vport-stt/' >$config
	echo "install vport-stt insmod $(realpath "$vport_ko")" >>$config
fi
ns_create hv1 hv2 vm1 vm2
# shellcheck disable=SC2154
ip link add under0 netns "$hv1" type veth peer name under0 netns "$hv2"

run_tests module_was_built structures_are_those_of_this_kernel \
	switches_start a_port_is_an_external_device \
	modules_are_in_use_by_a_port traffic_by_64_bit_key \
	wrong_tun_id_drops vlans_are_carried bulk_traffic_both_ways \
	over_ipv6 remote_and_key_by_flow key_by_option \
	another_destination_port a_port_that_cannot_be_leaves_nothing \
	the_device_is_deleted the_datapath_is_deleted the_namespace_is_deleted
rc=$?
ns_cleanup
rm -rf "$work" $config
module_loaded && busywait 10 module_unused && rmmod vport_stt
[ $rc -eq 0 ]
