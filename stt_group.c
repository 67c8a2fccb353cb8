// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: membership of a multicast group.
 *
 * A frame to many hosts may go to an IP multicast group of the underlay (draft
 * section 3.4). A device whose remote is a group is a member of it while up.
 */
#include <linux/igmp.h>
#include <linux/in.h>
#include <linux/inetdevice.h>
#include <linux/net.h>
#include <linux/slab.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/sock.h>

#include "stt_private.h"

/**
 * struct stt_group - membership of a group
 * @sock: the member
 * @addr: the group
 * @link: ifindex of the underlay device
 */
struct stt_group {
	struct socket	*sock;
	struct in6_addr	addr;
	int		link;
};

static int stt_group_change(const struct stt_group *group, bool join)
{
	struct sock *sk = group->sock->sk;
	int err;

	lock_sock(sk);
	if (stt_addr_is_v4(&group->addr)) {
		struct ip_mreqn mreq = {
			.imr_multiaddr.s_addr = stt_addr_v4(&group->addr),
			.imr_ifindex = group->link,
		};

		err = join ? ip_mc_join_group(sk, &mreq) :
			     ip_mc_leave_group(sk, &mreq);
	} else if (!ipv6_mod_enabled()) {
		err = -EAFNOSUPPORT;
	} else {
		err = join ? ipv6_sock_mc_join(sk, group->link, &group->addr) :
			     ipv6_sock_mc_drop(sk, group->link, &group->addr);
	}
	release_sock(sk);
	return err;
}

/**
 * stt_group_join() - become a member of the group that a device sends to
 * @net: namespace of the underlay
 * @conf: configuration of the device
 *
 * Context: process, RTNL held.
 * Return: the membership, NULL if there is no group, or ERR_PTR().
 */
struct stt_group *stt_group_join(struct net *net, const struct stt_conf *conf)
{
	struct stt_group *group;
	int err;

	if (!stt_addr_is_multicast(&conf->remote))
		return NULL;
	group = kzalloc(sizeof(*group), GFP_KERNEL_ACCOUNT);
	if (!group)
		return ERR_PTR(-ENOMEM);
	group->addr = conf->remote;
	group->link = conf->link;
	/* Membership is a matter of sockets; this one has no other purpose. */
	err = sock_create_kern(net, stt_addr_is_v4(&conf->remote) ?
				    AF_INET : AF_INET6,
			       SOCK_DGRAM, IPPROTO_UDP, &group->sock);
	if (err)
		goto err_free;
	err = stt_group_change(group, true);
	if (err)
		goto err_release;
	return group;

err_release:
	sock_release(group->sock);
err_free:
	kfree(group);
	return ERR_PTR(err);
}

/**
 * stt_group_leave() - give up what stt_group_join() has returned
 * @group: the membership or NULL
 *
 * Context: process, RTNL held.
 */
void stt_group_leave(struct stt_group *group)
{
	if (!group)
		return;
	/* Closing would end the membership too, but take RTNL for it. */
	WARN_ON_ONCE(stt_group_change(group, false));
	sock_release(group->sock);
	kfree(group);
}

/**
 * stt_group_is_own() - did a frame come back to its sender?
 * @sn: namespace it arrived in
 * @frame: where it came from and went to
 *
 * What is sent to a group that the sender is a member of loops back.
 *
 * Context: RCU read lock held.
 * Return: whether we sent it ourselves.
 */
bool stt_group_is_own(struct stt_net *sn, const struct stt_frame_id *frame)
{
	if (likely(!stt_addr_is_multicast(&frame->daddr)))
		return false;
	return stt_addr_is_own(sn->net, &frame->saddr);
}
