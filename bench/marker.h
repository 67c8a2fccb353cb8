/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Instructions that mark the begin and the end of what is measured, and whether
 * the program is about to send or to receive: long nops, "nopl disp32(%rax)",
 * with displacements that no compiler makes up.
 */
#ifndef MARKER_H
#define MARKER_H

/* Octal, which the assembler knows as well as the compiler. */
#define MARKER_BEGIN	"\017\037\200bstt"
#define MARKER_END	"\017\037\200estt"
#define MARKER_SEND	"\017\037\200sstt"
#define MARKER_RECEIVE	"\017\037\200rstt"
#define MARKER_LEN	7

#define MARKER_TEXT_(marker)	#marker
#define MARKER_TEXT(marker)	MARKER_TEXT_(marker)
#define MARK(marker)	\
	({ asm volatile(".ascii " MARKER_TEXT(marker) ::: "memory"); })

#endif
