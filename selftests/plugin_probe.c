// SPDX-License-Identifier: GPL-2.0
/*
 * Plugin of a made-up kind "probe" that shows what another plugin prints for
 * the attributes in a file, without a kernel that knows the other kind:
 *
 *	PROBE_KIND=x PROBE_FILE=file ip [-j] link help probe
 *
 * The file holds RTM_NEWLINK messages. ip(8) prints those of
 * "ip monitor file" as text only, whereas this goes through its JSON writer
 * too.
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "../tools/iproute2.h"

#define __maybe_unused	__attribute__((unused))

extern int json;
struct link_util *get_link_kind(const char *kind);
void new_json_obj(int json);
void delete_json_obj(void);

static char message[65536] __attribute__((aligned(NLMSG_ALIGNTO)));

/* @tb has room for one more than @max; returns false without a nest. */
static bool probe_parse(struct rtattr *tb[], int max, struct rtattr *rta,
			int len)
{
	memset(tb, 0, sizeof(*tb) * (max + 1));
	for (; RTA_OK(rta, len); rta = RTA_NEXT(rta, len)) {
		int type = rta->rta_type & NLA_TYPE_MASK;

		if (type <= max && !tb[type])
			tb[type] = rta;
	}
	return true;
}

static bool probe_parse_nested(struct rtattr *tb[], int max,
			       struct rtattr *nest)
{
	return nest && probe_parse(tb, max, RTA_DATA(nest), RTA_PAYLOAD(nest));
}

static void probe_print(struct link_util *lu, struct nlmsghdr *n, FILE *f)
{
	struct rtattr *data[lu->maxattr + 1];
	struct rtattr *info[IFLA_INFO_MAX + 1];
	struct rtattr *link[IFLA_MAX + 1];
	bool has_data;

	probe_parse(link, IFLA_MAX, IFLA_RTA(NLMSG_DATA(n)), IFLA_PAYLOAD(n));
	if (!probe_parse_nested(info, IFLA_INFO_MAX, link[IFLA_LINKINFO]))
		errx(1, "a message without IFLA_LINKINFO");
	has_data = probe_parse_nested(data, lu->maxattr, info[IFLA_INFO_DATA]);

	open_json_object(NULL);
	open_json_object("info_data");
	lu->print_opt(lu, f, has_data ? data : NULL);
	close_json_object();
	if (info[IFLA_INFO_XSTATS]) {
		open_json_object("info_xstats");
		lu->print_xstats(lu, f, info[IFLA_INFO_XSTATS]);
		close_json_object();
	}
	close_json_object();
	if (!is_json_context())
		fputc('\n', f);
}

static const char *probe_env(const char *name)
{
	const char *value = getenv(name);

	if (!value)
		errx(1, "%s is not set", name);
	return value;
}

static void probe_help(struct link_util *self __maybe_unused,
		       int argc __maybe_unused, char **argv __maybe_unused,
		       FILE *f)
{
	struct nlmsghdr *n = (void *)message;
	const char *file = probe_env("PROBE_FILE");
	struct link_util *lu = get_link_kind(probe_env("PROBE_KIND"));
	FILE *in = fopen(file, "r");

	if (!lu)
		errx(1, "no plugin");
	if (!in)
		err(1, "%s", file);

	new_json_obj(json);
	while (fread(n, sizeof(*n), 1, in) == 1) {
		if (n->nlmsg_len < NLMSG_LENGTH(0) ||
		    n->nlmsg_len > sizeof(message) ||
		    fread(NLMSG_DATA(n), n->nlmsg_len - NLMSG_LENGTH(0), 1,
			  in) != 1)
			errx(1, "%s: broken message", file);
		probe_print(lu, n, f);
	}
	delete_json_obj();
	fclose(in);
}

struct link_util probe_link_util = {
	.id		= "probe",
	.print_help	= probe_help,
};
