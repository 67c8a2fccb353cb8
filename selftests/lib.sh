# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Helpers of the shell selftests: KTAP output, network namespaces, waiting,
# counters, and the topology that most tests start from.  Sourced.
#
# A test file names its test functions and runs them:
#
#	. "$(dirname "$0")/lib.sh"
#	ping_over_ipv4() { ...; }
#	run_tests ping_over_ipv4 ...
#
# Each function runs in a shell of its own with "set -e": the first command
# that fails fails the test.  skip WHY ends it as skipped.  What it prints is
# shown as diagnostics.  Namespaces that it creates end with it; those created
# before run_tests last until the end of the file.

KSFT_SKIP=4
ktap_count=0 ktap_passed=0 ktap_failed=0 ktap_skipped=0

ktap_plan()
{
	echo "KTAP version 1"
	echo "1..$1"
}

ktap_comment()
{
	sed 's/^/# /'
}

pass()
{
	ktap_passed=$((ktap_passed + 1))
	echo "ok $((++ktap_count)) - $1"
}

fail()
{
	ktap_failed=$((ktap_failed + 1))
	echo "not ok $((++ktap_count)) - $1"
}

skipped()
{
	ktap_skipped=$((ktap_skipped + 1))
	echo "ok $((++ktap_count)) - $1 # SKIP $2"
}

# check NAME COMMAND...: one result, with the output of COMMAND if it fails.
check()
{
	local name=$1 output

	shift
	if output=$("$@" 2>&1); then
		pass "$name"
	else
		ktap_comment <<<"$output"
		fail "$name"
	fi
}

ktap_totals()
{
	echo "$ktap_passed passed, $ktap_failed failed, $ktap_skipped skipped"
	[ "$ktap_failed" -eq 0 ]
}

totals_pattern='^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$'

# without_totals FILE: copies to FILE as it comes, and less the line of
# ktap_totals to standard output.
without_totals()
{
	tee "$1" | grep --line-buffered -vE "$totals_pattern"
}

# totals FILE: "PASSED FAILED SKIPPED" of that line, or else of the KTAP in FILE
totals()
{
	sed -nE "s/$totals_pattern/\\1 \\2 \\3/p" "$1" | grep . ||
		awk '/^ok [0-9]+.*# *SKIP/ || /^1\.\.0 # *SKIP/ { s++; next }
		     /^ok [0-9]+/ { p++ }
		     /^not ok [0-9]+/ { f++ }
		     END { print p + 0, f + 0, s + 0 }' "$1"
}

# Ends the test, or before run_tests the whole file, as skipped.
skip()
{
	if [ -n "${reason_file:-}" ]; then
		echo "$*" >"$reason_file"
	else
		echo "1..0 # SKIP $*"
	fi
	exit $KSFT_SKIP
}

# require PROGRAM...: skips without these.
require()
{
	local program

	for program; do
		command -v "$program" >/dev/null ||
			skip "$program is not installed"
	done
}

run_tests()
{
	local name rc test

	ktap_plan $#
	reason_file=$(mktemp)
	trap 'rm -f "$reason_file"; ns_cleanup' EXIT
	for test; do
		name=${test//_/ }
		: >"$reason_file"
		# Not in a condition, which would switch off "set -e".
		(
			set -eE
			namespaces=()
			trap 'end_jobs; ns_cleanup' EXIT
			trap 'echo "line $LINENO: $BASH_COMMAND: $?"' ERR
			"$test"
		) 2>&1 </dev/null | ktap_comment
		rc=${PIPESTATUS[0]}
		case $rc in
		0) pass "$name" ;;
		"$KSFT_SKIP") skipped "$name" "$(cat "$reason_file")" ;;
		*) fail "$name" ;;
		esac
	done
	[ "$ktap_failed" -eq 0 ]
}

# end_jobs: kills what still runs in the background.
end_jobs()
{
	local pid

	for pid in $(jobs -pr); do
		kill "$pid" 2>/dev/null || :
	done
}

# ---- Waiting
#
# Under emulation it is processes that take the time, most of all on a kernel
# that checks itself: what is done often starts as few as it can.

# Never ready to be read: for waits that are no process.
exec {never}<> <(:)

# busywait SECONDS COMMAND...: until COMMAND succeeds; its output is that of
# the last attempt.  A kernel that is slow by STT_SLOW has that much more time.
busywait()
{
	local deadline=$((SECONDS + $1 * ${STT_SLOW:-1})) output

	shift
	until output=$("$@" 2>&1); do
		if [ $SECONDS -ge $deadline ]; then
			echo "waited in vain for: $*"
			echo "$output"
			return 1
		fi
		read -rt 0.05 -u "$never" || :
	done
	echo "$output"
}

# await SECONDS COMMAND...: as busywait, with nothing to say unless in vain.
await()
{
	local output

	output=$(busywait "$@") || {
		echo "$output"
		return 1
	}
}

# fails COMMAND...: "!" would not end a test.
fails()
{
	! "$@"
}

# ---- Network namespaces

namespaces=()

# ns_create NAME...: sets the variables of these names to unique namespaces
# with loopback up and addresses usable at once.
ns_create()
{
	local name ns

	for name; do
		ns=$name-$BASHPID
		without_dad ip netns add "$ns"
		namespaces+=("$ns")
		printf -v "$name" %s "$ns"
		ip -n "$ns" link set lo up
	done
}

# without_dad COMMAND...: network namespaces that it creates do not look for
# duplicates of addresses.
without_dad()
{
	local conf=/proc/sys/net/ipv6/conf inherit all default rc=0
	local inherited=/proc/sys/net/core/devconf_inherit_init_net

	if [ ! -e $conf ]; then
		"$@"
		return
	fi
	read -r inherit <$inherited
	read -r all <$conf/all/accept_dad
	read -r default <$conf/default/accept_dad
	echo 1 >$inherited
	echo 0 >$conf/all/accept_dad
	echo 0 >$conf/default/accept_dad
	"$@" || rc=$?
	echo "$default" >$conf/default/accept_dad
	echo "$all" >$conf/all/accept_dad
	echo "$inherit" >$inherited
	return $rc
}

ns_cleanup()
{
	local ns process

	[ ${#namespaces[@]} -gt 0 ] || return 0
	for process in /proc/[0-9]*; do
		for ns in "${namespaces[@]}"; do
			# Whoever ends by himself meanwhile cannot be killed.
			[ ! "$process/ns/net" -ef "/run/netns/$ns" ] ||
				kill -9 "${process#/proc/}" 2>/dev/null || :
		done
	done
	ip -force -batch - <<<"$(printf 'netns del %s\n' "${namespaces[@]}")"
	namespaces=()
}

in_ns()
{
	local ns=$1

	shift
	ip netns exec "$ns" "$@"
}

# ---- Counters

# link_stat NS DEV PATH: e.g. rx.packets, tx.errors
link_stat()
{
	ip -n "$1" -j -s link show dev "$2" | jq ".[0].stats64.$3"
}

# ethtool_stat NS DEV NAME
ethtool_stat()
{
	in_ns "$1" ethtool -S "$2" |
		awk -v name="$3:" '$1 == name { print $2; found = 1 }
				   END { exit !found }'
}

# ---- Topology
#
#   vm1             hv1                             hv2             vm2
#   eth0 --- vm0 - br0 - stt0  under0 --- under0  stt0 - br0 - vm0 --- eth0
#   192.0.2.1                10.0.0.1   10.0.0.2                  192.0.2.2
#   2001:db8::1               fd00::1   fd00::2                 2001:db8::2
#
# topology [MTU]: all but stt0, with the MTU of the underlay (1500).
topology()
{
	local mtu=${1:-1500} n

	ns_create hv1 hv2 vm1 vm2
	# shellcheck disable=SC2154
	ip link add under0 mtu "$mtu" netns "$hv1" type veth \
		peer name under0 mtu "$mtu" netns "$hv2"
	for n in 1 2; do
		local hv=hv$n vm=vm$n

		ip link add vm0 netns "${!hv}" type veth \
			peer name eth0 netns "${!vm}"
		ip -n "${!hv}" -batch - <<-END
			addr add 10.0.0.$n/24 dev under0
			addr add fd00::$n/64 dev under0 nodad
			link set under0 up
			link add br0 type bridge
			link set br0 up
			link set vm0 master br0 up
		END
		ip -n "${!vm}" -batch - <<-END
			addr add 192.0.2.$n/24 dev eth0
			addr add 2001:db8::$n/64 dev eth0 nodad
			link set eth0 up
		END
	done
}

# topology_tunnel 4|6 [ARGUMENT...]: stt0 in both hypervisors, over that
# address family, as a port of the bridge.
topology_tunnel()
{
	local family=$1 far n net=10.0.0.

	shift
	[ "$family" = 4 ] || net=fd00::
	for n in 1 2; do
		local hv=hv$n

		far=$((3 - n))
		ip -n "${!hv}" link add stt0 type stt id 0x1122334455667788 \
			local $net$n remote $net$far "$@"
		ip -n "${!hv}" link set stt0 master br0 up
	done
}

# topology_pair [ARGUMENT...]: just two hosts, the namespaces hv and far, and a
# tunnel (with ARGUMENTs) that has addresses of its own.
#
#   stt0 172.16.0.1, under0 10.0.0.1 --- under0 10.0.0.2, stt0 172.16.0.2
# shellcheck disable=SC2120
topology_pair()
{
	local n=1 ns

	ns_create hv far
	# shellcheck disable=SC2154
	ip link add under0 netns "$hv" type veth peer name under0 netns "$far"
	for ns in "$hv" "$far"; do
		ip -n "$ns" -batch - <<-END || return
			addr add 10.0.0.$n/24 dev under0
			link set under0 up
			link add stt0 up type stt id 1 $(
				) remote 10.0.0.$((3 - n)) $*
			addr add 172.16.0.$n/24 dev stt0
		END
		n=2
	done
}

# iperf_server NS [ARGUMENT...]: returns when it listens.
iperf_server()
{
	local ns=$1

	shift
	in_ns "$ns" iperf3 -s -D "$@"
	busywait 10 listening "$ns" 5201 >/dev/null
}

listening()
{
	in_ns "$1" ss -Hltn "sport = :$2" | grep -q .
}

# ---- Module and plugin

# Paths of what to test; without them, what is installed.
selftests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ -z "${STT_KO:-}" ] && [ -e "$selftests/../stt.ko" ]; then
	STT_KO=$selftests/../stt.ko
fi
if [ -z "${STT_PLUGIN_DIR:-}" ] &&
   [ -e "$selftests/../tools/link_stt.so" ]; then
	STT_PLUGIN_DIR=$selftests/../tools
fi
if [ -n "${STT_PLUGIN_DIR:-}" ]; then
	export STT_PLUGIN_DIR IP_LIB_DIR=$STT_PLUGIN_DIR
fi

stt_loaded()
{
	[ -d /sys/module/stt ]
}

# stt_load [FILE]
stt_load()
{
	local file=${1:-${STT_KO:-}} module copy rc

	stt_loaded && return
	if [ -z "$file" ]; then
		modprobe stt
		return
	fi
	for module in $(modinfo -F depends "$file" | tr , ' '); do
		modprobe "$module" || return
	done
	# Linux 6.1 reads a module in one piece, and hangs if that is more than
	# 4 MiB on a virtiofs without cache, as the writable shares of vm/run.
	copy=$(mktemp) || return
	cp "$file" "$copy" && insmod "$copy"
	rc=$?
	rm -f "$copy"
	return $rc
}

# programs DIR: sets bin to where the programs of fuzz/Makefile are: in
# STT_BIN_DIR, or else they are built in DIR, or all is skipped.
programs()
{
	# shellcheck disable=SC2034 # for the caller
	bin=${STT_BIN_DIR:-$1}
	[ -z "${STT_BIN_DIR:-}" ] || return 0
	require gcc make
	make -s -C "$selftests/fuzz" O="$1" || skip "no compiler"
}
