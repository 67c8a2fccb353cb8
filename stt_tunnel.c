// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: which device a received frame is for, and
 * which addresses tunnels lead to.
 *
 * A namespace has a table of identities, each with its device. Changes are
 * made under RTNL; frames find their device under RCU, mostly by a note of
 * where the last one like it went.
 */
#include <linux/hash.h>
#include <linux/jhash.h>
#include <linux/local_lock.h>
#include <linux/netdevice.h>
#include <linux/percpu.h>
#include <linux/rhashtable.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <net/ipv6.h>

#include "stt_private.h"

/* Identities are set by the administrator: no need to withstand an attacker. */
static u32 stt_tunnel_hash(const void *data, u32 len, u32 seed)
{
	const struct stt_tunnel_id *id = data;
	const __be32 *r = id->remote.s6_addr32, *l = id->local.s6_addr32;

	/* The kind shows in which of the rest are zero. */
	return jhash_3words((u32)id->key ^ (__force u32)(r[3] ^ r[1]),
			    (u32)(id->key >> 32) ^ (__force u32)(r[2] ^ r[0]),
			    (__force u32)(l[0] ^ l[1] ^ l[2] ^ l[3]) ^
			    id->scope ^ (__force u16)id->port, seed);
}

/**
 * struct stt_tunnel - an identity and the device that has it
 * @node: in the table of tunnels
 * @id: the identity
 * @stt: the device
 * @rcu: frees it after its last reader
 */
struct stt_tunnel {
	struct rhash_head	node;
	struct stt_tunnel_id	id;
	struct stt_dev		*stt;
	struct rcu_head		rcu;
};

/* Most lookups find what they want: compare the likeliest difference first. */
static int stt_tunnel_cmp(struct rhashtable_compare_arg *arg, const void *obj)
{
	const struct stt_tunnel_id *id = arg->key;
	const struct stt_tunnel *tunnel = obj;

	return id->key != tunnel->id.key ||
	       !ipv6_addr_equal(&id->remote, &tunnel->id.remote) ||
	       !ipv6_addr_equal(&id->local, &tunnel->id.local) ||
	       id->scope != tunnel->id.scope || id->port != tunnel->id.port ||
	       id->kind != tunnel->id.kind;
}

static const struct rhashtable_params stt_tunnel_params = {
	.key_len = sizeof(struct stt_tunnel_id),
	.obj_cmpfn = stt_tunnel_cmp,
	.key_offset = offsetof(struct stt_tunnel, id),
	.head_offset = offsetof(struct stt_tunnel, node),
	.hashfn = stt_tunnel_hash,
	.automatic_shrinking = true,
};

/**
 * struct stt_peer - an address that some tunnel of a namespace leads to
 * @node: in the table of peers
 * @addr: the address
 * @users: remotes with that address, under the lock of peers
 * @rcu: frees it after its last reader
 */
struct stt_peer {
	struct rhash_head	node;
	struct in6_addr		addr;
	unsigned int		users;
	struct rcu_head		rcu;
};

static const struct rhashtable_params stt_peer_params = {
	.key_len = sizeof(struct in6_addr),
	.key_offset = offsetof(struct stt_peer, addr),
	.head_offset = offsetof(struct stt_peer, node),
	.automatic_shrinking = true,
};

/**
 * stt_tunnels_init() - prepare the tables of a namespace
 * @sn: the namespace
 *
 * Return: 0 or -ENOMEM.
 */
int stt_tunnels_init(struct stt_net *sn)
{
	int err;

	spin_lock_init(&sn->peers_lock);
	err = rhashtable_init(&sn->tunnels, &stt_tunnel_params);
	if (err)
		return err;
	err = rhashtable_init(&sn->peers, &stt_peer_params);
	if (err)
		rhashtable_destroy(&sn->tunnels);
	return err;
}

/**
 * stt_tunnels_exit() - free the tables of a namespace, which are empty
 * @sn: the namespace
 */
void stt_tunnels_exit(struct stt_net *sn)
{
	WARN_ON_ONCE(atomic_read(&sn->tunnels.nelems) ||
		     atomic_read(&sn->peers.nelems));
	rhashtable_destroy(&sn->peers);
	rhashtable_destroy(&sn->tunnels);
	free_percpu(sn->notes);
}

/**
 * stt_peer_get() - note that a tunnel leads to an address
 * @sn: namespace
 * @addr: the address
 *
 * Return: 0 or -ENOMEM.
 */
int stt_peer_get(struct stt_net *sn, const struct in6_addr *addr)
{
	struct stt_peer *peer;
	int err = 0;

	spin_lock_bh(&sn->peers_lock);
	peer = rhashtable_lookup_fast(&sn->peers, addr, stt_peer_params);
	if (peer) {
		peer->users++;
		goto unlock;
	}
	err = -ENOMEM;
	peer = kzalloc(sizeof(*peer), STT_GFP_ENTRY);
	if (!peer)
		goto unlock;
	peer->addr = *addr;
	peer->users = 1;
	err = rhashtable_insert_fast(&sn->peers, &peer->node, stt_peer_params);
	if (err)
		kfree(peer);
unlock:
	spin_unlock_bh(&sn->peers_lock);
	return err;
}

/**
 * stt_peer_put() - a tunnel no longer leads to an address
 * @sn: namespace
 * @addr: the address
 */
void stt_peer_put(struct stt_net *sn, const struct in6_addr *addr)
{
	struct stt_peer *peer;

	spin_lock_bh(&sn->peers_lock);
	peer = rhashtable_lookup_fast(&sn->peers, addr, stt_peer_params);
	if (!WARN_ON_ONCE(!peer) && !--peer->users) {
		rhashtable_remove_fast(&sn->peers, &peer->node,
				       stt_peer_params);
		kfree_rcu(peer, rcu);
	}
	spin_unlock_bh(&sn->peers_lock);
}

/**
 * stt_peer_known() - does some tunnel lead to an address?
 * @sn: namespace
 * @addr: the address
 *
 * Context: RCU read lock held.
 * Return: whether it does.
 */
bool stt_peer_known(struct stt_net *sn, const struct in6_addr *addr)
{
	const unsigned long external = GENMASK(STT_SHAPES - 1, STT_SHAPES - 4);

	/* An external device may have been told to send to anyone. */
	return READ_ONCE(sn->shape_mask) & external ||
	       rhashtable_lookup(&sn->peers, addr, stt_peer_params);
}

/**
 * struct stt_shape - which parts of an identity are fixed
 * @kind: enum stt_kind
 * @remote: the far end is
 * @local: the near end is
 */
struct stt_shape {
	u16	kind;
	bool	remote;
	bool	local;
};

/* The most exact first. */
static const struct stt_shape stt_shapes[STT_SHAPES] = {
	{ STT_KIND_KEY, true, true },
	{ STT_KIND_KEY, true, false },
	{ STT_KIND_KEY, false, true },
	{ STT_KIND_KEY, false, false },
	{ STT_KIND_BASE, false, true },
	{ STT_KIND_BASE, false, false },
	{ STT_KIND_ANY, false, true },
	{ STT_KIND_ANY, false, false },
};

static int stt_tunnel_shape(const struct stt_tunnel_id *id)
{
	int i;

	for (i = 0; i < STT_SHAPES - 1; i++)
		if (stt_shapes[i].kind == id->kind &&
		    stt_shapes[i].remote == !ipv6_addr_any(&id->remote) &&
		    stt_shapes[i].local == !ipv6_addr_any(&id->local))
			break;
	return i;
}

/* Of what was found before, nothing may be taken for granted any more. */
static void stt_tunnels_changed(struct stt_net *sn)
{
	/* Pairs with stt_tunnel_find(). */
	smp_store_release(&sn->tunnel_changes, sn->tunnel_changes + 1);
}

/**
 * stt_tunnel_insert() - let a device be found by an identity
 * @sn: namespace of its underlay
 * @stt: the device
 * @id: the identity
 *
 * Context: process, RTNL held.
 * Return: its place in the table, or ERR_PTR(): -EEXIST, -ENOMEM.
 */
struct stt_tunnel *stt_tunnel_insert(struct stt_net *sn, struct stt_dev *stt,
				     const struct stt_tunnel_id *id)
{
	int shape = stt_tunnel_shape(id);
	struct stt_tunnel *tunnel;
	int err;

	ASSERT_RTNL();

	tunnel = kzalloc(sizeof(*tunnel), GFP_KERNEL_ACCOUNT);
	if (!tunnel)
		return ERR_PTR(-ENOMEM);
	tunnel->id = *id;
	tunnel->stt = stt;
	err = rhashtable_lookup_insert_fast(&sn->tunnels, &tunnel->node,
					    stt_tunnel_params);
	if (err) {
		kfree(tunnel);
		return ERR_PTR(err);
	}
	if (!sn->shapes[shape]++)
		WRITE_ONCE(sn->shape_mask, sn->shape_mask | BIT(shape));
	stt_tunnels_changed(sn);
	return tunnel;
}

/**
 * stt_tunnel_remove() - let a device no longer be found by an identity
 * @sn: namespace of its underlay
 * @tunnel: the identity's place in the table, which ends
 *
 * Context: process, RTNL held. The device must outlive a grace period.
 */
void stt_tunnel_remove(struct stt_net *sn, struct stt_tunnel *tunnel)
{
	int shape = stt_tunnel_shape(&tunnel->id);

	ASSERT_RTNL();

	rhashtable_remove_fast(&sn->tunnels, &tunnel->node, stt_tunnel_params);
	if (!--sn->shapes[shape])
		WRITE_ONCE(sn->shape_mask, sn->shape_mask & ~BIT(shape));
	stt_tunnels_changed(sn);
	kfree_rcu(tunnel, rcu);
}

static struct stt_dev *stt_tunnel_lookup(struct stt_net *sn, u64 key,
					 const struct stt_segment *seg)
{
	static const u64 mask[] = {
		[STT_KIND_KEY] = U64_MAX,
		[STT_KIND_BASE] = ~(u64)U32_MAX,
		[STT_KIND_ANY] = 0,
	};
	const struct stt_frame_id *frame = &seg->frame;
	const struct stt_shape *shape;
	struct stt_tunnel_id id = {
		.port = frame->dport,
	};
	struct stt_tunnel *tunnel;
	unsigned long i, shapes;

	shapes = READ_ONCE(sn->shape_mask);
	for_each_set_bit(i, &shapes, STT_SHAPES) {
		shape = &stt_shapes[i];
		id.kind = shape->kind;
		id.key = key & mask[shape->kind];
		id.remote = shape->remote ? frame->saddr : in6addr_any;
		id.scope = shape->remote ? frame->scope : seg->domain;
		id.local = shape->local ? frame->daddr : in6addr_any;
		tunnel = rhashtable_lookup(&sn->tunnels, &id,
					   stt_tunnel_params);
		if (tunnel)
			return tunnel->stt;
	}
	return NULL;
}

/**
 * struct stt_tunnel_note - the device that a frame was for
 * @key: its Context ID
 * @saddr: its outer source
 * @daddr: its outer destination
 * @scope: L3 domain of the source, as in &struct stt_frame_id
 * @domain: L3 domain it arrived in
 * @dport: its destination port
 * @changes: of the table of tunnels until then; 0 if the note is empty
 * @stt: the device, to be touched only if there was no change since
 *
 * Before a device goes, its tunnel does, and then a grace period passes.
 */
struct stt_tunnel_note {
	u64			key;
	struct in6_addr		saddr;
	struct in6_addr		daddr;
	u32			scope;
	u32			domain;
	__be16			dport;
	unsigned long		changes;
	struct stt_dev		*stt;
};

/* The latest frames of a CPU have this many different tunnels, or fewer. */
#define STT_TUNNEL_NOTE_BITS	4

/**
 * struct stt_tunnel_notes - the notes of a CPU
 * @bh_lock: held while a note is read or written
 * @note: by hash of Context ID and source
 */
struct stt_tunnel_notes {
	local_lock_t		bh_lock;
	struct stt_tunnel_note	note[1 << STT_TUNNEL_NOTE_BITS];
};

/**
 * stt_tunnels_open() - make ready for frames
 * @sn: namespace that is about to open its first port
 *
 * What this takes is kept until the namespace ends.
 *
 * Context: process, RTNL held.
 * Return: 0 or -ENOMEM.
 */
int stt_tunnels_open(struct stt_net *sn)
{
	int cpu;

	if (sn->notes)
		return 0;
	sn->notes = alloc_percpu_gfp(struct stt_tunnel_notes,
				     GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!sn->notes)
		return -ENOMEM;
	for_each_possible_cpu(cpu)
		local_lock_init(&per_cpu_ptr(sn->notes, cpu)->bh_lock);
	return 0;
}

static struct stt_tunnel_note *
stt_tunnel_note_slot(struct stt_net *sn, u64 key,
		     const struct stt_frame_id *frame)
{
	u32 hash = (u32)key ^ (__force u32)frame->saddr.s6_addr32[3];

	return &this_cpu_ptr(sn->notes)->note[hash_32(hash,
						      STT_TUNNEL_NOTE_BITS)];
}

static bool stt_tunnel_note_is(const struct stt_tunnel_note *note, u64 key,
			       const struct stt_segment *seg)
{
	const struct stt_frame_id *frame = &seg->frame;

	return note->key == key && note->dport == frame->dport &&
	       ipv6_addr_equal(&note->saddr, &frame->saddr) &&
	       ipv6_addr_equal(&note->daddr, &frame->daddr) &&
	       note->scope == frame->scope && note->domain == seg->domain;
}

static void stt_tunnel_note_set(struct stt_tunnel_note *note, u64 key,
				const struct stt_segment *seg,
				unsigned long changes, struct stt_dev *stt)
{
	note->key = key;
	note->saddr = seg->frame.saddr;
	note->daddr = seg->frame.daddr;
	note->scope = seg->frame.scope;
	note->domain = seg->domain;
	note->dport = seg->frame.dport;
	note->changes = changes;
	note->stt = stt;
}

/**
 * stt_tunnel_find() - the device that a received frame is for
 * @sn: namespace it arrived in
 * @key: its Context ID
 * @seg: where it comes from and went to
 *
 * Context: bottom halves disabled, RCU read lock held.
 * Return: the device whose identity matches most exactly, or NULL.
 */
struct stt_dev *stt_tunnel_find(struct stt_net *sn, u64 key,
				const struct stt_segment *seg)
{
	struct stt_tunnel_note *note;
	unsigned long changes;
	struct stt_dev *stt;

	local_lock_nested_bh(&sn->notes->bh_lock);
	note = stt_tunnel_note_slot(sn, key, &seg->frame);
	/* Pairs with stt_tunnels_changed(). */
	changes = smp_load_acquire(&sn->tunnel_changes);
	if (likely(note->changes == changes &&
		   stt_tunnel_note_is(note, key, seg))) {
		stt = note->stt;
		goto out;
	}

	/*
	 * A device that gets another identity here may be looked for under
	 * the new one too early and under the old one too late: look again.
	 */
	for (;;) {
		stt = stt_tunnel_lookup(sn, key, seg);
		smp_rmb(); /* pairs with stt_tunnel_commit() */
		if (likely(changes == READ_ONCE(sn->tunnel_changes)))
			break;
		/* As above. */
		changes = smp_load_acquire(&sn->tunnel_changes);
	}
	if (stt)
		stt_tunnel_note_set(note, key, seg, changes, stt);
out:
	local_unlock_nested_bh(&sn->notes->bh_lock);
	return stt;
}

/**
 * stt_tunnel_check() - refuse an identity that another device has
 * @sn: namespace of the underlay
 * @id: the identity
 * @extack: told what stands in the way
 *
 * Context: process, RTNL held.
 * Return: 0 or -EEXIST.
 */
int stt_tunnel_check(struct stt_net *sn, const struct stt_tunnel_id *id,
		     struct netlink_ext_ack *extack)
{
	if (!rhashtable_lookup_fast(&sn->tunnels, id, stt_tunnel_params))
		return 0;
	if (id->kind != STT_KIND_KEY)
		NL_SET_ERR_MSG(extack,
			       "An external device with this port, local address and keybase exists");
	else if (ipv6_addr_any(&id->remote))
		NL_SET_ERR_MSG(extack,
			       "A device for any remote with this id, local address and port exists");
	else
		NL_SET_ERR_MSG(extack,
			       "A device with this id, remote, local address and port exists");
	return -EEXIST;
}

/**
 * stt_tunnel_prepare() - let a device hear a second identity, its next one
 * @sn: namespace of its underlay
 * @stt: the device
 * @id: the identity
 * @extack: told what stands in the way
 *
 * That is all of a change of identity that can fail: stt_tunnel_commit() or
 * stt_tunnel_cancel() takes one of the two away again.
 *
 * Context: process, RTNL held.
 * Return: its place in the table, which may be that of the identity it has; or
 * ERR_PTR(): -EEXIST, -ENOMEM.
 */
struct stt_tunnel *stt_tunnel_prepare(struct stt_net *sn, struct stt_dev *stt,
				      const struct stt_tunnel_id *id,
				      struct netlink_ext_ack *extack)
{
	int err;

	if (!memcmp(id, &stt->id, sizeof(*id)))
		return stt->tunnel;
	err = stt_tunnel_check(sn, id, extack);
	if (err)
		return ERR_PTR(err);
	return stt_tunnel_insert(sn, stt, id);
}

/**
 * stt_tunnel_commit() - let a device hear its new identity alone
 * @sn: namespace of its underlay
 * @stt: the device
 * @tunnel: what stt_tunnel_prepare() has returned
 *
 * Context: process, RTNL held.
 */
void stt_tunnel_commit(struct stt_net *sn, struct stt_dev *stt,
		       struct stt_tunnel *tunnel)
{
	if (tunnel == stt->tunnel)
		return;
	/* Who sees the old one go sees that there was a new one before. */
	smp_wmb(); /* pairs with stt_tunnel_find() */
	stt_tunnel_remove(sn, stt->tunnel);
	stt->tunnel = tunnel;
	/* The rest is read without RTNL, and never changes. */
	stt->id.remote = tunnel->id.remote;
	stt->id.local = tunnel->id.local;
	stt->id.scope = tunnel->id.scope;
}

/**
 * stt_tunnel_cancel() - let a device hear its old identity alone
 * @sn: namespace of its underlay
 * @stt: the device
 * @tunnel: what stt_tunnel_prepare() has returned
 *
 * Context: process, RTNL held.
 */
void stt_tunnel_cancel(struct stt_net *sn, struct stt_dev *stt,
		       struct stt_tunnel *tunnel)
{
	if (tunnel != stt->tunnel)
		stt_tunnel_remove(sn, tunnel);
}
