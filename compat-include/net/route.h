/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _STT_COMPAT_NET_ROUTE_H
#define _STT_COMPAT_NET_ROUTE_H

#include_next <net/route.h>

/* 6.10 "inet: introduce dst_rtable() helper" */
#ifndef dst_rtable
#define dst_rtable(_ptr) container_of(_ptr, struct rtable, dst)
#endif

#endif /* _STT_COMPAT_NET_ROUTE_H */
