// SPDX-License-Identifier: GPL-2.0
/*
 * Talking to the kernel over netlink.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/stt_genl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nl.h"

static int nl_fail(struct nl *nl, int err)
{
	snprintf(nl->error, sizeof(nl->error), "%s", strerror(err));
	return -err;
}

/**
 * nl_open() - open a socket
 * @nl: the socket
 * @bus: NETLINK_*
 *
 * Return: 0 or a negative error.
 */
int nl_open(struct nl *nl, int bus)
{
	int one = 1;

	memset(nl, 0, sizeof(*nl));
	nl->seq = time(NULL);
	nl->sock = mnl_socket_open2(bus, SOCK_CLOEXEC);
	if (!nl->sock)
		return nl_fail(nl, errno);
	if (mnl_socket_bind(nl->sock, 0, MNL_SOCKET_AUTOPID) < 0) {
		nl_fail(nl, errno);
		nl_close(nl);
		return -1;
	}
	/* Sentences and lost precision matter only if they can be had. */
	mnl_socket_setsockopt(nl->sock, NETLINK_EXT_ACK, &one, sizeof(one));
	mnl_socket_setsockopt(nl->sock, NETLINK_GET_STRICT_CHK, &one,
			      sizeof(one));
	return 0;
}

/**
 * nl_close() - close a socket
 * @nl: the socket
 */
void nl_close(struct nl *nl)
{
	if (nl->sock)
		mnl_socket_close(nl->sock);
	nl->sock = NULL;
}

/**
 * nl_request() - begin a request
 * @nl: the socket
 * @buf: for the request, NL_REQ_MAX bytes
 * @type: of the message
 * @flags: NLM_F_* besides NLM_F_REQUEST
 *
 * Return: the request.
 */
struct nlmsghdr *nl_request(struct nl *nl, char *buf, uint16_t type,
			    uint16_t flags)
{
	struct nlmsghdr *nlh;

	memset(buf, 0, NL_REQ_MAX);
	nlh = mnl_nlmsg_put_header(buf);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = ++nl->seq;
	return nlh;
}

/**
 * nl_command() - begin a command of family "stt"
 * @nl: the socket
 * @buf: for the command, NL_REQ_MAX bytes
 * @cmd: STT_CMD_*
 * @flags: NLM_F_* besides NLM_F_REQUEST
 *
 * Return: the request.
 */
struct nlmsghdr *nl_command(struct nl *nl, char *buf, uint8_t cmd,
			    uint16_t flags)
{
	struct nlmsghdr *nlh = nl_request(nl, buf, nl->family, flags);
	struct genlmsghdr *genl;

	genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	genl->cmd = cmd;
	genl->version = STT_GENL_VERSION;
	return nlh;
}

/* Remember what an error message says; its code is the result. */
static int nl_parse_error(struct nl *nl, const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;
	size_t skip = sizeof(*err);

	if (!err->error)
		return 0;
	nl_fail(nl, -err->error);
	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return err->error;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		skip += MNL_ALIGN(err->msg.nlmsg_len) - sizeof(err->msg);
	mnl_attr_for_each(attr, nlh, skip)
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
			snprintf(nl->error, sizeof(nl->error), "%s",
				 mnl_attr_get_str(attr));
	return err->error;
}

/* 1 if there is more to come. */
static int nl_parse(struct nl *nl, const char *buf, int len, nl_fn fn,
		    void *arg)
{
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)buf;

	for (; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len)) {
		if (nlh->nlmsg_seq != nl->seq)
			continue;
		if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
			nl->interrupted = true;
		switch (nlh->nlmsg_type) {
		case NLMSG_ERROR:
			return nl_parse_error(nl, nlh);
		case NLMSG_DONE:
			/* A dump that fails ends so. */
			if (mnl_nlmsg_get_payload_len(nlh) >= sizeof(int) &&
			    *(int *)mnl_nlmsg_get_payload(nlh) < 0)
				return nl_fail(nl,
					-*(int *)mnl_nlmsg_get_payload(nlh));
			return 0;
		case NLMSG_NOOP:
			break;
		default:
			if (fn)
				fn(nlh, arg);
		}
	}
	return 1;
}

/**
 * nl_talk() - send a request and take the answer
 * @nl: the socket
 * @nlh: the request
 * @fn: called for each message of the answer, or NULL
 * @arg: for @fn
 *
 * Return: 0 or a negative error, of which @nl->error says more.
 */
int nl_talk(struct nl *nl, struct nlmsghdr *nlh, nl_fn fn, void *arg)
{
	char *buf;
	int ret;

	if (!(nlh->nlmsg_flags & NLM_F_DUMP))
		nlh->nlmsg_flags |= NLM_F_ACK;
	if (mnl_socket_sendto(nl->sock, nlh, nlh->nlmsg_len) < 0)
		return nl_fail(nl, errno);
	buf = malloc(NL_BUF_MAX);
	if (!buf)
		return nl_fail(nl, ENOMEM);
	do {
		ret = mnl_socket_recvfrom(nl->sock, buf, NL_BUF_MAX);
		ret = ret < 0 ? nl_fail(nl, errno) :
				nl_parse(nl, buf, ret, fn, arg);
	} while (ret > 0);
	free(buf);
	return ret;
}

static void nl_group_of(const struct nlattr *groups, struct nl *nl)
{
	const struct nlattr *tb[CTRL_ATTR_MCAST_GRP_MAX + 1];
	const struct nlattr *group;

	mnl_attr_for_each_nested(group, groups) {
		nl_nested(group, tb, CTRL_ATTR_MCAST_GRP_MAX);
		if (tb[CTRL_ATTR_MCAST_GRP_NAME] &&
		    !strcmp(mnl_attr_get_str(tb[CTRL_ATTR_MCAST_GRP_NAME]),
			    STT_GENL_MCGRP_EVENTS))
			nl->group = nl_uint(tb[CTRL_ATTR_MCAST_GRP_ID]);
	}
}

static void nl_family(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[CTRL_ATTR_MAX + 1];
	struct nl *nl = arg;

	nl_attrs(nlh, sizeof(struct genlmsghdr), tb, CTRL_ATTR_MAX);
	nl->family = nl_uint(tb[CTRL_ATTR_FAMILY_ID]);
	if (tb[CTRL_ATTR_MCAST_GROUPS])
		nl_group_of(tb[CTRL_ATTR_MCAST_GROUPS], nl);
}

/**
 * nl_open_stt() - open a socket and find family "stt"
 * @nl: the socket
 *
 * The kernel loads the module for that if it may.
 *
 * Return: 0 or a negative error: -ENOENT if there is no such family.
 */
int nl_open_stt(struct nl *nl)
{
	char buf[NL_REQ_MAX];
	struct nlmsghdr *nlh;
	struct genlmsghdr *genl;
	int err;

	err = nl_open(nl, NETLINK_GENERIC);
	if (err)
		return err;
	nlh = nl_request(nl, buf, GENL_ID_CTRL, 0);
	genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	genl->cmd = CTRL_CMD_GETFAMILY;
	genl->version = 1;
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, STT_GENL_NAME);
	err = nl_talk(nl, nlh, nl_family, nl);
	if (err)
		nl_close(nl);
	return err;
}

/**
 * nl_listen() - become a member of the group of events
 * @nl: socket of family "stt"
 *
 * Return: 0 or a negative error.
 */
int nl_listen(struct nl *nl)
{
	int size = 1 << 22;

	/* A burst of learning should not overrun it. */
	setsockopt(mnl_socket_get_fd(nl->sock), SOL_SOCKET, SO_RCVBUFFORCE,
		   &size, sizeof(size));
	if (mnl_socket_setsockopt(nl->sock, NETLINK_ADD_MEMBERSHIP, &nl->group,
				  sizeof(nl->group)) < 0)
		return nl_fail(nl, errno);
	return 0;
}

/**
 * nl_events() - wait for events
 * @nl: socket after nl_listen()
 * @fn: called for each of them
 * @arg: for @fn
 *
 * Return: 0, or -ENOBUFS if some were lost, or another negative error.
 */
int nl_events(struct nl *nl, nl_fn fn, void *arg)
{
	static char buf[NL_BUF_MAX];
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)buf;
	int len;

	len = mnl_socket_recvfrom(nl->sock, buf, sizeof(buf));
	if (len < 0)
		return nl_fail(nl, errno);
	for (; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len))
		if (nlh->nlmsg_type == nl->family)
			fn(nlh, arg);
	return 0;
}

void nl_attrs(const struct nlmsghdr *nlh, size_t hdrlen,
	      const struct nlattr *tb[], unsigned int max)
{
	const struct nlattr *attr;

	memset(tb, 0, (max + 1) * sizeof(*tb));
	mnl_attr_for_each(attr, nlh, hdrlen)
		if (mnl_attr_get_type(attr) <= max)
			tb[mnl_attr_get_type(attr)] = attr;
}

void nl_nested(const struct nlattr *nest, const struct nlattr *tb[],
	       unsigned int max)
{
	const struct nlattr *attr;

	memset(tb, 0, (max + 1) * sizeof(*tb));
	if (!nest)
		return;
	mnl_attr_for_each_nested(attr, nest)
		if (mnl_attr_get_type(attr) <= max)
			tb[mnl_attr_get_type(attr)] = attr;
}

uint64_t nl_uint(const struct nlattr *attr)
{
	uint64_t u64;

	if (!attr)
		return 0;
	switch (mnl_attr_get_payload_len(attr)) {
	case 1:
		return mnl_attr_get_u8(attr);
	case 2:
		return mnl_attr_get_u16(attr);
	case 4:
		return mnl_attr_get_u32(attr);
	case 8:
		memcpy(&u64, mnl_attr_get_payload(attr), sizeof(u64));
		return u64;
	}
	return 0;
}
