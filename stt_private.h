/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the module share, by the file that owns it. The direction
 * of use is
 *
 *	main	-> netlink, dev, genl
 *	genl	-> netlink, dev, fdb, reasm, event
 *	netlink	-> dev
 *	dev	-> tunnel, port, fdb, group, xmit, route, event
 *	fdb_netlink -> dev, fdb, event
 *	fdb	-> tunnel, event
 *	port	-> pmtu, early, recv	by hooks, as segments come in
 *	pmtu	-> tunnel
 *	recv	-> reasm, tunnel, frame, metadata, fdb
 *	xmit	-> frame, fdb, route
 *	reasm, frame -> skb
 *
 * and is never reversed: reassembly knows nothing of devices, transmission
 * nothing of reception.
 */
#ifndef _STT_PRIVATE_H
#define _STT_PRIVATE_H

#include <linux/atomic.h>
#include <linux/etherdevice.h>
#include <linux/if_stt.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/rhashtable.h>
#include <linux/skbuff.h>
#include <linux/u64_stats_sync.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <net/addrconf.h>
#include <net/dst_cache.h>
#include <net/gro_cells.h>
#include <net/ipv6.h>
#include <net/route.h>
#include <net/stt.h>

struct genl_family;
struct stt_early;
struct proc_dir_entry;

/* Addresses of both families are held as IPv6; IPv4 as ::ffff:a.b.c.d. */
static inline bool stt_addr_is_v4(const struct in6_addr *addr)
{
	return ipv6_addr_v4mapped(addr);
}

static inline __be32 stt_addr_v4(const struct in6_addr *addr)
{
	return addr->s6_addr32[3];
}

/* There are no tables to look in where the kernel has no IPv6. */
static inline bool stt_ipv6_is_own(struct net *net,
				   const struct in6_addr *addr)
{
	return ipv6_mod_enabled() && ipv6_chk_addr(net, addr, NULL, 0);
}

static inline bool stt_addr_is_own(struct net *net,
				   const struct in6_addr *addr)
{
	return stt_addr_is_v4(addr) ?
	       inet_addr_type(net, stt_addr_v4(addr)) == RTN_LOCAL :
	       stt_ipv6_is_own(net, addr);
}

static inline bool stt_addr_is_multicast(const struct in6_addr *addr)
{
	return stt_addr_is_v4(addr) ? ipv4_is_multicast(stt_addr_v4(addr)) :
				      ipv6_addr_is_multicast(addr);
}

/* stt_reasm.c */

/**
 * struct stt_frame_id - what all segments of a frame have in common
 * @saddr: outer source
 * @daddr: outer destination
 * @id: frame identifier, from ACK
 * @sport: source port
 * @dport: destination port
 * @scope: L3 domain: ifindex of the VRF, or of the link for link-local
 *	addresses; 0 for the default one
 */
struct stt_frame_id {
	struct in6_addr	saddr;
	struct in6_addr	daddr;
	__be32		id;
	__be16		sport;
	__be16		dport;
	u32		scope;
};

/**
 * struct stt_segment - a received segment, apart from its payload
 * @frame: the frame it belongs to
 * @total: length of the frame in bytes
 * @offset: offset of the payload in the frame in bytes
 * @dsfield: outer DSCP and ECN
 * @ttl: outer hop count
 * @label: outer IPv6 flow label
 * @ifindex: link it came in by, if the source is link-local; else 0
 * @domain: ifindex of the VRF it arrived in, 0 for the default one
 */
struct stt_segment {
	struct stt_frame_id	frame;
	u16			total;
	u16			offset;
	u8			dsfield;
	u8			ttl;
	__be32			label;
	int			ifindex;
	u32			domain;
};

/* Reassembly takes segments from every CPU; shards keep them apart. */
#define STT_REASM_SHARDS	64
#define STT_REASM_BUCKETS	4096
#define STT_REASM_SOURCES	256

/* What became of a segment that did not complete its frame. */
enum stt_reasm_verdict {
	STT_REASM_HELD,
	STT_REASM_DUPLICATE,
	STT_REASM_OVERLAP,
	STT_REASM_LENGTH,
	STT_REASM_BUDGET,
	STT_REASM_NOMEM,
};

/**
 * struct stt_reasm_shard - a part of the table with a lock of its own
 * @lock: for @frames and all buckets of the shard
 * @frames: oldest first
 */
struct stt_reasm_shard {
	spinlock_t		lock;	/* see above */
	struct list_head	frames;
} ____cacheline_aligned_in_smp;

/**
 * struct stt_reasm - frames of one network namespace that are incomplete
 * @bucket: frames by identity; bucket i belongs to shard i % SHARDS
 * @shard: locks and ages
 * @source: bytes held for the sources that hash to each slot
 * @mem: bytes held in all
 * @budget: most bytes held
 * @timeout_ms: life of an incomplete frame
 * @seed: of the hash, secret
 * @reaper: drops frames past their time
 * @timeouts: frames dropped for their age
 * @evictions: frames dropped to make room for newer ones
 *
 * A source may hold at most as much as is still free, so that whatever one
 * source holds, another finds room, and @mem stays below @budget. If many
 * sources have filled it, one that holds little takes the place of the oldest.
 */
struct stt_reasm {
	struct hlist_head	*bucket;
	struct stt_reasm_shard	*shard;
	atomic_t		source[STT_REASM_SOURCES];
	atomic_long_t		mem;
	unsigned long		budget;
	unsigned int		timeout_ms;
	u32			seed;
	struct delayed_work	reaper;
	atomic_long_t		timeouts;
	atomic_long_t		evictions;
};

int stt_reasm_cache_init(void);
void stt_reasm_cache_exit(void);
void stt_reasm_defaults(struct stt_reasm *r);
int stt_reasm_init(struct stt_reasm *r);
void stt_reasm_exit(struct stt_reasm *r);
struct sk_buff *stt_reasm_add(struct stt_reasm *r, struct sk_buff *skb,
			      struct stt_segment *seg,
			      enum stt_reasm_verdict *verdict);
unsigned int stt_reasm_frames(struct stt_reasm *r);
unsigned long stt_reasm_default_budget(void);
void stt_reasm_limit(struct stt_reasm *r, unsigned long budget,
		     unsigned int timeout_ms);

#ifdef DEBUG
int stt_reasm_selftest(void);
int stt_frame_selftest(void);
#else
static inline int stt_reasm_selftest(void) { return 0; }
static inline int stt_frame_selftest(void) { return 0; }
#endif

/* stt_skb.c */

/**
 * struct stt_skb_list - the fragment list of an skb
 * @last: last member, NULL if there is none
 * @len: bytes in all members
 * @truesize: memory of all members
 */
struct stt_skb_list {
	struct sk_buff	*last;
	unsigned int	len;
	unsigned int	truesize;
};

int stt_skb_own(struct sk_buff *skb);
void stt_skb_list(struct sk_buff *skb, struct stt_skb_list *list);
void stt_skb_append(struct sk_buff *to, struct stt_skb_list *list,
		    struct sk_buff *from, const struct stt_skb_list *more);
void stt_skb_join(struct sk_buff *to, struct stt_skb_list *list,
		  struct sk_buff *from, const struct stt_skb_list *more);
int stt_skb_fit_gso(struct sk_buff *skb);

/* stt_frame.c */

enum stt_frame_fault {
	STT_FRAME_OK,
	STT_FRAME_SHORT,	/* no room for what the headers announce */
	STT_FRAME_FLAGS,	/* both C and P */
	STT_FRAME_OFFLOAD,	/* P, V, T or L4 offset belie the packet */
	STT_FRAME_MSS,		/* segment size absurd or not for TCP */
	STT_FRAME_NOMEM,
};

/**
 * struct stt_frame_policy - what a device lets the peer say
 * @csum_trust: believe flag C
 * @vlan_compat: a non-zero tag field is a tag even without V
 */
struct stt_frame_policy {
	bool	csum_trust;
	bool	vlan_compat;
};

bool stt_frame_fits(struct sk_buff *skb);
int stt_frame_encode(struct sk_buff *skb, struct stthdr *hdr);
enum stt_frame_fault stt_frame_decode(struct sk_buff *skb,
				      const struct stthdr *hdr,
				      const struct stt_frame_policy *policy);

/* stt_port.c */

/**
 * struct stt_port - a TCP port that one network namespace receives STT on
 * @sock: reserves the port and marks segments sent through it as ours
 * @users: devices on it, under RTNL
 * @port: the port
 */
struct stt_port {
	struct socket	*sock;
	unsigned int	users;
	__be16		port;
};

struct stt_net;

struct stt_port *stt_port_get(struct stt_net *sn, __be16 port,
			      struct netlink_ext_ack *extack);
void stt_port_put(struct stt_net *sn, struct stt_port *port);

/* stt_early.c */

int stt_early_init(struct stt_net *sn);
void stt_early_exit(struct stt_net *sn);
void stt_early_note_v4(struct stt_net *sn, const struct sk_buff *skb);
void stt_early_note_v6(struct stt_net *sn, const struct sk_buff *skb);
bool stt_early_known_v4(struct stt_net *sn, const struct sk_buff *skb);
bool stt_early_known_v6(struct stt_net *sn, const struct sk_buff *skb);

/* stt_dev.c */

/* What kind of tunnel an identity names. */
enum stt_kind {
	STT_KIND_KEY,		/* one Context ID */
	STT_KIND_BASE,		/* external, Context IDs of one upper half */
	STT_KIND_ANY,		/* external, all Context IDs */
};

/**
 * struct stt_tunnel_id - what tells one tunnel of a namespace from another
 * @key: Context ID; only its upper half for STT_KIND_BASE, 0 for STT_KIND_ANY
 * @remote: far end, :: for any
 * @local: near end, :: for any
 * @scope: L3 domain, as in &struct stt_frame_id
 * @port: destination port
 * @kind: enum stt_kind
 */
struct stt_tunnel_id {
	u64		key;
	struct in6_addr	remote;
	struct in6_addr	local;
	u32		scope;
	__be16		port;
	u16		kind;
};

/**
 * struct stt_conf - configuration of a device; a value, checked as a whole
 * @key: Context ID; with @external the upper half of all of them
 * @okey: Context ID to send with, unless @external
 * @remote: where frames go that no FDB entry directs, :: for nowhere
 * @local: source address, :: for the route's
 * @label: IPv6 flow label, 0 for automatic
 * @fwmark: mark to look up the route with, 0 for that of the inner packet
 * @port: destination port
 * @sport_min: lowest source port
 * @sport_max: highest source port
 * @link: ifindex of the underlay device, 0 for none
 * @ageing: lifetime of a learned FDB entry in seconds, 0 for ever
 * @limit: most learned FDB entries, 0 for no limit
 * @ttl: hop count, 0 for the route's
 * @tos: DSCP and ECN; 1 for the inner packet's
 * @df: enum ifla_stt_df
 * @ttl_inherit: take the hop count of the inner packet
 * @label_inherit: take the flow label of the inner packet
 * @learning: learn FDB entries from received frames
 * @external: ends and Context ID come with each packet
 * @keybase: @key is the upper half of all Context IDs
 * @dscp_copy: give the inner packet the outer DSCP when it is received
 * @policy: what the peer may say
 */
struct stt_conf {
	u64			key;
	u64			okey;
	struct in6_addr		remote;
	struct in6_addr		local;
	__be32			label;
	u32			fwmark;
	__be16			port;
	u16			sport_min;
	u16			sport_max;
	int			link;
	u32			ageing;
	u32			limit;
	u8			ttl;
	u8			tos;
	u8			df;
	bool			ttl_inherit;
	bool			label_inherit;
	bool			learning;
	bool			external;
	bool			keybase;
	bool			dscp_copy;
	struct stt_frame_policy	policy;
};

/**
 * struct stt_remote_id - a destination
 * @addr: address
 * @key: Context ID to send with
 * @ifindex: underlay device, 0 for that of the configuration
 * @port: destination port
 * @pad: zero
 */
struct stt_remote_id {
	struct in6_addr	addr;
	u64		key;
	u32		ifindex;
	__be16		port;
	u16		pad;
};

/**
 * struct stt_remote - a destination and the route to it
 * @id: what it is
 * @cache: routes to it
 * @node: in the destinations of an FDB
 * @users: FDB entries that have it, under the lock of the FDB
 * @rcu: frees it after its last reader
 */
struct stt_remote {
	struct stt_remote_id	id;
	struct dst_cache	cache;
	struct rhash_head	node;
	unsigned int		users;
	struct rcu_head		rcu;
};

/**
 * struct stt_state - configuration in force
 * @conf: the configuration, constant
 * @remote: destination of a device without FDB
 * @rcu: frees it after its last reader
 *
 * A change replaces the whole, so that no packet sees half of it.
 */
struct stt_state {
	struct stt_conf		conf;
	struct stt_remote	remote;
	struct rcu_head		rcu;
};

/*
 * For what is made under a lock for whoever asks: it counts against their
 * limit, and is not worth the reserves, which would be given beyond it. Packets
 * have no limit but that of learned entries.
 */
#define STT_GFP_ENTRY	(GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT)

/**
 * struct stt_fdb_id - what an entry is found by
 * @key: Context ID
 * @mac: MAC address
 * @pad: zero
 */
struct stt_fdb_id {
	u64	key;
	u8	mac[ETH_ALEN];
	u16	pad;
};

/**
 * struct stt_fdb_request - what an entry shall be
 * @id: what it is found by
 * @remote: destination
 * @state: NUD_*
 * @nlflags: NLM_F_* of the command
 * @flags: NTF_*
 * @has_dst: @remote was named
 */
struct stt_fdb_request {
	struct stt_fdb_id	id;
	struct stt_remote_id	remote;
	u16			state;
	u16			nlflags;
	u8			flags;
	bool			has_dst;
};

/* Who is told of a change. */
enum stt_fdb_tell {
	STT_TELL_NOBODY,
	STT_TELL_EVENTS,	/* but not neighbour listeners: the core does */
	STT_TELL_ALL,
};

struct stt_fdb_table;
struct stt_group;
struct stt_routes;
struct stt_tunnel;
struct stt_tunnel_notes;

/**
 * struct stt_dev - private part of an stt device
 * @state: configuration in force; written under RTNL, read under RCU
 * @fdb: forwarding database, NULL for a point-to-point device; set once
 * @net: namespace of the underlay
 * @dev: the device
 * @port: port in use
 * @routes: routes for metadata that cannot keep them, NULL unless external
 * @route_epoch: counts up when they are to be forgotten
 * @cells: defers received frames to NAPI, which also merges them again
 * @id: identity, under RTNL
 * @tunnel: its place in the table of tunnels, under RTNL; NULL if it has none
 * @lower: underlay device that it is shown on top of, under RTNL; or NULL
 * @list: in the list of devices of @net, under RTNL
 * @group: membership of the multicast group, NULL if there is none
 * @drops: packets dropped, by cause
 */
struct stt_dev {
	/* hot: read for each packet */
	struct stt_state __rcu	*state;
	struct stt_fdb_table __rcu *fdb;
	struct net		*net;
	struct net_device	*dev;
	struct stt_port		*port;
	struct stt_routes __percpu *routes;
	u32			route_epoch;
	struct gro_cells	cells;
	/* cold */
	struct stt_tunnel_id	id;
	struct stt_tunnel	*tunnel;
	struct net_device	*lower;
	struct list_head	list;
	struct stt_group	*group;
	atomic_long_t		drops[__STT_XSTATS_MAX];
};

/* Context ID of what names none; an external device has no own one. */
static inline u64 stt_dev_usual_key(const struct stt_dev *stt)
{
	return stt->id.kind == STT_KIND_KEY ? stt->id.key : 0;
}

/*
 * Which parts of an identity are fixed. The table is asked once for each shape
 * that exists in the namespace, the most exact first.
 */
#define STT_SHAPES	8

/* Events that belong to a namespace, for no device is known, or none cares. */
enum stt_net_counter {
	STT_NET_RX_SEGMENTS,
	STT_NET_RX_WHOLE,
	STT_NET_RX_REASSEMBLED,
	STT_NET_RX_BAD_HEADER,
	STT_NET_RX_BAD_CSUM,
	STT_NET_RX_EMPTY,
	STT_NET_RX_BAD_LENGTH,
	STT_NET_RX_DUPLICATE,
	STT_NET_RX_OVERLAP,
	STT_NET_RX_LENGTH_MISMATCH,
	STT_NET_RX_NO_BUDGET,
	STT_NET_RX_NO_MEM,
	STT_NET_RX_POLICY,
	STT_NET_RX_FRAGMENT,
	STT_NET_RX_BAD_VERSION,
	STT_NET_RX_UNKNOWN_ID,
	STT_NET_PMTU_LEARNED,
	STT_NET_PMTU_REJECTED,
	STT_NET_TX_UNREACHABLE,
	__STT_NET_MAX
};

struct stt_net_stats {
	u64_stats_t		count[__STT_NET_MAX];
	struct u64_stats_sync	syncp;
};

/**
 * struct stt_net - what stt keeps for one network namespace
 * @net: the namespace
 * @tunnels: devices whose underlay is here, by identity
 * @shapes: devices of each shape, under RTNL
 * @shape_mask: shapes that exist, for packets; written under RTNL
 * @tunnel_changes: of the table so far; written under RTNL
 * @notes: where the latest frames went; NULL until there was a device
 * @peers: addresses that tunnels lead to
 * @peers_lock: for changes of @peers
 * @ports: ports in use, under RTNL
 * @port_map: the same as bits, for packets; NULL until there was a port
 * @early: notes on the ways that segments come by; NULL until there was a port
 * @hooks: netfilter hooks, NULL when no port is in use
 * @reasm: incomplete frames
 * @stats: events, by CPU
 * @devs: devices whose underlay is here, under RTNL
 * @lowers: how many of them are bound to an underlay device, by its ifindex,
 *	under RTNL
 */
struct stt_net {
	struct net		*net;
	struct rhashtable	tunnels;
	unsigned long		shape_mask;
	unsigned long		tunnel_changes;
	struct stt_tunnel_notes __percpu *notes;
	struct rhashtable	peers;
	spinlock_t		peers_lock;	/* see above */
	unsigned long		*port_map;
	struct stt_early __percpu *early;
	struct stt_net_stats __percpu *stats;
	struct stt_reasm	reasm;
	struct xarray		ports;
	struct nf_hook_ops	*hooks;
	struct list_head	devs;
	struct xarray		lowers;
	unsigned int		shapes[STT_SHAPES];
};

extern unsigned int stt_net_id;
extern struct rtnl_link_ops stt_link_ops;

int stt_peer_get(struct stt_net *sn, const struct in6_addr *addr);
void stt_peer_put(struct stt_net *sn, const struct in6_addr *addr);
bool stt_peer_known(struct stt_net *sn, const struct in6_addr *addr);

int stt_tunnels_init(struct stt_net *sn);
void stt_tunnels_exit(struct stt_net *sn);
int stt_tunnels_open(struct stt_net *sn);
struct stt_dev *stt_tunnel_find(struct stt_net *sn, u64 key,
				const struct stt_segment *seg);
int stt_tunnel_check(struct stt_net *sn, const struct stt_tunnel_id *id,
		     struct netlink_ext_ack *extack);
struct stt_tunnel *stt_tunnel_insert(struct stt_net *sn, struct stt_dev *stt,
				     const struct stt_tunnel_id *id);
void stt_tunnel_remove(struct stt_net *sn, struct stt_tunnel *tunnel);
struct stt_tunnel *stt_tunnel_prepare(struct stt_net *sn, struct stt_dev *stt,
				      const struct stt_tunnel_id *id,
				      struct netlink_ext_ack *extack);
void stt_tunnel_commit(struct stt_net *sn, struct stt_dev *stt,
		       struct stt_tunnel *tunnel);
void stt_tunnel_cancel(struct stt_net *sn, struct stt_dev *stt,
		       struct stt_tunnel *tunnel);

void stt_dev_setup(struct net_device *dev);
int stt_dev_add(struct net *net, struct net_device *dev,
		const struct stt_conf *conf, struct netlink_ext_ack *extack);
int stt_dev_change(struct stt_dev *stt, const struct stt_conf *conf,
		   struct netlink_ext_ack *extack);
void stt_dev_del(struct net_device *dev, struct list_head *head);
void stt_dev_lower_changed(struct net_device *lower, bool gone);

/**
 * stt_dev_drop() - drop a packet and say why
 * @stt: the device it came through
 * @skb: the packet, consumed
 * @cause: %STT_XSTATS_*
 */
void stt_dev_drop(struct stt_dev *stt, struct sk_buff *skb, int cause);
void stt_dev_count_drop(struct stt_dev *stt, int cause);
int stt_dev_set_fdb(struct stt_dev *stt, const struct stt_fdb_request *rq,
		    enum stt_fdb_tell tell, struct netlink_ext_ack *extack);

/* stt_event.c */

/**
 * struct stt_fdb_info - an FDB entry with one of its destinations
 * @mac: MAC address
 * @key: Context ID
 * @remote: the destination
 * @used: jiffies when it was last used to send
 * @updated: jiffies when it was last set or seen as a source
 * @state: NUD_*
 * @flags: NTF_*
 */
struct stt_fdb_info {
	const u8			*mac;
	u64				key;
	const struct stt_remote_id	*remote;
	unsigned long			used;
	unsigned long			updated;
	u16				state;
	u8				flags;
};

struct stt_fdb_filter;

int stt_event_fill_dev(struct sk_buff *skb, const struct stt_dev *stt,
		       u32 portid, u32 seq, int flags, u8 cmd);
int stt_event_fill_fdb(struct sk_buff *skb, const struct stt_dev *stt,
		       const struct stt_fdb_info *info,
		       const struct in6_addr *from, u32 portid, u32 seq,
		       int flags, u8 cmd);
int stt_event_put_flush(struct sk_buff *skb, const struct stt_dev *stt,
			const struct stt_fdb_filter *filter,
			unsigned int count);
int stt_event_fill_neigh(struct sk_buff *skb, const struct stt_dev *stt,
			 const struct stt_fdb_info *info, u32 portid, u32 seq,
			 int type, unsigned int flags);
void stt_event_neigh(const struct stt_dev *stt,
		     const struct stt_fdb_info *info, int type);
void stt_event_dev(const struct stt_dev *stt, u8 cmd);
void stt_event_fdb(const struct stt_dev *stt, const struct stt_fdb_info *info,
		   const struct in6_addr *from, u8 cmd);
void stt_event_flush(const struct stt_dev *stt,
		     const struct stt_fdb_filter *filter, unsigned int count);

/* stt_fdb.c */

static inline struct stt_fdb_id stt_fdb_id(const u8 *mac, u64 key)
{
	struct stt_fdb_id id = { .key = key };

	ether_addr_copy(id.mac, mac);
	return id;
}

/**
 * struct stt_fdb_cursor - how far a walk through an FDB has come
 * @ifindex: device
 * @mac: address of the next entry, if that still exists
 * @seq: number of the next entry, 0 for the first
 * @dest: number of its next destination, 0 for the first
 *
 * Must fit beside what the core keeps of a dump.
 */
struct stt_fdb_cursor {
	u32	ifindex;
	u8	mac[ETH_ALEN];
	u64	seq:40;
	u64	dest:40;
} __packed;

/**
 * struct stt_fdb_filter - which entries to flush
 * @addr: address of the destination, :: for any
 * @key: Context ID, if @by_key
 * @dst_key: Context ID to send with, if @by_dst_key
 * @port: port of the destination, 0 for any
 * @by_key: compare @key
 * @by_dst_key: compare @dst_key
 * @state_mask: bits of NUD_* to compare
 * @state: what they must be
 * @flags_mask: bits of NTF_* to compare
 * @flags: what they must be
 */
struct stt_fdb_filter {
	struct in6_addr	addr;
	u64		key;
	u64		dst_key;
	__be16		port;
	bool		by_key;
	bool		by_dst_key;
	u16		state_mask;
	u16		state;
	u8		flags_mask;
	u8		flags;
};

int stt_fdb_open(struct stt_dev *stt, const struct stt_conf *conf,
		 const struct stt_remote_id *remote,
		 const struct stt_fdb_request *rq, enum stt_fdb_tell tell,
		 struct netlink_ext_ack *extack);
void stt_fdb_clear(struct stt_dev *stt);
void stt_fdb_free(struct stt_dev *stt);
void stt_fdb_restart_ageing(struct stt_dev *stt, unsigned int ageing);
void stt_fdb_reset_routes(struct stt_dev *stt);
int stt_fdb_set_default(struct stt_dev *stt, const struct stt_remote_id *old,
			const struct stt_remote_id *new);
void stt_fdb_learn(struct stt_dev *stt, const struct stt_conf *conf,
		   const u8 *mac, u64 key, const struct in6_addr *addr,
		   int ifindex);
struct stt_remote *
stt_fdb_find(struct stt_dev *stt, struct sk_buff *skb, u64 key,
	     void (*send)(struct sk_buff *skb, struct stt_remote *remote,
			  const void *arg), const void *arg);
int stt_fdb_set(struct stt_dev *stt, const struct stt_fdb_request *rq,
		enum stt_fdb_tell tell, struct netlink_ext_ack *extack);
int stt_fdb_forget(struct stt_dev *stt, const struct stt_fdb_request *rq,
		   enum stt_fdb_tell tell);
bool stt_fdb_peek(struct stt_dev *stt, const struct stt_fdb_id *id,
		  struct stt_fdb_info *info);
unsigned int stt_fdb_purge(struct stt_dev *stt,
			   const struct stt_fdb_filter *filter);
bool stt_fdb_count(const struct stt_dev *stt, u32 *entries, u32 *learned);
int stt_fdb_walk(struct stt_dev *stt, struct stt_fdb_cursor *cursor,
		 int (*fn)(struct stt_dev *stt,
			   const struct stt_fdb_info *info, void *arg),
		 void *arg);

/* stt_fdb_netlink.c */

int stt_fdb_add(struct ndmsg *ndm, struct nlattr *tb[], struct net_device *dev,
		const unsigned char *mac, u16 vid, u16 nlflags, bool *notified,
		struct netlink_ext_ack *extack);
int stt_fdb_del(struct ndmsg *ndm, struct nlattr *tb[], struct net_device *dev,
		const unsigned char *mac, u16 vid, bool *notified,
		struct netlink_ext_ack *extack);
int stt_fdb_flush(struct net_device *dev, const struct ndmsg *ndm,
		  struct nlattr *tb[], u16 vid, struct netlink_ext_ack *extack);
int stt_fdb_dump(struct sk_buff *skb, struct netlink_callback *cb,
		 struct net_device *dev, struct net_device *filter_dev,
		 int *idx);
int stt_fdb_get(struct sk_buff *skb, struct nlattr *tb[],
		struct net_device *dev, const unsigned char *mac, u16 vid,
		u32 portid, u32 seq, struct netlink_ext_ack *extack);

/* stt_group.c */

struct stt_group *stt_group_join(struct net *net, const struct stt_conf *conf);
void stt_group_leave(struct stt_group *group);
bool stt_group_is_own(struct stt_net *sn, const struct stt_frame_id *frame);

/* stt_netlink.c */

struct rtnl_newlink_params;

int stt_newlink(struct net_device *dev, struct rtnl_newlink_params *params,
		struct netlink_ext_ack *extack);

/* stt_main.c */

static inline void stt_net_count(struct stt_net *sn, enum stt_net_counter c)
{
	struct stt_net_stats *stats = this_cpu_ptr(sn->stats);

	u64_stats_update_begin(&stats->syncp);
	u64_stats_inc(&stats->count[c]);
	u64_stats_update_end(&stats->syncp);
}

struct stt_net *stt_pernet(const struct net *net);
const char *stt_net_name(enum stt_net_counter c);
u64 stt_net_total(const struct stt_net *sn, enum stt_net_counter c);

/* stt_genl.c */

extern struct genl_family stt_genl_family;

int stt_genl_init(void);
void stt_genl_exit(void);

/* stt_xmit.c */

void stt_xmit_init(void);
netdev_tx_t stt_xmit(struct sk_buff *skb, struct net_device *dev);
int stt_fill_metadata_dst(struct net_device *dev, struct sk_buff *skb);
struct net_device *stt_xmit_lower(struct stt_dev *stt);

/* stt_route.c */

/**
 * struct stt_route_id - what a route depends on
 * @daddr: destination
 * @saddr: source address asked for, :: for any
 * @flow: DSCP and flow label
 * @oif: underlay device, 0 for any
 * @mark: firewall mark
 * @epoch: of the device's routes
 */
struct stt_route_id {
	struct in6_addr	daddr;
	struct in6_addr	saddr;
	__be32		flow;
	int		oif;
	u32		mark;
	u32		epoch;
};

struct stt_routes __percpu *stt_routes_new(void);
void stt_routes_clear(struct stt_routes __percpu *routes);
void stt_routes_free(struct stt_routes __percpu *routes);
struct dst_entry *stt_routes_get(struct stt_routes __percpu *routes,
				 const struct stt_route_id *id,
				 struct in6_addr *saddr);
void stt_routes_set(struct stt_routes __percpu *routes,
		    const struct stt_route_id *id, struct dst_entry *dst,
		    const struct in6_addr *saddr);

/* stt_metadata.c */

int stt_metadata_init(void);
void stt_metadata_exit(void);
int stt_metadata_set(struct sk_buff *skb, __be64 tun_id, __be64 key,
		     const struct stt_segment *seg);

/* stt_recv.c */

void stt_recv(struct stt_net *sn, struct sk_buff *skb, unsigned int thoff,
	      bool v6);

/* stt_pmtu.c */

void stt_pmtu_icmp(struct stt_net *sn, struct sk_buff *skb);
void stt_pmtu_icmp6(struct stt_net *sn, struct sk_buff *skb,
		    unsigned int offset);

#endif /* _STT_PRIVATE_H */
