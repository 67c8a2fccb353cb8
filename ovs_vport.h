/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a vport type needs of Open vSwitch's datapath in the kernel. Its own
 * headers are private to net/openvswitch and not among those that kernels are
 * packaged with, so this says the same in its own words, and no more of it than
 * is used: the same members in the same places in 6.1 and in 6.12. The test
 * t-ovs.sh compares all of it with the type information of the running kernel.
 */
#ifndef _STT_OVS_VPORT_H
#define _STT_OVS_VPORT_H

#include <linux/list.h>
#include <linux/openvswitch.h>
#include <linux/types.h>
#include <net/net_namespace.h>

struct module;
struct net_device;
struct nlattr;
struct sk_buff;

/**
 * struct datapath - a switch, up to the last member that matters here
 * @rcu: theirs
 * @list_node: theirs
 * @table: theirs, the flow table
 * @ports: theirs
 * @stats_percpu: theirs
 * @net: namespace of the switch
 */
struct datapath {
	struct rcu_head		rcu;
	struct list_head	list_node;
	struct {
		void		*instances[2];
		void		*masks[2];
		unsigned long	last_rehash;
		unsigned int	counts[2];
	} table;
	struct hlist_head	*ports;
	void __percpu		*stats_percpu;
	possible_net_t		net;
};

/**
 * struct vport - a port; only its beginning, ovs_vport_alloc() makes all of it
 * @dev: its device, once ovs_netdev_link() has returned
 */
struct vport {
	struct net_device	*dev;
};

/**
 * struct vport_parms - what a new port shall be
 * @name: its name
 * @type: its type
 * @desired_ifindex: ifindex, which tunnels ignore
 * @options: nest of OVS_TUNNEL_ATTR_*, or NULL
 * @dp: the switch
 * @port_no: theirs
 * @upcall_portids: theirs
 */
struct vport_parms {
	const char		*name;
	enum ovs_vport_type	type;
	int			desired_ifindex;
	struct nlattr		*options;
	struct datapath		*dp;
	u16			port_no;
	struct nlattr		*upcall_portids;
};

/**
 * struct vport_ops - a type of port
 * @type: its number
 * @create: make a port; called with the lock of openvswitch held
 * @destroy: unmake it, likewise
 * @set_options: may be NULL
 * @get_options: add the options that @create was given
 * @send: send a packet through @dev of the port
 * @owner: the module that each port keeps
 * @list: in the list of types
 */
struct vport_ops {
	enum ovs_vport_type	type;
	struct vport		*(*create)(const struct vport_parms *parms);
	void			(*destroy)(struct vport *vport);
	int			(*set_options)(struct vport *vport,
					       struct nlattr *options);
	int			(*get_options)(const struct vport *vport,
					       struct sk_buff *skb);
	int			(*send)(struct sk_buff *skb);
	struct module		*owner;
	struct list_head	list;
};

int __ovs_vport_ops_register(struct vport_ops *ops);
void ovs_vport_ops_unregister(struct vport_ops *ops);
struct vport *ovs_vport_alloc(int priv_size, const struct vport_ops *ops,
			      const struct vport_parms *parms);
void ovs_vport_free(struct vport *vport);
struct vport *ovs_netdev_link(struct vport *vport, const char *name);
void ovs_netdev_tunnel_destroy(struct vport *vport);

#endif /* _STT_OVS_VPORT_H */
