// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel says of the underlay: routes, links, neighbours, offloads.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/neighbour.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sttctl.h"

#ifndef RTM_F_LOOKUP_TABLE
#define RTM_F_LOOKUP_TABLE	0x1000
#endif

/* One question over rtnetlink; @fn is called for each answer. */
static int net_ask(struct nlmsghdr *(*make)(struct nl *nl, char *buf,
					    const void *what),
		   const void *what, nl_fn fn, void *arg)
{
	char buf[NL_REQ_MAX];
	struct nl nl;
	int err;

	err = nl_open(&nl, NETLINK_ROUTE);
	if (err)
		return err;
	err = nl_talk(&nl, make(&nl, buf, what), fn, arg);
	nl_close(&nl);
	return err;
}

/* ---- Routes */

static struct nlmsghdr *route_make(struct nl *nl, char *buf, const void *what)
{
	struct nlmsghdr *nlh = nl_request(nl, buf, RTM_GETROUTE, 0);
	const struct route_query *q = what;
	struct rtmsg *rtm;

	rtm = mnl_nlmsg_put_extra_header(nlh, sizeof(*rtm));
	rtm->rtm_family = q->dst->family;
	rtm->rtm_dst_len = 8 * addr_len(q->dst);
	mnl_attr_put(nlh, RTA_DST, addr_len(q->dst), &q->dst->v6);
	if (q->src && q->src->family) {
		rtm->rtm_src_len = 8 * addr_len(q->src);
		mnl_attr_put(nlh, RTA_SRC, addr_len(q->src), &q->src->v6);
	}
	if (q->oif)
		mnl_attr_put_u32(nlh, RTA_OIF, q->oif);
	if (q->mark)
		mnl_attr_put_u32(nlh, RTA_MARK, q->mark);
	mnl_attr_put_u8(nlh, RTA_IP_PROTO, IPPROTO_TCP);
	if (q->port)
		mnl_attr_put_u16(nlh, RTA_DPORT, htons(q->port));
	return nlh;
}

static void route_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *metrics[RTAX_MAX + 1];
	const struct nlattr *tb[RTA_MAX + 1];
	const struct rta_cacheinfo *ci;
	struct route *route = arg;
	bool v4 = rtm->rtm_family == AF_INET;

	nl_attrs(nlh, sizeof(*rtm), tb, RTA_MAX);
	route->type = rtm->rtm_type;
	route->oif = nl_uint(tb[RTA_OIF]);
	addr_read(&route->gateway, v4 ? tb[RTA_GATEWAY] : NULL,
		  v4 ? NULL : tb[RTA_GATEWAY]);
	addr_read(&route->src, v4 ? tb[RTA_PREFSRC] : NULL,
		  v4 ? NULL : tb[RTA_PREFSRC]);
	nl_nested(tb[RTA_METRICS], metrics, RTAX_MAX);
	route->mtu = nl_uint(metrics[RTAX_MTU]);
	if (!tb[RTA_CACHEINFO] ||
	    mnl_attr_get_payload_len(tb[RTA_CACHEINFO]) < sizeof(*ci))
		return;
	ci = mnl_attr_get_payload(tb[RTA_CACHEINFO]);
	route->learned = route->mtu && ci->rta_expires;
}

void net_route(const struct route_query *q, struct route *route)
{
	memset(route, 0, sizeof(*route));
	route->err = net_ask(route_make, q, route_parse, route);
}

/* ---- Links */

static struct nlmsghdr *link_make(struct nl *nl, char *buf, const void *what)
{
	struct nlmsghdr *nlh = nl_request(nl, buf, RTM_GETLINK, 0);
	struct ifinfomsg *ifi;

	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_index = *(const int *)what;
	return nlh;
}

static void link_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *info[IFLA_INFO_MAX + 1];
	const struct nlattr *tb[IFLA_MAX + 1];
	struct link *link = arg;

	nl_attrs(nlh, sizeof(*ifi), tb, IFLA_MAX);
	link->index = ifi->ifi_index;
	link->flags = ifi->ifi_flags;
	link->mtu = nl_uint(tb[IFLA_MTU]);
	link->master = nl_uint(tb[IFLA_MASTER]);
	if (tb[IFLA_IFNAME])
		snprintf(link->name, sizeof(link->name), "%s",
			 mnl_attr_get_str(tb[IFLA_IFNAME]));
	nl_nested(tb[IFLA_LINKINFO], info, IFLA_INFO_MAX);
	if (info[IFLA_INFO_KIND])
		snprintf(link->kind, sizeof(link->kind), "%s",
			 mnl_attr_get_str(info[IFLA_INFO_KIND]));
}

void net_link(int index, struct link *link)
{
	memset(link, 0, sizeof(*link));
	link->err = net_ask(link_make, &index, link_parse, link);
}

/* ---- Neighbours */

struct neigh_query {
	int index;
	const struct addr *addr;
};

static struct nlmsghdr *neigh_make(struct nl *nl, char *buf, const void *what)
{
	struct nlmsghdr *nlh = nl_request(nl, buf, RTM_GETNEIGH, 0);
	const struct neigh_query *q = what;
	struct ndmsg *ndm;

	ndm = mnl_nlmsg_put_extra_header(nlh, sizeof(*ndm));
	ndm->ndm_family = q->addr->family;
	ndm->ndm_ifindex = q->index;
	mnl_attr_put(nlh, NDA_DST, addr_len(q->addr), &q->addr->v6);
	return nlh;
}

static void neigh_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);

	*(unsigned int *)arg = ndm->ndm_state;
}

unsigned int net_neigh(int index, const struct addr *addr)
{
	struct neigh_query q = { .index = index, .addr = addr };
	unsigned int state = 0;

	net_ask(neigh_make, &q, neigh_parse, &state);
	return state;
}

/* ---- Addresses of this host */

static struct nlmsghdr *addr_make(struct nl *nl, char *buf, const void *what)
{
	struct nlmsghdr *nlh = nl_request(nl, buf, RTM_GETADDR, NLM_F_DUMP);
	const struct addr *addr = what;
	struct ifaddrmsg *ifa;

	ifa = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifa));
	ifa->ifa_family = addr->family;
	return nlh;
}

struct addr_owner {
	const struct addr *addr;
	int index;
};

static void addr_parse_owner(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[IFA_MAX + 1];
	struct addr_owner *owner = arg;
	const struct nlattr *attr;
	struct addr addr;

	nl_attrs(nlh, sizeof(*ifa), tb, IFA_MAX);
	attr = tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS];
	addr_read(&addr, ifa->ifa_family == AF_INET ? attr : NULL,
		  ifa->ifa_family == AF_INET ? NULL : attr);
	if (addr_equal(&addr, owner->addr))
		owner->index = ifa->ifa_index;
}

int net_addr_owner(const struct addr *addr)
{
	struct addr_owner owner = { .addr = addr };

	net_ask(addr_make, addr, addr_parse_owner, &owner);
	return owner.index;
}

/* ---- Namespaces */

static struct nlmsghdr *nsid_make(struct nl *nl, char *buf, const void *what)
{
	struct nlmsghdr *nlh = nl_request(nl, buf, RTM_GETNSID, 0);

	mnl_nlmsg_put_extra_header(nlh, sizeof(struct rtgenmsg));
	mnl_attr_put_u32(nlh, NETNSA_FD, *(const int *)what);
	return nlh;
}

static void nsid_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[NETNSA_MAX + 1];

	nl_attrs(nlh, MNL_ALIGN(sizeof(struct rtgenmsg)), tb, NETNSA_MAX);
	*(int *)arg = nl_uint(tb[NETNSA_NSID]);
}

/* Namespaces are known here by numbers, to user space by names. */
bool net_enter(int netnsid)
{
	DIR *dir = opendir("/run/netns");
	struct dirent *entry;
	bool done = false;
	int fd, nsid;

	while (dir && !done && (entry = readdir(dir))) {
		fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		nsid = -1;
		if (!net_ask(nsid_make, &fd, nsid_parse, &nsid) &&
		    nsid == netnsid)
			done = !setns(fd, CLONE_NEWNET);
		close(fd);
	}
	if (dir)
		closedir(dir);
	return done;
}

/* ---- sysctl */

/* The value, -1 if there is none; @fmt is a path with one %s. */
int net_sysctl(const char *fmt, const char *name)
{
	char path[256];
	int val = -1;
	FILE *f;

	/* Formats are literals of the callers. */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(path, sizeof(path), fmt, name);
	f = fopen(path, "r");
	if (!f)
		return -1;
	if (fscanf(f, "%d", &val) != 1)
		val = -1;
	fclose(f);
	return val;
}

/* ---- Ping */

/* True also if there is no ping to ask with. */
bool net_ping(const struct addr *dst, const struct addr *src, int oif)
{
	char from[INET6_ADDRSTRLEN], name[IF_NAMESIZE], to[INET6_ADDRSTRLEN];
	char *argv[16] = { "ping", "-q", "-n", "-c", "1", "-w", "2" };
	int argc = 7, status;
	pid_t pid;

	snprintf(to, sizeof(to), "%s", addr_text(dst));
	if (src && src->family) {
		snprintf(from, sizeof(from), "%s", addr_text(src));
		argv[argc++] = "-I";
		argv[argc++] = from;
	}
	if (oif && if_indextoname(oif, name)) {
		argv[argc++] = "-I";
		argv[argc++] = name;
	}
	argv[argc++] = to;
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return true;
	if (!pid) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execvp(argv[0], argv);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) < 0)
		return true;
	return !WIFEXITED(status) || WEXITSTATUS(status) == 0 ||
	       WEXITSTATUS(status) == 127;
}

/* ---- Ports */

bool net_port_taken(uint16_t port)
{
	struct sockaddr_in6 addr = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(port),
	};
	struct sockaddr_in addr4 = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
	};
	bool taken;
	int fd;

	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd >= 0) {
		taken = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) &&
			errno == EADDRINUSE;
	} else {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
		if (fd < 0)
			return false;
		taken = bind(fd, (struct sockaddr *)&addr4, sizeof(addr4)) &&
			errno == EADDRINUSE;
	}
	close(fd);
	return taken;
}

/* Inode of a TCP socket that is bound to a port, from one of the tables. */
static unsigned long port_inode(const char *path, uint16_t port)
{
	/* slot, local address, then seven fields up to the inode */
	static const char fmt[] =
		"%*d: %*[0-9A-F]:%x %*s %*s %*s %*s %*s %*s %*s %lu";
	unsigned long inode, found = 0;
	unsigned int local;
	char line[512];
	FILE *f = fopen(path, "r");

	while (f && !found && fgets(line, sizeof(line), f))
		if (sscanf(line, fmt, &local, &inode) == 2 && local == port)
			found = inode;
	if (f)
		fclose(f);
	return found;
}

static bool pid_has_inode(const char *pid, unsigned long inode)
{
	char path[300], target[64], want[64];
	struct dirent *entry;
	bool found = false;
	ssize_t len;
	DIR *dir;

	snprintf(want, sizeof(want), "socket:[%lu]", inode);
	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir))) {
		len = readlinkat(dirfd(dir), entry->d_name, target,
				 sizeof(target) - 1);
		if (len < 0)
			continue;
		target[len] = '\0';
		found = !strcmp(target, want);
	}
	if (dir)
		closedir(dir);
	return found;
}

static void pid_name(const char *pid, char *name, size_t len)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	snprintf(name, len, "?");
	f = fopen(path, "r");
	if (!f)
		return;
	if (fgets(name, len, f))
		name[strcspn(name, "\n")] = '\0';
	fclose(f);
}

/* The process that has a port, 0 if it cannot be found. */
int net_port_owner(uint16_t port, char *name, size_t len)
{
	unsigned long inode = port_inode("/proc/net/tcp", port);
	struct dirent *entry;
	int pid = 0;
	DIR *dir;

	if (!inode)
		inode = port_inode("/proc/net/tcp6", port);
	if (!inode)
		return 0;
	dir = opendir("/proc");
	while (dir && !pid && (entry = readdir(dir)))
		if (strspn(entry->d_name, "0123456789") ==
		    strlen(entry->d_name) &&
		    pid_has_inode(entry->d_name, inode)) {
			pid = atoi(entry->d_name);
			pid_name(entry->d_name, name, len);
		}
	if (dir)
		closedir(dir);
	return pid;
}

/* ---- Offloads */

static int ethtool_ask(int fd, const char *name, void *data)
{
	struct ifreq ifr = { .ifr_data = data };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return ioctl(fd, SIOCETHTOOL, &ifr);
}

static unsigned int offload_of(const char *feature, bool v6)
{
	static const struct {
		const char *name;
		unsigned int bit;
		int family;
	} known[] = {
		{ "tx-scatter-gather", NET_SG, 0 },
		{ "tx-checksum-ip-generic", NET_CSUM, 0 },
		{ "tx-checksum-ipv4", NET_CSUM, AF_INET },
		{ "tx-checksum-ipv6", NET_CSUM, AF_INET6 },
		{ "tx-tcp-segmentation", NET_TSO, AF_INET },
		{ "tx-tcp6-segmentation", NET_TSO, AF_INET6 },
		{ "tx-generic-segmentation", NET_GSO, 0 },
		{ "rx-gro", NET_GRO, 0 },
		{ "rx-lro", NET_LRO, 0 },
	};
	int family = v6 ? AF_INET6 : AF_INET;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(feature, known[i].name) &&
		    (!known[i].family || known[i].family == family))
			return known[i].bit;
	return 0;
}

static struct ethtool_gstrings *offload_names(int fd, const char *name)
{
	struct {
		struct ethtool_sset_info info;
		uint32_t len;
	} sset = {
		.info.cmd = ETHTOOL_GSSET_INFO,
		.info.sset_mask = 1ULL << ETH_SS_FEATURES,
	};
	struct ethtool_gstrings *names;

	if (ethtool_ask(fd, name, &sset) || !sset.info.sset_mask)
		return NULL;
	names = calloc(1, sizeof(*names) + sset.len * ETH_GSTRING_LEN);
	if (!names)
		return NULL;
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_FEATURES;
	names->len = sset.len;
	if (ethtool_ask(fd, name, names)) {
		free(names);
		return NULL;
	}
	return names;
}

static int offloads_read(int fd, const char *name, bool v6, unsigned int *on,
			 unsigned int *changeable)
{
	struct ethtool_gstrings *names = offload_names(fd, name);
	struct ethtool_gfeatures *features;
	unsigned int i, blocks, bit;
	int err = -1;

	if (!names)
		return -1;
	blocks = (names->len + 31) / 32;
	features = calloc(1, sizeof(*features) +
			     blocks * sizeof(features->features[0]));
	if (!features)
		goto free_names;
	features->cmd = ETHTOOL_GFEATURES;
	features->size = blocks;
	err = ethtool_ask(fd, name, features);
	for (i = 0; !err && i < names->len; i++) {
		struct ethtool_get_features_block *block =
			&features->features[i / 32];
		uint32_t mask = 1U << i % 32;

		bit = offload_of((char *)names->data + i * ETH_GSTRING_LEN,
				 v6);
		if (block->active & mask)
			*on |= bit;
		if (block->available & mask && !(block->never_changed & mask))
			*changeable |= bit;
	}
	free(features);
free_names:
	free(names);
	return err;
}

int net_offloads(const char *name, bool v6, unsigned int *on,
		 unsigned int *changeable)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err;

	*on = 0;
	*changeable = 0;
	if (fd < 0)
		return -1;
	err = offloads_read(fd, name, v6, on, changeable);
	close(fd);
	return err;
}

/* ---- What a peer sends */

int net_hear_start(int index)
{
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = index,
	};
	int fd;

	fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Bytes from the TCP-like header on if @peer sent it to @port, else NULL. */
static const uint8_t *hear_segment(const uint8_t *data, size_t len,
				   uint16_t proto, const struct addr *peer,
				   uint16_t port, size_t *left)
{
	bool v4 = peer->family == AF_INET;
	size_t hlen, saddr = v4 ? 12 : 8;

	if (proto != (v4 ? ETH_P_IP : ETH_P_IPV6) || len < 40)
		return NULL;
	hlen = v4 ? (data[0] & 15) * 4 : 40;
	if (data[v4 ? 9 : 6] != IPPROTO_TCP || len < hlen + 20 ||
	    memcmp(data + saddr, &peer->v6, addr_len(peer)) ||
	    (data[hlen + 2] << 8 | data[hlen + 3]) != port)
		return NULL;
	*left = len - hlen;
	return data + hlen;
}

static void hear_id(struct heard *heard, uint64_t id)
{
	unsigned int i;

	for (i = 0; i < heard->ids; i++)
		if (heard->id[i] == id)
			return;
	if (heard->ids < ARRAY_SIZE(heard->id))
		heard->id[heard->ids++] = id;
}

/* First segments have offset 0 in SEQ, and behind 20 bytes the frame header. */
static void hear_one(struct heard *heard, const uint8_t *th, size_t len)
{
	size_t hlen = (th[12] >> 4) * 4;
	uint64_t id = 0;
	int i;

	heard->segments++;
	if (th[6] || th[7] || len < hlen + 18 || th[hlen])
		return;
	for (i = 0; i < 8; i++)
		id = id << 8 | th[hlen + 8 + i];
	hear_id(heard, id);
}

void net_hear(int fd, const struct addr *peer, uint16_t port,
	      struct heard *heard)
{
	struct sockaddr_ll from;
	socklen_t fromlen = sizeof(from);
	const uint8_t *th;
	uint8_t data[256];
	size_t left;
	ssize_t len;

	memset(heard, 0, sizeof(*heard));
	while ((len = recvfrom(fd, data, sizeof(data), 0,
			       (struct sockaddr *)&from, &fromlen)) >= 0) {
		fromlen = sizeof(from);
		if (from.sll_pkttype == PACKET_OUTGOING)
			continue;
		th = hear_segment(data, len, ntohs(from.sll_protocol), peer,
				  port, &left);
		if (th)
			hear_one(heard, th, left);
	}
}
