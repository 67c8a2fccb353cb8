// SPDX-License-Identifier: GPL-2.0
/*
 * sttctl(8): what ip(8) and bridge(8) cannot tell or do about STT tunnels.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sttctl.h"

bool ctl_json;

static const char ctl_usage[] =
"Usage: sttctl [ -j ] [ -n NETNS ] COMMAND\n"
"\n"
"COMMAND := show [ DEV ]\n"
"	    fdb [ show ] [ dev DEV ] [ lladdr MAC ] [ src_id ID ] [ dst ADDR ]\n"
"	    fdb { add | replace | append } MAC dev DEV dst ADDR [ id ID ]\n"
"		[ src_id ID ] [ port PORT ] [ via DEV ]\n"
"		[ permanent | static | dynamic ] [ extern_learn ] [ router ]\n"
"	    fdb del MAC dev DEV [ dst ADDR ] [ id ID ] [ src_id ID ]\n"
"		[ port PORT ] [ via DEV ]\n"
"	    fdb flush dev DEV [ src_id ID ] [ dst ADDR ]\n"
"		[ permanent | static | learned | extern_learn ]\n"
"	    monitor\n"
"	    top [ interval SECONDS ] [ count NUMBER ]\n"
"	    stats\n"
"	    reasm [ show ]\n"
"	    reasm set [ budget { BYTES | default } ] [ timeout MS ]\n"
"	    check [ DEV | REMOTE ]\n"
"	    help\n"
"\n"
"ID	:= 0..18446744073709551615\n"
"BYTES	:= 1048576..1073741824, also as 8M\n"
"MS	:= 1..60000\n"
"\n"
"-j is JSON, -n a network namespace. See sttctl(8).\n";

void ctl_die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("sttctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(CTL_ERROR);
}

void ctl_open(struct nl *nl)
{
	int err = nl_open_stt(nl);

	if (err == -ENOENT)
		ctl_die("the module is not loaded; try: modprobe stt");
	if (err)
		ctl_die("netlink: %s", nl->error);
}

void ctl_close(struct nl *nl)
{
	if (nl->interrupted)
		fputs("sttctl: devices came or went meanwhile; ask again\n",
		      stderr);
	nl_close(nl);
}

/* ---- Words of the command line */

const char *ctl_next(struct ctl_args *args)
{
	return *args->argv ? *args->argv++ : NULL;
}

/* Is this the next word? Then it is taken. */
bool ctl_word(struct ctl_args *args, const char *word)
{
	if (!*args->argv || strcmp(*args->argv, word))
		return false;
	args->argv++;
	return true;
}

bool ctl_option(struct ctl_args *args, const char *word)
{
	unsigned int i;

	if (!ctl_word(args, word))
		return false;
	for (i = 0; args->given[i]; i++)
		if (!strcmp(args->given[i], word))
			ctl_die("\"%s\" is given twice", word);
	/* No command has as many options as there is room for. */
	args->given[i] = word;
	return true;
}

const char *ctl_value(struct ctl_args *args, const char *word,
		      const char *takes)
{
	const char *value = ctl_next(args);

	if (!value)
		ctl_die("\"%s\" lacks a value: it takes %s", word, takes);
	return value;
}

void ctl_end(struct ctl_args *args)
{
	if (*args->argv)
		ctl_die("\"%s\" is not expected here; see sttctl help",
			*args->argv);
}

/* Neither sign nor blanks, and no leading zero, which may mean octal. */
bool ctl_parse_u64(const char *text, uint64_t *val)
{
	bool hex = !strncmp(text, "0x", 2) || !strncmp(text, "0X", 2);
	const char *digits = hex ? text + 2 : text;
	size_t len;

	len = strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789");
	if (!len || digits[len] || (!hex && digits[0] == '0' && len > 1))
		return false;
	errno = 0;
	*val = strtoull(digits, NULL, hex ? 16 : 10);
	return !errno;
}

uint64_t ctl_number(struct ctl_args *args, const char *word, uint64_t min,
		    uint64_t max)
{
	const char *value = ctl_value(args, word, "a number");
	uint64_t val;

	if (!ctl_parse_u64(value, &val) || val < min || val > max)
		ctl_die("\"%s\" is wrong: %s takes a number from %" PRIu64
			" to %" PRIu64 ", decimal or 0x and hexadecimal",
			value, word, min, max);
	return val;
}

/* ---- Addresses */

bool addr_parse(const char *text, struct addr *addr)
{
	memset(addr, 0, sizeof(*addr));
	addr->family = strchr(text, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(addr->family, text, &addr->v6) == 1)
		return true;
	addr->family = 0;
	return false;
}

size_t addr_len(const struct addr *addr)
{
	return addr->family == AF_INET6 ? sizeof(addr->v6) : sizeof(addr->v4);
}

void addr_read(struct addr *addr, const struct nlattr *v4,
	       const struct nlattr *v6)
{
	const struct nlattr *attr = v4 ? v4 : v6;

	memset(addr, 0, sizeof(*addr));
	if (!attr)
		return;
	addr->family = v4 ? AF_INET : AF_INET6;
	if (mnl_attr_get_payload_len(attr) < addr_len(addr))
		addr->family = 0;
	else
		memcpy(&addr->v6, mnl_attr_get_payload(attr), addr_len(addr));
}

void addr_put(struct nlmsghdr *nlh, int v4, int v6, const struct addr *addr)
{
	if (addr->family)
		mnl_attr_put(nlh, addr->family == AF_INET ? v4 : v6,
			     addr_len(addr), &addr->v6);
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return a->family == b->family &&
	       !memcmp(&a->v6, &b->v6, addr_len(a));
}

bool addr_is_multicast(const struct addr *addr)
{
	if (addr->family == AF_INET6)
		return IN6_IS_ADDR_MULTICAST(&addr->v6);
	return IN_MULTICAST(ntohl(addr->v4.s_addr));
}

const char *addr_text(const struct addr *addr)
{
	static char text[4][INET6_ADDRSTRLEN];
	static unsigned int turn;
	char *buf = text[turn++ % 4];

	if (!addr->family ||
	    !inet_ntop(addr->family, &addr->v6, buf, INET6_ADDRSTRLEN))
		return "any";
	return buf;
}

/* ---- Commands */

static int cmd_help(struct ctl_args *args)
{
	ctl_end(args);
	fputs(ctl_usage, stdout);
	return CTL_OK;
}

static const struct {
	const char *word;
	int (*run)(struct ctl_args *args);
} ctl_commands[] = {
	{ "show", cmd_show },
	{ "fdb", cmd_fdb },
	{ "monitor", cmd_monitor },
	{ "top", cmd_top },
	{ "stats", cmd_stats },
	{ "reasm", cmd_reasm },
	{ "check", cmd_check },
	{ "help", cmd_help },
};

static void ctl_enter(const char *name)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s%s",
		 strchr(name, '/') ? "" : "/run/netns/", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		ctl_die("\"%s\" is wrong: -n takes a namespace (%s: %s)", name,
			path, strerror(errno));
	if (setns(fd, CLONE_NEWNET))
		ctl_die("cannot enter network namespace %s: %s", name,
			strerror(errno));
	close(fd);
}

int main(int argc, char **argv)
{
	struct ctl_args args = { .argv = argv + !!argc };
	const char *word;
	unsigned int i;

	for (;;) {
		if (ctl_word(&args, "-j"))
			ctl_json = true;
		else if (ctl_word(&args, "-n"))
			ctl_enter(ctl_value(&args, "-n", "a namespace"));
		else
			break;
	}
	if (ctl_word(&args, "-h") || ctl_word(&args, "--help"))
		return cmd_help(&args);
	word = ctl_next(&args);
	if (!word)
		ctl_die("a command is required; see sttctl help");
	if (word[0] == '-')
		ctl_die("\"%s\" is not an option; see sttctl help", word);
	for (i = 0; i < ARRAY_SIZE(ctl_commands); i++)
		if (!strcmp(word, ctl_commands[i].word))
			return ctl_commands[i].run(&args);
	ctl_die("\"%s\" is not a command; see sttctl help", word);
}
