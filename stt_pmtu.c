// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: path MTU.
 *
 * TCP learns the path MTU through the socket that an ICMP error quotes. Our
 * segments have none, so we listen for such errors ourselves, and enter in the
 * routing tables what is told about a path that one of our tunnels uses. The
 * next frame is then cut accordingly.
 *
 * That a host, network or port cannot be reached is counted.
 */
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/route.h>
#include <net/stt.h>

#include "stt_private.h"

/*
 * Does the quoted segment look like one of ours that was too long? The ends
 * must be those of a tunnel, SEQ must make sense, and a packet that was not
 * longer than @mtu cannot have been refused for its length.
 */
static bool stt_pmtu_is_ours(struct stt_net *sn, const struct in6_addr *saddr,
			     const struct in6_addr *daddr,
			     const struct sk_buff *skb, unsigned int thoff,
			     unsigned int len, u32 mtu)
{
	const struct {
		__be16 source;
		__be16 dest;
		__be32 seq;
	} *th;
	u8 buf[sizeof(*th)] __aligned(4);

	/* Routers need to quote no more than these eight bytes. */
	th = skb_header_pointer(skb, thoff, sizeof(*th), buf);
	if (!th || !test_bit(ntohs(th->dest), sn->port_map))
		return false;
	if (stt_seq_offset(th->seq) >= stt_seq_len(th->seq) || mtu >= len)
		return false;
	return stt_addr_is_own(sn->net, saddr) && stt_peer_known(sn, daddr);
}

static int stt_pmtu_oif(const struct sk_buff *skb)
{
	return netif_is_l3_master(skb->dev) ? skb->dev->ifindex : 0;
}

/**
 * stt_pmtu_icmp() - look whether an ICMP error is about the size of a segment
 * @sn: namespace it arrived in
 * @skb: ICMP packet, data at its IP header; left as it was
 */
void stt_pmtu_icmp(struct stt_net *sn, struct sk_buff *skb)
{
	unsigned int icmp = ip_hdrlen(skb);
	unsigned int quote = icmp + sizeof(struct icmphdr);
	const struct icmphdr *ih;
	const struct iphdr *iph;
	struct icmphdr ihbuf;
	struct in6_addr saddr, daddr;
	bool too_long;
	u32 mtu;

	ih = skb_header_pointer(skb, icmp, sizeof(ihbuf), &ihbuf);
	if (!ih || ih->type != ICMP_DEST_UNREACH)
		return;
	too_long = ih->code == ICMP_FRAG_NEEDED;
	mtu = too_long ? ntohs(ih->un.frag.mtu) : 0;
	if (!pskb_may_pull(skb, quote + sizeof(*iph)))
		return;
	iph = (const struct iphdr *)(skb->data + quote);
	if (iph->protocol != IPPROTO_TCP || iph->ihl < 5 ||
	    iph->frag_off & htons(IP_OFFSET))
		return;
	ipv6_addr_set_v4mapped(iph->daddr, &daddr);
	ipv6_addr_set_v4mapped(iph->saddr, &saddr);
	if (!stt_pmtu_is_ours(sn, &saddr, &daddr, skb, quote + iph->ihl * 4,
			      ntohs(iph->tot_len), mtu))
		return;
	if (!too_long) {
		stt_net_count(sn, STT_NET_TX_UNREACHABLE);
		return;
	}
	if (!mtu || nf_ip_checksum(skb, NF_INET_LOCAL_IN, icmp, IPPROTO_ICMP)) {
		stt_net_count(sn, STT_NET_PMTU_REJECTED);
		return;
	}

	stt_net_count(sn, STT_NET_PMTU_LEARNED);
	__skb_pull(skb, quote);
	ipv4_update_pmtu(skb, sn->net, mtu, stt_pmtu_oif(skb), IPPROTO_TCP);
	__skb_push(skb, quote);
}

/**
 * stt_pmtu_icmp6() - look whether an ICMPv6 error is about a segment's size
 * @sn: namespace it arrived in
 * @skb: ICMPv6 packet, data at its IPv6 header; left as it was
 * @icmp: offset of the ICMPv6 header
 */
void stt_pmtu_icmp6(struct stt_net *sn, struct sk_buff *skb, unsigned int icmp)
{
	unsigned int quote = icmp + sizeof(struct icmp6hdr);
	const struct icmp6hdr *ih;
	const struct ipv6hdr *iph;
	struct icmp6hdr ihbuf;
	bool too_long;
	u32 mtu;

	if (!ipv6_mod_enabled())
		return;
	ih = skb_header_pointer(skb, icmp, sizeof(ihbuf), &ihbuf);
	if (!ih || (ih->icmp6_type != ICMPV6_PKT_TOOBIG &&
		    ih->icmp6_type != ICMPV6_DEST_UNREACH))
		return;
	too_long = ih->icmp6_type == ICMPV6_PKT_TOOBIG;
	mtu = too_long ? ntohl(ih->icmp6_mtu) : 0;
	if (!pskb_may_pull(skb, quote + sizeof(*iph)))
		return;
	iph = (const struct ipv6hdr *)(skb->data + quote);
	if (iph->nexthdr != IPPROTO_TCP)
		return;
	if (!stt_pmtu_is_ours(sn, &iph->saddr, &iph->daddr, skb,
			      quote + sizeof(*iph),
			      sizeof(*iph) + ntohs(iph->payload_len), mtu))
		return;
	if (!too_long) {
		stt_net_count(sn, STT_NET_TX_UNREACHABLE);
		return;
	}
	if (nf_ip6_checksum(skb, NF_INET_LOCAL_IN, icmp, IPPROTO_ICMPV6)) {
		stt_net_count(sn, STT_NET_PMTU_REJECTED);
		return;
	}

	stt_net_count(sn, STT_NET_PMTU_LEARNED);
	__skb_pull(skb, quote);
	ip6_update_pmtu(skb, sn->net, htonl(mtu), stt_pmtu_oif(skb), 0,
			sock_net_uid(sn->net, NULL));
	__skb_push(skb, quote);
}
