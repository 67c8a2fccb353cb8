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

/**
 * stt_skb_list() - look at the fragment list of an skb
 * @skb: the skb
 * @list: set to what there is
 */
void stt_skb_list(struct sk_buff *skb, struct stt_skb_list *list)
{
	struct sk_buff *seg;

	memset(list, 0, sizeof(*list));
	skb_walk_frags(skb, seg) {
		list->last = seg;
		list->len += seg->len;
		list->truesize += seg->truesize;
	}
}

/* Take the fragment list from an skb. */
static struct sk_buff *stt_skb_detach(struct sk_buff *skb,
				      const struct stt_skb_list *list)
{
	struct sk_buff *first = skb_shinfo(skb)->frag_list;

	skb_shinfo(skb)->frag_list = NULL;
	skb->len -= list->len;
	skb->data_len -= list->len;
	skb->truesize -= list->truesize;
	return first;
}

/* Put another list behind that of an skb. */
static void stt_skb_attach(struct sk_buff *to, struct stt_skb_list *list,
			   struct sk_buff *first,
			   const struct stt_skb_list *more)
{
	if (list->last)
		list->last->next = first;
	else
		skb_shinfo(to)->frag_list = first;
	list->last = more->last;
	list->len += more->len;
	list->truesize += more->truesize;
	to->len += more->len;
	to->data_len += more->len;
	to->truesize += more->truesize;
}

/* Append an skb without fragment list; cannot fail, consumes @from. */
static void stt_skb_append_one(struct sk_buff *to, struct stt_skb_list *list,
			       struct sk_buff *from)
{
	struct stt_skb_list one = {
		.last = from,
		.len = from->len,
		.truesize = from->truesize,
	};
	bool stolen;
	int delta;

	/* All of it was headers; GSO takes no such member. */
	if (!from->len) {
		consume_skb(from);
		return;
	}
	if (!skb_try_coalesce(list->last ?: to, from, &stolen, &delta)) {
		from->next = NULL;
		stt_skb_attach(to, list, from, &one);
		return;
	}
	kfree_skb_partial(from, stolen);
	if (!list->last)
		return;
	list->len += one.len;
	list->truesize += delta;
	to->len += one.len;
	to->data_len += one.len;
	to->truesize += delta;
}

/**
 * stt_skb_append() - append the data of one skb to another by reference
 * @to: grows; owned in the sense of stt_skb_own()
 * @list: fragment list of @to, updated
 * @from: what to append, owned; consumed
 * @more: fragment list of @from
 *
 * What can be made one member, is. The result has a flat fragment list: no
 * member has one of its own.
 */
void stt_skb_append(struct sk_buff *to, struct stt_skb_list *list,
		    struct sk_buff *from, const struct stt_skb_list *more)
{
	struct sk_buff *next = stt_skb_detach(from, more);

	stt_skb_append_one(to, list, from);
	while (next) {
		from = next;
		next = from->next;
		stt_skb_append_one(to, list, from);
	}
}

/**
 * stt_skb_join() - append to an skb one that has been appended to
 * @to: grows; owned in the sense of stt_skb_own()
 * @list: fragment list of @to, updated
 * @from: what to append, owned; consumed
 * @more: fragment list of @from
 *
 * However long it is, the list is taken as it is: a peer that sends the end of
 * a frame first must not make each segment cost what all before it have.
 */
void stt_skb_join(struct sk_buff *to, struct stt_skb_list *list,
		  struct sk_buff *from, const struct stt_skb_list *more)
{
	struct stt_skb_list rest = *more;	/* which @from may hold */
	struct sk_buff *first = stt_skb_detach(from, &rest);

	stt_skb_append_one(to, list, from);
	if (first)
		stt_skb_attach(to, list, first, &rest);
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
