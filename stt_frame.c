// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: frame header <-> offload state of an skb.
 *
 * What the header says of the inner packet is what the kernel knows of an skb:
 * flag P with the L4 offset is CHECKSUM_PARTIAL, the segment size is GSO, flag
 * C is CHECKSUM_UNNECESSARY, the tag field is the accelerated VLAN tag. Both
 * directions read the inner headers by the same function, so that nothing is
 * sent that we would not accept.
 */
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/stt.h>

#include "stt_private.h"

/*
 * Smallest segment size taken from a peer. The draft sets no limit; below
 * this one the headers of what we would send on outweigh its payload.
 */
#define STT_MSS_MIN	32

/**
 * struct stt_l4 - the L4 header of an inner packet that STT can offload
 * @len: bytes from the start of the IP header to the end of the packet
 * @flags: %STT_F_IPV4 and %STT_F_TCP
 * @offset: bytes from the inner Ethernet header to the L4 header
 * @csum_offset: bytes from there to the checksum
 */
struct stt_l4 {
	unsigned int	len;
	u8		flags;
	u8		offset;
	u8		csum_offset;
};

static bool stt_l4_parse_v4(const struct sk_buff *skb, struct stt_l4 *l4,
			    u8 *proto, unsigned int *offset)
{
	const struct iphdr *iph;
	struct iphdr buf;

	iph = skb_header_pointer(skb, ETH_HLEN, sizeof(buf), &buf);
	if (!iph || iph->version != 4 || iph->ihl < 5 || ip_is_fragment(iph))
		return false;
	l4->flags = STT_F_IPV4;
	l4->len = ntohs(iph->tot_len);
	*proto = iph->protocol;
	*offset = ETH_HLEN + iph->ihl * 4;
	return true;
}

static bool stt_l4_parse_v6(const struct sk_buff *skb, struct stt_l4 *l4,
			    u8 *proto, unsigned int *offset)
{
	const struct ipv6hdr *iph;
	struct ipv6hdr buf;
	__be16 frag = 0;
	int skip;

	iph = skb_header_pointer(skb, ETH_HLEN, sizeof(buf), &buf);
	if (!iph || iph->version != 6)
		return false;
	l4->flags = 0;
	l4->len = sizeof(*iph) + ntohs(iph->payload_len);
	*proto = iph->nexthdr;
	*offset = ETH_HLEN + sizeof(*iph);
	if (*proto == IPPROTO_TCP || *proto == IPPROTO_UDP)
		return true;
	skip = ipv6_skip_exthdr(skb, *offset, proto, &frag);
	if (skip < 0 || frag)
		return false;
	*offset = skip;
	return true;
}

/* Find the L4 header of an untagged frame; false if STT has no words for it. */
static bool stt_l4_parse(const struct sk_buff *skb, struct stt_l4 *l4)
{
	unsigned int offset;
	const __be16 *type;
	__be16 buf;
	u8 proto;
	bool ok;

	type = skb_header_pointer(skb, offsetof(struct ethhdr, h_proto),
				  sizeof(buf), &buf);
	if (!type)
		return false;
	if (*type == htons(ETH_P_IP))
		ok = stt_l4_parse_v4(skb, l4, &proto, &offset);
	else if (*type == htons(ETH_P_IPV6))
		ok = stt_l4_parse_v6(skb, l4, &proto, &offset);
	else
		return false;
	if (!ok || offset > STT_L4_OFFSET_MAX)
		return false;

	l4->offset = offset;
	if (proto == IPPROTO_TCP) {
		l4->flags |= STT_F_TCP;
		l4->csum_offset = offsetof(struct tcphdr, check);
	} else if (proto == IPPROTO_UDP) {
		l4->csum_offset = offsetof(struct udphdr, check);
	} else {
		return false;
	}
	return true;
}

/* Not every sender of CWR asks for SKB_GSO_TCP_ECN. */
static bool stt_frame_has_cwr(const struct sk_buff *skb)
{
	const struct tcphdr *th;
	struct tcphdr buf;

	if (!(skb_shinfo(skb)->gso_type & (SKB_GSO_TCPV4 | SKB_GSO_TCPV6)))
		return false;
	th = skb_header_pointer(skb, skb_checksum_start_offset(skb),
				sizeof(buf), &buf);
	return !th || th->cwr;
}

/**
 * stt_frame_fits() - can an skb be sent with its offloads unresolved?
 * @skb: about to be transmitted, with its Ethernet header
 *
 * This is a cheap test of what the core asks for each skb; it rules out what
 * the core must resolve before: any tag but one 802.1Q tag, an L4 header out
 * of reach of the one-byte offset, and CWR, which belongs in the first segment
 * alone (section 3.1.1).
 *
 * Return: false if checksum and segmentation must be done first.
 */
bool stt_frame_fits(struct sk_buff *skb)
{
	unsigned int reach = STT_L4_OFFSET_MAX;

	if (skb_vlan_tag_present(skb)) {
		if (skb->vlan_proto != htons(ETH_P_8021Q) ||
		    eth_type_vlan(skb->protocol))
			return false;
	} else if (eth_type_vlan(skb->protocol)) {
		if (skb->protocol != htons(ETH_P_8021Q) ||
		    skb_vlan_tagged_multi(skb))
			return false;
		/* It leaves the payload, see stt_frame_encode_tag(). */
		reach += VLAN_HLEN;
	}
	if (skb->ip_summed == CHECKSUM_PARTIAL &&
	    skb_checksum_start_offset(skb) > reach)
		return false;
	return !skb_is_gso(skb) || !stt_frame_has_cwr(skb);
}

/* The tag field; moves a lone 802.1Q tag out of the payload. */
static int stt_frame_encode_tag(struct sk_buff *skb, __be16 *tag)
{
	u16 tci;
	int err;

	if (skb_vlan_tag_present(skb)) {
		/* The core has put any other kind of tag into the payload. */
		tci = skb_vlan_tag_get(skb);
		__vlan_hwaccel_clear_tag(skb);
	} else if (eth_hdr(skb)->h_proto == htons(ETH_P_8021Q)) {
		err = __skb_vlan_pop(skb, &tci);
		if (err)
			return err;
	} else {
		*tag = 0;
		return 0;
	}
	*tag = htons((tci & ~VLAN_CFI_MASK) | STT_TAG_VALID);
	return 0;
}

/**
 * stt_frame_encode() - fill in the frame header for an skb
 * @skb: inner Ethernet frame, data and mac header at its start, at least
 *	ETH_HLEN bytes there; its checksum is completed if STT cannot express it
 * @hdr: the header, all but @hdr->key, which is left alone
 *
 * Return: 0; -EINVAL if the skb wants to be segmented in a way that its
 * headers contradict; -ENOMEM.
 */
int stt_frame_encode(struct sk_buff *skb, struct stthdr *hdr)
{
	struct stt_l4 l4;
	int err;

	hdr->version = STT_VERSION;
	hdr->flags = 0;
	hdr->l4_offset = 0;
	hdr->reserved = 0;
	hdr->mss = 0;
	hdr->padding = 0;
	err = stt_frame_encode_tag(skb, &hdr->tag);
	if (err)
		return err;

	if (skb->ip_summed == CHECKSUM_PARTIAL) {
		if (stt_l4_parse(skb, &l4) &&
		    l4.offset == skb_checksum_start_offset(skb) &&
		    l4.csum_offset == skb->csum_offset) {
			hdr->flags = STT_F_CSUM_PARTIAL | l4.flags;
			hdr->l4_offset = l4.offset;
			if (skb_is_gso(skb)) {
				if (!(l4.flags & STT_F_TCP))
					return -EINVAL;
				hdr->mss = htons(skb_shinfo(skb)->gso_size);
			}
			return 0;
		}
		if (skb_is_gso(skb))
			return -EINVAL;
		return skb_checksum_help(skb);
	}
	if (skb_is_gso(skb))
		return -EINVAL;
	if (skb->ip_summed == CHECKSUM_UNNECESSARY)
		hdr->flags = STT_F_CSUM_VERIFIED;
	return 0;
}

/* Turn the segment size into GSO; the lengths must be those of one packet. */
static enum stt_frame_fault stt_frame_decode_gso(struct sk_buff *skb,
						 const struct stt_l4 *l4,
						 unsigned int mss)
{
	unsigned int hlen = l4->offset, payload, type;
	const struct tcphdr *th;
	struct tcphdr buf;

	if (mss < STT_MSS_MIN)
		return STT_FRAME_MSS;
	if (l4->len != skb->len - ETH_HLEN)
		return STT_FRAME_OFFLOAD;
	if (l4->flags & STT_F_TCP) {
		th = skb_header_pointer(skb, l4->offset, sizeof(buf), &buf);
		if (!th || th->doff < 5)
			return STT_FRAME_OFFLOAD;
		hlen += th->doff * 4;
		type = l4->flags & STT_F_IPV4 ? SKB_GSO_TCPV4 : SKB_GSO_TCPV6;
		if (th->cwr)
			type |= SKB_GSO_TCP_ECN;
	} else {
		/* A datagram to be sent on as IP fragments; they count by 8. */
		if (mss % 8)
			return STT_FRAME_MSS;
		hlen += sizeof(struct udphdr);
		type = SKB_GSO_UDP;
	}
	if (skb->len < hlen)
		return STT_FRAME_OFFLOAD;
	payload = skb->len - hlen;
	if (payload <= mss)
		return STT_FRAME_OK;

	/* A clone elsewhere must not become GSO with it, unless it is TCP's. */
	if (skb_header_unclone(skb, GFP_ATOMIC) ||
	    (skb_has_frag_list(skb) && stt_skb_fit_gso(skb)))
		return STT_FRAME_NOMEM;
	skb_shinfo(skb)->gso_size = mss;
	skb_shinfo(skb)->gso_segs = DIV_ROUND_UP(payload, mss);
	/* The stack looks at the headers again before it cuts the packet. */
	skb_shinfo(skb)->gso_type = type | SKB_GSO_DODGY;
	return STT_FRAME_OK;
}

static enum stt_frame_fault stt_frame_decode_partial(struct sk_buff *skb,
						     const struct stthdr *hdr)
{
	const u8 mask = STT_F_IPV4 | STT_F_TCP;
	struct stt_l4 l4;
	unsigned int end;

	if (!stt_l4_parse(skb, &l4) || l4.offset != hdr->l4_offset ||
	    l4.flags != (hdr->flags & mask))
		return STT_FRAME_OFFLOAD;
	end = l4.offset + l4.csum_offset + sizeof(__sum16);
	if (l4.len > skb->len - ETH_HLEN || ETH_HLEN + l4.len < end)
		return STT_FRAME_OFFLOAD;
	/* Bytes behind the packet would be summed with it. */
	if (pskb_trim(skb, ETH_HLEN + l4.len))
		return STT_FRAME_NOMEM;
	/* The checksum must be in the linear part; segments end anywhere. */
	if (!pskb_may_pull(skb, end))
		return STT_FRAME_NOMEM;
	if (!skb_partial_csum_set(skb, l4.offset, l4.csum_offset))
		return STT_FRAME_OFFLOAD;
	if (hdr->mss)
		return stt_frame_decode_gso(skb, &l4, ntohs(hdr->mss));
	return STT_FRAME_OK;
}

/**
 * stt_frame_decode() - give an skb the offload state its frame header tells
 * @skb: inner Ethernet frame, data at its start; exclusively ours; not GSO; its
 *	ip_summed is CHECKSUM_NONE or CHECKSUM_COMPLETE
 * @hdr: the header
 * @policy: what the peer may say
 *
 * Nothing in the header is believed without a look at the packet. Without P
 * the fields that describe an offload are ignored (section 3.1.1).
 *
 * Return: %STT_FRAME_OK, or what is wrong with the frame.
 */
enum stt_frame_fault stt_frame_decode(struct sk_buff *skb,
				      const struct stthdr *hdr,
				      const struct stt_frame_policy *policy)
{
	const u8 both = STT_F_CSUM_VERIFIED | STT_F_CSUM_PARTIAL;
	u16 tag = ntohs(hdr->tag);

	skb->csum_valid = 0;
	if ((hdr->flags & both) == both)
		return STT_FRAME_FLAGS;
	if (tag & STT_TAG_VALID || (policy->vlan_compat && tag))
		__vlan_hwaccel_put_tag(skb, htons(ETH_P_8021Q),
				       tag & ~STT_TAG_VALID);
	if (hdr->flags & STT_F_CSUM_PARTIAL)
		return stt_frame_decode_partial(skb, hdr);
	if (hdr->flags & STT_F_CSUM_VERIFIED && policy->csum_trust) {
		skb->ip_summed = CHECKSUM_UNNECESSARY;
		skb->csum_level = 0;
	}
	return STT_FRAME_OK;
}

#ifdef DEBUG
#include "stt_frame_test.c"
#endif
