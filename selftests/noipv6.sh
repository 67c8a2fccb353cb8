#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2317
# A kernel with ipv6.disable=1: what is named after IPv6 is there, but has no
# tables, and who looks into them dies. Run by check-full.
#
# As root; loads and unloads the module.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=selftests/lib.sh
. "$here/lib.sh"
# shellcheck source=selftests/vm/common.sh
. "$here/vm/common.sh"
# shellcheck source=selftests/leaks.sh
. "$here/leaks.sh"

work=$(mktemp -d)

frames_cross()
{
	in_ns "$hv" ping -q -c 3 -i 0.1 -s 20000 172.16.0.2
}

# refused SENTENCE COMMAND...
refused()
{
	local sentence=$1

	shift
	fails "$@" 2>"$work/said"
	cat "$work/said"
	grep -qF "$sentence" "$work/said"
}

addresses_are_refused()
{
	local what

	for what in "remote fd00::2" "local fd00::1" \
		    "group ff02::5 dev under0"; do
		# shellcheck disable=SC2086
		refused "Address must be an IPv4 one, this kernel has no IPv6" \
			ip -n "$hv" link add x type stt id 2 $what
	done
	refused "Address must be an IPv4 one, this kernel has no IPv6" \
		ip -n "$hv" link set stt0 type stt remote fd00::2
	ip -n "$hv" link add x up type stt id 2 learning
	refused "must be an IPv4 address, this kernel has no IPv6" \
		in_ns "$hv" bridge fdb add 02:00:00:00:00:09 dev x dst fd00::2
	ip -n "$hv" link del x
}

metadata_are_dropped()
{
	ip -n "$hv" link add x up type stt external
	ip -n "$hv" route add 192.168.4.1 encap ip6 id 5 dst fd00::2 dev x
	ip -n "$hv" neigh add 192.168.4.1 lladdr 02:00:00:00:00:01 dev x
	fails in_ns "$hv" ping -q -c 1 -W 1 192.168.4.1
	[ "$(ethtool_stat "$hv" x tx_no_route)" = 1 ]
	ip -n "$hv" link del x
}

all_namespaces_end()
{
	namespaces_end "$hv" "$far"
}

[ "$(id -u)" = 0 ] || skip "needs root"
[ ! -e /proc/net/if_inet6 ] || skip "needs a kernel with ipv6.disable=1"
require ip ping ethtool
# shellcheck disable=SC2119
stt_load || exit 1
leaks_begin
# shellcheck disable=SC2119
topology_pair || exit 1
run_tests frames_cross addresses_are_refused metadata_are_dropped \
	all_namespaces_end module_unloads leaks_none
rc=$?
! no_netns >/dev/null || namespaces=()
rm -rf "$work"
exit $rc
