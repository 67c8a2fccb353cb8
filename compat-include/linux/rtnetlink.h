/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _STT_COMPAT_LINUX_RTNETLINK_H
#define _STT_COMPAT_LINUX_RTNETLINK_H

#include_next <linux/rtnetlink.h>

/* 6.14 "rtnetlink: add ndo_fdb_dump_context" */
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
