// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: commands of generic netlink family "stt".
 *
 * Attributes that a command does not know are refused. A change of the FDB is
 * handed on as if it had come as a neighbour message, so that both ways have
 * the same rules.
 */
#include <linux/capability.h>
#include <linux/etherdevice.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/stt_genl.h>
#include <net/genetlink.h>
#include <net/rtnetlink.h>

#include "stt_private.h"

/* Flags that an entry may be given. */
#define STT_FDB_NTF	(NTF_ROUTER | NTF_EXT_LEARNED)

static const struct nla_policy stt_genl_dev_policy[] = {
	[STT_DEV_A_IFINDEX]	= { .type = NLA_U32 },
	[STT_DEV_A_IFNAME]	= { .type = NLA_NUL_STRING,
				    .len = IFNAMSIZ - 1 },
};

static const struct nla_policy stt_genl_match_policy[] = {
	[STT_FDB_A_IFINDEX]	= { .type = NLA_U32 },
	[STT_FDB_A_IFNAME]	= { .type = NLA_NUL_STRING,
				    .len = IFNAMSIZ - 1 },
	[STT_FDB_A_LLADDR]	= NLA_POLICY_EXACT_LEN(ETH_ALEN),
	[STT_FDB_A_SRC_KEY]	= { .type = NLA_U64 },
	[STT_FDB_A_DST]		= NLA_POLICY_EXACT_LEN(4),
	[STT_FDB_A_DST6]	= NLA_POLICY_EXACT_LEN(16),
};

static const struct nla_policy stt_genl_fdb_policy[] = {
	[STT_FDB_A_IFINDEX]	= { .type = NLA_U32 },
	[STT_FDB_A_IFNAME]	= { .type = NLA_NUL_STRING,
				    .len = IFNAMSIZ - 1 },
	[STT_FDB_A_LLADDR]	= NLA_POLICY_EXACT_LEN(ETH_ALEN),
	[STT_FDB_A_SRC_KEY]	= { .type = NLA_U64 },
	[STT_FDB_A_KEY]		= { .type = NLA_U64 },
	[STT_FDB_A_DST]		= NLA_POLICY_EXACT_LEN(4),
	[STT_FDB_A_DST6]	= NLA_POLICY_EXACT_LEN(16),
	[STT_FDB_A_PORT]	= { .type = NLA_BE16 },
	[STT_FDB_A_LINK]	= { .type = NLA_U32 },
	[STT_FDB_A_MODE]	= { .type = NLA_U8 },
	[STT_FDB_A_STATE]	= { .type = NLA_U16 },
	[STT_FDB_A_FLAGS]	= { .type = NLA_U8 },
};

static const struct nla_policy stt_genl_flush_policy[] = {
	[STT_FDB_A_IFINDEX]	= { .type = NLA_U32 },
	[STT_FDB_A_IFNAME]	= { .type = NLA_NUL_STRING,
				    .len = IFNAMSIZ - 1 },
	[STT_FDB_A_SRC_KEY]	= { .type = NLA_U64 },
	[STT_FDB_A_DST]		= NLA_POLICY_EXACT_LEN(4),
	[STT_FDB_A_DST6]	= NLA_POLICY_EXACT_LEN(16),
	[STT_FDB_A_STATE]	= { .type = NLA_U16 },
	[STT_FDB_A_STATE_MASK]	= { .type = NLA_U16 },
	[STT_FDB_A_FLAGS]	= { .type = NLA_U8 },
	[STT_FDB_A_FLAGS_MASK]	= { .type = NLA_U8 },
};

static const struct nla_policy stt_genl_reasm_policy[] = {
	[STT_REASM_A_BUDGET]	= { .type = NLA_U64 },
	[STT_REASM_A_TIMEOUT]	= { .type = NLA_U32 },
};

/* The device that one of two attributes names, or ERR_PTR(). */
static struct net_device *stt_genl_dev(struct net *net, struct nlattr *ifindex,
				       struct nlattr *ifname,
				       struct netlink_ext_ack *extack)
{
	struct net_device *dev = NULL;

	ASSERT_RTNL();

	if (!ifindex == !ifname) {
		NL_SET_ERR_MSG(extack,
			       "Either an ifindex or an ifname is required");
		return ERR_PTR(-EINVAL);
	}
	if (ifindex)
		dev = __dev_get_by_index(net, nla_get_u32(ifindex));
	else
		dev = __dev_get_by_name(net, nla_data(ifname));
	if (!dev) {
		NL_SET_ERR_MSG_ATTR(extack, ifindex ?: ifname,
				    "No such device in this namespace");
		return ERR_PTR(-ENODEV);
	}
	if (dev->rtnl_link_ops != &stt_link_ops) {
		NL_SET_ERR_MSG_ATTR(extack, ifindex ?: ifname,
				    "Device is not of kind stt");
		return ERR_PTR(-EOPNOTSUPP);
	}
	return dev;
}

/* Devices */

static int stt_genl_dev_get(struct sk_buff *request, struct genl_info *info)
{
	struct net_device *dev;
	struct sk_buff *skb;
	int err;

	skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!skb)
		return -ENOMEM;
	rtnl_lock();
	dev = stt_genl_dev(genl_info_net(info), info->attrs[STT_DEV_A_IFINDEX],
			   info->attrs[STT_DEV_A_IFNAME], info->extack);
	err = PTR_ERR_OR_ZERO(dev);
	if (!err)
		err = stt_event_fill_dev(skb, netdev_priv(dev),
					 info->snd_portid, info->snd_seq, 0,
					 STT_CMD_DEV_GET);
	rtnl_unlock();
	if (err) {
		nlmsg_free(skb);
		return err;
	}
	return genlmsg_reply(skb, info);
}

/**
 * struct stt_genl_dump - how far a dump has come
 * @dev: devices seen
 * @ifindex: the only device to dump, 0 for all
 * @cursor: in the FDB of the next device
 */
struct stt_genl_dump {
	unsigned int		dev;
	int			ifindex;
	struct stt_fdb_cursor	cursor;
};

static struct stt_genl_dump *stt_genl_dump(struct netlink_callback *cb)
{
	BUILD_BUG_ON(sizeof(struct stt_genl_dump) > sizeof(cb->ctx));

	return (struct stt_genl_dump *)cb->ctx;
}

/* A dump is of one device if an attribute names it, else of all. */
static int stt_genl_dump_choose(struct netlink_callback *cb,
				struct nlattr *ifindex, struct nlattr *ifname)
{
	struct net_device *dev;
	int err;

	if (!ifindex && !ifname)
		return 0;
	rtnl_lock();
	dev = stt_genl_dev(sock_net(cb->skb->sk), ifindex, ifname, cb->extack);
	err = PTR_ERR_OR_ZERO(dev);
	if (!err)
		stt_genl_dump(cb)->ifindex = dev->ifindex;
	rtnl_unlock();
	return err;
}

/* Call @fn for the devices that are not done; it returns 0 if one is. */
static int stt_genl_dump_devs(struct sk_buff *skb, struct netlink_callback *cb,
			      int (*fn)(struct sk_buff *skb,
					struct netlink_callback *cb,
					struct stt_dev *stt))
{
	struct stt_genl_dump *dump = stt_genl_dump(cb);
	struct net *net = sock_net(skb->sk);
	struct net_device *dev;
	unsigned int i = 0;

	/* If devices come or go, the next one is another: user space is told */
	if (!dump->ifindex)
		cb->seq = READ_ONCE(net->dev_base_seq);
	rcu_read_lock();
	for_each_netdev_rcu(net, dev) {
		if (dev->rtnl_link_ops != &stt_link_ops ||
		    (dump->ifindex && dev->ifindex != dump->ifindex))
			continue;
		if (i++ < dump->dev)
			continue;
		if (fn(skb, cb, netdev_priv(dev)))
			break;
		dump->dev++;
	}
	rcu_read_unlock();
	return skb->len;
}

static int stt_genl_dev_start(struct netlink_callback *cb)
{
	struct nlattr *tb[STT_DEV_A_IFNAME + 1];
	int err;

	err = genlmsg_parse(cb->nlh, &stt_genl_family, tb, STT_DEV_A_IFNAME,
			    stt_genl_dev_policy, cb->extack);
	if (err)
		return err;
	return stt_genl_dump_choose(cb, tb[STT_DEV_A_IFINDEX],
				    tb[STT_DEV_A_IFNAME]);
}

static int stt_genl_dump_dev(struct sk_buff *skb, struct netlink_callback *cb,
			     struct stt_dev *stt)
{
	void *message = skb_tail_pointer(skb);
	int err;

	err = stt_event_fill_dev(skb, stt, NETLINK_CB(cb->skb).portid,
				 cb->nlh->nlmsg_seq, NLM_F_MULTI,
				 STT_CMD_DEV_GET);
	if (!err)
		nl_dump_check_consistent(cb, message);
	return err;
}

static int stt_genl_dev_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	return stt_genl_dump_devs(skb, cb, stt_genl_dump_dev);
}

/* Forwarding database */

static int stt_genl_parse_addr(struct nlattr *v4, struct nlattr *v6,
			       struct in6_addr *addr,
			       struct netlink_ext_ack *extack)
{
	*addr = in6addr_any;
	if (v4 && v6) {
		NL_SET_ERR_MSG_ATTR(extack, v6,
				    "A destination must be either dst or dst6, not both");
		return -EINVAL;
	}
	if (v4)
		ipv6_addr_set_v4mapped(nla_get_in_addr(v4), addr);
	if (v6)
		*addr = nla_get_in6_addr(v6);
	return 0;
}

static int stt_genl_fdb_start(struct netlink_callback *cb)
{
	struct nlattr *tb[STT_FDB_A_DST6 + 1];
	struct in6_addr addr;
	int err;

	err = genlmsg_parse(cb->nlh, &stt_genl_family, tb, STT_FDB_A_DST6,
			    stt_genl_match_policy, cb->extack);
	if (err)
		return err;
	err = stt_genl_parse_addr(tb[STT_FDB_A_DST], tb[STT_FDB_A_DST6], &addr,
				  cb->extack);
	if (err)
		return err;
	return stt_genl_dump_choose(cb, tb[STT_FDB_A_IFINDEX],
				    tb[STT_FDB_A_IFNAME]);
}

/**
 * struct stt_genl_walk - argument of stt_genl_fdb_fill()
 * @skb: to append to
 * @cb: the dump
 * @mac: address of the entries to dump, NULL for any
 * @key: Context ID of the entries, if @by_key
 * @addr: address of their destinations, :: for any
 * @by_key: compare it
 */
struct stt_genl_walk {
	struct sk_buff		*skb;
	struct netlink_callback	*cb;
	const u8		*mac;
	u64			key;
	struct in6_addr		addr;
	bool			by_key;
};

static bool stt_genl_fdb_match(const struct stt_genl_walk *walk,
			       const struct stt_fdb_info *info)
{
	return (!walk->mac || ether_addr_equal(walk->mac, info->mac)) &&
	       (!walk->by_key || walk->key == info->key) &&
	       (ipv6_addr_any(&walk->addr) ||
		ipv6_addr_equal(&walk->addr, &info->remote->addr));
}

static int stt_genl_fdb_fill(struct stt_dev *stt,
			     const struct stt_fdb_info *info, void *arg)
{
	struct stt_genl_walk *walk = arg;
	struct netlink_callback *cb = walk->cb;
	void *message = skb_tail_pointer(walk->skb);
	int err;

	if (!stt_genl_fdb_match(walk, info))
		return 0;
	err = stt_event_fill_fdb(walk->skb, stt, info, NULL,
				 NETLINK_CB(cb->skb).portid,
				 cb->nlh->nlmsg_seq, NLM_F_MULTI,
				 STT_CMD_FDB_GET);
	if (!err)
		nl_dump_check_consistent(cb, message);
	return err;
}

static int stt_genl_fdb_walk(struct sk_buff *skb, struct netlink_callback *cb,
			     struct stt_dev *stt)
{
	struct nlattr *tb[STT_FDB_A_DST6 + 1];
	struct stt_genl_walk walk = {
		.skb = skb,
		.cb = cb,
	};

	/* The beginning of the dump has found it to be right. */
	if (genlmsg_parse(cb->nlh, &stt_genl_family, tb, STT_FDB_A_DST6,
			  stt_genl_match_policy, NULL))
		return 0;
	if (tb[STT_FDB_A_LLADDR])
		walk.mac = nla_data(tb[STT_FDB_A_LLADDR]);
	if (tb[STT_FDB_A_SRC_KEY]) {
		walk.by_key = true;
		walk.key = nla_get_u64(tb[STT_FDB_A_SRC_KEY]);
	}
	stt_genl_parse_addr(tb[STT_FDB_A_DST], tb[STT_FDB_A_DST6], &walk.addr,
			    NULL);
	return stt_fdb_walk(stt, &stt_genl_dump(cb)->cursor, stt_genl_fdb_fill,
			    &walk);
}

static int stt_genl_fdb_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	return stt_genl_dump_devs(skb, cb, stt_genl_fdb_walk);
}

/* Our attributes as those of a neighbour message. */
static int stt_genl_fdb_parse(struct genl_info *info, struct ndmsg *ndm,
			      struct nlattr *tb[])
{
	struct netlink_ext_ack *extack = info->extack;
	struct nlattr **attrs = info->attrs;
	struct in6_addr addr;
	int err;

	memset(ndm, 0, sizeof(*ndm));
	memset(tb, 0, (NDA_MAX + 1) * sizeof(*tb));
	if (!attrs[STT_FDB_A_LLADDR]) {
		NL_SET_ERR_MSG(extack, "A MAC address (lladdr) is required");
		return -EINVAL;
	}
	err = stt_genl_parse_addr(attrs[STT_FDB_A_DST], attrs[STT_FDB_A_DST6],
				  &addr, extack);
	if (err)
		return err;
	ndm->ndm_state = NUD_PERMANENT;
	if (attrs[STT_FDB_A_STATE])
		ndm->ndm_state = nla_get_u16(attrs[STT_FDB_A_STATE]);
	if (attrs[STT_FDB_A_FLAGS])
		ndm->ndm_flags = nla_get_u8(attrs[STT_FDB_A_FLAGS]);
	if (ndm->ndm_flags & ~STT_FDB_NTF) {
		NL_SET_ERR_MSG_ATTR(extack, attrs[STT_FDB_A_FLAGS],
				    "Flags may be NTF_ROUTER and NTF_EXT_LEARNED");
		return -EINVAL;
	}
	tb[NDA_DST] = attrs[STT_FDB_A_DST] ?: attrs[STT_FDB_A_DST6];
	tb[NDA_PORT] = attrs[STT_FDB_A_PORT];
	tb[NDA_VNI] = attrs[STT_FDB_A_KEY];
	tb[NDA_SRC_VNI] = attrs[STT_FDB_A_SRC_KEY];
	tb[NDA_IFINDEX] = attrs[STT_FDB_A_LINK];
	return 0;
}

static int stt_genl_fdb_mode(struct genl_info *info, u16 *nlflags)
{
	static const u16 flags[] = {
		[STT_FDB_MODE_ADD] = NLM_F_CREATE | NLM_F_EXCL,
		[STT_FDB_MODE_REPLACE] = NLM_F_CREATE | NLM_F_REPLACE,
		[STT_FDB_MODE_APPEND] = NLM_F_CREATE | NLM_F_APPEND,
	};
	struct nlattr *attr = info->attrs[STT_FDB_A_MODE];
	u8 mode = attr ? nla_get_u8(attr) : STT_FDB_MODE_ADD;

	if (mode > STT_FDB_MODE_MAX) {
		NL_SET_ERR_MSG_ATTR(info->extack, attr,
				    "Mode must be 0 (add), 1 (replace) or 2 (append)");
		return -EINVAL;
	}
	*nlflags = flags[mode];
	return 0;
}

static int stt_genl_fdb_new(struct sk_buff *request, struct genl_info *info)
{
	struct nlattr *tb[NDA_MAX + 1];
	struct net_device *dev;
	struct ndmsg ndm;
	bool notified;
	u16 nlflags;
	int err;

	err = stt_genl_fdb_parse(info, &ndm, tb);
	if (err)
		return err;
	err = stt_genl_fdb_mode(info, &nlflags);
	if (err)
		return err;
	rtnl_lock();
	dev = stt_genl_dev(genl_info_net(info), info->attrs[STT_FDB_A_IFINDEX],
			   info->attrs[STT_FDB_A_IFNAME], info->extack);
	err = PTR_ERR_OR_ZERO(dev);
	if (!err)
		err = stt_fdb_add(&ndm, tb, dev,
				  nla_data(info->attrs[STT_FDB_A_LLADDR]), 0,
				  nlflags, &notified, info->extack);
	rtnl_unlock();
	return err;
}

static int stt_genl_fdb_del(struct sk_buff *request, struct genl_info *info)
{
	struct nlattr *tb[NDA_MAX + 1];
	struct net_device *dev;
	struct ndmsg ndm;
	bool notified;
	int err;

	err = stt_genl_fdb_parse(info, &ndm, tb);
	if (err)
		return err;
	if (info->attrs[STT_FDB_A_MODE]) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[STT_FDB_A_MODE],
				    "A mode is for adding entries");
		return -EINVAL;
	}
	rtnl_lock();
	dev = stt_genl_dev(genl_info_net(info), info->attrs[STT_FDB_A_IFINDEX],
			   info->attrs[STT_FDB_A_IFNAME], info->extack);
	err = PTR_ERR_OR_ZERO(dev);
	if (!err)
		err = stt_fdb_del(&ndm, tb, dev,
				  nla_data(info->attrs[STT_FDB_A_LLADDR]), 0,
				  &notified, info->extack);
	rtnl_unlock();
	if (err == -ENOENT)
		NL_SET_ERR_MSG(info->extack,
			       "No FDB entry for this address and Context ID, or none with this destination");
	return err;
}

static int stt_genl_parse_filter(struct genl_info *info,
				 struct stt_fdb_filter *filter)
{
	struct nlattr **attrs = info->attrs;

	memset(filter, 0, sizeof(*filter));
	if (attrs[STT_FDB_A_SRC_KEY]) {
		filter->by_key = true;
		filter->key = nla_get_u64(attrs[STT_FDB_A_SRC_KEY]);
	}
	if (attrs[STT_FDB_A_STATE_MASK])
		filter->state_mask = nla_get_u16(attrs[STT_FDB_A_STATE_MASK]);
	if (attrs[STT_FDB_A_STATE])
		filter->state = nla_get_u16(attrs[STT_FDB_A_STATE]);
	if (attrs[STT_FDB_A_FLAGS_MASK])
		filter->flags_mask = nla_get_u8(attrs[STT_FDB_A_FLAGS_MASK]);
	if (attrs[STT_FDB_A_FLAGS])
		filter->flags = nla_get_u8(attrs[STT_FDB_A_FLAGS]);
	if (filter->state & ~filter->state_mask ||
	    filter->flags & ~filter->flags_mask) {
		NL_SET_ERR_MSG(info->extack,
			       "State and flags must be within their masks");
		return -EINVAL;
	}
	return stt_genl_parse_addr(attrs[STT_FDB_A_DST], attrs[STT_FDB_A_DST6],
				   &filter->addr, info->extack);
}

static int stt_genl_fdb_flush(struct sk_buff *request, struct genl_info *info)
{
	struct stt_fdb_filter filter;
	struct net_device *dev;
	struct sk_buff *skb;
	unsigned int count;
	void *hdr;
	int err;

	err = stt_genl_parse_filter(info, &filter);
	if (err)
		return err;
	skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!skb)
		return -ENOMEM;
	hdr = genlmsg_put_reply(skb, info, &stt_genl_family, 0,
				STT_CMD_FDB_FLUSH);
	rtnl_lock();
	dev = stt_genl_dev(genl_info_net(info), info->attrs[STT_FDB_A_IFINDEX],
			   info->attrs[STT_FDB_A_IFNAME], info->extack);
	err = PTR_ERR_OR_ZERO(dev);
	if (!err) {
		count = stt_fdb_purge(netdev_priv(dev), &filter);
		err = stt_event_put_flush(skb, netdev_priv(dev), &filter,
					  count);
	}
	rtnl_unlock();
	if (err) {
		nlmsg_free(skb);
		return err;
	}
	genlmsg_end(skb, hdr);
	return genlmsg_reply(skb, info);
}

/* Counters and reassembly */

static int stt_genl_put_counter(struct sk_buff *skb, const struct stt_net *sn,
				enum stt_net_counter c)
{
	struct nlattr *nest;

	nest = nla_nest_start(skb, STT_STATS_A_COUNTER);
	if (!nest ||
	    nla_put_string(skb, STT_COUNTER_A_NAME, stt_net_name(c)) ||
	    nla_put_u64_64bit(skb, STT_COUNTER_A_VALUE, stt_net_total(sn, c),
			      STT_COUNTER_A_PAD))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int stt_genl_put_reasm(struct sk_buff *skb, struct stt_reasm *r)
{
	struct nlattr *nest;

	nest = nla_nest_start(skb, STT_STATS_A_REASM);
	if (!nest ||
	    nla_put_u64_64bit(skb, STT_REASM_A_BUDGET, READ_ONCE(r->budget),
			      STT_REASM_A_PAD) ||
	    nla_put_u64_64bit(skb, STT_REASM_A_BUDGET_DEFAULT,
			      stt_reasm_default_budget(), STT_REASM_A_PAD) ||
	    nla_put_u32(skb, STT_REASM_A_TIMEOUT, READ_ONCE(r->timeout_ms)) ||
	    nla_put_u64_64bit(skb, STT_REASM_A_MEM, atomic_long_read(&r->mem),
			      STT_REASM_A_PAD) ||
	    nla_put_u32(skb, STT_REASM_A_FRAMES, stt_reasm_frames(r)) ||
	    nla_put_u64_64bit(skb, STT_REASM_A_TIMEOUTS,
			      atomic_long_read(&r->timeouts),
			      STT_REASM_A_PAD) ||
	    nla_put_u64_64bit(skb, STT_REASM_A_EVICTIONS,
			      atomic_long_read(&r->evictions),
			      STT_REASM_A_PAD))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int stt_genl_stats_get(struct sk_buff *request, struct genl_info *info)
{
	struct stt_net *sn = stt_pernet(genl_info_net(info));
	struct sk_buff *skb;
	int i, err = 0;
	void *hdr;

	skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!skb)
		return -ENOMEM;
	hdr = genlmsg_put_reply(skb, info, &stt_genl_family, 0,
				STT_CMD_STATS_GET);
	for (i = 0; !err && i < __STT_NET_MAX; i++)
		err = stt_genl_put_counter(skb, sn, i);
	/* The lock is for the table, which the first port makes. */
	rtnl_lock();
	err = err ?: stt_genl_put_reasm(skb, &sn->reasm);
	rtnl_unlock();
	if (err) {
		nlmsg_free(skb);
		return err;
	}
	genlmsg_end(skb, hdr);
	return genlmsg_reply(skb, info);
}

static int stt_genl_check_budget(struct sk_buff *request, struct nlattr *attr,
				 struct netlink_ext_ack *extack)
{
	u64 budget = nla_get_u64(attr);

	if (budget < STT_REASM_BUDGET_MIN || budget > STT_REASM_BUDGET_MAX) {
		NL_SET_ERR_MSG_ATTR(extack, attr,
				    "Budget must be 1048576 to 1073741824 bytes");
		return -ERANGE;
	}
	/* It is memory of the whole machine. */
	if (budget > stt_reasm_default_budget() &&
	    !netlink_capable(request, CAP_NET_ADMIN)) {
		NL_SET_ERR_MSG_ATTR(extack, attr,
				    "Only the administrator of the machine may set a budget above the default");
		return -EPERM;
	}
	return 0;
}

static int stt_genl_check_timeout(struct nlattr *attr,
				  struct netlink_ext_ack *extack)
{
	u32 timeout = nla_get_u32(attr);

	if (timeout < STT_REASM_TIMEOUT_MIN ||
	    timeout > STT_REASM_TIMEOUT_MAX) {
		NL_SET_ERR_MSG_ATTR(extack, attr,
				    "Timeout must be 1 to 60000 milliseconds");
		return -ERANGE;
	}
	return 0;
}

static int stt_genl_reasm_set(struct sk_buff *request, struct genl_info *info)
{
	struct stt_reasm *r = &stt_pernet(genl_info_net(info))->reasm;
	struct nlattr *timeout = info->attrs[STT_REASM_A_TIMEOUT];
	struct nlattr *budget = info->attrs[STT_REASM_A_BUDGET];
	int err = 0;

	if (!budget && !timeout) {
		NL_SET_ERR_MSG(info->extack,
			       "A budget or a timeout is required");
		return -EINVAL;
	}
	if (budget)
		err = stt_genl_check_budget(request, budget,
					    info->extack);
	if (!err && timeout)
		err = stt_genl_check_timeout(timeout, info->extack);
	if (err)
		return err;
	rtnl_lock();
	stt_reasm_limit(r, budget ? nla_get_u64(budget) : r->budget,
			timeout ? nla_get_u32(timeout) : r->timeout_ms);
	rtnl_unlock();
	return 0;
}

static const struct genl_ops stt_genl_ops[] = {
	{
		.cmd		= STT_CMD_DEV_GET,
		.doit		= stt_genl_dev_get,
		.start		= stt_genl_dev_start,
		.dumpit		= stt_genl_dev_dump,
		.policy		= stt_genl_dev_policy,
		.maxattr	= ARRAY_SIZE(stt_genl_dev_policy) - 1,
	}, {
		.cmd		= STT_CMD_FDB_GET,
		.start		= stt_genl_fdb_start,
		.dumpit		= stt_genl_fdb_dump,
		.policy		= stt_genl_match_policy,
		.maxattr	= ARRAY_SIZE(stt_genl_match_policy) - 1,
	}, {
		.cmd		= STT_CMD_FDB_NEW,
		.flags		= GENL_UNS_ADMIN_PERM,
		.doit		= stt_genl_fdb_new,
		.policy		= stt_genl_fdb_policy,
		.maxattr	= ARRAY_SIZE(stt_genl_fdb_policy) - 1,
	}, {
		.cmd		= STT_CMD_FDB_DEL,
		.flags		= GENL_UNS_ADMIN_PERM,
		.doit		= stt_genl_fdb_del,
		.policy		= stt_genl_fdb_policy,
		.maxattr	= ARRAY_SIZE(stt_genl_fdb_policy) - 1,
	}, {
		.cmd		= STT_CMD_FDB_FLUSH,
		.flags		= GENL_UNS_ADMIN_PERM,
		.doit		= stt_genl_fdb_flush,
		.policy		= stt_genl_flush_policy,
		.maxattr	= ARRAY_SIZE(stt_genl_flush_policy) - 1,
	}, {
		.cmd		= STT_CMD_STATS_GET,
		.doit		= stt_genl_stats_get,
	}, {
		.cmd		= STT_CMD_REASM_SET,
		.flags		= GENL_UNS_ADMIN_PERM,
		.doit		= stt_genl_reasm_set,
		.policy		= stt_genl_reasm_policy,
		.maxattr	= ARRAY_SIZE(stt_genl_reasm_policy) - 1,
	},
};

static const struct genl_multicast_group stt_genl_groups[] = {
	{ .name = STT_GENL_MCGRP_EVENTS },
};

struct genl_family stt_genl_family __ro_after_init = {
	.name		= STT_GENL_NAME,
	.version	= STT_GENL_VERSION,
	.netnsok	= true,
	.module		= THIS_MODULE,
	.ops		= stt_genl_ops,
	.n_ops		= ARRAY_SIZE(stt_genl_ops),
	.mcgrps		= stt_genl_groups,
	.n_mcgrps	= ARRAY_SIZE(stt_genl_groups),
};

/**
 * stt_genl_init() - register the family
 *
 * Return: 0 or a negative error.
 */
int __init stt_genl_init(void)
{
	return genl_register_family(&stt_genl_family);
}

/**
 * stt_genl_exit() - unregister the family
 */
void stt_genl_exit(void)
{
	genl_unregister_family(&stt_genl_family);
}
