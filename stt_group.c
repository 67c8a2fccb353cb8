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
#include <net/addrconf.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/sock.h>

#include "stt_private.h"

static int stt_group_join_sock(struct stt_dev *stt, struct socket *sock,
			       const struct stt_conf *conf)
{
	struct sock *sk = sock->sk;
	int err;

	lock_sock(sk);
	if (stt_addr_is_v4(&conf->remote)) {
		struct ip_mreqn mreq = {
			.imr_multiaddr.s_addr = stt_addr_v4(&conf->remote),
			.imr_ifindex = conf->link,
		};

		err = ip_mc_join_group(sk, &mreq);
	} else {
		err = ipv6_sock_mc_join(sk, conf->link, &conf->remote);
	}
	release_sock(sk);
	return err;
}

/**
 * stt_group_join() - become a member of the device's group, if it has one
 * @stt: the device
 *
 * Context: process, RTNL held.
 * Return: 0 or a negative error.
 */
int stt_group_join(struct stt_dev *stt)
{
	const struct stt_conf *conf = &rtnl_dereference(stt->state)->conf;
	struct socket *sock;
	int err;

	if (!stt_addr_is_multicast(&conf->remote))
		return 0;
	/* Membership is a matter of sockets; this one has no other purpose. */
	err = sock_create_kern(stt->net,
			       stt_addr_is_v4(&conf->remote) ? AF_INET :
							       AF_INET6,
			       SOCK_DGRAM, IPPROTO_UDP, &sock);
	if (err)
		return err;
	err = stt_group_join_sock(stt, sock, conf);
	if (err) {
		sock_release(sock);
		return err;
	}
	stt->group = sock;
	return 0;
}

/**
 * stt_group_leave() - give up what stt_group_join() did
 * @stt: the device
 *
 * Context: process, RTNL held.
 */
void stt_group_leave(struct stt_dev *stt)
{
	if (!stt->group)
		return;
	/* Closing ends the membership. */
	sock_release(stt->group);
	stt->group = NULL;
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
	if (stt_addr_is_v4(&frame->saddr))
		return inet_addr_type(sn->net, stt_addr_v4(&frame->saddr)) ==
		       RTN_LOCAL;
	return ipv6_chk_addr(sn->net, &frame->saddr, NULL, 0);
}
