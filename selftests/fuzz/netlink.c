// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes configuration: sequences of messages of rtnetlink and of the generic
 * netlink family "stt", right ones, senseless ones and damaged ones.
 *
 * A record is the socket, what to correct (FIX_*), a device f0 to f5, a byte
 * of padding, and a message.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/if_stt.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/stt_genl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"

#define FIX_LENGTH	0x01	/* of the message, to that of the record */
#define FIX_TYPE	0x02	/* the number of the family */
#define FIX_INDEX	0x04	/* ifindex in the header: that of the device */
#define FIX_ALL		0x07

#define HEAD_LEN	4
#define DEVICES		6

#ifndef NLM_F_BULK
#define NLM_F_BULK	0x200
#endif
/* Newer than the headers of some systems. */
#define NDA_STATE_MASK	16
#define NDA_FLAGS_MASK	17

enum wire { ROUTE, STRICT, GENERIC, EVENTS, SOCKETS };

enum kind {
	END, U8, U16, U32, U64, BE16, IN, IN6, NAME, MAC, RANGE, INDEX, FLAG,
	CONF
};

/* An attribute and what it holds. */
struct attr {
	__u16		type;
	enum kind	kind;
};

static const struct attr conf_attrs[] = {
	{ IFLA_STT_KEY, U64 }, { IFLA_STT_KEY, U64 }, { IFLA_STT_KEY, U64 },
	{ IFLA_STT_REMOTE, IN }, { IFLA_STT_REMOTE6, IN6 },
	{ IFLA_STT_REMOTE, IN }, { IFLA_STT_REMOTE6, IN6 },
	{ IFLA_STT_LOCAL, IN }, { IFLA_STT_LOCAL6, IN6 },
	{ IFLA_STT_LINK, INDEX }, { IFLA_STT_PORT, BE16 },
	{ IFLA_STT_PORT_RANGE, RANGE }, { IFLA_STT_TTL, U8 },
	{ IFLA_STT_TTL_INHERIT, FLAG }, { IFLA_STT_TOS, U8 },
	{ IFLA_STT_DF, FLAG }, { IFLA_STT_LABEL, U32 },
	{ IFLA_STT_COLLECT_METADATA, FLAG }, { IFLA_STT_LEARNING, FLAG },
	{ IFLA_STT_AGEING, U32 }, { IFLA_STT_LIMIT, U32 },
	{ IFLA_STT_CSUM_TRUST, FLAG }, { IFLA_STT_VLAN_COMPAT, FLAG },
	{ IFLA_STT_KEYBASE, U32 }, { IFLA_STT_DSCP_COPY, FLAG },
	{ IFLA_STT_DSCP_COPY + 1, U32 }, { END, END }
};

static const struct attr neigh_attrs[] = {
	{ NDA_LLADDR, MAC }, { NDA_LLADDR, MAC }, { NDA_DST, IN },
	{ NDA_DST, IN }, { NDA_DST, IN6 }, { NDA_DST, IN6 },
	{ NDA_PORT, BE16 }, { NDA_VNI, U32 }, { NDA_VNI, U64 },
	{ NDA_IFINDEX, INDEX }, { NDA_SRC_VNI, U32 }, { NDA_SRC_VNI, U64 },
	{ NDA_VLAN, U16 }, { NDA_NH_ID, U32 }, { NDA_STATE_MASK, U16 },
	{ NDA_FLAGS_MASK, U8 }, { NDA_MASTER, INDEX }, { NDA_PROTOCOL, U8 },
	{ END, END }
};

static const struct attr link_attrs[] = {
	{ IFLA_MTU, U32 }, { IFLA_ADDRESS, MAC }, { IFLA_LINK, INDEX },
	{ IFLA_LINK_NETNSID, U32 }, { IFLA_TARGET_NETNSID, U32 },
	{ IFLA_GROUP, U32 }, { IFLA_MASTER, INDEX }, { IFLA_NEW_IFINDEX, U32 },
	{ IFLA_EXT_MASK, U32 }, { IFLA_CARRIER, FLAG },
	{ IFLA_PROTO_DOWN, FLAG }, { IFLA_BROADCAST, MAC },
	{ IFLA_NUM_TX_QUEUES, U8 }, { END, END }
};

static const struct attr dev_attrs[] = {
	{ STT_DEV_A_IFINDEX, INDEX }, { STT_DEV_A_IFNAME, NAME },
	{ STT_DEV_A_IFNAME, NAME }, { STT_DEV_A_FLAGS, U32 },
	{ STT_DEV_A_CONF, CONF }, { END, END }
};

static const struct attr fdb_attrs[] = {
	{ STT_FDB_A_IFNAME, NAME }, { STT_FDB_A_IFNAME, NAME },
	{ STT_FDB_A_IFNAME, NAME }, { STT_FDB_A_IFINDEX, INDEX },
	{ STT_FDB_A_LLADDR, MAC }, { STT_FDB_A_LLADDR, MAC },
	{ STT_FDB_A_LLADDR, MAC }, { STT_FDB_A_SRC_KEY, U64 },
	{ STT_FDB_A_KEY, U64 }, { STT_FDB_A_DST, IN }, { STT_FDB_A_DST, IN },
	{ STT_FDB_A_DST6, IN6 }, { STT_FDB_A_PORT, BE16 },
	{ STT_FDB_A_LINK, INDEX }, { STT_FDB_A_MODE, FLAG },
	{ STT_FDB_A_STATE, U16 }, { STT_FDB_A_STATE_MASK, U16 },
	{ STT_FDB_A_FLAGS, U8 }, { STT_FDB_A_FLAGS_MASK, U8 },
	{ STT_FDB_A_USED, U64 }, { END, END }
};

static const struct attr reasm_attrs[] = {
	{ STT_REASM_A_BUDGET, U64 }, { STT_REASM_A_TIMEOUT, U32 },
	{ STT_REASM_A_MEM, U64 }, { END, END }
};

static const struct {
	__u8			cmd;
	const struct attr	*attrs;
} commands[] = {
	{ STT_CMD_DEV_GET, dev_attrs }, { STT_CMD_FDB_GET, fdb_attrs },
	{ STT_CMD_FDB_NEW, fdb_attrs }, { STT_CMD_FDB_NEW, fdb_attrs },
	{ STT_CMD_FDB_DEL, fdb_attrs }, { STT_CMD_FDB_FLUSH, fdb_attrs },
	{ STT_CMD_STATS_GET, dev_attrs }, { STT_CMD_REASM_SET, reasm_attrs },
};

static int sock[SOCKETS];
static __u16 family, group;

/* ---- Messages */

/* Room for @len bytes of an attribute. */
static void *put(struct record *rec, __u16 type, size_t len)
{
	struct nlattr *attr;

	rec->len = NLA_ALIGN(rec->len);
	attr = (void *)(rec->data + rec->len);
	if (rec->len + NLA_HDRLEN + NLA_ALIGN(len) > 8192)
		return NULL;
	attr->nla_type = type;
	attr->nla_len = NLA_HDRLEN + len;
	memset(attr + 1, 0, NLA_ALIGN(len));
	rec->len += NLA_HDRLEN + NLA_ALIGN(len);
	return attr + 1;
}

static void put_string(struct record *rec, __u16 type, const char *text)
{
	void *p = put(rec, type, strlen(text) + 1);

	if (p)
		strcpy(p, text);
}

static struct nlattr *nest_begin(struct record *rec, __u16 type)
{
	void *p = put(rec, type, 0);

	return p ? (struct nlattr *)p - 1 : NULL;
}

static void nest_end(struct record *rec, struct nlattr *nest)
{
	if (nest)
		nest->nla_len = rec->data + rec->len - (__u8 *)nest;
}

static void put_bytes(struct record *rec, __u16 type, const void *data,
		      size_t len)
{
	void *p = put(rec, type, len);

	if (p)
		memcpy(p, data, len);
}

/* Few values of each, so that messages meet. */
static void put_value(struct record *rec, const struct attr *attr)
{
	static const char * const in[] = {
		"10.0.0.2", "10.0.0.3", "10.0.0.1", "0.0.0.0", "239.1.1.1",
		"255.255.255.255", "127.0.0.1", "224.0.0.1"
	};
	static const char * const in6[] = {
		"fd00::2", "fd00::3", "fd00::1", "::", "ff05::1",
		"fe80::2", "::ffff:10.0.0.2", "::1"
	};
	static const char * const names[] = {
		"f0", "f1", "f2", "f3", "f4", "f5", "low0", "lo"
	};
	__u8 bytes[16] = { 2 };
	__u64 number;

	number = one_in(3) ? odd_number(8) : below(4);
	switch (attr->kind) {
	case END:
	case CONF:
		break;
	case FLAG:
		number = one_in(16) ? odd_number(1) : below(2);
		put_bytes(rec, attr->type, &number, 1);
		break;
	case U8:
		put_bytes(rec, attr->type, &number, 1);
		break;
	case BE16:
		number = one_in(8) ? odd_number(2) : htons(7471 + below(3));
		put_bytes(rec, attr->type, &number, 2);
		break;
	case U16:
		if (one_in(2))
			number |= 0x80;		/* NUD_PERMANENT */
		put_bytes(rec, attr->type, &number, 2);
		break;
	case INDEX:
		number = below(24);
		put_bytes(rec, attr->type, &number, 4);
		break;
	case U32:
		put_bytes(rec, attr->type, &number, 4);
		break;
	case U64:
		put_bytes(rec, attr->type, &number, 8);
		break;
	case IN:
		inet_pton(AF_INET, in[one_in(2) ? below(8) : below(3)], bytes);
		put_bytes(rec, attr->type, bytes, 4);
		break;
	case IN6:
		inet_pton(AF_INET6, in6[one_in(2) ? below(8) : below(3)],
			  bytes);
		put_bytes(rec, attr->type, bytes, 16);
		break;
	case NAME:
		put_string(rec, attr->type, names[below(8)]);
		break;
	case MAC:
		bytes[0] = one_in(4) ? below(4) : one_in(2) ? 2 : 0;
		bytes[5] = bytes[0] || one_in(4) ? below(8) : 0;
		put_bytes(rec, attr->type, bytes, 6);
		break;
	case RANGE:
		number = odd_number(4);
		put_bytes(rec, attr->type, &number, 4);
		break;
	}
}

static void put_some(struct record *rec, const struct attr *attrs,
		     unsigned int most)
{
	unsigned int count = 0, n = below(most + 1);
	struct nlattr *nest;

	while (attrs[count].kind != END)
		count++;
	while (n--) {
		const struct attr *attr = &attrs[below(count)];

		if (attr->kind != CONF) {
			put_value(rec, attr);
			continue;
		}
		nest = nest_begin(rec, attr->type);
		put_some(rec, conf_attrs, 4);
		nest_end(rec, nest);
	}
}

/* Header of a message; returns that of its family. */
static void *begin(struct record *rec, enum wire wire, __u16 type, __u16 flags,
		   size_t len)
{
	struct nlmsghdr *nlh = (void *)(rec->data + HEAD_LEN);

	memset(rec->data, 0, HEAD_LEN + NLMSG_HDRLEN + len);
	rec->data[0] = wire;
	rec->data[1] = FIX_ALL;
	rec->data[2] = below(DEVICES);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	rec->len = HEAD_LEN + NLMSG_HDRLEN + NLMSG_ALIGN(len);
	return nlh + 1;
}

static __u16 some_flags(void)
{
	static const __u16 flags[] = {
		NLM_F_CREATE | NLM_F_EXCL, NLM_F_CREATE | NLM_F_REPLACE,
		NLM_F_CREATE | NLM_F_APPEND, NLM_F_CREATE, 0, NLM_F_DUMP,
		NLM_F_BULK, NLM_F_REPLACE
	};

	return one_in(12) ? random64() : flags[below(8)];
}

static void make_link(struct record *rec)
{
	static const __u16 types[] = {
		RTM_NEWLINK, RTM_NEWLINK, RTM_NEWLINK, RTM_DELLINK,
		RTM_SETLINK, RTM_GETLINK
	};
	__u16 type = types[below(6)], flags = some_flags();
	bool low = one_in(24);
	struct nlattr *info, *data;
	struct ifinfomsg *ifi;
	char name[3] = "f0";

	if (type == RTM_NEWLINK && one_in(2))
		flags = NLM_F_CREATE | NLM_F_EXCL;
	ifi = begin(rec, one_in(4) ? STRICT : ROUTE, type, flags,
		    sizeof(*ifi));
	ifi->ifi_flags = one_in(2) ? IFF_UP : 0;
	ifi->ifi_change = one_in(2) ? IFF_UP : 0;
	name[1] += rec->data[2];
	if (flags & NLM_F_EXCL || one_in(2)) {
		/* By name, not by index. */
		rec->data[1] &= ~FIX_INDEX;
		put_string(rec, IFLA_IFNAME, low ? "low0" : name);
	}
	put_some(rec, link_attrs, one_in(4) ? 3 : 0);
	info = nest_begin(rec, IFLA_LINKINFO);
	put_string(rec, IFLA_INFO_KIND, low ? "dummy" : "stt");
	data = nest_begin(rec, IFLA_INFO_DATA);
	if (type == RTM_NEWLINK && flags & NLM_F_EXCL && !one_in(4))
		put_value(rec, &conf_attrs[0]);
	put_some(rec, conf_attrs, one_in(4) ? 12 : 4);
	nest_end(rec, data);
	nest_end(rec, info);
}

static void make_neigh(struct record *rec)
{
	static const __u16 types[] = {
		RTM_NEWNEIGH, RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH
	};
	__u16 type = types[below(4)], flags = some_flags();
	struct ndmsg *ndm;

	if (type == RTM_NEWNEIGH && one_in(2))
		flags = NLM_F_CREATE | (one_in(2) ? NLM_F_EXCL : NLM_F_APPEND);
	ndm = begin(rec, one_in(2) ? STRICT : ROUTE, type, flags,
		    sizeof(*ndm));
	ndm->ndm_family = one_in(16) ? random64() : AF_BRIDGE;
	ndm->ndm_state = one_in(4) ? random64() : 0x80;
	ndm->ndm_flags = one_in(4) ? random64() : 2;	/* NTF_SELF */
	if (!one_in(4))
		put_value(rec, &neigh_attrs[0]);
	if (!one_in(4))
		put_value(rec, &neigh_attrs[2 + below(4)]);
	put_some(rec, neigh_attrs, 4);
}

static void make_generic(struct record *rec)
{
	unsigned int i = below(sizeof(commands) / sizeof(*commands));
	struct genlmsghdr *gen;

	gen = begin(rec, GENERIC, 0, one_in(3) ? NLM_F_DUMP : some_flags(),
		    sizeof(*gen));
	gen->cmd = one_in(32) ? below(20) : commands[i].cmd;
	gen->version = STT_GENL_VERSION;
	if (commands[i].attrs == fdb_attrs) {
		put_value(rec, &fdb_attrs[0]);
		if (!one_in(3))
			put_value(rec, &fdb_attrs[4]);
		if (!one_in(3))
			put_value(rec, &fdb_attrs[9]);
	} else if (one_in(2)) {
		put_value(rec, &commands[i].attrs[1]);
	}
	put_some(rec, commands[i].attrs, 3);
}

static void generate(struct input *in)
{
	__u32 n = 1 + below(6);

	in->count = 0;
	while (n--) {
		struct record *rec = &in->record[in->count++];

		switch (below(3)) {
		case 0:
			make_link(rec);
			break;
		case 1:
			make_neigh(rec);
			break;
		default:
			make_generic(rec);
		}
	}
}

/* ---- Changes */

/* A random attribute at the top level or below, NULL if there is none. */
static struct nlattr *find_attr(struct record *rec, __u32 begin, __u32 end,
				unsigned int depth)
{
	struct nlattr *attr, *chosen = NULL;
	unsigned int seen = 0;
	__u32 at = begin;

	while (at + NLA_HDRLEN <= end) {
		attr = (void *)(rec->data + at);
		if (attr->nla_len < NLA_HDRLEN || at + attr->nla_len > end)
			break;
		if (one_in(++seen))
			chosen = attr;
		at += NLA_ALIGN(attr->nla_len);
	}
	if (chosen && depth && !one_in(3)) {
		at = (__u8 *)(chosen + 1) - rec->data;
		attr = find_attr(rec, at, at + chosen->nla_len - NLA_HDRLEN,
				 depth - 1);
		if (attr)
			return attr;
	}
	return chosen;
}

static void tweak_attr(struct record *rec, struct nlattr *attr)
{
	__u32 payload = attr->nla_len - NLA_HDRLEN;
	__u64 value;

	switch (below(6)) {
	case 0:
		attr->nla_len = odd_number(2);
		break;
	case 1:
		attr->nla_len += below(9) - 4;
		break;
	case 2:
		attr->nla_type = one_in(2) ? below(64) : random64();
		break;
	case 3:
		attr->nla_type ^= one_in(2) ? NLA_F_NESTED :
					      NLA_F_NET_BYTEORDER;
		break;
	default:
		value = odd_number(8);
		memcpy(attr + 1, &value, payload < 8 ? payload : 8);
	}
	(void)rec;
}

static void tweak(struct record *rec)
{
	__u32 head = HEAD_LEN + NLMSG_HDRLEN;
	struct nlmsghdr *nlh = (void *)(rec->data + HEAD_LEN);
	static const __u8 sizes[] = {
		[ROUTE] = sizeof(struct ifinfomsg),
		[STRICT] = sizeof(struct ifinfomsg),
		[GENERIC] = sizeof(struct genlmsghdr),
	};
	struct nlattr *attr;

	if (rec->len < head)
		return;
	switch (below(10)) {
	case 0:
		rec->len -= below(rec->len - head + 1);
		break;
	case 1:
		rec->data[1] ^= 1 << below(3);
		break;
	case 2:
		rec->data[2] = below(DEVICES);
		break;
	case 3:
		nlh->nlmsg_flags ^= 1 << below(12);
		break;
	case 4:
		nlh->nlmsg_len = odd_number(4);
		rec->data[1] &= ~FIX_LENGTH;
		break;
	case 5:
		if (rec->data[0] == GENERIC) {
			put_some(rec, commands[below(8)].attrs, 2);
			break;
		}
		put_some(rec, nlh->nlmsg_type >= RTM_NEWNEIGH ? neigh_attrs :
							      link_attrs, 2);
		break;
	default:
		head += sizes[rec->data[0] % EVENTS];
		attr = find_attr(rec, head, rec->len, 2);
		if (attr)
			tweak_attr(rec, attr);
	}
}

/* ---- Giving it to the kernel */

/* A dump goes on while it is read. */
static void drain(int fd)
{
	static char buffer[65536];
	int most = 200;

	while (most-- && recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT) > 0)
		;
}

static void set_index(__u8 *message, __u32 len, __u8 number)
{
	char name[3] = "f0";
	__u32 index;

	/* In struct ifinfomsg and struct ndmsg it is in the same place. */
	if (len < NLMSG_HDRLEN + 8)
		return;
	name[1] += number % DEVICES;
	index = if_nametoindex(name);
	memcpy(message + NLMSG_HDRLEN + 4, &index, 4);
}

static int run(const struct input *in)
{
	static __u8 message[RECORD_MAX] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = (void *)message;
	__u32 i, len;

	for (i = 0; i < in->count; i++) {
		const __u8 *data = in->record[i].data;
		enum wire wire = data[0] % EVENTS;

		if (in->record[i].len <= HEAD_LEN)
			continue;
		len = in->record[i].len - HEAD_LEN;
		memcpy(message, data + HEAD_LEN, len);
		if (len >= NLMSG_HDRLEN) {
			if (data[1] & FIX_LENGTH)
				nlh->nlmsg_len = len;
			if (data[1] & FIX_TYPE && wire == GENERIC)
				nlh->nlmsg_type = family;
			if (data[1] & FIX_INDEX && wire != GENERIC)
				set_index(message, len, data[2]);
		}
		send(sock[wire], message, len, MSG_DONTWAIT);
		drain(sock[wire]);
	}
	drain(sock[EVENTS]);
	return 0;
}

/* ---- Beginning */

static int open_socket(int protocol, bool strict)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW, protocol), on = 1;

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on)) ||
	    (strict && setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK,
				  &on, sizeof(on))))
		die("netlink");
	return fd;
}

static struct nlattr *next_attr(struct nlattr *attr)
{
	return (void *)((char *)attr + NLA_ALIGN(attr->nla_len));
}

/* The number of the family and that of its only group. */
static void find_family(void)
{
	static struct record rec;
	struct nlmsghdr *nlh = (void *)rec.data;
	struct genlmsghdr *gen;
	struct nlattr *attr;
	ssize_t len;

	gen = begin(&rec, GENERIC, GENL_ID_CTRL, 0, sizeof(*gen));
	gen->cmd = CTRL_CMD_GETFAMILY;
	gen->version = 1;
	put_string(&rec, CTRL_ATTR_FAMILY_NAME, STT_GENL_NAME);
	((struct nlmsghdr *)(rec.data + HEAD_LEN))->nlmsg_len =
		rec.len - HEAD_LEN;
	send(sock[GENERIC], rec.data + HEAD_LEN, rec.len - HEAD_LEN, 0);
	len = recv(sock[GENERIC], rec.data, sizeof(rec.data), 0);
	if (len < NLMSG_HDRLEN || nlh->nlmsg_type != GENL_ID_CTRL)
		die("no family " STT_GENL_NAME);
	for (attr = (void *)(rec.data + NLMSG_HDRLEN + GENL_HDRLEN);
	     (__u8 *)attr < rec.data + nlh->nlmsg_len;
	     attr = next_attr(attr)) {
		if (attr->nla_type == CTRL_ATTR_FAMILY_ID)
			memcpy(&family, attr + 1, 2);
		/* nest of groups, nest of a group, its number */
		if ((attr->nla_type & NLA_TYPE_MASK) == CTRL_ATTR_MCAST_GROUPS)
			memcpy(&group, (char *)(attr + 3), 2);
	}
	drain(sock[GENERIC]);
}

static void init(void)
{
	int neighbours = RTNLGRP_NEIGH, events;

	sock[ROUTE] = open_socket(NETLINK_ROUTE, false);
	sock[STRICT] = open_socket(NETLINK_ROUTE, true);
	sock[GENERIC] = open_socket(NETLINK_GENERIC, false);
	sock[EVENTS] = open_socket(NETLINK_GENERIC, false);
	find_family();
	events = group;
	/* So that there is someone to tell. */
	if (setsockopt(sock[ROUTE], SOL_NETLINK, NETLINK_ADD_MEMBERSHIP,
		       &neighbours, sizeof(neighbours)) ||
	    setsockopt(sock[EVENTS], SOL_NETLINK, NETLINK_ADD_MEMBERSHIP,
		       &events, sizeof(events)))
		die("groups");
}

static void option(int option, const char *argument)
{
	(void)option;
	(void)argument;
}

const struct target target = {
	.name = "netlink",
	.options = "",
	.usage = "",
	.option = option,
	.init = init,
	.generate = generate,
	.tweak = tweak,
	.run = run,
};
