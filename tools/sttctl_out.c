// SPDX-License-Identifier: GPL-2.0
/*
 * Output as text or as JSON. JSON libraries have no unsigned 64-bit numbers,
 * and need the whole before they can write it.
 */
#include <inttypes.h>
#include <stdio.h>

#include "sttctl.h"

static int out_depth;
static bool out_comma[16];

static void out_key(const char *key)
{
	const unsigned char *c;

	if (out_comma[out_depth])
		putchar(',');
	out_comma[out_depth] = true;
	if (!key)
		return;
	putchar('"');
	for (c = (const unsigned char *)key; *c; c++)
		putchar(*c);
	fputs("\":", stdout);
}

static void out_open(const char *key, char bracket)
{
	out_key(key);
	putchar(bracket);
	out_comma[++out_depth] = false;
}

static void out_close(char bracket)
{
	out_depth--;
	putchar(bracket);
}

/* Each call of sttctl prints one JSON text, or one a line. */
void out_begin(void)
{
	out_comma[0] = false;
}

void out_end(void)
{
	if (ctl_json)
		putchar('\n');
	fflush(stdout);
}

void out_open_array(const char *key)
{
	if (ctl_json)
		out_open(key, '[');
}

void out_close_array(void)
{
	if (ctl_json)
		out_close(']');
}

void out_open_object(const char *key)
{
	if (ctl_json)
		out_open(key, '{');
}

void out_close_object(void)
{
	if (ctl_json)
		out_close('}');
}

void out_text(const char *text)
{
	if (!ctl_json)
		fputs(text, stdout);
}

static void out_quoted(const char *text)
{
	const unsigned char *c = (const unsigned char *)text;

	putchar('"');
	for (; *c; c++) {
		if (*c == '"' || *c == '\\')
			printf("\\%c", *c);
		else if (*c < 0x20 || *c == 0x7f)
			printf("\\u%04x", *c);
		else
			putchar(*c);
	}
	putchar('"');
}

/* Formats are literals of the callers, checked by nobody but them. */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

void out_str(const char *key, const char *fmt, const char *val)
{
	if (!ctl_json) {
		if (fmt)
			printf(fmt, val);
	} else if (key) {
		out_key(key);
		out_quoted(val);
	}
}

void out_u64(const char *key, const char *fmt, uint64_t val)
{
	if (!ctl_json) {
		if (fmt)
			printf(fmt, val);
	} else if (key) {
		out_key(key);
		printf("%" PRIu64, val);
	}
}

void out_i64(const char *key, const char *fmt, int64_t val)
{
	if (!ctl_json) {
		if (fmt)
			printf(fmt, val);
	} else if (key) {
		out_key(key);
		printf("%" PRId64, val);
	}
}

void out_bool(const char *key, const char *fmt, bool val)
{
	if (!ctl_json) {
		if (fmt)
			printf(fmt, val ? "" : "no");
	} else if (key) {
		out_key(key);
		fputs(val ? "true" : "false", stdout);
	}
}

void out_id(const char *key, const char *fmt, uint64_t id)
{
	char text[24];

	if (ctl_json) {
		out_u64(key, NULL, id);
		snprintf(text, sizeof(text), "%s_hex", key);
		out_key(text);
		printf("\"0x%016" PRIx64 "\"", id);
		return;
	}
	if (!fmt)
		return;
	snprintf(text, sizeof(text), id > UINT32_MAX ? "0x%" PRIx64 :
						       "%" PRIu64, id);
	printf(fmt, text);
}
