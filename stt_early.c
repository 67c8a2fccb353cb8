// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: early demultiplexing.
 *
 * Where no rule of an administrator looks at a packet on its way in, the only
 * question that the stack answers for us is whether it is for this host and
 * may come from where it says. The answer is the same for all segments from
 * one host to another, until routes or addresses change. TCP asks it once for
 * a connection (ip_early_demux); we ask once a second for a pair of addresses.
 *
 * Nothing is held on to: a note is an answer and the generation of the routes
 * that it was given by. No dst is pinned, and a note need not be taken back.
 */
#include <linux/hash.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/jiffies.h>
#include <linux/local_lock.h>
#include <net/dst.h>
#include <net/inet_ecn.h>
#include <net/ip.h>
#include <net/ip6_fib.h>
#include <net/ip_fib.h>
#include <net/ipv6.h>
#include <net/route.h>

#include "stt_private.h"

/*
 * A hypervisor hears few others within a second on one CPU; where it hears
 * many, notes displace each other, and nothing is lost but the short way.
 */
#define STT_EARLY_BITS	5

/* What does not change the generation is noticed after this time. */
#define STT_EARLY_LIFE	HZ

/**
 * struct stt_early_note - a pair of addresses whose segments are ours
 * @saddr: outer source
 * @daddr: outer destination
 * @when: jiffies when the stack was asked
 * @ifindex: link they come in by; 0 if the note is empty
 * @genid: generation of the routes
 * @dscp: of the outer header, ECN cleared: routes may depend on it
 */
struct stt_early_note {
	struct in6_addr	saddr;
	struct in6_addr	daddr;
	unsigned long	when;
	int		ifindex;
	int		genid;
	u8		dscp;
};

/**
 * struct stt_early - the notes of a CPU
 * @bh_lock: held while a note is read or written
 * @note: by hash of the addresses
 */
struct stt_early {
	local_lock_t		bh_lock;
	struct stt_early_note	note[1 << STT_EARLY_BITS];
};

/**
 * stt_early_init() - prepare early demultiplexing in a namespace
 * @sn: the namespace
 *
 * Return: 0 or -ENOMEM.
 */
int stt_early_init(struct stt_net *sn)
{
	int cpu;

	sn->early = alloc_percpu_gfp(struct stt_early,
				     GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!sn->early)
		return -ENOMEM;
	for_each_possible_cpu(cpu)
		local_lock_init(&per_cpu_ptr(sn->early, cpu)->bh_lock);
	return 0;
}

/**
 * stt_early_exit() - free what stt_early_init() made, if it ran
 * @sn: the namespace
 */
void stt_early_exit(struct stt_net *sn)
{
	free_percpu(sn->early);
	sn->early = NULL;
}

static struct stt_early_note *stt_early_slot(struct stt_net *sn, u32 saddr,
					     u32 daddr)
{
	return &this_cpu_ptr(sn->early)->note[hash_32(saddr ^ (daddr << 1),
						      STT_EARLY_BITS)];
}

static struct stt_early_note *stt_early_slot_v4(struct stt_net *sn,
						const struct iphdr *iph)
{
	return stt_early_slot(sn, (__force u32)iph->saddr,
			      (__force u32)iph->daddr);
}

static struct stt_early_note *stt_early_slot_v6(struct stt_net *sn,
						const struct ipv6hdr *iph)
{
	return stt_early_slot(sn, ipv6_addr_hash(&iph->saddr),
			      ipv6_addr_hash(&iph->daddr));
}

static bool stt_early_note_is(const struct stt_early_note *note,
			      const struct sk_buff *skb, int genid, u8 dsfield)
{
	return note->ifindex == skb->dev->ifindex && note->genid == genid &&
	       note->dscp == (dsfield & ~INET_ECN_MASK) &&
	       time_before(jiffies, note->when + STT_EARLY_LIFE);
}

static void stt_early_note_set(struct stt_early_note *note,
			       const struct sk_buff *skb, int genid,
			       u8 dsfield)
{
	note->ifindex = skb->dev->ifindex;
	note->genid = genid;
	note->dscp = dsfield & ~INET_ECN_MASK;
	note->when = jiffies;
}

/* Did the stack do no more for this packet than find that it is ours? */
static bool stt_early_is_plain(struct net *net, const struct sk_buff *skb)
{
	const struct dst_entry *dst = skb_dst(skb);

#ifdef CONFIG_IP_ROUTE_CLASSID
	if (dst->tclassid)
		return false;
#endif
	return READ_ONCE(net->ipv4.sysctl_ip_early_demux) &&
	       skb->pkt_type == PACKET_HOST && !dst->lwtstate &&
	       !(dst->flags & DST_NOPOLICY);
}

/**
 * stt_early_note_v4() - note the way of a segment that the stack found ours
 * @sn: namespace
 * @skb: the segment, at the local input hook
 *
 * Rules may look at anything, so there are no notes where there are rules.
 *
 * Context: bottom halves disabled, RCU read lock held.
 */
void stt_early_note_v4(struct stt_net *sn, const struct sk_buff *skb)
{
	const struct rtable *rt = skb_rtable(skb);
	const struct iphdr *iph = ip_hdr(skb);
	struct stt_early_note *note;

	if (!rt_is_input_route(rt) || rt->rt_type != RTN_LOCAL ||
	    IPCB(skb)->flags & IPSKB_NOPOLICY ||
	    fib4_has_custom_rules(sn->net) ||
	    !stt_early_is_plain(sn->net, skb))
		return;
	local_lock_nested_bh(&sn->early->bh_lock);
	note = stt_early_slot_v4(sn, iph);
	ipv6_addr_set_v4mapped(iph->saddr, &note->saddr);
	ipv6_addr_set_v4mapped(iph->daddr, &note->daddr);
	stt_early_note_set(note, skb, rt_genid_ipv4(sn->net), iph->tos);
	local_unlock_nested_bh(&sn->early->bh_lock);
}

/* Without IPv6 nothing asks. */
static int stt_early_genid_v6(const struct net *net)
{
#if IS_ENABLED(CONFIG_IPV6)
	return rt_genid_ipv6(net);
#else
	return 0;
#endif
}

/**
 * stt_early_note_v6() - note the way of a segment that the stack found ours
 * @sn: namespace
 * @skb: the segment, at the local input hook
 *
 * Context: bottom halves disabled, RCU read lock held.
 */
void stt_early_note_v6(struct stt_net *sn, const struct sk_buff *skb)
{
	const struct ipv6hdr *iph = ipv6_hdr(skb);
	struct stt_early_note *note;

	if (ipv6_addr_is_multicast(&iph->daddr) ||
	    fib6_has_custom_rules(sn->net) ||
	    !stt_early_is_plain(sn->net, skb))
		return;
	local_lock_nested_bh(&sn->early->bh_lock);
	note = stt_early_slot_v6(sn, iph);
	note->saddr = iph->saddr;
	note->daddr = iph->daddr;
	stt_early_note_set(note, skb, stt_early_genid_v6(sn->net),
			   ipv6_get_dsfield(iph));
	local_unlock_nested_bh(&sn->early->bh_lock);
}

/**
 * stt_early_known_v4() - is the stack known to find a segment ours?
 * @sn: namespace
 * @skb: the segment, before routing
 *
 * Context: bottom halves disabled, RCU read lock held.
 * Return: whether it is.
 */
bool stt_early_known_v4(struct stt_net *sn, const struct sk_buff *skb)
{
	const struct iphdr *iph = ip_hdr(skb);
	const struct stt_early_note *note;
	bool known;

	local_lock_nested_bh(&sn->early->bh_lock);
	note = stt_early_slot_v4(sn, iph);
	known = note->saddr.s6_addr32[3] == iph->saddr &&
		note->daddr.s6_addr32[3] == iph->daddr &&
		stt_addr_is_v4(&note->saddr) && stt_addr_is_v4(&note->daddr) &&
		skb->pkt_type == PACKET_HOST && !skb_dst(skb) &&
		stt_early_note_is(note, skb, rt_genid_ipv4(sn->net), iph->tos);
	local_unlock_nested_bh(&sn->early->bh_lock);
	return known;
}

/**
 * stt_early_known_v6() - is the stack known to find a segment ours?
 * @sn: namespace
 * @skb: the segment, before routing
 *
 * Context: bottom halves disabled, RCU read lock held.
 * Return: whether it is.
 */
bool stt_early_known_v6(struct stt_net *sn, const struct sk_buff *skb)
{
	const struct ipv6hdr *iph = ipv6_hdr(skb);
	const struct stt_early_note *note;
	bool known;

	local_lock_nested_bh(&sn->early->bh_lock);
	note = stt_early_slot_v6(sn, iph);
	known = ipv6_addr_equal(&note->saddr, &iph->saddr) &&
		ipv6_addr_equal(&note->daddr, &iph->daddr) &&
		skb->pkt_type == PACKET_HOST && !skb_dst(skb) &&
		stt_early_note_is(note, skb, stt_early_genid_v6(sn->net),
				  ipv6_get_dsfield(iph));
	local_unlock_nested_bh(&sn->early->bh_lock);
	return known;
}
