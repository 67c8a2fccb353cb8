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

/* 6.14 lets the driver say that it has sent the notification itself. */
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

/* 6.9 leaves the parsing of a flush to the driver. */
#ifdef STT_HAVE_FDB_FLUSH_NLH
static inline int stt_compat_fdb_del_bulk(struct nlmsghdr *nlh,
					  struct net_device *dev,
					  struct netlink_ext_ack *extack)
{
	static const struct nla_policy policy[NDA_MAX + 1] = {
		[NDA_IFINDEX]		= { .type = NLA_S32 },
		[NDA_NDM_STATE_MASK]	= { .type = NLA_U16 },
		[NDA_NDM_FLAGS_MASK]	= { .type = NLA_U8 },
	};
	const struct ndmsg *ndm = nlmsg_data(nlh);
	struct stt_fdb_filter filter = {};
	struct nlattr *tb[NDA_MAX + 1];
	int err;

	err = nlmsg_parse(nlh, sizeof(*ndm), tb, NDA_MAX, policy, extack);
	if (err)
		return err;
#else
static inline int stt_compat_fdb_del_bulk(struct ndmsg *ndm,
					  struct nlattr *tb[],
					  struct net_device *dev, u16 vid,
					  struct netlink_ext_ack *extack)
{
	struct stt_fdb_filter filter = {};

	if (vid) {
		NL_SET_ERR_MSG(extack, "VLANs are not supported in the FDB of the device itself");
		return -EINVAL;
	}
#endif
	if (tb[NDA_NDM_STATE_MASK])
		filter.state_mask = nla_get_u16(tb[NDA_NDM_STATE_MASK]);
	if (tb[NDA_NDM_FLAGS_MASK])
		filter.flags_mask = nla_get_u8(tb[NDA_NDM_FLAGS_MASK]);
	filter.state = ndm->ndm_state & filter.state_mask;
	filter.flags = ndm->ndm_flags & filter.flags_mask;
	return stt_fdb_flush(dev, &filter);
}

#endif /* _STT_COMPAT_FDB_H */
