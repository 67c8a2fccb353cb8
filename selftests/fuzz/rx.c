// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzzes reception: sequences of segments, whole or in pieces that a NIC would
 * have merged, with the metadata of offloads, through a tun device.
 *
 * A write to tun runs the receive path in the context of the writer, up to the
 * NAPI of the stt device, so that kcov sees it.
 *
 * A record is what to correct (FIX_*), a struct virtio_net_hdr, and an outer
 * IP packet. Without correction of addresses and checksums hardly a mutated
 * segment would get past the first look. The devices that are named here are
 * those that ./run sets up.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fuzz.h"

#define FIX_LENGTH	0x01
#define FIX_CSUM	0x02
#define FIX_ADDR	0x04
#define FIX_PORT	0x08
#define FIX_ID		0x10	/* frames of one input are no other's */
#define FIX_ALL		0x1f

#define VNET_LEN	sizeof(struct virtio_net_hdr)
#define HEAD_LEN	(2 + VNET_LEN)
#define STT_HLEN	18
#define STT_PORT	7471

/* ./run gives the device with Context ID N the address 02:00:00:00:00:N. */
struct tunnel {
	__u64	key;
	__u16	port;
	bool	v6;
};

static const struct tunnel tunnels[] = {
	{ 1, STT_PORT, false },		/* from one remote, in a bridge */
	{ 2, STT_PORT, false },		/* learns */
	{ 3, STT_PORT, true },		/* vlancompat, dscpcopy, nocsumtrust */
	{ 0x400000005ull, STT_PORT, true },	/* external with keybase 4 */
	{ 6, STT_PORT + 1, false },	/* external */
	{ 7, STT_PORT, true },		/* link-local */
	{ 8, STT_PORT, false },		/* down */
	{ 9, STT_PORT, false },		/* a multicast group */
};

#define CAPTURES_MAX	64

static const char *device = "under0", *capture[CAPTURES_MAX];
static unsigned int captures;
static int tun = -1;
static __u32 salt;
static struct in6_addr near6, far6, link6;
static struct in_addr near4, far4, group4;

/* ---- Bytes */

static void put16(__u8 *p, __u16 value)
{
	p[0] = value >> 8;
	p[1] = value;
}

static void put32(__u8 *p, __u32 value)
{
	put16(p, value >> 16);
	put16(p + 2, value);
}

static __u16 get16(const __u8 *p)
{
	return p[0] << 8 | p[1];
}

static __u32 get32(const __u8 *p)
{
	return (__u32)get16(p) << 16 | get16(p + 2);
}

static __u32 sum(const __u8 *p, size_t len, __u32 total)
{
	for (; len > 1; len -= 2, p += 2)
		total += get16(p);
	return len ? total + (*p << 8) : total;
}

static __u16 fold(__u32 total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return total;
}

static __u32 sum_pseudo(const __u8 *ip, __u8 proto, __u32 len)
{
	if (ip[0] >> 4 == 4)
		return sum(ip + 12, 8, proto + len);
	return sum(ip + 8, 32, proto + len);
}

/* ---- Inner frames */

static size_t payload_length(void)
{
	switch (below(8)) {
	case 0:
		return below(9);
	case 1:
		return 1400 + below(200);
	case 2:
		return below(9000);
	case 3:
		return one_in(4) ? below(65300) : below(3000);
	default:
		return below(300);
	}
}

/* An L4 header and payload; returns the length, sets where the checksum is. */
static size_t build_l4(__u8 *p, __u8 proto, size_t len, size_t *check)
{
	*check = 0;
	random_bytes(p, len < 64 ? len : 64);
	switch (proto) {
	case IPPROTO_TCP:
		p[12] = (one_in(8) ? below(16) : 5 + below(4)) << 4;
		p[13] = one_in(2) ? 0x10 : random64();
		*check = 16;
		return 20 + len;
	case IPPROTO_UDP:
		put16(p + 4, 8 + len);
		*check = 6;
		return 8 + len;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		p[0] = proto == IPPROTO_ICMP ? 8 : 128;
		p[1] = 0;
		*check = 2;
		return 8 + len;
	default:
		return len;
	}
}

static size_t build_ip4(__u8 *p, size_t len, __u8 *proto, size_t *l4,
			size_t *check)
{
	size_t ihl = 20 + (one_in(6) ? 4 * below(11) : 0);

	memset(p, 1, ihl);
	len = build_l4(p + ihl, *proto, len, check);
	p[0] = 0x40 | ihl / 4;
	p[1] = random64();
	put16(p + 2, ihl + len);
	put16(p + 4, random64());
	put16(p + 6, one_in(12) ? random64() : one_in(2) ? 0x4000 : 0);
	p[8] = one_in(8) ? below(3) : 64;
	p[9] = *proto;
	put16(p + 10, 0);
	put32(p + 12, 0xac100102);	/* 172.16.1.2 */
	put32(p + 16, one_in(8) ? random64() : 0xac100101);
	put16(p + 10, ~fold(sum(p, ihl, 0)));
	*l4 = ihl;
	return ihl + len;
}

static size_t build_ip6(__u8 *p, size_t len, __u8 *proto, size_t *l4,
			size_t *check)
{
	static const __u8 ext[] = { 0, 60, 43, 44 };
	size_t at = 40, n = one_in(6) ? 1 + below(4) : 0;
	__u8 *next = p + 6;

	memset(p, 0, 40);
	p[0] = 0x60 | below(16);
	p[1] = random64();
	while (n--) {
		*next = ext[below(4)];
		memset(p + at, 0, 8);
		put16(p + at + 2, 0x0104);
		next = p + at;
		at += 8;
	}
	*next = *proto;
	len = at - 40 + build_l4(p + at, *proto, len, check);
	put16(p + 4, len);
	p[7] = 64;
	inet_pton(AF_INET6, "fd00:1::2", p + 8);
	inet_pton(AF_INET6, "fd00:1::1", p + 24);
	*l4 = at;
	return 40 + len;
}

static void build_macs(__u8 *p, __u64 key)
{
	static const __u8 first[] = { 2, 2, 2, 0xff, 1, 0x33 };

	memset(p, 0, 12);
	p[0] = first[below(sizeof(first))];
	if (p[0] == 0xff)
		memset(p, 0xff, 6);
	else
		p[5] = key;
	p[6] = one_in(16) ? random64() : 2;
	p[10] = 1 + below(2);
	p[11] = one_in(4) ? random64() : below(4);
}

/* The frame header and an Ethernet frame; returns the length of both. */
static size_t build_frame(__u8 *p, const struct tunnel *tunnel)
{
	static const __u8 protos[] = { 6, 6, 6, 6, 17, 17, 1, 58, 132, 0 };
	__u8 proto = protos[below(sizeof(protos))], *eth = p + STT_HLEN, *ip;
	size_t len = payload_length(), l4 = 0, check = 0, tags = 0, i;
	bool v4 = one_in(2);
	__u16 mss;

	memset(p, 0, STT_HLEN);
	for (i = 0; i < 8; i++)
		p[8 + i] = tunnel->key >> (56 - 8 * i);
	if (one_in(32))
		random_bytes(p + 8, 8);
	if (one_in(4))
		put16(p + 6, random64());
	build_macs(eth, tunnel->key);
	while (tags < 3 && one_in(8))
		put32(eth + 12 + 4 * tags++,
		      (one_in(3) ? 0x88a80000 : 0x81000000) | below(4));
	ip = eth + 14 + 4 * tags;
	put16(ip - 2, one_in(12) ? random64() : v4 ? ETH_P_IP : ETH_P_IPV6);
	len = (v4 ? build_ip4 : build_ip6)(ip, len, &proto, &l4, &check);
	if (one_in(3) || !check) {
		/* verified, or for the receiver to check */
		p[1] = below(2);
		if (check) {
			put16(ip + l4 + check, 0);
			put16(ip + l4 + check,
			      ~fold(sum(ip + l4, len - l4,
					sum_pseudo(ip, proto, len - l4))));
		}
	} else {
		p[1] = 2 | (v4 ? 4 : 0) | (proto == IPPROTO_TCP ? 8 : 0);
		p[2] = 14 + 4 * tags + l4;
		if (one_in(2)) {
			mss = one_in(4) ? odd_number(2) : 32 + below(1500);
			put16(p + 4, mss);
		}
	}
	if (one_in(12))
		len += below(20);	/* padding behind the packet */
	len += ip - p;
	return len > 65535 ? 65535 : len;
}

/* ---- Segments */

static size_t outer_ip(__u8 *p, const struct tunnel *tunnel, size_t len)
{
	size_t at;

	if (!tunnel->v6) {
		size_t ihl = 20 + (one_in(16) ? 4 * below(11) : 0);

		memset(p, 1, ihl);
		p[0] = 0x40 | ihl / 4;
		p[1] = one_in(2) ? 0 : random64();
		put16(p + 2, ihl + len);
		put32(p + 4, 0x4000);
		p[8] = 64;
		p[9] = IPPROTO_TCP;
		put16(p + 10, 0);
		memcpy(p + 12, &far4, 4);
		if (tunnel->key != 1 && one_in(4))
			p[15] = 2 + below(250);
		memcpy(p + 16, tunnel->key == 9 ? &group4 : &near4, 4);
		return ihl;
	}
	memset(p, 0, 40);
	p[0] = 0x60;
	p[1] = one_in(2) ? 0 : random64();
	p[6] = IPPROTO_TCP;
	p[7] = 64;
	memcpy(p + 8, tunnel->key == 7 ? &link6 : &far6, 16);
	memcpy(p + 24, &near6, 16);
	at = 40;
	if (one_in(16)) {
		memset(p + at, 0, 8);
		p[at] = IPPROTO_TCP;
		p[at + 2] = 1;
		p[at + 3] = 4;
		p[6] = one_in(3) ? 44 : one_in(2) ? 60 : 0;
		at += 8;
	}
	put16(p + 4, at - 40 + len);
	return at;
}

/* One segment, or several as TSO and GRO see them if @mss is not 0. */
static void build_segment(struct record *rec, const struct tunnel *tunnel,
			  const __u8 *frame, size_t total, size_t from,
			  size_t to, const __u8 *tcp, size_t mss)
{
	struct virtio_net_hdr vnet = { };
	__u8 *ip = rec->data + HEAD_LEN;
	size_t doff = one_in(16) ? 20 + 4 * below(11) : 20, at;

	rec->data[0] = FIX_ALL;
	rec->data[1] = 0;
	at = outer_ip(ip, tunnel, doff + to - from);
	memset(ip + at, 1, doff);
	memcpy(ip + at, tcp, 20);
	ip[at + 12] = doff / 4 << 4;
	put32(ip + at + 4, total << 16 | from);
	memcpy(ip + at + doff, frame + from, to - from);
	if (mss || one_in(4)) {
		vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		vnet.csum_start = at;
		vnet.csum_offset = 16;
	} else if (one_in(3)) {
		vnet.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	}
	if (mss) {
		vnet.gso_type = tunnel->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 :
					     VIRTIO_NET_HDR_GSO_TCPV4;
		vnet.gso_size = mss;
		vnet.hdr_len = at + doff;
	}
	memcpy(rec->data + 2, &vnet, sizeof(vnet));
	rec->len = HEAD_LEN + at + doff + to - from;
}

static void append_copy(struct input *in, __u32 from)
{
	in->record[in->count] = in->record[from];
	in->count++;
}

/* A frame in segments, some of them lost, doubled, displaced or merged. */
static void append_frame(struct input *in)
{
	const struct tunnel *tunnel = &tunnels[below(sizeof(tunnels) /
						     sizeof(*tunnels))];
	static __u8 frame[70000];
	size_t total = build_frame(frame, tunnel), size, from, to;
	__u32 start = in->count, a, b, pieces = 1 + below(6);
	static struct record swap;
	__u8 tcp[20] = { };

	size = one_in(3) ? total : total / pieces + 1 + below(16);
	put16(tcp, 49152 + below(16384));
	put16(tcp + 2, tunnel->port);
	put32(tcp + 8, random64());
	tcp[13] = 0x18;
	for (from = 0; from < total && in->count < RECORDS_MAX; from = to) {
		to = from + size > total ? total : from + size;
		if (one_in(16) && to < total)
			to -= below(to - from);
		if (!one_in(32))
			build_segment(&in->record[in->count++], tunnel, frame,
				      total, from, to, tcp,
				      one_in(2) && to - from > 200 ?
				      100 + below(to - from - 100) : 0);
		/* an overlap now and then */
		if (one_in(16) && to < total)
			to -= below(to - from) / 2;
	}
	while (in->count > start + 1 && one_in(3)) {
		a = start + below(in->count - start);
		b = start + below(in->count - start);
		swap = in->record[a];
		in->record[a] = in->record[b];
		in->record[b] = swap;
	}
	if (in->count > start && in->count < RECORDS_MAX && one_in(8))
		append_copy(in, start + below(in->count - start));
}

/* An ICMP error that quotes a segment of ours. */
static void append_icmp(struct input *in)
{
	const struct tunnel *tunnel = &tunnels[one_in(2) ? 0 : 2];
	struct record *rec = &in->record[in->count++];
	__u8 *p = rec->data + HEAD_LEN, *quote;
	size_t len = 28 + below(600), at;

	memset(rec->data, 0, HEAD_LEN);
	rec->data[0] = FIX_ALL;
	at = outer_ip(p, tunnel, 8 + len);
	if (tunnel->v6) {
		p[6] = IPPROTO_ICMPV6;
		at = 40;
	} else {
		p[9] = IPPROTO_ICMP;
	}
	random_bytes(p + at, 8 + len);
	p[at] = tunnel->v6 ? 2 : 3;
	p[at + 1] = tunnel->v6 ? 0 : 4;
	put32(p + at + 4, one_in(2) ? 1280 + below(300) : odd_number(4));
	quote = p + at + 8;
	if (tunnel->v6) {
		memset(quote, 0, 8);
		quote[0] = 0x60;
		quote[6] = IPPROTO_TCP;
		put16(quote + 4, odd_number(2));
		memcpy(quote + 8, &near6, 16);
		memcpy(quote + 24, &far6, 16);
		quote += 40;
		len += 20;
	} else {
		quote[0] = 0x45;
		put16(quote + 2, odd_number(2));
		put16(quote + 6, 0x4000);
		quote[9] = IPPROTO_TCP;
		memcpy(quote + 12, &near4, 4);
		memcpy(quote + 16, &far4, 4);
		quote += 20;
	}
	put16(quote, 49152 + below(16384));
	put16(quote + 2, tunnel->port);
	rec->len = HEAD_LEN + at + 8 + len;
}

static void generate(struct input *in)
{
	__u32 n = one_in(4) ? 1 + below(4) : 1;

	in->count = 0;
	while (n-- && in->count < RECORDS_MAX) {
		if (one_in(12))
			append_icmp(in);
		else
			append_frame(in);
	}
}

/* ---- Changes of fields */

/* Offset of the L4 header of an IP packet, 0 if there is none. */
static size_t find_l4(const __u8 *ip, size_t len, __u8 *proto)
{
	size_t at = 40;

	if (len >= 20 && ip[0] >> 4 == 4) {
		*proto = ip[9];
		at = (ip[0] & 15) * 4;
		return at >= 20 && at <= len && !(get16(ip + 6) & 0x3fff) ?
		       at : 0;
	}
	if (len < 40 || ip[0] >> 4 != 6)
		return 0;
	*proto = ip[6];
	while (at + 8 <= len && (!*proto || *proto == 60 || *proto == 43)) {
		*proto = ip[at];
		at += 8 + ip[at + 1] * 8;
	}
	return at <= len ? at : 0;
}

/* A field of the packet, in network byte order. */
static void tweak_field(struct record *rec, size_t at, unsigned int width)
{
	__u64 value = 0;
	unsigned int i;

	if (at + width > rec->len)
		return;
	for (i = 0; i < width; i++)
		value = value << 8 | rec->data[at + i];
	switch (below(4)) {
	case 0:
		value += 1 + below(8);
		break;
	case 1:
		value -= 1 + below(8);
		break;
	case 2:
		value = odd_number(width);
		break;
	default:
		value ^= 1ull << below(8 * width);
	}
	for (i = width; i--; value >>= 8)
		rec->data[at + i] = value;
}

static void tweak_vnet(struct record *rec)
{
	struct virtio_net_hdr vnet;

	memcpy(&vnet, rec->data + 2, sizeof(vnet));
	switch (below(8)) {
	case 0:
		vnet.flags = below(8);
		break;
	case 1:
		vnet.gso_type = one_in(2) ? random64() : below(6);
		break;
	case 2:
		vnet.gso_type ^= VIRTIO_NET_HDR_GSO_ECN;
		break;
	case 3:
		vnet.gso_size = odd_number(2);
		break;
	case 4:
		vnet.hdr_len = odd_number(2);
		break;
	case 5:
		vnet.csum_start = odd_number(2);
		break;
	case 6:
		vnet.csum_offset = odd_number(2);
		break;
	default:
		vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		vnet.csum_start = 20;
		vnet.csum_offset = 16;
		vnet.gso_size = 1 + below(1500);
		vnet.gso_type = 1;
	}
	memcpy(rec->data + 2, &vnet, sizeof(vnet));
}

static void tweak_tcp(struct record *rec, size_t at)
{
	static const struct {
		__u8 at, width;
	} fields[] = {
		{ 0, 2 }, { 2, 2 }, { 4, 2 }, { 4, 2 }, { 6, 2 }, { 6, 2 },
		{ 8, 4 }, { 12, 1 }, { 12, 2 }, { 14, 2 }, { 18, 2 },
	};
	__u32 i = below(sizeof(fields) / sizeof(*fields));

	tweak_field(rec, at + fields[i].at, fields[i].width);
}

/* The frame header and what follows it. */
static void tweak_frame(struct record *rec, size_t at)
{
	static const struct {
		__u8 at, width;
	} fields[] = {
		{ 0, 1 }, { 1, 1 }, { 1, 1 }, { 1, 1 }, { 2, 1 }, { 2, 1 },
		{ 3, 1 }, { 4, 2 }, { 4, 2 }, { 6, 2 }, { 8, 8 }, { 16, 2 },
		{ 18, 2 }, { 24, 2 }, { 30, 2 }, { 30, 2 }, { 32, 1 },
		{ 32, 2 }, { 33, 1 }, { 34, 2 }, { 36, 2 }, { 38, 2 },
		{ 41, 1 }, { 64, 1 }, { 64, 2 }, { 72, 1 }, { 84, 1 },
	};
	__u32 i = below(sizeof(fields) / sizeof(*fields));

	tweak_field(rec, at + fields[i].at, fields[i].width);
}

static void tweak(struct record *rec)
{
	__u8 proto = 0, *ip = rec->data + HEAD_LEN;
	size_t l4;

	if (rec->len < HEAD_LEN + 20)
		return;
	l4 = find_l4(ip, rec->len - HEAD_LEN, &proto);
	switch (below(10)) {
	case 0:
		rec->data[0] = one_in(2) ? FIX_ALL :
					   FIX_ALL ^ 1 << below(5);
		break;
	case 1:
		tweak_vnet(rec);
		break;
	case 2:
		tweak_field(rec, HEAD_LEN + below(20), 1);
		break;
	case 3:
		/* cut off, so that nothing else fits any more */
		rec->len -= below(rec->len - HEAD_LEN);
		break;
	case 4:
		rec->data[0] ^= FIX_ID;
		if (l4)
			memset(ip + l4 + 8, 0, l4 + 12 > rec->len ? 0 : 4);
		break;
	case 5:
	case 6:
		if (l4)
			tweak_tcp(rec, HEAD_LEN + l4);
		break;
	default:
		if (l4 && HEAD_LEN + l4 + 20 < rec->len)
			tweak_frame(rec, HEAD_LEN + l4 +
				    (ip[l4 + 12] >> 4) * 4);
	}
}

/* ---- Giving it to the kernel */

static void fix_l4(__u8 *ip, size_t len, size_t l4, __u8 proto, __u8 fix,
		   const struct virtio_net_hdr *vnet)
{
	size_t check = proto == IPPROTO_TCP ? 16 : 2, size = len - l4;
	__u32 pseudo = proto == IPPROTO_ICMP ? 0 :
		       sum_pseudo(ip, proto, size);
	__u16 port;

	if (proto == IPPROTO_TCP && size >= 20) {
		port = get16(ip + l4 + 2);
		if (fix & FIX_PORT && port != STT_PORT + 1)
			put16(ip + l4 + 2, STT_PORT);
		if (fix & FIX_ID)
			put32(ip + l4 + 8, get32(ip + l4 + 8) + salt);
	}
	if (!(fix & FIX_CSUM) || size < check + 2)
		return;
	if (vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM &&
	    vnet->csum_start == l4) {
		put16(ip + l4 + check, fold(pseudo));
		return;
	}
	put16(ip + l4 + check, 0);
	put16(ip + l4 + check, ~fold(sum(ip + l4, size, pseudo)));
}

static void correct(__u8 *ip, size_t len, __u8 fix,
		    const struct virtio_net_hdr *vnet)
{
	size_t ihl = (ip[0] & 15) * 4, l4;
	bool v4 = ip[0] >> 4 == 4;
	__u8 proto = 0;

	if (v4 && len >= 20) {
		if (fix & FIX_LENGTH)
			put16(ip + 2, len);
		if (fix & FIX_ADDR && ip[16] != 239)
			memcpy(ip + 16, &near4, 4);
		if (fix & FIX_CSUM && ihl <= len) {
			put16(ip + 10, 0);
			put16(ip + 10, ~fold(sum(ip, ihl, 0)));
		}
	} else if (!v4 && len >= 40) {
		if (fix & FIX_LENGTH)
			put16(ip + 4, len - 40);
		if (fix & FIX_ADDR)
			memcpy(ip + 24, &near6, 16);
	} else {
		return;
	}
	l4 = find_l4(ip, len, &proto);
	if (l4 && (proto == IPPROTO_TCP || proto == IPPROTO_ICMP ||
		   proto == IPPROTO_ICMPV6))
		fix_l4(ip, len, l4, proto, fix, vnet);
}

static bool is_stt_port(__u16 port)
{
	return port == STT_PORT || port == STT_PORT + 1;
}

/*
 * Nothing may answer a segment: neither TCP nor ICMP knows of STT's ports. ICMP
 * may complain of IP headers, which are none of our business.
 */
static int check_answer(const __u8 *ip, size_t len)
{
	__u8 proto = 0, quoted = 0;
	size_t l4 = find_l4(ip, len, &proto), quote;
	const __u8 *p = ip + l4;

	if (!l4)
		return 0;
	if (proto == IPPROTO_TCP && len >= l4 + 20 && p[13] & 4 &&
	    is_stt_port(get16(p))) {
		strcpy(failure, "TCP answers with a reset");
		return -1;
	}
	if (len < l4 + 8 || !(proto == IPPROTO_ICMP && p[0] == 3) ||
	    !(proto == IPPROTO_ICMPV6 && p[0] == 1))
		return 0;
	quote = find_l4(p + 8, len - l4 - 8, &quoted);
	if (!quote || quoted != IPPROTO_TCP ||
	    len < l4 + 8 + quote + 4 || !is_stt_port(get16(p + 8 + quote + 2)))
		return 0;
	strcpy(failure, "ICMP answers that there is nobody");
	return -1;
}

static int drain(void)
{
	static __u8 buffer[RECORD_MAX];
	int rc = 0;
	ssize_t n;

	while ((n = read(tun, buffer, sizeof(buffer))) > (ssize_t)VNET_LEN)
		rc = check_answer(buffer + VNET_LEN, n - VNET_LEN) ?: rc;
	return rc;
}

static int run(const struct input *in)
{
	static __u8 packet[RECORD_MAX];
	struct virtio_net_hdr vnet;
	__u32 i;

	salt += 0x10001;
	for (i = 0; i < in->count; i++) {
		const struct record *rec = &in->record[i];
		size_t len = rec->len;

		if (len < HEAD_LEN + 1)
			continue;
		if (len > HEAD_LEN + 65535)
			len = HEAD_LEN + 65535;
		memcpy(&vnet, rec->data + 2, sizeof(vnet));
		memcpy(packet, rec->data + 2, len - 2);
		correct(packet + VNET_LEN, len - HEAD_LEN, rec->data[0], &vnet);
		/* What tun refuses is refused before it can do harm. */
		if (write(tun, packet, len - 2) < 0 && errno == EBADFD)
			die("%s is down", device);
	}
	return drain();
}

/* ---- Beginning */

/* Packets of a capture, sent to the first device that would take them. */
static void read_capture(const char *path)
{
	static struct input in;
	static __u8 packet[65536];
	__u8 head[24], *ip;
	struct record *rec;
	__u32 len;
	FILE *file = fopen(path, "r");
	size_t l4, skip;
	__u8 proto = 0;

	if (!file || fread(head, 24, 1, file) != 1)
		die("%s", path);
	in.count = 0;
	while (fread(head, 16, 1, file) == 1) {
		memcpy(&len, head + 8, 4);
		rec = &in.record[in.count];
		if (len > 65535 || len < ETH_HLEN + 20)
			die("%s: a packet of %u bytes", path, len);
		if (fread(packet, len, 1, file) != 1)
			die("%s", path);
		skip = get16(packet + 12) == ETH_P_8021Q ? ETH_HLEN + 4 :
							   ETH_HLEN;
		memset(rec->data, 0, HEAD_LEN);
		rec->data[0] = FIX_ALL;
		rec->len = HEAD_LEN + len - skip;
		ip = rec->data + HEAD_LEN;
		memcpy(ip, packet + skip, len - skip);
		if (ip[0] >> 4 == 4)
			memcpy(ip + 12, &far4, 4);
		else
			memcpy(ip + 8, &far6, 16);
		l4 = find_l4(ip, rec->len - HEAD_LEN, &proto);
		if (l4 && l4 + 38 <= rec->len && !get16(ip + l4 + 6)) {
			memset(ip + l4 + 28, 0, 8);
			ip[l4 + 35] = ip[0] >> 4 == 4 ? 2 : 3;
		}
		if (++in.count == 8) {
			add_seed(&in);
			in.count = 0;
		}
	}
	fclose(file);
	if (in.count)
		add_seed(&in);
}

static void option(int option, const char *argument)
{
	if (option == 'd')
		device = argument;
	else if (captures < CAPTURES_MAX)
		capture[captures++] = argument;
}

static void init(void)
{
	struct ifreq ifr = {
		.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR |
			     IFF_MULTI_QUEUE,
	};
	unsigned int i;

	strncpy(ifr.ifr_name, device, IFNAMSIZ - 1);
	tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	if (tun < 0 || ioctl(tun, TUNSETIFF, &ifr))
		die("%s", device);
	/* Two at a time share the device, but not the frames. */
	salt = (__u32)getpid() << 24;
	inet_pton(AF_INET, "10.9.0.1", &near4);
	inet_pton(AF_INET, "10.9.0.2", &far4);
	inet_pton(AF_INET, "239.9.0.1", &group4);
	inet_pton(AF_INET6, "fd09::1", &near6);
	inet_pton(AF_INET6, "fd09::2", &far6);
	inet_pton(AF_INET6, "fe80::2", &link6);
	for (i = 0; i < captures; i++)
		read_capture(capture[i]);
}

const struct target target = {
	.name = "rx",
	.options = "d:p:",
	.usage = " -d DEV  tun device, of several queues (under0)\n"
		 " -p FILE begin with the packets of a capture, too\n",
	.option = option,
	.init = init,
	.generate = generate,
	.tweak = tweak,
	.run = run,
};
