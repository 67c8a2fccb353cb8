/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the fuzzers share: see fuzz.c. An input is a sequence of records, which
 * the target gives to the kernel one by one.
 */
#ifndef _STT_FUZZ_H
#define _STT_FUZZ_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

#define RECORDS_MAX	32
#define RECORD_MAX	(65536 + 64)

struct record {
	__u32	len;
	__u8	data[RECORD_MAX];
};

struct input {
	__u32		count;
	struct record	record[RECORDS_MAX];
};

/**
 * struct target - what is fuzzed
 * @name: of the program
 * @option: takes an option of its own; @usage explains them
 * @usage: lines of help
 * @init: called once, after the options
 * @generate: makes an input from nothing
 * @tweak: changes a record in a way that respects its structure
 * @run: gives an input to the kernel; -1 with a reason in failure[] if the
 *	answer is wrong
 */
struct target {
	const char	*name;
	const char	*options;
	const char	*usage;
	void		(*option)(int option, const char *argument);
	void		(*init)(void);
	void		(*generate)(struct input *in);
	void		(*tweak)(struct record *rec);
	int		(*run)(const struct input *in);
};

extern const struct target target;
extern char failure[256];

void die(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn));

__u64 random64(void);
/* 0 to limit - 1; limit is not 0 */
__u32 below(__u32 limit);
/* true once in n times */
bool one_in(__u32 n);
void random_bytes(void *to, size_t len);
/* A number at which code tends to go wrong, or any. */
__u64 odd_number(unsigned int bytes);

/* An input from outside, such as a capture, that the run begins with. */
void add_seed(const struct input *in);

#endif /* _STT_FUZZ_H */
