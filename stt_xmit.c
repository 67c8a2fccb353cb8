// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: from an inner frame to the underlay.
 *
 * A frame goes down as one skb that asks for TCP segmentation, with a header
 * that the segmentation of any NIC, or of the stack, continues correctly: SEQ
 * grows by the segment size, PSH stays for the last segment. The skb is not
 * marked as encapsulated, so no tunnel offload is asked of the NIC.
 */
#include <linux/etherdevice.h>
#include <linux/percpu.h>
#include <linux/random.h>
#include <linux/tcp.h>
#include <net/dst_cache.h>
#include <net/flow.h>
#include <net/inet_ecn.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/ip6_route.h>
#include <net/ip6_tunnel.h>
#include <net/ip_tunnels.h>
#include <net/ipv6.h>
#include <net/route.h>
#include <net/stt.h>
#include <net/udp.h>

#include "stt_private.h"

/* Frame identifiers are handed to CPUs in blocks of this many. */
#define STT_ID_BLOCK	4096

/**
 * struct stt_id_block - identifiers that a CPU may use
 * @next: next identifier
 * @end: first one that is not ours
 *
 * Only used with bottom halves disabled.
 */
struct stt_id_block {
	u32	next;
	u32	end;
};

static DEFINE_PER_CPU(struct stt_id_block, stt_id_block);
static atomic_t stt_id_next = ATOMIC_INIT(0);

/*
 * The full 32 bits go round before one is used again: 144 s at 14.88 million
 * frames a second, with the half of the space that a block may lag behind. An
 * idle CPU's block that lags further is given up. Byte order does not matter,
 * identifiers are only compared.
 */
static __be32 stt_frame_id(void)
{
	struct stt_id_block *block = this_cpu_ptr(&stt_id_block);

	if (unlikely(block->next == block->end ||
		     (u32)atomic_read(&stt_id_next) - block->end > S32_MAX)) {
		block->end = atomic_add_return(STT_ID_BLOCK, &stt_id_next);
		block->next = block->end - STT_ID_BLOCK;
	}
	return (__force __be32)block->next++;
}

/**
 * stt_xmit_init() - prepare transmission
 *
 * Identifiers start anywhere, so that a reload of the module does not repeat
 * those in flight.
 */
void __init stt_xmit_init(void)
{
	atomic_set(&stt_id_next, get_random_u32() & ~(STT_ID_BLOCK - 1));
}

/**
 * struct stt_path - the way of one frame through the underlay
 * @dst: route, a reference
 * @saddr: outer source
 * @daddr: outer destination
 * @label: IPv6 flow label
 * @sport: source port
 * @dport: destination port
 * @df: IPv4 fragment offset field
 * @tos: outer DSCP and ECN
 * @ttl: outer hop count, 0 for the route's
 * @cached: the route may come from, and go to, the device's cache
 */
struct stt_path {
	struct dst_entry	*dst;
	struct in6_addr		saddr;
	struct in6_addr		daddr;
	__be32			label;
	__be16			sport;
	__be16			dport;
	__be16			df;
	u8			tos;
	u8			ttl;
	bool			cached;
};

static bool stt_path_is_v4(const struct stt_path *path)
{
	return stt_addr_is_v4(&path->daddr);
}

static int stt_route_v4(struct stt_dev *stt, struct stt_state *state,
			const struct sk_buff *skb, struct stt_path *path)
{
	struct flowi4 fl4 = {};
	struct rtable *rt;
	__be32 saddr;

	if (path->cached) {
		rt = dst_cache_get_ip4(&state->cache, &saddr);
		if (rt) {
			ipv6_addr_set_v4mapped(saddr, &path->saddr);
			path->dst = &rt->dst;
			return 0;
		}
	}
	fl4.flowi4_oif = state->conf.link;
	fl4.flowi4_mark = skb->mark;
	fl4.flowi4_proto = IPPROTO_TCP;
	fl4.daddr = stt_addr_v4(&path->daddr);
	if (!ipv6_addr_any(&path->saddr))
		fl4.saddr = stt_addr_v4(&path->saddr);
	fl4.fl4_sport = path->sport;
	fl4.fl4_dport = path->dport;
	stt_compat_flowi4_set_dscp(&fl4, path->tos);
	rt = ip_route_output_key(stt->net, &fl4);
	if (IS_ERR(rt))
		return PTR_ERR(rt);
	if (path->cached)
		dst_cache_set_ip4(&state->cache, &rt->dst, fl4.saddr);
	ipv6_addr_set_v4mapped(fl4.saddr, &path->saddr);
	path->dst = &rt->dst;
	return 0;
}

static int stt_route_v6(struct stt_dev *stt, struct stt_state *state,
			const struct sk_buff *skb, struct stt_path *path)
{
	struct flowi6 fl6 = {};
	struct dst_entry *dst;

	if (path->cached) {
		dst = dst_cache_get_ip6(&state->cache, &path->saddr);
		if (dst) {
			path->dst = dst;
			return 0;
		}
	}
	fl6.flowi6_oif = state->conf.link;
	fl6.flowi6_mark = skb->mark;
	fl6.flowi6_proto = IPPROTO_TCP;
	fl6.daddr = path->daddr;
	fl6.saddr = path->saddr;
	fl6.fl6_sport = path->sport;
	fl6.fl6_dport = path->dport;
	fl6.flowlabel = ip6_make_flowinfo(path->tos, path->label);
	dst = ip6_dst_lookup_flow(stt->net, stt->port->sock->sk, &fl6, NULL);
	if (IS_ERR(dst))
		return PTR_ERR(dst);
	if (path->cached)
		dst_cache_set_ip6(&state->cache, dst, &fl6.saddr);
	path->saddr = fl6.saddr;
	path->dst = dst;
	return 0;
}

/* Find the route; on success @path holds a reference to it. */
static int stt_route(struct stt_dev *stt, struct stt_state *state,
		     const struct sk_buff *skb, struct stt_path *path)
{
	int err;

	err = stt_path_is_v4(path) ? stt_route_v4(stt, state, skb, path) :
				     stt_route_v6(stt, state, skb, path);
	if (err)
		return err;
	if (unlikely(path->dst->dev == stt->dev)) {
		dst_release(path->dst);
		return -ELOOP;
	}
	return 0;
}

static __be16 stt_path_df(const struct stt_conf *conf,
			  const struct sk_buff *skb)
{
	switch (conf->df) {
	case STT_DF_SET:
		return htons(IP_DF);
	case STT_DF_INHERIT:
		if (skb_protocol(skb, true) == htons(ETH_P_IP))
			return ip_hdr(skb)->frag_off & htons(IP_DF);
		if (skb_protocol(skb, true) == htons(ETH_P_IPV6))
			return htons(IP_DF);
		return 0;
	default:
		return 0;
	}
}

/* Decide how a frame travels; its network header is pulled and set. */
static void stt_path_plan(struct stt_dev *stt, const struct stt_conf *conf,
			  struct sk_buff *skb, struct stt_path *path)
{
	const struct iphdr *inner = ip_hdr(skb);

	path->daddr = conf->id.remote;
	path->saddr = conf->id.local;
	path->dport = conf->id.port;
	path->sport = udp_flow_src_port(stt->net, skb, conf->sport_min,
					conf->sport_max + 1, true);
	path->ttl = conf->ttl;
	if (conf->ttl_inherit)
		path->ttl = ip_tunnel_get_ttl(inner, skb);
	path->tos = conf->tos;
	if (conf->tos == 1)
		path->tos = ip_tunnel_get_dsfield(inner, skb);
	/* A route for another DSCP must not be cached for this one. */
	path->cached = !skb->mark && conf->tos != 1;
	path->tos = ip_tunnel_ecn_encap(path->tos, inner, skb);
	path->df = stt_path_df(conf, skb);
	path->label = conf->label;
}

/* Ask for segmentation if the frame is longer than a segment may be. */
static void stt_xmit_segment(struct sk_buff *skb, unsigned int mss, bool v4)
{
	struct skb_shared_info *shinfo = skb_shinfo(skb);

	if (skb->len <= mss) {
		skb_gso_reset(skb);
		return;
	}
	shinfo->gso_size = mss;
	shinfo->gso_segs = DIV_ROUND_UP(skb->len, mss);
	shinfo->gso_type = v4 ? SKB_GSO_TCPV4 : SKB_GSO_TCPV6;
}

/* Push the TCP-like header in front of the frame header. */
static void stt_xmit_push_tcp(struct sk_buff *skb, const struct stt_path *path)
{
	unsigned int len = skb->len + sizeof(struct tcphdr);
	struct tcphdr *th;

	th = skb_push(skb, sizeof(*th));
	skb_reset_transport_header(skb);
	th->source = path->sport;
	th->dest = path->dport;
	th->seq = stt_seq(len - sizeof(*th), 0);
	th->ack_seq = stt_frame_id();
	tcp_flag_word(th) = htonl(sizeof(*th) / 4 << 28) | TCP_FLAG_ACK |
			    TCP_FLAG_PSH;
	th->urg_ptr = 0;

	/* The NIC completes it, for each segment; the inner one stays as is. */
	if (stt_path_is_v4(path))
		th->check = ~csum_tcpudp_magic(stt_addr_v4(&path->saddr),
					       stt_addr_v4(&path->daddr), len,
					       IPPROTO_TCP, 0);
	else
		th->check = ~csum_ipv6_magic(&path->saddr, &path->daddr, len,
					     IPPROTO_TCP, 0);
	skb->ip_summed = CHECKSUM_PARTIAL;
	skb->csum_start = skb_transport_header(skb) - skb->head;
	skb->csum_offset = offsetof(struct tcphdr, check);
}

static void stt_xmit_push_ipv6(struct sk_buff *skb, const struct stt_path *path,
			       u8 ttl)
{
	unsigned int len = skb->len;
	struct ipv6hdr *iph;

	skb_push(skb, sizeof(*iph));
	skb_reset_network_header(skb);
	iph = ipv6_hdr(skb);
	ip6_flow_hdr(iph, path->tos, path->label);
	iph->payload_len = htons(len);
	iph->nexthdr = IPPROTO_TCP;
	iph->hop_limit = ttl;
	iph->saddr = path->saddr;
	iph->daddr = path->daddr;
}

/* Send a frame that is complete up to its frame header; cannot fail. */
static void stt_xmit_ip(struct stt_dev *stt, struct sk_buff *skb,
			const struct stt_path *path)
{
	bool xnet = !net_eq(stt->net, dev_net(stt->dev));
	struct sock *sk = stt->port->sock->sk;
	u8 ttl = path->ttl;

	if (stt_path_is_v4(path)) {
		if (!ttl)
			ttl = ip4_dst_hoplimit(path->dst);
		iptunnel_xmit(sk, dst_rtable(path->dst), skb,
			      stt_addr_v4(&path->saddr),
			      stt_addr_v4(&path->daddr), IPPROTO_TCP,
			      path->tos, ttl, path->df, xnet, 0);
		return;
	}
	if (!ttl)
		ttl = ip6_dst_hoplimit(path->dst);
	skb_scrub_packet(skb, xnet);
	skb_clear_hash_if_not_l4(skb);
	skb_dst_set(skb, path->dst);
	stt_xmit_push_ipv6(skb, path, ttl);
	ip6tunnel_xmit(sk, skb, stt->dev, 0);
}

/* Encapsulate and send; consumes @skb and the route. Returns a drop cause. */
static int stt_xmit_encap(struct stt_dev *stt, const struct stt_conf *conf,
			  struct sk_buff *skb, struct stt_path *path)
{
	bool v4 = stt_path_is_v4(path);
	unsigned int hlen = (v4 ? sizeof(struct iphdr) :
				  sizeof(struct ipv6hdr)) +
			    sizeof(struct tcphdr);
	struct stthdr hdr;
	int err;

	err = stt_frame_encode(skb, &hdr);
	if (unlikely(err))
		return err == -ENOMEM ? STT_XSTATS_TX_NO_MEM :
					STT_XSTATS_TX_BAD_INNER;
	if (unlikely(skb->len > STT_FRAME_MAX - STT_HLEN - hlen))
		return STT_XSTATS_TX_TOO_LONG;
	hdr.key = cpu_to_be64(conf->id.key);

	if (skb_cow_head(skb, LL_RESERVED_SPACE(path->dst->dev) +
			      path->dst->header_len + hlen + STT_HLEN))
		return STT_XSTATS_TX_NO_MEM;
	/* Outer segments end elsewhere than the inner ones in a list. */
	if (skb_has_frag_list(skb) &&
	    (stt_skb_own(skb) || stt_skb_fit_gso(skb)))
		return STT_XSTATS_TX_NO_MEM;

	skb_reset_inner_headers(skb);
	skb->encapsulation = 0;
	memcpy(skb_push(skb, STT_HLEN), &hdr, STT_HLEN);
	stt_xmit_segment(skb, dst_mtu(path->dst) - hlen, v4);
	stt_xmit_push_tcp(skb, path);
	stt_xmit_ip(stt, skb, path);
	return 0;
}

/**
 * stt_xmit() - ndo_start_xmit
 * @skb: inner Ethernet frame, up to 64 KB, consumed
 * @dev: stt device
 *
 * Context: bottom halves disabled.
 * Return: NETDEV_TX_OK; what cannot be sent is dropped and counted.
 */
netdev_tx_t stt_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct stt_dev *stt = netdev_priv(dev);
	struct stt_state *state;
	struct stt_path path;
	int cause, err;
	bool autolabel;

	rcu_read_lock();
	state = rcu_dereference(stt->state);

	skb_reset_mac_header(skb);
	cause = STT_XSTATS_TX_BAD_INNER;
	if (unlikely(skb_vlan_inet_prepare(skb, false)))
		goto drop;

	stt_path_plan(stt, &state->conf, skb, &path);
	err = stt_route(stt, state, skb, &path);
	if (unlikely(err)) {
		cause = err == -ELOOP ? STT_XSTATS_TX_LOOP :
					STT_XSTATS_TX_NO_ROUTE;
		goto drop;
	}
	if (!path.label && !stt_path_is_v4(&path)) {
		/* The source port has had the hash computed: no flow needed. */
		autolabel = ip6_default_np_autolabel(stt->net);
		path.label = ip6_make_flowlabel(stt->net, skb, 0, autolabel,
						NULL);
	}
	cause = stt_xmit_encap(stt, &state->conf, skb, &path);
	if (likely(!cause)) {
		rcu_read_unlock();
		return NETDEV_TX_OK;
	}
	dst_release(path.dst);
drop:
	rcu_read_unlock();
	stt_dev_drop(stt, skb, cause);
	return NETDEV_TX_OK;
}
