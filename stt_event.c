// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: devices and FDB entries as messages of
 * netlink, and the events that are made of them.
 *
 * Events go to the namespace of the device. They are made only if someone
 * listens, and lost rather than waited for if there is no memory.
 */
#include <linux/neighbour.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/stt_genl.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>
#include <net/rtnetlink.h>

#include "stt_private.h"

/* The only multicast group. */
#define STT_EVENT_GROUP	0

static size_t stt_event_fdb_size(void)
{
	return nla_total_size(sizeof(u32)) +			/* IFINDEX */
	       nla_total_size(IFNAMSIZ) +			/* IFNAME */
	       nla_total_size(ETH_ALEN) +			/* LLADDR */
	       nla_total_size_64bit(sizeof(u64)) +		/* SRC_KEY */
	       nla_total_size_64bit(sizeof(u64)) +		/* KEY */
	       nla_total_size(sizeof(struct in6_addr)) +	/* DST6 */
	       nla_total_size(sizeof(__be16)) +			/* PORT */
	       nla_total_size(sizeof(u32)) +			/* LINK */
	       nla_total_size(sizeof(u16)) +			/* STATE */
	       nla_total_size(sizeof(u8)) +			/* FLAGS */
	       nla_total_size_64bit(sizeof(u64)) +		/* USED */
	       nla_total_size_64bit(sizeof(u64)) +		/* UPDATED */
	       nla_total_size(sizeof(struct in6_addr));		/* OLD_DST6 */
}

static int stt_event_put_addr(struct sk_buff *skb, int v4, int v6,
			      const struct in6_addr *addr)
{
	if (stt_addr_is_v4(addr))
		return nla_put_in_addr(skb, v4, stt_addr_v4(addr));
	return nla_put_in6_addr(skb, v6, addr);
}

static int stt_event_put_xstats(struct sk_buff *skb, const struct stt_dev *stt)
{
	struct nlattr *nest;
	int i;

	nest = nla_nest_start(skb, STT_DEV_A_XSTATS);
	if (!nest)
		return -EMSGSIZE;
	for (i = 1; i <= STT_XSTATS_MAX; i++)
		if (nla_put_u64_64bit(skb, i, atomic_long_read(&stt->drops[i]),
				      STT_XSTATS_PAD))
			return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int stt_event_put_stats64(struct sk_buff *skb, struct net_device *dev)
{
	struct nlattr *attr;

	attr = nla_reserve_64bit(skb, STT_DEV_A_STATS64,
				 sizeof(struct rtnl_link_stats64),
				 STT_DEV_A_PAD);
	if (!attr)
		return -EMSGSIZE;
	dev_get_stats(dev, nla_data(attr));
	return 0;
}

/* As user space sees them; the function for it has changed its name. */
static u32 stt_event_flags(const struct net_device *dev)
{
	u32 flags = READ_ONCE(dev->flags);

	if (netif_running(dev) && netif_oper_up(dev))
		flags |= IFF_RUNNING;
	if (netif_running(dev) && netif_carrier_ok(dev))
		flags |= IFF_LOWER_UP;
	return flags;
}

static int stt_event_put_name(struct sk_buff *skb, int attr,
			      const struct net_device *dev)
{
	char name[IFNAMSIZ];

	/* It may be about to change, and must end. */
	data_race(strscpy(name, dev->name, sizeof(name)));
	return nla_put_string(skb, attr, name);
}

static int stt_event_put_conf(struct sk_buff *skb, const struct net_device *dev)
{
	struct nlattr *nest;

	nest = nla_nest_start(skb, STT_DEV_A_CONF);
	if (!nest || dev->rtnl_link_ops->fill_info(skb, dev))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

/**
 * stt_event_fill_dev() - append a message about a device
 * @skb: to append to
 * @stt: the device
 * @portid: who asked, 0 if nobody has
 * @seq: sequence number of the question
 * @flags: NLM_F_*
 * @cmd: %STT_CMD_DEV_*
 *
 * Context: RTNL or RCU read lock held.
 * Return: 0 or -EMSGSIZE.
 */
int stt_event_fill_dev(struct sk_buff *skb, const struct stt_dev *stt,
		       u32 portid, u32 seq, int flags, u8 cmd)
{
	struct net_device *dev = stt->dev;
	struct net *net = dev_net(dev);
	u32 entries, learned;
	void *hdr;

	hdr = genlmsg_put(skb, portid, seq, &stt_genl_family, flags, cmd);
	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_u32(skb, STT_DEV_A_IFINDEX, dev->ifindex) ||
	    stt_event_put_name(skb, STT_DEV_A_IFNAME, dev) ||
	    nla_put_u32(skb, STT_DEV_A_FLAGS, stt_event_flags(dev)) ||
	    (!net_eq(net, stt->net) &&
	     nla_put_s32(skb, STT_DEV_A_LINK_NETNSID,
			 peernet2id_alloc(net, stt->net, GFP_ATOMIC))) ||
	    stt_event_put_conf(skb, dev) ||
	    stt_event_put_xstats(skb, stt) ||
	    stt_event_put_stats64(skb, dev))
		goto cancel;
	if (stt_fdb_count(stt, &entries, &learned) &&
	    (nla_put_u32(skb, STT_DEV_A_FDB_ENTRIES, entries) ||
	     nla_put_u32(skb, STT_DEV_A_FDB_LEARNED, learned)))
		goto cancel;
	genlmsg_end(skb, hdr);
	return 0;

cancel:
	genlmsg_cancel(skb, hdr);
	return -EMSGSIZE;
}

/**
 * stt_event_fill_fdb() - append a message about an FDB entry
 * @skb: to append to
 * @stt: the device
 * @info: the entry with one of its destinations
 * @from: where the entry was before, NULL if nowhere else
 * @portid: who asked, 0 if nobody has
 * @seq: sequence number of the question
 * @flags: NLM_F_*
 * @cmd: %STT_CMD_FDB_*
 *
 * Return: 0 or -EMSGSIZE.
 */
int stt_event_fill_fdb(struct sk_buff *skb, const struct stt_dev *stt,
		       const struct stt_fdb_info *info,
		       const struct in6_addr *from, u32 portid, u32 seq,
		       int flags, u8 cmd)
{
	const struct stt_remote_id *remote = info->remote;
	void *hdr;

	hdr = genlmsg_put(skb, portid, seq, &stt_genl_family, flags, cmd);
	if (!hdr)
		return -EMSGSIZE;
	if (nla_put_u32(skb, STT_FDB_A_IFINDEX, stt->dev->ifindex) ||
	    stt_event_put_name(skb, STT_FDB_A_IFNAME, stt->dev) ||
	    nla_put(skb, STT_FDB_A_LLADDR, ETH_ALEN, info->mac) ||
	    nla_put_u64_64bit(skb, STT_FDB_A_SRC_KEY, info->key,
			      STT_FDB_A_PAD) ||
	    nla_put_u64_64bit(skb, STT_FDB_A_KEY, remote->key, STT_FDB_A_PAD) ||
	    stt_event_put_addr(skb, STT_FDB_A_DST, STT_FDB_A_DST6,
			       &remote->addr) ||
	    nla_put_be16(skb, STT_FDB_A_PORT, remote->port) ||
	    (remote->ifindex &&
	     nla_put_u32(skb, STT_FDB_A_LINK, remote->ifindex)) ||
	    nla_put_u16(skb, STT_FDB_A_STATE, info->state) ||
	    nla_put_u8(skb, STT_FDB_A_FLAGS, info->flags) ||
	    nla_put_u64_64bit(skb, STT_FDB_A_USED,
			      jiffies_to_msecs(jiffies - info->used),
			      STT_FDB_A_PAD) ||
	    nla_put_u64_64bit(skb, STT_FDB_A_UPDATED,
			      jiffies_to_msecs(jiffies - info->updated),
			      STT_FDB_A_PAD) ||
	    (from && stt_event_put_addr(skb, STT_FDB_A_OLD_DST,
					STT_FDB_A_OLD_DST6, from))) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

/**
 * stt_event_put_flush() - put in a message what a flush has done
 * @skb: the message, begun
 * @stt: the device
 * @filter: what was to be flushed
 * @count: number of destinations that were
 *
 * Return: 0 or -EMSGSIZE.
 */
int stt_event_put_flush(struct sk_buff *skb, const struct stt_dev *stt,
			const struct stt_fdb_filter *filter,
			unsigned int count)
{
	if (nla_put_u32(skb, STT_FDB_A_IFINDEX, stt->dev->ifindex) ||
	    stt_event_put_name(skb, STT_FDB_A_IFNAME, stt->dev) ||
	    nla_put_u32(skb, STT_FDB_A_COUNT, count) ||
	    (filter->by_key &&
	     nla_put_u64_64bit(skb, STT_FDB_A_SRC_KEY, filter->key,
			       STT_FDB_A_PAD)) ||
	    (filter->by_dst_key &&
	     nla_put_u64_64bit(skb, STT_FDB_A_KEY, filter->dst_key,
			       STT_FDB_A_PAD)) ||
	    (filter->port &&
	     nla_put_be16(skb, STT_FDB_A_PORT, filter->port)) ||
	    (!ipv6_addr_any(&filter->addr) &&
	     stt_event_put_addr(skb, STT_FDB_A_DST, STT_FDB_A_DST6,
				&filter->addr)) ||
	    (filter->state_mask &&
	     (nla_put_u16(skb, STT_FDB_A_STATE, filter->state) ||
	      nla_put_u16(skb, STT_FDB_A_STATE_MASK, filter->state_mask))) ||
	    (filter->flags_mask &&
	     (nla_put_u8(skb, STT_FDB_A_FLAGS, filter->flags) ||
	      nla_put_u8(skb, STT_FDB_A_FLAGS_MASK, filter->flags_mask))))
		return -EMSGSIZE;
	return 0;
}

static int stt_event_put_dest(struct sk_buff *skb, const struct stt_dev *stt,
			      const struct stt_fdb_info *info)
{
	const struct stt_remote_id *id = info->remote;
	const struct stt_conf *conf;
	u64 key = id->key, usual;

	rcu_read_lock();
	conf = &rcu_dereference(stt->state)->conf;
	usual = conf->external ? 0 : conf->okey;
	rcu_read_unlock();
	if (stt_addr_is_v4(&id->addr) ?
	    nla_put_in_addr(skb, NDA_DST, stt_addr_v4(&id->addr)) :
	    nla_put_in6_addr(skb, NDA_DST, &id->addr))
		return -EMSGSIZE;
	if (id->port != stt->id.port &&
	    nla_put_be16(skb, NDA_PORT, id->port))
		return -EMSGSIZE;
	/* bridge(8) reads 32 bits; a longer Context ID needs an own reader. */
	if (key != usual &&
	    (key > U32_MAX ? nla_put(skb, NDA_VNI, sizeof(key), &key) :
			     nla_put_u32(skb, NDA_VNI, key)))
		return -EMSGSIZE;
	key = info->key;
	if (key != stt_dev_usual_key(stt) &&
	    (key > U32_MAX ? nla_put(skb, NDA_SRC_VNI, sizeof(key), &key) :
			     nla_put_u32(skb, NDA_SRC_VNI, key)))
		return -EMSGSIZE;
	if (id->ifindex && nla_put_u32(skb, NDA_IFINDEX, id->ifindex))
		return -EMSGSIZE;
	return 0;
}

/**
 * stt_event_fill_neigh() - append an FDB entry as rtnetlink has them
 * @skb: to append to
 * @stt: the device
 * @info: the entry with one of its destinations
 * @portid: who asked, 0 if nobody has
 * @seq: sequence number of the question
 * @type: RTM_NEWNEIGH or RTM_DELNEIGH
 * @flags: NLM_F_*
 *
 * Return: 0 or -EMSGSIZE.
 */
int stt_event_fill_neigh(struct sk_buff *skb, const struct stt_dev *stt,
			 const struct stt_fdb_info *info, u32 portid, u32 seq,
			 int type, unsigned int flags)
{
	struct nda_cacheinfo ci = {
		.ndm_used = jiffies_to_clock_t(jiffies - info->used),
		.ndm_updated = jiffies_to_clock_t(jiffies - info->updated),
	};
	struct net *net = dev_net(stt->dev);
	struct nlmsghdr *nlh;
	struct ndmsg *ndm;

	nlh = nlmsg_put(skb, portid, seq, type, sizeof(*ndm), flags);
	if (!nlh)
		return -EMSGSIZE;
	ndm = nlmsg_data(nlh);
	memset(ndm, 0, sizeof(*ndm));
	ndm->ndm_family = AF_BRIDGE;
	ndm->ndm_state = info->state;
	ndm->ndm_ifindex = stt->dev->ifindex;
	ndm->ndm_flags = info->flags | NTF_SELF;
	ndm->ndm_type = RTN_UNICAST;
	if (nla_put(skb, NDA_LLADDR, ETH_ALEN, info->mac) ||
	    (!net_eq(net, stt->net) &&
	     nla_put_s32(skb, NDA_LINK_NETNSID,
			 peernet2id(net, stt->net))) ||
	    stt_event_put_dest(skb, stt, info) ||
	    nla_put(skb, NDA_CACHEINFO, sizeof(ci), &ci)) {
		nlmsg_cancel(skb, nlh);
		return -EMSGSIZE;
	}
	nlmsg_end(skb, nlh);
	return 0;
}

static size_t stt_event_neigh_size(void)
{
	return NLMSG_ALIGN(sizeof(struct ndmsg)) +
	       nla_total_size(ETH_ALEN) +			/* LLADDR */
	       nla_total_size(sizeof(struct in6_addr)) +	/* DST */
	       nla_total_size(sizeof(__be16)) +			/* PORT */
	       nla_total_size(sizeof(u64)) +			/* VNI */
	       nla_total_size(sizeof(u64)) +			/* SRC_VNI */
	       nla_total_size(sizeof(u32)) +			/* IFINDEX */
	       nla_total_size(sizeof(s32)) +		/* LINK_NETNSID */
	       nla_total_size(sizeof(struct nda_cacheinfo));
}

/**
 * stt_event_neigh() - tell those who listen to neighbours of an FDB entry
 * @stt: the device
 * @info: the entry with one of its destinations
 * @type: RTM_NEWNEIGH or RTM_DELNEIGH
 *
 * Context: any; the lock of the FDB may be held.
 */
void stt_event_neigh(const struct stt_dev *stt,
		     const struct stt_fdb_info *info, int type)
{
	struct net *net = dev_net(stt->dev);
	struct sk_buff *skb;

	if (!rtnl_has_listeners(net, RTNLGRP_NEIGH))
		return;
	skb = nlmsg_new(stt_event_neigh_size(), GFP_ATOMIC);
	if (!skb)
		goto err;
	if (stt_event_fill_neigh(skb, stt, info, 0, 0, type, 0)) {
		kfree_skb(skb);
		goto err;
	}
	rtnl_notify(skb, net, 0, RTNLGRP_NEIGH, NULL, GFP_ATOMIC);
	return;
err:
	rtnl_set_sk_err(net, RTNLGRP_NEIGH, -ENOBUFS);
}

static bool stt_event_wanted(const struct stt_dev *stt)
{
	return genl_has_listeners(&stt_genl_family, dev_net(stt->dev),
				  STT_EVENT_GROUP);
}

static void stt_event_send(const struct stt_dev *stt, struct sk_buff *skb)
{
	genlmsg_multicast_netns(&stt_genl_family, dev_net(stt->dev), skb, 0,
				STT_EVENT_GROUP, GFP_ATOMIC);
}

/**
 * stt_event_dev() - tell of a change of a device
 * @stt: the device
 * @cmd: %STT_CMD_DEV_*_NTF
 *
 * Context: process, RTNL held.
 */
void stt_event_dev(const struct stt_dev *stt, u8 cmd)
{
	struct sk_buff *skb;

	if (!stt_event_wanted(stt))
		return;
	skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!skb)
		return;
	if (stt_event_fill_dev(skb, stt, 0, 0, 0, cmd)) {
		nlmsg_free(skb);
		return;
	}
	stt_event_send(stt, skb);
}

/**
 * stt_event_fdb() - tell of a change of an FDB entry
 * @stt: the device
 * @info: the entry with one of its destinations
 * @from: where the entry was before, NULL if nowhere else
 * @cmd: %STT_CMD_FDB_*_NTF
 *
 * Context: any; the lock of the FDB may be held.
 */
void stt_event_fdb(const struct stt_dev *stt, const struct stt_fdb_info *info,
		   const struct in6_addr *from, u8 cmd)
{
	struct sk_buff *skb;

	if (likely(!stt_event_wanted(stt)))
		return;
	skb = genlmsg_new(stt_event_fdb_size(), GFP_ATOMIC);
	if (!skb)
		return;
	if (stt_event_fill_fdb(skb, stt, info, from, 0, 0, 0, cmd)) {
		nlmsg_free(skb);
		return;
	}
	stt_event_send(stt, skb);
}

/**
 * stt_event_flush() - tell that FDB entries were flushed
 * @stt: the device
 * @filter: which
 * @count: number of destinations
 *
 * Context: process, RTNL held.
 */
void stt_event_flush(const struct stt_dev *stt,
		     const struct stt_fdb_filter *filter, unsigned int count)
{
	struct sk_buff *skb;
	void *hdr;

	if (!stt_event_wanted(stt))
		return;
	skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!skb)
		return;
	hdr = genlmsg_put(skb, 0, 0, &stt_genl_family, 0,
			  STT_CMD_FDB_FLUSH_NTF);
	if (!hdr || stt_event_put_flush(skb, stt, filter, count)) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, hdr);
	stt_event_send(stt, skb);
}
