/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _STT_COMPAT_NET_IP6_TUNNEL_H
#define _STT_COMPAT_NET_IP6_TUNNEL_H

#include_next <net/ip6_tunnel.h>

/*
 * 6.17 "net: ipv6: Add a flags argument to ip6tunnel_xmit(),
 * udp_tunnel6_xmit_skb()"
 */
#ifndef STT_HAVE_IP6TUNNEL_XMIT_FLAGS
#define ip6tunnel_xmit(sk, skb, dev, flags) ((ip6tunnel_xmit)(sk, skb, dev))
#endif

#endif /* _STT_COMPAT_NET_IP6_TUNNEL_H */
