/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _STT_COMPAT_LINUX_LOCAL_LOCK_H
#define _STT_COMPAT_LINUX_LOCAL_LOCK_H

/* With PREEMPT_RT it takes for granted that this is there. */
#include <linux/spinlock.h>
#include_next <linux/local_lock.h>

/*
 * 6.11 "locking/local_lock: Add local nested BH locking infrastructure."
 * Before, all that disables bottom halves excludes each other on a CPU.
 */
#ifndef local_lock_nested_bh
#include <linux/lockdep.h>

#define local_lock_nested_bh(lock) \
	do { lockdep_assert_in_softirq(); __acquire(lock); } while (0)
#define local_unlock_nested_bh(lock)	__release(lock)
#endif

#endif /* _STT_COMPAT_LINUX_LOCAL_LOCK_H */
