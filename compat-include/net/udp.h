/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _STT_COMPAT_NET_UDP_H
#define _STT_COMPAT_NET_UDP_H

#include_next <net/udp.h>

/*
 * udp_flow_src_port() chooses from @min to @max - 1 in 6.12, from @min to @max
 * in 7.3. It takes @min >= @max for no range at all, so 7.3 has none of one
 * port.
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
