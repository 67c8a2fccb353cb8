#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2317
# Fault injection: allocations fail, one by one in commands (fault.py) and for
# packets (fault-packets.py), at random in traffic, and other parts of the
# kernel refuse a device.  There must be an error for the user, no complaint of
# the kernel, and nothing left.
#
# Usage: fault.sh [TEST]...     parts of names of the tests of these two
#
# Environment: STEP lets only every n-th allocation of a command fail (1),
# DURATION in seconds of faults in traffic (30)
#
# Needs a kernel of vm/build-kernel.  As root; loads and unloads the module.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=selftests/lib.sh
. "$here/lib.sh"
# shellcheck source=selftests/vm/common.sh
. "$here/vm/common.sh"
# shellcheck source=selftests/leaks.sh
. "$here/leaks.sh"
# shellcheck source=selftests/faults.sh
. "$here/faults.sh"

chosen=("$@")
duration=${DURATION:-30}
work=$(mktemp -d)

# What the kernel says of a slab cache or a sysctl that it could not make, or of
# vmalloc(), has a stack trace; it is kept from the console, which vm/run
# watches.
walk()
{
	local level rc=0

	read -r level _ </proc/sys/kernel/printk
	dmesg -n 1
	"$here/$1" "${@:2}" "${chosen[@]}" >"$work/walk" || rc=$?
	dmesg -n "$level"
	cat "$work/walk"
	return "$rc"
}

every_allocation_of_a_packet_fails_once()
{
	walk fault-packets.py
}

every_allocation_of_a_command_fails_once()
{
	walk fault.py --step "${STEP:-1}"
}

silent_but_for_failures()
{
	! dmesg | awk -v mark="stt-leaks: $$ begin" '
		index($0, mark) { n = 0; next }
		/kmem_cache_create.* failed|vmalloc error: |kobject_add/ ||
		/FAULT_INJECTION: / {
			skip = 1
		}
		/Call Trace:/ { begin = n }
		!skip { line[n++] = $0 }
		/ __register_sysctl_table\+/ { sysctl = 1 }
		/<\/TASK>/ {
			if (sysctl)
				n = begin
			skip = sysctl = 0
		}
		END { for (i = 0; i < n; i++) print line[i] }' |
		grep -E -m 3 -A 40 "$splat"
}

# A slab cache that could not be shown in sysfs loses its name.
leaks_none_of_ours()
{
	local level

	read -r level _ </proc/sys/kernel/printk
	dmesg -n 1
	leaks_none >"$work/leaks" || :
	dmesg -n "$level"
	! awk 'function end() {
			if (report !~ / sysfs_slab_add/)
				printf "%s", report
			report = ""
	       }
	       /^unreferenced object/ { end() }
	       { report = report $0 "\n" }
	       END { end() }' "$work/leaks" | grep .
}

# refused ACTION ERROR COMMAND...: fails, as a notifier of devices objects.
refused()
{
	local action=notifier-error-inject/netdev/actions/$1/error rc=0

	set_fault "$action" "$2"
	shift 2
	"$@" || rc=$?
	set_fault "$action" 0
	[ "$rc" != 0 ]
}

# Nothing that a tunnel takes is kept by one that was refused.
notifiers_refuse()
{
	# shellcheck disable=SC2154
	local new=(ip -n "$hv" link add stt7 up type stt id 7 remote 10.0.0.2)
	local action mem

	for action in NETDEV_POST_INIT NETDEV_REGISTER; do
		refused "$action" -12 "${new[@]}"
		refused "$action" -12 "${new[@]}" learning
		! ip -n "$hv" link show stt7 || return 1
	done
	"${new[@]}"
	for action in NETDEV_PRECHANGEMTU NETDEV_CHANGEMTU; do
		mem=$(ip -n "$hv" -j link show stt7 | jq '.[0].mtu')
		refused "$action" -22 ip -n "$hv" link set stt7 mtu 1234
		[ "$(ip -n "$hv" -j link show stt7 | jq '.[0].mtu')" = "$mem" ]
	done
	ip -n "$hv" link set stt7 down
	refused NETDEV_PRE_UP -16 ip -n "$hv" link set stt7 up
	ip -n "$hv" link set stt7 up
	ip -n "$hv" link del stt7
}

# Those allocations fail that may not sleep: that is, those of packets.
traffic_suffers()
{
	local deadline mac

	mac=$(in_ns "$hv" cat /sys/class/net/under0/address)
	iperf_server "$hv"
	set_fault failslab/ignore-gfp-wait Y
	set_fault fail_page_alloc/ignore-gfp-wait Y
	set_fault failslab/probability 3
	set_fault fail_page_alloc/probability 3
	deadline=$((SECONDS + duration))
	while [ "$SECONDS" -lt "$deadline" ]; do
		# shellcheck disable=SC2154
		in_ns "$far" timeout 10 iperf3 -c 172.16.0.1 -t 3 &
		in_ns "$hv" timeout 3 ping -q -f -s 20000 172.16.0.2 &
		in_ns "$far" "$bin/segflood" -r 1000 -n 1000 -s 5 under0 \
			"$mac" 10.0.0.2 10.0.0.1 first &
		in_ns "$hv" bridge fdb replace 02:00:00:00:00:77 dev stt0 \
			dst 10.0.0.2 || :
		wait || :
	done >/dev/null 2>&1
	faults_end
	in_ns "$hv" ethtool -S stt0 | grep no_mem
	in_ns "$hv" grep mem /proc/net/stt
}

traffic_recovers()
{
	faults_end
	busywait 20 in_ns "$hv" ping -q -c 1 -W 2 -s 20000 172.16.0.2
	busywait 20 reasm_empty "$hv"
	busywait 20 reasm_empty "$far"
}

all_namespaces_end()
{
	namespaces_end "$hv" "$far"
}

# Which fault.py may have left, in the middle of its last test.
module_is_loaded()
{
	# shellcheck disable=SC2119
	stt_load
}

[ "$(id -u)" = 0 ] || skip "needs root"
faults_possible || skip "needs a kernel with CONFIG_FAILSLAB"
require ip iperf3 ethtool jq
programs "$work"
# shellcheck disable=SC2119
stt_load || exit 1
leaks_begin
faults_setup

topology_pair learning || exit 1
run_tests notifiers_refuse traffic_suffers traffic_recovers \
	all_namespaces_end every_allocation_of_a_packet_fails_once \
	every_allocation_of_a_command_fails_once module_is_loaded \
	module_unloads silent_but_for_failures checks_enabled leaks_none_of_ours
rc=$?
! no_netns >/dev/null || namespaces=()
rm -rf "$work"
exit $rc
