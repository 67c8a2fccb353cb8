/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _STT_COMPAT_LINUX_NETDEVICE_H
#define _STT_COMPAT_LINUX_NETDEVICE_H

#include_next <linux/netdevice.h>

/* 6.16 "net: move misc netdev_lock flavors to a separate header" */
#ifdef STT_HAVE_NETDEV_LOCK_H
#include <net/netdev_lock.h>
#endif

/* 6.12 "netdev_features: convert NETIF_F_LLTX to dev->lltx" */
static inline void stt_compat_set_lltx(struct net_device *dev)
{
#ifdef STT_HAVE_LLTX
	dev->lltx = true;
#else
	dev->features |= NETIF_F_LLTX;
#endif
}

/* 6.12 "netdevice: convert private flags > BIT(31) to bitfields" */
static inline void stt_compat_set_proto_down(struct net_device *dev)
{
#ifdef STT_HAVE_PROTO_DOWN_BIT
	dev->change_proto_down = true;
#else
	dev->priv_flags |= IFF_CHANGE_PROTO_DOWN;
#endif
}

#endif /* _STT_COMPAT_LINUX_NETDEVICE_H */
