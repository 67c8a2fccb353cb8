// SPDX-License-Identifier: GPL-2.0
/*
 * TCG plugin: instructions that the guest executes between two markers, by
 * translation block.
 *
 * A marker is an instruction without effect that the guest's program executes
 * around what is to be measured, see flow.c. For each pair of them the output
 * file gets a line "region", then lines of three numbers: address of a block
 * in hexadecimal, instructions executed, times entered. Address 0 is user
 * space, all of it. A symbol table of the guest turns addresses into functions.
 *
 * Usage: -plugin FILE,out=FILE
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>

#include "marker.h"

/*
 * QEMU's plugin interface, version 1, which no package has a header for.
 */
#define API_VERSION	1
#define EXPORT		__attribute__((visibility("default")))
#define INLINE_ADD_U64	0
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
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_tb_trans_cb(__u64 id, translate_cb cb);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb,
					      int op, void *ptr, __u64 imm);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    exec_cb cb, int flags, void *data);
void qemu_plugin_register_atexit_cb(__u64 id, exit_cb cb, void *data);

EXPORT int qemu_plugin_version = API_VERSION;

/* Blocks of the guest's kernel; slot 0 is user space. */
#define SLOTS	0x100000

static struct {
	__u64	address;
	__u64	insns;
	__u64	entered;
} slot[SLOTS];

static unsigned int slots;
static FILE *out;

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

	for (i = 0; i < SLOTS; i++) {
		slot[i].insns = 0;
		slot[i].entered = 0;
	}
}

static void region_end(unsigned int cpu, void *data)
{
	unsigned int i;

	fputs("region\n", out);
	for (i = 0; i < SLOTS; i++) {
		if (slot[i].insns)
			fprintf(out, "%llx %llu %llu\n",
				slot[i].address, slot[i].insns,
				slot[i].entered);
	}
	fflush(out);
}

static void find_markers(struct qemu_plugin_tb *tb, size_t insns)
{
	struct qemu_plugin_insn *insn;
	const void *data;
	exec_cb cb;
	size_t i;

	for (i = 0; i < insns; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		if (qemu_plugin_insn_size(insn) != MARKER_LEN)
			continue;
		data = qemu_plugin_insn_data(insn);
		if (!memcmp(data, MARKER_BEGIN, MARKER_LEN))
			cb = region_begin;
		else if (!memcmp(data, MARKER_END, MARKER_LEN))
			cb = region_end;
		else
			continue;
		qemu_plugin_register_vcpu_insn_exec_cb(insn, cb, NO_REGISTERS,
						       NULL);
	}
}

static void translated(__u64 id, struct qemu_plugin_tb *tb)
{
	__u64 address = qemu_plugin_tb_vaddr(tb);
	size_t insns = qemu_plugin_tb_n_insns(tb);
	bool kernel = address >> 63;
	unsigned int i;

	i = kernel ? find_slot(address) : 0;
	qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64,
						 &slot[i].insns, insns);
	qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64,
						 &slot[i].entered, 1);
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
	}
	if (!out) {
		fprintf(stderr, "plugin: no output file\n");
		return 1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, ended, NULL);
	return 0;
}
