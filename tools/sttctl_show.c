// SPDX-License-Identifier: GPL-2.0
/*
 * sttctl show, top, stats, reasm.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "sttctl.h"
#include "xstats.h"

/* ---- Devices */

static void dev_parse_conf(struct dev *dev, const struct nlattr *nest)
{
	const struct nlattr **conf = dev->conf;
	const struct nlattr *port;

	nl_nested(nest, conf, IFLA_STT_MAX);
	dev->id = nl_uint(conf[IFLA_STT_KEY]);
	dev->fwmark = nl_uint(conf[IFLA_STT_FWMARK]);
	dev->external = nl_uint(conf[IFLA_STT_COLLECT_METADATA]);
	addr_read(&dev->remote, conf[IFLA_STT_REMOTE], conf[IFLA_STT_REMOTE6]);
	addr_read(&dev->local, conf[IFLA_STT_LOCAL], conf[IFLA_STT_LOCAL6]);
	dev->link = nl_uint(conf[IFLA_STT_LINK]);
	port = conf[IFLA_STT_PORT];
	dev->port = ntohs(nl_uint(port));
}

void dev_parse(const struct nlmsghdr *nlh, struct dev *dev)
{
	const struct nlattr *drops[STT_XSTATS_MAX + 1];
	const struct nlattr *tb[STT_DEV_A_MAX + 1];
	const struct nlattr *stats;
	unsigned int i;
	size_t len;

	memset(dev, 0, sizeof(*dev));
	nl_attrs(nlh, sizeof(struct genlmsghdr), tb, STT_DEV_A_MAX);
	dev->index = nl_uint(tb[STT_DEV_A_IFINDEX]);
	if (tb[STT_DEV_A_IFNAME])
		snprintf(dev->name, sizeof(dev->name), "%s",
			 mnl_attr_get_str(tb[STT_DEV_A_IFNAME]));
	dev->flags = nl_uint(tb[STT_DEV_A_FLAGS]);
	dev->elsewhere = tb[STT_DEV_A_LINK_NETNSID];
	dev->netnsid = nl_uint(tb[STT_DEV_A_LINK_NETNSID]);
	dev->has_fdb = tb[STT_DEV_A_FDB_ENTRIES];
	dev->entries = nl_uint(tb[STT_DEV_A_FDB_ENTRIES]);
	dev->learned = nl_uint(tb[STT_DEV_A_FDB_LEARNED]);
	dev_parse_conf(dev, tb[STT_DEV_A_CONF]);
	nl_nested(tb[STT_DEV_A_XSTATS], drops, STT_XSTATS_MAX);
	for (i = 1; i <= STT_XSTATS_MAX; i++)
		dev->drops[i] = nl_uint(drops[i]);
	stats = tb[STT_DEV_A_STATS64];
	if (stats) {
		len = mnl_attr_get_payload_len(stats);
		memcpy(&dev->stats, mnl_attr_get_payload(stats),
		       len < sizeof(dev->stats) ? len : sizeof(dev->stats));
	}
}

struct dev_each {
	void (*fn)(const struct dev *dev, void *arg);
	void *arg;
};

static void dev_each_one(const struct nlmsghdr *nlh, void *arg)
{
	struct dev_each *each = arg;
	struct dev dev;

	dev_parse(nlh, &dev);
	each->fn(&dev, each->arg);
}

bool dev_each(struct nl *nl, const char *name,
	      void (*fn)(const struct dev *dev, void *arg), void *arg)
{
	struct dev_each each = { .fn = fn, .arg = arg };
	char buf[NL_REQ_MAX];
	struct nlmsghdr *nlh;
	int err;

	if (name && strlen(name) >= IF_NAMESIZE)
		return false;
	nlh = nl_command(nl, buf, STT_CMD_DEV_GET, name ? 0 : NLM_F_DUMP);
	if (name)
		mnl_attr_put_strz(nlh, STT_DEV_A_IFNAME, name);
	err = nl_talk(nl, nlh, dev_each_one, &each);
	if (name && err == -ENODEV)
		return false;
	if (err)
		ctl_die("%s%s%s", name ? name : "", name ? ": " : "",
			nl->error);
	return true;
}

/* ---- show */

static void dev_out_addr(const char *key, const struct addr *addr)
{
	char fmt[16];

	if (!addr->family)
		return;
	snprintf(fmt, sizeof(fmt), " %s %%s", key);
	out_str(key, fmt, addr_text(addr));
}

static void dev_out_id(const struct dev *dev)
{
	const struct nlattr *keybase = dev->conf[IFLA_STT_KEYBASE];
	const struct nlattr *okey = dev->conf[IFLA_STT_OKEY];

	out_bool("external", NULL, dev->external);
	if (!dev->external) {
		out_id("id", " id %s", dev->id);
		if (okey)
			out_id("okey", nl_uint(okey) != dev->id ? " okey %s" :
								  NULL,
			       nl_uint(okey));
		return;
	}
	out_text(" external");
	if (keybase)
		out_u64("keybase", " keybase 0x%" PRIx64, nl_uint(keybase));
}

static void dev_out_link(const struct dev *dev)
{
	char name[IF_NAMESIZE] = "";

	if (dev->elsewhere)
		out_i64("link_netnsid", " link-netnsid %" PRId64,
			dev->netnsid);
	if (!dev->link)
		return;
	/* The index means nothing in another namespace. */
	if (dev->elsewhere || !if_indextoname(dev->link, name))
		snprintf(name, sizeof(name), "if%d", dev->link);
	out_str("link", " dev %s", name);
}

static void dev_out_ports(const struct dev *dev)
{
	const struct nlattr *attr = dev->conf[IFLA_STT_PORT_RANGE];
	const struct ifla_stt_port_range *range;

	out_u64("port", " dstport %" PRIu64, dev->port);
	if (!attr || mnl_attr_get_payload_len(attr) < sizeof(*range))
		return;
	range = mnl_attr_get_payload(attr);
	out_open_object("port_range");
	out_u64("low", " srcport %" PRIu64, ntohs(range->low));
	out_u64("high", " %" PRIu64, ntohs(range->high));
	out_close_object();
}

static void dev_out_ip(const struct dev *dev)
{
	static const char * const df[] = { "unset", "set", "inherit" };
	const struct nlattr *const *conf = dev->conf;
	uint64_t ttl = nl_uint(conf[IFLA_STT_TTL]);
	uint64_t tos = nl_uint(conf[IFLA_STT_TOS]);
	uint32_t label = ntohl(nl_uint(conf[IFLA_STT_LABEL]));
	bool inherit = nl_uint(conf[IFLA_STT_TTL_INHERIT]);
	char hex[16];

	out_bool("ttl_inherit", NULL, inherit);
	out_u64("ttl", inherit ? " ttl inherit" :
		       ttl ? " ttl %" PRIu64 : " ttl auto", ttl);
	snprintf(hex, sizeof(hex), "0x%" PRIx64, tos);
	out_str("tos", tos ? " tos %s" : NULL, tos == 1 ? "inherit" : hex);
	if (nl_uint(conf[IFLA_STT_DF]) < ARRAY_SIZE(df))
		out_str("df", " df %s", df[nl_uint(conf[IFLA_STT_DF])]);
	snprintf(hex, sizeof(hex), "0x%x", label);
	inherit = nl_uint(conf[IFLA_STT_LABEL_INHERIT]);
	if (label || inherit)
		out_str("label", " flowlabel %s", inherit ? "inherit" : hex);
	snprintf(hex, sizeof(hex), "0x%x", dev->fwmark);
	if (dev->fwmark)
		out_str("fwmark", " fwmark %s", hex);
}

static void dev_out_policy(const struct dev *dev)
{
	const struct nlattr *const *conf = dev->conf;

	out_bool("learning", " %slearning",
		 nl_uint(conf[IFLA_STT_LEARNING]));
	out_u64("ageing", nl_uint(conf[IFLA_STT_AGEING]) ?
			  " ageing %" PRIu64 : " ageing none",
		nl_uint(conf[IFLA_STT_AGEING]));
	out_u64("limit", nl_uint(conf[IFLA_STT_LIMIT]) ?
			 " maxaddress %" PRIu64 : NULL,
		nl_uint(conf[IFLA_STT_LIMIT]));
	out_bool("csumtrust", " %scsumtrust",
		 nl_uint(conf[IFLA_STT_CSUM_TRUST]));
	out_bool("vlancompat", " %svlancompat",
		 nl_uint(conf[IFLA_STT_VLAN_COMPAT]));
	out_bool("dscpcopy", " %sdscpcopy",
		 nl_uint(conf[IFLA_STT_DSCP_COPY]));
}

static void dev_out_conf(const struct dev *dev)
{
	out_open_object("config");
	out_text("   ");
	dev_out_id(dev);
	dev_out_addr(addr_is_multicast(&dev->remote) ? "group" : "remote",
		     &dev->remote);
	dev_out_addr("local", &dev->local);
	dev_out_link(dev);
	dev_out_ports(dev);
	dev_out_ip(dev);
	out_text("\n   ");
	dev_out_policy(dev);
	out_text("\n");
	out_close_object();
}

static void dev_out_stats(const struct dev *dev)
{
	const struct rtnl_link_stats64 *s = &dev->stats;

	out_open_object("stats");
	out_u64("rx_packets", "    rx %" PRIu64 " packets", s->rx_packets);
	out_u64("rx_bytes", " %" PRIu64 " bytes", s->rx_bytes);
	out_u64("rx_errors", " %" PRIu64 " errors", s->rx_errors);
	out_u64("rx_dropped", " %" PRIu64 " dropped\n", s->rx_dropped);
	out_u64("tx_packets", "    tx %" PRIu64 " packets", s->tx_packets);
	out_u64("tx_bytes", " %" PRIu64 " bytes", s->tx_bytes);
	out_u64("tx_errors", " %" PRIu64 " errors", s->tx_errors);
	out_u64("tx_dropped", " %" PRIu64 " dropped\n", s->tx_dropped);
	out_close_object();
}

static void dev_out_drops(const struct dev *dev)
{
	bool line = false;
	unsigned int i;

	out_open_object("drops");
	for (i = 1; i <= STT_XSTATS_MAX; i++) {
		if (dev->drops[i]) {
			out_str(NULL, "%s", line ? " " : "    dropped: ");
			out_str(NULL, "%s ", stt_xstats_names[i]);
			line = true;
		}
		out_u64(stt_xstats_names[i], dev->drops[i] ? "%" PRIu64 : NULL,
			dev->drops[i]);
	}
	out_close_object();
	if (line)
		out_text("\n");
}

void dev_out(const struct dev *dev)
{
	out_str("ifname", "%s:", dev->name);
	out_i64("ifindex", NULL, dev->index);
	out_bool("up", NULL, dev->flags & IFF_UP);
	out_text(dev->flags & IFF_UP ? " up\n" : " down\n");
	dev_out_conf(dev);
	if (dev->has_fdb) {
		out_open_object("fdb");
		out_u64("entries", "    fdb %" PRIu64 " entries",
			dev->entries);
		out_u64("learned", " %" PRIu64 " learned\n", dev->learned);
		out_close_object();
	}
	dev_out_stats(dev);
	dev_out_drops(dev);
}

static void dev_show(const struct dev *dev, void *arg)
{
	(void)arg;
	out_open_object(NULL);
	dev_out(dev);
	out_close_object();
}

int cmd_show(struct ctl_args *args)
{
	const char *name;
	struct nl nl;

	ctl_word(args, "dev");
	name = ctl_next(args);
	ctl_end(args);
	ctl_open(&nl);
	out_begin();
	out_open_array(NULL);
	if (!dev_each(&nl, name, dev_show, NULL))
		ctl_die("\"%s\": no such device in this namespace", name);
	out_close_array();
	out_end();
	ctl_close(&nl);
	return CTL_OK;
}

/* ---- top */

/* What a device had at the last look. */
struct top_row {
	int index;
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes, drops;
};

struct top {
	struct top_row *old;
	unsigned int old_count;
	struct top_row *new;
	unsigned int new_count;
	double seconds;
	unsigned int lines;
};

static uint64_t dev_drops(const struct dev *dev)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 1; i <= STT_XSTATS_MAX; i++)
		sum += dev->drops[i];
	return sum;
}

/* Devices come in the same order, unless one has gone. */
static const struct top_row *top_find(const struct top *top, int index)
{
	unsigned int i;

	if (top->new_count < top->old_count &&
	    top->old[top->new_count].index == index)
		return &top->old[top->new_count];
	for (i = 0; i < top->old_count; i++)
		if (top->old[i].index == index)
			return &top->old[i];
	return NULL;
}

static uint64_t top_rate(const struct top *top, uint64_t old, uint64_t new)
{
	return top->seconds > 0 && new >= old ? (new - old) / top->seconds : 0;
}

static void top_row(const struct dev *dev, void *arg)
{
	struct top *top = arg;
	struct top_row new = {
		.index = dev->index,
		.rx_packets = dev->stats.rx_packets,
		.rx_bytes = dev->stats.rx_bytes,
		.tx_packets = dev->stats.tx_packets,
		.tx_bytes = dev->stats.tx_bytes,
		.drops = dev_drops(dev),
	};
	const struct top_row *old = top_find(top, dev->index);

	top->new = realloc(top->new, (top->new_count + 1) * sizeof(new));
	if (!top->new)
		ctl_die("out of memory");
	top->new[top->new_count++] = new;
	if (!old)
		old = &new;
	if (top->lines && top->new_count > top->lines)
		return;
	out_open_object(NULL);
	out_str("ifname", "%-15s", dev->name);
	out_u64("rx_pps", " %10" PRIu64,
		top_rate(top, old->rx_packets, new.rx_packets));
	out_u64("rx_bps", " %14" PRIu64,
		top_rate(top, old->rx_bytes * 8, new.rx_bytes * 8));
	out_u64("tx_pps", " %10" PRIu64,
		top_rate(top, old->tx_packets, new.tx_packets));
	out_u64("tx_bps", " %14" PRIu64,
		top_rate(top, old->tx_bytes * 8, new.tx_bytes * 8));
	out_u64("drops_ps", " %8" PRIu64,
		top_rate(top, old->drops, new.drops));
	out_text("\n");
	out_close_object();
}

static void top_draw(struct nl *nl, struct top *top, bool screen)
{
	struct winsize size;

	top->lines = 0;
	if (screen) {
		if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) &&
		    size.ws_row > 3)
			top->lines = size.ws_row - 2;
		/* Home, and erase what the last picture leaves below. */
		out_text("\033[H\033[J");
	}
	out_begin();
	out_open_array(NULL);
	if (!ctl_json)
		printf("%-15s %10s %14s %10s %14s %8s\n", "DEVICE", "RX pkt/s",
		       "RX bit/s", "TX pkt/s", "TX bit/s", "drops/s");
	dev_each(nl, NULL, top_row, top);
	out_close_array();
	out_end();
	free(top->old);
	top->old = top->new;
	top->old_count = top->new_count;
	top->new = NULL;
	top->new_count = 0;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Wait; true if the user has pressed q. */
static bool top_wait(unsigned int seconds, bool keys)
{
	struct pollfd fd = { .fd = STDIN_FILENO, .events = POLLIN };
	double end = now() + seconds, left;
	char key;

	while ((left = end - now()) > 0) {
		if (poll(&fd, keys, left * 1000 + 1) <= 0)
			continue;
		if (read(STDIN_FILENO, &key, 1) != 1)
			keys = false;
		else if (key == 'q' || key == 'Q')
			return true;
	}
	return false;
}

static struct termios top_cooked;

static void top_restore(void)
{
	tcsetattr(STDIN_FILENO, TCSANOW, &top_cooked);
}

/* Keys without a newline, and no echo of them; signals still work. */
static bool top_raw(void)
{
	struct termios raw;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &top_cooked))
		return false;
	raw = top_cooked;
	raw.c_lflag &= ~(ICANON | ECHO);
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw))
		return false;
	atexit(top_restore);
	return true;
}

int cmd_top(struct ctl_args *args)
{
	bool screen = isatty(STDOUT_FILENO) && !ctl_json, keys;
	uint64_t interval = 1, count = 0, i;
	struct top top = {};
	double last = 0;
	struct nl nl;

	for (;;) {
		if (ctl_option(args, "interval"))
			interval = ctl_number(args, "interval", 1, 3600);
		else if (ctl_option(args, "count"))
			count = ctl_number(args, "count", 1, UINT32_MAX);
		else
			break;
	}
	ctl_end(args);
	ctl_open(&nl);
	keys = screen && top_raw();
	for (i = 0; !count || i < count; i++) {
		if (i && top_wait(interval, keys))
			break;
		top.seconds = i ? now() - last : 0;
		last = now();
		top_draw(&nl, &top, screen);
	}
	free(top.old);
	nl_close(&nl);
	return CTL_OK;
}

/* ---- Counters of the namespace */

static void counters_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[STT_REASM_A_MAX + 1];
	struct counters *c = arg;
	const struct nlattr *attr;
	unsigned int i;

	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr)) {
		switch (mnl_attr_get_type(attr)) {
		case STT_STATS_A_COUNTER:
			nl_nested(attr, tb, STT_COUNTER_A_MAX);
			if (!tb[STT_COUNTER_A_NAME] ||
			    c->count == ARRAY_SIZE(c->counter))
				break;
			snprintf(c->counter[c->count].name,
				 sizeof(c->counter[0].name), "%s",
				 mnl_attr_get_str(tb[STT_COUNTER_A_NAME]));
			c->counter[c->count++].value =
				nl_uint(tb[STT_COUNTER_A_VALUE]);
			break;
		case STT_STATS_A_REASM:
			nl_nested(attr, tb, STT_REASM_A_MAX);
			for (i = 1; i <= STT_REASM_A_MAX; i++)
				c->reasm[i] = nl_uint(tb[i]);
			break;
		}
	}
}

void counters_get(struct nl *nl, struct counters *c)
{
	char buf[NL_REQ_MAX];

	memset(c, 0, sizeof(*c));
	if (nl_talk(nl, nl_command(nl, buf, STT_CMD_STATS_GET, 0),
		    counters_parse, c))
		ctl_die("%s", nl->error);
}

uint64_t counters_value(const struct counters *c, const char *name)
{
	unsigned int i;

	for (i = 0; i < c->count; i++)
		if (!strcmp(c->counter[i].name, name))
			return c->counter[i].value;
	return 0;
}

static void reasm_out(const struct counters *c)
{
	static const struct {
		const char *name;
		unsigned int attr;
	} field[] = {
		{ "budget", STT_REASM_A_BUDGET },
		{ "budget_default", STT_REASM_A_BUDGET_DEFAULT },
		{ "timeout_ms", STT_REASM_A_TIMEOUT },
		{ "mem", STT_REASM_A_MEM },
		{ "frames", STT_REASM_A_FRAMES },
		{ "timeouts", STT_REASM_A_TIMEOUTS },
		{ "evictions", STT_REASM_A_EVICTIONS },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(field); i++) {
		out_str(NULL, "reasm_%s ", field[i].name);
		out_u64(field[i].name, "%" PRIu64 "\n",
			c->reasm[field[i].attr]);
	}
}

int cmd_stats(struct ctl_args *args)
{
	struct counters c;
	unsigned int i;
	struct nl nl;

	ctl_word(args, "show");
	ctl_end(args);
	ctl_open(&nl);
	counters_get(&nl, &c);
	out_begin();
	out_open_object(NULL);
	out_open_object("counters");
	for (i = 0; i < c.count; i++) {
		out_str(NULL, "%s ", c.counter[i].name);
		out_u64(c.counter[i].name, "%" PRIu64 "\n",
			c.counter[i].value);
	}
	out_close_object();
	out_open_object("reasm");
	reasm_out(&c);
	out_close_object();
	out_close_object();
	out_end();
	nl_close(&nl);
	return CTL_OK;
}

/* ---- reasm */

static uint64_t reasm_budget(struct ctl_args *args)
{
	static const char takes[] =
		"default or 1048576 to 1073741824 bytes, also as 1M to 1024M";
	const char *value = ctl_value(args, "budget", takes);
	char digits[32];
	uint64_t val;
	size_t len;

	len = strlen(value);
	snprintf(digits, sizeof(digits), "%s", value);
	if (len && len < sizeof(digits) && value[len - 1] == 'M')
		digits[len - 1] = '\0';
	if (!ctl_parse_u64(digits, &val) || val > STT_REASM_BUDGET_MAX)
		val = 0;
	if (len && value[len - 1] == 'M')
		val <<= 20;
	if (val < STT_REASM_BUDGET_MIN || val > STT_REASM_BUDGET_MAX)
		ctl_die("\"%s\" is wrong: budget takes %s", value, takes);
	return val;
}

static int reasm_set(struct ctl_args *args)
{
	uint64_t budget = 0, timeout = 0;
	char buf[NL_REQ_MAX];
	struct nlmsghdr *nlh;
	struct counters c;
	struct nl nl;

	ctl_open(&nl);
	while (*args->argv) {
		if (ctl_option(args, "budget")) {
			if (ctl_word(args, "default")) {
				counters_get(&nl, &c);
				budget = c.reasm[STT_REASM_A_BUDGET_DEFAULT];
			} else {
				budget = reasm_budget(args);
			}
		} else if (ctl_option(args, "timeout")) {
			timeout = ctl_number(args, "timeout",
					     STT_REASM_TIMEOUT_MIN,
					     STT_REASM_TIMEOUT_MAX);
		} else {
			ctl_end(args);
		}
	}
	if (!budget && !timeout)
		ctl_die("reasm set takes budget, timeout or both");
	nlh = nl_command(&nl, buf, STT_CMD_REASM_SET, 0);
	if (budget)
		mnl_attr_put_u64(nlh, STT_REASM_A_BUDGET, budget);
	if (timeout)
		mnl_attr_put_u32(nlh, STT_REASM_A_TIMEOUT, timeout);
	if (nl_talk(&nl, nlh, NULL, NULL))
		ctl_die("%s", nl.error);
	nl_close(&nl);
	return CTL_OK;
}

int cmd_reasm(struct ctl_args *args)
{
	struct counters c;
	struct nl nl;

	if (ctl_word(args, "set"))
		return reasm_set(args);
	ctl_word(args, "show");
	ctl_end(args);
	ctl_open(&nl);
	counters_get(&nl, &c);
	out_begin();
	out_open_object(NULL);
	reasm_out(&c);
	out_close_object();
	out_end();
	nl_close(&nl);
	return CTL_OK;
}
