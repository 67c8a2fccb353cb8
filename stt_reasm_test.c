// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: unit tests of reassembly, for stt_reasm.c.
 *
 * Frames are cut at random, and their segments are mixed, repeated and made to
 * overlap. A model that knows nothing but which bytes have arrived says what
 * must become of each.
 */
#include <linux/prandom.h>

#define STT_TEST_FRAMES		300
#define STT_TEST_LEN_MAX	4000

/* However slow the machine is, no frame may expire. */
#define STT_TEST_TIMEOUT_MS	(24 * 60 * 60 * 1000)

static u8 stt_test_buf[STT_TEST_LEN_MAX] __initdata;

/* What a frame holds at an offset. */
static u8 __init stt_test_byte(u32 seed, unsigned int offset)
{
	return (seed + offset * 7 + (offset >> 8) * 13) & 0xff;
}

static struct sk_buff * __init stt_test_linear(unsigned int len)
{
	struct sk_buff *skb = alloc_skb(len, GFP_KERNEL);

	if (skb)
		skb_put(skb, len);
	return skb;
}

static struct sk_buff * __init stt_test_paged(unsigned int len)
{
	struct sk_buff *skb;
	int err;

	skb = alloc_skb_with_frags(0, len, 0, &err, GFP_KERNEL);
	if (skb) {
		skb->len = len;
		skb->data_len = len;
	}
	return skb;
}

/* An skb with a fragment list, as GRO makes them. */
static struct sk_buff * __init stt_test_listed(unsigned int len)
{
	struct sk_buff *skb = stt_test_linear(len / 2);
	struct sk_buff *tail = stt_test_paged(len - len / 2);

	if (!skb || !tail) {
		kfree_skb(skb);
		kfree_skb(tail);
		return NULL;
	}
	skb_shinfo(skb)->frag_list = tail;
	skb->len += tail->len;
	skb->data_len += tail->len;
	skb->truesize += tail->truesize;
	return skb;
}

static struct sk_buff * __init stt_test_skb(struct rnd_state *rnd,
					    unsigned int offset,
					    unsigned int len, u32 seed)
{
	struct sk_buff *skb;
	unsigned int i;

	switch (prandom_u32_state(rnd) % 3) {
	case 0:
		skb = stt_test_linear(len);
		break;
	case 1:
		skb = stt_test_paged(len);
		break;
	default:
		skb = len > 1 ? stt_test_listed(len) : stt_test_linear(len);
		break;
	}
	if (!skb)
		return NULL;
	for (i = 0; i < len; i++)
		stt_test_buf[i] = stt_test_byte(seed, offset + i);
	skb_store_bits(skb, 0, stt_test_buf, len);
	return skb;
}

/**
 * struct stt_test_frame - a frame and what the model knows of it
 * @have: bytes that have arrived
 * @seed: of its contents
 * @len: its length
 */
struct stt_test_frame {
	unsigned long	have[BITS_TO_LONGS(STT_TEST_LEN_MAX)];
	u32		seed;
	unsigned int	len;
};

/* What the model says of a segment; HELD also stands for completion. */
static enum stt_reasm_verdict __init
stt_test_model(struct stt_test_frame *f, unsigned int offset, unsigned int len)
{
	unsigned int end = offset + len;

	if (find_next_zero_bit(f->have, end, offset) >= end)
		return STT_REASM_DUPLICATE;
	if (find_next_bit(f->have, end, offset) < end)
		return STT_REASM_OVERLAP;
	bitmap_set(f->have, offset, len);
	return STT_REASM_HELD;
}

static bool __init stt_test_intact(const struct stt_test_frame *f,
				   struct sk_buff *skb)
{
	struct sk_buff *seg;
	unsigned int i;

	if (skb->len != f->len)
		return false;
	skb_walk_frags(skb, seg)
		if (skb_has_frag_list(seg))
			return false;
	if (skb_copy_bits(skb, 0, stt_test_buf, f->len))
		return false;
	for (i = 0; i < f->len; i++)
		if (stt_test_buf[i] != stt_test_byte(f->seed, i))
			return false;
	return true;
}

/* Give the table one segment; 1 if it completed the frame, <0 on failure. */
static int __init stt_test_step(struct stt_reasm *r, struct rnd_state *rnd,
				struct stt_test_frame *f, u32 id,
				unsigned int offset, unsigned int len)
{
	struct stt_segment seg = {
		.frame.id = (__force __be32)id,
		.total = f->len,
		.offset = offset,
	};
	struct sk_buff *skb, *tap = NULL;
	enum stt_reasm_verdict want, got;
	bool full, intact = true;

	skb = stt_test_skb(rnd, offset, len, f->seed);
	if (!skb)
		return -ENOMEM;
	/* A packet tap shares the data, and must not see them change. */
	if (!(prandom_u32_state(rnd) % 8))
		tap = skb_clone(skb, GFP_KERNEL);

	want = stt_test_model(f, offset, len);
	full = bitmap_full(f->have, f->len);
	local_bh_disable();
	skb = stt_reasm_add(r, skb, &seg, &got);
	local_bh_enable();
	if (tap && (tap->len != len || skb_linearize(tap)))
		intact = false;
	kfree_skb(tap);
	if (skb) {
		intact = intact && stt_test_intact(f, skb);
		kfree_skb(skb);
		return want == STT_REASM_HELD && full && intact ? 1 : -EINVAL;
	}
	return got == want && intact && !(full && want == STT_REASM_HELD) ?
	       0 : -EINVAL;
}

/* One frame from first segment to last. */
static int __init stt_test_random(struct stt_reasm *r, struct rnd_state *rnd,
				  u32 id)
{
	static struct stt_test_frame f __initdata;
	unsigned int offset, len, steps = 0;
	int ret = 0;

	memset(&f, 0, sizeof(f));
	f.seed = prandom_u32_state(rnd);
	f.len = STT_HLEN + ETH_HLEN +
		prandom_u32_state(rnd) % (STT_TEST_LEN_MAX - 100);
	while (!ret) {
		if (prandom_u32_state(rnd) % 4 && ++steps < 200) {
			offset = prandom_u32_state(rnd) % f.len;
			len = 1 + prandom_u32_state(rnd) % (f.len - offset);
			len = min(len, f.len / 8 + 1);
		} else {
			/* The first hole, or it would never be complete. */
			offset = find_first_zero_bit(f.have, f.len);
			len = find_next_bit(f.have, f.len, offset) - offset;
			len = 1 + prandom_u32_state(rnd) % len;
		}
		ret = stt_test_step(r, rnd, &f, id, offset, len);
	}
	return ret;
}

static int __init stt_test_mismatch(struct stt_reasm *r, struct rnd_state *rnd)
{
	struct stt_segment seg = { .total = 100 };
	enum stt_reasm_verdict got;
	struct sk_buff *skb;

	skb = stt_test_skb(rnd, 0, 40, 1);
	if (!skb)
		return -ENOMEM;
	local_bh_disable();
	stt_reasm_add(r, skb, &seg, &got);
	local_bh_enable();
	if (got != STT_REASM_HELD)
		return -EINVAL;

	seg.total = 101;
	seg.offset = 40;
	skb = stt_test_skb(rnd, 40, 60, 1);
	if (!skb)
		return -ENOMEM;
	local_bh_disable();
	skb = stt_reasm_add(r, skb, &seg, &got);
	local_bh_enable();
	if (skb || got != STT_REASM_LENGTH)
		return -EINVAL;
	return 0;
}

/* Whatever is sent, and never completed, memory stays within the budget. */
static int __init stt_test_budget(struct stt_reasm *r, struct rnd_state *rnd)
{
	struct stt_segment seg = { .total = 60000 };
	enum stt_reasm_verdict got;
	struct sk_buff *skb;
	unsigned int i;

	r->budget = SZ_64K;
	for (i = 0; i < 500; i++) {
		seg.frame.id = (__force __be32)i;
		seg.frame.saddr.s6_addr32[3] = (__force __be32)(i % 5);
		skb = stt_test_skb(rnd, 0, 100, i);
		if (!skb)
			return -ENOMEM;
		local_bh_disable();
		stt_reasm_add(r, skb, &seg, &got);
		local_bh_enable();
		if (atomic_long_read(&r->mem) > r->budget)
			return -EINVAL;
	}
	return atomic_long_read(&r->evictions) ? 0 : -EINVAL;
}

/*
 * Where very many sources hold all there is and go on, a frame of another is
 * completed.
 */
static int __init stt_test_crowd(struct stt_reasm *r, struct rnd_state *rnd)
{
	struct stt_segment seg = { .total = STT_TEST_LEN_MAX };
	enum stt_reasm_verdict got;
	struct sk_buff *skb;
	unsigned int i, len;

	r->budget = SZ_4M;
	for (i = 0; i < 8100; i++) {
		memset(&seg.frame, 0, sizeof(seg.frame));
		if (i >= 8000 && i % 10 == 0) {
			len = STT_TEST_LEN_MAX / 10;
			seg.offset = (i - 8000) / 10 * len;
			skb = stt_test_skb(rnd, seg.offset, len, i);
		} else {
			seg.frame.id = (__force __be32)i;
			seg.frame.saddr.s6_addr32[3] = (__force __be32)i;
			seg.offset = 0;
			skb = stt_test_linear(100);
		}
		if (!skb)
			return -ENOMEM;
		local_bh_disable();
		skb = stt_reasm_add(r, skb, &seg, &got);
		local_bh_enable();
		if (atomic_long_read(&r->mem) > r->budget)
			return -EINVAL;
		if (skb) {
			kfree_skb(skb);
			return i == 8090 ? 0 : -EINVAL;
		}
	}
	return -EINVAL;
}

/**
 * stt_reasm_selftest() - test reassembly against a model
 *
 * Return: 0 or a negative error, which the log explains.
 */
int __init stt_reasm_selftest(void)
{
	u64 seed = get_random_u64();
	struct rnd_state rnd;
	struct stt_reasm *r;
	int err;
	u32 id;

	r = kzalloc(sizeof(*r), GFP_KERNEL);
	if (!r)
		return -ENOMEM;
	stt_reasm_defaults(r);
	r->timeout_ms = STT_TEST_TIMEOUT_MS;
	err = stt_reasm_init(r);
	if (err)
		goto free;
	prandom_seed_state(&rnd, seed);
	for (id = 0; id < STT_TEST_FRAMES; id++) {
		err = stt_test_random(r, &rnd, id);
		if (err < 0)
			goto exit;
		err = 0;
	}
	if (atomic_long_read(&r->mem))
		err = -EINVAL;
	if (!err)
		err = stt_test_mismatch(r, &rnd);
	if (!err)
		err = stt_test_budget(r, &rnd);
	if (!err)
		err = stt_test_crowd(r, &rnd);
exit:
	stt_reasm_exit(r);
free:
	kfree(r);
	if (err)
		pr_err("stt: self-test of reassembly failed: frame %u, seed %llu, error %d\n",
		       id, seed, err);
	return err;
}
