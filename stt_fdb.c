// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: which remote a MAC address lives behind.
 *
 * Entries are found by (MAC, Context ID), as one external device may serve
 * many virtual networks. An entry for a unicast address has one destination;
 * the all-zero address and multicast ones have any number, each of which gets
 * a copy. Destinations are shared by the entries of a device, and with them
 * the cached routes: a hundred thousand addresses live behind few remotes.
 *
 * Invariants:
 *  - Tables, lists and counts change under the lock of the table.
 *  - A remote is in its table as long as an entry has it for a destination.
 *  - Readers are under RCU; they find every entry with a destination. What
 *    they read of an entry besides its identity is marked.
 */
#include <linux/etherdevice.h>
#include <linux/inetdevice.h>
#include <linux/jhash.h>
#include <linux/neighbour.h>
#include <linux/rculist.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/stt_genl.h>
#include <net/ipv6.h>
#include <net/neighbour.h>
#include <net/netlink.h>
#include <net/rtnetlink.h>

#include "stt_private.h"

/* Ages are looked at four times in a lifetime, within these bounds. */
#define STT_AGE_INTERVAL_MIN	(HZ / 10)
#define STT_AGE_INTERVAL_MAX	(10 * HZ)

/* Entries removed before others get the lock and the CPU. */
#define STT_FDB_BATCH		256

/**
 * struct stt_fdb - an entry
 * @node: in the table of entries
 * @id: what it is found by
 * @remote: destination of a unicast address
 * @dests: destinations of any other address
 * @used: jiffies when it was last used to send
 * @updated: jiffies when it was last set or seen as a source
 * @seq: lower part of its number, in the order of the list
 * @state: NUD_*
 * @flags: NTF_*
 * @seq_high: upper part
 * @list: in the list of entries, in the order of their making
 * @rcu: frees it after its last reader
 *
 * A hundred thousand of them should not need a larger slab.
 */
struct stt_fdb {
	struct rhash_head		node;
	struct stt_fdb_id		id;
	struct stt_remote __rcu		*remote;
	struct hlist_head		dests;
	unsigned long			used;
	unsigned long			updated;
	u32				seq;
	u16				state;
	u8				flags;
	u8				seq_high;
	struct list_head		list;
	struct rcu_head			rcu;
};

/**
 * struct stt_dest - one of several destinations of an entry
 * @node: in its list
 * @remote: the destination
 * @seq: number, in the order of the list
 * @rcu: frees it after its last reader
 */
struct stt_dest {
	struct hlist_node	node;
	struct stt_remote	*remote;
	u64			seq;
	struct rcu_head		rcu;
};

/**
 * struct stt_fdb_table - forwarding database of a device
 * @entries: entries by (MAC, Context ID)
 * @remotes: destinations
 * @list: all entries
 * @lock: for all changes
 * @seq: number of the latest entry or destination of one
 * @count: entries
 * @learned: entries that were learned
 * @ageing: removes entries that were not used for long
 * @stt: the device
 */
struct stt_fdb_table {
	struct rhashtable	entries;
	struct rhashtable	remotes;
	struct list_head	list;
	spinlock_t		lock;	/* see above */
	u64			seq;
	unsigned int		count;
	unsigned int		learned;
	struct delayed_work	ageing;
	struct stt_dev		*stt;
};

static const u8 stt_zero_mac[ETH_ALEN];

/* Most devices have few entries: the tables begin small, and grow. */
#define STT_FDB_HINT		3

/* Whoever can send us frames chooses addresses: the hash must withstand it. */
static u32 stt_fdb_hash(const void *data, u32 len, u32 seed)
{
	return jhash2(data, sizeof(struct stt_fdb_id) / sizeof(u32), seed);
}

static int stt_fdb_cmp(struct rhashtable_compare_arg *arg, const void *obj)
{
	const struct stt_fdb_id *a = arg->key;
	const struct stt_fdb_id *b = &((const struct stt_fdb *)obj)->id;

	return a->key != b->key || !ether_addr_equal(a->mac, b->mac);
}

static const struct rhashtable_params stt_fdb_params = {
	.nelem_hint = STT_FDB_HINT,
	.key_len = sizeof(struct stt_fdb_id),
	.hashfn = stt_fdb_hash,
	.obj_cmpfn = stt_fdb_cmp,
	.key_offset = offsetof(struct stt_fdb, id),
	.head_offset = offsetof(struct stt_fdb, node),
	.automatic_shrinking = true,
};

static const struct rhashtable_params stt_remote_params = {
	.nelem_hint = STT_FDB_HINT,
	.key_len = sizeof(struct stt_remote_id),
	.key_offset = offsetof(struct stt_remote, id),
	.head_offset = offsetof(struct stt_remote, node),
	.automatic_shrinking = true,
};

/* Has the entry one destination, or a list of them? */
static bool stt_fdb_is_unicast(const struct stt_fdb *fdb)
{
	return is_valid_ether_addr(fdb->id.mac);
}

static bool stt_fdb_is_learned(const struct stt_fdb *fdb)
{
	return !(READ_ONCE(fdb->state) & (NUD_PERMANENT | NUD_NOARP)) &&
	       !(READ_ONCE(fdb->flags) & NTF_EXT_LEARNED);
}

/* Destinations */

static void stt_remote_free(struct rcu_head *rcu)
{
	struct stt_remote *remote = container_of(rcu, struct stt_remote, rcu);

	dst_cache_destroy(&remote->cache);
	kfree(remote);
}

static struct stt_remote *stt_remote_get(struct stt_fdb_table *t,
					 const struct stt_remote_id *id)
{
	struct stt_remote *remote;

	lockdep_assert_held(&t->lock);

	remote = rhashtable_lookup_fast(&t->remotes, id, stt_remote_params);
	if (remote) {
		remote->users++;
		return remote;
	}
	remote = kzalloc(sizeof(*remote), STT_GFP_ENTRY);
	if (!remote)
		return NULL;
	remote->id = *id;
	remote->users = 1;
	if (dst_cache_init(&remote->cache, STT_GFP_ENTRY))
		goto err_free;
	if (stt_peer_get(stt_pernet(t->stt->net), &id->addr))
		goto err_destroy_cache;
	if (rhashtable_insert_fast(&t->remotes, &remote->node,
				   stt_remote_params))
		goto err_put_peer;
	return remote;

err_put_peer:
	stt_peer_put(stt_pernet(t->stt->net), &id->addr);
err_destroy_cache:
	dst_cache_destroy(&remote->cache);
err_free:
	kfree(remote);
	return NULL;
}

static void stt_remote_put(struct stt_fdb_table *t, struct stt_remote *remote)
{
	lockdep_assert_held(&t->lock);

	if (--remote->users)
		return;
	rhashtable_remove_fast(&t->remotes, &remote->node, stt_remote_params);
	stt_peer_put(stt_pernet(t->stt->net), &remote->id.addr);
	call_rcu(&remote->rcu, stt_remote_free);
}

static struct stt_remote *stt_fdb_remote(struct stt_fdb_table *t,
					 const struct stt_fdb *fdb)
{
	return rcu_dereference_protected(fdb->remote,
					 lockdep_is_held(&t->lock));
}

/* Where a unicast address lives, :: for any other. */
static struct in6_addr stt_fdb_addr(struct stt_fdb_table *t,
				    const struct stt_fdb *fdb)
{
	const struct stt_remote *remote = stt_fdb_remote(t, fdb);

	return remote ? remote->id.addr : in6addr_any;
}

/* Notification */

static struct stt_fdb_info stt_fdb_info(const struct stt_fdb *fdb,
					const struct stt_remote *remote)
{
	struct stt_fdb_info info = {
		.mac = fdb->id.mac,
		.key = fdb->id.key,
		.remote = &remote->id,
		.used = READ_ONCE(fdb->used),
		.updated = READ_ONCE(fdb->updated),
		.state = READ_ONCE(fdb->state),
		.flags = READ_ONCE(fdb->flags),
	};

	return info;
}

/* @from is where the address was before, NULL or :: for nowhere else. */
static void stt_fdb_notify(struct stt_dev *stt, const struct stt_fdb *fdb,
			   const struct stt_remote *remote, int type,
			   const struct in6_addr *from, enum stt_fdb_tell tell)
{
	bool moved = from && !ipv6_addr_any(from) &&
		     !ipv6_addr_equal(from, &remote->id.addr);
	struct stt_fdb_info info = stt_fdb_info(fdb, remote);

	if (tell == STT_TELL_NOBODY)
		return;
	if (tell == STT_TELL_ALL)
		stt_event_neigh(stt, &info, type);
	stt_event_fdb(stt, &info, moved ? from : NULL,
		      type == RTM_DELNEIGH ? STT_CMD_FDB_DEL_NTF :
		      moved ? STT_CMD_FDB_MOVE_NTF : STT_CMD_FDB_NEW_NTF);
}

/* Entries */

static struct stt_fdb *stt_fdb_new(struct stt_fdb_table *t,
				   const struct stt_fdb_id *id, u16 state,
				   u8 flags)
{
	struct stt_fdb *fdb;

	lockdep_assert_held(&t->lock);

	fdb = kzalloc(sizeof(*fdb), STT_GFP_ENTRY);
	if (!fdb)
		return NULL;
	fdb->id = *id;
	fdb->state = state;
	fdb->flags = flags;
	fdb->used = jiffies;
	fdb->updated = jiffies;
	t->seq++;
	fdb->seq = t->seq;
	fdb->seq_high = t->seq >> 32;
	INIT_HLIST_HEAD(&fdb->dests);
	return fdb;
}

static int stt_fdb_insert(struct stt_fdb_table *t, struct stt_fdb *fdb)
{
	int err;

	lockdep_assert_held(&t->lock);

	err = rhashtable_insert_fast(&t->entries, &fdb->node, stt_fdb_params);
	if (err)
		return err;
	list_add_tail_rcu(&fdb->list, &t->list);
	WRITE_ONCE(t->count, t->count + 1);
	if (stt_fdb_is_learned(fdb))
		WRITE_ONCE(t->learned, t->learned + 1);
	return 0;
}

static void stt_fdb_drop_dest(struct stt_fdb_table *t, struct stt_dest *dest)
{
	hlist_del_rcu(&dest->node);
	stt_remote_put(t, dest->remote);
	kfree_rcu(dest, rcu);
}

/* Take an entry out and free it; @tell of each of its destinations. */
static void stt_fdb_remove(struct stt_fdb_table *t, struct stt_fdb *fdb,
			   enum stt_fdb_tell tell)
{
	struct stt_remote *remote = stt_fdb_remote(t, fdb);
	struct stt_dest *dest;
	struct hlist_node *n;

	lockdep_assert_held(&t->lock);

	rhashtable_remove_fast(&t->entries, &fdb->node, stt_fdb_params);
	list_del_rcu(&fdb->list);
	WRITE_ONCE(t->count, t->count - 1);
	if (stt_fdb_is_learned(fdb))
		WRITE_ONCE(t->learned, t->learned - 1);
	if (remote) {
		stt_fdb_notify(t->stt, fdb, remote, RTM_DELNEIGH, NULL, tell);
		stt_remote_put(t, remote);
	}
	hlist_for_each_entry_safe(dest, n, &fdb->dests, node) {
		stt_fdb_notify(t->stt, fdb, dest->remote, RTM_DELNEIGH, NULL,
			       tell);
		stt_fdb_drop_dest(t, dest);
	}
	kfree_rcu(fdb, rcu);
}

/* The remote becomes the entry's only destination. */
static void stt_fdb_set_remote(struct stt_fdb_table *t, struct stt_fdb *fdb,
			       struct stt_remote *remote)
{
	struct stt_remote *old = stt_fdb_remote(t, fdb);

	rcu_assign_pointer(fdb->remote, remote);
	if (old)
		stt_remote_put(t, old);
}

static struct stt_dest *stt_fdb_find_dest(struct stt_fdb *fdb,
					  const struct stt_remote_id *id)
{
	struct stt_dest *dest;

	hlist_for_each_entry(dest, &fdb->dests, node)
		if (!memcmp(&dest->remote->id, id, sizeof(*id)))
			return dest;
	return NULL;
}

static int stt_fdb_add_dest(struct stt_fdb_table *t, struct stt_fdb *fdb,
			    struct stt_remote *remote)
{
	struct stt_dest *dest, *last = NULL;

	dest = kzalloc(sizeof(*dest), STT_GFP_ENTRY);
	if (!dest)
		return -ENOMEM;
	dest->remote = remote;
	dest->seq = ++t->seq;
	hlist_for_each_entry(last, &fdb->dests, node)
		if (!last->node.next)
			break;
	if (last)
		hlist_add_behind_rcu(&dest->node, &last->node);
	else
		hlist_add_head_rcu(&dest->node, &fdb->dests);
	return 0;
}

/* Make an entry that does not exist yet. */
static int stt_fdb_create(struct stt_fdb_table *t,
			  const struct stt_fdb_request *rq,
			  struct stt_fdb **result)
{
	struct stt_remote *remote;
	struct stt_fdb *fdb;
	int err = -ENOMEM;

	lockdep_assert_held(&t->lock);

	remote = stt_remote_get(t, &rq->remote);
	if (!remote)
		return -ENOMEM;
	fdb = stt_fdb_new(t, &rq->id, rq->state, rq->flags);
	if (!fdb)
		goto err_put_remote;
	if (stt_fdb_is_unicast(fdb)) {
		RCU_INIT_POINTER(fdb->remote, remote);
	} else {
		err = stt_fdb_add_dest(t, fdb, remote);
		if (err)
			goto err_free;
	}
	err = stt_fdb_insert(t, fdb);
	if (err)
		goto err_free_dests;
	*result = fdb;
	return 0;

err_free_dests:
	while (!hlist_empty(&fdb->dests)) {
		struct stt_dest *dest = hlist_entry(fdb->dests.first,
						    struct stt_dest, node);

		hlist_del(&dest->node);
		kfree(dest);
	}
err_free:
	kfree(fdb);
err_put_remote:
	stt_remote_put(t, remote);
	return err;
}

static void stt_fdb_set_kind(struct stt_fdb_table *t, struct stt_fdb *fdb,
			     u16 state, u8 flags)
{
	unsigned int others = t->learned - stt_fdb_is_learned(fdb);

	WRITE_ONCE(fdb->state, state);
	WRITE_ONCE(fdb->flags, flags);
	WRITE_ONCE(t->learned, others + stt_fdb_is_learned(fdb));
	WRITE_ONCE(fdb->updated, jiffies);
}

/* Change an entry as a command says; 1 if that made a difference. */
static int stt_fdb_update(struct stt_fdb_table *t, struct stt_fdb *fdb,
			  const struct stt_fdb_request *rq,
			  struct netlink_ext_ack *extack)
{
	bool changed = fdb->state != rq->state || fdb->flags != rq->flags;
	struct stt_remote *remote;
	int err;

	lockdep_assert_held(&t->lock);

	if (rq->nlflags & NLM_F_EXCL) {
		NL_SET_ERR_MSG(extack,
			       "FDB entry exists; use replace or append");
		return -EEXIST;
	}
	if (stt_fdb_is_unicast(fdb)) {
		if (rq->nlflags & NLM_F_APPEND) {
			NL_SET_ERR_MSG(extack,
				       "A unicast address has one destination; append is for the all-zero and multicast addresses");
			return -EOPNOTSUPP;
		}
		if (memcmp(&stt_fdb_remote(t, fdb)->id, &rq->remote,
			   sizeof(rq->remote))) {
			remote = stt_remote_get(t, &rq->remote);
			if (!remote)
				return -ENOMEM;
			stt_fdb_set_remote(t, fdb, remote);
			changed = true;
		}
	} else {
		if (rq->nlflags & NLM_F_REPLACE) {
			NL_SET_ERR_MSG(extack,
				       "The destinations of this address cannot be replaced; use append and del");
			return -EOPNOTSUPP;
		}
		if (!stt_fdb_find_dest(fdb, &rq->remote)) {
			remote = stt_remote_get(t, &rq->remote);
			if (!remote)
				return -ENOMEM;
			err = stt_fdb_add_dest(t, fdb, remote);
			if (err) {
				stt_remote_put(t, remote);
				return err;
			}
			changed = true;
		}
	}
	stt_fdb_set_kind(t, fdb, rq->state, rq->flags);
	return changed;
}

/* The destination of a request among those of its entry. */
static const struct stt_remote *
stt_fdb_chosen(struct stt_fdb_table *t, struct stt_fdb *fdb,
	       const struct stt_fdb_request *rq)
{
	struct stt_dest *dest;

	if (stt_fdb_is_unicast(fdb))
		return stt_fdb_remote(t, fdb);
	dest = stt_fdb_find_dest(fdb, &rq->remote);
	return dest ? dest->remote : NULL;
}

/* Note the time; once a jiffy is enough, and spares the cache line. */
static void stt_fdb_touch(unsigned long *when)
{
	unsigned long now = jiffies;

	if (READ_ONCE(*when) != now)
		WRITE_ONCE(*when, now);
}

/* Learning */

static void stt_fdb_learn_new(struct stt_fdb_table *t,
			      const struct stt_fdb_request *rq,
			      unsigned int limit)
{
	struct stt_fdb *fdb;

	spin_lock(&t->lock);
	if (limit && t->learned >= limit)
		goto unlock;
	fdb = rhashtable_lookup_fast(&t->entries, &rq->id, stt_fdb_params);
	if (!fdb && !stt_fdb_create(t, rq, &fdb))
		stt_fdb_notify(t->stt, fdb, stt_fdb_remote(t, fdb),
			       RTM_NEWNEIGH, NULL, STT_TELL_ALL);
unlock:
	spin_unlock(&t->lock);
}

/* A learned address has been seen behind another remote. */
static void stt_fdb_learn_move(struct stt_fdb_table *t,
			       const struct stt_fdb_request *rq)
{
	struct stt_remote *remote;
	struct in6_addr from;
	struct stt_fdb *fdb;

	spin_lock(&t->lock);
	fdb = rhashtable_lookup_fast(&t->entries, &rq->id, stt_fdb_params);
	if (!fdb || !stt_fdb_is_learned(fdb))
		goto unlock;
	remote = stt_remote_get(t, &rq->remote);
	if (!remote)
		goto unlock;
	from = stt_fdb_addr(t, fdb);
	stt_fdb_set_remote(t, fdb, remote);
	WRITE_ONCE(fdb->updated, jiffies);
	stt_fdb_notify(t->stt, fdb, remote, RTM_NEWNEIGH, &from, STT_TELL_ALL);
unlock:
	spin_unlock(&t->lock);
}

/**
 * stt_fdb_learn() - note the remote that a source address was seen behind
 * @stt: device with a forwarding database
 * @conf: its configuration
 * @mac: source address of a received frame, a unicast one
 * @key: its Context ID
 * @addr: where the frame came from
 * @ifindex: link it came in by, if @addr means nothing without; else 0
 *
 * Context: softirq, RCU read lock held.
 */
void stt_fdb_learn(struct stt_dev *stt, const struct stt_conf *conf,
		   const u8 *mac, u64 key, const struct in6_addr *addr,
		   int ifindex)
{
	struct stt_fdb_table *t = rcu_dereference(stt->fdb);
	struct stt_fdb_request rq = {
		.id = stt_fdb_id(mac, key),
		.remote = {
			.addr = *addr,
			.key = conf->external ? key : conf->okey,
			.ifindex = ifindex,
			.port = conf->port,
		},
		.state = NUD_REACHABLE,
	};
	const struct stt_remote *remote;
	struct stt_fdb *fdb;

	if (!t)
		return;
	fdb = rhashtable_lookup(&t->entries, &rq.id, stt_fdb_params);
	if (!fdb) {
		stt_fdb_learn_new(t, &rq, conf->limit);
		return;
	}
	remote = rcu_dereference(fdb->remote);
	if (likely(ipv6_addr_equal(&remote->id.addr, addr) &&
		   remote->id.ifindex == ifindex)) {
		stt_fdb_touch(&fdb->updated);
		return;
	}
	if (stt_fdb_is_learned(fdb))
		stt_fdb_learn_move(t, &rq);
}

static unsigned long stt_age_interval(unsigned int ageing)
{
	return clamp_t(unsigned long, (unsigned long)ageing * HZ / 4,
		       STT_AGE_INTERVAL_MIN, STT_AGE_INTERVAL_MAX);
}

static void stt_fdb_age(struct work_struct *work)
{
	struct stt_fdb_table *t = container_of(to_delayed_work(work),
					       struct stt_fdb_table, ageing);
	struct stt_fdb *fdb, *next;
	unsigned int ageing, batch = 0;
	unsigned long age, last, delay;

	rcu_read_lock();
	ageing = rcu_dereference(t->stt->state)->conf.ageing;
	rcu_read_unlock();
	if (!ageing)
		return;

	age = (unsigned long)ageing * HZ;
	spin_lock_bh(&t->lock);
	list_for_each_entry_safe(fdb, next, &t->list, list) {
		if (!stt_fdb_is_learned(fdb))
			continue;
		last = READ_ONCE(fdb->updated);
		if (time_after(READ_ONCE(fdb->used), last))
			last = READ_ONCE(fdb->used);
		if (time_before(jiffies, last + age))
			continue;
		stt_fdb_remove(t, fdb, STT_TELL_ALL);
		if (++batch == STT_FDB_BATCH)
			break;
	}
	spin_unlock_bh(&t->lock);
	delay = batch == STT_FDB_BATCH ? 0 : stt_age_interval(ageing);
	schedule_delayed_work(&t->ageing, delay);
}

/* Transmission */

/**
 * stt_fdb_find() - find where the address lives that a frame goes to
 * @stt: device with a forwarding database
 * @skb: inner Ethernet frame
 * @key: Context ID
 * @send: sends a copy of the frame to one destination, consumes it; called for
 *	all destinations but the last
 * @arg: for @send
 *
 * Context: bottom halves disabled, RCU read lock held.
 * Return: the last destination, mostly the only one, which is left to the
 * caller; NULL if there is none.
 */
struct stt_remote *
stt_fdb_find(struct stt_dev *stt, struct sk_buff *skb, u64 key,
	     void (*send)(struct sk_buff *skb, struct stt_remote *remote,
			  const void *arg), const void *arg)
{
	struct stt_fdb_table *t = rcu_dereference(stt->fdb);
	struct stt_fdb_id id = stt_fdb_id(eth_hdr(skb)->h_dest, key);
	struct stt_remote *remote;
	struct stt_dest *dest;
	struct stt_fdb *fdb;
	struct sk_buff *copy;

	fdb = rhashtable_lookup(&t->entries, &id, stt_fdb_params);
	if (!fdb) {
		ether_addr_copy(id.mac, stt_zero_mac);
		fdb = rhashtable_lookup(&t->entries, &id, stt_fdb_params);
		if (!fdb)
			return NULL;
	}
	stt_fdb_touch(&fdb->used);

	remote = rcu_dereference(fdb->remote);
	hlist_for_each_entry_rcu(dest, &fdb->dests, node) {
		if (remote) {
			copy = skb_clone(skb, GFP_ATOMIC);
			if (copy)
				send(copy, remote, arg);
			else
				stt_dev_count_drop(stt, STT_XSTATS_TX_NO_MEM);
		}
		remote = dest->remote;
	}
	return remote;
}

/* Table */

static int stt_fdb_change_default(struct stt_fdb_table *t,
				  const struct stt_remote_id *old,
				  const struct stt_remote_id *new)
{
	struct stt_fdb_request rq = {
		.id = stt_fdb_id(stt_zero_mac, t->stt->id.key),
		.state = NUD_PERMANENT,
	};
	struct stt_dest *dest;
	struct stt_fdb *fdb;
	int err = 0;

	spin_lock_bh(&t->lock);
	fdb = rhashtable_lookup_fast(&t->entries, &rq.id, stt_fdb_params);
	if (new) {
		rq.remote = *new;
		if (fdb)
			err = stt_fdb_update(t, fdb, &rq, NULL);
		else
			err = stt_fdb_create(t, &rq, &fdb) ?: 1;
		if (err < 0)
			goto unlock;
		if (err)
			stt_fdb_notify(t->stt, fdb, stt_fdb_chosen(t, fdb, &rq),
				       RTM_NEWNEIGH, NULL, STT_TELL_ALL);
		err = 0;
	}
	dest = fdb && old ? stt_fdb_find_dest(fdb, old) : NULL;
	if (dest) {
		stt_fdb_notify(t->stt, fdb, dest->remote, RTM_DELNEIGH, NULL,
			       STT_TELL_ALL);
		stt_fdb_drop_dest(t, dest);
		if (hlist_empty(&fdb->dests))
			stt_fdb_remove(t, fdb, STT_TELL_NOBODY);
	}
unlock:
	spin_unlock_bh(&t->lock);
	return err;
}

/**
 * stt_fdb_restart_ageing() - act on a change of the ageing time
 * @stt: the device
 * @ageing: lifetime of a learned entry in seconds, 0 for ever
 */
void stt_fdb_restart_ageing(struct stt_dev *stt, unsigned int ageing)
{
	struct stt_fdb_table *t = rtnl_dereference(stt->fdb);

	if (!t)
		return;
	cancel_delayed_work(&t->ageing);
	if (ageing)
		schedule_delayed_work(&t->ageing, stt_age_interval(ageing));
}

static int stt_fdb_set_entry(struct stt_fdb_table *t,
			     const struct stt_fdb_request *rq,
			     enum stt_fdb_tell tell,
			     struct netlink_ext_ack *extack)
{
	struct in6_addr from = in6addr_any;
	struct stt_fdb *fdb;
	int err = -ENOENT;

	spin_lock_bh(&t->lock);
	fdb = rhashtable_lookup_fast(&t->entries, &rq->id, stt_fdb_params);
	if (fdb) {
		from = stt_fdb_addr(t, fdb);
		err = stt_fdb_update(t, fdb, rq, extack);
	} else if (rq->nlflags & NLM_F_CREATE) {
		err = stt_fdb_create(t, rq, &fdb) ?: 1;
	}
	if (err > 0) {
		stt_fdb_notify(t->stt, fdb, stt_fdb_chosen(t, fdb, rq),
			       RTM_NEWNEIGH, &from, tell);
		err = 0;
	}
	spin_unlock_bh(&t->lock);
	return err;
}

/**
 * stt_fdb_open() - give a device a forwarding database
 * @stt: the device, which has none yet
 * @conf: the configuration that the device has or will have
 * @remote: its own destination, unless that is ::
 * @rq: first entry, or NULL
 * @tell: who is told of that
 * @extack: told what is wrong
 *
 * Context: process, RTNL held.
 * Return: 0, or a negative error and nothing has changed: -ENOMEM, or what
 * stt_fdb_set() returns.
 */
int stt_fdb_open(struct stt_dev *stt, const struct stt_conf *conf,
		 const struct stt_remote_id *remote,
		 const struct stt_fdb_request *rq, enum stt_fdb_tell tell,
		 struct netlink_ext_ack *extack)
{
	struct stt_fdb *fdb, *next;
	struct stt_fdb_table *t;
	int err;

	t = kzalloc(sizeof(*t), GFP_KERNEL_ACCOUNT);
	if (!t)
		return -ENOMEM;
	t->stt = stt;
	spin_lock_init(&t->lock);
	INIT_LIST_HEAD(&t->list);
	INIT_DELAYED_WORK(&t->ageing, stt_fdb_age);
	err = rhashtable_init(&t->entries, &stt_fdb_params);
	if (err)
		goto err_free;
	err = rhashtable_init(&t->remotes, &stt_remote_params);
	if (err)
		goto err_destroy_entries;
	if (!ipv6_addr_any(&remote->addr)) {
		err = stt_fdb_change_default(t, NULL, remote);
		if (err)
			goto err_destroy_remotes;
	}
	if (rq) {
		err = stt_fdb_set_entry(t, rq, tell, extack);
		if (err)
			goto err_remove;
	}
	rcu_assign_pointer(stt->fdb, t);
	stt_fdb_restart_ageing(stt, conf->ageing);
	return 0;

err_remove:
	/* It is the device's own destination, of which everyone was told. */
	spin_lock_bh(&t->lock);
	list_for_each_entry_safe(fdb, next, &t->list, list)
		stt_fdb_remove(t, fdb, STT_TELL_ALL);
	spin_unlock_bh(&t->lock);
err_destroy_remotes:
	rhashtable_destroy(&t->remotes);
err_destroy_entries:
	rhashtable_destroy(&t->entries);
err_free:
	kfree(t);
	return err;
}

/* Does it choose among the destinations of an entry? */
static bool stt_filter_has_dest(const struct stt_fdb_filter *filter)
{
	return !ipv6_addr_any(&filter->addr) || filter->port ||
	       filter->by_dst_key;
}

static bool stt_remote_matches(const struct stt_remote *remote,
			       const struct stt_fdb_filter *filter)
{
	const struct stt_remote_id *id = &remote->id;

	return (ipv6_addr_any(&filter->addr) ||
		ipv6_addr_equal(&id->addr, &filter->addr)) &&
	       (!filter->port || id->port == filter->port) &&
	       (!filter->by_dst_key || id->key == filter->dst_key);
}

static bool stt_fdb_matches(const struct stt_fdb *fdb,
			    const struct stt_fdb_filter *filter)
{
	/* The all-zero address goes only with destinations asked for. */
	if (is_zero_ether_addr(fdb->id.mac) && !stt_filter_has_dest(filter))
		return false;
	return (fdb->state & filter->state_mask) == filter->state &&
	       (fdb->flags & filter->flags_mask) == filter->flags &&
	       (!filter->by_key || fdb->id.key == filter->key);
}

/* Flush destinations from a list of them; true if none is left. */
static bool stt_fdb_purge_dests(struct stt_fdb_table *t, struct stt_fdb *fdb,
				const struct stt_fdb_filter *filter,
				unsigned int *count)
{
	const struct stt_conf *conf = &rtnl_dereference(t->stt->state)->conf;
	bool unknown = is_zero_ether_addr(fdb->id.mac);
	struct stt_dest *dest;
	struct hlist_node *n;

	hlist_for_each_entry_safe(dest, n, &fdb->dests, node) {
		if (!stt_remote_matches(dest->remote, filter))
			continue;
		/* The device's own remote is changed with the device. */
		if (unknown && ipv6_addr_equal(&dest->remote->id.addr,
					       &conf->remote))
			continue;
		stt_fdb_drop_dest(t, dest);
		(*count)++;
	}
	return hlist_empty(&fdb->dests);
}

/* Flush an entry, or of several destinations those that match. */
static void stt_fdb_purge_one(struct stt_fdb_table *t, struct stt_fdb *fdb,
			      const struct stt_fdb_filter *filter,
			      unsigned int *count)
{
	const struct stt_remote *remote = stt_fdb_remote(t, fdb);
	struct stt_dest *dest;

	if (!filter || !stt_filter_has_dest(filter)) {
		*count += !!remote;
		hlist_for_each_entry(dest, &fdb->dests, node)
			(*count)++;
	} else if (remote) {
		if (!stt_remote_matches(remote, filter))
			return;
		(*count)++;
	} else if (!stt_fdb_purge_dests(t, fdb, filter, count)) {
		return;
	}
	stt_fdb_remove(t, fdb, STT_TELL_NOBODY);
}

/* Remove what matches, or everything, a batch at a time; nobody is told. */
static unsigned int stt_fdb_remove_all(struct stt_fdb_table *t,
				       const struct stt_fdb_filter *filter)
{
	unsigned int batch, before, count = 0;
	struct stt_fdb *fdb, *next;

	do {
		batch = 0;
		spin_lock_bh(&t->lock);
		list_for_each_entry_safe(fdb, next, &t->list, list) {
			before = count;
			if (filter && !stt_fdb_matches(fdb, filter))
				continue;
			stt_fdb_purge_one(t, fdb, filter, &count);
			if (count != before && ++batch == STT_FDB_BATCH)
				break;
		}
		spin_unlock_bh(&t->lock);
		cond_resched();
	} while (batch == STT_FDB_BATCH);
	return count;
}

/**
 * stt_fdb_clear() - remove all entries and stop ageing
 * @stt: the device, which is down for good
 *
 * Nobody is told: that the device is gone says it all.
 *
 * Context: process, RTNL held.
 */
void stt_fdb_clear(struct stt_dev *stt)
{
	struct stt_fdb_table *t = rtnl_dereference(stt->fdb);

	if (!t)
		return;
	cancel_delayed_work_sync(&t->ageing);
	stt_fdb_remove_all(t, NULL);
}

/**
 * stt_fdb_free() - free the forwarding database of a device
 * @stt: the device, which nobody refers to any more
 */
void stt_fdb_free(struct stt_dev *stt)
{
	struct stt_fdb_table *t = rcu_dereference_protected(stt->fdb, true);

	if (!t)
		return;
	rhashtable_destroy(&t->entries);
	rhashtable_destroy(&t->remotes);
	kfree(t);
}

/**
 * stt_fdb_reset_routes() - forget the cached routes of all destinations
 * @stt: the device
 *
 * Context: process, RTNL held.
 */
void stt_fdb_reset_routes(struct stt_dev *stt)
{
	struct stt_fdb_table *t = rtnl_dereference(stt->fdb);
	struct stt_remote *remote;
	struct stt_dest *dest;
	struct stt_fdb *fdb;

	if (!t)
		return;
	spin_lock_bh(&t->lock);
	list_for_each_entry(fdb, &t->list, list) {
		remote = stt_fdb_remote(t, fdb);
		if (remote)
			dst_cache_reset(&remote->cache);
		hlist_for_each_entry(dest, &fdb->dests, node)
			dst_cache_reset(&dest->remote->cache);
	}
	spin_unlock_bh(&t->lock);
}

/**
 * stt_fdb_set_default() - change the device's own destination
 * @stt: device with a forwarding database
 * @old: the former one, or NULL
 * @new: the new one, which differs, or NULL
 *
 * It is a destination of the all-zero address beside those that were appended
 * to it, which stay.
 *
 * Context: process, RTNL held.
 * Return: 0 or -ENOMEM, and then nothing has changed.
 */
int stt_fdb_set_default(struct stt_dev *stt, const struct stt_remote_id *old,
			const struct stt_remote_id *new)
{
	return stt_fdb_change_default(rtnl_dereference(stt->fdb), old, new);
}

/**
 * stt_fdb_set() - make or change an entry
 * @stt: device with a forwarding database
 * @rq: what the entry shall be
 * @tell: who is told
 * @extack: told what is wrong
 *
 * Context: process, RTNL held.
 * Return: 0 or a negative error: -EEXIST or -ENOENT as @rq->nlflags demand,
 * -EOPNOTSUPP if the address cannot have such destinations, -ENOMEM.
 */
int stt_fdb_set(struct stt_dev *stt, const struct stt_fdb_request *rq,
		enum stt_fdb_tell tell, struct netlink_ext_ack *extack)
{
	return stt_fdb_set_entry(rtnl_dereference(stt->fdb), rq, tell, extack);
}

/**
 * stt_fdb_forget() - remove an entry, or one of its destinations
 * @stt: the device
 * @rq: which
 * @tell: who is told
 *
 * Context: process, RTNL held.
 * Return: 0, or -ENOENT if there is no such entry or destination.
 */
int stt_fdb_forget(struct stt_dev *stt, const struct stt_fdb_request *rq,
		   enum stt_fdb_tell tell)
{
	struct stt_fdb_table *t = rtnl_dereference(stt->fdb);
	struct stt_dest *dest;
	struct stt_fdb *fdb;
	int err = -ENOENT;

	if (!t)
		return -ENOENT;
	spin_lock_bh(&t->lock);
	fdb = rhashtable_lookup_fast(&t->entries, &rq->id, stt_fdb_params);
	if (!fdb)
		goto unlock;
	if (rq->has_dst && !stt_fdb_is_unicast(fdb)) {
		dest = stt_fdb_find_dest(fdb, &rq->remote);
		if (!dest)
			goto unlock;
		err = 0;
		if (fdb->dests.first != &dest->node || dest->node.next) {
			stt_fdb_notify(stt, fdb, dest->remote, RTM_DELNEIGH,
				       NULL, tell);
			stt_fdb_drop_dest(t, dest);
			goto unlock;
		}
	} else if (rq->has_dst && memcmp(&stt_fdb_remote(t, fdb)->id,
					 &rq->remote, sizeof(rq->remote))) {
		goto unlock;
	}
	stt_fdb_remove(t, fdb, tell);
	err = 0;
unlock:
	spin_unlock_bh(&t->lock);
	return err;
}

/**
 * stt_fdb_peek() - look at an entry
 * @stt: the device
 * @id: which
 * @info: filled in, with the first of its destinations
 *
 * Context: RCU read lock held, for as long as @info is used.
 * Return: whether there is such an entry.
 */
bool stt_fdb_peek(struct stt_dev *stt, const struct stt_fdb_id *id,
		  struct stt_fdb_info *info)
{
	struct stt_fdb_table *t = rcu_dereference(stt->fdb);
	const struct stt_remote *remote;
	struct stt_dest *dest;
	struct stt_fdb *fdb;

	fdb = t ? rhashtable_lookup(&t->entries, id, stt_fdb_params) : NULL;
	if (!fdb)
		return false;
	remote = rcu_dereference(fdb->remote);
	if (!remote)
		hlist_for_each_entry_rcu(dest, &fdb->dests, node) {
			remote = dest->remote;
			break;
		}
	if (remote)
		*info = stt_fdb_info(fdb, remote);
	return remote;
}

/**
 * stt_fdb_purge() - remove many entries at once
 * @stt: the device
 * @filter: which ones
 *
 * There is no message for each entry: a flush of a large table would only
 * overrun those who listen. Events tell of the flush as such. The all-zero
 * address stays, but for destinations that are asked for by their address.
 *
 * Context: process, RTNL held.
 * Return: number of destinations removed.
 */
unsigned int stt_fdb_purge(struct stt_dev *stt,
			   const struct stt_fdb_filter *filter)
{
	struct stt_fdb_table *t = rtnl_dereference(stt->fdb);
	unsigned int count;

	if (!t)
		return 0;
	count = stt_fdb_remove_all(t, filter);
	if (count)
		stt_event_flush(stt, filter, count);
	return count;
}

/**
 * stt_fdb_count() - how many entries there are
 * @stt: the device
 * @entries: set to the number of entries
 * @learned: set to the number of learned ones
 *
 * Return: false if the device has no forwarding database.
 */
bool stt_fdb_count(const struct stt_dev *stt, u32 *entries, u32 *learned)
{
	const struct stt_fdb_table *t;

	rcu_read_lock();
	t = rcu_dereference(stt->fdb);
	if (t) {
		*entries = READ_ONCE(t->count);
		*learned = READ_ONCE(t->learned);
	}
	rcu_read_unlock();
	return t;
}

static u64 stt_fdb_seq(const struct stt_fdb *fdb)
{
	return (u64)fdb->seq_high << 32 | fdb->seq;
}

/* Where to go on; entries that precede @cursor may follow. */
static struct stt_fdb *stt_fdb_resume(struct stt_fdb_table *t,
				      const struct stt_fdb_cursor *cursor)
{
	struct stt_fdb_id id = stt_fdb_id(cursor->mac, t->stt->id.key);
	struct stt_fdb *fdb = NULL;

	/* Spares the way through all that is done. */
	if (cursor->seq)
		fdb = rhashtable_lookup(&t->entries, &id, stt_fdb_params);
	if (fdb && stt_fdb_seq(fdb) == cursor->seq)
		return fdb;
	return list_entry_rcu(t->list.next, struct stt_fdb, list);
}

static int stt_fdb_walk_entry(struct stt_dev *stt, const struct stt_fdb *fdb,
			      struct stt_fdb_cursor *cursor,
			      int (*fn)(struct stt_dev *stt,
					const struct stt_fdb_info *info,
					void *arg),
			      void *arg)
{
	const struct stt_remote *remote = rcu_dereference(fdb->remote);
	struct stt_fdb_info info;
	struct stt_dest *dest;
	int err;

	if (remote) {
		info = stt_fdb_info(fdb, remote);
		return fn(stt, &info, arg);
	}
	hlist_for_each_entry_rcu(dest, &fdb->dests, node) {
		if (dest->seq < cursor->dest)
			continue;
		cursor->dest = dest->seq;
		info = stt_fdb_info(fdb, dest->remote);
		err = fn(stt, &info, arg);
		if (err)
			return err;
	}
	return 0;
}

/**
 * stt_fdb_walk() - do something for each destination of each entry
 * @stt: the device
 * @cursor: zero, or where the last walk through this device has stopped
 * @fn: what to do; the walk stops there if it does not return 0
 * @arg: for @fn
 *
 * What exists from the first to the last of the walks that a cursor joins is
 * met once, whatever is made and removed meanwhile.
 *
 * Context: RCU read lock held.
 * Return: what @fn returned last, 0 if there was nothing to do.
 */
int stt_fdb_walk(struct stt_dev *stt, struct stt_fdb_cursor *cursor,
		 int (*fn)(struct stt_dev *stt,
			   const struct stt_fdb_info *info, void *arg),
		 void *arg)
{
	struct stt_fdb_table *t = rcu_dereference(stt->fdb);
	struct stt_fdb *fdb;
	u64 seq;
	int err;

	if (cursor->ifindex != stt->dev->ifindex) {
		memset(cursor, 0, sizeof(*cursor));
		cursor->ifindex = stt->dev->ifindex;
	}
	if (!t)
		return 0;
	fdb = stt_fdb_resume(t, cursor);
	list_for_each_entry_from_rcu(fdb, &t->list, list) {
		seq = stt_fdb_seq(fdb);
		if (seq < cursor->seq)
			continue;
		if (seq > cursor->seq)
			cursor->dest = 0;
		cursor->seq = seq;
		ether_addr_copy(cursor->mac, fdb->id.mac);
		err = stt_fdb_walk_entry(stt, fdb, cursor, fn, arg);
		if (err)
			return err;
		/* This one is done, even if it turns out to be the last. */
		cursor->seq = seq + 1;
		cursor->dest = 0;
	}
	return 0;
}
