/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _STT_COMPAT_NET_DST_METADATA_H
#define _STT_COMPAT_NET_DST_METADATA_H

#include_next <net/dst_metadata.h>

/* 6.4 "net: dst: Switch to rcuref_t reference counting" */
static inline bool stt_compat_dst_is_unshared(struct dst_entry *dst)
{
#ifdef STT_HAVE_DST_RCUREF
	return rcuref_read(&dst->__rcuref) == 1;
#else
	return atomic_read(&dst->__refcnt) == 1;
#endif
}

/*
 * 6.10 "ip_tunnel: convert __be16 tunnel flags to bitmaps"
 *
 * The flag of GTP's option marks ours: it is the one that Open vSwitch and
 * psample do not take for something that they know. bpf_skb_set_tunnel_opt()
 * sets the flags of all options, bpf_skb_get_tunnel_opt() wants any.
 */
#ifdef IP_TUNNEL_DECLARE_FLAGS
static inline bool stt_compat_tun_has_key(const struct ip_tunnel_key *key)
{
	return test_bit(IP_TUNNEL_KEY_BIT, key->tun_flags);
}

static inline bool stt_compat_tun_has_df(const struct ip_tunnel_key *key)
{
	return test_bit(IP_TUNNEL_DONT_FRAGMENT_BIT, key->tun_flags);
}

static inline bool stt_compat_tun_has_opt(const struct ip_tunnel_key *key)
{
	return test_bit(IP_TUNNEL_GTP_OPT_BIT, key->tun_flags);
}

static inline void stt_compat_tun_set_rx_flags(struct ip_tunnel_key *key)
{
	ip_tunnel_flags_zero(key->tun_flags);
	__set_bit(IP_TUNNEL_KEY_BIT, key->tun_flags);
	__set_bit(IP_TUNNEL_CSUM_BIT, key->tun_flags);
	__set_bit(IP_TUNNEL_GTP_OPT_BIT, key->tun_flags);
}
#else
static inline bool stt_compat_tun_has_key(const struct ip_tunnel_key *key)
{
	return key->tun_flags & TUNNEL_KEY;
}

static inline bool stt_compat_tun_has_df(const struct ip_tunnel_key *key)
{
	return key->tun_flags & TUNNEL_DONT_FRAGMENT;
}

static inline bool stt_compat_tun_has_opt(const struct ip_tunnel_key *key)
{
	return key->tun_flags & TUNNEL_GTP_OPT;
}

static inline void stt_compat_tun_set_rx_flags(struct ip_tunnel_key *key)
{
	key->tun_flags = TUNNEL_KEY | TUNNEL_CSUM | TUNNEL_GTP_OPT;
}
#endif

#endif /* _STT_COMPAT_NET_DST_METADATA_H */
