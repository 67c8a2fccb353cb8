/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _STT_COMPAT_NET_ROUTE_H
#define _STT_COMPAT_NET_ROUTE_H

#include_next <net/route.h>

/* Came after 6.1, together with its IPv6 twin. */
#ifndef dst_rtable
#define dst_rtable(_ptr) container_of(_ptr, struct rtable, dst)
#endif

#endif /* _STT_COMPAT_NET_ROUTE_H */
