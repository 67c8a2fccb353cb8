// SPDX-License-Identifier: GPL-2.0
/*
 * ip(8) plugin for links of kind "stt".
 *
 * The plugin says what only the command line can know: which word is wrong
 * and what it takes instead. Which options go together is for the module to
 * say, so that it is said to every user of netlink, in one place.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_stt.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "iproute2.h"
#include "xstats.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define __maybe_unused	__attribute__((unused))

/* ip(8) builds the request in a buffer of at least this size. */
#define STT_REQ_MAX	1024

#define STT_TOS_INHERIT	1
#define STT_LABEL_MAX	0xfffff

static const char * const stt_df_names[] = {
	[STT_DF_UNSET]		= "unset",
	[STT_DF_SET]		= "set",
	[STT_DF_INHERIT]	= "inherit",
};

/* ------------------------------------------------------------- parsing */

struct stt_option;

/**
 * struct stt_args - the command line and what is known of it so far
 * @n: request that attributes are added to
 * @argc: words left, the current option included
 * @argv: the current option
 * @set_by: by attribute, the word that has set it
 * @remote: argument of "remote" or "group"
 * @remote_family: its address family, 0 if there is none
 * @local: argument of "local"
 * @local_family: its address family, 0 if there is none
 */
struct stt_args {
	struct nlmsghdr *n;
	int argc;
	char **argv;
	const char *set_by[IFLA_STT_MAX + 1];
	const char *remote;
	int remote_family;
	const char *local;
	int local_family;
};

/**
 * struct stt_option - one word of the command line
 * @word: the word
 * @attr: attribute it sets; words that set the same one exclude each other
 * @parse: consumes the values after the word
 * @size: bytes of a number, negative if it is in network byte order
 * @min: smallest value of a number
 * @max: largest value of a number
 * @zero: word that stands for 0, or NULL
 * @takes: what the values are, for error messages; NULL for plain numbers
 */
struct stt_option {
	const char *word;
	unsigned short attr;
	int (*parse)(struct stt_args *args, const struct stt_option *opt);
	int size;
	__u64 min;
	__u64 max;
	const char *zero;
	const char *takes;
};

__attribute__((format(printf, 1, 2)))
static int stt_error(const char *fmt, ...)
{
	va_list ap;

	fputs("Error: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs(".\n", stderr);
	return -1;
}

static const char *stt_takes(const struct stt_option *opt)
{
	static char buf[128];

	if (opt->takes)
		return opt->takes;

	snprintf(buf, sizeof(buf),
		 "%s%sa number from %" PRIu64 " to %" PRIu64
		 ", decimal (without leading zeros) or 0x and hexadecimal",
		 opt->zero ? opt->zero : "", opt->zero ? " or " : "",
		 (uint64_t)opt->min, (uint64_t)opt->max);
	return buf;
}

static int stt_bad_value(const struct stt_option *opt, const char *value)
{
	return stt_error("argument \"%s\" is wrong: \"%s\" takes %s",
			 value, opt->word, stt_takes(opt));
}

/* The next word of the command line, NULL after saying that there is none. */
static const char *stt_next(struct stt_args *args,
			    const struct stt_option *opt)
{
	if (args->argc < 2) {
		stt_error("\"%s\" lacks a value: it takes %s",
			  opt->word, stt_takes(opt));
		return NULL;
	}
	args->argc--;
	args->argv++;
	return args->argv[0];
}

/*
 * Stricter than strtoull(): neither sign nor blanks, and no leading zero,
 * which means octal to some programs and decimal to others.
 */
static bool stt_parse_u64(const char *arg, __u64 *val)
{
	bool hex = !strncmp(arg, "0x", 2) || !strncmp(arg, "0X", 2);
	const char *digits = hex ? arg + 2 : arg;
	size_t len;

	len = strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789");
	if (!len || digits[len])
		return false;
	if (!hex && digits[0] == '0' && len > 1)
		return false;

	errno = 0;
	*val = strtoull(digits, NULL, hex ? 16 : 10);
	return !errno;
}

static bool stt_parse_range(const struct stt_option *opt, const char *arg,
			    __u64 *val)
{
	return stt_parse_u64(arg, val) && *val >= opt->min && *val <= opt->max;
}

static int stt_parse_number(struct stt_args *args,
			    const struct stt_option *opt)
{
	const char *arg = stt_next(args, opt);
	__u64 val;

	if (!arg)
		return -1;
	if (opt->zero && !strcmp(arg, opt->zero))
		val = 0;
	else if (!stt_parse_range(opt, arg, &val))
		return stt_bad_value(opt, arg);

	switch (opt->size) {
	case sizeof(__u64):
		return addattr64(args->n, STT_REQ_MAX, opt->attr, val);
	case sizeof(__u32):
		return addattr32(args->n, STT_REQ_MAX, opt->attr, val);
	case -(int)sizeof(__be16):
		return addattr16(args->n, STT_REQ_MAX, opt->attr, htons(val));
	}
	return -1;
}

/* The word alone or with "no" before it. */
static int stt_parse_flag(struct stt_args *args, const struct stt_option *opt)
{
	return addattr8(args->n, STT_REQ_MAX, opt->attr,
			!strcmp(args->argv[0], opt->word));
}

static int stt_parse_srcport(struct stt_args *args,
			     const struct stt_option *opt)
{
	struct ifla_stt_port_range range;
	const char *arg;
	__u64 low, high;

	arg = stt_next(args, opt);
	if (!arg)
		return -1;
	if (!stt_parse_range(opt, arg, &low))
		return stt_bad_value(opt, arg);

	arg = stt_next(args, opt);
	if (!arg)
		return -1;
	if (!stt_parse_range(opt, arg, &high))
		return stt_bad_value(opt, arg);

	/* vxlan's way of saying "the default". */
	if (!low && !high) {
		low = STT_DEFAULT_SPORT_MIN;
		high = STT_DEFAULT_SPORT_MAX;
	}
	if (!low)
		return stt_bad_value(opt, args->argv[-1]);
	if (low > high)
		return stt_error("\"srcport\" ends (%s) before it begins (%s)",
				 args->argv[0], args->argv[-1]);

	range.low = htons(low);
	range.high = htons(high);
	return addattr_l(args->n, STT_REQ_MAX, opt->attr, &range,
			 sizeof(range));
}

static bool stt_addr_is_multicast(int family, const void *addr)
{
	if (family == AF_INET6)
		return IN6_IS_ADDR_MULTICAST((const struct in6_addr *)addr);
	return IN_MULTICAST(ntohl(*(const in_addr_t *)addr));
}

/* The zero address of either family is none, and goes with any other. */
static int stt_parse_addr(struct stt_args *args, const struct stt_option *opt,
			  int attr6, bool multicast, int *family)
{
	const char *arg = stt_next(args, opt);
	struct in6_addr addr;
	size_t len;

	if (!arg)
		return -1;
	memset(&addr, 0, sizeof(addr));
	*family = strchr(arg, ':') ? AF_INET6 : AF_INET;
	len = *family == AF_INET6 ? sizeof(addr) : sizeof(struct in_addr);
	if ((multicast || strcmp(arg, "any")) &&
	    (inet_pton(*family, arg, &addr) != 1 ||
	     stt_addr_is_multicast(*family, &addr) != multicast))
		return stt_bad_value(opt, arg);
	if (addattr_l(args->n, STT_REQ_MAX,
		      *family == AF_INET6 ? attr6 : opt->attr, &addr, len))
		return -1;
	if (!memcmp(&addr, &in6addr_any, sizeof(addr)))
		*family = 0;
	return 0;
}

static int stt_parse_remote(struct stt_args *args,
			    const struct stt_option *opt)
{
	if (stt_parse_addr(args, opt, IFLA_STT_REMOTE6,
			   !strcmp(opt->word, "group"), &args->remote_family))
		return -1;
	args->remote = args->argv[0];
	return 0;
}

static int stt_parse_local(struct stt_args *args, const struct stt_option *opt)
{
	if (stt_parse_addr(args, opt, IFLA_STT_LOCAL6, false,
			   &args->local_family))
		return -1;
	args->local = args->argv[0];
	return 0;
}

static int stt_parse_dev(struct stt_args *args, const struct stt_option *opt)
{
	const char *arg = stt_next(args, opt);
	unsigned int ifindex;

	if (!arg)
		return -1;
	ifindex = ll_name_to_index(arg);
	if (!ifindex)
		return stt_bad_value(opt, arg);
	return addattr32(args->n, STT_REQ_MAX, opt->attr, ifindex);
}

/* Both attributes go out, so that a change leaves no trace of the old way. */
static int stt_parse_ttl(struct stt_args *args, const struct stt_option *opt)
{
	const char *arg = stt_next(args, opt);
	bool inherit;
	__u64 ttl = 0;

	if (!arg)
		return -1;
	inherit = !strcmp(arg, "inherit");
	if (!inherit && strcmp(arg, "auto") &&
	    !stt_parse_range(opt, arg, &ttl))
		return stt_bad_value(opt, arg);

	if (addattr8(args->n, STT_REQ_MAX, IFLA_STT_TTL, ttl))
		return -1;
	return addattr8(args->n, STT_REQ_MAX, IFLA_STT_TTL_INHERIT, inherit);
}

static int stt_parse_label(struct stt_args *args, const struct stt_option *opt)
{
	const char *arg = stt_next(args, opt);
	bool inherit;
	__u64 label = 0;

	if (!arg)
		return -1;
	inherit = !strcmp(arg, "inherit");
	if (!inherit && !stt_parse_range(opt, arg, &label))
		return stt_bad_value(opt, arg);

	if (addattr32(args->n, STT_REQ_MAX, IFLA_STT_LABEL, htonl(label)))
		return -1;
	return addattr8(args->n, STT_REQ_MAX, IFLA_STT_LABEL_INHERIT, inherit);
}

static int stt_parse_tos(struct stt_args *args, const struct stt_option *opt)
{
	const char *arg = stt_next(args, opt);
	__u32 tos = STT_TOS_INHERIT;

	if (!arg)
		return -1;
	/* Takes names, hexadecimal numbers, and nothing above 255. */
	if (strcmp(arg, "inherit") && rtnl_dsfield_a2n(&tos, arg))
		return stt_bad_value(opt, arg);
	return addattr8(args->n, STT_REQ_MAX, opt->attr, tos);
}

static int stt_parse_df(struct stt_args *args, const struct stt_option *opt)
{
	const char *arg = stt_next(args, opt);
	unsigned int i;

	if (!arg)
		return -1;
	for (i = 0; i < ARRAY_SIZE(stt_df_names); i++)
		if (!strcmp(arg, stt_df_names[i]))
			return addattr8(args->n, STT_REQ_MAX, opt->attr, i);
	return stt_bad_value(opt, arg);
}

#define STT_NUMBER(_word, _attr, _size, _min, _max, _zero)		\
	{ .word = _word, .attr = _attr, .parse = stt_parse_number,	\
	  .size = _size, .min = _min, .max = _max, .zero = _zero }

#define STT_FLAG(_word, _attr)						\
	{ .word = _word, .attr = _attr, .parse = stt_parse_flag }

static const char stt_takes_label[] =
	"inherit or a number from 0 to 1048575 (0xfffff)";

static const char stt_takes_tos[] =
	"inherit, a name in rt_dsfield or a hexadecimal number from 0 to ff";

static const struct stt_option stt_options[] = {
	STT_NUMBER("id", IFLA_STT_KEY, 8, 0, UINT64_MAX, NULL),
	STT_NUMBER("key", IFLA_STT_KEY, 8, 0, UINT64_MAX, NULL),
	STT_NUMBER("vni", IFLA_STT_KEY, 8, 0, UINT64_MAX, NULL),
	STT_NUMBER("ikey", IFLA_STT_KEY, 8, 0, UINT64_MAX, NULL),
	STT_NUMBER("okey", IFLA_STT_OKEY, 8, 0, UINT64_MAX, NULL),
	STT_FLAG("external", IFLA_STT_COLLECT_METADATA),
	STT_NUMBER("keybase", IFLA_STT_KEYBASE, 4, 0, UINT32_MAX, NULL),
	{ .word = "remote", .attr = IFLA_STT_REMOTE, .parse = stt_parse_remote,
	  .takes = "any or a unicast IPv4 or IPv6 address (or use \"group\")" },
	{ .word = "group", .attr = IFLA_STT_REMOTE, .parse = stt_parse_remote,
	  .takes = "a multicast IPv4 or IPv6 address (see also \"remote\")" },
	{ .word = "local", .attr = IFLA_STT_LOCAL, .parse = stt_parse_local,
	  .takes = "any or a unicast IPv4 or IPv6 address" },
	{ .word = "dev", .attr = IFLA_STT_LINK, .parse = stt_parse_dev,
	  .takes = "the name of an existing network device" },
	STT_NUMBER("dstport", IFLA_STT_PORT, -2, 1, 65535, NULL),
	{ .word = "srcport", .attr = IFLA_STT_PORT_RANGE,
	  .parse = stt_parse_srcport, .max = 65535,
	  .takes = "two ports from 1 to 65535, MIN and MAX (or 0 0)" },
	{ .word = "ttl", .attr = IFLA_STT_TTL, .parse = stt_parse_ttl,
	  .max = 255,
	  .takes = "auto, inherit or a number from 0 (auto) to 255" },
	{ .word = "tos", .attr = IFLA_STT_TOS, .parse = stt_parse_tos,
	  .takes = stt_takes_tos },
	{ .word = "dsfield", .attr = IFLA_STT_TOS, .parse = stt_parse_tos,
	  .takes = stt_takes_tos },
	{ .word = "df", .attr = IFLA_STT_DF, .parse = stt_parse_df,
	  .takes = "unset, set or inherit" },
	{ .word = "flowlabel", .attr = IFLA_STT_LABEL, .parse = stt_parse_label,
	  .max = STT_LABEL_MAX, .takes = stt_takes_label },
	STT_NUMBER("fwmark", IFLA_STT_FWMARK, 4, 0, UINT32_MAX, NULL),
	STT_FLAG("learning", IFLA_STT_LEARNING),
	STT_NUMBER("ageing", IFLA_STT_AGEING, 4, 0, UINT32_MAX, "none"),
	STT_NUMBER("maxaddress", IFLA_STT_LIMIT, 4, 0, UINT32_MAX,
		   "unlimited"),
	STT_FLAG("csumtrust", IFLA_STT_CSUM_TRUST),
	STT_FLAG("vlancompat", IFLA_STT_VLAN_COMPAT),
	STT_FLAG("dscpcopy", IFLA_STT_DSCP_COPY),
};

static void stt_explain(FILE *f)
{
	fputs("Usage: ... stt { id ID | external [ keybase HI32 ] }\n"
	      "		[ okey ID ]\n"
	      "		[ remote ADDR | group ADDR ] [ local ADDR ]\n"
	      "		[ dev NAME ] [ dstport PORT ] [ srcport MIN MAX ]\n"
	      "		[ ttl TTL ] [ tos TOS ] [ df DF ]\n"
	      "		[ flowlabel LABEL ] [ fwmark MARK ]\n"
	      "		[ [no]learning ] [ ageing SECONDS ]\n"
	      "		[ maxaddress NUMBER ]\n"
	      "		[ [no]csumtrust ] [ [no]vlancompat ]\n"
	      "		[ [no]dscpcopy ]\n"
	      "\n"
	      "Where:	ID	:= 0..18446744073709551615\n"
	      "		   (id is also key, vni or ikey)\n"
	      "	HI32	:= 0..4294967295, upper half of every ID\n"
	      "	ADDR	:= { IPV4_ADDRESS | IPV6_ADDRESS }\n"
	      "	PORT	:= 1..65535 (default 7471)\n"
	      "	TTL	:= { 1..255 | auto | inherit }\n"
	      "	TOS	:= { DSFIELD | inherit } (or dsfield TOS)\n"
	      "	DF	:= { unset | set | inherit }\n"
	      "	LABEL	:= { 0..1048575 | inherit }\n"
	      "	MARK	:= 0..4294967295\n"
	      "	SECONDS	:= { 1..4294967295 | none }\n"
	      "	NUMBER	:= { 1..4294967295 | unlimited }\n"
	      "\n"
	      "Numbers are decimal or 0x and hexadecimal.\n", f);
}

static const char stt_hint[] =
	"see \"ip link help stt\"; what any link has goes before \"type\"";

static const struct stt_option *stt_find_option(const char *word)
{
	const struct stt_option *opt = stt_options;

	for (; opt < stt_options + ARRAY_SIZE(stt_options); opt++)
		if (!strcmp(word, opt->word) ||
		    (opt->parse == stt_parse_flag &&
		     !strncmp(word, "no", 2) && !strcmp(word + 2, opt->word)))
			return opt;
	return NULL;
}

static int stt_parse_word(struct stt_args *args)
{
	const char *word = args->argv[0];
	const struct stt_option *opt = stt_find_option(word);

	if (!opt)
		return stt_error("\"%s\" is not an option of stt (%s)", word,
				 stt_hint);
	if (args->set_by[opt->attr])
		return stt_error("\"%s\" sets again what \"%s\" has set",
				 word, args->set_by[opt->attr]);
	args->set_by[opt->attr] = word;
	return opt->parse(args, opt);
}

/*
 * Nothing is sent that was not asked for: the defaults are the module's, and
 * a change must leave the rest alone.
 */
static int stt_parse_opt(struct link_util *lu __maybe_unused, int argc,
			 char **argv, struct nlmsghdr *n)
{
	struct stt_args args = { .n = n, .argc = argc, .argv = argv };

	for (; args.argc > 0; args.argc--, args.argv++) {
		if (!strcmp(args.argv[0], "help")) {
			stt_explain(stderr);
			return -1;
		}
		if (stt_parse_word(&args))
			return -1;
	}

	if (args.remote_family && args.local_family &&
	    args.remote_family != args.local_family)
		return stt_error("%s %s and local %s differ in address family",
				 args.set_by[IFLA_STT_REMOTE], args.remote,
				 args.local);
	return 0;
}

/* ------------------------------------------------------------ printing */

/*
 * Copies an attribute's payload if it is there and long enough. Netlink aligns
 * to four bytes, so that a wider number could not be read in place.
 */
static bool stt_get(struct rtattr *tb[], int attr, void *val, size_t len)
{
	if (!tb[attr] || RTA_PAYLOAD(tb[attr]) < len)
		return false;
	memcpy(val, RTA_DATA(tb[attr]), len);
	return true;
}

static void stt_print_string(enum output_type type, const char *key,
			     const char *fmt, const char *value)
{
	print_color_string(type, COLOR_NONE, key, fmt, value);
}

static void stt_print_uint(enum output_type type, const char *key,
			   const char *fmt, unsigned int value)
{
	print_color_uint(type, COLOR_NONE, key, fmt, value);
}

static void stt_print_bool(struct rtattr *tb[], int attr, const char *word)
{
	__u8 on;

	if (!stt_get(tb, attr, &on, sizeof(on)))
		return;
	if (is_json_context()) {
		print_color_bool(PRINT_JSON, COLOR_NONE, word, NULL, on);
		return;
	}
	if (!on)
		stt_print_string(PRINT_FP, NULL, "%s", "no");
	stt_print_string(PRINT_FP, NULL, "%s ", word);
}

/*
 * Small identifiers are mostly VNIs that people know in decimal, large ones
 * have a structure that shows in hexadecimal. JSON readers that keep numbers
 * as doubles lose digits above 2^53, so that JSON has the string too.
 */
static void stt_print_id(const char *word, __u64 id, bool text)
{
	char hex[sizeof("0x0123456789abcdef")];
	char key[sizeof("okey_hex")];

	snprintf(hex, sizeof(hex), "0x%016" PRIx64, (uint64_t)id);
	snprintf(key, sizeof(key), "%s_hex", word);
	print_color_u64(PRINT_JSON, COLOR_NONE, word, NULL, id);
	stt_print_string(PRINT_JSON, key, NULL, hex);
	if (!text)
		return;
	stt_print_string(PRINT_FP, NULL, "%s ", word);
	print_color_u64(PRINT_FP, COLOR_NONE, NULL,
			id > UINT32_MAX ? "0x%" PRIx64 " " : "%" PRIu64 " ",
			id);
}

/* That which is sent is shown only if it is another one. */
static void stt_print_ids(struct rtattr *tb[])
{
	bool has_id, has_okey;
	__u64 id = 0, okey;

	has_id = stt_get(tb, IFLA_STT_KEY, &id, sizeof(id));
	has_okey = stt_get(tb, IFLA_STT_OKEY, &okey, sizeof(okey));
	if (has_id)
		stt_print_id("id", id, true);
	if (has_okey)
		stt_print_id("okey", okey, !has_id || okey != id);
}

static void stt_print_external(struct rtattr *tb[])
{
	__u8 on;

	if (!stt_get(tb, IFLA_STT_COLLECT_METADATA, &on, sizeof(on)))
		return;
	print_color_bool(PRINT_JSON, COLOR_NONE, "external", NULL, on);
	if (on)
		stt_print_string(PRINT_FP, NULL, "%s ", "external");
}

/* An unspecified address is as good as none. */
static void stt_print_addr(struct rtattr *tb[], int attr, int family,
			   const char *unicast, const char *multicast)
{
	size_t len = family == AF_INET6 ? sizeof(struct in6_addr) :
					  sizeof(struct in_addr);
	char fmt[sizeof("remote %s ")];
	char text[INET6_ADDRSTRLEN];
	const char *word, *suffix;
	char key[sizeof("remote6")];
	struct in6_addr addr;

	if (!stt_get(tb, attr, &addr, len) ||
	    !memcmp(&addr, &in6addr_any, len))
		return;
	inet_ntop(family, &addr, text, sizeof(text));

	word = stt_addr_is_multicast(family, &addr) ? multicast : unicast;
	suffix = family == AF_INET6 ? "6" : "";
	snprintf(key, sizeof(key), "%s%s", word, suffix);
	snprintf(fmt, sizeof(fmt), "%s %%s ", word);
	stt_print_string(PRINT_ANY, key, fmt, text);
}

static void stt_print_dev(struct rtattr *tb[])
{
	__u32 ifindex;

	if (stt_get(tb, IFLA_STT_LINK, &ifindex, sizeof(ifindex)) && ifindex)
		stt_print_string(PRINT_ANY, "link", "dev %s ",
				 ll_index_to_name(ifindex));
}

static void stt_print_ports(struct rtattr *tb[])
{
	struct ifla_stt_port_range range;
	__be16 port;

	if (stt_get(tb, IFLA_STT_PORT_RANGE, &range, sizeof(range))) {
		if (is_json_context())
			open_json_object("port_range");
		stt_print_uint(PRINT_ANY, "low", "srcport %u ",
			       ntohs(range.low));
		stt_print_uint(PRINT_ANY, "high", "%u ", ntohs(range.high));
		if (is_json_context())
			close_json_object();
	}
	if (stt_get(tb, IFLA_STT_PORT, &port, sizeof(port)))
		stt_print_uint(PRINT_ANY, "port", "dstport %u ", ntohs(port));
}

static void stt_print_ttl(struct rtattr *tb[])
{
	__u8 inherit = 0;
	__u8 ttl;

	if (stt_get(tb, IFLA_STT_TTL_INHERIT, &inherit, sizeof(inherit)))
		print_color_bool(PRINT_JSON, COLOR_NONE, "ttl_inherit", NULL,
				 inherit);
	if (inherit)
		stt_print_string(PRINT_FP, NULL, "ttl %s ", "inherit");

	if (!stt_get(tb, IFLA_STT_TTL, &ttl, sizeof(ttl)))
		return;
	stt_print_uint(PRINT_JSON, "ttl", NULL, ttl);
	if (inherit)
		return;
	if (ttl)
		stt_print_uint(PRINT_FP, NULL, "ttl %u ", ttl);
	else
		stt_print_string(PRINT_FP, NULL, "ttl %s ", "auto");
}

static void stt_print_tos(struct rtattr *tb[])
{
	char hex[sizeof("0xff")];
	__u8 tos;

	if (!stt_get(tb, IFLA_STT_TOS, &tos, sizeof(tos)) || !tos)
		return;
	snprintf(hex, sizeof(hex), "0x%x", tos);
	stt_print_string(PRINT_ANY, "tos", "tos %s ",
			 tos == STT_TOS_INHERIT ? "inherit" : hex);
}

static void stt_print_df(struct rtattr *tb[])
{
	__u8 df;

	if (!stt_get(tb, IFLA_STT_DF, &df, sizeof(df)))
		return;
	stt_print_string(PRINT_ANY, "df", "df %s ",
			 df < ARRAY_SIZE(stt_df_names) ? stt_df_names[df] :
							 "unknown");
}

static void stt_print_label(struct rtattr *tb[])
{
	char hex[sizeof("0xffffffff")];
	__be32 label = 0;
	__u8 inherit = 0;

	stt_get(tb, IFLA_STT_LABEL, &label, sizeof(label));
	stt_get(tb, IFLA_STT_LABEL_INHERIT, &inherit, sizeof(inherit));
	if (!label && !inherit)
		return;
	snprintf(hex, sizeof(hex), "0x%x", ntohl(label));
	stt_print_string(PRINT_ANY, "label", "flowlabel %s ",
			 inherit ? "inherit" : hex);
}

static void stt_print_fwmark(struct rtattr *tb[])
{
	char hex[sizeof("0xffffffff")];
	__u32 mark;

	if (!stt_get(tb, IFLA_STT_FWMARK, &mark, sizeof(mark)) || !mark)
		return;
	snprintf(hex, sizeof(hex), "0x%x", mark);
	stt_print_string(PRINT_ANY, "fwmark", "fwmark %s ", hex);
}

static void stt_print_fdb(struct rtattr *tb[])
{
	__u32 val;

	stt_print_bool(tb, IFLA_STT_LEARNING, "learning");

	if (stt_get(tb, IFLA_STT_AGEING, &val, sizeof(val))) {
		if (val || is_json_context())
			stt_print_uint(PRINT_ANY, "ageing", "ageing %u ", val);
		else
			stt_print_string(PRINT_FP, NULL, "ageing %s ", "none");
	}
	if (stt_get(tb, IFLA_STT_LIMIT, &val, sizeof(val)) &&
	    (val || is_json_context()))
		stt_print_uint(PRINT_ANY, "limit", "maxaddress %u ", val);
}

static void stt_print_keybase(struct rtattr *tb[])
{
	__u32 keybase;

	if (stt_get(tb, IFLA_STT_KEYBASE, &keybase, sizeof(keybase)) &&
	    (keybase || is_json_context()))
		stt_print_uint(PRINT_ANY, "keybase", "keybase 0x%x ", keybase);
}

/*
 * Everything printed as text is a command line that stt_parse_opt() accepts
 * and that makes the same device.
 */
static void stt_print_opt(struct link_util *lu __maybe_unused,
			  FILE *f __maybe_unused, struct rtattr *tb[])
{
	if (!tb)
		return;

	stt_print_ids(tb);
	stt_print_external(tb);
	stt_print_keybase(tb);
	stt_print_addr(tb, IFLA_STT_REMOTE, AF_INET, "remote", "group");
	stt_print_addr(tb, IFLA_STT_REMOTE6, AF_INET6, "remote", "group");
	stt_print_addr(tb, IFLA_STT_LOCAL, AF_INET, "local", "local");
	stt_print_addr(tb, IFLA_STT_LOCAL6, AF_INET6, "local", "local");
	stt_print_dev(tb);
	stt_print_ports(tb);
	stt_print_ttl(tb);
	stt_print_tos(tb);
	stt_print_df(tb);
	stt_print_label(tb);
	stt_print_fwmark(tb);
	stt_print_fdb(tb);
	stt_print_bool(tb, IFLA_STT_CSUM_TRUST, "csumtrust");
	stt_print_bool(tb, IFLA_STT_VLAN_COMPAT, "vlancompat");
	stt_print_bool(tb, IFLA_STT_DSCP_COPY, "dscpcopy");
}

/*
 * As text a line of the counters that are not zero, and a new line begun for
 * what ip(8) has to say next.
 */
static void stt_print_xstats(struct link_util *lu __maybe_unused,
			     FILE *f __maybe_unused, struct rtattr *xstats)
{
	int len = RTA_PAYLOAD(xstats);
	struct rtattr *rta = RTA_DATA(xstats);
	bool line = false;

	for (; RTA_OK(rta, len); rta = RTA_NEXT(rta, len)) {
		unsigned int type = rta->rta_type & NLA_TYPE_MASK;
		const char *name;
		__u64 val;

		if (type >= ARRAY_SIZE(stt_xstats_names) ||
		    !stt_xstats_names[type] || RTA_PAYLOAD(rta) < sizeof(val))
			continue;
		name = stt_xstats_names[type];
		memcpy(&val, RTA_DATA(rta), sizeof(val));

		print_color_u64(PRINT_JSON, COLOR_NONE, name, NULL, val);
		if (!val || is_json_context())
			continue;
		if (!line) {
			print_nl();
			stt_print_string(PRINT_FP, NULL, "%s", "    dropped: ");
			line = true;
		}
		stt_print_string(PRINT_FP, NULL, "%s ", name);
		print_color_u64(PRINT_FP, COLOR_NONE, NULL, "%" PRIu64 " ",
				val);
	}
	if (line) {
		print_nl();
		stt_print_string(PRINT_FP, NULL, "%s", "    ");
	}
}

static void stt_print_help(struct link_util *lu __maybe_unused,
			   int argc __maybe_unused,
			   char **argv __maybe_unused, FILE *f)
{
	stt_explain(f);
}

/* The one symbol that ip(8) looks for. */
extern struct link_util stt_link_util;
__attribute__((visibility("default")))
struct link_util stt_link_util = {
	.id		= "stt",
	.maxattr	= IFLA_STT_MAX,
	.parse_opt	= stt_parse_opt,
	.print_opt	= stt_print_opt,
	.print_xstats	= stt_print_xstats,
	.print_help	= stt_print_help,
};
