// SPDX-License-Identifier: GPL-2.0
/*
 * sttctl check: why a tunnel passes no traffic, or is slow.
 *
 * From the device down to the peer, each question is asked of the kernel as
 * it is now. Faults that only show in traffic are looked for in what arrives
 * while the others are looked for.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sttctl.h"

/* An underlay below that of plain Ethernet costs segments. */
#define CHECK_MTU	1500

/* How long to listen for what peers send, in milliseconds. */
#define CHECK_LISTEN	1000

/* A tunnel to one peer, or a device without any. */
struct tunnel {
	struct dev dev;
	struct addr peer;
	int hear;
};

static struct {
	struct nl nl;
	struct tunnel *tunnel;
	unsigned int count;
	const char *name;	/* device to check, or NULL */
	struct addr remote;	/* peer to check, or none */
	unsigned int findings;
	char **seen;		/* findings, for each is told once */
	const struct tunnel *current;
	int home;		/* namespace of the devices */
} check;

/* ---- Findings */

const char *fixf(const char *fmt, ...)
{
	static char fix[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(fix, sizeof(fix), fmt, ap);
	va_end(ap);
	return fix;
}

static bool finding_seen(const char *text)
{
	unsigned int i;

	for (i = 0; i < check.findings; i++)
		if (!strcmp(check.seen[i], text))
			return true;
	check.seen = realloc(check.seen,
			     (check.findings + 1) * sizeof(*check.seen));
	if (!check.seen)
		ctl_die("out of memory");
	check.seen[check.findings] = strdup(text);
	if (!check.seen[check.findings])
		ctl_die("out of memory");
	check.findings++;
	return false;
}

void finding(const char *what, const char *fix, const char *fmt, ...)
{
	const struct tunnel *t = check.current;
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (finding_seen(text))
		return;
	out_open_object(NULL);
	out_str("check", NULL, what);
	if (t && t->dev.index)
		out_str("ifname", "%s: ", t->dev.name);
	if (t && t->peer.family)
		out_str("remote", NULL, addr_text(&t->peer));
	out_str("text", "%s", text);
	out_str("fix", "; try: %s\n", fix);
	out_close_object();
	fflush(stdout);
}

/* ---- What is to be checked */

static void tunnel_add(const struct dev *dev, const struct addr *peer)
{
	struct tunnel *t;
	unsigned int i;

	if (check.remote.family && !addr_equal(peer, &check.remote))
		return;
	for (i = 0; i < check.count; i++)
		if (check.tunnel[i].dev.index == dev->index &&
		    addr_equal(&check.tunnel[i].peer, peer))
			return;
	check.tunnel = realloc(check.tunnel,
			       (check.count + 1) * sizeof(*check.tunnel));
	if (!check.tunnel)
		ctl_die("out of memory");
	t = &check.tunnel[check.count++];
	memset(t, 0, sizeof(*t));
	t->dev = *dev;
	/* Attributes end with their message. */
	memset(t->dev.conf, 0, sizeof(t->dev.conf));
	t->peer = *peer;
	t->hear = -1;
}

static void tunnel_add_dest(const struct nlattr *tb[], void *arg)
{
	struct addr addr;

	addr_read(&addr, tb[STT_FDB_A_DST], tb[STT_FDB_A_DST6]);
	if (addr.family && !addr_is_multicast(&addr))
		tunnel_add(arg, &addr);
}

static struct dev *devs;
static unsigned int dev_count;

static void dev_add(const struct dev *dev, void *arg)
{
	(void)arg;
	devs = realloc(devs, (dev_count + 1) * sizeof(*devs));
	if (!devs)
		ctl_die("out of memory");
	devs[dev_count] = *dev;
	memset(devs[dev_count].conf, 0, sizeof(devs[0].conf));
	dev_count++;
}

/* Every device is in the list at least once. */
static void tunnels_collect(void)
{
	static const struct addr nobody;
	unsigned int i, before;

	for (i = 0; i < dev_count; i++) {
		struct dev *dev = &devs[i];

		if (check.name && strcmp(check.name, dev->name))
			continue;
		before = check.count;
		if (dev->remote.family && !addr_is_multicast(&dev->remote))
			tunnel_add(dev, &dev->remote);
		if (dev->has_fdb)
			fdb_each(&check.nl, dev->index, tunnel_add_dest, dev);
		if (check.count == before)
			tunnel_add(dev, &nobody);
	}
}

/* ---- The device */

static void check_down(const struct dev *dev)
{
	if (!(dev->flags & IFF_UP))
		finding("down", fixf("ip link set %s up", dev->name),
			"the device is down");
}

static void check_nobody(const struct dev *dev)
{
	/* Whoever made an entry by hand knows who is to get what. */
	if (dev->has_fdb && dev->entries == dev->learned &&
	    !dev->remote.family && !dev->external)
		finding("nobody",
			fixf("sttctl fdb append default dev %s dst REMOTE",
			     dev->name),
			"the device has no remote, not even in the FDB: nobody gets what it sends");
}

/* ---- Network devices, ours or the underlay's */

/* The words of ethtool -K, in an order in which they can be switched on. */
static const struct {
	unsigned int bit;
	const char *word;
} offloads[] = {
	{ NET_CSUM, "tx" },
	{ NET_SG, "sg" },
	{ NET_TSO, "tso" },
	{ NET_GSO, "gso" },
	{ NET_GRO, "gro" },
};

static void check_offloads(const char *name, bool v6)
{
	unsigned int on, can, missing, i;
	char words[64] = "", fix[128] = "";

	if (net_offloads(name, v6, &on, &can))
		return;
	missing = ~on & (NET_CSUM | NET_SG | NET_TSO | NET_GSO | NET_GRO);
	for (i = 0; i < ARRAY_SIZE(offloads); i++) {
		if (!(missing & offloads[i].bit))
			continue;
		snprintf(words + strlen(words), sizeof(words) - strlen(words),
			 " %s", offloads[i].word);
		if (can & offloads[i].bit)
			snprintf(fix + strlen(fix), sizeof(fix) - strlen(fix),
				 " %s on", offloads[i].word);
	}
	if (missing && fix[0])
		finding("offload", fixf("ethtool -K %s%s", name, fix),
			"slow: %s has these offloads switched off:%s", name,
			words);
	else if (missing & ~NET_TSO)
		finding("offload", fixf("ethtool -i %s", name),
			"slow: the driver of %s has no%s, which takes another driver or NIC",
			name, words);
	else if (missing)
		finding("offload", fixf("ethtool -i %s", name),
			"slow: the driver of %s has no TSO, so the CPU cuts frames into segments; another NIC would not need that",
			name);
	if (on & NET_LRO)
		finding("lro", fixf("ethtool -K %s lro off", name),
			"LRO is on at %s, which breaks packets that this host forwards",
			name);
}

static bool check_link_up(const struct link *link)
{
	if (!(link->flags & IFF_UP)) {
		finding("underlay_down", fixf("ip link set %s up", link->name),
			"the underlay device %s is down", link->name);
		return false;
	}
	if (!(link->flags & 1 << 16)) {
		finding("underlay_carrier", fixf("ethtool %s", link->name),
			"the underlay device %s has no carrier: look after its cable, or what it is a port of",
			link->name);
		return false;
	}
	return true;
}

/* Looks up the VRF that the device is in, if there is one. */
static bool link_vrf(const struct link *link, struct link *vrf)
{
	memset(vrf, 0, sizeof(*vrf));
	if (link->master)
		net_link(link->master, vrf);
	return !strcmp(vrf->kind, "vrf");
}

static bool link_in_vrf(const struct link *link)
{
	struct link vrf;

	return link_vrf(link, &vrf);
}

/* ---- The way to the peer */

/* "via GATEWAY dev NAME", for commands. */
static const char *route_words(const struct route *route, const char *name)
{
	static char words[128];

	snprintf(words, sizeof(words), "%s%s%sdev %s",
		 route->gateway.family ? "via " : "",
		 route->gateway.family ? addr_text(&route->gateway) : "",
		 route->gateway.family ? " " : "", name);
	return words;
}

static void check_mtu(const struct tunnel *t, const struct route *route,
		      const struct link *link)
{
	const char *peer = addr_text(&t->peer);

	if (link->mtu < CHECK_MTU)
		finding("mtu", fixf("ip link set %s mtu %u", link->name,
				    CHECK_MTU),
			"slow: the MTU of the underlay device %s is %u, less than Ethernet's %u",
			link->name, link->mtu, CHECK_MTU);
	if (!route->mtu || route->mtu >= link->mtu ||
	    route->mtu >= CHECK_MTU)
		return;
	if (route->learned)
		finding("pmtu", fixf("ip %sroute flush cache",
				     t->peer.family == AF_INET6 ? "-6 " : ""),
			"slow: a router on the way to %s said that its MTU is %u; raise it there, then forget that it said so",
			peer, route->mtu);
	else
		finding("mtu", fixf("ip route replace %s %s", peer,
				    route_words(route, link->name)),
			"slow: the route to %s has an MTU of %u", peer,
			route->mtu);
}

static bool check_no_route(const struct tunnel *t, const struct route *route)
{
	const char *peer = addr_text(&t->peer);
	struct link link;

	if (!route->err && (route->type == RTN_UNICAST ||
			    route->type == RTN_LOCAL))
		return false;
	if (t->dev.link) {
		net_link(t->dev.link, &link);
		finding("route", fixf("ip route replace %s dev %s", peer,
				      link.name),
			"there is no route to %s through %s", peer, link.name);
	} else {
		finding("route", fixf("ip route replace %s via GATEWAY", peer),
			"there is no route to %s", peer);
	}
	return true;
}

static bool check_loop(const struct tunnel *t, const struct route *route)
{
	char name[IF_NAMESIZE];
	unsigned int i;

	for (i = 0; i < dev_count; i++)
		if (!t->dev.elsewhere && devs[i].index == route->oif) {
			if (!if_indextoname(route->oif, name))
				return true;
			finding("loop", fixf("ip route replace %s via GATEWAY",
					     addr_text(&t->peer)),
				"the route to %s leads into the tunnel %s",
				addr_text(&t->peer), name);
			return true;
		}
	return false;
}

static void check_local(struct dev *dev)
{
	struct route_query q = { .dst = &dev->local };
	struct route route;

	if (!dev->local.family)
		return;
	net_route(&q, &route);
	if (!route.err && route.type == RTN_LOCAL)
		return;
	/* In a VRF it is local to the table of that. */
	if (net_addr_owner(&dev->local))
		return;
	finding("local", fixf("ip link change %s type stt local %s", dev->name,
			      dev->local.family == AF_INET ? "0.0.0.0" : "::"),
		"the local address %s is not an address of this host",
		addr_text(&dev->local));
	/* From nowhere there is no way, which would look like another fault. */
	dev->local.family = 0;
}

/* Where does the peer's traffic come in, and does the way back agree? */
static void check_other_device(const struct tunnel *t)
{
	struct route_query q = { .dst = &t->peer };
	struct link here, there;
	struct route back;
	int arrival, rp;

	/* A link-local address says nothing without a device. */
	if (t->peer.family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&t->peer.v6))
		return;
	arrival = t->dev.link ? t->dev.link : net_addr_owner(&t->dev.local);
	if (!arrival)
		return;
	net_link(arrival, &here);
	if (here.err || link_in_vrf(&here) || here.flags & IFF_LOOPBACK)
		return;
	/* The filter asks without a mark. */
	if (t->dev.link)
		q.mark = t->dev.fwmark;
	net_route(&q, &back);
	if (back.err || back.type != RTN_UNICAST || back.oif == arrival)
		return;
	net_link(back.oif, &there);
	if (t->dev.link)
		finding("device", fixf("ip link change %s type stt dev %s",
				       t->dev.name, there.name),
			"the route to %s leads through %s, but the tunnel is bound to %s",
			addr_text(&t->peer), there.name, here.name);
	if (t->peer.family != AF_INET)
		return;
	rp = net_sysctl("/proc/sys/net/ipv4/conf/%s/rp_filter", here.name);
	if (net_sysctl("/proc/sys/net/ipv4/conf/%s/rp_filter", "all") > rp)
		rp = net_sysctl("/proc/sys/net/ipv4/conf/%s/rp_filter", "all");
	if (rp == 1)
		finding("rp_filter",
			fixf("sysctl -w net.ipv4.conf.%s.rp_filter=2",
			     here.name),
			"the strict rp_filter of %s drops segments from %s, as the way back leads through %s",
			here.name, addr_text(&t->peer), there.name);
}

static void check_firewall(const struct tunnel *t, const struct route *route,
			   const struct link *link)
{
	struct segment in = {
		.saddr = &t->peer,
		.daddr = t->dev.local.family ? &t->dev.local : &route->src,
		.iif = link->name,
		.port = t->dev.port,
	};
	struct segment out = {
		.saddr = in.daddr,
		.daddr = &t->peer,
		.oif = link->name,
		.port = t->dev.port,
	};
	struct link vrf;

	if (link_vrf(link, &vrf)) {
		in.vrf = vrf.name;
		out.vrf = vrf.name;
	}
	nft_check(&in, "from");
	if (out.saddr->family)
		nft_check(&out, "to");
}

static void check_answer(const struct tunnel *t, const struct route *route,
			 const struct link *link)
{
	const struct addr *hop = route->gateway.family ? &route->gateway :
							 &t->peer;
	int oif = link_in_vrf(link) ? link->master : 0;
	unsigned int state;

	/* Answers may come in by another device, which ping would not take. */
	if (t->peer.family == AF_INET6 &&
	    IN6_IS_ADDR_LINKLOCAL(&t->peer.v6))
		oif = link->index;
	if (net_ping(&t->peer, &t->dev.local, oif))
		return;
	state = net_neigh(link->index, hop);
	if (!(link->flags & (IFF_NOARP | IFF_LOOPBACK)) &&
	    (!state || state & (NUD_INCOMPLETE | NUD_FAILED)))
		finding("neighbour",
			fixf("ip neigh replace %s lladdr MAC dev %s",
			     addr_text(hop), link->name),
			"nobody on %s says that %s is there: the host is down, elsewhere, or cannot be asked",
			link->name, addr_text(hop));
	else
		finding("ping", fixf("ping %s", addr_text(&t->peer)),
			"%s does not answer ping: it is down, or a firewall on the way filters more than that; run sttctl check there",
			addr_text(&t->peer));
}

static void check_peer(struct tunnel *t)
{
	struct route_query q = {
		.dst = &t->peer,
		.src = &t->dev.local,
		.oif = t->dev.link,
		.mark = t->dev.fwmark,
		.port = t->dev.port,
	};
	struct route route;
	struct link link;

	net_route(&q, &route);
	if (check_no_route(t, &route) || check_loop(t, &route))
		return;
	check_other_device(t);
	net_link(route.oif, &link);
	if (link.err)
		return;
	check_firewall(t, &route, &link);
	if (link.flags & IFF_LOOPBACK)
		return;
	if (!check_link_up(&link))
		return;
	t->hear = net_hear_start(link.index);
	check_mtu(t, &route, &link);
	check_offloads(link.name, t->peer.family == AF_INET6);
	check_answer(t, &route, &link);
}

/* ---- What arrives meanwhile */

static bool id_known(const struct tunnel *t, uint64_t id)
{
	unsigned int i;

	for (i = 0; i < dev_count; i++)
		if (devs[i].port == t->dev.port &&
		    (devs[i].external || devs[i].id == id))
			return true;
	return false;
}

/* A peer that never uses our Context ID, but one that nobody here has. */
static void check_heard(const struct tunnel *t)
{
	static const char again[] =
		"ip link del %s && ip link add %s type stt id 0x%llx remote %s";
	struct heard heard;
	unsigned int i;

	net_hear(t->hear, &t->peer, t->dev.port, &heard);
	if (t->dev.external || !t->dev.index)
		return;
	for (i = 0; i < heard.ids; i++)
		if (heard.id[i] == t->dev.id)
			return;
	for (i = 0; i < heard.ids; i++)
		if (!id_known(t, heard.id[i]))
			finding("id",
				fixf(again, t->dev.name, t->dev.name,
				     (unsigned long long)heard.id[i],
				     addr_text(&t->peer)),
				"%s sends with id 0x%" PRIx64
				", which no device here has",
				addr_text(&t->peer), heard.id[i]);
}

static void check_counters(const struct counters *before)
{
	unsigned long long count;
	struct counters after;

	counters_get(&check.nl, &after);
	check.current = NULL;
	count = counters_value(&after, "rx_unknown_id") -
		counters_value(before, "rx_unknown_id");
	if (count)
		finding("unknown_id", fixf("ip -d link show type stt"),
			"%llu frames came with an id, a source or to an address that no device has; compare both ends",
			count);
	count = counters_value(&after, "tx_unreachable") -
		counters_value(before, "tx_unreachable");
	if (count)
		finding("unreachable", fixf("tcpdump -ni any 'icmp or icmp6'"),
			"%llu ICMP errors came that say of segments that they cannot be delivered; run sttctl check where they come from",
			count);
	count = counters_value(&after, "rx_bad_csum") -
		counters_value(before, "rx_bad_csum");
	if (count)
		finding("checksum", fixf("ethtool -K DEVICE rx off"),
			"%llu segments came with a wrong checksum, perhaps from the NIC itself",
			count);
	count = counters_value(&after, "rx_no_budget") -
		counters_value(before, "rx_no_budget") +
		after.reasm[STT_REASM_A_EVICTIONS] -
		before->reasm[STT_REASM_A_EVICTIONS];
	if (count)
		finding("reassembly",
			fixf("sttctl reasm set budget %" PRIu64,
			     2 * after.reasm[STT_REASM_A_BUDGET] <
			     STT_REASM_BUDGET_MAX ?
			     2 * after.reasm[STT_REASM_A_BUDGET] :
			     STT_REASM_BUDGET_MAX),
			"%llu frames or segments were dropped for want of memory for reassembly",
			count);
}

/* ---- All of it */

static void check_tunnel(struct tunnel *t)
{
	struct link link;

	check.current = t;
	if (t->dev.index) {
		check_down(&t->dev);
		check_nobody(&t->dev);
		check_offloads(t->dev.name, t->peer.family == AF_INET6);
	}
	if (t->dev.elsewhere && !net_enter(t->dev.netnsid)) {
		finding("namespace", fixf("ip netns attach NAME PID"),
			"the underlay is in a network namespace that has no name, and was not checked");
		return;
	}
	check_local(&t->dev);
	if (t->dev.link) {
		net_link(t->dev.link, &link);
		if (!link.err && !check_link_up(&link))
			goto out;
	}
	if (t->peer.family)
		check_peer(t);
out:
	if (t->dev.elsewhere) {
		nft_forget();
		if (setns(check.home, CLONE_NEWNET))
			ctl_die("cannot return to the network namespace");
	}
}

static void check_port(uint16_t port)
{
	char name[32];
	unsigned int i;
	int pid;

	for (i = 0; i < dev_count; i++)
		if (!devs[i].elsewhere && devs[i].port == port)
			return;
	if (!net_port_taken(port))
		return;
	pid = net_port_owner(port, name, sizeof(name));
	check.current = NULL;
	if (pid)
		finding("port", fixf("kill %d", pid),
			"TCP port %u, which a tunnel needs, is taken by %s (process %d)",
			port, name, pid);
	else
		finding("port", fixf("ss -Htanp 'sport = :%u'", port),
			"TCP port %u, which a tunnel needs, is taken", port);
}

/* No device leads to the peer: look at the way that one would take. */
static void check_without(void)
{
	struct tunnel t = {
		.dev.port = STT_DEFAULT_PORT,
		.peer = check.remote,
		.hear = -1,
	};

	check.current = &t;
	finding("none", fixf("ip link add stt0 type stt id ID remote %s",
			     addr_text(&t.peer)),
		"no device of this namespace leads to %s",
		addr_text(&t.peer));
	check_peer(&t);
	check.current = NULL;
}

static void check_all(void)
{
	struct counters before;
	unsigned int i;
	bool hear = false;

	counters_get(&check.nl, &before);
	for (i = 0; i < check.count; i++)
		check_tunnel(&check.tunnel[i]);
	for (i = 0; i < check.count; i++)
		hear |= check.tunnel[i].hear >= 0;
	if (hear)
		poll(NULL, 0, CHECK_LISTEN);
	for (i = 0; i < check.count; i++) {
		check.current = &check.tunnel[i];
		if (check.tunnel[i].hear >= 0)
			check_heard(&check.tunnel[i]);
	}
	check_counters(&before);
}

int cmd_check(struct ctl_args *args)
{
	const char *what;

	ctl_word(args, "dev");
	what = ctl_next(args);
	ctl_end(args);
	if (what && !addr_parse(what, &check.remote))
		check.name = what;
	check.home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	ctl_open(&check.nl);
	if (check.name && !dev_each(&check.nl, check.name, dev_add, NULL))
		ctl_die("\"%s\" is wrong: check takes a device or a remote",
			check.name);
	free(devs);
	devs = NULL;
	dev_count = 0;
	dev_each(&check.nl, NULL, dev_add, NULL);
	tunnels_collect();
	out_begin();
	out_open_array(NULL);
	check_port(STT_DEFAULT_PORT);
	if (check.remote.family && !check.count)
		check_without();
	check_all();
	out_close_array();
	out_end();
	return check.findings ? CTL_FINDINGS : CTL_OK;
}
