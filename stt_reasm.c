// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: reassembly of frames from segments.
 *
 * Invariants:
 *  - A frame in the table lacks at least one byte.
 *  - A run is an skb that holds a contiguous piece of a frame. The runs of a
 *    frame are in a tree by offset; they neither overlap nor touch.
 *  - Bytes are never replaced: what arrived first stays.
 *  - @mem is the sum of @source, which is the sum over the frames in the
 *    table of what they are charged; a frame is charged what its segments
 *    occupied when they arrived.
 */
#include <linux/jhash.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/rbtree.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <net/inet_ecn.h>
#include <net/ipv6.h>

#include "stt_private.h"

/* Life of an incomplete frame. A data centre reorders by milliseconds. */
#define STT_REASM_TIMEOUT_MS	1000

/* Older frames looked at to find those to give up. */
#define STT_REASM_EVICT_SCAN	16

/* This part of the budget is much for one source. */
#define STT_REASM_MUCH		16

/**
 * struct stt_frame - a frame that is incomplete
 * @node: in the bucket
 * @list: in the shard, by age
 * @id: identity
 * @runs: what has arrived, by offset
 * @born: jiffies when the first segment arrived
 * @charge: bytes charged to its source
 * @total: length of the frame
 * @slot: source it is charged to
 * @ce: some segment carried a congestion mark
 */
struct stt_frame {
	struct hlist_node	node;
	struct list_head	list;
	struct stt_frame_id	id;
	struct rb_root_cached	runs;
	unsigned long		born;
	unsigned int		charge;
	u16			total;
	u8			slot;
	bool			ce;
};

/**
 * struct stt_run - control block of a run
 * @list: its fragment list
 * @offset: place in the frame
 * @dsfield: of the segment that the run begins with
 * @ttl: likewise
 */
struct stt_run {
	struct stt_skb_list	list;
	u16			offset;
	u8			dsfield;
	u8			ttl;
};

static struct kmem_cache *stt_frame_cache __read_mostly;

static struct stt_run *stt_run(struct sk_buff *skb)
{
	BUILD_BUG_ON(sizeof(struct stt_run) > sizeof(skb->cb));

	return (struct stt_run *)skb->cb;
}

static unsigned int stt_run_end(struct sk_buff *skb)
{
	return stt_run(skb)->offset + skb->len;
}

static u32 stt_frame_hash(const struct stt_reasm *r,
			  const struct stt_frame_id *id)
{
	static_assert(sizeof(*id) % sizeof(u32) == 0);

	return jhash2((const u32 *)id, sizeof(*id) / sizeof(u32), r->seed);
}

static u8 stt_source_slot(const struct stt_reasm *r,
			  const struct stt_frame_id *id)
{
	u32 hash = __ipv6_addr_jhash(&id->saddr, r->seed ^ id->scope);

	return reciprocal_scale(hash, STT_REASM_SOURCES);
}

static void stt_frame_free(struct stt_frame *frame)
{
	kmem_cache_free(stt_frame_cache, frame);
}

/* Take a frame out of the table; its runs become the caller's. */
static void stt_frame_unlink(struct stt_reasm *r,
			     struct stt_reasm_shard *shard,
			     struct stt_frame *frame)
{
	lockdep_assert_held(&shard->lock);

	hlist_del(&frame->node);
	list_del(&frame->list);
	atomic_sub(frame->charge, &r->source[frame->slot]);
	atomic_long_sub(frame->charge, &r->mem);
}

/* The tree node shares its place with the list pointers and the device. */
static void stt_run_reset(struct sk_buff *skb)
{
	skb->next = NULL;
	skb->prev = NULL;
	skb->dev = NULL;
}

static void stt_frame_drop(struct stt_frame *frame,
			   enum skb_drop_reason reason)
{
	struct sk_buff *skb, *next;

	rbtree_postorder_for_each_entry_safe(skb, next, &frame->runs.rb_root,
					     rbnode) {
		stt_run_reset(skb);
		kfree_skb_reason(skb, reason);
	}
	stt_frame_free(frame);
}

static struct stt_frame *stt_frame_find(struct stt_reasm *r,
					struct stt_reasm_shard *shard,
					struct hlist_head *bucket,
					const struct stt_frame_id *id)
{
	struct stt_frame *frame;

	lockdep_assert_held(&shard->lock);

	hlist_for_each_entry(frame, bucket, node)
		if (!memcmp(&frame->id, id, sizeof(*id)))
			return frame;
	return NULL;
}

static struct stt_frame *stt_frame_new(struct stt_reasm *r,
				       struct stt_reasm_shard *shard,
				       struct hlist_head *bucket,
				       const struct stt_segment *seg, u8 slot)
{
	struct stt_frame *frame;

	lockdep_assert_held(&shard->lock);

	/* One for each frame that GRO left in pieces, none for the others. */
	frame = kmem_cache_zalloc(stt_frame_cache, GFP_ATOMIC);
	if (!frame)
		return NULL;
	frame->id = seg->frame;
	frame->total = seg->total;
	frame->slot = slot;
	frame->runs = RB_ROOT_CACHED;
	frame->born = jiffies;
	hlist_add_head(&frame->node, bucket);
	list_add_tail(&frame->list, &shard->frames);
	return frame;
}

/*
 * A source may hold as much as it leaves free, on top of what it holds. One
 * that holds little may fill the rest, too: it is not the one that took it.
 */
static bool stt_source_may_hold(struct stt_reasm *r, long held, bool little,
				long more)
{
	long unused = READ_ONCE(r->budget) - atomic_long_read(&r->mem) - more;

	return held + more <= unused || (little && unused >= 0);
}

/*
 * Give up old frames to make room for a newer one. A source that holds much
 * can only give up its own. One that holds little takes the place of the
 * oldest frame: among the frames of very many sources, which somebody has made
 * up, it is the least likely to be completed, and what arrives in time is the
 * last to go.
 */
static bool stt_reasm_make_room(struct stt_reasm *r,
				struct stt_reasm_shard *shard,
				const struct stt_frame *keep, u8 slot,
				unsigned int more)
{
	long much = READ_ONCE(r->budget) / STT_REASM_MUCH;
	struct stt_frame *frame, *next;
	bool little;
	int scan = 0;
	long held;

	lockdep_assert_held(&shard->lock);

	held = atomic_read(&r->source[slot]);
	little = held + more <= much;
	list_for_each_entry_safe(frame, next, &shard->frames, list) {
		if (stt_source_may_hold(r, held, little, more))
			return true;
		if (++scan > STT_REASM_EVICT_SCAN)
			break;
		if ((frame->slot != slot && !little) || frame == keep)
			continue;
		stt_frame_unlink(r, shard, frame);
		stt_frame_drop(frame, SKB_DROP_REASON_NOMEM);
		atomic_long_inc(&r->evictions);
		held = atomic_read(&r->source[slot]);
	}
	return stt_source_may_hold(r, held, little, more);
}

static void stt_run_init(struct sk_buff *skb, const struct stt_segment *seg)
{
	struct stt_run *run = stt_run(skb);

	run->offset = seg->offset;
	run->dsfield = seg->dsfield;
	run->ttl = seg->ttl;
	stt_skb_list(skb, &run->list);
}

static void stt_run_insert(struct stt_frame *frame, struct sk_buff *skb,
			   struct sk_buff *prev)
{
	struct rb_node **link = &frame->runs.rb_root.rb_node;
	struct rb_node *parent = NULL;

	if (prev) {
		parent = &prev->rbnode;
		link = &parent->rb_right;
		while (*link) {
			parent = *link;
			link = &parent->rb_left;
		}
	} else {
		while (*link) {
			parent = *link;
			link = &parent->rb_left;
		}
	}
	rb_link_node(&skb->rbnode, parent, link);
	rb_insert_color_cached(&skb->rbnode, &frame->runs, !prev);
}

static void stt_run_remove(struct stt_frame *frame, struct sk_buff *skb)
{
	rb_erase_cached(&skb->rbnode, &frame->runs);
	stt_run_reset(skb);
}

/* The last run that begins at or before @offset, NULL if there is none. */
static struct sk_buff *stt_run_before(struct stt_frame *frame,
				      unsigned int offset)
{
	struct rb_node *node = frame->runs.rb_root.rb_node;
	struct sk_buff *best = NULL;

	while (node) {
		struct sk_buff *skb = rb_to_skb(node);

		if (stt_run(skb)->offset <= offset) {
			best = skb;
			node = node->rb_right;
		} else {
			node = node->rb_left;
		}
	}
	return best;
}

/* Put a segment into its frame; the skb is consumed only if it is HELD. */
static enum stt_reasm_verdict stt_frame_insert(struct stt_frame *frame,
					       struct sk_buff *skb)
{
	unsigned int offset = stt_run(skb)->offset;
	struct sk_buff *prev, *next;
	struct rb_node *node;

	prev = stt_run_before(frame, offset);
	node = prev ? rb_next(&prev->rbnode) : rb_first_cached(&frame->runs);
	next = node ? rb_to_skb(node) : NULL;

	if (prev && stt_run_end(prev) > offset)
		return stt_run_end(prev) >= stt_run_end(skb) ?
		       STT_REASM_DUPLICATE : STT_REASM_OVERLAP;
	if (next && stt_run_end(skb) > stt_run(next)->offset)
		return STT_REASM_OVERLAP;

	if (prev && stt_run_end(prev) == offset) {
		stt_skb_append(prev, &stt_run(prev)->list, skb,
			       &stt_run(skb)->list);
		skb = prev;
	} else {
		stt_run_insert(frame, skb, prev);
	}

	if (next && stt_run_end(skb) == stt_run(next)->offset) {
		stt_run_remove(frame, next);
		stt_skb_join(skb, &stt_run(skb)->list, next,
			     &stt_run(next)->list);
	}
	return STT_REASM_HELD;
}

/* The whole frame, if it is one run, taken from its frame. */
static struct sk_buff *stt_frame_complete(struct stt_frame *frame,
					  struct stt_segment *seg)
{
	struct sk_buff *skb = rb_to_skb(rb_first_cached(&frame->runs));

	if (skb->len != frame->total)
		return NULL;

	stt_run_remove(frame, skb);
	seg->offset = 0;
	seg->dsfield = stt_run(skb)->dsfield;
	seg->ttl = stt_run(skb)->ttl;
	if (frame->ce)
		seg->dsfield |= INET_ECN_CE;
	return skb;
}

/**
 * stt_reasm_add() - take a segment, give back a frame if it is the last missing
 * @r: the table
 * @skb: payload of the segment, at least one byte; consumed
 * @seg: what its headers say, @seg->offset + @skb->len <= @seg->total; on
 *	return of a frame, DSCP and TTL are those of its first segment, and ECN
 *	is CE if any segment had it (draft section 3.3.1)
 * @verdict: set if there is no frame to return
 *
 * Context: softirq.
 * Return: an skb that holds the frame from its header on, or NULL.
 */
struct sk_buff *stt_reasm_add(struct stt_reasm *r, struct sk_buff *skb,
			      struct stt_segment *seg,
			      enum stt_reasm_verdict *verdict)
{
	unsigned int charge = skb->truesize + sizeof(struct stt_frame);
	u32 hash = stt_frame_hash(r, &seg->frame);
	struct stt_reasm_shard *shard = &r->shard[hash % STT_REASM_SHARDS];
	struct hlist_head *bucket = &r->bucket[hash % STT_REASM_BUCKETS];
	u8 slot = stt_source_slot(r, &seg->frame);
	struct sk_buff *whole = NULL;
	struct stt_frame *frame;
	unsigned long life;
	bool first = false;

	if (stt_skb_own(skb)) {
		*verdict = STT_REASM_NOMEM;
		kfree_skb_reason(skb, SKB_DROP_REASON_NOMEM);
		return NULL;
	}
	stt_run_init(skb, seg);

	spin_lock(&shard->lock);
	frame = stt_frame_find(r, shard, bucket, &seg->frame);
	*verdict = STT_REASM_LENGTH;
	if (frame && frame->total != seg->total)
		goto refuse;
	*verdict = STT_REASM_BUDGET;
	if (!stt_reasm_make_room(r, shard, frame, slot, charge))
		goto refuse;
	if (!frame) {
		first = true;
		frame = stt_frame_new(r, shard, bucket, seg, slot);
		*verdict = STT_REASM_NOMEM;
		if (!frame)
			goto refuse;
	}
	frame->charge += charge;
	atomic_add(charge, &r->source[slot]);
	atomic_long_add(charge, &r->mem);

	*verdict = stt_frame_insert(frame, skb);
	if (*verdict != STT_REASM_HELD)
		goto refuse_charged;
	skb = NULL;
	frame->ce |= INET_ECN_is_ce(seg->dsfield);
	whole = stt_frame_complete(frame, seg);
	if (whole) {
		stt_frame_unlink(r, shard, frame);
		stt_frame_free(frame);
	}
	spin_unlock(&shard->lock);

	if (first) {
		/* The reaper looks at @mem when it is no longer pending. */
		smp_mb__after_atomic();
		life = msecs_to_jiffies(READ_ONCE(r->timeout_ms));
		if (!delayed_work_pending(&r->reaper))
			schedule_delayed_work(&r->reaper, life / 4 + 1);
	}
	return whole;

refuse_charged:
	frame->charge -= charge;
	atomic_sub(charge, &r->source[slot]);
	atomic_long_sub(charge, &r->mem);
refuse:
	spin_unlock(&shard->lock);
	kfree_skb_reason(skb, *verdict == STT_REASM_DUPLICATE ?
			      SKB_DROP_REASON_DUP_FRAG :
			      SKB_DROP_REASON_NOT_SPECIFIED);
	return NULL;
}

static void stt_reasm_expire(struct stt_reasm *r,
			     struct stt_reasm_shard *shard, unsigned long life)
{
	struct stt_frame *frame, *next;

	spin_lock_bh(&shard->lock);
	list_for_each_entry_safe(frame, next, &shard->frames, list) {
		if (time_before(jiffies, frame->born + life))
			break;
		stt_frame_unlink(r, shard, frame);
		stt_frame_drop(frame, SKB_DROP_REASON_FRAG_REASM_TIMEOUT);
		atomic_long_inc(&r->timeouts);
	}
	spin_unlock_bh(&shard->lock);
}

static void stt_reasm_reap(struct work_struct *work)
{
	struct stt_reasm *r = container_of(to_delayed_work(work),
					   struct stt_reasm, reaper);
	unsigned long life = msecs_to_jiffies(READ_ONCE(r->timeout_ms));
	unsigned int i;

	for (i = 0; i < STT_REASM_SHARDS; i++)
		stt_reasm_expire(r, &r->shard[i], life);
	if (atomic_long_read(&r->mem))
		schedule_delayed_work(&r->reaper, life / 4 + 1);
}

/**
 * stt_reasm_init() - prepare a table
 * @r: the table, zeroed
 *
 * Return: 0 or -ENOMEM.
 */
int stt_reasm_init(struct stt_reasm *r)
{
	unsigned int i;

	r->bucket = kvcalloc(STT_REASM_BUCKETS, sizeof(*r->bucket),
			     GFP_KERNEL_ACCOUNT);
	r->shard = kvcalloc(STT_REASM_SHARDS, sizeof(*r->shard),
			    GFP_KERNEL_ACCOUNT);
	if (!r->bucket || !r->shard) {
		kvfree(r->bucket);
		kvfree(r->shard);
		r->bucket = NULL;
		r->shard = NULL;
		return -ENOMEM;
	}
	for (i = 0; i < STT_REASM_SHARDS; i++) {
		spin_lock_init(&r->shard[i].lock);
		INIT_LIST_HEAD(&r->shard[i].frames);
	}
	r->seed = get_random_u32();
	INIT_DELAYED_WORK(&r->reaper, stt_reasm_reap);
	return 0;
}

/**
 * stt_reasm_exit() - drop all incomplete frames and free a table
 * @r: the table; nobody adds to it any more
 *
 * Context: process.
 */
void stt_reasm_exit(struct stt_reasm *r)
{
	unsigned int i;

	if (!r->bucket)
		return;
	cancel_delayed_work_sync(&r->reaper);
	for (i = 0; i < STT_REASM_SHARDS; i++)
		stt_reasm_expire(r, &r->shard[i], 0);
	WARN_ON_ONCE(atomic_long_read(&r->mem));
	kvfree(r->bucket);
	kvfree(r->shard);
	r->bucket = NULL;
	r->shard = NULL;
}

/**
 * stt_reasm_default_budget() - budget that a table begins with
 *
 * Return: 1/128 of the memory, at least 4 and at most 64 MiB.
 */
unsigned long stt_reasm_default_budget(void)
{
	u64 mem = (u64)totalram_pages() << PAGE_SHIFT;

	return clamp_t(u64, mem / 128, SZ_4M, SZ_64M);
}

/**
 * stt_reasm_defaults() - set the limits of a table to their defaults
 * @r: the table
 */
void stt_reasm_defaults(struct stt_reasm *r)
{
	r->budget = stt_reasm_default_budget();
	r->timeout_ms = STT_REASM_TIMEOUT_MS;
}

/**
 * stt_reasm_limit() - change the limits of a table
 * @r: the table
 * @budget: most bytes held
 * @timeout_ms: life of an incomplete frame
 *
 * What is held above a lower budget goes with time.
 *
 * Context: process, RTNL held.
 */
void stt_reasm_limit(struct stt_reasm *r, unsigned long budget,
		     unsigned int timeout_ms)
{
	WRITE_ONCE(r->budget, budget);
	WRITE_ONCE(r->timeout_ms, timeout_ms);
	if (r->bucket)
		mod_delayed_work(system_wq, &r->reaper, 0);
}

/**
 * stt_reasm_frames() - count the incomplete frames
 * @r: the table
 *
 * Context: process, RTNL held.
 * Return: how many there are.
 */
unsigned int stt_reasm_frames(struct stt_reasm *r)
{
	unsigned int i, count = 0;
	struct list_head *entry;

	for (i = 0; r->bucket && i < STT_REASM_SHARDS; i++) {
		spin_lock_bh(&r->shard[i].lock);
		list_for_each(entry, &r->shard[i].frames)
			count++;
		spin_unlock_bh(&r->shard[i].lock);
	}
	return count;
}

/**
 * stt_reasm_cache_init() - prepare what all tables share
 *
 * Return: 0 or -ENOMEM.
 */
int __init stt_reasm_cache_init(void)
{
	stt_frame_cache = KMEM_CACHE(stt_frame, 0);
	return stt_frame_cache ? 0 : -ENOMEM;
}

/**
 * stt_reasm_cache_exit() - free what all tables share
 */
void stt_reasm_cache_exit(void)
{
	kmem_cache_destroy(stt_frame_cache);
}

#ifdef DEBUG
#include "stt_reasm_test.c"
#endif
