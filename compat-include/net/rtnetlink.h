/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _STT_COMPAT_NET_RTNETLINK_H
#define _STT_COMPAT_NET_RTNETLINK_H

#include_next <net/rtnetlink.h>

/* 6.15 "rtnetlink: Pack newlink() params into struct" */
#ifdef STT_HAVE_NEWLINK_PARAMS
#define stt_compat_newlink	stt_newlink
#else
struct rtnl_newlink_params {
	struct net *src_net;
	struct nlattr **tb;
	struct nlattr **data;
};

static inline struct net *
rtnl_newlink_link_net(const struct rtnl_newlink_params *params)
{
	return params->src_net;
}

int stt_newlink(struct net_device *dev, struct rtnl_newlink_params *params,
		struct netlink_ext_ack *extack);

static inline int stt_compat_newlink(struct net *net, struct net_device *dev,
				     struct nlattr *tb[], struct nlattr *data[],
				     struct netlink_ext_ack *extack)
{
	struct rtnl_newlink_params params = {
		.src_net = net,
		.tb = tb,
		.data = data,
	};

	return stt_newlink(dev, &params, extack);
}
#endif

#endif /* _STT_COMPAT_NET_RTNETLINK_H */
