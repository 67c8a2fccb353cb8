/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _STT_COMPAT_NET_IP_TUNNELS_H
#define _STT_COMPAT_NET_IP_TUNNELS_H

#include_next <net/ip_tunnels.h>

/*
 * 6.17 "net: ipv4: Add a flags argument to iptunnel_xmit(),
 * udp_tunnel_xmit_skb()"
 */
#ifndef STT_HAVE_IPTUNNEL_XMIT_FLAGS
#define iptunnel_xmit(sk, rt, skb, src, dst, proto, tos, ttl, df, xnet, flags) \
	((iptunnel_xmit)(sk, rt, skb, src, dst, proto, tos, ttl, df, xnet))
#endif

#endif /* _STT_COMPAT_NET_IP_TUNNELS_H */
