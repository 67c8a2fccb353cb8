// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: the network device and the table of tunnels.
 */
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/if_vlan.h>
#include <linux/jhash.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <net/dst_cache.h>
#include <net/gro_cells.h>
#include <net/ip.h>
#include <net/rtnetlink.h>
#include <net/stt.h>

#include "stt_private.h"

/*
 * Longest inner frames. The outer packet, with its Ethernet header, must stay
 * below the 65536 bytes at which the core refuses to leave segmentation to a
 * NIC; IPv6 is the tighter case.
 */
#define STT_INNER_MAX	(STT_FRAME_MAX - ETH_HLEN - sizeof(struct ipv6hdr) - \
			 sizeof(struct tcphdr) - STT_HLEN)

/* Room in front of a frame: IPv6 or IPv4, TCP-like header, frame header. */
#define STT_HEADROOM	(sizeof(struct ipv6hdr) + sizeof(struct tcphdr) + \
			 STT_HLEN)

/* What STT can say of a packet; the core resolves the rest before us. */
#define STT_FEATURES	(NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_FRAGLIST | \
			 NETIF_F_HIGHDMA | NETIF_F_TSO | NETIF_F_TSO6 | \
			 NETIF_F_TSO_MANGLEID)

/**
 * struct stt_drop_info - how a cause of drops is reported
 * @name: in "ethtool -S"
 * @reason: for the drop monitor
 * @stat: offset of the counter of &struct net_device_stats it adds to
 */
struct stt_drop_info {
	char			name[ETH_GSTRING_LEN];
	enum skb_drop_reason	reason;
	unsigned int		stat;
};

#define STT_DROP(_cause, _name, _reason, _stat)				\
	[STT_XSTATS_ ## _cause] = {					\
		.name = _name,						\
		.reason = SKB_DROP_REASON_ ## _reason,			\
		.stat = offsetof(struct net_device, stats.__ ## _stat),	\
	}

static const struct stt_drop_info stt_drops[__STT_XSTATS_MAX] = {
	STT_DROP(TX_NO_ROUTE, "tx_no_route", IP_OUTNOROUTES,
		 tx_carrier_errors),
	STT_DROP(TX_LOOP, "tx_loop", NOT_SPECIFIED, collisions),
	STT_DROP(TX_TOO_LONG, "tx_too_long", PKT_TOO_BIG, tx_errors),
	STT_DROP(TX_BAD_INNER, "tx_bad_inner", HDR_TRUNC, tx_errors),
	STT_DROP(TX_NO_REMOTE, "tx_no_remote", NO_TX_TARGET, tx_dropped),
	STT_DROP(TX_NO_MEM, "tx_no_mem", NOMEM, tx_dropped),
	STT_DROP(RX_DOWN, "rx_down", DEV_READY, rx_dropped),
	STT_DROP(RX_SHORT, "rx_short", HDR_TRUNC, rx_length_errors),
	STT_DROP(RX_BAD_FLAGS, "rx_bad_flags", NOT_SPECIFIED, rx_errors),
	STT_DROP(RX_BAD_OFFLOAD, "rx_bad_offload", NOT_SPECIFIED, rx_errors),
	STT_DROP(RX_BAD_MSS, "rx_bad_mss", NOT_SPECIFIED, rx_errors),
	STT_DROP(RX_BAD_MAC, "rx_bad_mac", MAC_INVALID_SOURCE, rx_errors),
	STT_DROP(RX_ECN, "rx_ecn", IP_TUNNEL_ECN, rx_frame_errors),
	STT_DROP(RX_NO_MEM, "rx_no_mem", NOMEM, rx_dropped),
};

void stt_dev_drop(struct stt_dev *stt, struct sk_buff *skb, int cause)
{
	const struct stt_drop_info *info = &stt_drops[cause];

	atomic_long_inc(&stt->drops[cause]);
	atomic_long_inc((atomic_long_t *)((u8 *)stt->dev + info->stat));
	kfree_skb_reason(skb, info->reason);
}

/* The table of tunnels */

/* Identities are set by the administrator: no need to withstand an attacker. */
static u32 stt_tunnel_hash(const void *data, u32 len, u32 seed)
{
	const struct stt_tunnel_id *id = data;
	const __be32 *r = id->remote.s6_addr32, *l = id->local.s6_addr32;

	return jhash_3words((u32)id->key ^ (__force u32)(r[3] ^ r[1]),
			    (u32)(id->key >> 32) ^ (__force u32)(r[2] ^ r[0]),
			    (__force u32)(l[0] ^ l[1] ^ l[2] ^ l[3]) ^
			    id->scope ^ (__force u16)id->port, seed);
}

static const struct rhashtable_params stt_tunnel_params = {
	.key_len = sizeof(struct stt_tunnel_id),
	.key_offset = offsetof(struct stt_dev, id),
	.head_offset = offsetof(struct stt_dev, node),
	.hashfn = stt_tunnel_hash,
	.automatic_shrinking = true,
};

static const struct rhashtable_params stt_peer_params = {
	.key_len = sizeof(struct in6_addr),
	.key_offset = offsetof(struct stt_peer, addr),
	.head_offset = offsetof(struct stt_peer, node),
	.automatic_shrinking = true,
};

/**
 * stt_tunnels_init() - prepare the tables of a namespace
 * @sn: the namespace
 *
 * Return: 0 or -ENOMEM.
 */
int stt_tunnels_init(struct stt_net *sn)
{
	int err;

	spin_lock_init(&sn->peers_lock);
	err = rhashtable_init(&sn->tunnels, &stt_tunnel_params);
	if (err)
		return err;
	err = rhashtable_init(&sn->peers, &stt_peer_params);
	if (err)
		rhashtable_destroy(&sn->tunnels);
	return err;
}

/**
 * stt_tunnels_exit() - free the tables of a namespace, which are empty
 * @sn: the namespace
 */
void stt_tunnels_exit(struct stt_net *sn)
{
	WARN_ON_ONCE(atomic_read(&sn->tunnels.nelems) ||
		     atomic_read(&sn->peers.nelems));
	rhashtable_destroy(&sn->peers);
	rhashtable_destroy(&sn->tunnels);
}

/**
 * stt_peer_get() - note that a tunnel leads to an address
 * @sn: namespace
 * @addr: the address
 *
 * Return: 0 or -ENOMEM.
 */
int stt_peer_get(struct stt_net *sn, const struct in6_addr *addr)
{
	struct stt_peer *peer;
	int err = 0;

	spin_lock_bh(&sn->peers_lock);
	peer = rhashtable_lookup_fast(&sn->peers, addr, stt_peer_params);
	if (peer) {
		peer->users++;
		goto unlock;
	}
	err = -ENOMEM;
	peer = kzalloc(sizeof(*peer), GFP_ATOMIC | __GFP_ACCOUNT);
	if (!peer)
		goto unlock;
	peer->addr = *addr;
	peer->users = 1;
	err = rhashtable_insert_fast(&sn->peers, &peer->node, stt_peer_params);
	if (err)
		kfree(peer);
unlock:
	spin_unlock_bh(&sn->peers_lock);
	return err;
}

/**
 * stt_peer_put() - a tunnel no longer leads to an address
 * @sn: namespace
 * @addr: the address
 */
void stt_peer_put(struct stt_net *sn, const struct in6_addr *addr)
{
	struct stt_peer *peer;

	spin_lock_bh(&sn->peers_lock);
	peer = rhashtable_lookup_fast(&sn->peers, addr, stt_peer_params);
	if (!WARN_ON_ONCE(!peer) && !--peer->users) {
		rhashtable_remove_fast(&sn->peers, &peer->node,
				       stt_peer_params);
		kfree_rcu(peer, rcu);
	}
	spin_unlock_bh(&sn->peers_lock);
}

/**
 * stt_peer_known() - does some tunnel lead to an address?
 * @sn: namespace
 * @addr: the address
 *
 * Context: RCU read lock held.
 * Return: whether it does.
 */
bool stt_peer_known(struct stt_net *sn, const struct in6_addr *addr)
{
	return rhashtable_lookup(&sn->peers, addr, stt_peer_params);
}

static enum stt_shape stt_tunnel_shape(const struct stt_tunnel_id *id)
{
	return (ipv6_addr_any(&id->remote) ? STT_SHAPE_LOCAL :
					     STT_SHAPE_BOTH) +
	       ipv6_addr_any(&id->local);
}

static int stt_tunnel_insert(struct stt_net *sn, struct stt_dev *stt)
{
	unsigned int *count = &sn->shapes[stt_tunnel_shape(&stt->id)];
	int err;

	ASSERT_RTNL();

	err = rhashtable_lookup_insert_fast(&sn->tunnels, &stt->node,
					    stt_tunnel_params);
	if (!err)
		WRITE_ONCE(*count, *count + 1);
	return err;
}

static void stt_tunnel_remove(struct stt_net *sn, struct stt_dev *stt)
{
	unsigned int *count = &sn->shapes[stt_tunnel_shape(&stt->id)];

	ASSERT_RTNL();

	rhashtable_remove_fast(&sn->tunnels, &stt->node, stt_tunnel_params);
	WRITE_ONCE(*count, *count - 1);
}

/**
 * stt_tunnel_find() - the device that a received frame is for
 * @sn: namespace it arrived in
 * @key: its Context ID
 * @frame: where it comes from and went to
 *
 * Context: RCU read lock held.
 * Return: the device whose ends match most exactly, or NULL.
 */
struct stt_dev *stt_tunnel_find(struct stt_net *sn, u64 key,
				const struct stt_frame_id *frame)
{
	struct stt_tunnel_id id = {
		.key = key,
		.scope = frame->scope,
		.port = frame->dport,
	};
	struct stt_dev *stt;
	int shape;

	for (shape = STT_SHAPE_BOTH; shape < __STT_SHAPE_MAX; shape++) {
		if (!READ_ONCE(sn->shapes[shape]))
			continue;
		id.remote = shape <= STT_SHAPE_REMOTE ? frame->saddr :
							in6addr_any;
		id.local = shape & 1 ? in6addr_any : frame->daddr;
		stt = rhashtable_lookup(&sn->tunnels, &id, stt_tunnel_params);
		if (stt)
			return stt;
	}
	return NULL;
}

/* Configuration */

static void stt_state_free(struct rcu_head *rcu)
{
	struct stt_state *state = container_of(rcu, struct stt_state, rcu);

	dst_cache_destroy(&state->cache);
	kfree(state);
}

static struct stt_state *stt_state_new(const struct stt_conf *conf)
{
	struct stt_state *state;

	state = kzalloc(sizeof(*state), GFP_KERNEL_ACCOUNT);
	if (!state)
		return NULL;
	state->conf = *conf;
	if (dst_cache_init(&state->cache, GFP_KERNEL_ACCOUNT)) {
		kfree(state);
		return NULL;
	}
	return state;
}

/* Runs when nothing refers to the device any more. */
static void stt_dev_free(struct net_device *dev)
{
	struct stt_dev *stt = netdev_priv(dev);
	struct stt_state *state = rcu_dereference_protected(stt->state, true);

	if (state)
		call_rcu(&state->rcu, stt_state_free);
}

/* The L3 domain that an underlay device puts a tunnel in. */
static u32 stt_conf_scope(struct net *net, const struct stt_conf *conf)
{
	if (!conf->link)
		return 0;
	if (ipv6_addr_type(&conf->id.remote) & IPV6_ADDR_LINKLOCAL)
		return conf->link;
	return l3mdev_master_ifindex_by_index(net, conf->link);
}

/**
 * stt_dev_add() - register a device
 * @net: namespace of the underlay
 * @dev: a device that was set up by stt_dev_setup()
 * @conf: its configuration, complete
 * @extack: told what is wrong
 *
 * Context: process, RTNL held.
 * Return: 0 or a negative error: -EEXIST if there is such a tunnel,
 * -EADDRINUSE if the port is taken, -ENOMEM.
 */
int stt_dev_add(struct net *net, struct net_device *dev,
		const struct stt_conf *conf, struct netlink_ext_ack *extack)
{
	struct stt_dev *stt = netdev_priv(dev);
	struct stt_net *sn = stt_pernet(net);
	struct stt_state *state;
	int err;

	state = stt_state_new(conf);
	if (!state)
		return -ENOMEM;
	state->conf.id.scope = stt_conf_scope(net, conf);
	stt->net = net;
	stt->dev = dev;
	stt->id = state->conf.id;
	rcu_assign_pointer(stt->state, state);

	stt->port = stt_port_get(sn, conf->id.port, extack);
	if (IS_ERR(stt->port)) {
		err = PTR_ERR(stt->port);
		goto err_free_state;
	}
	err = stt_peer_get(sn, &conf->id.remote);
	if (err)
		goto err_put_port;
	err = stt_tunnel_insert(sn, stt);
	if (err) {
		if (err == -EEXIST)
			NL_SET_ERR_MSG(extack,
				       "A tunnel with this id, remote, local address and port exists");
		goto err_put_peer;
	}
	err = register_netdevice(dev);
	if (err)
		goto err_remove;
	/* Not before, for register_netdevice() would run it when it fails. */
	dev->priv_destructor = stt_dev_free;
	list_add(&stt->list, &sn->devs);
	return 0;

err_remove:
	stt_tunnel_remove(sn, stt);
err_put_peer:
	stt_peer_put(sn, &conf->id.remote);
err_put_port:
	stt_port_put(sn, stt->port);
err_free_state:
	RCU_INIT_POINTER(stt->state, NULL);
	call_rcu(&state->rcu, stt_state_free);
	return err;
}

/**
 * stt_dev_change() - give a device another configuration
 * @stt: the device
 * @conf: the configuration, complete; its port is that of the device
 * @extack: told what is wrong
 *
 * No packet is lost, and none sees half of the change.
 *
 * Context: process, RTNL held.
 * Return: 0, or a negative error and the device is as it was: -EEXIST if
 * there is such a tunnel, -ENOMEM.
 */
int stt_dev_change(struct stt_dev *stt, const struct stt_conf *conf,
		   struct netlink_ext_ack *extack)
{
	struct stt_state *old = rtnl_dereference(stt->state), *new;
	struct stt_net *sn = stt_pernet(stt->net);
	int err = -ENOMEM;

	new = stt_state_new(conf);
	if (!new)
		return -ENOMEM;
	new->conf.id.scope = stt_conf_scope(stt->net, conf);
	if (memcmp(&new->conf.id, &stt->id, sizeof(stt->id))) {
		err = stt_peer_get(sn, &new->conf.id.remote);
		if (err)
			goto err_free;
		stt_tunnel_remove(sn, stt);
		/* Readers may be on the entry until a grace period is over. */
		synchronize_net();
		stt->id = new->conf.id;
		err = stt_tunnel_insert(sn, stt);
		if (err)
			goto err_restore;
		stt_peer_put(sn, &old->conf.id.remote);
	}
	rcu_assign_pointer(stt->state, new);
	call_rcu(&old->rcu, stt_state_free);
	return 0;

err_restore:
	if (err == -EEXIST)
		NL_SET_ERR_MSG(extack,
			       "A tunnel with this id, remote, local address and port exists");
	stt->id = old->conf.id;
	WARN_ON_ONCE(stt_tunnel_insert(sn, stt));
	stt_peer_put(sn, &new->conf.id.remote);
err_free:
	call_rcu(&new->rcu, stt_state_free);
	return err;
}

/**
 * stt_dev_del() - rtnl_link_ops.dellink
 * @dev: the device
 * @head: of the devices to unregister together
 */
void stt_dev_del(struct net_device *dev, struct list_head *head)
{
	struct stt_dev *stt = netdev_priv(dev);

	list_del(&stt->list);
	unregister_netdevice_queue(dev, head);
}

/**
 * stt_dev_lower_changed() - an underlay device has changed or goes away
 * @lower: the underlay device
 * @gone: it goes away, and the tunnels bound to it with it
 *
 * Context: process, RTNL held.
 */
void stt_dev_lower_changed(struct net_device *lower, bool gone)
{
	struct stt_net *sn = stt_pernet(dev_net(lower));
	struct stt_dev *stt, *next;
	struct stt_state *state;
	LIST_HEAD(kill);

	list_for_each_entry_safe(stt, next, &sn->devs, list) {
		state = rtnl_dereference(stt->state);
		if (state->conf.link != lower->ifindex)
			continue;
		if (gone)
			stt_dev_del(stt->dev, &kill);
		else
			dst_cache_reset(&state->cache);
	}
	unregister_netdevice_many(&kill);
}

/* The network device */

static int stt_dev_init(struct net_device *dev)
{
	struct stt_dev *stt = netdev_priv(dev);

	netdev_lockdep_set_classes(dev);
	return gro_cells_init(&stt->cells, dev);
}

static void stt_dev_uninit(struct net_device *dev)
{
	struct stt_dev *stt = netdev_priv(dev);
	struct stt_net *sn = stt_pernet(stt->net);

	/*
	 * Also called by register_netdevice() when it fails late; the caller
	 * then undoes the rest.
	 */
	gro_cells_destroy(&stt->cells);
	if (dev->reg_state != NETREG_UNREGISTERING)
		return;
	stt_tunnel_remove(sn, stt);
	stt_peer_put(sn, &stt->id.remote);
	stt_port_put(sn, stt->port);
}

static netdev_features_t stt_features_check(struct sk_buff *skb,
					    struct net_device *dev,
					    netdev_features_t features)
{
	if (likely(stt_frame_fits(skb)))
		return features;
	return features & ~(NETIF_F_CSUM_MASK | NETIF_F_GSO_MASK);
}

/* Nothing to program, but it must exist for multicast groups to be joined. */
static void stt_set_rx_mode(struct net_device *dev)
{
}

static int stt_get_iflink(const struct net_device *dev)
{
	const struct stt_dev *stt = netdev_priv(dev);
	const struct stt_state *state;
	int link = 0;

	rcu_read_lock();
	state = rcu_dereference(stt->state);
	if (state)
		link = state->conf.link;
	rcu_read_unlock();
	/* By its own index a device says that there is none below it. */
	return link ?: dev->ifindex;
}

static const struct net_device_ops stt_netdev_ops = {
	.ndo_init		= stt_dev_init,
	.ndo_uninit		= stt_dev_uninit,
	.ndo_start_xmit		= stt_xmit,
	.ndo_get_stats64	= dev_get_tstats64,
	.ndo_set_rx_mode	= stt_set_rx_mode,
	.ndo_validate_addr	= eth_validate_addr,
	.ndo_set_mac_address	= eth_mac_addr,
	.ndo_features_check	= stt_features_check,
	.ndo_get_iflink		= stt_get_iflink,
};

static void stt_get_drvinfo(struct net_device *dev,
			    struct ethtool_drvinfo *info)
{
	strscpy(info->driver, "stt", sizeof(info->driver));
}

static int stt_get_sset_count(struct net_device *dev, int sset)
{
	return sset == ETH_SS_STATS ? STT_XSTATS_MAX : -EOPNOTSUPP;
}

static void stt_get_strings(struct net_device *dev, u32 sset, u8 *data)
{
	int i;

	if (sset != ETH_SS_STATS)
		return;
	for (i = 1; i <= STT_XSTATS_MAX; i++, data += ETH_GSTRING_LEN)
		memcpy(data, stt_drops[i].name, ETH_GSTRING_LEN);
}

static void stt_get_ethtool_stats(struct net_device *dev,
				  struct ethtool_stats *stats, u64 *data)
{
	struct stt_dev *stt = netdev_priv(dev);
	int i;

	for (i = 1; i <= STT_XSTATS_MAX; i++)
		*data++ = atomic_long_read(&stt->drops[i]);
}

static const struct ethtool_ops stt_ethtool_ops = {
	.get_drvinfo		= stt_get_drvinfo,
	.get_link		= ethtool_op_get_link,
	.get_sset_count		= stt_get_sset_count,
	.get_strings		= stt_get_strings,
	.get_ethtool_stats	= stt_get_ethtool_stats,
};

static const struct device_type stt_type = {
	.name = "stt",
};

/**
 * stt_dev_setup() - rtnl_link_ops.setup
 * @dev: the device
 *
 * STT cuts any frame to fit the underlay, so the MTU need not be reduced; the
 * default is that of plain Ethernet.
 */
void stt_dev_setup(struct net_device *dev)
{
	ether_setup(dev);
	dev->netdev_ops = &stt_netdev_ops;
	dev->ethtool_ops = &stt_ethtool_ops;
	dev->needs_free_netdev = true;
	SET_NETDEV_DEVTYPE(dev, &stt_type);

	dev->features |= STT_FEATURES | NETIF_F_RXCSUM |
			 NETIF_F_HW_VLAN_CTAG_TX | NETIF_F_HW_VLAN_CTAG_RX;
	dev->hw_features |= STT_FEATURES | NETIF_F_RXCSUM |
			    NETIF_F_HW_VLAN_CTAG_TX | NETIF_F_HW_VLAN_CTAG_RX;
	dev->vlan_features |= STT_FEATURES;
	stt_compat_set_lltx(dev);
	stt_compat_set_proto_down(dev);

	dev->priv_flags &= ~IFF_TX_SKB_SHARING;
	dev->priv_flags |= IFF_LIVE_ADDR_CHANGE | IFF_NO_QUEUE;
	netif_keep_dst(dev);
	dev->pcpu_stat_type = NETDEV_PCPU_STAT_TSTATS;
	dev->needed_headroom = STT_HEADROOM + LL_MAX_HEADER;
	dev->min_mtu = ETH_MIN_MTU;
	dev->max_mtu = STT_INNER_MAX - ETH_HLEN;
	netif_set_tso_max_size(dev, STT_INNER_MAX + 1);
	eth_hw_addr_random(dev);
}
