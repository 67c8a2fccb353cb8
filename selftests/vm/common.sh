# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
# What the scripts around the virtual machine share: where things are cached
# and which kernel is meant.  Sourced, not run.

# Everything fetched or built outside the tree; safe to delete at any time.
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/stt

prog=${0##*/}

# Complaints of the kernel that no test may cause.
splat='BUG: |BUG at |WARNING: |Call Trace:|Oops|general protection fault|'
splat+='Kernel panic|unregister_netdevice: waiting|refcount_t: |KASAN: |'
splat+='KCSAN: |UBSAN: |KFENCE: |suspicious RCU usage|'
splat+='possible (recursive locking|circular locking|irq lock inversion)|'
splat+='inconsistent lock state|sleeping function called|'
splat+='scheduling while atomic|soft lockup|hard LOCKUP|'
splat+='detected stalls? on|self-detected stall|blocked for more than|'
splat+='bad page|list_(add|del) corruption|ODEBUG: |DEBUG_LOCKS_WARN_ON|'
splat+='new suspected memory leaks|leaked reference|has [0-9]+ leaked'

# Drops reports of data races in which the module has no part: the kernel has
# some of its own.
without_foreign_races()
{
	awk '
		/BUG: KCSAN: / { inside = 1; report = ""; ours = 0 }
		!inside { print; next }
		{ report = report $0 "\n" }
		/[ \/]stt_|\[stt\]/ { ours = 1 }
		/====================/ {
			if (ours)
				printf "%s", report
			inside = 0
		}
		END { if (inside && ours) printf "%s", report }'
}

say()
{
	echo "$prog: $*" >&2
}

die()
{
	say "$@"
	exit "${die_rc:-1}"
}

# The kernel of the virtual machine: the newest packaged one whose headers are
# installed, because the module is built against these.
vm_kver()
{
	local kver

	if [ -n "${STT_KVER:-}" ]; then
		echo "$STT_KVER"
		return
	fi
	for kver in /lib/modules/*-cloud-amd64; do
		[ -e "$kver/build/Makefile" ] && echo "${kver##*/}"
	done | sort -V | tail -n 1
}

# A packaged kernel in the cache: vmlinuz, and root/ with usr/lib/modules,
# which the guest stacks on top of its root directory.
kernel_dir()
{
	echo "$cache/kernels/$1"
}
