/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of sttctl share.
 *
 *	sttctl.c	options, commands, words of the command line
 *	sttctl_out.c	text or JSON
 *	sttctl_show.c	show, top, stats, reasm
 *	sttctl_fdb.c	fdb, monitor
 *	sttctl_check.c	check: which questions are asked of a tunnel
 *	sttctl_net.c	check: what the kernel says of the underlay
 *	sttctl_nft.c	check: what the firewall does with a segment
 */
#ifndef _STTCTL_H
#define _STTCTL_H

#include <linux/if_link.h>
#include <linux/if_stt.h>
#include <linux/stt_genl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "nl.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Exit status. */
enum {
	CTL_OK,
	CTL_FINDINGS,	/* of check */
	CTL_ERROR,
};

/* sttctl.c */

/* -j */
extern bool ctl_json;

/* The words of the command line that are left; the list ends with NULL. */
struct ctl_args {
	char **argv;
	const char *given[16];	/* options that have been taken */
};

__attribute__((format(printf, 1, 2), noreturn))
void ctl_die(const char *fmt, ...);
void ctl_open(struct nl *nl);
/* Says on standard error if a list that was printed may not be complete. */
void ctl_close(struct nl *nl);
const char *ctl_next(struct ctl_args *args);
bool ctl_word(struct ctl_args *args, const char *word);
/* The same of a word that may come only once. */
bool ctl_option(struct ctl_args *args, const char *word);
const char *ctl_value(struct ctl_args *args, const char *word,
		      const char *takes);
void ctl_end(struct ctl_args *args);
uint64_t ctl_number(struct ctl_args *args, const char *word, uint64_t min,
		    uint64_t max);
bool ctl_parse_u64(const char *text, uint64_t *val);

/* An address of either family; @family is 0 for none. */
struct addr {
	int family;
	union {
		struct in_addr v4;
		struct in6_addr v6;
	};
};

bool addr_parse(const char *text, struct addr *addr);
void addr_read(struct addr *addr, const struct nlattr *v4,
	       const struct nlattr *v6);
void addr_put(struct nlmsghdr *nlh, int v4, int v6, const struct addr *addr);
bool addr_equal(const struct addr *a, const struct addr *b);
bool addr_is_multicast(const struct addr *addr);
size_t addr_len(const struct addr *addr);
/* In one of a few buffers that take turns. */
const char *addr_text(const struct addr *addr);

/* sttctl_out.c: a NULL key is for text alone, a NULL format for JSON alone */

void out_begin(void);
void out_end(void);
void out_open_array(const char *key);
void out_close_array(void);
void out_open_object(const char *key);
void out_close_object(void);
void out_text(const char *text);
void out_str(const char *key, const char *fmt, const char *val);
void out_u64(const char *key, const char *fmt, uint64_t val);
void out_i64(const char *key, const char *fmt, int64_t val);
void out_bool(const char *key, const char *fmt, bool val);
/* A Context ID: a number, and a string that JSON readers do not round. */
void out_id(const char *key, const char *fmt, uint64_t id);

/* sttctl_show.c */

/**
 * struct dev - a device, as the module describes it
 * @index: ifindex
 * @name: name
 * @flags: IFF_*
 * @netnsid: namespace of the underlay, if @elsewhere
 * @elsewhere: the underlay is in another namespace
 * @external: ends and Context ID come with each packet
 * @id: Context ID
 * @fwmark: mark for the route, 0 for that of each packet
 * @remote: far end
 * @local: near end
 * @link: underlay device
 * @port: destination port
 * @has_fdb: it has an FDB
 * @entries: of the FDB
 * @learned: of the FDB
 * @conf: all of the configuration, by IFLA_STT_*
 * @drops: by STT_XSTATS_*
 * @stats: counters of the network device
 */
struct dev {
	int index;
	char name[IF_NAMESIZE];
	unsigned int flags;
	int netnsid;
	bool elsewhere;
	bool external;
	uint64_t id;
	uint32_t fwmark;
	struct addr remote;
	struct addr local;
	int link;
	uint16_t port;
	bool has_fdb;
	unsigned int entries;
	unsigned int learned;
	const struct nlattr *conf[IFLA_STT_MAX + 1];
	uint64_t drops[STT_XSTATS_MAX + 1];
	struct rtnl_link_stats64 stats;
};

void dev_parse(const struct nlmsghdr *nlh, struct dev *dev);
void dev_out(const struct dev *dev);
/* For all devices, or the one of that name; false if there is none. */
bool dev_each(struct nl *nl, const char *name,
	      void (*fn)(const struct dev *dev, void *arg), void *arg);

/* Counters of the namespace, in the order of the module. */
struct counters {
	struct {
		char name[32];
		uint64_t value;
	} counter[64];
	unsigned int count;
	uint64_t reasm[STT_REASM_A_MAX + 1];
};

void counters_get(struct nl *nl, struct counters *c);
uint64_t counters_value(const struct counters *c, const char *name);

int cmd_show(struct ctl_args *args);
int cmd_top(struct ctl_args *args);
int cmd_stats(struct ctl_args *args);
int cmd_reasm(struct ctl_args *args);

/* sttctl_fdb.c */

int cmd_fdb(struct ctl_args *args);
int cmd_monitor(struct ctl_args *args);
/* For all entries of a device with each destination. */
void fdb_each(struct nl *nl, int ifindex,
	      void (*fn)(const struct nlattr *tb[], void *arg), void *arg);

/* sttctl_check.c */

int cmd_check(struct ctl_args *args);
/* One line; @fix is the command that mends it, from fixf(). */
__attribute__((format(printf, 3, 4)))
void finding(const char *what, const char *fix, const char *fmt, ...);
/* In a buffer that the next call overwrites. */
__attribute__((format(printf, 1, 2)))
const char *fixf(const char *fmt, ...);

/* sttctl_net.c */

/**
 * struct route - the way to an address
 * @err: 0 or a negative error: there is none
 * @type: RTN_*
 * @oif: underlay device
 * @mtu: of the path, 0 for that of the device
 * @learned: @mtu was told by a router, and will be forgotten
 * @gateway: next hop, if it is not the address itself
 * @src: source address
 */
struct route {
	int err;
	unsigned int type;
	int oif;
	unsigned int mtu;
	bool learned;
	struct addr gateway;
	struct addr src;
};

/**
 * struct link - a network device of the underlay
 * @err: 0 or a negative error
 * @index: ifindex
 * @name: name
 * @flags: IFF_*
 * @mtu: MTU
 * @master: ifindex of its master, or 0
 * @kind: type of link, empty for a plain device
 */
struct link {
	int err;
	int index;
	char name[IF_NAMESIZE];
	unsigned int flags;
	unsigned int mtu;
	int master;
	char kind[16];
};

/**
 * struct route_query - what a route is asked for
 * @dst: destination
 * @src: source, NULL or none for any
 * @oif: underlay device, 0 for any
 * @mark: firewall mark
 * @port: destination port of TCP, 0 for none
 */
struct route_query {
	const struct addr *dst;
	const struct addr *src;
	int oif;
	uint32_t mark;
	uint16_t port;
};

void net_route(const struct route_query *q, struct route *route);
void net_link(int index, struct link *link);
/* State of a neighbour, NUD_*; 0 if there is none. */
unsigned int net_neigh(int index, const struct addr *addr);
/* The device that has an address of this host, 0 for none. */
int net_addr_owner(const struct addr *addr);
bool net_enter(int netnsid);
int net_sysctl(const char *fmt, const char *name);
bool net_ping(const struct addr *dst, const struct addr *src, int oif);
int net_port_owner(uint16_t port, char *name, size_t len);
bool net_port_taken(uint16_t port);

/* Offloads that matter to segments, as bits. */
enum {
	NET_SG		= 1 << 0,
	NET_CSUM	= 1 << 1,
	NET_TSO		= 1 << 2,
	NET_GSO		= 1 << 3,
	NET_GRO		= 1 << 4,
	NET_LRO		= 1 << 5,
};

/* Which are on, and which could be switched; -1 if it cannot be told. */
int net_offloads(const char *name, bool v6, unsigned int *on,
		 unsigned int *changeable);

/**
 * struct heard - what one peer was heard to send
 * @segments: of frames for the port
 * @ids: number of different Context IDs, as far as remembered
 * @id: the Context IDs
 */
struct heard {
	unsigned int segments;
	unsigned int ids;
	uint64_t id[8];
};

/* A socket that hears segments of a peer from now on, or -1. */
int net_hear_start(int index);
void net_hear(int fd, const struct addr *peer, uint16_t port,
	      struct heard *heard);

/* sttctl_nft.c */

/**
 * struct segment - a segment for the firewall to judge
 * @saddr: outer source
 * @daddr: outer destination
 * @iif: name of the device it comes in by, or NULL
 * @oif: name of the device it goes out by, or NULL
 * @vrf: name of the VRF that the device is in, or NULL
 * @port: destination port
 */
struct segment {
	const struct addr *saddr;
	const struct addr *daddr;
	const char *iif;
	const char *oif;
	const char *vrf;
	uint16_t port;
};

void nft_check(const struct segment *seg, const char *what);
void nft_forget(void);

#endif /* _STTCTL_H */
