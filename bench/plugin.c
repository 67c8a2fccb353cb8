// SPDX-License-Identifier: GPL-2.0
/*
 * TCG plugin: instructions that the guest executes between two markers, by
 * translation block.
 *
 * A marker is an instruction without effect that the guest's program executes
 * around what is to be measured, see flow.c. For each pair of them the output
 * file gets a line "region", then lines of four numbers: address of a block in
 * hexadecimal, instructions executed, times entered, and how many of the
 * instructions were executed to receive. Address 0 is user space, all of it. A
 * symbol table of the guest turns addresses into functions.
 *
 * Receiving is what the kernel does in its softirq for incoming packets, and
 * what else happens from the marker for it to that for sending.
 *
 * Usage: -plugin FILE,out=FILE,symbols=FILE
 *
 * The file of symbols is that of the guest's kernel; it is read when the first
 * region begins, so that the guest can provide it.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>

#include "marker.h"

/*
 * QEMU's plugin interface, which no package has a header for: version 1 (QEMU
 * 6 to 8), or what version 3 (since QEMU 9.1) has made of it.
 */
#ifndef API_VERSION
#define API_VERSION	1
#endif
#define EXPORT		__attribute__((visibility("default")))
#define NO_REGISTERS	0

struct qemu_plugin_tb;
struct qemu_plugin_insn;

typedef void (*translate_cb)(__u64 id, struct qemu_plugin_tb *tb);
typedef void (*exec_cb)(unsigned int cpu, void *data);
typedef void (*exit_cb)(__u64 id, void *data);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
__u64 qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *
qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
#if API_VERSION < 3
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
#else
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *dest,
			     size_t len);
#endif
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_tb_trans_cb(__u64 id, translate_cb cb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, exec_cb cb,
					  int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    exec_cb cb, int flags, void *data);
void qemu_plugin_register_atexit_cb(__u64 id, exit_cb cb, void *data);

EXPORT int qemu_plugin_version = API_VERSION;

/* Blocks of the guest's kernel; slot 0 is user space. */
#define SLOTS	0x100000

static struct slot {
	__u64	address;
	__u64	insns;
	__u64	entered;
	__u64	receive;
} slot[SLOTS];

/* A translated block; there may be several of one address. */
struct block {
	struct slot	*slot;
	unsigned int	insns;
};

/* A function of the guest's kernel. */
struct range {
	__u64	begin, end;
};

static unsigned int slots;
static struct range softirq, net_rx;
static bool receiving, in_softirq;
static const char *symbols;
static FILE *out;

static bool within(const struct range *r, __u64 address)
{
	return address - r->begin < r->end - r->begin;
}

/* A function ends where the next one begins. */
static void find_functions(void)
{
	struct range old_softirq = {};
	const struct {
		const char	*name;
		struct range	*range;
	} functions[] = {
		{ "__do_softirq", &old_softirq },
		{ "handle_softirqs", &softirq },
		{ "net_rx_action", &net_rx },
	};
	char line[512], name[256];
	__u64 address;
	FILE *file;
	size_t i;
	int pass;

	file = fopen(symbols, "r");
	for (pass = 0; file && pass < 2; pass++) {
		rewind(file);
		while (fgets(line, sizeof(line), file)) {
			if (sscanf(line, "%llx %*c %255s", &address, name) != 2)
				continue;
			for (i = 0; i < 3; i++) {
				struct range *r = functions[i].range;

				if (!pass && !strcmp(name, functions[i].name))
					*r = (struct range){ address, ~0ULL };
				else if (pass && address > r->begin &&
					 address < r->end)
					r->end = address;
			}
		}
	}
	/* Only a stub since 6.10, and in later updates of older kernels. */
	if (!softirq.begin)
		softirq = old_softirq;
	if (!net_rx.begin || !softirq.begin) {
		fprintf(stderr, "plugin: no net_rx_action in %s\n", symbols);
		exit(1);
	}
	fclose(file);
}

static unsigned int find_slot(__u64 address)
{
	unsigned int i;

	i = (address * 0x9e3779b97f4a7c15ULL) >> 44;
	while (!i || (slot[i].address && slot[i].address != address))
		i = (i + 1) % SLOTS;
	if (!slot[i].address) {
		slot[i].address = address;
		if (++slots == SLOTS - 2) {
			fprintf(stderr, "plugin: more than %u blocks\n", SLOTS);
			exit(1);
		}
	}
	return i;
}

static void region_begin(unsigned int cpu, void *data)
{
	unsigned int i;

	if (!net_rx.begin)
		find_functions();
	for (i = 0; i < SLOTS; i++) {
		slot[i].insns = 0;
		slot[i].entered = 0;
		slot[i].receive = 0;
	}
	receiving = false;
	in_softirq = false;
}

static void region_end(unsigned int cpu, void *data)
{
	unsigned int i;

	fputs("region\n", out);
	for (i = 0; i < SLOTS; i++) {
		if (slot[i].insns)
			fprintf(out, "%llx %llu %llu %llu\n",
				slot[i].address, slot[i].insns,
				slot[i].entered, slot[i].receive);
	}
	fflush(out);
}

static void send_begin(unsigned int cpu, void *data)
{
	receiving = false;
}

static void receive_begin(unsigned int cpu, void *data)
{
	receiving = true;
}

static void executed(unsigned int cpu, void *data)
{
	const struct block *b = data;
	struct slot *s = b->slot;

	s->insns += b->insns;
	s->entered++;
	if (in_softirq || receiving)
		s->receive += b->insns;
	/* The softirq is over when its caller goes on. */
	if (in_softirq ? within(&softirq, s->address) :
			 s->address == net_rx.begin)
		in_softirq = !in_softirq;
}

static void find_markers(struct qemu_plugin_tb *tb, size_t insns)
{
	static const struct {
		const char	*code;
		exec_cb		cb;
	} markers[] = {
		{ MARKER_BEGIN, region_begin },
		{ MARKER_END, region_end },
		{ MARKER_SEND, send_begin },
		{ MARKER_RECEIVE, receive_begin },
	};
	struct qemu_plugin_insn *insn;
	const void *data;
	size_t i, j;
#if API_VERSION >= 3
	char code[MARKER_LEN];

	data = code;
#endif

	for (i = 0; i < insns; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		if (qemu_plugin_insn_size(insn) != MARKER_LEN)
			continue;
#if API_VERSION < 3
		data = qemu_plugin_insn_data(insn);
#else
		qemu_plugin_insn_data(insn, code, sizeof(code));
#endif
		for (j = 0; j < 4; j++) {
			if (memcmp(data, markers[j].code, MARKER_LEN))
				continue;
			qemu_plugin_register_vcpu_insn_exec_cb(insn,
							       markers[j].cb,
							       NO_REGISTERS,
							       NULL);
		}
	}
}

static void translated(__u64 id, struct qemu_plugin_tb *tb)
{
	__u64 address = qemu_plugin_tb_vaddr(tb);
	size_t insns = qemu_plugin_tb_n_insns(tb);
	bool kernel = address >> 63;
	struct block *b;

	b = malloc(sizeof(*b));
	if (!b)
		exit(1);
	b->slot = &slot[kernel ? find_slot(address) : 0];
	b->insns = insns;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, NO_REGISTERS, b);
	if (!kernel)
		find_markers(tb, insns);
}

static void ended(__u64 id, void *data)
{
	fclose(out);
}

EXPORT int qemu_plugin_install(__u64 id, const void *info, int argc,
			       char **argv)
{
	int i;

	for (i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "out=", 4))
			out = fopen(argv[i] + 4, "w");
		else if (!strncmp(argv[i], "symbols=", 8))
			symbols = strdup(argv[i] + 8);
	}
	if (!out || !symbols) {
		fprintf(stderr, "plugin: no output file or symbols\n");
		return 1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, ended, NULL);
	return 0;
}
