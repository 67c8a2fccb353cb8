// SPDX-License-Identifier: GPL-2.0
/*
 * sttctl fdb, monitor.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <net/ethernet.h>
#include <stdio.h>
#include <string.h>

#include "sttctl.h"

/* An entry, or what the command line says of one. */
struct fdb {
	const char *dev;
	bool has_mac, has_id, has_src_id;
	uint8_t mac[ETH_ALEN];
	struct addr dst;
	uint64_t id;
	uint64_t src_id;
	uint16_t port;
	unsigned int via;
	uint16_t state;
	uint8_t flags;
};

static const struct {
	const char *word;
	uint16_t state;
} fdb_states[] = {
	{ "permanent", NUD_PERMANENT },
	{ "static", NUD_NOARP },
	{ "dynamic", NUD_REACHABLE },
};

static const struct {
	const char *word;
	uint8_t flag;
} fdb_flags[] = {
	{ "extern_learn", NTF_EXT_LEARNED },
	{ "router", NTF_ROUTER },
};

/* ---- Parsing */

static const char fdb_takes_mac[] =
	"a MAC address, as 02:00:00:00:00:01, or default";

/* Six pairs of digits; "default" is the all-zero address. */
static bool fdb_parse_mac(const char *text, uint8_t *mac)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	unsigned int byte;
	int i;

	memset(mac, 0, ETH_ALEN);
	if (!strcmp(text, "default"))
		return true;
	if (strlen(text) != 3 * ETH_ALEN - 1)
		return false;
	for (i = 0; i < ETH_ALEN; i++, text += 3) {
		if (strspn(text, digits) != 2 ||
		    text[2] != (i < ETH_ALEN - 1 ? ':' : '\0') ||
		    sscanf(text, "%2x", &byte) != 1)
			return false;
		mac[i] = byte;
	}
	return true;
}

static void fdb_take_mac(struct ctl_args *args, struct fdb *fdb,
			 const char *word)
{
	const char *value = ctl_value(args, word, fdb_takes_mac);

	if (!fdb_parse_mac(value, fdb->mac))
		ctl_die("\"%s\" is wrong: %s takes %s", value, word,
			fdb_takes_mac);
	fdb->has_mac = true;
}

static void fdb_take_dst(struct ctl_args *args, struct fdb *fdb)
{
	static const char takes[] = "an IPv4 or IPv6 address";
	const char *value = ctl_value(args, "dst", takes);

	if (!addr_parse(value, &fdb->dst))
		ctl_die("\"%s\" is wrong: dst takes %s", value, takes);
}

static void fdb_take_via(struct ctl_args *args, struct fdb *fdb)
{
	static const char takes[] = "the name of a device";
	const char *value = ctl_value(args, "via", takes);

	fdb->via = if_nametoindex(value);
	if (!fdb->via)
		ctl_die("\"%s\" is wrong: via takes %s of this namespace",
			value, takes);
}

/* Words that choose entries: true if there was one. */
static bool fdb_take_match(struct ctl_args *args, struct fdb *fdb)
{
	if (ctl_option(args, "dev")) {
		fdb->dev = ctl_value(args, "dev", "the name of a device");
		if (strlen(fdb->dev) >= IF_NAMESIZE)
			ctl_die("\"%s\" is wrong: dev takes a device's name",
				fdb->dev);
	} else if (ctl_option(args, "src_id")) {
		fdb->src_id = ctl_number(args, "src_id", 0, UINT64_MAX);
		fdb->has_src_id = true;
	} else if (ctl_option(args, "dst")) {
		fdb_take_dst(args, fdb);
	} else {
		return false;
	}
	return true;
}

/* Words that say what an entry is. */
static bool fdb_take_rest(struct ctl_args *args, struct fdb *fdb)
{
	unsigned int i;

	if (ctl_option(args, "id")) {
		fdb->id = ctl_number(args, "id", 0, UINT64_MAX);
		fdb->has_id = true;
		return true;
	}
	if (ctl_option(args, "port")) {
		fdb->port = ctl_number(args, "port", 1, 65535);
		return true;
	}
	if (ctl_option(args, "via")) {
		fdb_take_via(args, fdb);
		return true;
	}
	for (i = 0; i < ARRAY_SIZE(fdb_states); i++)
		if (ctl_option(args, fdb_states[i].word)) {
			if (fdb->state)
				ctl_die("\"%s\" excludes another given state",
					fdb_states[i].word);
			fdb->state = fdb_states[i].state;
			return true;
		}
	for (i = 0; i < ARRAY_SIZE(fdb_flags); i++)
		if (ctl_option(args, fdb_flags[i].word)) {
			fdb->flags |= fdb_flags[i].flag;
			return true;
		}
	return false;
}

static void fdb_need_dev(const struct fdb *fdb)
{
	if (!fdb->dev)
		ctl_die("\"dev\" is required here: the name of a device");
}

static void fdb_put(struct nlmsghdr *nlh, const struct fdb *fdb)
{
	if (fdb->dev)
		mnl_attr_put_strz(nlh, STT_FDB_A_IFNAME, fdb->dev);
	if (fdb->has_mac)
		mnl_attr_put(nlh, STT_FDB_A_LLADDR, ETH_ALEN, fdb->mac);
	if (fdb->has_src_id)
		mnl_attr_put_u64(nlh, STT_FDB_A_SRC_KEY, fdb->src_id);
	if (fdb->has_id)
		mnl_attr_put_u64(nlh, STT_FDB_A_KEY, fdb->id);
	addr_put(nlh, STT_FDB_A_DST, STT_FDB_A_DST6, &fdb->dst);
	if (fdb->port)
		mnl_attr_put_u16(nlh, STT_FDB_A_PORT, htons(fdb->port));
	if (fdb->via)
		mnl_attr_put_u32(nlh, STT_FDB_A_LINK, fdb->via);
}

/* ---- Output */

static void fdb_out_state(uint16_t state, uint8_t flags)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fdb_states); i++)
		if (state & fdb_states[i].state) {
			out_str("state", " %s", fdb_states[i].word);
			break;
		}
	for (i = 0; i < ARRAY_SIZE(fdb_flags); i++)
		if (flags & fdb_flags[i].flag)
			out_bool(fdb_flags[i].word, NULL, true);
	if (flags & NTF_EXT_LEARNED)
		out_text(" extern_learn");
	if (flags & NTF_ROUTER)
		out_text(" router");
}

static void fdb_out_via(const struct nlattr *attr)
{
	char name[IF_NAMESIZE];

	if (!attr)
		return;
	if (!if_indextoname(nl_uint(attr), name))
		snprintf(name, sizeof(name), "if%u",
			 (unsigned int)nl_uint(attr));
	out_str("via", " via %s", name);
}

static void fdb_out_age(const char *key, const char *fmt,
			const struct nlattr *attr)
{
	char text[32];
	uint64_t ms;

	if (!attr)
		return;
	ms = nl_uint(attr);
	out_u64(key, NULL, ms);
	snprintf(text, sizeof(text), "%" PRIu64 ".%u", ms / 1000,
		 (unsigned int)(ms % 1000 / 100));
	out_str(NULL, fmt, text);
}

static void fdb_out_mac(const struct nlattr *attr)
{
	const uint8_t *mac;
	char text[24];

	if (!attr || mnl_attr_get_payload_len(attr) < ETH_ALEN)
		return;
	mac = mnl_attr_get_payload(attr);
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
		 mac[1], mac[2], mac[3], mac[4], mac[5]);
	out_str("mac", "%s ", text);
}

static void fdb_out_addr(const char *key, const char *fmt,
			 const struct nlattr *v4, const struct nlattr *v6)
{
	struct addr addr;

	addr_read(&addr, v4, v6);
	if (addr.family)
		out_str(key, fmt, addr_text(&addr));
}

/* Text is a command line that "fdb add" takes, but for ages. */
static void fdb_out(const struct nlattr *tb[])
{
	fdb_out_mac(tb[STT_FDB_A_LLADDR]);
	if (tb[STT_FDB_A_IFNAME])
		out_str("ifname", "dev %s",
			mnl_attr_get_str(tb[STT_FDB_A_IFNAME]));
	out_i64("ifindex", NULL, nl_uint(tb[STT_FDB_A_IFINDEX]));
	if (tb[STT_FDB_A_SRC_KEY])
		out_id("src_id", " src_id %s", nl_uint(tb[STT_FDB_A_SRC_KEY]));
	fdb_out_addr("dst", " dst %s", tb[STT_FDB_A_DST],
		     tb[STT_FDB_A_DST6]);
	if (tb[STT_FDB_A_KEY])
		out_id("id", " id %s", nl_uint(tb[STT_FDB_A_KEY]));
	if (tb[STT_FDB_A_PORT])
		out_u64("port", " port %" PRIu64,
			ntohs(nl_uint(tb[STT_FDB_A_PORT])));
	fdb_out_via(tb[STT_FDB_A_LINK]);
	if (tb[STT_FDB_A_STATE])
		fdb_out_state(nl_uint(tb[STT_FDB_A_STATE]),
			      nl_uint(tb[STT_FDB_A_FLAGS]));
	fdb_out_addr("old_dst", " was %s", tb[STT_FDB_A_OLD_DST],
		     tb[STT_FDB_A_OLD_DST6]);
	if (tb[STT_FDB_A_COUNT])
		out_u64("count", " %" PRIu64 " flushed",
			nl_uint(tb[STT_FDB_A_COUNT]));
}

static void fdb_show_one(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[STT_FDB_A_MAX + 1];

	(void)arg;
	nl_attrs(nlh, sizeof(struct genlmsghdr), tb, STT_FDB_A_MAX);
	out_open_object(NULL);
	fdb_out(tb);
	fdb_out_age("used_ms", " used %s", tb[STT_FDB_A_USED]);
	fdb_out_age("updated_ms", " updated %s", tb[STT_FDB_A_UPDATED]);
	out_close_object();
	out_text("\n");
}

/* ---- Commands */

static void fdb_talk(struct nl *nl, const struct fdb *fdb,
		     struct nlmsghdr *nlh, nl_fn fn)
{
	if (nl_talk(nl, nlh, fn, NULL))
		ctl_die("%s%s%s", fdb->dev ? fdb->dev : "",
			fdb->dev ? ": " : "", nl->error);
}

static void fdb_has_dev(const struct dev *dev, void *arg)
{
	(void)dev;
	(void)arg;
}

static int fdb_show(struct ctl_args *args)
{
	struct fdb fdb = {};
	char buf[NL_REQ_MAX];
	struct nlmsghdr *nlh;
	struct nl nl;

	for (;;) {
		if (ctl_option(args, "lladdr"))
			fdb_take_mac(args, &fdb, "lladdr");
		else if (!fdb_take_match(args, &fdb))
			break;
	}
	ctl_end(args);
	ctl_open(&nl);
	/* Old kernels fail a dump without saying why. */
	if (fdb.dev && !dev_each(&nl, fdb.dev, fdb_has_dev, NULL))
		ctl_die("%s: %s", fdb.dev, nl.error);
	nlh = nl_command(&nl, buf, STT_CMD_FDB_GET, NLM_F_DUMP);
	fdb_put(nlh, &fdb);
	out_begin();
	out_open_array(NULL);
	fdb_talk(&nl, &fdb, nlh, fdb_show_one);
	out_close_array();
	out_end();
	ctl_close(&nl);
	return CTL_OK;
}

static int fdb_change(struct ctl_args *args, int mode)
{
	struct fdb fdb = {};
	char buf[NL_REQ_MAX];
	struct nlmsghdr *nlh;
	struct nl nl;

	fdb_take_mac(args, &fdb, mode < 0 ? "fdb del" : "fdb add");
	while (fdb_take_match(args, &fdb) || fdb_take_rest(args, &fdb))
		;
	ctl_end(args);
	fdb_need_dev(&fdb);
	if (mode < 0 && (fdb.state || fdb.flags))
		ctl_die("fdb del takes neither a state nor flags");
	if (mode >= 0 && !fdb.dst.family)
		ctl_die("\"dst\" is required here: an IPv4 or IPv6 address");
	ctl_open(&nl);
	nlh = nl_command(&nl, buf,
			 mode < 0 ? STT_CMD_FDB_DEL : STT_CMD_FDB_NEW, 0);
	fdb_put(nlh, &fdb);
	if (mode >= 0)
		mnl_attr_put_u8(nlh, STT_FDB_A_MODE, mode);
	if (fdb.state)
		mnl_attr_put_u16(nlh, STT_FDB_A_STATE, fdb.state);
	if (fdb.flags)
		mnl_attr_put_u8(nlh, STT_FDB_A_FLAGS, fdb.flags);
	fdb_talk(&nl, &fdb, nlh, NULL);
	nl_close(&nl);
	return CTL_OK;
}

static void fdb_flushed(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[STT_FDB_A_MAX + 1];

	(void)arg;
	nl_attrs(nlh, sizeof(struct genlmsghdr), tb, STT_FDB_A_MAX);
	out_begin();
	out_open_object(NULL);
	out_u64("count", "%" PRIu64 " flushed\n",
		nl_uint(tb[STT_FDB_A_COUNT]));
	out_close_object();
	out_end();
}

/* Kinds of entries by what some bits of them are. */
static const struct {
	const char *word;
	uint16_t state, state_mask;
	uint8_t flags, flags_mask;
} fdb_kinds[] = {
	{ "permanent", NUD_PERMANENT, NUD_PERMANENT, 0, 0 },
	{ "static", NUD_NOARP, NUD_NOARP, 0, 0 },
	{ "learned", 0, NUD_PERMANENT | NUD_NOARP, 0, NTF_EXT_LEARNED },
	{ "extern_learn", 0, 0, NTF_EXT_LEARNED, NTF_EXT_LEARNED },
};

static int fdb_flush(struct ctl_args *args)
{
	unsigned int i, kind = ARRAY_SIZE(fdb_kinds);
	char buf[NL_REQ_MAX];
	struct fdb fdb = {};
	struct nlmsghdr *nlh;
	struct nl nl;

	while (*args->argv) {
		if (fdb_take_match(args, &fdb))
			continue;
		for (i = 0; i < ARRAY_SIZE(fdb_kinds); i++)
			if (!strcmp(*args->argv, fdb_kinds[i].word))
				break;
		if (i == ARRAY_SIZE(fdb_kinds))
			ctl_end(args);
		if (kind != ARRAY_SIZE(fdb_kinds) && kind != i)
			ctl_die("\"%s\" and \"%s\" exclude each other",
				fdb_kinds[kind].word, *args->argv);
		kind = i;
		args->argv++;
	}
	fdb_need_dev(&fdb);
	ctl_open(&nl);
	nlh = nl_command(&nl, buf, STT_CMD_FDB_FLUSH, 0);
	fdb_put(nlh, &fdb);
	if (kind != ARRAY_SIZE(fdb_kinds) && fdb_kinds[kind].state_mask) {
		mnl_attr_put_u16(nlh, STT_FDB_A_STATE, fdb_kinds[kind].state);
		mnl_attr_put_u16(nlh, STT_FDB_A_STATE_MASK,
				 fdb_kinds[kind].state_mask);
	}
	if (kind != ARRAY_SIZE(fdb_kinds) && fdb_kinds[kind].flags_mask) {
		mnl_attr_put_u8(nlh, STT_FDB_A_FLAGS, fdb_kinds[kind].flags);
		mnl_attr_put_u8(nlh, STT_FDB_A_FLAGS_MASK,
				fdb_kinds[kind].flags_mask);
	}
	fdb_talk(&nl, &fdb, nlh, fdb_flushed);
	nl_close(&nl);
	return CTL_OK;
}

int cmd_fdb(struct ctl_args *args)
{
	if (ctl_word(args, "add"))
		return fdb_change(args, STT_FDB_MODE_ADD);
	if (ctl_word(args, "replace"))
		return fdb_change(args, STT_FDB_MODE_REPLACE);
	if (ctl_word(args, "append"))
		return fdb_change(args, STT_FDB_MODE_APPEND);
	if (ctl_word(args, "del"))
		return fdb_change(args, -1);
	if (ctl_word(args, "flush"))
		return fdb_flush(args);
	ctl_word(args, "show");
	return fdb_show(args);
}

struct fdb_each {
	void (*fn)(const struct nlattr *tb[], void *arg);
	void *arg;
};

static void fdb_each_one(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[STT_FDB_A_MAX + 1];
	struct fdb_each *each = arg;

	nl_attrs(nlh, sizeof(struct genlmsghdr), tb, STT_FDB_A_MAX);
	each->fn(tb, each->arg);
}

void fdb_each(struct nl *nl, int ifindex,
	      void (*fn)(const struct nlattr *tb[], void *arg), void *arg)
{
	struct fdb_each each = { .fn = fn, .arg = arg };
	char buf[NL_REQ_MAX];
	struct nlmsghdr *nlh;

	nlh = nl_command(nl, buf, STT_CMD_FDB_GET, NLM_F_DUMP);
	mnl_attr_put_u32(nlh, STT_FDB_A_IFINDEX, ifindex);
	/* A device that is gone by now has no entries. */
	nl_talk(nl, nlh, fdb_each_one, &each);
}

/* ---- monitor */

static const char * const event_names[] = {
	[STT_CMD_DEV_NEW_NTF]		= "dev_new",
	[STT_CMD_DEV_CHANGE_NTF]	= "dev_change",
	[STT_CMD_DEV_DEL_NTF]		= "dev_del",
	[STT_CMD_FDB_NEW_NTF]		= "fdb_new",
	[STT_CMD_FDB_MOVE_NTF]		= "fdb_move",
	[STT_CMD_FDB_DEL_NTF]		= "fdb_del",
	[STT_CMD_FDB_FLUSH_NTF]		= "fdb_flush",
};

static void event_out(const struct nlmsghdr *nlh, void *arg)
{
	const struct genlmsghdr *genl = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[STT_FDB_A_MAX + 1];
	struct dev dev;

	(void)arg;
	if (genl->cmd >= ARRAY_SIZE(event_names) || !event_names[genl->cmd])
		return;
	out_begin();
	out_open_object(NULL);
	out_str("event", "%s ", event_names[genl->cmd]);
	if (genl->cmd <= STT_CMD_DEV_DEL_NTF) {
		dev_parse(nlh, &dev);
		dev_out(&dev);
	} else {
		nl_attrs(nlh, sizeof(*genl), tb, STT_FDB_A_MAX);
		fdb_out(tb);
		out_text("\n");
	}
	out_close_object();
	out_end();
}

int cmd_monitor(struct ctl_args *args)
{
	struct nl nl;
	int err;

	ctl_end(args);
	ctl_open(&nl);
	if (nl_listen(&nl))
		ctl_die("cannot listen: %s", nl.error);
	/* Whoever waits for the first line knows that nothing is missed. */
	out_begin();
	out_open_object(NULL);
	out_str("event", "%s\n", "listening");
	out_close_object();
	out_end();
	for (;;) {
		err = nl_events(&nl, event_out, NULL);
		if (err == -ENOBUFS) {
			out_begin();
			out_open_object(NULL);
			out_str("event", "%s\n", "lost");
			out_close_object();
			out_end();
		} else if (err && err != -EINTR) {
			ctl_die("%s", nl.error);
		}
	}
}
