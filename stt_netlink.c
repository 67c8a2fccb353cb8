// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: link attributes <-> configuration.
 *
 * Creation and change share one parser. It fills in a value, which is checked
 * as a whole before anything is done with it.
 */
#include <linux/etherdevice.h>
#include <linux/if_stt.h>
#include <linux/inetdevice.h>
#include <net/ipv6.h>
#include <net/netlink.h>
#include <net/rtnetlink.h>

#include "stt_private.h"

/*
 * The most attributes that a link type may have. All of them are announced, as
 * those above a type's own maximum would be ignored in silence.
 */
#define STT_ATTR_LIMIT	50

static const struct nla_policy stt_policy[STT_ATTR_LIMIT + 1] = {
	[IFLA_STT_PAD]			= { .strict_start_type = IFLA_STT_KEY },
	[IFLA_STT_KEY]			= { .type = NLA_U64 },
	[IFLA_STT_REMOTE]		= NLA_POLICY_EXACT_LEN(4),
	[IFLA_STT_REMOTE6]		= NLA_POLICY_EXACT_LEN(16),
	[IFLA_STT_LOCAL]		= NLA_POLICY_EXACT_LEN(4),
	[IFLA_STT_LOCAL6]		= NLA_POLICY_EXACT_LEN(16),
	[IFLA_STT_LINK]			= { .type = NLA_U32 },
	[IFLA_STT_PORT]			= { .type = NLA_BE16 },
	[IFLA_STT_PORT_RANGE]		=
		NLA_POLICY_EXACT_LEN(sizeof(struct ifla_stt_port_range)),
	[IFLA_STT_TTL]			= { .type = NLA_U8 },
	[IFLA_STT_TTL_INHERIT]		= NLA_POLICY_MAX(NLA_U8, 1),
	[IFLA_STT_TOS]			= { .type = NLA_U8 },
	[IFLA_STT_DF]			= NLA_POLICY_MAX(NLA_U8, STT_DF_MAX),
	[IFLA_STT_LABEL]		= { .type = NLA_U32 },
	[IFLA_STT_COLLECT_METADATA]	= NLA_POLICY_MAX(NLA_U8, 1),
	[IFLA_STT_LEARNING]		= NLA_POLICY_MAX(NLA_U8, 1),
	[IFLA_STT_AGEING]		= { .type = NLA_U32 },
	[IFLA_STT_LIMIT]		= { .type = NLA_U32 },
	[IFLA_STT_CSUM_TRUST]		= NLA_POLICY_MAX(NLA_U8, 1),
	[IFLA_STT_VLAN_COMPAT]		= NLA_POLICY_MAX(NLA_U8, 1),
	[IFLA_STT_KEYBASE]		= { .type = NLA_U32 },
	[IFLA_STT_DSCP_COPY]		= NLA_POLICY_MAX(NLA_U8, 1),
	[IFLA_STT_OKEY]			= { .type = NLA_U64 },
	[IFLA_STT_FWMARK]		= { .type = NLA_U32 },
	[IFLA_STT_LABEL_INHERIT]	= NLA_POLICY_MAX(NLA_U8, 1),
	[IFLA_STT_MAX + 1 ... STT_ATTR_LIMIT] = {
		.type = NLA_REJECT,
		.reject_message = "Attribute is newer than this version of stt",
	},
};

static const struct stt_conf stt_conf_default = {
	.port = htons(STT_DEFAULT_PORT),
	.sport_min = STT_DEFAULT_SPORT_MIN,
	.sport_max = STT_DEFAULT_SPORT_MAX,
	.df = STT_DF_SET,
	.ageing = STT_DEFAULT_AGEING,
	.policy.csum_trust = true,
};

static int stt_validate(struct nlattr *tb[], struct nlattr *data[],
			struct netlink_ext_ack *extack)
{
	if (!tb[IFLA_ADDRESS])
		return 0;
	if (nla_len(tb[IFLA_ADDRESS]) != ETH_ALEN) {
		NL_SET_ERR_MSG_ATTR(extack, tb[IFLA_ADDRESS],
				    "Link address must be 6 bytes long");
		return -EINVAL;
	}
	if (!is_valid_ether_addr(nla_data(tb[IFLA_ADDRESS]))) {
		NL_SET_ERR_MSG_ATTR(extack, tb[IFLA_ADDRESS],
				    "Link address must be a unicast one and not zero");
		return -EADDRNOTAVAIL;
	}
	return 0;
}

/* An address that is given by one of two attributes, of either family. */
static int stt_parse_addr(struct nlattr *v4, struct nlattr *v6,
			  struct in6_addr *addr, struct netlink_ext_ack *extack)
{
	if (v4 && v6) {
		NL_SET_ERR_MSG_ATTR(extack, v6,
				    "An address must be either IPv4 or IPv6, not both");
		return -EINVAL;
	}
	if (v4)
		ipv6_addr_set_v4mapped(nla_get_in_addr(v4), addr);
	if (v6) {
		*addr = nla_get_in6_addr(v6);
		if (ipv6_addr_v4mapped(addr)) {
			NL_SET_ERR_MSG_ATTR(extack, v6,
					    "IPv4 address must not be written as an IPv6 one");
			return -EINVAL;
		}
		if (!ipv6_addr_any(addr) && !ipv6_mod_enabled()) {
			NL_SET_ERR_MSG_ATTR(extack, v6,
					    "Address must be an IPv4 one, this kernel has no IPv6");
			return -EAFNOSUPPORT;
		}
	}
	return 0;
}

static int stt_parse_remote(struct nlattr *data[], struct stt_conf *conf,
			    struct netlink_ext_ack *extack)
{
	struct nlattr *attr = data[IFLA_STT_REMOTE] ?: data[IFLA_STT_REMOTE6];
	struct in6_addr *remote = &conf->remote;
	int err;

	err = stt_parse_addr(data[IFLA_STT_REMOTE], data[IFLA_STT_REMOTE6],
			     remote, extack);
	if (err || !attr)
		return err;
	/* As everywhere in iproute2, the zero address is "any". */
	if (stt_addr_is_v4(remote) && !stt_addr_v4(remote))
		*remote = in6addr_any;
	if (stt_addr_is_v4(remote) && ipv4_is_lbcast(stt_addr_v4(remote))) {
		NL_SET_ERR_MSG_ATTR(extack, attr,
				    "Remote must be a unicast or multicast address");
		return -EINVAL;
	}
	return 0;
}

static int stt_parse_local(struct nlattr *data[], struct stt_conf *conf,
			   struct netlink_ext_ack *extack)
{
	struct nlattr *attr = data[IFLA_STT_LOCAL] ?: data[IFLA_STT_LOCAL6];
	struct in6_addr *local = &conf->local;
	int err;

	err = stt_parse_addr(data[IFLA_STT_LOCAL], data[IFLA_STT_LOCAL6],
			     local, extack);
	if (err || !attr)
		return err;
	if (stt_addr_is_v4(local) ?
	    ipv4_is_multicast(stt_addr_v4(local)) ||
	    ipv4_is_lbcast(stt_addr_v4(local)) :
	    ipv6_addr_is_multicast(local)) {
		NL_SET_ERR_MSG_ATTR(extack, attr,
				    "Local address must be a unicast address");
		return -EINVAL;
	}
	/* As everywhere in iproute2, the zero address is "any". */
	if (stt_addr_is_v4(local) && !stt_addr_v4(local))
		*local = in6addr_any;
	return 0;
}

static int stt_parse_ports(struct nlattr *data[], struct stt_conf *conf,
			   struct netlink_ext_ack *extack)
{
	const struct ifla_stt_port_range *range;

	if (data[IFLA_STT_PORT]) {
		conf->port = nla_get_be16(data[IFLA_STT_PORT]);
		if (!conf->port) {
			NL_SET_ERR_MSG_ATTR(extack, data[IFLA_STT_PORT],
					    "Destination port must be 1 to 65535");
			return -EINVAL;
		}
	}
	if (data[IFLA_STT_PORT_RANGE]) {
		range = nla_data(data[IFLA_STT_PORT_RANGE]);
		conf->sport_min = ntohs(range->low);
		conf->sport_max = ntohs(range->high);
		if (!conf->sport_min || conf->sport_min > conf->sport_max) {
			NL_SET_ERR_MSG_ATTR(extack, data[IFLA_STT_PORT_RANGE],
					    "Source ports must be 1 to 65535, the lower one first");
			return -EINVAL;
		}
	}
	return 0;
}

static int stt_parse_ip(struct nlattr *data[], struct stt_conf *conf,
			struct netlink_ext_ack *extack)
{
	if (data[IFLA_STT_TTL])
		conf->ttl = nla_get_u8(data[IFLA_STT_TTL]);
	if (data[IFLA_STT_TTL_INHERIT])
		conf->ttl_inherit = nla_get_u8(data[IFLA_STT_TTL_INHERIT]);
	else if (data[IFLA_STT_TTL])
		conf->ttl_inherit = false;
	if (conf->ttl_inherit && data[IFLA_STT_TTL] && conf->ttl) {
		NL_SET_ERR_MSG_ATTR(extack, data[IFLA_STT_TTL],
				    "TTL must be either a number or inherited, not both");
		return -EINVAL;
	}
	if (conf->ttl_inherit)
		conf->ttl = 0;
	if (data[IFLA_STT_TOS])
		conf->tos = nla_get_u8(data[IFLA_STT_TOS]);
	if (data[IFLA_STT_DF])
		conf->df = nla_get_u8(data[IFLA_STT_DF]);
	return 0;
}

static int stt_parse_label(struct nlattr *data[], struct stt_conf *conf,
			   struct netlink_ext_ack *extack)
{
	struct nlattr *inherit = data[IFLA_STT_LABEL_INHERIT];
	struct nlattr *label = data[IFLA_STT_LABEL];

	if (label) {
		conf->label = nla_get_be32(label);
		conf->label_inherit = false;
		if (conf->label & ~IPV6_FLOWLABEL_MASK) {
			NL_SET_ERR_MSG_ATTR(extack, label,
					    "Flow label must be 0 to 0xfffff");
			return -EINVAL;
		}
	}
	if (!inherit)
		return 0;
	conf->label_inherit = nla_get_u8(inherit);
	if (conf->label_inherit && label && conf->label) {
		NL_SET_ERR_MSG_ATTR(extack, label,
				    "Flow label must be either a number or inherited, not both");
		return -EINVAL;
	}
	if (conf->label_inherit)
		conf->label = 0;
	return 0;
}

static int stt_parse_link(struct net *net, struct nlattr *data[],
			  struct stt_conf *conf, struct netlink_ext_ack *extack)
{
	if (!data[IFLA_STT_LINK])
		return 0;
	conf->link = nla_get_u32(data[IFLA_STT_LINK]);
	if (conf->link && !__dev_get_by_index(net, conf->link)) {
		NL_SET_ERR_MSG_ATTR(extack, data[IFLA_STT_LINK],
				    "No device with this index in the namespace of the underlay");
		return -ENODEV;
	}
	return 0;
}

static void stt_parse_fdb(struct nlattr *data[], struct stt_conf *conf)
{
	if (data[IFLA_STT_LEARNING])
		conf->learning = nla_get_u8(data[IFLA_STT_LEARNING]);
	if (data[IFLA_STT_AGEING])
		conf->ageing = nla_get_u32(data[IFLA_STT_AGEING]);
	if (data[IFLA_STT_LIMIT])
		conf->limit = nla_get_u32(data[IFLA_STT_LIMIT]);
}

static void stt_parse_policy(struct nlattr *data[], struct stt_conf *conf)
{
	if (data[IFLA_STT_CSUM_TRUST])
		conf->policy.csum_trust = nla_get_u8(data[IFLA_STT_CSUM_TRUST]);
	if (data[IFLA_STT_VLAN_COMPAT])
		conf->policy.vlan_compat =
			nla_get_u8(data[IFLA_STT_VLAN_COMPAT]);
	if (data[IFLA_STT_DSCP_COPY])
		conf->dscp_copy = nla_get_u8(data[IFLA_STT_DSCP_COPY]);
}

static int stt_conf_check_external(const struct stt_conf *conf,
				   struct nlattr *data[],
				   struct netlink_ext_ack *extack)
{
	if (!conf->external) {
		if (!data[IFLA_STT_KEYBASE])
			return 0;
		NL_SET_ERR_MSG_ATTR(extack, data[IFLA_STT_KEYBASE],
				    "A keybase requires an external device");
		return -EINVAL;
	}
	if (data[IFLA_STT_KEY]) {
		NL_SET_ERR_MSG_ATTR(extack, data[IFLA_STT_KEY],
				    "An external device takes the Context ID (id) from each packet");
		return -EINVAL;
	}
	if (data[IFLA_STT_OKEY]) {
		NL_SET_ERR_MSG_ATTR(extack, data[IFLA_STT_OKEY],
				    "An external device takes the Context ID (okey) from each packet");
		return -EINVAL;
	}
	if (!ipv6_addr_any(&conf->remote)) {
		NL_SET_ERR_MSG_ATTR(extack, data[IFLA_STT_REMOTE] ?:
					    data[IFLA_STT_REMOTE6],
				    "An external device takes the remote from each packet");
		return -EINVAL;
	}
	return 0;
}

/* What no attribute says alone. */
static int stt_conf_check(const struct stt_conf *conf,
			  struct netlink_ext_ack *extack)
{
	const struct in6_addr *remote = &conf->remote;
	const struct in6_addr *local = &conf->local;

	if (!ipv6_addr_any(local) && !ipv6_addr_any(remote) &&
	    stt_addr_is_v4(remote) != stt_addr_is_v4(local)) {
		NL_SET_ERR_MSG(extack,
			       "Local and remote must be of the same address family");
		return -EINVAL;
	}
	if (stt_addr_is_multicast(remote) && !conf->link) {
		NL_SET_ERR_MSG(extack,
			       "A multicast group requires an underlay device (dev)");
		return -EINVAL;
	}
	if (ipv6_addr_type(remote) & IPV6_ADDR_LINKLOCAL && !conf->link) {
		NL_SET_ERR_MSG(extack,
			       "A link-local remote requires an underlay device (dev)");
		return -EINVAL;
	}
	if ((conf->label || conf->label_inherit) &&
	    (stt_addr_is_v4(remote) || stt_addr_is_v4(local))) {
		NL_SET_ERR_MSG(extack,
			       "A flow label requires an IPv6 underlay");
		return -EINVAL;
	}
	return 0;
}

static int stt_parse(struct net *net, struct nlattr *data[],
		     struct stt_conf *conf, struct netlink_ext_ack *extack)
{
	int err;

	if (data[IFLA_STT_KEY])
		conf->key = nla_get_u64(data[IFLA_STT_KEY]);
	if (data[IFLA_STT_OKEY])
		conf->okey = nla_get_u64(data[IFLA_STT_OKEY]);
	if (data[IFLA_STT_FWMARK])
		conf->fwmark = nla_get_u32(data[IFLA_STT_FWMARK]);
	err = stt_parse_remote(data, conf, extack);
	if (err)
		return err;
	err = stt_parse_local(data, conf, extack);
	if (err)
		return err;
	err = stt_parse_ports(data, conf, extack);
	if (err)
		return err;
	err = stt_parse_ip(data, conf, extack);
	if (err)
		return err;
	err = stt_parse_label(data, conf, extack);
	if (err)
		return err;
	err = stt_parse_link(net, data, conf, extack);
	if (err)
		return err;
	stt_parse_fdb(data, conf);
	stt_parse_policy(data, conf);
	return stt_conf_check(conf, extack);
}

/**
 * stt_newlink() - rtnl_link_ops.newlink
 * @dev: a device that was set up by stt_dev_setup()
 * @params: namespace of the underlay and attributes
 * @extack: told what is wrong
 *
 * Return: 0 or a negative error.
 */
int stt_newlink(struct net_device *dev, struct rtnl_newlink_params *params,
		struct netlink_ext_ack *extack)
{
	struct net *net = rtnl_newlink_link_net(params);
	struct stt_conf conf = stt_conf_default;
	struct nlattr **data = params->data;
	int err;

	if (data && data[IFLA_STT_COLLECT_METADATA])
		conf.external = nla_get_u8(data[IFLA_STT_COLLECT_METADATA]);
	if (!data || (!data[IFLA_STT_KEY] && !conf.external)) {
		NL_SET_ERR_MSG(extack,
			       "A Context ID (id) is required, or external");
		return -EINVAL;
	}
	err = stt_parse(net, data, &conf, extack);
	if (err)
		return err;
	err = stt_conf_check_external(&conf, data, extack);
	if (err)
		return err;
	if (data[IFLA_STT_KEYBASE]) {
		conf.keybase = true;
		conf.key = (u64)nla_get_u32(data[IFLA_STT_KEYBASE]) << 32;
	}
	if (!data[IFLA_STT_OKEY])
		conf.okey = conf.key;
	if (!data[IFLA_STT_LEARNING])
		conf.learning = !conf.external &&
				(ipv6_addr_any(&conf.remote) ||
				 stt_addr_is_multicast(&conf.remote));
	return stt_dev_add(net, dev, &conf, extack);
}

/* What a change must leave as it is. */
static int stt_conf_check_change(const struct stt_conf *old,
				 const struct stt_conf *new,
				 struct nlattr *data[],
				 struct netlink_ext_ack *extack)
{
	struct nlattr *external = data[IFLA_STT_COLLECT_METADATA];
	struct nlattr *keybase = data[IFLA_STT_KEYBASE];

	if (external && nla_get_u8(external) != old->external) {
		NL_SET_ERR_MSG_ATTR(extack, external,
				    "A device cannot become or cease to be external");
		return -EOPNOTSUPP;
	}
	if (keybase &&
	    (!old->keybase || nla_get_u32(keybase) != old->key >> 32)) {
		NL_SET_ERR_MSG_ATTR(extack, keybase,
				    "The keybase cannot be changed");
		return -EOPNOTSUPP;
	}
	if (new->port != old->port) {
		NL_SET_ERR_MSG_ATTR(extack, data[IFLA_STT_PORT],
				    "The destination port (dstport) cannot be changed");
		return -EOPNOTSUPP;
	}
	if (old->external)
		return stt_conf_check_external(new, data, extack);
	if (new->key != old->key) {
		NL_SET_ERR_MSG_ATTR(extack, data[IFLA_STT_KEY],
				    "The Context ID (id) cannot be changed");
		return -EOPNOTSUPP;
	}
	if (!ipv6_addr_any(&old->remote) && !ipv6_addr_any(&new->remote) &&
	    stt_addr_is_v4(&new->remote) != stt_addr_is_v4(&old->remote)) {
		NL_SET_ERR_MSG_ATTR(extack, data[IFLA_STT_REMOTE] ?:
					    data[IFLA_STT_REMOTE6],
				    "The address family of the remote cannot be changed");
		return -EOPNOTSUPP;
	}
	return 0;
}

static int stt_changelink(struct net_device *dev, struct nlattr *tb[],
			  struct nlattr *data[], struct netlink_ext_ack *extack)
{
	struct stt_dev *stt = netdev_priv(dev);
	const struct stt_conf *old = &rtnl_dereference(stt->state)->conf;
	struct stt_conf conf = *old;
	int err;

	if (!rtnl_dev_link_net_capable(dev, stt->net))
		return -EPERM;
	if (!data)
		return 0;
	err = stt_parse(stt->net, data, &conf, extack);
	if (err)
		return err;
	err = stt_conf_check_change(old, &conf, data, extack);
	if (err)
		return err;
	return stt_dev_change(stt, &conf, extack);
}

static size_t stt_get_size(const struct net_device *dev)
{
	return nla_total_size_64bit(sizeof(u64)) +		/* KEY */
	       nla_total_size(sizeof(struct in6_addr)) +	/* REMOTE6 */
	       nla_total_size(sizeof(struct in6_addr)) +	/* LOCAL6 */
	       nla_total_size(sizeof(u32)) +			/* LINK */
	       nla_total_size(sizeof(__be16)) +			/* PORT */
	       nla_total_size(sizeof(struct ifla_stt_port_range)) +
	       nla_total_size(sizeof(u8)) +			/* TTL */
	       nla_total_size(sizeof(u8)) +		/* TTL_INHERIT */
	       nla_total_size(sizeof(u8)) +			/* TOS */
	       nla_total_size(sizeof(u8)) +			/* DF */
	       nla_total_size(sizeof(__be32)) +			/* LABEL */
	       nla_total_size(sizeof(u8)) +		/* COLLECT_METADATA */
	       nla_total_size(sizeof(u8)) +			/* LEARNING */
	       nla_total_size(sizeof(u32)) +			/* AGEING */
	       nla_total_size(sizeof(u32)) +			/* LIMIT */
	       nla_total_size(sizeof(u32)) +			/* KEYBASE */
	       nla_total_size(sizeof(u8)) +			/* DSCP_COPY */
	       nla_total_size(sizeof(u8)) +			/* CSUM_TRUST */
	       nla_total_size(sizeof(u8)) +		/* VLAN_COMPAT */
	       nla_total_size_64bit(sizeof(u64)) +		/* OKEY */
	       nla_total_size(sizeof(u32)) +			/* FWMARK */
	       nla_total_size(sizeof(u8)) +		/* LABEL_INHERIT */
	       0;
}

static int stt_put_addr(struct sk_buff *skb, int v4, int v6,
			const struct in6_addr *addr)
{
	if (ipv6_addr_any(addr))
		return 0;
	if (stt_addr_is_v4(addr))
		return nla_put_in_addr(skb, v4, stt_addr_v4(addr));
	return nla_put_in6_addr(skb, v6, addr);
}

static int stt_fill_info(struct sk_buff *skb, const struct net_device *dev)
{
	const struct stt_dev *stt = netdev_priv(dev);
	struct ifla_stt_port_range range;
	const struct stt_conf *conf;
	int err = -EMSGSIZE;

	rcu_read_lock();
	conf = &rcu_dereference(stt->state)->conf;
	range.low = htons(conf->sport_min);
	range.high = htons(conf->sport_max);
	if (conf->external ?
	    nla_put_u8(skb, IFLA_STT_COLLECT_METADATA, 1) :
	    nla_put_u64_64bit(skb, IFLA_STT_KEY, conf->key, IFLA_STT_PAD))
		goto unlock;
	if (conf->keybase &&
	    nla_put_u32(skb, IFLA_STT_KEYBASE, conf->key >> 32))
		goto unlock;
	if (!conf->external &&
	    nla_put_u64_64bit(skb, IFLA_STT_OKEY, conf->okey, IFLA_STT_PAD))
		goto unlock;
	if (nla_put_u8(skb, IFLA_STT_LEARNING, conf->learning) ||
	    nla_put_u32(skb, IFLA_STT_AGEING, conf->ageing) ||
	    nla_put_u32(skb, IFLA_STT_LIMIT, conf->limit) ||
	    nla_put_u8(skb, IFLA_STT_DSCP_COPY, conf->dscp_copy) ||
	    stt_put_addr(skb, IFLA_STT_REMOTE, IFLA_STT_REMOTE6,
			 &conf->remote) ||
	    stt_put_addr(skb, IFLA_STT_LOCAL, IFLA_STT_LOCAL6,
			 &conf->local) ||
	    (conf->link && nla_put_u32(skb, IFLA_STT_LINK, conf->link)) ||
	    nla_put_be16(skb, IFLA_STT_PORT, conf->port) ||
	    nla_put(skb, IFLA_STT_PORT_RANGE, sizeof(range), &range) ||
	    nla_put_u8(skb, IFLA_STT_TTL, conf->ttl) ||
	    nla_put_u8(skb, IFLA_STT_TTL_INHERIT, conf->ttl_inherit) ||
	    nla_put_u8(skb, IFLA_STT_TOS, conf->tos) ||
	    nla_put_u8(skb, IFLA_STT_DF, conf->df) ||
	    nla_put_be32(skb, IFLA_STT_LABEL, conf->label) ||
	    nla_put_u8(skb, IFLA_STT_LABEL_INHERIT, conf->label_inherit) ||
	    nla_put_u32(skb, IFLA_STT_FWMARK, conf->fwmark) ||
	    nla_put_u8(skb, IFLA_STT_CSUM_TRUST, conf->policy.csum_trust) ||
	    nla_put_u8(skb, IFLA_STT_VLAN_COMPAT, conf->policy.vlan_compat))
		goto unlock;
	err = 0;
unlock:
	rcu_read_unlock();
	return err;
}

static size_t stt_get_xstats_size(const struct net_device *dev)
{
	return STT_XSTATS_MAX * nla_total_size_64bit(sizeof(u64));
}

static int stt_fill_xstats(struct sk_buff *skb, const struct net_device *dev)
{
	const struct stt_dev *stt = netdev_priv(dev);
	struct nlattr *nest;
	int i;

	nest = nla_nest_start_noflag(skb, IFLA_INFO_XSTATS);
	if (!nest)
		return -EMSGSIZE;
	for (i = 1; i <= STT_XSTATS_MAX; i++)
		if (nla_put_u64_64bit(skb, i, atomic_long_read(&stt->drops[i]),
				      STT_XSTATS_PAD)) {
			nla_nest_cancel(skb, nest);
			return -EMSGSIZE;
		}
	nla_nest_end(skb, nest);
	return 0;
}

static struct net *stt_get_link_net(const struct net_device *dev)
{
	const struct stt_dev *stt = netdev_priv(dev);

	return READ_ONCE(stt->net);
}

struct rtnl_link_ops stt_link_ops = {
	.kind			= "stt",
	.maxtype		= STT_ATTR_LIMIT,
	.policy			= stt_policy,
	.priv_size		= sizeof(struct stt_dev),
	.setup			= stt_dev_setup,
	.validate		= stt_validate,
	.newlink		= stt_compat_newlink,
	.changelink		= stt_changelink,
	.dellink		= stt_dev_del,
	.get_size		= stt_get_size,
	.fill_info		= stt_fill_info,
	.get_xstats_size	= stt_get_xstats_size,
	.fill_xstats		= stt_fill_xstats,
	.get_link_net		= stt_get_link_net,
};

/**
 * stt_dev_create_fb() - create an external device, for other modules
 * @net: namespace of the device and of its underlay
 * @name: name of the device
 * @name_assign_type: %NET_NAME_*
 * @port: TCP port to send to and to receive on
 *
 * The device takes the ends and the Context ID of each packet from its
 * metadata ("flow based"), hears what no other device claims, is down, and has
 * the defaults of one that is made by "ip link add ... external" otherwise.
 * Whoever creates it may delete it as anyone else: through the dellink of its
 * rtnl_link_ops.
 *
 * Context: process, RTNL held.
 * Return: the device, or an ERR_PTR: %-EEXIST if the name is in use or there is
 * such a tunnel, %-EADDRINUSE if the port is taken, %-ENOMEM.
 */
struct net_device *stt_dev_create_fb(struct net *net, const char *name,
				     unsigned char name_assign_type,
				     __be16 port)
{
	struct nlattr *tb[IFLA_MAX + 1] = {};
	struct stt_conf conf = stt_conf_default;
	struct net_device *dev;
	LIST_HEAD(kill);
	int err;

	conf.external = true;
	conf.port = port;
	dev = rtnl_create_link(net, name, name_assign_type, &stt_link_ops, tb,
			       NULL);
	if (IS_ERR(dev))
		return dev;
	err = stt_dev_add(net, dev, &conf, NULL);
	if (err) {
		free_netdev(dev);
		return ERR_PTR(err);
	}
	err = rtnl_configure_link(dev, NULL, 0, NULL);
	if (err < 0) {
		stt_dev_del(dev, &kill);
		unregister_netdevice_many(&kill);
		return ERR_PTR(err);
	}
	return dev;
}
EXPORT_SYMBOL_GPL(stt_dev_create_fb);

/**
 * stt_dev_port() - TCP port of a device
 * @dev: an stt device
 *
 * Context: any, with a reference to the device, which may be unregistered.
 * Return: the port that it sends to and receives on, which never changes.
 */
__be16 stt_dev_port(const struct net_device *dev)
{
	const struct stt_dev *stt = netdev_priv(dev);

	return stt->id.port;
}
EXPORT_SYMBOL_GPL(stt_dev_port);
