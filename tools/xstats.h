/* SPDX-License-Identifier: GPL-2.0 */
/* Names of the drop counters of a device, for ip(8) and sttctl(8). */
#ifndef _STT_XSTATS_H
#define _STT_XSTATS_H

#include <linux/if_stt.h>

/* As "ethtool -S" has them. */
static const char * const stt_xstats_names[] = {
	[STT_XSTATS_TX_NO_ROUTE]	= "tx_no_route",
	[STT_XSTATS_TX_LOOP]		= "tx_loop",
	[STT_XSTATS_TX_TOO_LONG]	= "tx_too_long",
	[STT_XSTATS_TX_BAD_INNER]	= "tx_bad_inner",
	[STT_XSTATS_TX_NO_REMOTE]	= "tx_no_remote",
	[STT_XSTATS_TX_NO_MEM]		= "tx_no_mem",
	[STT_XSTATS_TX_NO_METADATA]	= "tx_no_metadata",
	[STT_XSTATS_RX_DOWN]		= "rx_down",
	[STT_XSTATS_RX_SHORT]		= "rx_short",
	[STT_XSTATS_RX_BAD_FLAGS]	= "rx_bad_flags",
	[STT_XSTATS_RX_BAD_OFFLOAD]	= "rx_bad_offload",
	[STT_XSTATS_RX_BAD_MSS]		= "rx_bad_mss",
	[STT_XSTATS_RX_BAD_MAC]		= "rx_bad_mac",
	[STT_XSTATS_RX_ECN]		= "rx_ecn",
	[STT_XSTATS_RX_NO_MEM]		= "rx_no_mem",
};

_Static_assert(sizeof(stt_xstats_names) / sizeof(*stt_xstats_names) ==
	       STT_XSTATS_MAX + 1, "a counter has no name");

#endif /* _STT_XSTATS_H */
