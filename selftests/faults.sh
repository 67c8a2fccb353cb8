# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Fault injection: what may fail, and when.  Sourced after lib.sh.

debugfs=/sys/kernel/debug

faults_possible()
{
	[ -e $debugfs/failslab ]
}

# Caches whose failures say nothing of the module, but end checks of the kernel
# or are those of the checks themselves.
not_ours='kmemleak|debug_obj|kasan|task_struct|names_cache|vm_area|anon_vma'

# set_fault NAME VALUE
set_fault()
{
	echo "$2" >"$debugfs/$1"
}

# What may fail, though nothing does yet.
faults_setup()
{
	local cache fault

	for fault in failslab fail_page_alloc; do
		set_fault $fault/probability 0
		set_fault $fault/verbose 0
		set_fault $fault/times -1
		set_fault $fault/ignore-gfp-wait N
	done
	# Allocations of the slab, and what is too large for it.
	set_fault fail_page_alloc/min-order 1
	# Newer kernels can be told to leave some caches alone.
	for cache in /sys/kernel/slab/*/failslab; do
		[[ $cache =~ $not_ours ]] || { echo 1 >"$cache"; } \
			2>/dev/null || return 0
	done
	set_fault failslab/cache-filter Y
}

# No more of those at random.
faults_end()
{
	local fault

	for fault in failslab fail_page_alloc; do
		set_fault $fault/probability 0
		set_fault $fault/ignore-gfp-wait N
	done
}
