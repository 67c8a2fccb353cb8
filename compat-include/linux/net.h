/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _STT_COMPAT_LINUX_NET_H
#define _STT_COMPAT_LINUX_NET_H

#include_next <linux/net.h>

/* 6.19 "net: Convert proto_ops bind() callbacks to use sockaddr_unsized" */
#ifdef STT_HAVE_SOCKADDR_UNSIZED
#define stt_compat_bind(sock, addr, len) \
	kernel_bind(sock, (struct sockaddr_unsized *)(addr), len)
#else
#define stt_compat_bind(sock, addr, len) \
	kernel_bind(sock, (struct sockaddr *)(addr), len)
#endif

#endif /* _STT_COMPAT_LINUX_NET_H */
