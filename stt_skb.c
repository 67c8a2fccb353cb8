// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: joining segments into one skb, by reference.
 *
 * A frame's boundaries are not those of the segments it came in, so its
 * fragment layout is none that GRO would build. skb_segment() cuts such an skb
 * correctly only if the members of its fragment list hold page fragments and
 * nothing in their linear part; stt_skb_fit_gso() gives it that form.
 */
#include <linux/mmzone.h>
#include <linux/skbuff.h>

#include "stt_private.h"

/* Replace a fragment list that a clone shares by one of our own. */
static int stt_skb_own_list(struct sk_buff *skb)
{
	struct sk_buff **link = &skb_shinfo(skb)->frag_list;
	struct sk_buff *seg, *copy, *next;

	for (seg = *link; seg; seg = next) {
		next = seg->next;
		copy = skb_clone(seg, GFP_ATOMIC);
		if (!copy) {
			*link = seg;
			return -ENOMEM;
		}
		*link = copy;
		copy->next = next;
		link = &copy->next;
		consume_skb(seg);
	}
	return 0;
}

/**
 * stt_skb_own() - make the fragment list of an skb writable
 * @skb: the skb
 *
 * A packet tap may hold a clone that shares the fragments. The data stay
 * shared, only what describes them is copied.
 *
 * Return: 0 or -ENOMEM; @skb is valid in any case.
 */
int stt_skb_own(struct sk_buff *skb)
{
	struct sk_buff *seg;

	if (skb_unclone(skb, GFP_ATOMIC))
		return -ENOMEM;
	skb_walk_frags(skb, seg)
		if (skb_shared(seg))
			return stt_skb_own_list(skb);
	return 0;
}

/* Append an skb without fragment list; cannot fail, consumes @from. */
static void stt_skb_append_one(struct sk_buff *to, struct sk_buff **last,
			       struct sk_buff *from)
{
	struct sk_buff *tail = *last ?: to;
	unsigned int len = from->len;
	bool stolen;
	int delta;

	if (skb_try_coalesce(tail, from, &stolen, &delta)) {
		kfree_skb_partial(from, stolen);
		if (tail == to)
			return;
		to->truesize += delta;
	} else {
		from->next = NULL;
		if (tail == to)
			skb_shinfo(to)->frag_list = from;
		else
			tail->next = from;
		*last = from;
		to->truesize += from->truesize;
	}
	to->len += len;
	to->data_len += len;
}

/**
 * stt_skb_append() - append the data of one skb to another by reference
 * @to: grows; owned in the sense of stt_skb_own()
 * @last: last member of the fragment list of @to, NULL if it has none; updated
 * @from: what to append, owned; consumed
 *
 * The result has a flat fragment list: no member has one of its own.
 */
void stt_skb_append(struct sk_buff *to, struct sk_buff **last,
		    struct sk_buff *from)
{
	struct sk_buff *list = skb_shinfo(from)->frag_list, *next;

	skb_shinfo(from)->frag_list = NULL;
	for (next = list; next; next = next->next) {
		from->len -= next->len;
		from->data_len -= next->len;
		from->truesize -= next->truesize;
	}
	stt_skb_append_one(to, last, from);
	for (; list; list = next) {
		next = list->next;
		stt_skb_append_one(to, last, list);
	}
}

/* Copy the linear part of @seg to an skb of page fragments in front of it. */
static struct sk_buff *stt_skb_page_head(struct sk_buff *seg)
{
	unsigned int len = skb_headlen(seg);
	struct sk_buff *pages;
	int err;

	pages = alloc_skb_with_frags(0, len, PAGE_ALLOC_COSTLY_ORDER, &err,
				     GFP_ATOMIC);
	if (!pages)
		return NULL;
	pages->len = len;
	pages->data_len = len;
	if (skb_store_bits(pages, 0, seg->data, len)) {
		kfree_skb(pages);
		return NULL;
	}
	__skb_pull(seg, len);
	return pages;
}

/**
 * stt_skb_fit_gso() - bring an skb into a form that any segment size suits
 * @skb: the skb, owned in the sense of stt_skb_own()
 *
 * Only the linear parts of list members are copied; drivers keep no more than
 * a few bytes there, if anything.
 *
 * Return: 0 or -ENOMEM; @skb is valid in any case.
 */
int stt_skb_fit_gso(struct sk_buff *skb)
{
	struct sk_buff **link = &skb_shinfo(skb)->frag_list;
	struct sk_buff *seg, *pages;

	for (; (seg = *link); link = &seg->next) {
		if (!skb_headlen(seg))
			continue;
		pages = stt_skb_page_head(seg);
		if (!pages)
			return -ENOMEM;
		skb->truesize += pages->truesize;
		*link = pages;
		if (seg->len) {
			pages->next = seg;
		} else {
			pages->next = seg->next;
			skb->truesize -= seg->truesize;
			consume_skb(seg);
			seg = pages;
		}
	}
	return 0;
}
