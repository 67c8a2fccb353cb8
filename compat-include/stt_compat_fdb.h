/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Callbacks of the forwarding database whose prototypes have changed. The core
 * files define those of the newest kernel.
 */
#ifndef _STT_COMPAT_FDB_H
#define _STT_COMPAT_FDB_H

#include <linux/neighbour.h>
#include <linux/netdevice.h>
#include <net/netlink.h>

#include "../stt_private.h"

/*
 * 6.13 "ndo_fdb_add: Add a parameter to report whether notification was sent"
 * and the same of ndo_fdb_del
 */
#ifdef STT_HAVE_FDB_NOTIFIED
#define stt_compat_fdb_add	stt_fdb_add
#define stt_compat_fdb_del	stt_fdb_del
#else
static inline int stt_compat_fdb_add(struct ndmsg *ndm, struct nlattr *tb[],
				     struct net_device *dev,
				     const unsigned char *mac, u16 vid,
				     u16 flags, struct netlink_ext_ack *extack)
{
	return stt_fdb_add(ndm, tb, dev, mac, vid, flags, NULL, extack);
}

static inline int stt_compat_fdb_del(struct ndmsg *ndm, struct nlattr *tb[],
				     struct net_device *dev,
				     const unsigned char *mac, u16 vid,
				     struct netlink_ext_ack *extack)
{
	return stt_fdb_del(ndm, tb, dev, mac, vid, NULL, extack);
}
#endif

/* 6.7 "net: Handle bulk delete policy in bridge driver" */
#ifdef STT_HAVE_FDB_FLUSH_NLH
static inline int stt_compat_fdb_del_bulk(struct nlmsghdr *nlh,
					  struct net_device *dev,
					  struct netlink_ext_ack *extack)
{
	static const struct nla_policy policy[NDA_MAX + 1] = {
		[NDA_DST]		= NLA_POLICY_RANGE(NLA_BINARY, 4, 16),
		[NDA_PORT]		= { .type = NLA_BE16 },
		[NDA_VNI]		= NLA_POLICY_RANGE(NLA_BINARY, 4, 8),
		[NDA_IFINDEX]		= { .type = NLA_S32 },
		[NDA_SRC_VNI]		= NLA_POLICY_RANGE(NLA_BINARY, 4, 8),
		[NDA_NDM_STATE_MASK]	= { .type = NLA_U16 },
		[NDA_NDM_FLAGS_MASK]	= { .type = NLA_U8 },
	};
	struct nlattr *tb[NDA_MAX + 1];
	int err;

	err = nlmsg_parse(nlh, sizeof(struct ndmsg), tb, NDA_MAX, policy,
			  extack);
	if (err)
		return err;
	return stt_fdb_flush(dev, nlmsg_data(nlh), tb, 0, extack);
}
#else
static inline int stt_compat_fdb_del_bulk(struct ndmsg *ndm,
					  struct nlattr *tb[],
					  struct net_device *dev, u16 vid,
					  struct netlink_ext_ack *extack)
{
	return stt_fdb_flush(dev, ndm, tb, vid, extack);
}
#endif

#endif /* _STT_COMPAT_FDB_H */
