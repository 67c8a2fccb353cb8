// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: the metadata of received frames.
 *
 * Each frame has its own, as its user may keep them. To allocate them and to
 * wait for a grace period before they are freed would cost more than all else
 * that an external device does, so they are used again.
 *
 * Invariants:
 *  - A pool holds a reference to all of its metadata.
 *  - All other references are those of packets, none is borrowed under RCU:
 *    who finds the pool's to be the last has the metadata for himself.
 *  - A pool is used by its CPU alone.
 */
#include <linux/local_lock.h>
#include <linux/percpu.h>
#include <linux/skbuff.h>
#include <net/dst_metadata.h>

#include "stt_private.h"

/* About what NAPI leaves waiting for the cells of a device, a power of 2. */
#define STT_METADATA_POOL	64

/**
 * struct stt_metadata_pool - metadata in use or to be used again
 * @bh_lock: held while metadata are taken
 * @dst: the metadata, NULL where there were none yet
 * @next: the one that was used longest ago
 */
struct stt_metadata_pool {
	local_lock_t		bh_lock;
	struct metadata_dst	*dst[STT_METADATA_POOL];
	unsigned int		next;
};

static struct stt_metadata_pool __percpu *stt_metadata_pool;

/* A reference to metadata that nobody but the pool has, or NULL. */
static struct metadata_dst *stt_metadata_get(void)
{
	struct metadata_dst **slot, *dst;
	struct stt_metadata_pool *pool;

	local_lock_nested_bh(&stt_metadata_pool->bh_lock);
	pool = this_cpu_ptr(stt_metadata_pool);
	slot = &pool->dst[pool->next++ % STT_METADATA_POOL];
	if (*slot && stt_compat_dst_is_unshared(&(*slot)->dst)) {
		/* Pairs with the release by the last packet. */
		smp_acquire__after_ctrl_dep();
		dst = *slot;
	} else {
		dst = metadata_dst_alloc(sizeof(__be64), METADATA_IP_TUNNEL,
					 GFP_ATOMIC);
		if (!dst)
			goto out;
		if (*slot)
			dst_release(&(*slot)->dst);
		*slot = dst;
	}
	dst_hold(&dst->dst);
out:
	local_unlock_nested_bh(&stt_metadata_pool->bh_lock);
	return dst;
}

/**
 * stt_metadata_set() - give a frame metadata
 * @skb: frame for an external device, without dst
 * @tun_id: Context ID for users of the device, without its keybase
 * @key: the whole Context ID, which becomes a tunnel option
 * @seg: where it came from
 *
 * Context: softirq.
 * Return: 0 or -ENOMEM.
 */
int stt_metadata_set(struct sk_buff *skb, __be64 tun_id, __be64 key,
		     const struct stt_segment *seg)
{
	const struct stt_frame_id *frame = &seg->frame;
	struct ip_tunnel_info *info;
	struct metadata_dst *dst;

	dst = stt_metadata_get();
	if (!dst)
		return -ENOMEM;
	skb_dst_set(skb, &dst->dst);
	info = &dst->u.tun_info;
	memset(&info->key, 0, sizeof(info->key));
	info->mode = 0;
	if (stt_addr_is_v4(&frame->saddr)) {
		info->key.u.ipv4.src = stt_addr_v4(&frame->saddr);
		info->key.u.ipv4.dst = stt_addr_v4(&frame->daddr);
	} else {
		info->mode = IP_TUNNEL_INFO_IPV6;
		info->key.u.ipv6.src = frame->saddr;
		info->key.u.ipv6.dst = frame->daddr;
		info->key.label = seg->label;
	}
	stt_compat_tun_set_rx_flags(&info->key);
	info->key.tun_id = tun_id;
	info->key.tos = seg->dsfield;
	info->key.ttl = seg->ttl;
	info->key.tp_src = frame->sport;
	info->key.tp_dst = frame->dport;
	info->options_len = sizeof(key);
	*(__be64 *)ip_tunnel_info_opts(info) = key;
	return 0;
}

/**
 * stt_metadata_init() - make the pools
 *
 * Return: 0 or -ENOMEM.
 */
int __init stt_metadata_init(void)
{
	int cpu;

	stt_metadata_pool = alloc_percpu(struct stt_metadata_pool);
	if (!stt_metadata_pool)
		return -ENOMEM;
	for_each_possible_cpu(cpu)
		local_lock_init(&per_cpu_ptr(stt_metadata_pool, cpu)->bh_lock);
	return 0;
}

/**
 * stt_metadata_exit() - give up the pools, when nothing is received any more
 *
 * What packets still have, they free.
 */
void stt_metadata_exit(void)
{
	struct stt_metadata_pool *pool;
	unsigned int i;
	int cpu;

	for_each_possible_cpu(cpu) {
		pool = per_cpu_ptr(stt_metadata_pool, cpu);
		for (i = 0; i < STT_METADATA_POOL; i++)
			if (pool->dst[i])
				dst_release(&pool->dst[i]->dst);
	}
	free_percpu(stt_metadata_pool);
}
