/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _STT_COMPAT_LINUX_RTNETLINK_H
#define _STT_COMPAT_LINUX_RTNETLINK_H

#include_next <linux/rtnetlink.h>

/* 6.13 gave the position in a dump of FDB entries a type of its own. */
static inline unsigned long
stt_compat_fdb_dump_idx(const struct netlink_callback *cb)
{
#ifdef STT_HAVE_FDB_DUMP_CONTEXT
	return ((struct ndo_fdb_dump_context *)cb->ctx)->fdb_idx;
#else
	return cb->args[2];
#endif
}

#endif /* _STT_COMPAT_LINUX_RTNETLINK_H */
