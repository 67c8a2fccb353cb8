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
#include <linux/local_lock.h>
#include <linux/percpu.h>
#include <linux/random.h>
#include <linux/rtnetlink.h>
#include <linux/tcp.h>
#include <net/dst_cache.h>
#include <net/dst_metadata.h>
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
 * @bh_lock: held while one is taken
 * @next: next identifier
 * @end: first one that is not ours
 */
struct stt_id_block {
	local_lock_t	bh_lock;
	u32		next;
	u32		end;
};

static DEFINE_PER_CPU(struct stt_id_block, stt_id_block) = {
	.bh_lock = INIT_LOCAL_LOCK(bh_lock),
};

static atomic_t stt_id_next = ATOMIC_INIT(0);

/*
 * The full 32 bits go round before one is used again: 144 s at 14.88 million
 * frames a second, with the half of the space that a block may lag behind. An
 * idle CPU's block that lags further is given up. Byte order does not matter,
 * identifiers are only compared.
 */
static __be32 stt_frame_id(void)
{
	struct stt_id_block *block;
	u32 id;

	local_lock_nested_bh(&stt_id_block.bh_lock);
	block = this_cpu_ptr(&stt_id_block);
	if (unlikely(block->next == block->end ||
		     (u32)atomic_read(&stt_id_next) - block->end > S32_MAX)) {
		block->end = atomic_add_return(STT_ID_BLOCK, &stt_id_next);
		block->next = block->end - STT_ID_BLOCK;
	}
	id = block->next++;
	local_unlock_nested_bh(&stt_id_block.bh_lock);
	return (__force __be32)id;
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
 * @cache: where the route may come from and go to, or NULL
 * @routes: the same for metadata without @cache, or NULL
 * @saddr: outer source, :: for the route's
 * @daddr: outer destination
 * @key: Context ID
 * @label: IPv6 flow label
 * @mark: firewall mark for the route
 * @oif: underlay device, 0 for the route's
 * @sport: source port
 * @dport: destination port
 * @df: IPv4 fragment offset field
 * @tos: outer DSCP and ECN
 * @ttl: outer hop count, 0 for the route's
 */
struct stt_path {
	struct dst_entry	*dst;
	struct dst_cache	*cache;
	struct stt_routes __percpu *routes;
	struct in6_addr		saddr;
	struct in6_addr		daddr;
	u64			key;
	__be32			label;
	u32			mark;
	int			oif;
	__be16			sport;
	__be16			dport;
	__be16			df;
	u8			tos;
	u8			ttl;
};

static bool stt_path_is_v4(const struct stt_path *path)
{
	return stt_addr_is_v4(&path->daddr);
}

/* Take the route that was used last, if it is still good. */
static bool stt_route_cached(struct stt_path *path)
{
	struct rtable *rt;
	__be32 saddr;

	if (!path->cache)
		return false;
#if IS_ENABLED(CONFIG_IPV6)
	if (!stt_path_is_v4(path)) {
		path->dst = dst_cache_get_ip6(path->cache, &path->saddr);
		return path->dst;
	}
#endif
	rt = dst_cache_get_ip4(path->cache, &saddr);
	if (!rt)
		return false;
	ipv6_addr_set_v4mapped(saddr, &path->saddr);
	path->dst = &rt->dst;
	return true;
}

/* The flow is only looked up once in a while: keep it off the stack. */
static noinline_for_stack int stt_route_v4(struct stt_dev *stt,
					   struct stt_path *path)
{
	struct flowi4 fl4 = {};
	struct rtable *rt;

	fl4.flowi4_oif = path->oif;
	fl4.flowi4_mark = path->mark;
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
	if (path->cache)
		dst_cache_set_ip4(path->cache, &rt->dst, fl4.saddr);
	ipv6_addr_set_v4mapped(fl4.saddr, &path->saddr);
	path->dst = &rt->dst;
	return 0;
}

static noinline_for_stack int stt_route_v6(struct stt_dev *stt,
					   struct stt_path *path)
{
#if IS_ENABLED(CONFIG_IPV6)
	struct flowi6 fl6 = {};
	struct dst_entry *dst;

	/* Metadata may ask for what ipv6.disable=1 has left without tables. */
	if (!ipv6_mod_enabled())
		return -EAFNOSUPPORT;
	fl6.flowi6_oif = path->oif;
	fl6.flowi6_mark = path->mark;
	fl6.flowi6_proto = IPPROTO_TCP;
	fl6.daddr = path->daddr;
	fl6.saddr = path->saddr;
	fl6.fl6_sport = path->sport;
	fl6.fl6_dport = path->dport;
	fl6.flowlabel = ip6_make_flowinfo(path->tos, path->label);
	dst = ip6_dst_lookup_flow(stt->net, stt->port->sock->sk, &fl6, NULL);
	if (IS_ERR(dst))
		return PTR_ERR(dst);
	if (path->cache)
		dst_cache_set_ip6(path->cache, dst, &fl6.saddr);
	path->saddr = fl6.saddr;
	path->dst = dst;
	return 0;
#else
	return -EAFNOSUPPORT;
#endif
}

static int stt_route_lookup(struct stt_dev *stt, struct stt_path *path)
{
	return stt_path_is_v4(path) ? stt_route_v4(stt, path) :
				      stt_route_v6(stt, path);
}

/* Ask the device's own routes before the stack. */
static noinline_for_stack int stt_route_known(struct stt_dev *stt,
					      struct stt_path *path)
{
	struct stt_route_id id = {
		.daddr = path->daddr,
		.saddr = path->saddr,
		.flow = ip6_make_flowinfo(path->tos & ~INET_ECN_MASK,
					  path->label),
		.oif = path->oif,
		.mark = path->mark,
		.epoch = READ_ONCE(stt->route_epoch),
	};
	int err;

	path->dst = stt_routes_get(path->routes, &id, &path->saddr);
	if (path->dst)
		return 0;
	err = stt_route_lookup(stt, path);
	if (!err)
		stt_routes_set(path->routes, &id, path->dst, &path->saddr);
	return err;
}

/* Find the route; on success @path holds a reference to it. */
static int stt_route(struct stt_dev *stt, struct stt_path *path)
{
	int err = 0;

	if (path->routes)
		err = stt_route_known(stt, path);
	else if (!stt_route_cached(path))
		err = stt_route_lookup(stt, path);
	if (err)
		return err;
	if (unlikely(READ_ONCE(path->dst->dev) == stt->dev)) {
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

/*
 * The normal mode of RFC 6040 copies the mark. ip_tunnel_ecn_encap() has the
 * older rule, which hides CE from the underlay.
 */
static u8 stt_ecn_encap(u8 tos, const struct sk_buff *skb)
{
	return (tos & ~INET_ECN_MASK) |
	       (ip_tunnel_get_dsfield(ip_hdr(skb), skb) & INET_ECN_MASK);
}

/* What does not depend on the destination; the network header is set. */
static void stt_path_plan(struct stt_dev *stt, const struct stt_conf *conf,
			  struct sk_buff *skb, struct stt_path *path)
{
	const struct iphdr *inner = ip_hdr(skb);

	path->routes = NULL;
	path->saddr = conf->local;
	path->oif = conf->link;
	path->mark = conf->fwmark ?: skb->mark;
	path->label = conf->label;
	if (conf->label_inherit &&
	    skb_protocol(skb, true) == htons(ETH_P_IPV6))
		path->label = ip6_flowlabel(ipv6_hdr(skb));
	path->sport = stt_compat_flow_src_port(stt->net, skb, conf->sport_min,
					       conf->sport_max);
	path->ttl = conf->ttl;
	if (conf->ttl_inherit)
		path->ttl = ip_tunnel_get_ttl(inner, skb);
	path->tos = conf->tos;
	if (conf->tos == 1)
		path->tos = ip_tunnel_get_dsfield(inner, skb);
	path->tos = stt_ecn_encap(path->tos, skb);
	path->df = stt_path_df(conf, skb);
}

static void stt_path_set_remote(const struct stt_conf *conf,
				struct stt_remote *remote,
				struct stt_path *path)
{
	path->daddr = remote->id.addr;
	path->dport = remote->id.port;
	path->key = remote->id.key;
	if (remote->id.ifindex)
		path->oif = remote->id.ifindex;
	/* A route for another DSCP or mark must not be cached for this one. */
	path->cache = path->mark != conf->fwmark || conf->tos == 1 ?
		      NULL : &remote->cache;
	if (conf->external && conf->keybase)
		path->key |= conf->key;
}

/*
 * The Context ID is tun_id, or a tunnel option with all of its bits: eBPF can
 * set no more than the lower half of tun_id. False if there is none.
 */
static bool stt_path_set_key(const struct stt_conf *conf,
			     const struct ip_tunnel_info *info,
			     struct stt_path *path)
{
	const struct ip_tunnel_key *key = &info->key;
	__be64 full;

	if (info->options_len == sizeof(full) && stt_compat_tun_has_opt(key)) {
		ip_tunnel_info_opts_get(&full, info);
		path->key = be64_to_cpu(full);
		return !conf->keybase || !((path->key ^ conf->key) >> 32);
	}
	if (!key->tun_id && !stt_compat_tun_has_key(key))
		return false;
	path->key = be64_to_cpu(key->tun_id);
	if (conf->keybase) {
		if (path->key > U32_MAX)
			return false;
		path->key |= conf->key;
	}
	return true;
}

/*
 * Metadata forbid to keep the route, have a cache for it, or have none. The
 * cache is the sender's, who knows nothing of our mark.
 */
static void stt_path_set_cache(struct stt_dev *stt, const struct stt_conf *conf,
			       const struct sk_buff *skb,
			       struct ip_tunnel_info *info,
			       struct stt_path *path)
{
	path->cache = NULL;
	path->routes = NULL;
	if (!ip_tunnel_dst_cache_usable(skb, info))
		return;
	if (info->dst_cache.cache && !conf->fwmark)
		path->cache = &info->dst_cache;
	else
		path->routes = stt->routes;
}

/* Follow the metadata of a packet; false if they lead nowhere. */
static bool stt_path_set_metadata(struct stt_dev *stt,
				  const struct stt_conf *conf,
				  struct sk_buff *skb,
				  struct ip_tunnel_info *info,
				  struct stt_path *path)
{
	const struct ip_tunnel_key *key = &info->key;

	if (!stt_path_set_key(conf, info, path))
		return false;
	if (ip_tunnel_info_af(info) == AF_INET) {
		if (!key->u.ipv4.dst)
			return false;
		ipv6_addr_set_v4mapped(key->u.ipv4.dst, &path->daddr);
		if (key->u.ipv4.src)
			ipv6_addr_set_v4mapped(key->u.ipv4.src, &path->saddr);
	} else {
		if (ipv6_addr_any(&key->u.ipv6.dst))
			return false;
		path->daddr = key->u.ipv6.dst;
		if (!ipv6_addr_any(&key->u.ipv6.src))
			path->saddr = key->u.ipv6.src;
		path->label = key->label;
	}
	path->dport = key->tp_dst ?: conf->port;
	if (key->tp_src)
		path->sport = key->tp_src;
	path->ttl = key->ttl;
	path->tos = stt_ecn_encap(key->tos, skb);
	path->df = stt_compat_tun_has_df(key) ? htons(IP_DF) : 0;
	stt_path_set_cache(stt, conf, skb, info, path);
	return ipv6_addr_any(&path->saddr) ||
	       stt_addr_is_v4(&path->saddr) == stt_path_is_v4(path);
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

	th = __skb_push(skb, sizeof(*th));
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

	__skb_push(skb, sizeof(*iph));
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

	/* As for any program, a group is not to be reached through routers. */
	if (!ttl && stt_addr_is_multicast(&path->daddr))
		ttl = 1;
	if (stt_path_is_v4(path)) {
		if (!ttl)
			ttl = ip4_dst_hoplimit(path->dst);
		iptunnel_xmit(sk, dst_rtable(path->dst), skb,
			      stt_addr_v4(&path->saddr),
			      stt_addr_v4(&path->daddr), IPPROTO_TCP,
			      path->tos, ttl, path->df, xnet, 0);
		return;
	}
	if (!ttl && IS_ENABLED(CONFIG_IPV6))
		ttl = ip6_dst_hoplimit(path->dst);
	skb_scrub_packet(skb, xnet);
	skb_clear_hash_if_not_l4(skb);
	skb_dst_set(skb, path->dst);
	stt_xmit_push_ipv6(skb, path, ttl);
	ip6tunnel_xmit(sk, skb, stt->dev, 0);
}

/* Encapsulate and send; unless it returns a cause, consumes all it is given. */
static int stt_xmit_encap(struct stt_dev *stt, struct sk_buff *skb,
			  struct stt_path *path)
{
	struct net_device *lower = READ_ONCE(path->dst->dev);
	bool v4 = stt_path_is_v4(path);
	unsigned int hlen = (v4 ? sizeof(struct iphdr) :
				  sizeof(struct ipv6hdr)) +
			    sizeof(struct tcphdr);
	unsigned int mtu = dst_mtu(path->dst);
	struct stthdr hdr;
	int err;

	/* A route may say anything; there are receivers that want all of it. */
	if (unlikely(mtu < hlen + STT_HLEN))
		return STT_XSTATS_TX_TOO_LONG;
	err = stt_frame_encode(skb, &hdr);
	if (unlikely(err))
		return err == -ENOMEM ? STT_XSTATS_TX_NO_MEM :
					STT_XSTATS_TX_BAD_INNER;
	if (unlikely(skb->len > STT_FRAME_MAX - STT_HLEN - hlen))
		return STT_XSTATS_TX_TOO_LONG;
	hdr.key = cpu_to_be64(path->key);

	if (skb_cow_head(skb, LL_RESERVED_SPACE(lower) +
			      path->dst->header_len + hlen + STT_HLEN))
		return STT_XSTATS_TX_NO_MEM;
	/* Outer segments end elsewhere than the inner ones in a list. */
	if (skb_has_frag_list(skb) &&
	    (stt_skb_own(skb) || stt_skb_fit_gso(skb)))
		return STT_XSTATS_TX_NO_MEM;

	skb_reset_inner_headers(skb);
	skb->encapsulation = 0;
	memcpy(__skb_push(skb, STT_HLEN), &hdr, STT_HLEN);
	stt_xmit_segment(skb, mtu - hlen, v4);
	stt_xmit_push_tcp(skb, path);
	stt_xmit_ip(stt, skb, path);
	return 0;
}

static int stt_route_cause(int err)
{
	switch (err) {
	case -ELOOP:
		return STT_XSTATS_TX_LOOP;
	case -ENOMEM:
	case -ENOBUFS:
		return STT_XSTATS_TX_NO_MEM;
	default:
		return STT_XSTATS_TX_NO_ROUTE;
	}
}

/* Send a frame on a path that is complete but for its route. */
static void stt_xmit_path(struct stt_dev *stt, struct sk_buff *skb,
			  struct stt_path *path)
{
	bool autolabel;
	int cause, err;

	err = stt_route(stt, path);
	if (unlikely(err)) {
		stt_dev_drop(stt, skb, stt_route_cause(err));
		return;
	}
	if (!stt_path_is_v4(path) && !path->label) {
		/* Most source ports need it, too. With it no flow is needed. */
		skb_get_hash(skb);
		autolabel = ip6_default_np_autolabel(stt->net);
		path->label = ip6_make_flowlabel(stt->net, skb, 0, autolabel,
						 NULL);
	}
	cause = stt_xmit_encap(stt, skb, path);
	if (unlikely(cause)) {
		dst_release(path->dst);
		stt_dev_drop(stt, skb, cause);
	}
}

/**
 * struct stt_flood - argument of stt_xmit_copy()
 * @stt: the device
 * @conf: its configuration
 * @path: what the ways to all destinations have in common
 */
struct stt_flood {
	struct stt_dev		*stt;
	const struct stt_conf	*conf;
	const struct stt_path	*path;
};

static void stt_xmit_copy(struct sk_buff *skb, struct stt_remote *remote,
			  const void *arg)
{
	const struct stt_flood *flood = arg;
	struct stt_path path = *flood->path;

	stt_path_set_remote(flood->conf, remote, &path);
	stt_xmit_path(flood->stt, skb, &path);
}

static void stt_xmit_fdb(struct stt_dev *stt, const struct stt_conf *conf,
			 struct sk_buff *skb, u64 key, struct stt_path *path)
{
	const struct stt_flood flood = {
		.stt = stt,
		.conf = conf,
		.path = path,
	};
	struct stt_remote *remote;

	remote = stt_fdb_find(stt, skb, key, stt_xmit_copy, &flood);
	if (unlikely(!remote)) {
		stt_dev_drop(stt, skb, STT_XSTATS_TX_NO_REMOTE);
		return;
	}
	stt_path_set_remote(conf, remote, path);
	stt_xmit_path(stt, skb, path);
}

static void stt_xmit_external(struct stt_dev *stt, const struct stt_conf *conf,
			      struct sk_buff *skb, struct stt_path *path)
{
	struct ip_tunnel_info *info = skb_tunnel_info(skb);

	if (unlikely(!info || !(info->mode & IP_TUNNEL_INFO_TX))) {
		stt_dev_drop(stt, skb, STT_XSTATS_TX_NO_METADATA);
		return;
	}
	/* A bridge with vlan_tunnel gives the Context ID, the FDB the rest. */
	if (info->mode & IP_TUNNEL_INFO_BRIDGE) {
		if (rcu_access_pointer(stt->fdb))
			stt_xmit_fdb(stt, conf, skb,
				     be64_to_cpu(info->key.tun_id), path);
		else
			stt_dev_drop(stt, skb, STT_XSTATS_TX_NO_REMOTE);
		return;
	}
	if (unlikely(!stt_path_set_metadata(stt, conf, skb, info, path))) {
		stt_dev_drop(stt, skb, STT_XSTATS_TX_NO_METADATA);
		return;
	}
	stt_xmit_path(stt, skb, path);
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

	skb_reset_mac_header(skb);
	if (unlikely(skb_vlan_inet_prepare(skb, false))) {
		stt_dev_drop(stt, skb, STT_XSTATS_TX_BAD_INNER);
		return NETDEV_TX_OK;
	}

	rcu_read_lock();
	/* Who passes by the queues may be late; the port may be gone. */
	if (unlikely(!netif_running(dev))) {
		dev_core_stats_tx_dropped_inc(dev);
		kfree_skb_reason(skb, SKB_DROP_REASON_DEV_READY);
		goto unlock;
	}
	state = rcu_dereference(stt->state);
	stt_path_plan(stt, &state->conf, skb, &path);
	if (state->conf.external) {
		stt_xmit_external(stt, &state->conf, skb, &path);
	} else if (rcu_access_pointer(stt->fdb)) {
		stt_xmit_fdb(stt, &state->conf, skb, state->conf.key, &path);
	} else {
		stt_path_set_remote(&state->conf, &state->remote, &path);
		stt_xmit_path(stt, skb, &path);
	}
unlock:
	rcu_read_unlock();
	return NETDEV_TX_OK;
}

/**
 * stt_fill_metadata_dst() - ndo_fill_metadata_dst
 * @dev: external stt device
 * @skb: packet with metadata for transmission; its source address and ports
 *	are filled in
 *
 * Return: 0 or a negative error if there is no way to send it: -ENETDOWN if
 * the device is down.
 */
int stt_fill_metadata_dst(struct net_device *dev, struct sk_buff *skb)
{
	struct ip_tunnel_info *info = skb_tunnel_info(skb);
	struct stt_dev *stt = netdev_priv(dev);
	const struct stt_conf *conf;
	struct stt_path path = {};
	int err = -ENETDOWN;

	rcu_read_lock();
	/* Its port goes soon after; Open vSwitch may hold on to the device. */
	if (!netif_running(dev))
		goto unlock;
	err = -EINVAL;
	conf = &rcu_dereference(stt->state)->conf;
	path.saddr = conf->local;
	path.oif = conf->link;
	path.mark = conf->fwmark ?: skb->mark;
	path.sport = stt_compat_flow_src_port(stt->net, skb, conf->sport_min,
					      conf->sport_max);
	if (!stt_path_set_metadata(stt, conf, skb, info, &path))
		goto unlock;
	err = stt_route(stt, &path);
	if (err)
		goto unlock;
	dst_release(path.dst);
	if (stt_path_is_v4(&path))
		info->key.u.ipv4.src = stt_addr_v4(&path.saddr);
	else
		info->key.u.ipv6.src = path.saddr;
	info->key.tp_src = path.sport;
	info->key.tp_dst = path.dport;
unlock:
	rcu_read_unlock();
	return err;
}

/**
 * stt_xmit_lower() - the underlay device that frames leave by
 * @stt: the device
 *
 * Context: process, RTNL held.
 * Return: the device, or NULL if there is none or it depends on the frame.
 */
struct net_device *stt_xmit_lower(struct stt_dev *stt)
{
	const struct stt_conf *conf = &rtnl_dereference(stt->state)->conf;
	struct stt_path path = {
		.saddr = conf->local,
		.daddr = conf->remote,
		.dport = conf->port,
		.oif = conf->link,
		.mark = conf->fwmark,
	};
	struct net_device *lower;

	if (conf->link)
		return __dev_get_by_index(stt->net, conf->link);
	if (ipv6_addr_any(&conf->remote) || stt_route(stt, &path))
		return NULL;
	/* With RTNL held it does not go away when the route does. */
	lower = path.dst->dev;
	dst_release(path.dst);
	return lower;
}
