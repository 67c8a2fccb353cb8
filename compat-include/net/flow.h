/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _STT_COMPAT_NET_FLOW_H
#define _STT_COMPAT_NET_FLOW_H

#include_next <net/flow.h>
#include <net/inet_dscp.h>

/*
 * 6.18 "ipv4: Convert ->flowi4_tos to dscp_t."; flowi4_dscp is a macro there.
 */
static inline void stt_compat_flowi4_set_dscp(struct flowi4 *fl4, u8 dsfield)
{
#ifdef flowi4_dscp
	fl4->flowi4_dscp = inet_dsfield_to_dscp(dsfield);
#else
	fl4->flowi4_tos = dsfield & INET_DSCP_MASK;
#endif
}

#endif /* _STT_COMPAT_NET_FLOW_H */
