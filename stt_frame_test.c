// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: unit tests of the codec, for stt_frame.c.
 */

/* An inner TCP segment over IPv4 or IPv6; checksums are not looked at here. */
static const u8 stt_test_tcp4[] __initconst = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01,
	0x08, 0x00,
	/* IPv4, 104 bytes, TCP */
	0x45, 0x00, 0x00, 0x68, 0x12, 0x34, 0x40, 0x00, 0x40, 0x06, 0xa5, 0x08,
	0xc0, 0xa8, 0x01, 0x01, 0xc0, 0xa8, 0x01, 0x02,
	/* TCP, 20 bytes */
	0x03, 0xe8, 0x07, 0xd0, 0x11, 0x11, 0x11, 0x11, 0x22, 0x22, 0x22, 0x22,
	0x50, 0x18, 0x10, 0x00, 0x83, 0xae, 0x00, 0x00,
	/* 64 bytes of payload follow */
	[117] = 0,
};

static const u8 stt_test_udp6[] __initconst = {
	0x02, 0x00, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01,
	0x86, 0xdd,
	/* IPv6, 20 bytes of payload, destination options first */
	0x60, 0x00, 0x00, 0x00, 0x00, 0x14, 0x3c, 0x40,
	0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01,
	0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02,
	/* destination options, 8 bytes, UDP */
	0x11, 0x00, 0x01, 0x04, 0x00, 0x00, 0x00, 0x00,
	/* UDP, 12 bytes */
	0x03, 0xe8, 0x07, 0xd0, 0x00, 0x0c, 0x00, 0x00, 0x61, 0x62, 0x63, 0x64,
};

/**
 * struct stt_frame_case - what a header says, and what becomes of the frame
 * @name: for the log
 * @frame: inner frame
 * @len: its length
 * @hdr: the header
 * @fault: expected
 * @ip_summed: expected
 * @csum_start: expected, from the Ethernet header, with CHECKSUM_PARTIAL
 * @gso_size: expected
 * @gso_segs: expected
 * @tci: expected tag, -1 for none
 */
struct stt_frame_case {
	const char		*name;
	const u8		*frame;
	unsigned int		len;
	struct stthdr		hdr;
	enum stt_frame_fault	fault;
	u8			ip_summed;
	u8			csum_start;
	u16			gso_size;
	u16			gso_segs;
	int			tci;
};

#define STT_TCP4	.frame = stt_test_tcp4, .len = sizeof(stt_test_tcp4)
#define STT_UDP6	.frame = stt_test_udp6, .len = sizeof(stt_test_udp6)
#define STT_F_P		STT_F_CSUM_PARTIAL
#define STT_F_TCP4	(STT_F_P | STT_F_IPV4 | STT_F_TCP)

static const struct stt_frame_case stt_frame_cases[] __initconst = {
	/* input */
	{ "nothing", STT_TCP4, { .key = 1 },
	/* output as expected */
	  STT_FRAME_OK, CHECKSUM_NONE, .tci = -1 },
	{ "verified", STT_TCP4, { .flags = STT_F_CSUM_VERIFIED },
	  STT_FRAME_OK, CHECKSUM_UNNECESSARY, .tci = -1 },
	{ "verified and partial", STT_TCP4,
	  { .flags = STT_F_CSUM_VERIFIED | STT_F_TCP4, .l4_offset = 34 },
	  STT_FRAME_FLAGS },
	{ "partial", STT_TCP4, { .flags = STT_F_TCP4, .l4_offset = 34 },
	  STT_FRAME_OK, CHECKSUM_PARTIAL, 34, .tci = -1 },
	{ "partial, reserved bits set", STT_TCP4,
	  { .flags = STT_F_TCP4 | 0xf0, .l4_offset = 34, .reserved = 0xff,
	    .padding = cpu_to_be16(0xffff) },
	  STT_FRAME_OK, CHECKSUM_PARTIAL, 34, .tci = -1 },
	{ "two segments", STT_TCP4,
	  { .flags = STT_F_TCP4, .l4_offset = 34, .mss = cpu_to_be16(32) },
	  STT_FRAME_OK, CHECKSUM_PARTIAL, 34, 32, 2, -1 },
	{ "segment size not needed", STT_TCP4,
	  { .flags = STT_F_TCP4, .l4_offset = 34, .mss = cpu_to_be16(64) },
	  STT_FRAME_OK, CHECKSUM_PARTIAL, 34, .tci = -1 },
	{ "segment size 1", STT_TCP4,
	  { .flags = STT_F_TCP4, .l4_offset = 34, .mss = cpu_to_be16(1) },
	  STT_FRAME_MSS },
	{ "L4 offset 33", STT_TCP4, { .flags = STT_F_TCP4, .l4_offset = 33 },
	  STT_FRAME_OFFLOAD },
	{ "L4 offset 0", STT_TCP4, { .flags = STT_F_TCP4 },
	  STT_FRAME_OFFLOAD },
	{ "TCP said to be UDP", STT_TCP4,
	  { .flags = STT_F_P | STT_F_IPV4, .l4_offset = 34 },
	  STT_FRAME_OFFLOAD },
	{ "IPv4 said to be IPv6", STT_TCP4,
	  { .flags = STT_F_P | STT_F_TCP, .l4_offset = 34 },
	  STT_FRAME_OFFLOAD },
	{ "offload without P is ignored", STT_TCP4,
	  { .flags = STT_F_IPV4 | STT_F_TCP, .l4_offset = 99,
	    .mss = cpu_to_be16(1) },
	  STT_FRAME_OK, CHECKSUM_NONE, .tci = -1 },
	{ "truncated L4 header", .frame = stt_test_tcp4, .len = 50,
	  { .flags = STT_F_TCP4, .l4_offset = 34 },
	  STT_FRAME_OFFLOAD },
	{ "options before UDP", STT_UDP6,
	  { .flags = STT_F_P, .l4_offset = 62 },
	  STT_FRAME_OK, CHECKSUM_PARTIAL, 62, .tci = -1 },
	{ "options not skipped", STT_UDP6,
	  { .flags = STT_F_P, .l4_offset = 54 },
	  STT_FRAME_OFFLOAD },
	{ "tag", STT_TCP4, { .tag = cpu_to_be16(0xb064) },
	  STT_FRAME_OK, CHECKSUM_NONE, .tci = 0xa064 },
	{ "priority tag", STT_TCP4, { .tag = cpu_to_be16(0x3000) },
	  STT_FRAME_OK, CHECKSUM_NONE, .tci = 0x2000 },
	{ "tag not valid", STT_TCP4, { .tag = cpu_to_be16(0xa064) },
	  STT_FRAME_OK, CHECKSUM_NONE, .tci = -1 },
};

static bool __init stt_frame_case_ok(const struct stt_frame_case *c,
				     const struct sk_buff *skb,
				     enum stt_frame_fault fault)
{
	if (fault != c->fault)
		return false;
	if (fault != STT_FRAME_OK)
		return true;
	if (skb->ip_summed != c->ip_summed)
		return false;
	if (skb->ip_summed == CHECKSUM_PARTIAL &&
	    skb_checksum_start_offset(skb) != c->csum_start)
		return false;
	if (skb_shinfo(skb)->gso_size != c->gso_size ||
	    skb_shinfo(skb)->gso_segs != c->gso_segs)
		return false;
	if (c->tci < 0)
		return !skb_vlan_tag_present(skb);
	return skb_vlan_tag_present(skb) && skb_vlan_tag_get(skb) == c->tci;
}

/* What we decode we must encode as it was. */
static bool __init stt_frame_round_trip(const struct stt_frame_case *c,
					struct sk_buff *skb)
{
	const u8 known = STT_F_CSUM_VERIFIED | STT_F_CSUM_PARTIAL |
			 STT_F_IPV4 | STT_F_TCP;
	struct stthdr want = c->hdr, got = { .key = c->hdr.key };

	want.flags &= known;
	want.reserved = 0;
	want.padding = 0;
	if (!(want.flags & STT_F_CSUM_PARTIAL)) {
		want.flags &= STT_F_CSUM_VERIFIED;
		want.l4_offset = 0;
	}
	want.mss = cpu_to_be16(c->gso_size);
	if (!(want.tag & cpu_to_be16(STT_TAG_VALID)))
		want.tag = 0;

	skb_reset_mac_header(skb);
	return !stt_frame_encode(skb, &got) &&
	       !memcmp(&got, &want, sizeof(got));
}

/**
 * stt_frame_selftest() - test the codec
 *
 * Return: 0 or a negative error, which the log explains.
 */
int __init stt_frame_selftest(void)
{
	const struct stt_frame_policy policy = { .csum_trust = true };
	const struct stt_frame_case *c;
	enum stt_frame_fault fault;
	struct sk_buff *skb;
	unsigned int i;
	bool ok;

	for (i = 0; i < ARRAY_SIZE(stt_frame_cases); i++) {
		c = &stt_frame_cases[i];
		skb = alloc_skb(c->len, GFP_KERNEL);
		if (!skb)
			return -ENOMEM;
		skb_put_data(skb, c->frame, c->len);
		fault = stt_frame_decode(skb, &c->hdr, &policy);
		ok = stt_frame_case_ok(c, skb, fault) &&
		     (fault != STT_FRAME_OK || stt_frame_round_trip(c, skb));
		kfree_skb(skb);
		if (!ok) {
			pr_err("stt: self-test of the codec failed: %s\n",
			       c->name);
			return -EINVAL;
		}
	}
	return 0;
}
