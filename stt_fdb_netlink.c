// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: "bridge fdb", the commands of rtnetlink for
 * the forwarding database.
 */
#include <linux/etherdevice.h>
#include <linux/neighbour.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <net/ipv6.h>
#include <net/netlink.h>
#include <net/rtnetlink.h>

#include "stt_private.h"

static int stt_fdb_parse_key(struct nlattr *attr, u64 *key,
			     struct netlink_ext_ack *extack)
{
	if (!attr)
		return 0;
	if (nla_len(attr) == sizeof(u32)) {
		*key = nla_get_u32(attr);
		return 0;
	}
	if (nla_len(attr) == sizeof(u64)) {
		*key = nla_get_u64(attr);
		return 0;
	}
	NL_SET_ERR_MSG_ATTR(extack, attr,
			    "Context ID (vni) must be 4 or 8 bytes long");
	return -EINVAL;
}

static int stt_fdb_parse_dst(struct nlattr *attr, struct in6_addr *addr,
			     struct netlink_ext_ack *extack)
{
	if (nla_len(attr) == sizeof(struct in_addr)) {
		__be32 v4 = nla_get_in_addr(attr);

		ipv6_addr_set_v4mapped(v4, addr);
		if (v4 && !ipv4_is_lbcast(v4))
			return 0;
	} else if (nla_len(attr) == sizeof(struct in6_addr)) {
		*addr = nla_get_in6_addr(attr);
		if (!ipv6_addr_any(addr) && !ipv6_addr_v4mapped(addr))
			return 0;
	}
	NL_SET_ERR_MSG_ATTR(extack, attr,
			    "Destination (dst) must be a unicast or multicast address of IPv4 or IPv6");
	return -EINVAL;
}

static int stt_fdb_parse_port(struct nlattr *attr, __be16 *port,
			      struct netlink_ext_ack *extack)
{
	if (nla_len(attr) != sizeof(*port) || !nla_get_be16(attr)) {
		NL_SET_ERR_MSG_ATTR(extack, attr,
				    "Destination port (port) must be 1 to 65535");
		return -EINVAL;
	}
	*port = nla_get_be16(attr);
	return 0;
}

static int stt_fdb_parse_more(struct stt_dev *stt, struct nlattr *tb[],
			      struct stt_fdb_request *rq,
			      struct netlink_ext_ack *extack)
{
	int err;

	if (tb[NDA_PORT]) {
		err = stt_fdb_parse_port(tb[NDA_PORT], &rq->remote.port,
					 extack);
		if (err)
			return err;
	}
	if (tb[NDA_IFINDEX]) {
		if (nla_len(tb[NDA_IFINDEX]) != sizeof(u32)) {
			NL_SET_ERR_MSG_ATTR(extack, tb[NDA_IFINDEX],
					    "Underlay device (via) must be a device index");
			return -EINVAL;
		}
		rq->remote.ifindex = nla_get_u32(tb[NDA_IFINDEX]);
		if (!__dev_get_by_index(stt->net, rq->remote.ifindex)) {
			NL_SET_ERR_MSG_ATTR(extack, tb[NDA_IFINDEX],
					    "No device with this index (via) in the namespace of the underlay");
			return -ENODEV;
		}
	}
	if (tb[NDA_NH_ID]) {
		NL_SET_ERR_MSG_ATTR(extack, tb[NDA_NH_ID],
				    "Nexthop groups are not supported");
		return -EOPNOTSUPP;
	}
	return 0;
}

static int stt_fdb_check_family(const struct stt_conf *conf,
				const struct stt_fdb_request *rq,
				struct netlink_ext_ack *extack)
{
	const struct in6_addr *local = &conf->local;

	if (!stt_addr_is_v4(&rq->remote.addr) && !ipv6_mod_enabled()) {
		NL_SET_ERR_MSG(extack,
			       "Destination (dst) must be an IPv4 address, this kernel has no IPv6");
		return -EAFNOSUPPORT;
	}
	if (!ipv6_addr_any(local) &&
	    stt_addr_is_v4(local) != stt_addr_is_v4(&rq->remote.addr)) {
		NL_SET_ERR_MSG(extack,
			       "Destination (dst) must be of the address family of the local address");
		return -EAFNOSUPPORT;
	}
	return 0;
}

/*
 * A command that is for the bridge, too ("master self") may name a VLAN, which
 * is the bridge's: here all VLANs of an address are behind the same remote.
 */
static int stt_fdb_parse(struct stt_dev *stt, const struct ndmsg *ndm,
			 struct nlattr *tb[], const u8 *mac,
			 struct stt_fdb_request *rq,
			 struct netlink_ext_ack *extack)
{
	const struct stt_conf *conf = &rtnl_dereference(stt->state)->conf;
	u64 key = stt_dev_usual_key(stt);
	int err;

	err = stt_fdb_parse_key(tb[NDA_SRC_VNI], &key, extack);
	if (err)
		return err;
	if (key != conf->key && !conf->external) {
		NL_SET_ERR_MSG_ATTR(extack, tb[NDA_SRC_VNI],
				    "A source Context ID (src_vni) requires an external device");
		return -EINVAL;
	}
	memset(rq, 0, sizeof(*rq));
	rq->id = stt_fdb_id(mac, key);
	rq->remote.key = conf->external ? key : conf->okey;
	rq->remote.port = conf->port;
	rq->state = ndm->ndm_state;
	/* The rest are orders, not properties. */
	rq->flags = ndm->ndm_flags & (NTF_EXT_LEARNED | NTF_ROUTER);
	err = stt_fdb_parse_key(tb[NDA_VNI], &rq->remote.key, extack);
	if (err)
		return err;
	rq->has_dst = tb[NDA_DST];
	if (rq->has_dst) {
		err = stt_fdb_parse_dst(tb[NDA_DST], &rq->remote.addr, extack);
		if (err)
			return err;
	}
	err = stt_fdb_parse_more(stt, tb, rq, extack);
	if (err || !rq->has_dst)
		return err;
	return stt_fdb_check_family(conf, rq, extack);
}

/**
 * stt_fdb_add() - ndo_fdb_add
 * @ndm: message
 * @tb: attributes, unchecked
 * @dev: stt device
 * @mac: MAC address
 * @vid: VLAN, ignored
 * @nlflags: NLM_F_*
 * @notified: set to true, for whoever listens is told here; NULL if the core
 *	tells them in any case
 * @extack: told what is wrong
 *
 * Return: 0 or a negative error.
 */
int stt_fdb_add(struct ndmsg *ndm, struct nlattr *tb[], struct net_device *dev,
		const unsigned char *mac, u16 vid, u16 nlflags, bool *notified,
		struct netlink_ext_ack *extack)
{
	enum stt_fdb_tell tell = notified ? STT_TELL_ALL : STT_TELL_EVENTS;
	struct stt_dev *stt = netdev_priv(dev);
	struct stt_fdb_request rq;
	int err;

	if (!(ndm->ndm_state & (NUD_PERMANENT | NUD_REACHABLE | NUD_NOARP))) {
		NL_SET_ERR_MSG(extack,
			       "State must be permanent, static or dynamic");
		return -EINVAL;
	}
	err = stt_fdb_parse(stt, ndm, tb, mac, &rq, extack);
	if (err)
		return err;
	if (!rq.has_dst) {
		NL_SET_ERR_MSG(extack,
			       "A destination address (dst) is required");
		return -EINVAL;
	}
	rq.nlflags = nlflags;
	err = stt_dev_set_fdb(stt, &rq, tell, extack);
	if (notified)
		*notified = true;
	return err;
}

/**
 * stt_fdb_del() - ndo_fdb_del
 * @ndm: message
 * @tb: attributes, unchecked
 * @dev: stt device
 * @mac: MAC address
 * @vid: VLAN, ignored
 * @notified: as for stt_fdb_add()
 * @extack: told what is wrong
 *
 * Return: 0 or a negative error: -ENOENT if there is no such entry or it has
 * no such destination.
 */
int stt_fdb_del(struct ndmsg *ndm, struct nlattr *tb[], struct net_device *dev,
		const unsigned char *mac, u16 vid, bool *notified,
		struct netlink_ext_ack *extack)
{
	enum stt_fdb_tell tell = notified ? STT_TELL_ALL : STT_TELL_EVENTS;
	struct stt_dev *stt = netdev_priv(dev);
	struct stt_fdb_request rq;
	int err;

	err = stt_fdb_parse(stt, ndm, tb, mac, &rq, extack);
	if (err)
		return err;
	err = stt_fdb_forget(stt, &rq, tell);
	if (notified)
		*notified = true;
	return err;
}

static int stt_fdb_parse_filter(const struct ndmsg *ndm, struct nlattr *tb[],
				struct stt_fdb_filter *filter,
				struct netlink_ext_ack *extack)
{
	int err;

	if (tb[NDA_IFINDEX]) {
		NL_SET_ERR_MSG_ATTR(extack, tb[NDA_IFINDEX],
				    "There are no bridge ports (brport) in the FDB of the device itself");
		return -EINVAL;
	}
	if (tb[NDA_NDM_STATE_MASK])
		filter->state_mask = nla_get_u16(tb[NDA_NDM_STATE_MASK]);
	if (tb[NDA_NDM_FLAGS_MASK])
		filter->flags_mask = nla_get_u8(tb[NDA_NDM_FLAGS_MASK]);
	filter->state = ndm->ndm_state & filter->state_mask;
	filter->flags = ndm->ndm_flags & filter->flags_mask;
	if (tb[NDA_DST]) {
		err = stt_fdb_parse_dst(tb[NDA_DST], &filter->addr, extack);
		if (err)
			return err;
	}
	if (tb[NDA_PORT]) {
		err = stt_fdb_parse_port(tb[NDA_PORT], &filter->port, extack);
		if (err)
			return err;
	}
	filter->by_key = tb[NDA_SRC_VNI];
	err = stt_fdb_parse_key(tb[NDA_SRC_VNI], &filter->key, extack);
	if (err)
		return err;
	filter->by_dst_key = tb[NDA_VNI];
	return stt_fdb_parse_key(tb[NDA_VNI], &filter->dst_key, extack);
}

/**
 * stt_fdb_flush() - what ndo_fdb_del_bulk does on every kernel
 * @dev: stt device
 * @ndm: message
 * @tb: attributes
 * @vid: VLAN, must be 0
 * @extack: told what is wrong
 *
 * Return: 0 or a negative error.
 */
int stt_fdb_flush(struct net_device *dev, const struct ndmsg *ndm,
		  struct nlattr *tb[], u16 vid, struct netlink_ext_ack *extack)
{
	struct stt_fdb_filter filter = {};
	int err;

	if (vid) {
		NL_SET_ERR_MSG(extack,
			       "VLANs are not supported in the FDB of the device itself");
		return -EINVAL;
	}
	err = stt_fdb_parse_filter(ndm, tb, &filter, extack);
	if (err)
		return err;
	stt_fdb_purge(netdev_priv(dev), &filter);
	return 0;
}

/**
 * struct stt_fdb_dump_walk - state of a walk that fills a dump
 * @skb: to fill
 * @cb: state of the dump
 */
struct stt_fdb_dump_walk {
	struct sk_buff		*skb;
	struct netlink_callback	*cb;
};

/*
 * Ours is the end of what a dump remembers from one message to the next. The
 * core counts what is dumped, which after a removal is not where it was; its
 * count stands for other tables of the same port, before us.
 */
static struct stt_fdb_cursor *stt_fdb_dump_cursor(struct netlink_callback *cb)
{
	const size_t core = 24;

	BUILD_BUG_ON(core + sizeof(struct stt_fdb_cursor) > sizeof(cb->ctx));
	return (struct stt_fdb_cursor *)&cb->ctx[core];
}

static int stt_fdb_dump_one(struct stt_dev *stt,
			    const struct stt_fdb_info *info, void *arg)
{
	const struct stt_fdb_dump_walk *walk = arg;
	struct netlink_callback *cb = walk->cb;

	return stt_event_fill_neigh(walk->skb, stt, info,
				    NETLINK_CB(cb->skb).portid,
				    cb->nlh->nlmsg_seq, RTM_NEWNEIGH,
				    NLM_F_MULTI);
}

/**
 * stt_fdb_dump() - ndo_fdb_dump
 * @skb: to fill
 * @cb: state of the dump
 * @dev: stt device
 * @filter_dev: unused
 * @idx: unused
 *
 * Return: 0 or -EMSGSIZE if @skb is full.
 */
int stt_fdb_dump(struct sk_buff *skb, struct netlink_callback *cb,
		 struct net_device *dev, struct net_device *filter_dev,
		 int *idx)
{
	struct stt_fdb_dump_walk walk = { skb, cb };
	int err;

	rcu_read_lock();
	err = stt_fdb_walk(netdev_priv(dev), stt_fdb_dump_cursor(cb),
			   stt_fdb_dump_one, &walk);
	rcu_read_unlock();
	return err;
}

/**
 * stt_fdb_get() - ndo_fdb_get
 * @skb: to fill
 * @tb: attributes
 * @dev: stt device
 * @mac: MAC address
 * @vid: VLAN, ignored
 * @portid: who asks
 * @seq: sequence number of the question
 * @extack: told what is wrong
 *
 * Return: 0 or a negative error: -ENOENT if there is no such entry.
 */
int stt_fdb_get(struct sk_buff *skb, struct nlattr *tb[],
		struct net_device *dev, const unsigned char *mac, u16 vid,
		u32 portid, u32 seq, struct netlink_ext_ack *extack)
{
	struct stt_dev *stt = netdev_priv(dev);
	struct stt_fdb_info info;
	u64 key = stt_dev_usual_key(stt);
	struct stt_fdb_id id;
	int err;

	err = stt_fdb_parse_key(tb[NDA_SRC_VNI] ?: tb[NDA_VNI], &key, extack);
	if (err)
		return err;
	id = stt_fdb_id(mac, key);
	rcu_read_lock();
	if (stt_fdb_peek(stt, &id, &info)) {
		err = stt_event_fill_neigh(skb, stt, &info, portid, seq,
					   RTM_NEWNEIGH, 0);
	} else {
		NL_SET_ERR_MSG(extack, "No FDB entry for this address");
		err = -ENOENT;
	}
	rcu_read_unlock();
	return err;
}
