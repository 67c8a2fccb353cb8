/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Stateless Transport Tunneling: generic netlink family "stt".
 *
 * It carries what link and neighbour messages cannot: Context IDs of 64 bits
 * in the forwarding database, events, counters of a namespace. Everything here
 * is append-only; Documentation/netlink/specs/stt.yaml says the same for
 * programs. Numbers are in host byte order unless a type says otherwise.
 */
#ifndef _UAPI_LINUX_STT_GENL_H
#define _UAPI_LINUX_STT_GENL_H

#define STT_GENL_NAME		"stt"
#define STT_GENL_VERSION	1

/* Multicast group of all messages whose name ends in _NTF. */
#define STT_GENL_MCGRP_EVENTS	"events"

/**
 * enum - messages; those without _NTF are commands
 * @STT_CMD_UNSPEC: not used
 * @STT_CMD_DEV_GET: a device, or all of the namespace
 * @STT_CMD_DEV_NEW_NTF: a device was created or has come from elsewhere
 * @STT_CMD_DEV_CHANGE_NTF: its configuration was changed
 * @STT_CMD_DEV_DEL_NTF: it was deleted or has gone elsewhere
 * @STT_CMD_FDB_GET: FDB entries of a device or of all; one message for each
 *	destination of an entry. Address, source Context ID and destination
 *	choose some of them
 * @STT_CMD_FDB_NEW: add an entry or a destination
 * @STT_CMD_FDB_DEL: delete an entry or, if given, one destination of it
 * @STT_CMD_FDB_FLUSH: delete many entries; says how many
 * @STT_CMD_FDB_NEW_NTF: an entry has a new destination, state or flag
 * @STT_CMD_FDB_MOVE_NTF: an entry has another destination than it had
 * @STT_CMD_FDB_DEL_NTF: an entry or one of its destinations is gone
 * @STT_CMD_FDB_FLUSH_NTF: entries were flushed, of which nothing else is told
 * @STT_CMD_STATS_GET: counters and reassembly of the namespace
 * @STT_CMD_REASM_SET: limits of reassembly
 * @__STT_CMD_MAX: not a message
 */
enum {
	STT_CMD_UNSPEC,
	STT_CMD_DEV_GET,
	STT_CMD_DEV_NEW_NTF,
	STT_CMD_DEV_CHANGE_NTF,
	STT_CMD_DEV_DEL_NTF,
	STT_CMD_FDB_GET,
	STT_CMD_FDB_NEW,
	STT_CMD_FDB_DEL,
	STT_CMD_FDB_FLUSH,
	STT_CMD_FDB_NEW_NTF,
	STT_CMD_FDB_MOVE_NTF,
	STT_CMD_FDB_DEL_NTF,
	STT_CMD_FDB_FLUSH_NTF,
	STT_CMD_STATS_GET,
	STT_CMD_REASM_SET,
	__STT_CMD_MAX
};

#define STT_CMD_MAX (__STT_CMD_MAX - 1)

/**
 * enum - attributes of a device
 * @STT_DEV_A_UNSPEC: not used
 * @STT_DEV_A_PAD: aligns 64-bit attributes
 * @STT_DEV_A_IFINDEX: u32
 * @STT_DEV_A_IFNAME: string
 * @STT_DEV_A_LINK_NETNSID: s32, namespace of the underlay if it is another one
 * @STT_DEV_A_CONF: nest of IFLA_STT_*, as in IFLA_INFO_DATA
 * @STT_DEV_A_XSTATS: nest of u64 STT_XSTATS_*, as in IFLA_INFO_XSTATS
 * @STT_DEV_A_STATS64: struct rtnl_link_stats64
 * @STT_DEV_A_FDB_ENTRIES: u32, entries of the FDB; absent if there is no FDB
 * @STT_DEV_A_FDB_LEARNED: u32, those of them that were learned
 * @STT_DEV_A_FLAGS: u32, IFF_*
 * @__STT_DEV_A_MAX: not an attribute
 */
enum {
	STT_DEV_A_UNSPEC,
	STT_DEV_A_PAD = STT_DEV_A_UNSPEC,
	STT_DEV_A_IFINDEX,
	STT_DEV_A_IFNAME,
	STT_DEV_A_LINK_NETNSID,
	STT_DEV_A_CONF,
	STT_DEV_A_XSTATS,
	STT_DEV_A_STATS64,
	STT_DEV_A_FDB_ENTRIES,
	STT_DEV_A_FDB_LEARNED,
	STT_DEV_A_FLAGS,
	__STT_DEV_A_MAX
};

#define STT_DEV_A_MAX (__STT_DEV_A_MAX - 1)

/**
 * enum stt_fdb_mode - what %STT_CMD_FDB_NEW does
 * @STT_FDB_MODE_ADD: make an entry, which must not exist
 * @STT_FDB_MODE_REPLACE: make an entry, or change the one that exists
 * @STT_FDB_MODE_APPEND: add a destination, and the entry if it does not exist
 * @__STT_FDB_MODE_END: not a mode
 */
enum stt_fdb_mode {
	STT_FDB_MODE_ADD,
	STT_FDB_MODE_REPLACE,
	STT_FDB_MODE_APPEND,
	__STT_FDB_MODE_END
};

#define STT_FDB_MODE_MAX (__STT_FDB_MODE_END - 1)

/**
 * enum - attributes of an FDB entry with one of its destinations
 * @STT_FDB_A_UNSPEC: not used
 * @STT_FDB_A_PAD: aligns 64-bit attributes
 * @STT_FDB_A_IFINDEX: u32, the device
 * @STT_FDB_A_IFNAME: string, the device
 * @STT_FDB_A_LLADDR: MAC address, all-zero for what has no entry
 * @STT_FDB_A_SRC_KEY: u64, Context ID that the entry is for; default that of
 *	the device, which only an external one has others than
 * @STT_FDB_A_KEY: u64, Context ID to send with; default that of the entry
 * @STT_FDB_A_DST: __be32, IPv4 address of the destination
 * @STT_FDB_A_DST6: struct in6_addr, IPv6 address of the destination
 * @STT_FDB_A_PORT: __be16, destination port; default that of the device
 * @STT_FDB_A_LINK: u32, ifindex of the underlay device; default that of the
 *	device
 * @STT_FDB_A_MODE: u8, enum stt_fdb_mode; default %STT_FDB_MODE_ADD
 * @STT_FDB_A_STATE: u16, NUD_*; default NUD_PERMANENT
 * @STT_FDB_A_STATE_MASK: u16, for a flush: bits of the state to compare
 * @STT_FDB_A_FLAGS: u8, NTF_*
 * @STT_FDB_A_FLAGS_MASK: u8, for a flush: bits of the flags to compare
 * @STT_FDB_A_USED: u64, milliseconds since it was used to send
 * @STT_FDB_A_UPDATED: u64, milliseconds since it was set or seen as a source
 * @STT_FDB_A_OLD_DST: __be32, where an entry that has moved was before
 * @STT_FDB_A_OLD_DST6: struct in6_addr, likewise
 * @STT_FDB_A_COUNT: u32, how many destinations a flush has deleted
 * @__STT_FDB_A_MAX: not an attribute
 */
enum {
	STT_FDB_A_UNSPEC,
	STT_FDB_A_PAD = STT_FDB_A_UNSPEC,
	STT_FDB_A_IFINDEX,
	STT_FDB_A_IFNAME,
	STT_FDB_A_LLADDR,
	STT_FDB_A_SRC_KEY,
	STT_FDB_A_KEY,
	STT_FDB_A_DST,
	STT_FDB_A_DST6,
	STT_FDB_A_PORT,
	STT_FDB_A_LINK,
	STT_FDB_A_MODE,
	STT_FDB_A_STATE,
	STT_FDB_A_STATE_MASK,
	STT_FDB_A_FLAGS,
	STT_FDB_A_FLAGS_MASK,
	STT_FDB_A_USED,
	STT_FDB_A_UPDATED,
	STT_FDB_A_OLD_DST,
	STT_FDB_A_OLD_DST6,
	STT_FDB_A_COUNT,
	__STT_FDB_A_MAX
};

#define STT_FDB_A_MAX (__STT_FDB_A_MAX - 1)

/**
 * enum - attributes of the answer to %STT_CMD_STATS_GET
 * @STT_STATS_A_UNSPEC: not used
 * @STT_STATS_A_COUNTER: nest of STT_COUNTER_A_*, one for each counter
 * @STT_STATS_A_REASM: nest of STT_REASM_A_*
 * @__STT_STATS_A_MAX: not an attribute
 */
enum {
	STT_STATS_A_UNSPEC,
	STT_STATS_A_COUNTER,
	STT_STATS_A_REASM,
	__STT_STATS_A_MAX
};

#define STT_STATS_A_MAX (__STT_STATS_A_MAX - 1)

/**
 * enum - a counter of the namespace
 * @STT_COUNTER_A_UNSPEC: not used
 * @STT_COUNTER_A_PAD: aligns 64-bit attributes
 * @STT_COUNTER_A_NAME: string, as in /proc/net/stt
 * @STT_COUNTER_A_VALUE: u64
 * @__STT_COUNTER_A_MAX: not an attribute
 */
enum {
	STT_COUNTER_A_UNSPEC,
	STT_COUNTER_A_PAD = STT_COUNTER_A_UNSPEC,
	STT_COUNTER_A_NAME,
	STT_COUNTER_A_VALUE,
	__STT_COUNTER_A_MAX
};

#define STT_COUNTER_A_MAX (__STT_COUNTER_A_MAX - 1)

/* Bounds of what %STT_CMD_REASM_SET takes. */
#define STT_REASM_BUDGET_MIN	1048576
#define STT_REASM_BUDGET_MAX	1073741824
#define STT_REASM_TIMEOUT_MIN	1
#define STT_REASM_TIMEOUT_MAX	60000

/**
 * enum - reassembly of the namespace
 * @STT_REASM_A_UNSPEC: not used
 * @STT_REASM_A_PAD: aligns 64-bit attributes
 * @STT_REASM_A_BUDGET: u64, most bytes held; more than the default takes
 *	CAP_NET_ADMIN in the initial user namespace
 * @STT_REASM_A_BUDGET_DEFAULT: u64
 * @STT_REASM_A_TIMEOUT: u32, life of an incomplete frame in milliseconds
 * @STT_REASM_A_MEM: u64, bytes held
 * @STT_REASM_A_FRAMES: u32, incomplete frames
 * @STT_REASM_A_TIMEOUTS: u64, frames dropped for their age
 * @STT_REASM_A_EVICTIONS: u64, frames dropped because their source held too
 *	much
 * @__STT_REASM_A_MAX: not an attribute
 */
enum {
	STT_REASM_A_UNSPEC,
	STT_REASM_A_PAD = STT_REASM_A_UNSPEC,
	STT_REASM_A_BUDGET,
	STT_REASM_A_BUDGET_DEFAULT,
	STT_REASM_A_TIMEOUT,
	STT_REASM_A_MEM,
	STT_REASM_A_FRAMES,
	STT_REASM_A_TIMEOUTS,
	STT_REASM_A_EVICTIONS,
	__STT_REASM_A_MAX
};

#define STT_REASM_A_MAX (__STT_REASM_A_MAX - 1)

#endif /* _UAPI_LINUX_STT_GENL_H */
