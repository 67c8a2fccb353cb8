// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: how segments come to us, and to nobody else.
 *
 * STT has the protocol number of TCP, whose slot in the protocol table is
 * taken. So segments are taken at the very end of the local input hook, after
 * the administrator's rules and before TCP would answer them with a reset. A
 * socket that is bound but neither listens nor connects keeps the port from
 * everyone else, and tells our own segments from others on their way out.
 * Where there are no rules, segments whose way is known come from the first
 * hook instead of the last.
 *
 * There are no connections, so connection tracking could only mistake a
 * segment for an invalid one: both ways, ours are exempt from it.
 */
#include <linux/bitmap.h>
#include <linux/inetdevice.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/net.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/sock.h>
#include <net/stt.h>

#include "stt_private.h"

/* After the raw table, where rules may see all, before connection tracking. */
#define STT_PRI_UNTRACK		(NF_IP_PRI_CONNTRACK - 50)

/*
 * Is there one of our ports in the TCP-like header at @thoff? Pointers to the
 * headers are void afterwards.
 */
static bool stt_port_match(const struct stt_net *sn, struct sk_buff *skb,
			   unsigned int thoff)
{
	const __be16 *ports;

	if (!pskb_may_pull(skb, thoff + 2 * sizeof(*ports)))
		return false;
	ports = (const __be16 *)(skb->data + thoff);
	return test_bit(ntohs(ports[1]), sn->port_map);
}

/*
 * Offset of the upper layer of an IPv6 packet, negative if it cannot be told.
 * Fragments but the first have none. What is authenticated (AH) comes by once
 * more without that header; what has more stations before it is not ours.
 */
static int stt_ipv6_upper(const struct sk_buff *skb, u8 *proto, __be16 *frag)
{
	int flags = IP6_FH_F_SKIP_RH;
	unsigned int offset = 0;

	*proto = ipv6_hdr(skb)->nexthdr;
	*frag = 0;
	if (likely(!ipv6_ext_hdr(*proto)))
		return sizeof(struct ipv6hdr);
	if (ipv6_find_hdr(skb, &offset, NEXTHDR_ROUTING, NULL, &flags) >= 0)
		return -EINVAL;
	offset = 0;
	if (ipv6_find_hdr(skb, &offset, NEXTHDR_AUTH, NULL, NULL) >= 0)
		return -EINVAL;
	return ipv6_skip_exthdr(skb, sizeof(struct ipv6hdr), proto, frag);
}

/* A hook point has none for a moment when the last port is closed. */
static bool stt_hook_is_alone(const struct nf_hook_entries *hooks)
{
	return hooks && hooks->num_hook_entries == 1;
}

/*
 * If no other hook is there on the way in, neither are an administrator's
 * rules nor connection tracking: there is nobody to show a segment to, and
 * nothing to exempt it from.
 */
static bool stt_hooks_are_alone(struct nf_hook_entries __rcu * const *hooks)
{
	return stt_hook_is_alone(rcu_dereference(hooks[NF_INET_PRE_ROUTING])) &&
	       stt_hook_is_alone(rcu_dereference(hooks[NF_INET_LOCAL_IN]));
}

static unsigned int stt_take_v4(struct stt_net *sn, struct sk_buff *skb)
{
	unsigned int thoff = ip_hdrlen(skb);
	u8 proto = ip_hdr(skb)->protocol;

	if (proto == IPPROTO_TCP && stt_port_match(sn, skb, thoff)) {
		if (stt_hooks_are_alone(sn->net->nf.hooks_ipv4))
			stt_early_note_v4(sn, skb);
		stt_recv(sn, skb, thoff, false);
		return NF_STOLEN;
	}
	if (unlikely(proto == IPPROTO_ICMP))
		stt_pmtu_icmp(sn, skb);
	return NF_ACCEPT;
}

static unsigned int stt_take_v6(struct stt_net *sn, struct sk_buff *skb)
{
	__be16 frag;
	int thoff;
	u8 proto;

	thoff = stt_ipv6_upper(skb, &proto, &frag);
	if (thoff < 0)
		return NF_ACCEPT;
	if (proto == IPPROTO_TCP && !(frag & htons(IP6_OFFSET)) &&
	    stt_port_match(sn, skb, thoff)) {
		/*
		 * IPv6 reassembles behind this hook, where TCP would answer.
		 * No endpoint fragments its segments: drop the first piece.
		 */
		if (unlikely(frag & htons(IP6_MF))) {
			stt_net_count(sn, STT_NET_RX_FRAGMENT);
			return NF_DROP;
		}
		if (stt_hooks_are_alone(sn->net->nf.hooks_ipv6))
			stt_early_note_v6(sn, skb);
		stt_recv(sn, skb, thoff, true);
		return NF_STOLEN;
	}
	if (unlikely(proto == IPPROTO_ICMPV6))
		stt_pmtu_icmp6(sn, skb, thoff);
	return NF_ACCEPT;
}

/* It may be a process that gave a packet its verdict (NFQUEUE). */
static unsigned int stt_hook_in(void *priv, struct sk_buff *skb,
				const struct nf_hook_state *state)
{
	unsigned int verdict;

	local_bh_disable();
	verdict = stt_take_v4(priv, skb);
	local_bh_enable();
	return verdict;
}

static unsigned int stt_hook_in6(void *priv, struct sk_buff *skb,
				 const struct nf_hook_state *state)
{
	unsigned int verdict;

	local_bh_disable();
	verdict = stt_take_v6(priv, skb);
	local_bh_enable();
	return verdict;
}

/* As above: the rule that queued it may be gone. */
static unsigned int stt_take_early_v4(struct stt_net *sn, struct sk_buff *skb,
				      unsigned int thoff)
{
	unsigned int verdict = NF_ACCEPT;

	local_bh_disable();
	if (thoff == sizeof(struct iphdr) && stt_early_known_v4(sn, skb)) {
		stt_recv(sn, skb, thoff, false);
		verdict = NF_STOLEN;
	}
	local_bh_enable();
	return verdict;
}

static unsigned int stt_take_early_v6(struct stt_net *sn, struct sk_buff *skb,
				      unsigned int thoff)
{
	unsigned int verdict = NF_ACCEPT;

	local_bh_disable();
	if (thoff == sizeof(struct ipv6hdr) && stt_early_known_v6(sn, skb)) {
		stt_recv(sn, skb, thoff, true);
		verdict = NF_STOLEN;
	}
	local_bh_enable();
	return verdict;
}

/* Segments for other hosts are not ours to take or exempt. */
static unsigned int stt_hook_pre(void *priv, struct sk_buff *skb,
				 const struct nf_hook_state *state)
{
	unsigned int thoff = ip_hdrlen(skb);
	struct net *net = state->net;
	struct stt_net *sn = priv;
	__be32 daddr;

	if (ip_hdr(skb)->protocol != IPPROTO_TCP ||
	    ip_is_fragment(ip_hdr(skb)) || !stt_port_match(sn, skb, thoff))
		return NF_ACCEPT;
	if (stt_hooks_are_alone(net->nf.hooks_ipv4))
		return stt_take_early_v4(sn, skb, thoff);
	daddr = ip_hdr(skb)->daddr;
	if (!skb_get_nfct(skb) &&
	    (ipv4_is_multicast(daddr) ||
	     inet_addr_type_dev_table(net, skb->dev, daddr) == RTN_LOCAL))
		nf_ct_set(skb, NULL, IP_CT_UNTRACKED);
	return NF_ACCEPT;
}

static unsigned int stt_hook_pre6(void *priv, struct sk_buff *skb,
				  const struct nf_hook_state *state)
{
	const struct in6_addr *daddr;
	struct net *net = state->net;
	struct stt_net *sn = priv;
	__be16 frag;
	int thoff;
	u8 proto;

	thoff = stt_ipv6_upper(skb, &proto, &frag);
	if (thoff < 0 || proto != IPPROTO_TCP || frag ||
	    !stt_port_match(sn, skb, thoff))
		return NF_ACCEPT;
	if (stt_hooks_are_alone(net->nf.hooks_ipv6))
		return stt_take_early_v6(sn, skb, thoff);
	daddr = &ipv6_hdr(skb)->daddr;
	if (!skb_get_nfct(skb) &&
	    (ipv6_addr_is_multicast(daddr) ||
	     stt_ipv6_is_own(net, daddr)))
		nf_ct_set(skb, NULL, IP_CT_UNTRACKED);
	return NF_ACCEPT;
}

/* Only the sockets of our ports have their namespace's stt_net for data. */
static unsigned int stt_hook_out(void *priv, struct sk_buff *skb,
				 const struct nf_hook_state *state)
{
	if (state->sk && sk_fullsock(state->sk) &&
	    rcu_access_pointer(__sk_user_data(state->sk)) == priv)
		nf_ct_set(skb, NULL, IP_CT_UNTRACKED);
	return NF_ACCEPT;
}

static const struct nf_hook_ops stt_hooks[] = {
	{
		.hook		= stt_hook_in,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_LOCAL_IN,
		.priority	= INT_MAX,
	}, {
		.hook		= stt_hook_in6,
		.pf		= NFPROTO_IPV6,
		.hooknum	= NF_INET_LOCAL_IN,
		.priority	= INT_MAX,
	}, {
		.hook		= stt_hook_pre,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_PRE_ROUTING,
		.priority	= STT_PRI_UNTRACK,
	}, {
		.hook		= stt_hook_pre6,
		.pf		= NFPROTO_IPV6,
		.hooknum	= NF_INET_PRE_ROUTING,
		.priority	= STT_PRI_UNTRACK,
	}, {
		.hook		= stt_hook_out,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_LOCAL_OUT,
		.priority	= STT_PRI_UNTRACK,
	}, {
		.hook		= stt_hook_out,
		.pf		= NFPROTO_IPV6,
		.hooknum	= NF_INET_LOCAL_OUT,
		.priority	= STT_PRI_UNTRACK,
	},
};

static int stt_hooks_register(struct stt_net *sn)
{
	struct nf_hook_ops *hooks;
	unsigned int i;
	int err;

	hooks = kmemdup(stt_hooks, sizeof(stt_hooks), GFP_KERNEL_ACCOUNT);
	if (!hooks)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(stt_hooks); i++)
		hooks[i].priv = sn;
	err = nf_register_net_hooks(sn->net, hooks, ARRAY_SIZE(stt_hooks));
	if (err) {
		kfree(hooks);
		return err;
	}
	sn->hooks = hooks;
	return 0;
}

static void stt_hooks_unregister(struct stt_net *sn)
{
	nf_unregister_net_hooks(sn->net, sn->hooks, ARRAY_SIZE(stt_hooks));
	/* A packet may still be in a hook, which reads its entry. */
	synchronize_net();
	kfree(sn->hooks);
	sn->hooks = NULL;
}

/* What the first port of a namespace needs; kept until the namespace ends. */
static int stt_port_prepare(struct stt_net *sn)
{
	int err;

	if (sn->port_map)
		return 0;
	err = stt_reasm_init(&sn->reasm);
	if (err)
		return err;
	err = stt_early_init(sn);
	if (err)
		goto err_reasm_exit;
	err = -ENOMEM;
	sn->port_map = bitmap_zalloc(U16_MAX + 1, GFP_KERNEL_ACCOUNT);
	if (!sn->port_map)
		goto err_early_exit;
	return 0;

err_early_exit:
	stt_early_exit(sn);
err_reasm_exit:
	stt_reasm_exit(&sn->reasm);
	return err;
}

/* One socket for both families, or for IPv4 alone where IPv6 is disabled. */
static int stt_port_bind(struct stt_net *sn, __be16 port, struct socket **sock)
{
	struct sockaddr_in6 addr6 = {
		.sin6_family = AF_INET6,
		.sin6_port = port,
	};
	struct sockaddr_in addr4 = {
		.sin_family = AF_INET,
		.sin_port = port,
	};
	int err;

	err = sock_create_kern(sn->net, AF_INET6, SOCK_STREAM, IPPROTO_TCP,
			       sock);
	if (!err) {
		/* Whatever net.ipv6.bindv6only says. */
		(*sock)->sk->sk_ipv6only = false;
		err = stt_compat_bind(*sock, &addr6, sizeof(addr6));
	} else if (err == -EAFNOSUPPORT) {
		err = sock_create_kern(sn->net, AF_INET, SOCK_STREAM,
				       IPPROTO_TCP, sock);
		if (err)
			return err;
		err = stt_compat_bind(*sock, &addr4, sizeof(addr4));
	} else {
		return err;
	}
	if (err) {
		sock_release(*sock);
		return err;
	}
	rcu_assign_sk_user_data((*sock)->sk, sn);
	return 0;
}

static struct stt_port *stt_port_open(struct stt_net *sn, __be16 port,
				      struct netlink_ext_ack *extack)
{
	struct stt_port *p;
	int err;

	err = stt_port_prepare(sn);
	if (err)
		return ERR_PTR(err);
	p = kzalloc(sizeof(*p), GFP_KERNEL_ACCOUNT);
	if (!p)
		return ERR_PTR(-ENOMEM);
	p->port = port;
	err = stt_port_bind(sn, port, &p->sock);
	if (err == -EADDRINUSE)
		NL_SET_ERR_MSG(extack,
			       "TCP destination port is taken by another socket");
	if (err)
		goto err_free;
	err = xa_insert(&sn->ports, ntohs(port), p, GFP_KERNEL_ACCOUNT);
	if (err)
		goto err_release;
	if (!sn->hooks) {
		err = stt_hooks_register(sn);
		if (err)
			goto err_erase;
	}
	set_bit(ntohs(port), sn->port_map);
	return p;

err_erase:
	xa_erase(&sn->ports, ntohs(port));
err_release:
	sock_release(p->sock);
err_free:
	kfree(p);
	return ERR_PTR(err);
}

/**
 * stt_port_get() - receive segments for a port, and keep others off it
 * @sn: namespace
 * @port: TCP port
 * @extack: told if the port is taken
 *
 * Context: process, RTNL held.
 * Return: the port, to be given back by stt_port_put(), or ERR_PTR():
 * -EADDRINUSE if another socket is bound to it, -ENOMEM.
 */
struct stt_port *stt_port_get(struct stt_net *sn, __be16 port,
			      struct netlink_ext_ack *extack)
{
	struct stt_port *p;

	ASSERT_RTNL();

	p = xa_load(&sn->ports, ntohs(port));
	if (!p) {
		p = stt_port_open(sn, port, extack);
		if (IS_ERR(p))
			return p;
	}
	p->users++;
	return p;
}

/**
 * stt_port_put() - give back a port; the last user closes it
 * @sn: namespace
 * @p: the port; nothing is being sent through it any more
 *
 * Context: process, RTNL held.
 */
void stt_port_put(struct stt_net *sn, struct stt_port *p)
{
	ASSERT_RTNL();

	if (--p->users)
		return;
	clear_bit(ntohs(p->port), sn->port_map);
	xa_erase(&sn->ports, ntohs(p->port));
	if (xa_empty(&sn->ports))
		stt_hooks_unregister(sn);
	sock_release(p->sock);
	kfree(p);
}
