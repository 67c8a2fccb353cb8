// SPDX-License-Identifier: GPL-2.0
/*
 * What the firewall does with a segment, told from the ruleset as nft(8)
 * prints it; the rules of iptables-nft are among them.
 *
 * A rule that depends on what is not known of a segment is taken not to match
 * if it would drop, and to match if it would accept: it is better to miss a
 * fault than to send the user after one that is none.
 */
#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sttctl.h"

/* Nested chains; the kernel has a limit too. */
#define NFT_DEPTH	16

enum match { NO, MAYBE, YES };
enum verdict { NEXT, RETURN, ACCEPT, DROP };

/* From here on segments are untracked; before, they have no state at all. */
#define NFT_PRIO_UNTRACK	(-250)

static json_t *nft_rules;

struct nft_eval {
	const struct segment *seg;
	const char *family;
	const char *table;
	const char *dev;	/* it comes or goes by, as this chain sees it */
	bool tracked;		/* the state of the connection is known */
	long handle;		/* of the rule that has dropped */
	int depth;
};

static const char *nft_str(const json_t *obj, const char *key)
{
	const char *val = json_string_value(json_object_get(obj, key));

	return val ? val : "";
}

static bool nft_read(void)
{
	FILE *f;
	json_t *root;

	if (nft_rules)
		return true;
	fflush(stdout);
	f = popen("exec nft -j list ruleset 2>/dev/null", "r");
	if (!f)
		return false;
	root = json_loadf(f, 0, NULL);
	pclose(f);
	nft_rules = json_incref(json_object_get(root, "nftables"));
	json_decref(root);
	return nft_rules;
}

/* ---- Values: does what the segment has match what the rule says? */

static enum match nft_not(enum match m)
{
	return m == MAYBE ? MAYBE : m == YES ? NO : YES;
}

static enum match nft_is(bool is)
{
	return is ? YES : NO;
}

static enum match nft_number(long val, const char *op, const json_t *right);

static const json_t *nft_set_elements(const struct nft_eval *ev,
				      const char *name)
{
	size_t i;
	json_t *obj;

	json_array_foreach(nft_rules, i, obj) {
		json_t *set = json_object_get(obj, "set");

		if (set && !strcmp(nft_str(set, "name"), name) &&
		    !strcmp(nft_str(set, "table"), ev->table) &&
		    !strcmp(nft_str(set, "family"), ev->family))
			return json_object_get(set, "elem");
	}
	return NULL;
}

/* An element may be wrapped for the sake of a comment or a timeout. */
static const json_t *nft_elem(const json_t *elem)
{
	const json_t *inner = json_object_get(elem, "elem");

	return inner ? json_object_get(inner, "val") : elem;
}

static enum match nft_number_one(long val, const json_t *right)
{
	const json_t *range = json_object_get(right, "range");

	if (json_is_integer(right))
		return nft_is(val == json_integer_value(right));
	if (json_array_size(range) == 2)
		return nft_is(val >= json_integer_value(json_array_get(range,
								       0)) &&
			      val <= json_integer_value(json_array_get(range,
								       1)));
	return MAYBE;
}

static enum match nft_number(long val, const char *op, const json_t *right)
{
	long other = json_integer_value(right);

	if (!strcmp(op, "<"))
		return nft_is(val < other);
	if (!strcmp(op, ">"))
		return nft_is(val > other);
	if (!strcmp(op, "<="))
		return nft_is(val <= other);
	if (!strcmp(op, ">="))
		return nft_is(val >= other);
	return nft_number_one(val, right);
}

static bool nft_in_prefix(const struct addr *addr, const struct addr *net,
			  unsigned int len)
{
	const uint8_t *a = (const uint8_t *)&addr->v6;
	const uint8_t *n = (const uint8_t *)&net->v6;
	unsigned int i;

	for (i = 0; i < len; i++)
		if ((a[i / 8] ^ n[i / 8]) & 0x80 >> i % 8)
			return false;
	return true;
}

static enum match nft_addr(const struct addr *addr, const json_t *right)
{
	const json_t *prefix = json_object_get(right, "prefix");
	const json_t *range = json_object_get(right, "range");
	struct addr other, end;
	unsigned int len;

	if (json_is_string(right)) {
		if (!addr_parse(json_string_value(right), &other))
			return MAYBE;
		return nft_is(addr_equal(addr, &other));
	}
	if (prefix) {
		len = json_integer_value(json_object_get(prefix, "len"));
		if (!addr_parse(nft_str(prefix, "addr"), &other) ||
		    len > 8 * addr_len(addr))
			return MAYBE;
		return nft_is(other.family == addr->family &&
			      nft_in_prefix(addr, &other, len));
	}
	if (json_array_size(range) == 2) {
		const char *from = json_string_value(json_array_get(range, 0));
		const char *to = json_string_value(json_array_get(range, 1));

		if (!from || !to || !addr_parse(from, &other) ||
		    !addr_parse(to, &end))
			return MAYBE;
		return nft_is(memcmp(&addr->v6, &other.v6,
				     addr_len(addr)) >= 0 &&
			      memcmp(&addr->v6, &end.v6,
				     addr_len(addr)) <= 0);
	}
	return MAYBE;
}

static enum match nft_name(const char *name, const json_t *right)
{
	const char *want = json_string_value(right);
	size_t len;

	if (!want)
		return MAYBE;
	len = strlen(want);
	if (len && want[len - 1] == '*')
		return nft_is(!strncmp(name, want, len - 1));
	return nft_is(!strcmp(name, want));
}

/* What a rule looks at; the segment's value of it. */
struct nft_left {
	enum { UNKNOWN, NUMBER, ADDR, NAME } type;
	long number;
	const struct addr *addr;
	const char *name;
};

static void nft_left_payload(const struct nft_eval *ev, const json_t *payload,
			     struct nft_left *left)
{
	const char *proto = nft_str(payload, "protocol");
	const char *field = nft_str(payload, "field");
	const struct segment *seg = ev->seg;
	bool ip = !strcmp(proto, seg->saddr->family == AF_INET ? "ip" :
								 "ip6");

	if ((!strcmp(proto, "tcp") || !strcmp(proto, "th")) &&
	    !strcmp(field, "dport")) {
		left->type = NUMBER;
		left->number = seg->port;
	} else if (ip && !strcmp(field, "saddr")) {
		left->type = ADDR;
		left->addr = seg->saddr;
	} else if (ip && !strcmp(field, "daddr")) {
		left->type = ADDR;
		left->addr = seg->daddr;
	} else if (ip && (!strcmp(field, "protocol") ||
			  !strcmp(field, "nexthdr"))) {
		left->type = NAME;
		left->name = "tcp";
	}
	if (left->type == ADDR && !left->addr->family)
		left->type = UNKNOWN;
}

static void nft_left_meta(const struct nft_eval *ev, const char *key,
			  struct nft_left *left)
{
	bool v4 = ev->seg->saddr->family == AF_INET;

	if (!strcmp(key, "iifname") || !strcmp(key, "iif"))
		left->name = ev->seg->iif ? ev->dev : NULL;
	else if (!strcmp(key, "oifname") || !strcmp(key, "oif"))
		left->name = ev->seg->oif ? ev->dev : NULL;
	else if (!strcmp(key, "l4proto"))
		left->name = "tcp";
	else if (!strcmp(key, "nfproto"))
		left->name = v4 ? "ipv4" : "ipv6";
	else if (!strcmp(key, "protocol"))
		left->name = v4 ? "ip" : "ip6";
	if (left->name)
		left->type = NAME;
}

static void nft_left(const struct nft_eval *ev, const json_t *expr,
		     struct nft_left *left)
{
	const json_t *payload = json_object_get(expr, "payload");
	const json_t *meta = json_object_get(expr, "meta");
	const json_t *ct = json_object_get(expr, "ct");

	memset(left, 0, sizeof(*left));
	if (payload) {
		nft_left_payload(ev, payload, left);
	} else if (meta) {
		nft_left_meta(ev, nft_str(meta, "key"), left);
	} else if (ct && !strcmp(nft_str(ct, "key"), "state")) {
		left->type = NAME;
		left->name = ev->tracked ? "untracked" : "invalid";
	}
}

/* A payload of a protocol that the segment has not: never matches. */
static bool nft_foreign(const struct nft_eval *ev, const json_t *expr)
{
	static const char * const foreign[] = {
		"udp", "udplite", "sctp", "dccp", "icmp", "icmpv6", "esp",
		"ah", "comp", "igmp", "gre",
	};
	const char *proto = nft_str(json_object_get(expr, "payload"),
				    "protocol");
	bool v4 = ev->seg->saddr->family == AF_INET;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(foreign); i++)
		if (!strcmp(proto, foreign[i]))
			return true;
	return !strcmp(proto, v4 ? "ip6" : "ip");
}

static enum match nft_value(const struct nft_left *left, const char *op,
			    const json_t *right)
{
	switch (left->type) {
	case NUMBER:
		return nft_number(left->number, op, right);
	case ADDR:
		return nft_addr(left->addr, right);
	case NAME:
		return nft_name(left->name, right);
	default:
		return MAYBE;
	}
}

/* Some element matches, of a set or of a list as in "ct state". */
static enum match nft_any(const struct nft_left *left, const json_t *elems)
{
	enum match m, result = NO;
	json_t *elem;
	size_t i;

	json_array_foreach(elems, i, elem) {
		m = nft_value(left, "==", nft_elem(elem));
		if (m > result)
			result = m;
	}
	return result;
}

static enum match nft_match(const struct nft_eval *ev, const json_t *match)
{
	const json_t *right = json_object_get(match, "right");
	const json_t *expr = json_object_get(match, "left");
	const char *op = nft_str(match, "op");
	const json_t *set = json_object_get(right, "set");
	const char *name = json_string_value(right);
	struct nft_left left;
	enum match m;

	if (nft_foreign(ev, expr))
		return NO;
	nft_left(ev, expr, &left);
	if (left.type == UNKNOWN)
		return MAYBE;
	if (name && name[0] == '@') {
		set = nft_set_elements(ev, name + 1);
		m = set ? nft_any(&left, set) : NO;
	} else if (json_is_array(set)) {
		m = nft_any(&left, set);
	} else if (json_is_array(right)) {
		m = nft_any(&left, right);
	} else {
		m = nft_value(&left, op, right);
	}
	return !strcmp(op, "!=") ? nft_not(m) : m;
}

/* ---- Rules */

static enum verdict nft_chain(struct nft_eval *ev, const char *name);

static enum verdict nft_verdict(struct nft_eval *ev, const json_t *expr)
{
	const json_t *jump = json_object_get(expr, "jump");
	const json_t *go = json_object_get(expr, "goto");
	enum verdict v;

	if (json_object_get(expr, "accept"))
		return ACCEPT;
	if (json_object_get(expr, "drop") || json_object_get(expr, "reject"))
		return DROP;
	if (json_object_get(expr, "return"))
		return RETURN;
	if (jump || go) {
		v = nft_chain(ev, nft_str(jump ? jump : go, "target"));
		if (v == NEXT || v == RETURN)
			return go ? RETURN : NEXT;
		return v;
	}
	return NEXT;
}

static enum verdict nft_vmap(struct nft_eval *ev, const json_t *vmap)
{
	const json_t *data = json_object_get(vmap, "data");
	const json_t *key = json_object_get(vmap, "key");
	struct nft_left left;
	json_t *elem;
	size_t i;

	if (nft_foreign(ev, key))
		return NEXT;
	nft_left(ev, key, &left);
	json_array_foreach(json_object_get(data, "set"), i, elem)
		if (nft_value(&left, "==",
			      nft_elem(json_array_get(elem, 0))) == YES)
			return nft_verdict(ev, json_array_get(elem, 1));
	return NEXT;
}

/* Statements that neither choose packets nor end a rule. */
static bool nft_neutral(const json_t *expr)
{
	static const char * const neutral[] = {
		"counter", "log", "mangle", "notrack", "comment",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(neutral); i++)
		if (json_object_get(expr, neutral[i]))
			return true;
	return false;
}

static bool nft_ends(const json_t *expr)
{
	static const char * const ends[] = {
		"accept", "drop", "reject", "return", "jump", "goto",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ends); i++)
		if (json_object_get(expr, ends[i]))
			return true;
	return false;
}

/*
 * As JSON, a match of iptables is no more than a name. What it says is in the
 * text, which has those that are common in words of nft's own.
 */

/* The text of the rule from @word on, or NULL; @buf is for the line. */
static const char *nft_text(const struct nft_eval *ev, const json_t *rule,
			    const char *word, char *buf, size_t len)
{
	const char *family = nft_str(rule, "family"), *found = NULL;
	char want[64], command[256];
	FILE *f;

	snprintf(want, sizeof(want), "# handle %lld\n",
		 (long long)json_integer_value(json_object_get(rule,
							       "handle")));
	snprintf(command, sizeof(command),
		 "exec nft -a list chain %s '%s' '%s' 2>/dev/null", family,
		 ev->table, nft_str(rule, "chain"));
	if (strchr(ev->table, '\'') || strchr(nft_str(rule, "chain"), '\''))
		return NULL;
	fflush(stdout);
	f = popen(command, "r");
	while (f && !found && fgets(buf, len, f))
		if (strlen(buf) > strlen(want) &&
		    !strcmp(buf + strlen(buf) - strlen(want), want))
			found = strstr(buf, word);
	if (f)
		pclose(f);
	return found ? found + strlen(word) : NULL;
}

/* "!= ..." or "! ..." */
static bool nft_text_not(const char **text)
{
	if (**text != '!')
		return false;
	*text += strcspn(*text, " ");
	*text += strspn(*text, " ");
	return true;
}

/* What follows "ct state": names with commas between them. */
static enum match nft_text_state(const struct nft_eval *ev, const char *text)
{
	const char *state = ev->tracked ? "untracked" : "invalid";
	bool not = nft_text_not(&text), found = false;
	size_t len;

	for (; *text && *text != ' '; text += len + (text[len] == ',')) {
		len = strcspn(text, ", ");
		if (len == strlen(state) && !strncmp(text, state, len))
			found = true;
	}
	return nft_is(found != not);
}

/* What follows "tcp dport": a number, a range, or several in braces. */
static enum match nft_text_ports(const struct nft_eval *ev, const char *text)
{
	bool not = nft_text_not(&text), found = false;
	unsigned int low, high;
	bool more;
	int len;

	more = *text == '{';
	text += strspn(text, "{ ");
	do {
		if (sscanf(text, "%u-%u%n", &low, &high, &len) != 2) {
			if (sscanf(text, "%u%n", &low, &len) != 1)
				return MAYBE;
			high = low;
		}
		text += len;
		if (ev->seg->port >= low && ev->seg->port <= high)
			found = true;
		if (more && !strchr(",} ", *text))
			return MAYBE;
		text += strspn(text, ", ");
	} while (more && *text && *text != '}');
	return nft_is(found != not);
}

static enum match nft_xt(const struct nft_eval *ev, const json_t *rule,
			 const char *name)
{
	const char *text;
	char buf[1024];

	if (!strcmp(name, "conntrack") || !strcmp(name, "state")) {
		text = nft_text(ev, rule, " ct state ", buf, sizeof(buf));
		if (!text)
			text = nft_text(ev, rule, "\tct state ", buf,
					sizeof(buf));
		return text ? nft_text_state(ev, text) : MAYBE;
	}
	if (!strcmp(name, "multiport")) {
		text = nft_text(ev, rule, " tcp dport ", buf, sizeof(buf));
		return text ? nft_text_ports(ev, text) : MAYBE;
	}
	return strcmp(name, "comment") ? MAYBE : YES;
}

static bool nft_xt_drops(const json_t *xt)
{
	return !strcmp(nft_str(xt, "type"), "target") &&
	       (!strcmp(nft_str(xt, "name"), "REJECT") ||
		!strcmp(nft_str(xt, "name"), "DROP"));
}

/* Targets after which the next rule is asked. */
static bool nft_xt_neutral(const json_t *xt)
{
	static const char * const neutral[] = {
		"LOG", "NFLOG", "MARK", "CONNMARK", "TRACE", "CT", "NOTRACK",
	};
	unsigned int i;

	if (strcmp(nft_str(xt, "type"), "target"))
		return false;
	for (i = 0; i < ARRAY_SIZE(neutral); i++)
		if (!strcmp(nft_str(xt, "name"), neutral[i]))
			return true;
	return false;
}

static enum verdict nft_rule(struct nft_eval *ev, const json_t *rule)
{
	enum match sure = YES, m;
	enum verdict v = NEXT;
	json_t *expr;
	size_t i;

	json_array_foreach(json_object_get(rule, "expr"), i, expr) {
		const json_t *xt = json_object_get(expr, "xt");

		if (nft_xt_drops(xt)) {
			v = DROP;
			break;
		}
		if (xt && !strcmp(nft_str(xt, "type"), "match")) {
			m = nft_xt(ev, rule, nft_str(xt, "name"));
			if (m == NO)
				return NEXT;
			if (m < sure)
				sure = m;
		} else if (nft_xt_neutral(xt)) {
			continue;
		} else if (json_object_get(expr, "match")) {
			m = nft_match(ev, json_object_get(expr, "match"));
			if (m == NO)
				return NEXT;
			if (m < sure)
				sure = m;
		} else if (json_object_get(expr, "vmap")) {
			v = nft_vmap(ev, json_object_get(expr, "vmap"));
			break;
		} else if (nft_ends(expr)) {
			v = nft_verdict(ev, expr);
			break;
		} else if (!nft_neutral(expr)) {
			sure = MAYBE;
		}
	}
	if (sure == MAYBE && v != ACCEPT)
		return NEXT;
	if (v == DROP && !ev->handle)
		ev->handle = json_integer_value(json_object_get(rule,
								"handle"));
	return v;
}

static enum verdict nft_chain(struct nft_eval *ev, const char *name)
{
	enum verdict v = NEXT;
	json_t *obj;
	size_t i;

	if (++ev->depth > NFT_DEPTH)
		return NEXT;
	json_array_foreach(nft_rules, i, obj) {
		json_t *rule = json_object_get(obj, "rule");

		if (!rule || strcmp(nft_str(rule, "chain"), name) ||
		    strcmp(nft_str(rule, "table"), ev->table) ||
		    strcmp(nft_str(rule, "family"), ev->family))
			continue;
		v = nft_rule(ev, rule);
		if (v != NEXT)
			break;
	}
	ev->depth--;
	return v;
}

/* ---- Base chains */

static bool nft_applies(const struct segment *seg, const json_t *chain)
{
	static const char * const in[] = { "prerouting", "input" };
	static const char * const out[] = { "output", "postrouting" };
	const char * const *hooks = seg->iif ? in : out;
	const char *family = nft_str(chain, "family");
	const char *hook = nft_str(chain, "hook");

	if (strcmp(family, "inet") &&
	    strcmp(family, seg->saddr->family == AF_INET ? "ip" : "ip6"))
		return false;
	return !strcmp(hook, hooks[0]) || !strcmp(hook, hooks[1]);
}

/* Tables of iptables have chains in capitals. */
static const char *nft_fix(const struct segment *seg, const json_t *chain)
{
	const char *family = nft_str(chain, "family");
	const char *table = nft_str(chain, "table");
	const char *name = nft_str(chain, "name");
	bool v4 = seg->saddr->family == AF_INET;
	const struct addr *peer = seg->iif ? seg->saddr : seg->daddr;

	if (strcmp(family, "inet") && name[0] >= 'A' && name[0] <= 'Z')
		return fixf("%s -t %s -I %s %s %s -p tcp --dport %u -j ACCEPT",
			    v4 ? "iptables" : "ip6tables", table, name,
			    seg->iif ? "-s" : "-d", addr_text(peer),
			    seg->port);
	return fixf("nft insert rule %s %s %s %s %s %s tcp dport %u accept",
		    family, table, name, v4 ? "ip" : "ip6",
		    seg->iif ? "saddr" : "daddr", addr_text(peer), seg->port);
}

/* True if the chain drops the segment, which is reported. */
static bool nft_base(const struct segment *seg, const json_t *chain,
		     const char *dev, const char *what)
{
	struct nft_eval ev = {
		.seg = seg,
		.family = nft_str(chain, "family"),
		.table = nft_str(chain, "table"),
		.dev = dev,
	};
	const char *name = nft_str(chain, "name");
	char rule[64] = "policy drop";
	enum verdict v;

	ev.tracked = json_integer_value(json_object_get(chain, "prio")) >
		     NFT_PRIO_UNTRACK;
	v = nft_chain(&ev, name);
	if (v == NEXT || v == RETURN)
		v = strcmp(nft_str(chain, "policy"), "drop") ? ACCEPT : DROP;
	if (v != DROP)
		return false;
	if (ev.handle)
		snprintf(rule, sizeof(rule), "rule with handle %ld",
			 ev.handle);
	finding("firewall", nft_fix(seg, chain),
		"segments %s %s are dropped by the firewall: table %s %s, chain %s, %s",
		what, addr_text(seg->iif ? seg->saddr : seg->daddr),
		ev.family, ev.table, name, rule);
	return true;
}

/* In a VRF it passes most chains twice, and "input" as come by the VRF. */
static void nft_hook(const struct segment *seg, const json_t *chain,
		     const char *what)
{
	const char *dev = seg->iif ? seg->iif : seg->oif;

	if ((!seg->vrf || strcmp(nft_str(chain, "hook"), "input")) &&
	    nft_base(seg, chain, dev, what))
		return;
	if (seg->vrf)
		nft_base(seg, chain, seg->vrf, what);
}

/* The ruleset is that of the namespace; forget it before another one. */
void nft_forget(void)
{
	json_decref(nft_rules);
	nft_rules = NULL;
}

/* Report every chain that drops a segment. */
void nft_check(const struct segment *seg, const char *what)
{
	json_t *obj;
	size_t i;

	if (!nft_read())
		return;
	json_array_foreach(nft_rules, i, obj) {
		json_t *chain = json_object_get(obj, "chain");

		if (chain && json_object_get(chain, "hook") &&
		    nft_applies(seg, chain))
			nft_hook(seg, chain, what);
	}
}
