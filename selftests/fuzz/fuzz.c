// SPDX-License-Identifier: GPL-2.0
/*
 * The engine of the fuzzers: keeps inputs that reached new code, makes others
 * of them, and stops when the kernel complains.
 *
 * Coverage is that of the calling task, from kcov (CONFIG_KCOV, with the module
 * built by "make module KCOV_INSTRUMENT=y"). Without it, inputs are made and
 * run blindly.
 *
 * Inputs are made and run in batches. A batch is written to a file before it
 * runs, which is what remains of a guest that dies; run again with -x, it does
 * the same. A complaint of the kernel keeps the batch as "crash-SEED-NUMBER".
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <regex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <linux/kcov.h>

#include "fuzz.h"

#define BATCH		64
#define BLOB_MAX	(128 * 1024)
#define CORPUS_MAX	65536
#define COVER_WORDS	(256 * 1024)
#define EDGES		65536

/* An input as it is kept: count, then length and bytes of each record. */
struct blob {
	__u32	len;
	__u8	*data;
};

char failure[256];

static struct blob corpus[CORPUS_MAX];
static unsigned int corpus_count, seed_count;
static const char *corpus_dir, *crash_dir = ".";
static __u64 seed, state;
static unsigned long execs_max, seconds_max, execs, records, numbers;
static atomic_bool stop;

static unsigned long *cover;
static __u8 seen[EDGES], hits[EDGES];
static __u32 touched[COVER_WORDS];
static unsigned int edges;
static int kmsg = -1, fail_nth = -1;
static unsigned int fault_ratio;
static regex_t complaint;

static struct input work, other;
static __u8 scratch[8 + RECORDS_MAX * sizeof(struct record)];

void die(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", target.name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, errno ? ": %s\n" : "\n", strerror(errno));
	exit(2);
}

/* splitmix64 */
__u64 random64(void)
{
	__u64 z = (state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

__u32 below(__u32 limit)
{
	return (random64() >> 32) * limit >> 32;
}

bool one_in(__u32 n)
{
	return !below(n);
}

void random_bytes(void *to, size_t len)
{
	__u8 *p = to;

	while (len--)
		*p++ = random64();
}

__u64 odd_number(unsigned int bytes)
{
	__u64 top = 1ull << (bytes * 8 - 1);

	switch (below(8)) {
	case 0:
		return 0;
	case 1:
		return below(33);
	case 2:
		return -(__u64)below(33);
	case 3:
		return top - 1 + below(3);
	case 4:
		return 1ull << below(bytes * 8);
	case 5:
		return (1ull << below(bytes * 8)) - 1;
	default:
		return random64();
	}
}

/* ---- Inputs in memory and in files */

static struct blob pack(const struct input *in)
{
	struct blob blob = { .data = scratch };
	__u8 *p = scratch;
	__u32 i;

	memcpy(p, &in->count, 4);
	p += 4;
	for (i = 0; i < in->count; i++) {
		memcpy(p, &in->record[i].len, 4);
		memcpy(p + 4, in->record[i].data, in->record[i].len);
		p += 4 + in->record[i].len;
	}
	blob.len = p - scratch;
	return blob;
}

/* Returns how many bytes the input took, 0 if it is none. */
static size_t unpack(const __u8 *data, size_t len, struct input *in)
{
	const __u8 *p = data, *end = data + len;
	__u32 i;

	if (len < 4)
		return 0;
	memcpy(&in->count, p, 4);
	p += 4;
	if (in->count > RECORDS_MAX)
		return 0;
	for (i = 0; i < in->count; i++) {
		struct record *rec = &in->record[i];

		if (end - p < 4)
			return 0;
		memcpy(&rec->len, p, 4);
		p += 4;
		if (rec->len > RECORD_MAX || end - p < rec->len)
			return 0;
		memcpy(rec->data, p, rec->len);
		p += rec->len;
	}
	return p - data;
}

static struct blob copy_blob(struct blob blob)
{
	__u8 *data = malloc(blob.len);

	if (!data)
		die("memory");
	memcpy(data, blob.data, blob.len);
	blob.data = data;
	return blob;
}

static struct blob read_file(const char *path)
{
	struct blob blob = { };
	FILE *file = fopen(path, "r");
	long size;

	if (!file || fseek(file, 0, SEEK_END))
		die("%s", path);
	size = ftell(file);
	rewind(file);
	blob.data = malloc(size + 1);
	blob.len = fread(blob.data, 1, size, file);
	fclose(file);
	return blob;
}

static void write_file(const char *dir, const char *name,
		       const struct blob *blobs, unsigned int count)
{
	char path[PATH_MAX];
	unsigned int i;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	if (!file)
		die("%s", path);
	for (i = 0; i < count; i++)
		fwrite(blobs[i].data, blobs[i].len, 1, file);
	if (fclose(file))
		die("%s", path);
}

/* FNV-1a */
static __u64 hash_bytes(const __u8 *data, size_t len)
{
	__u64 hash = 0xcbf29ce484222325ull;

	while (len--)
		hash = (hash ^ *data++) * 0x100000001b3ull;
	return hash;
}

static void keep(struct blob blob)
{
	char name[32];

	if (blob.len > BLOB_MAX || corpus_count == CORPUS_MAX)
		return;
	corpus[corpus_count++] = copy_blob(blob);
	if (!corpus_dir)
		return;
	snprintf(name, sizeof(name), "%016llx",
		 (unsigned long long)hash_bytes(blob.data, blob.len));
	write_file(corpus_dir, name, &blob, 1);
}

void add_seed(const struct input *in)
{
	const char *dir = corpus_dir;

	corpus_dir = NULL;
	keep(pack(in));
	corpus_dir = dir;
	seed_count = corpus_count;
}

/* In the order of their names, as the order decides what is made of them. */
static void load_corpus(void)
{
	struct dirent **entries;
	char path[PATH_MAX];
	int i, n;

	n = scandir(corpus_dir, &entries, NULL, alphasort);
	if (n < 0)
		die("%s", corpus_dir);
	for (i = 0; i < n; i++) {
		struct blob blob;

		if (strlen(entries[i]->d_name) != 16)
			continue;
		snprintf(path, sizeof(path), "%s/%s", corpus_dir,
			 entries[i]->d_name);
		blob = read_file(path);
		if (unpack(blob.data, blob.len, &work))
			add_seed(&work);
		free(blob.data);
	}
}

/* ---- Coverage */

static void open_kcov(void)
{
	int fd = open("/sys/kernel/debug/kcov", O_RDWR);

	if (fd < 0)
		return;
	if (ioctl(fd, KCOV_INIT_TRACE, COVER_WORDS))
		die("kcov");
	cover = mmap(NULL, COVER_WORDS * sizeof(long), PROT_READ | PROT_WRITE,
		     MAP_SHARED, fd, 0);
	if (cover == MAP_FAILED || ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC))
		die("kcov");
}

/* How often something happened, by order of magnitude, as one bit. */
static __u8 magnitude(__u8 count)
{
	static const __u8 bounds[] = { 1, 2, 3, 4, 8, 16, 32, 128 };
	int i;

	for (i = 7; i > 0; i--)
		if (count >= bounds[i])
			break;
	return 1 << i;
}

/* Did the last input do what none before has done? */
static bool new_coverage(void)
{
	unsigned long i, n = __atomic_load_n(&cover[0], __ATOMIC_RELAXED);
	unsigned long at, last = 0;
	unsigned int count = 0;
	bool found = false;

	for (i = 0; i < n && i < COVER_WORDS - 1; i++) {
		__u64 pc = cover[i + 1];

		pc = (pc * 0x9e3779b97f4a7c15ull) >> 48;
		at = (pc ^ last) % EDGES;
		last = pc >> 1;
		if (!hits[at])
			touched[count++] = at;
		if (hits[at] < 255)
			hits[at]++;
	}
	for (i = 0; i < count; i++) {
		__u8 bit = magnitude(hits[touched[i]]);

		hits[touched[i]] = 0;
		if (seen[touched[i]] & bit)
			continue;
		edges += !seen[touched[i]];
		seen[touched[i]] |= bit;
		found = true;
	}
	return found;
}

/* ---- Mutation */

static void mutate_bytes(struct record *rec)
{
	__u32 at, n, from;
	__u64 value;

	if (!rec->len)
		return;
	/* What decides lies near the beginning. */
	n = one_in(2) && rec->len > 128 ? 128 : rec->len;
	at = below(n);
	n = 1u << below(4);
	if (n > rec->len - at)
		n = 1;
	switch (below(6)) {
	case 0:
		rec->data[at] ^= 1 << below(8);
		break;
	case 1:
		random_bytes(rec->data + at, n);
		break;
	case 2:
		value = htobe64(odd_number(n) << (64 - 8 * n));
		memcpy(rec->data + at, &value, n);
		break;
	case 3:
		value = odd_number(n);
		memcpy(rec->data + at, &value, n);
		break;
	case 4:
		n = 1 + below(one_in(4) ? rec->len - at : 8);
		if (n > rec->len - at)
			n = rec->len - at;
		memmove(rec->data + at, rec->data + at + n,
			rec->len - at - n);
		rec->len -= n;
		break;
	case 5:
		n = 1 + below(one_in(8) ? 2048 : 16);
		if (rec->len + n > RECORD_MAX)
			break;
		from = below(rec->len);
		memmove(rec->data + at + n, rec->data + at, rec->len - at);
		rec->len += n;
		if (from + n <= rec->len && one_in(2))
			memmove(rec->data + at, rec->data + from, n);
		else
			random_bytes(rec->data + at, n);
		break;
	}
}

static void copy_record(struct record *to, const struct record *from)
{
	to->len = from->len;
	memcpy(to->data, from->data, from->len);
}

static void insert_record(struct input *in, __u32 at, const struct record *rec)
{
	__u32 i;

	if (in->count == RECORDS_MAX)
		return;
	for (i = in->count; i > at; i--)
		copy_record(&in->record[i], &in->record[i - 1]);
	copy_record(&in->record[at], rec);
	in->count++;
}

static void remove_record(struct input *in, __u32 at)
{
	__u32 i;

	for (i = at; i + 1 < in->count; i++)
		copy_record(&in->record[i], &in->record[i + 1]);
	in->count--;
}

static void mutate_order(struct input *in)
{
	static struct record swap;
	__u32 a = below(in->count), b = below(in->count);

	switch (below(4)) {
	case 0:
		if (in->count > 1)
			remove_record(in, a);
		break;
	case 1:
		copy_record(&swap, &in->record[a]);
		insert_record(in, b, &swap);
		break;
	case 2:
		copy_record(&swap, &in->record[a]);
		copy_record(&in->record[a], &in->record[b]);
		copy_record(&in->record[b], &swap);
		break;
	case 3:
		if (one_in(4) && in->count > 1)
			in->count = 1 + below(in->count - 1);
		break;
	}
}

/* The newest know the way to what was reached last. */
static const struct blob *pick(void)
{
	__u32 tail = corpus_count / 8 + 1;

	if (one_in(2))
		return &corpus[corpus_count - 1 - below(tail)];
	return &corpus[below(corpus_count)];
}

static void mix(struct input *in)
{
	const struct blob *blob = pick();
	__u32 i;

	unpack(blob->data, blob->len, &other);
	for (i = 0; i < other.count; i++)
		if (one_in(2))
			insert_record(in, below(in->count + 1),
				      &other.record[i]);
}

static void make_input(struct input *in)
{
	unsigned int turns = 1u << below(5);
	const struct blob *blob;

	if (!corpus_count || one_in(cover ? 8 : 2)) {
		target.generate(in);
		turns = below(3);
	} else {
		blob = pick();
		unpack(blob->data, blob->len, in);
	}
	while (turns--) {
		if (!in->count)
			target.generate(in);
		switch (below(8)) {
		case 0:
		case 1:
			mutate_bytes(&in->record[below(in->count)]);
			break;
		case 2:
			mutate_order(in);
			break;
		case 3:
			if (corpus_count && one_in(4))
				mix(in);
			break;
		default:
			target.tweak(&in->record[below(in->count)]);
		}
	}
}

/* ---- The run */

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

/* What the kernel says from here on is about what is done here. */
static void open_kmsg(const char *pattern)
{
	if (regcomp(&complaint, pattern, REG_EXTENDED | REG_NOSUB))
		die("cannot parse %s", pattern);
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (kmsg < 0 || lseek(kmsg, 0, SEEK_END) < 0)
		die("/dev/kmsg");
}

static bool kernel_complains(void)
{
	static char line[8192];
	bool found = false;
	ssize_t n;

	for (;;) {
		n = read(kmsg, line, sizeof(line) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			return found;
		line[n] = 0;
		found |= !regexec(&complaint, line, 0, NULL, 0);
	}
}

/* The next allocation but N - 1 of this task fails; 0 for none. */
static void inject_fault(unsigned int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	if (write(fail_nth, text, strlen(text)) < 0)
		die("fail-nth");
}

/* One input; false if it is known to be at fault. */
static bool execute(const struct input *in, const __u8 *data, size_t len)
{
	__u64 hash = fail_nth < 0 ? 1 : hash_bytes(data, len);
	int rc;

	if (cover)
		__atomic_store_n(&cover[0], 0, __ATOMIC_RELAXED);
	/* The same input meets the same fault. */
	if (fail_nth >= 0 && hash % fault_ratio == 0)
		inject_fault(1 + hash / fault_ratio % 64);
	rc = target.run(in);
	if (fail_nth >= 0)
		inject_fault(0);
	execs++;
	records += in->count;
	return !rc;
}

static bool run_batch(struct blob *batch, unsigned int count)
{
	char name[64];
	unsigned int i;
	bool ok = true;

	snprintf(name, sizeof(name), "current-%llu", (unsigned long long)seed);
	write_file(crash_dir, name, batch, count);
	for (i = 0; ok && i < count; i++) {
		unpack(batch[i].data, batch[i].len, &work);
		ok = execute(&work, batch[i].data, batch[i].len);
		if (ok && cover && new_coverage())
			keep(batch[i]);
	}
	if (ok && !kernel_complains())
		return true;
	if (ok)
		strcpy(failure, "the kernel complains");
	snprintf(name, sizeof(name), "crash-%llu-%lu",
		 (unsigned long long)seed, ++numbers);
	write_file(crash_dir, name, batch, ok ? count : i);
	printf("# %s: kept %s/%s\n", failure, crash_dir, name);
	return false;
}

static void report(time_t begin)
{
	long took = now() - begin ?: 1;

	printf("# %lu inputs (%lu/s), %lu records (%lu/s), %u edges, %u kept\n",
	       execs, execs / took, records, records / took, edges,
	       corpus_count - seed_count);
	fflush(stdout);
}

static bool fuzz(void)
{
	static struct blob batch[BATCH];
	time_t begin = now(), last = begin;
	unsigned int i, next = 0;
	bool ok = true;

	while (ok && !stop && (!execs_max || execs < execs_max) &&
	       (!seconds_max || now() - begin < (long)seconds_max)) {
		for (i = 0; i < BATCH; i++) {
			/* First all there is as it is. */
			if (next < seed_count) {
				batch[i] = copy_blob(corpus[next++]);
				continue;
			}
			make_input(&work);
			batch[i] = copy_blob(pack(&work));
		}
		ok = run_batch(batch, BATCH);
		for (i = 0; i < BATCH; i++)
			free(batch[i].data);
		if (now() - last >= 10) {
			last = now();
			report(begin);
		}
	}
	report(begin);
	return ok;
}

/* Run a file once, each input and each batch in it. */
static bool replay(const char *path)
{
	struct blob blob = read_file(path);
	size_t done = 0, n;
	bool ok = true;

	while (ok && done < blob.len) {
		n = unpack(blob.data + done, blob.len - done, &work);
		if (!n)
			die("%s is no input", path);
		ok = execute(&work, blob.data + done, n) &&
		     !kernel_complains();
		done += n;
		if (!ok)
			printf("# input %lu: %s\n", execs,
			       *failure ? failure : "the kernel complains");
	}
	printf("# %lu inputs\n", execs);
	free(blob.data);
	return ok;
}

static void usage(void)
{
	printf("Usage: %s [OPTION]...\n"
	       " -R N    seed of everything random (the time)\n"
	       " -n N    inputs to run, 0 for no end (0)\n"
	       " -t N    seconds to run, 0 for no end (0)\n"
	       " -c DIR  begin with the inputs there, and keep new ones\n"
	       " -k DIR  keep batches there that made the kernel complain (.)\n"
	       " -S RE   complaints of the kernel\n"
	       " -x FILE run the inputs in FILE once\n"
	       " -f N    let an allocation fail in one of N inputs\n%s",
	       target.name, target.usage);
	exit(2);
}

int main(int argc, char **argv)
{
	const char *pattern = "BUG: |WARNING: |Oops|KASAN: ", *file = NULL;
	struct sigaction action = { .sa_handler = on_signal };
	char options[64];
	int option;
	bool ok;

	seed = time(NULL);
	snprintf(options, sizeof(options), "R:n:t:c:k:S:x:f:%s",
		 target.options);
	while ((option = getopt(argc, argv, options)) != -1) {
		switch (option) {
		case 'R':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			execs_max = strtoul(optarg, NULL, 0);
			break;
		case 't':
			seconds_max = strtoul(optarg, NULL, 0);
			break;
		case 'c':
			corpus_dir = optarg;
			break;
		case 'k':
			crash_dir = optarg;
			break;
		case 'S':
			pattern = optarg;
			break;
		case 'x':
			file = optarg;
			break;
		case 'f':
			fault_ratio = strtoul(optarg, NULL, 0);
			break;
		case '?':
			usage();
			break;
		default:
			target.option(option, optarg);
		}
	}
	if (optind != argc)
		usage();
	state = seed;
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	open_kmsg(pattern);
	target.init();
	if (fault_ratio) {
		fail_nth = open("/proc/thread-self/fail-nth", O_WRONLY);
		if (fail_nth < 0)
			die("fail-nth");
	}
	if (file)
		return !replay(file);
	if (corpus_dir)
		load_corpus();
	open_kcov();
	printf("# %s: seed %llu, %u inputs to begin with, %s\n", target.name,
	       (unsigned long long)seed, seed_count,
	       cover ? "guided by coverage" : "blind: no kcov");
	ok = fuzz();
	if (cover && !edges) {
		printf("# the module was built without KCOV_INSTRUMENT=y\n");
		fflush(stdout);
	}
	return !ok;
}
