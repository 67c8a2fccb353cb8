# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
# Checks that nothing of the module is left, beyond what run-suite looks at
# after each test.  Sourced after lib.sh and vm/common.sh.

kmemleak=/sys/kernel/debug/kmemleak

# What was reported so far is not ours.
leaks_begin()
{
	echo "stt-leaks: $$ begin" >/dev/kmsg
	[ -w $kmemleak ] || return 0
	echo scan >$kmemleak
	echo clear >$kmemleak
}

# Fails if memory was allocated since leaks_begin that nothing points to.  An
# object must be 5 s old and be found twice.
leaks_none()
{
	[ -w $kmemleak ] || return 0
	sleep 6
	echo scan >$kmemleak
	echo scan >$kmemleak
	cat $kmemleak
	! grep -q . $kmemleak
}

# Fails if the kernel complained since leaks_begin.
kernel_silent()
{
	! dmesg | awk -v mark="stt-leaks: $$ begin" '
		index($0, mark) { n = 0; next }
		{ line[n++] = $0 }
		END { for (i = 0; i < n; i++) print line[i] }' |
		without_foreign_races | grep -E -m 3 -A 40 "$splat"
}

# Fails if the kernel switched one of its checks off, as it does when it finds
# something and when it runs out of room.
checks_enabled()
{
	[ ! -e /proc/lockdep_stats ] ||
		grep -E 'debug_locks: +1$' /proc/lockdep_stats
	[ ! -w $kmemleak ] || cat $kmemleak >/dev/null
}

# Fails if the module is still seen anywhere after its removal.
module_gone()
{
	! stt_loaded || { echo "loaded"; return 1; }
	! grep stt_ /proc/slabinfo || return 1
	[ ! -e /proc/net/stt ] || { echo "/proc/net/stt"; return 1; }
	! grep -w stt /proc/kallsyms | head -n 3 | grep . || return 1
}

# reasm_empty NS: fails if incomplete frames are held.
reasm_empty()
{
	in_ns "$1" grep -x "reasm_mem 0" /proc/net/stt
}

# namespaces_end NAMESPACE...: removes these, and waits until none is left.
namespaces_end()
{
	# shellcheck disable=SC2034 # ns_cleanup has them from here
	namespaces=("$@")
	ns_cleanup
	busywait 30 no_netns
}

no_netns()
{
	! ip netns list | grep .
}

# Unloads the module, once nothing uses it any more.
module_unloads()
{
	busywait 30 unused
	rmmod stt
	module_gone
}

unused()
{
	[ "$(cat /sys/module/stt/refcnt)" = 0 ]
}
