/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Stateless Transport Tunneling: link attributes of kind "stt".
 *
 * Everything here is append-only. Numbers are in host byte order unless a
 * type says otherwise (__be16, __be32).
 */
#ifndef _UAPI_LINUX_IF_STT_H
#define _UAPI_LINUX_IF_STT_H

#include <linux/types.h>

/* TCP port assigned to STT (draft-davie-stt-08, section 9). */
#define STT_DEFAULT_PORT	7471

/* Source ports carry the entropy of the inner flow (section 2.5). */
#define STT_DEFAULT_SPORT_MIN	49152
#define STT_DEFAULT_SPORT_MAX	65535

/* Seconds that a learned FDB entry lives unused. */
#define STT_DEFAULT_AGEING	300

/**
 * enum - attributes nested in IFLA_INFO_DATA of a link of kind "stt"
 * @IFLA_STT_UNSPEC: not used
 * @IFLA_STT_PAD: aligns 64-bit attributes
 * @IFLA_STT_KEY: u64, Context ID; any value, 0 included
 * @IFLA_STT_REMOTE: __be32, IPv4 address of the far end
 * @IFLA_STT_REMOTE6: struct in6_addr, IPv6 address of the far end
 * @IFLA_STT_LOCAL: __be32, IPv4 source address of the tunnel
 * @IFLA_STT_LOCAL6: struct in6_addr, IPv6 source address of the tunnel
 * @IFLA_STT_LINK: u32, ifindex of the underlay device; 0 is none
 * @IFLA_STT_PORT: __be16, destination port of segments sent and received,
 *	1..65535; default %STT_DEFAULT_PORT
 * @IFLA_STT_PORT_RANGE: struct ifla_stt_port_range, source ports, inclusive
 * @IFLA_STT_TTL: u8, hop count of the underlay; 0 is the route's own
 * @IFLA_STT_TTL_INHERIT: u8, boolean: take the hop count of the inner packet
 * @IFLA_STT_TOS: u8, DSCP and ECN field; 1 takes it from the inner packet
 * @IFLA_STT_DF: u8, enum ifla_stt_df; default %STT_DF_SET
 * @IFLA_STT_LABEL: __be32, IPv6 flow label in the low 20 bits; 0 derives it
 *	from the flow as the net.ipv6.auto_flowlabels sysctl says
 * @IFLA_STT_COLLECT_METADATA: u8, boolean: the tunnel's ends and Context ID
 *	come with each packet (keyword "external"); not together with
 *	%IFLA_STT_KEY, %IFLA_STT_REMOTE or %IFLA_STT_REMOTE6
 * @IFLA_STT_LEARNING: u8, boolean: learn FDB entries from received frames;
 *	default on unless there is a unicast remote, or metadata
 * @IFLA_STT_AGEING: u32, lifetime of a learned entry in seconds; 0 is for ever;
 *	default %STT_DEFAULT_AGEING
 * @IFLA_STT_LIMIT: u32, largest number of learned entries; 0 is no limit
 * @IFLA_STT_CSUM_TRUST: u8, boolean: believe a peer that says it has verified
 *	the inner checksum (flag C); default on
 * @IFLA_STT_VLAN_COMPAT: u8, boolean: take a non-zero tag field for a tag even
 *	if flag V is clear, as some peers send it; default off
 * @IFLA_STT_KEYBASE: u32, upper half of every Context ID of an external
 *	device, for users whose metadata holds only 32 bits
 * @IFLA_STT_DSCP_COPY: u8, boolean: give a received inner packet the DSCP of
 *	the first segment (the uniform model of RFC 2983); default off
 * @IFLA_STT_OKEY: u64, Context ID to send with, where it is another one than
 *	%IFLA_STT_KEY, which is received
 * @IFLA_STT_FWMARK: u32, firewall mark that the route to the remote is looked
 *	up with; 0 is that of the inner packet
 * @IFLA_STT_LABEL_INHERIT: u8, boolean: take the flow label of the inner packet
 *	if it is IPv6 and has one
 * @__IFLA_STT_MAX: not an attribute
 */
enum {
	IFLA_STT_UNSPEC,
	IFLA_STT_PAD = IFLA_STT_UNSPEC,
	IFLA_STT_KEY,
	IFLA_STT_REMOTE,
	IFLA_STT_REMOTE6,
	IFLA_STT_LOCAL,
	IFLA_STT_LOCAL6,
	IFLA_STT_LINK,
	IFLA_STT_PORT,
	IFLA_STT_PORT_RANGE,
	IFLA_STT_TTL,
	IFLA_STT_TTL_INHERIT,
	IFLA_STT_TOS,
	IFLA_STT_DF,
	IFLA_STT_LABEL,
	IFLA_STT_COLLECT_METADATA,
	IFLA_STT_LEARNING,
	IFLA_STT_AGEING,
	IFLA_STT_LIMIT,
	IFLA_STT_CSUM_TRUST,
	IFLA_STT_VLAN_COMPAT,
	IFLA_STT_KEYBASE,
	IFLA_STT_DSCP_COPY,
	IFLA_STT_OKEY,
	IFLA_STT_FWMARK,
	IFLA_STT_LABEL_INHERIT,
	__IFLA_STT_MAX
};

#define IFLA_STT_MAX (__IFLA_STT_MAX - 1)

/**
 * enum ifla_stt_df - the don't-fragment bit of IPv4 segments
 * @STT_DF_UNSET: never set
 * @STT_DF_SET: always set
 * @STT_DF_INHERIT: as in the inner IPv4 packet; set for inner IPv6,
 *	clear for anything else
 * @__STT_DF_END: not a value
 */
enum ifla_stt_df {
	STT_DF_UNSET = 0,
	STT_DF_SET,
	STT_DF_INHERIT,
	__STT_DF_END,
};

#define STT_DF_MAX (__STT_DF_END - 1)

/**
 * struct ifla_stt_port_range - source ports, both ends included
 * @low: first port, at least 1
 * @high: last port, at least @low
 */
struct ifla_stt_port_range {
	__be16	low;
	__be16	high;
};

/**
 * enum - packets that a device dropped, by cause; nested u64 attributes of
 *	IFLA_INFO_XSTATS, and the statistics of "ethtool -S" in the same order
 * @STT_XSTATS_PAD: aligns 64-bit attributes
 * @STT_XSTATS_TX_NO_ROUTE: no route to the remote
 * @STT_XSTATS_TX_LOOP: the route to the remote leads into the tunnel itself
 * @STT_XSTATS_TX_TOO_LONG: longer than a frame can be
 * @STT_XSTATS_TX_BAD_INNER: inner headers truncated, or offload requests that
 *	contradict them
 * @STT_XSTATS_TX_NO_REMOTE: nobody to send to
 * @STT_XSTATS_TX_NO_MEM: out of memory
 * @STT_XSTATS_TX_NO_METADATA: no tunnel metadata, or none that this device can
 *	follow
 * @STT_XSTATS_RX_DOWN: the device was down
 * @STT_XSTATS_RX_SHORT: frame too short for what its headers announce
 * @STT_XSTATS_RX_BAD_FLAGS: both C and P are set
 * @STT_XSTATS_RX_BAD_OFFLOAD: P, V, T or the L4 offset contradict the packet
 * @STT_XSTATS_RX_BAD_MSS: segment size below 32, or not for a packet that can
 *	be segmented
 * @STT_XSTATS_RX_BAD_MAC: inner source address invalid or the device's own
 * @STT_XSTATS_RX_ECN: congestion mark on a packet that does not know ECN
 * @STT_XSTATS_RX_NO_MEM: out of memory
 * @__STT_XSTATS_MAX: not a counter
 */
enum {
	STT_XSTATS_PAD,
	STT_XSTATS_TX_NO_ROUTE,
	STT_XSTATS_TX_LOOP,
	STT_XSTATS_TX_TOO_LONG,
	STT_XSTATS_TX_BAD_INNER,
	STT_XSTATS_TX_NO_REMOTE,
	STT_XSTATS_TX_NO_MEM,
	STT_XSTATS_TX_NO_METADATA,
	STT_XSTATS_RX_DOWN,
	STT_XSTATS_RX_SHORT,
	STT_XSTATS_RX_BAD_FLAGS,
	STT_XSTATS_RX_BAD_OFFLOAD,
	STT_XSTATS_RX_BAD_MSS,
	STT_XSTATS_RX_BAD_MAC,
	STT_XSTATS_RX_ECN,
	STT_XSTATS_RX_NO_MEM,
	__STT_XSTATS_MAX
};

#define STT_XSTATS_MAX (__STT_XSTATS_MAX - 1)

#endif /* _UAPI_LINUX_IF_STT_H */
