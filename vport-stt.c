// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: ports of Open vSwitch's datapath.
 *
 * User space of Open vSwitch up to 3.5 knows ports of type "stt". It asks the
 * datapath for vport type 106, openvswitch.ko asks modprobe for
 * vport-type-106, and gets this: an external stt device that is attached to the
 * switch like any other. All that makes a tunnel is in stt.ko.
 *
 * The interface is private to openvswitch.ko. What is assumed of it is in
 * ovs_vport.h, and what can be checked here is: rather no port than one that
 * writes into the wrong place.
 */
#include <linux/err.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <net/netlink.h>
#include <net/rtnetlink.h>
#include <net/stt.h>

#include "ovs_vport.h"

/* Not in the kernel's headers: it never had the type. */
#define OVS_VPORT_TYPE_STT	106

/* What Open vSwitch gives to tunnels, whose ports must not limit packets. */
#define STT_VPORT_MTU		65000

static struct vport *stt_vport_create(const struct vport_parms *parms);
static int stt_vport_get_options(const struct vport *vport,
				 struct sk_buff *skb);

static struct {
	struct vport_ops	ops;
	/* A longer structure would end here. */
	unsigned long		room[8];
} stt_vport = {
	.ops = {
		.type		= (enum ovs_vport_type)OVS_VPORT_TYPE_STT,
		.create		= stt_vport_create,
		.destroy	= ovs_netdev_tunnel_destroy,
		.get_options	= stt_vport_get_options,
		.send		= dev_queue_xmit,
		.owner		= THIS_MODULE,
	},
};

/* The namespace of a switch, or NULL if what is there is none. */
static struct net *stt_vport_net(const struct datapath *dp)
{
	struct net *net = read_pnet(&dp->net);
	struct net *known;
	bool is_known = false;

	rcu_read_lock();
	for_each_net_rcu(known) {
		is_known = known == net;
		if (is_known)
			break;
	}
	rcu_read_unlock();
	return is_known ? net : NULL;
}

static int stt_vport_dst_port(const struct nlattr *options, __be16 *port)
{
	struct nlattr *attr;

	if (!options)
		return -EINVAL;
	attr = nla_find_nested(options, OVS_TUNNEL_ATTR_DST_PORT);
	if (!attr || nla_len(attr) != sizeof(u16))
		return -EINVAL;
	*port = htons(nla_get_u16(attr));
	return 0;
}

static int stt_vport_get_options(const struct vport *vport,
				 struct sk_buff *skb)
{
	return nla_put_u16(skb, OVS_TUNNEL_ATTR_DST_PORT,
			   ntohs(stt_dev_port(vport->dev)));
}

/* Unless somebody else has deleted it already. */
static void stt_vport_delete_device(struct net_device *dev)
{
	LIST_HEAD(kill);

	ASSERT_RTNL();
	if (dev->reg_state != NETREG_REGISTERED)
		return;
	dev->rtnl_link_ops->dellink(dev, &kill);
	unregister_netdevice_many(&kill);
}

/* Returns the device, up and with a reference, or an error. */
static struct net_device *stt_vport_create_device(struct net *net,
						  const char *name, __be16 port)
{
	struct net_device *dev;
	int err;

	rtnl_lock();
	dev = stt_dev_create_fb(net, name, NET_NAME_USER, port);
	if (IS_ERR(dev))
		goto unlock;
	err = dev_set_mtu(dev, STT_VPORT_MTU) ?:
	      dev_change_flags(dev, dev->flags | IFF_UP, NULL);
	if (err < 0) {
		stt_vport_delete_device(dev);
		dev = ERR_PTR(err);
		goto unlock;
	}
	dev_hold(dev);
unlock:
	rtnl_unlock();
	return dev;
}

static struct vport *stt_vport_create(const struct vport_parms *parms)
{
	struct net_device *dev;
	struct vport *vport;
	struct net *net;
	__be16 port;
	int err;

	if ((int)parms->type != OVS_VPORT_TYPE_STT)
		goto unknown_layout;
	net = stt_vport_net(parms->dp);
	if (!net)
		goto unknown_layout;
	err = stt_vport_dst_port(parms->options, &port);
	if (err)
		return ERR_PTR(err);

	vport = ovs_vport_alloc(0, &stt_vport.ops, parms);
	if (IS_ERR(vport))
		return vport;
	dev = stt_vport_create_device(net, parms->name, port);
	if (IS_ERR(dev)) {
		ovs_vport_free(vport);
		return ERR_CAST(dev);
	}
	/* Frees the port when it fails, but has not made the device. */
	vport = ovs_netdev_link(vport, parms->name);
	rtnl_lock();
	if (IS_ERR(vport))
		stt_vport_delete_device(dev);
	/* Before the lock is let go, which waits for all references. */
	dev_put(dev);
	rtnl_unlock();
	return vport;

unknown_layout:
	pr_err("%s: structures of this kernel are unknown\n", KBUILD_MODNAME);
	return ERR_PTR(-EPROTONOSUPPORT);
}

static int __init stt_vport_init(void)
{
	int err = __ovs_vport_ops_register(&stt_vport.ops);

	if (err)
		return err;
	if (stt_vport.ops.list.next && stt_vport.ops.list.prev &&
	    stt_vport.ops.owner == THIS_MODULE)
		return 0;
	ovs_vport_ops_unregister(&stt_vport.ops);
	pr_err("%s: structures of this kernel are unknown\n", KBUILD_MODNAME);
	return -EPROTONOSUPPORT;
}

static void __exit stt_vport_exit(void)
{
	ovs_vport_ops_unregister(&stt_vport.ops);
	/* A packet may still be on its way through a port that is gone. */
	synchronize_rcu();
}

module_init(stt_vport_init);
module_exit(stt_vport_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Stateless Transport Tunneling (STT) port of Open vSwitch");
MODULE_ALIAS("vport-type-106");
