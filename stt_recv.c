// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: from a received segment to a device.
 */
#include <linux/etherdevice.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <net/dsfield.h>
#include <net/inet_ecn.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>
#include <net/ip_tunnels.h>
#include <net/stt.h>
#include <net/xfrm.h>

#include "stt_private.h"

static void stt_net_drop(struct stt_net *sn, struct sk_buff *skb,
			 enum stt_net_counter cause,
			 enum skb_drop_reason reason)
{
	stt_net_count(sn, cause);
	kfree_skb_reason(skb, reason);
}

static void stt_segment_addrs_v4(const struct sk_buff *skb,
				 struct stt_segment *seg)
{
	const struct iphdr *iph = ip_hdr(skb);

	ipv6_addr_set_v4mapped(iph->saddr, &seg->frame.saddr);
	ipv6_addr_set_v4mapped(iph->daddr, &seg->frame.daddr);
	seg->domain = netif_is_l3_master(skb->dev) ? skb->dev->ifindex : 0;
	seg->frame.scope = seg->domain;
	seg->dsfield = iph->tos;
	seg->ttl = iph->ttl;
	seg->label = 0;
	seg->ifindex = 0;
}

static void stt_segment_addrs_v6(const struct sk_buff *skb,
				 struct stt_segment *seg)
{
	const struct ipv6hdr *iph = ipv6_hdr(skb);

	seg->frame.saddr = iph->saddr;
	seg->frame.daddr = iph->daddr;
	seg->dsfield = ipv6_get_dsfield(iph);
	seg->label = ip6_flowlabel(iph);
	seg->ttl = iph->hop_limit;
	if (unlikely(ipv6_addr_type(&iph->saddr) & IPV6_ADDR_LINKLOCAL)) {
		/* A VRF leaves the device of these as it is. */
		seg->ifindex = inet6_iif(skb);
		seg->domain = l3mdev_master_ifindex_rcu(skb->dev);
		seg->frame.scope = seg->ifindex;
	} else {
		seg->ifindex = 0;
		seg->domain = netif_is_l3_master(skb->dev) ?
			      skb->dev->ifindex : 0;
		seg->frame.scope = seg->domain;
	}
}

static bool stt_policy_ok(struct sk_buff *skb, bool v6)
{
	return v6 ? xfrm6_policy_check(NULL, XFRM_POLICY_IN, skb) :
		    xfrm4_policy_check(NULL, XFRM_POLICY_IN, skb);
}

static bool stt_csum_bad(struct sk_buff *skb, bool v6)
{
	return v6 ? skb_checksum_validate(skb, IPPROTO_TCP,
					  ip6_compute_pseudo) :
		    skb_checksum_validate(skb, IPPROTO_TCP,
					  inet_compute_pseudo);
}

/*
 * Check a segment and strip it to its payload. TCP flags, window and urgent
 * pointer mean nothing here (section 3.2).
 */
static bool stt_segment_pull(struct stt_net *sn, struct sk_buff *skb,
			     unsigned int thoff, bool v6,
			     struct stt_segment *seg)
{
	enum skb_drop_reason reason = SKB_DROP_REASON_NOT_SPECIFIED;
	enum stt_net_counter cause;
	const struct tcphdr *th;

	cause = STT_NET_RX_POLICY;
	reason = SKB_DROP_REASON_XFRM_POLICY;
	if (!stt_policy_ok(skb, v6))
		goto drop;

	cause = STT_NET_RX_BAD_HEADER;
	reason = SKB_DROP_REASON_HDR_TRUNC;
	if (!pskb_may_pull(skb, thoff + sizeof(*th)))
		goto drop;
	__skb_pull(skb, thoff);
	skb_reset_transport_header(skb);
	th = tcp_hdr(skb);
	if (th->doff < sizeof(*th) / 4 || !pskb_may_pull(skb, th->doff * 4))
		goto drop;

	cause = STT_NET_RX_BAD_CSUM;
	reason = SKB_DROP_REASON_TCP_CSUM;
	if (stt_csum_bad(skb, v6))
		goto drop;

	th = tcp_hdr(skb);
	seg->frame.id = th->ack_seq;
	seg->frame.sport = th->source;
	seg->frame.dport = th->dest;
	seg->total = stt_seq_len(th->seq);
	seg->offset = stt_seq_offset(th->seq);
	if (v6)
		stt_segment_addrs_v6(skb, seg);
	else
		stt_segment_addrs_v4(skb, seg);
	skb_pull_rcsum(skb, th->doff * 4);

	cause = STT_NET_RX_EMPTY;
	reason = SKB_DROP_REASON_PKT_TOO_SMALL;
	if (!skb->len)
		goto drop;
	cause = STT_NET_RX_BAD_LENGTH;
	if (seg->total < STT_HLEN + ETH_HLEN ||
	    seg->offset + skb->len > seg->total)
		goto drop;
	return true;

drop:
	stt_net_drop(sn, skb, cause, reason);
	return false;
}

static struct sk_buff *stt_recv_reassemble(struct stt_net *sn,
					   struct sk_buff *skb,
					   struct stt_segment *seg)
{
	static const enum stt_net_counter counter[] = {
		[STT_REASM_DUPLICATE] = STT_NET_RX_DUPLICATE,
		[STT_REASM_OVERLAP] = STT_NET_RX_OVERLAP,
		[STT_REASM_LENGTH] = STT_NET_RX_LENGTH_MISMATCH,
		[STT_REASM_BUDGET] = STT_NET_RX_NO_BUDGET,
		[STT_REASM_NOMEM] = STT_NET_RX_NO_MEM,
	};
	enum stt_reasm_verdict verdict;

	/* It may wait: it must not hold on to a route, device or connection. */
	skb_dst_drop(skb);
	nf_reset_ct(skb);
	skb_ext_reset(skb);
	skb_orphan(skb);
	skb->dev = NULL;
	skb->ip_summed = CHECKSUM_NONE;

	skb = stt_reasm_add(&sn->reasm, skb, seg, &verdict);
	if (!skb && verdict != STT_REASM_HELD)
		stt_net_count(sn, counter[verdict]);
	return skb;
}

/* IPv4 has a checksum in its header that changes the other way. */
static void stt_recv_set_dscp_v6(struct sk_buff *skb, u8 outer)
{
	struct ipv6hdr *iph = ipv6_hdr(skb);
	__be16 old = *(__be16 *)iph, new;

	ipv6_change_dsfield(iph, INET_ECN_MASK, outer & ~INET_ECN_MASK);
	new = *(__be16 *)iph;
	if (skb->ip_summed == CHECKSUM_COMPLETE)
		skb->csum = csum_add(csum_sub(skb->csum, (__force __wsum)old),
				     (__force __wsum)new);
}

/*
 * Give the inner packet the congestion mark of the outer ones (RFC 6040), and
 * the DSCP if so configured (RFC 2983). Not zero, a cause, to drop it.
 */
static int stt_recv_dsfield(struct sk_buff *skb, u8 outer, bool dscp)
{
	/* Nothing else writes; a whole frame may be shared, as by a bridge. */
	bool write = dscp || INET_ECN_is_ce(outer) ||
		     (outer & INET_ECN_MASK) == INET_ECN_ECT_1;
	u8 inner;

	switch (skb->protocol) {
	case htons(ETH_P_IP):
		if (!pskb_may_pull(skb, sizeof(struct iphdr)))
			return 0;
		if (write && skb_ensure_writable(skb, sizeof(struct iphdr)))
			return STT_XSTATS_RX_NO_MEM;
		skb_reset_network_header(skb);
		if (dscp)
			ipv4_change_dsfield(ip_hdr(skb), INET_ECN_MASK,
					    outer & ~INET_ECN_MASK);
		inner = ip_hdr(skb)->tos;
		break;
	case htons(ETH_P_IPV6):
		if (!pskb_may_pull(skb, sizeof(struct ipv6hdr)))
			return 0;
		if (write && skb_ensure_writable(skb, sizeof(struct ipv6hdr)))
			return STT_XSTATS_RX_NO_MEM;
		skb_reset_network_header(skb);
		if (dscp)
			stt_recv_set_dscp_v6(skb, outer);
		inner = ipv6_get_dsfield(ipv6_hdr(skb));
		break;
	default:
		return 0;
	}
	return INET_ECN_decapsulate(skb, outer, inner) <= 1 ?
	       0 : STT_XSTATS_RX_ECN;
}

/* Context ID as the users of an external device with a keybase see it. */
static __be64 stt_recv_visible_key(const struct stt_conf *conf, __be64 key)
{
	return conf->keybase ? key & cpu_to_be64(U32_MAX) : key;
}

static int stt_fault_cause(enum stt_frame_fault fault)
{
	switch (fault) {
	case STT_FRAME_FLAGS:
		return STT_XSTATS_RX_BAD_FLAGS;
	case STT_FRAME_OFFLOAD:
		return STT_XSTATS_RX_BAD_OFFLOAD;
	case STT_FRAME_MSS:
		return STT_XSTATS_RX_BAD_MSS;
	case STT_FRAME_NOMEM:
		return STT_XSTATS_RX_NO_MEM;
	default:
		return STT_XSTATS_RX_SHORT;
	}
}

/* Packets that GRO passes on without a look at their L4 header. */
static bool stt_recv_beyond_gro(const struct sk_buff *skb)
{
	return skb_cloned(skb) || netif_elide_gro(skb->dev) ||
	       (skb->protocol == htons(ETH_P_IP) &&
		skb_headlen(skb) >= sizeof(struct iphdr) &&
		ip_hdr(skb)->ihl != sizeof(struct iphdr) / 4);
}

/*
 * Forwarding wants to know where the L4 header of a GSO packet is. Since 7.3
 * ("net: clear transport header during tunnel decapsulation") gro_cells forget
 * what stt_frame_decode() has found, and only GRO finds it again.
 */
static void stt_recv_up(struct stt_dev *stt, struct sk_buff *skb)
{
	if (stt_recv_beyond_gro(skb))
		netif_rx(skb);
	else
		gro_cells_receive(&stt->cells, skb);
}

/* Decapsulate a whole frame and hand it to its device. */
static void stt_recv_deliver(struct stt_dev *stt, struct sk_buff *skb,
			     const struct stthdr *hdr,
			     const struct stt_segment *seg)
{
	const struct stt_conf *conf = &rcu_dereference(stt->state)->conf;
	struct net_device *dev = stt->dev;
	enum stt_frame_fault fault;
	__be64 key;
	int cause;

	cause = STT_XSTATS_RX_DOWN;
	if (unlikely(!(READ_ONCE(dev->flags) & IFF_UP)))
		goto drop;

	/*
	 * The segmentation was that of the underlay. While there is one, the
	 * head of a clone gets copied with the next step; but who sent a clone
	 * and left its header to us, as TCP does, does not look at it either.
	 */
	cause = STT_XSTATS_RX_NO_MEM;
	if (skb_is_gso(skb)) {
		if (skb_header_unclone(skb, GFP_ATOMIC))
			goto drop;
		skb_gso_reset(skb);
	}

	/* Pulls the header, and scrubs what belongs to the underlay. */
	cause = STT_XSTATS_RX_SHORT;
	if (iptunnel_pull_header(skb, STT_HLEN, htons(ETH_P_TEB),
				 !net_eq(stt->net, dev_net(dev))))
		goto drop;
	if (skb->ip_summed != CHECKSUM_COMPLETE)
		skb->ip_summed = CHECKSUM_NONE;

	/* The list may be a tap's too; GSO will want to change it. */
	cause = STT_XSTATS_RX_NO_MEM;
	if (skb_has_frag_list(skb) && stt_skb_own(skb))
		goto drop;
	fault = stt_frame_decode(skb, hdr, &conf->policy);
	if (unlikely(fault != STT_FRAME_OK)) {
		cause = stt_fault_cause(fault);
		goto drop;
	}

	skb_reset_mac_header(skb);
	skb->protocol = eth_type_trans(skb, dev);
	skb_postpull_rcsum(skb, eth_hdr(skb), ETH_HLEN);
	skb_reset_network_header(skb);

	cause = STT_XSTATS_RX_BAD_MAC;
	if (unlikely(!is_valid_ether_addr(eth_hdr(skb)->h_source) ||
		     ether_addr_equal(eth_hdr(skb)->h_source, dev->dev_addr)))
		goto drop;
	cause = stt_recv_dsfield(skb, seg->dsfield, conf->dscp_copy);
	if (unlikely(cause))
		goto drop;
	cause = STT_XSTATS_RX_NO_MEM;
	key = stt_recv_visible_key(conf, hdr->key);
	if (conf->external && stt_metadata_set(skb, key, hdr->key, seg))
		goto drop;
	if (conf->learning)
		stt_fdb_learn(stt, conf, eth_hdr(skb)->h_source,
			      be64_to_cpu(key), &seg->frame.saddr,
			      seg->ifindex);

	dev_sw_netstats_rx_add(dev, skb->len);
	stt_recv_up(stt, skb);
	return;

drop:
	stt_dev_drop(stt, skb, cause);
}

/**
 * stt_recv() - take a segment that is addressed to one of our ports
 * @sn: namespace it arrived in
 * @skb: the segment, data at the outer IP header; may be several segments that
 *	GRO, LRO or a virtual link left in one piece; consumed
 * @thoff: offset of the TCP-like header
 * @v6: the outer header is IPv6
 *
 * Nothing is ever sent in answer.
 *
 * Context: softirq, RCU read lock held.
 */
void stt_recv(struct stt_net *sn, struct sk_buff *skb, unsigned int thoff,
	      bool v6)
{
	struct stt_segment seg;
	struct stt_dev *stt;
	struct stthdr hdr;

	stt_net_count(sn, STT_NET_RX_SEGMENTS);
	if (!stt_segment_pull(sn, skb, thoff, v6, &seg))
		return;

	if (skb->len == seg.total) {
		/* GRO has done the work: the table is not involved. */
		stt_net_count(sn, STT_NET_RX_WHOLE);
	} else {
		skb = stt_recv_reassemble(sn, skb, &seg);
		if (!skb)
			return;
		stt_net_count(sn, STT_NET_RX_REASSEMBLED);
	}

	if (!pskb_may_pull(skb, sizeof(hdr))) {
		stt_net_drop(sn, skb, STT_NET_RX_NO_MEM, SKB_DROP_REASON_NOMEM);
		return;
	}
	/* The head may move later on. */
	memcpy(&hdr, skb->data, sizeof(hdr));
	if (hdr.version != STT_VERSION) {
		stt_net_drop(sn, skb, STT_NET_RX_BAD_VERSION,
			     SKB_DROP_REASON_NOT_SPECIFIED);
		return;
	}
	if (unlikely(stt_group_is_own(sn, &seg.frame))) {
		consume_skb(skb);
		return;
	}
	stt = stt_tunnel_find(sn, be64_to_cpu(hdr.key), &seg);
	if (!stt) {
		stt_net_drop(sn, skb, STT_NET_RX_UNKNOWN_ID,
			     SKB_DROP_REASON_NOT_SPECIFIED);
		return;
	}
	stt_recv_deliver(stt, skb, &hdr, &seg);
}
