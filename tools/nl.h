/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Talking to the kernel over netlink: the only part of sttctl that knows
 * libmnl's sockets.
 */
#ifndef _STT_NL_H
#define _STT_NL_H

#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <stdbool.h>
#include <stdint.h>

/* Room for a request, and for what one call of recv() may return. */
#define NL_REQ_MAX	1024
#define NL_BUF_MAX	65536

/**
 * struct nl - a netlink socket
 * @sock: the socket
 * @seq: sequence number of the last request
 * @family: message type of the generic netlink family
 * @group: multicast group of its events
 * @interrupted: what was dumped has changed meanwhile, so that some may lack
 * @error: what the kernel had to say of the last error, or strerror()
 */
struct nl {
	struct mnl_socket *sock;
	unsigned int seq;
	uint16_t family;
	uint32_t group;
	bool interrupted;
	char error[256];
};

/* Called for each message of an answer. */
typedef void (*nl_fn)(const struct nlmsghdr *nlh, void *arg);

int nl_open(struct nl *nl, int bus);
int nl_open_stt(struct nl *nl);
void nl_close(struct nl *nl);
struct nlmsghdr *nl_request(struct nl *nl, char *buf, uint16_t type,
			    uint16_t flags);
struct nlmsghdr *nl_command(struct nl *nl, char *buf, uint8_t cmd,
			    uint16_t flags);
int nl_talk(struct nl *nl, struct nlmsghdr *nlh, nl_fn fn, void *arg);
int nl_listen(struct nl *nl);
int nl_events(struct nl *nl, nl_fn fn, void *arg);

/* Attributes of a message, or of a nest, by type; later ones win. */
void nl_attrs(const struct nlmsghdr *nlh, size_t hdrlen,
	      const struct nlattr *tb[], unsigned int max);
void nl_nested(const struct nlattr *nest, const struct nlattr *tb[],
	       unsigned int max);

/* Numbers of any size that the attribute has; 0 if it is NULL. */
uint64_t nl_uint(const struct nlattr *attr);

#endif /* _STT_NL_H */
