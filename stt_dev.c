// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: the network device and its configuration.
 */
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/if_vlan.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/stt_genl.h>
#include <net/dst_cache.h>
#include <net/gro_cells.h>
#include <net/ip.h>
#include <net/rtnetlink.h>
#include <net/stt.h>
#include <stt_compat_fdb.h>

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
 * @total: offset of the counter that includes @stat; 0 if there is none
 */
struct stt_drop_info {
	char			name[ETH_GSTRING_LEN];
	enum skb_drop_reason	reason;
	unsigned int		stat;
	unsigned int		total;
};

/* Tunnels within tunnels that are asked for the speed of what is below. */
#define STT_LOWER_DEPTH	4

#define STT_STAT(_stat)	offsetof(struct net_device, stats.__ ## _stat)

#define STT_DROP(_cause, _name, _reason, _stat)				\
	[STT_XSTATS_ ## _cause] = {					\
		.name = _name,						\
		.reason = SKB_DROP_REASON_ ## _reason,			\
		.stat = STT_STAT(_stat),				\
	}

/* An error of a kind that has a counter of its own. */
#define STT_DROP_KIND(_cause, _name, _reason, _stat, _total)		\
	[STT_XSTATS_ ## _cause] = {					\
		.name = _name,						\
		.reason = SKB_DROP_REASON_ ## _reason,			\
		.stat = STT_STAT(_stat),				\
		.total = STT_STAT(_total),				\
	}

static const struct stt_drop_info stt_drops[__STT_XSTATS_MAX] = {
	STT_DROP_KIND(TX_NO_ROUTE, "tx_no_route", IP_OUTNOROUTES,
		      tx_carrier_errors, tx_errors),
	STT_DROP_KIND(TX_LOOP, "tx_loop", NOT_SPECIFIED, collisions,
		      tx_errors),
	STT_DROP(TX_TOO_LONG, "tx_too_long", PKT_TOO_BIG, tx_errors),
	STT_DROP(TX_BAD_INNER, "tx_bad_inner", HDR_TRUNC, tx_errors),
	STT_DROP(TX_NO_REMOTE, "tx_no_remote", NO_TX_TARGET, tx_dropped),
	STT_DROP(TX_NO_MEM, "tx_no_mem", NOMEM, tx_dropped),
	STT_DROP(TX_NO_METADATA, "tx_no_metadata", TUNNEL_TXINFO, tx_dropped),
	STT_DROP(RX_DOWN, "rx_down", DEV_READY, rx_dropped),
	STT_DROP_KIND(RX_SHORT, "rx_short", HDR_TRUNC, rx_length_errors,
		      rx_errors),
	STT_DROP(RX_BAD_FLAGS, "rx_bad_flags", NOT_SPECIFIED, rx_errors),
	STT_DROP(RX_BAD_OFFLOAD, "rx_bad_offload", NOT_SPECIFIED, rx_errors),
	STT_DROP(RX_BAD_MSS, "rx_bad_mss", NOT_SPECIFIED, rx_errors),
	STT_DROP(RX_BAD_MAC, "rx_bad_mac", MAC_INVALID_SOURCE, rx_errors),
	STT_DROP_KIND(RX_ECN, "rx_ecn", IP_TUNNEL_ECN, rx_frame_errors,
		      rx_errors),
	STT_DROP(RX_NO_MEM, "rx_no_mem", NOMEM, rx_dropped),
};

/**
 * stt_dev_count_drop() - count a packet that is lost
 * @stt: the device it came through
 * @cause: %STT_XSTATS_*
 */
void stt_dev_count_drop(struct stt_dev *stt, int cause)
{
	const struct stt_drop_info *info = &stt_drops[cause];
	u8 *dev = (u8 *)stt->dev;

	atomic_long_inc(&stt->drops[cause]);
	atomic_long_inc((atomic_long_t *)(dev + info->stat));
	if (info->total)
		atomic_long_inc((atomic_long_t *)(dev + info->total));
}

/**
 * stt_dev_drop() - drop a packet and say why
 * @stt: the device it came through
 * @skb: the packet, consumed
 * @cause: %STT_XSTATS_*
 */
void stt_dev_drop(struct stt_dev *stt, struct sk_buff *skb, int cause)
{
	stt_dev_count_drop(stt, cause);
	kfree_skb_reason(skb, stt_drops[cause].reason);
}

/* A device is bound to an underlay device; 0 is none. */
static int stt_lower_get(struct stt_net *sn, int ifindex)
{
	void *users;

	ASSERT_RTNL();

	if (!ifindex)
		return 0;
	users = xa_load(&sn->lowers, ifindex);
	users = xa_mk_value(users ? xa_to_value(users) + 1 : 1);
	return xa_err(xa_store(&sn->lowers, ifindex, users,
			       GFP_KERNEL_ACCOUNT));
}

static void stt_lower_put(struct stt_net *sn, int ifindex)
{
	unsigned long users;

	ASSERT_RTNL();

	if (!ifindex)
		return;
	users = xa_to_value(xa_load(&sn->lowers, ifindex)) - 1;
	/* Replacing an entry takes no memory. */
	if (users)
		xa_store(&sn->lowers, ifindex, xa_mk_value(users), 0);
	else
		xa_erase(&sn->lowers, ifindex);
}

/* What a configuration in force takes note of in its namespace. */
static int stt_conf_get(struct stt_net *sn, const struct stt_conf *conf)
{
	int err;

	err = stt_lower_get(sn, conf->link);
	if (err)
		return err;
	err = stt_peer_get(sn, &conf->remote);
	if (err)
		stt_lower_put(sn, conf->link);
	return err;
}

static void stt_conf_put(struct stt_net *sn, const struct stt_conf *conf)
{
	stt_peer_put(sn, &conf->remote);
	stt_lower_put(sn, conf->link);
}

/* Configuration */

static void stt_state_free(struct rcu_head *rcu)
{
	struct stt_state *state = container_of(rcu, struct stt_state, rcu);

	dst_cache_destroy(&state->remote.cache);
	kfree(state);
}

static struct stt_state *stt_state_new(const struct stt_conf *conf)
{
	struct stt_state *state;

	state = kzalloc(sizeof(*state), GFP_KERNEL_ACCOUNT);
	if (!state)
		return NULL;
	state->conf = *conf;
	state->remote.id.addr = conf->remote;
	state->remote.id.key = conf->okey;
	state->remote.id.port = conf->port;
	if (dst_cache_init(&state->remote.cache, GFP_KERNEL_ACCOUNT)) {
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

	stt_fdb_free(stt);
	stt_routes_free(stt->routes);
	stt_state_free(&state->rcu);
}

/*
 * LRO may join segments of different frames, which only ACK tells apart
 * (section 3.2). GRO looks at ACK, and does not need it.
 */
static void stt_dev_disable_lro(struct stt_dev *stt)
{
	struct net_device *lower = stt_xmit_lower(stt);

	if (lower)
		dev_disable_lro(lower);
}

/*
 * The L3 domain that an underlay device puts a tunnel in; for a link-local
 * remote alone, the link itself.
 */
static u32 stt_conf_scope(struct net *net, const struct stt_conf *conf,
			  bool multipoint)
{
	if (!conf->link)
		return 0;
	if (!multipoint && ipv6_addr_type(&conf->remote) & IPV6_ADDR_LINKLOCAL)
		return conf->link;
	return l3mdev_master_ifindex_by_index(net, conf->link);
}

/*
 * A device hears its remote alone, unless it has an FDB: then it may send to
 * others, and must hear them.
 */
static struct stt_tunnel_id stt_conf_id(struct net *net,
					const struct stt_conf *conf,
					bool multipoint)
{
	struct stt_tunnel_id id = {
		.key = conf->key,
		.remote = multipoint ? in6addr_any : conf->remote,
		.local = conf->local,
		.scope = stt_conf_scope(net, conf, multipoint),
		.port = conf->port,
		.kind = !conf->external ? STT_KIND_KEY :
			conf->keybase ? STT_KIND_BASE : STT_KIND_ANY,
	};

	return id;
}

static bool stt_conf_needs_fdb(const struct stt_conf *conf)
{
	if (conf->external)
		return conf->learning;
	return conf->learning || ipv6_addr_any(&conf->remote) ||
	       stt_addr_is_multicast(&conf->remote);
}

/*
 * Underlay device and tunnel are shown on top of each other, which also keeps
 * LRO off below, and each from being put on top of the other the wrong way.
 */
static struct net_device *stt_conf_lower(struct net *net,
					 const struct stt_conf *conf)
{
	return conf->link ? __dev_get_by_index(net, conf->link) : NULL;
}

static int stt_lower_link(struct stt_dev *stt, struct net_device *lower,
			  struct netlink_ext_ack *extack)
{
	int err = netdev_upper_dev_link(lower, stt->dev, extack);

	if (err == -EBUSY)
		NL_SET_ERR_MSG(extack,
			       "The underlay device (dev) is on top of this device");
	else if (err == -EMLINK)
		NL_SET_ERR_MSG(extack,
			       "Too many devices are on top of each other");
	return err;
}

static void stt_lower_unlink(struct stt_dev *stt)
{
	if (stt->lower)
		netdev_upper_dev_unlink(stt->lower, stt->dev);
	stt->lower = NULL;
}

/**
 * stt_dev_set_fdb() - make or change an entry of the forwarding database
 * @stt: the device; if it has no forwarding database it is given one
 * @rq: what the entry shall be
 * @tell: who is told
 * @extack: told what is wrong
 *
 * Context: process, RTNL held.
 * Return: 0, or a negative error and the device is as it was.
 */
int stt_dev_set_fdb(struct stt_dev *stt, const struct stt_fdb_request *rq,
		    enum stt_fdb_tell tell, struct netlink_ext_ack *extack)
{
	const struct stt_state *state = rtnl_dereference(stt->state);
	struct stt_net *sn = stt_pernet(stt->net);
	struct stt_tunnel *tunnel;
	struct stt_tunnel_id id;
	int err;

	if (rtnl_dereference(stt->fdb))
		return stt_fdb_set(stt, rq, tell, extack);
	id = stt_conf_id(stt->net, &state->conf, true);
	tunnel = stt_tunnel_prepare(sn, stt, &id, extack);
	if (IS_ERR(tunnel))
		return PTR_ERR(tunnel);
	err = stt_fdb_open(stt, &state->conf, &state->remote.id, rq, tell,
			   extack);
	if (err)
		stt_tunnel_cancel(sn, stt, tunnel);
	else
		stt_tunnel_commit(sn, stt, tunnel);
	return err;
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
	bool multipoint = stt_conf_needs_fdb(conf);
	struct stt_dev *stt = netdev_priv(dev);
	struct stt_net *sn = stt_pernet(net);
	struct stt_state *state;
	struct net_device *lower;
	int err;

	state = stt_state_new(conf);
	if (!state)
		return -ENOMEM;
	stt->net = net;
	stt->dev = dev;
	stt->id = stt_conf_id(net, conf, multipoint);
	rcu_assign_pointer(stt->state, state);

	err = stt_tunnel_check(sn, &stt->id, extack);
	if (err)
		goto err_free_state;
	err = stt_tunnels_open(sn);
	if (err)
		goto err_free_state;
	if (conf->external) {
		err = -ENOMEM;
		stt->routes = stt_routes_new();
		if (!stt->routes)
			goto err_free_state;
	}
	stt->port = stt_port_get(sn, conf->port, extack);
	if (IS_ERR(stt->port)) {
		err = PTR_ERR(stt->port);
		goto err_free_routes;
	}
	err = stt_conf_get(sn, conf);
	if (err)
		goto err_put_port;
	err = register_netdevice(dev);
	/* If it was a notifier that refused, stt_dev_uninit() has done it. */
	if (err && dev->reg_state == NETREG_UNREGISTERING)
		goto err_free_routes;
	if (err)
		goto err_put_conf;
	/* Not before, for register_netdevice() would run it when it fails. */
	dev->priv_destructor = stt_dev_free;
	lower = stt_conf_lower(net, conf);
	if (lower) {
		err = stt_lower_link(stt, lower, extack);
		if (err)
			goto err_unregister;
		stt->lower = lower;
	}
	if (multipoint) {
		err = stt_fdb_open(stt, conf, &state->remote.id, NULL,
				   STT_TELL_ALL, extack);
		if (err)
			goto err_unregister;
	}
	stt->tunnel = stt_tunnel_insert(sn, stt, &stt->id);
	if (IS_ERR(stt->tunnel)) {
		err = PTR_ERR(stt->tunnel);
		stt->tunnel = NULL;
		goto err_unregister;
	}
	list_add(&stt->list, &sn->devs);
	return 0;

err_unregister:
	/* The rest is undone when it is unregistered. */
	unregister_netdevice(dev);
	return err;
err_put_conf:
	stt_conf_put(sn, conf);
err_put_port:
	stt_port_put(sn, stt->port);
err_free_routes:
	stt_routes_free(stt->routes);
err_free_state:
	RCU_INIT_POINTER(stt->state, NULL);
	call_rcu(&state->rcu, stt_state_free);
	return err;
}

/* The part of a change that can fail; the old state is still in force. */
static int stt_dev_change_tables(struct stt_dev *stt,
				 const struct stt_state *old,
				 const struct stt_state *new,
				 struct netlink_ext_ack *extack)
{
	bool had = !ipv6_addr_any(&old->conf.remote);
	bool has = !ipv6_addr_any(&new->conf.remote);
	bool multipoint = rtnl_dereference(stt->fdb);
	bool open = !multipoint && stt_conf_needs_fdb(&new->conf);
	struct stt_net *sn = stt_pernet(stt->net);
	struct stt_tunnel *tunnel;
	struct stt_tunnel_id id;
	int err = 0;

	id = stt_conf_id(stt->net, &new->conf, multipoint || open);
	tunnel = stt_tunnel_prepare(sn, stt, &id, extack);
	if (IS_ERR(tunnel))
		return PTR_ERR(tunnel);
	if (open)
		err = stt_fdb_open(stt, &new->conf, &new->remote.id, NULL,
				   STT_TELL_ALL, extack);
	else if (multipoint &&
		 !ipv6_addr_equal(&old->conf.remote, &new->conf.remote))
		err = stt_fdb_set_default(stt, had ? &old->remote.id : NULL,
					  has ? &new->remote.id : NULL);
	if (err)
		stt_tunnel_cancel(sn, stt, tunnel);
	else
		stt_tunnel_commit(sn, stt, tunnel);
	return err;
}

/**
 * stt_dev_change() - give a device another configuration
 * @stt: the device
 * @conf: the configuration, complete; what cannot change is as it was
 * @extack: told what is wrong
 *
 * No packet sees half of the change.
 *
 * Context: process, RTNL held.
 * Return: 0, or a negative error and the device is as it was: -EEXIST if
 * there is such a tunnel, -ENOMEM.
 */
int stt_dev_change(struct stt_dev *stt, const struct stt_conf *conf,
		   struct netlink_ext_ack *extack)
{
	struct stt_state *old = rtnl_dereference(stt->state), *new;
	bool regroup = !ipv6_addr_equal(&old->conf.remote, &conf->remote) ||
		       old->conf.link != conf->link;
	struct net_device *lower = stt_conf_lower(stt->net, conf);
	struct stt_net *sn = stt_pernet(stt->net);
	bool relink = lower != stt->lower;
	struct stt_group *group = NULL;
	int err;

	if (conf->okey != old->conf.okey &&
	    (rtnl_dereference(stt->fdb) || stt_conf_needs_fdb(conf))) {
		NL_SET_ERR_MSG(extack,
			       "The Context ID to send with (okey) cannot be changed on a device with an FDB");
		return -EOPNOTSUPP;
	}
	new = stt_state_new(conf);
	if (!new)
		return -ENOMEM;
	err = stt_conf_get(sn, conf);
	if (err)
		goto err_free;
	if (regroup && netif_running(stt->dev)) {
		group = stt_group_join(stt->net, conf);
		if (IS_ERR(group)) {
			err = PTR_ERR(group);
			NL_SET_ERR_MSG(extack,
				       "The multicast group cannot be joined");
			goto err_put_conf;
		}
	}
	if (relink && lower) {
		err = stt_lower_link(stt, lower, extack);
		if (err)
			goto err_leave;
	}
	err = stt_dev_change_tables(stt, old, new, extack);
	if (err)
		goto err_unlink;
	stt_conf_put(sn, &old->conf);
	rcu_assign_pointer(stt->state, new);
	if (relink) {
		stt_lower_unlink(stt);
		stt->lower = lower;
	}
	if (netif_running(stt->dev))
		stt_dev_disable_lro(stt);

	if (regroup) {
		stt_group_leave(stt->group);
		stt->group = group;
	}
	/* Once more when none can come of the old configuration. */
	stt_fdb_reset_routes(stt);
	if (rtnl_dereference(stt->fdb)) {
		synchronize_net();
		stt_fdb_reset_routes(stt);
	}
	if (old->conf.ageing != conf->ageing)
		stt_fdb_restart_ageing(stt, conf->ageing);
	stt_event_dev(stt, STT_CMD_DEV_CHANGE_NTF);
	call_rcu(&old->rcu, stt_state_free);
	return 0;

err_unlink:
	if (relink && lower)
		netdev_upper_dev_unlink(lower, stt->dev);
err_leave:
	stt_group_leave(group);
err_put_conf:
	stt_conf_put(sn, conf);
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
	/* A lower device may go in the same batch, and before this one. */
	stt_lower_unlink(stt);
	unregister_netdevice_queue(dev, head);
}

static void stt_dev_reset_routes(struct stt_dev *stt)
{
	dst_cache_reset(&rtnl_dereference(stt->state)->remote.cache);
	WRITE_ONCE(stt->route_epoch, stt->route_epoch + 1);
	stt_fdb_reset_routes(stt);
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
	struct stt_tunnel *tunnel;
	struct stt_tunnel_id id;
	struct stt_state *state;
	LIST_HEAD(kill);

	/* Thousands of devices may come and go, most of them below nothing. */
	if (!xa_load(&sn->lowers, lower->ifindex))
		return;
	list_for_each_entry_safe(stt, next, &sn->devs, list) {
		state = rtnl_dereference(stt->state);
		if (state->conf.link != lower->ifindex)
			continue;
		if (gone) {
			stt_dev_del(stt->dev, &kill);
			continue;
		}
		stt_dev_reset_routes(stt);
		/* It may have joined or left a VRF. */
		id = stt_conf_id(stt->net, &state->conf,
				 rtnl_dereference(stt->fdb));
		tunnel = stt_tunnel_prepare(sn, stt, &id, NULL);
		if (!IS_ERR(tunnel))
			stt_tunnel_commit(sn, stt, tunnel);
		else if (net_ratelimit())
			netdev_warn(stt->dev, "cannot follow %s to its VRF: %s\n",
				    lower->name,
				    PTR_ERR(tunnel) == -EEXIST ?
				    "another device has this tunnel there" :
				    "no memory");
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

	gro_cells_destroy(&stt->cells);
	/* If register_netdevice() fails early, its caller undoes the rest. */
	if (dev->reg_state != NETREG_UNREGISTERING)
		return;
	stt_lower_unlink(stt);
	if (stt->tunnel)
		stt_tunnel_remove(sn, stt->tunnel);
	stt_fdb_clear(stt);
	/* Who holds on to the device does not to the namespace of routes. */
	dst_cache_reset_now(&rtnl_dereference(stt->state)->remote.cache);
	stt_routes_clear(stt->routes);
	stt_conf_put(sn, &rtnl_dereference(stt->state)->conf);
	stt_port_put(sn, stt->port);
}

static int stt_dev_open(struct net_device *dev)
{
	struct stt_dev *stt = netdev_priv(dev);
	struct stt_group *group;

	stt_dev_disable_lro(stt);
	group = stt_group_join(stt->net, &rtnl_dereference(stt->state)->conf);
	if (IS_ERR(group))
		return PTR_ERR(group);
	stt->group = group;
	return 0;
}

static int stt_dev_stop(struct net_device *dev)
{
	struct stt_dev *stt = netdev_priv(dev);

	stt_group_leave(stt->group);
	stt->group = NULL;
	return 0;
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
	.ndo_open		= stt_dev_open,
	.ndo_stop		= stt_dev_stop,
	.ndo_start_xmit		= stt_xmit,
	.ndo_get_stats64	= dev_get_tstats64,
	.ndo_set_rx_mode	= stt_set_rx_mode,
	.ndo_validate_addr	= eth_validate_addr,
	.ndo_set_mac_address	= eth_mac_addr,
	.ndo_features_check	= stt_features_check,
	.ndo_get_iflink		= stt_get_iflink,
	.ndo_fdb_add		= stt_compat_fdb_add,
	.ndo_fdb_del		= stt_compat_fdb_del,
	.ndo_fdb_del_bulk	= stt_compat_fdb_del_bulk,
	.ndo_fdb_dump		= stt_fdb_dump,
	.ndo_fdb_get		= stt_fdb_get,
	.ndo_fill_metadata_dst	= stt_fill_metadata_dst,
};

static void stt_get_drvinfo(struct net_device *dev,
			    struct ethtool_drvinfo *info)
{
	strscpy(info->driver, "stt", sizeof(info->driver));
}

/*
 * As fast as the device below, if there is one. Routes may lead from tunnel to
 * tunnel, over any devices between, and back to where they began.
 */
static int stt_get_link_ksettings(struct net_device *dev,
				  struct ethtool_link_ksettings *cmd)
{
	static unsigned int depth;	/* under RTNL */
	struct net_device *lower = NULL;
	int err;

	ASSERT_RTNL();

	if (depth < STT_LOWER_DEPTH)
		lower = stt_xmit_lower(netdev_priv(dev));
	if (lower) {
		depth++;
		err = __ethtool_get_link_ksettings(lower, cmd);
		depth--;
		return err;
	}
	cmd->base.duplex = DUPLEX_FULL;
	cmd->base.port = PORT_OTHER;
	cmd->base.speed = SPEED_UNKNOWN;
	return 0;
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
	.get_link_ksettings	= stt_get_link_ksettings,
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
