/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _STT_COMPAT_NET_UDP_H
#define _STT_COMPAT_NET_UDP_H

#include_next <net/udp.h>

/*
 * In 7.3 the last port belongs to the range of udp_flow_src_port(), before it
 * did not. There, too, a range of one port counts as none.
 */
static inline __be16 stt_compat_flow_src_port(struct net *net,
					      struct sk_buff *skb,
					      u16 first, u16 last)
{
	if (first == last)
		return htons(first);
#ifdef STT_HAVE_UDP_LAST_PORT
	return udp_flow_src_port(net, skb, first, last, true);
#else
	return udp_flow_src_port(net, skb, first, last + 1, true);
#endif
}

#endif /* _STT_COMPAT_NET_UDP_H */
