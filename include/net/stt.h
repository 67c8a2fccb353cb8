/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Stateless Transport Tunneling: wire format (draft-davie-stt-08).
 *
 * A frame is the 18-byte frame header followed by one untagged Ethernet frame
 * without FCS. It travels in segments, each behind a header that looks like
 * TCP; only the first segment holds the frame header.
 *
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-------------------------------+-------------------------------+
 * |          Source port          |    Destination port (7471)    |
 * +-------------------------------+-------------------------------+
 * |   SEQ: length of the frame    | offset of this segment in it  |
 * +-------------------------------+-------------------------------+
 * |          ACK: frame ID, the same in all its segments          |
 * +-------+-------+---------------+-------------------------------+
 * |   5   |   0   |    flags      |           Window (0)          |
 * +-------+-------+---------------+-------------------------------+
 * |           Checksum            |           Urgent (0)          |
 * +===============+===============+===============+===============+
 * |  Version (0)  | - - - - T V P C   L4 offset   |   Reserved    |
 * +---------------+---------------+-----+-+-------+---------------+
 * |       Max. segment size       | PCP |V|        VLAN ID        |
 * +-------------------------------+-----+-+-----------------------+
 * |                                                               |
 * +                          Context ID                           +
 * |                                                               |
 * +-------------------------------+-------------------------------+
 * |          Padding (0)          |  inner Ethernet frame ...
 * +-------------------------------+
 */
#ifndef _NET_STT_H
#define _NET_STT_H

#include <linux/build_bug.h>
#include <linux/types.h>

struct net;
struct net_device;

/* Only version 0 is defined; a receiver must drop any other (section 3.1). */
#define STT_VERSION		0

/*
 * Flags. The figure of the draft numbers bits as the IETF does, but every
 * known implementation counts from the least significant one. C and P speak
 * of the checksum of the inner L4 header.
 */
#define STT_F_CSUM_VERIFIED	0x01	/* C: sender has verified it */
#define STT_F_CSUM_PARTIAL	0x02	/* P: sum of pseudo-header */
#define STT_F_IPV4		0x04	/* V: with P, IPv4, else IPv6 */
#define STT_F_TCP		0x08	/* T: with P, TCP, else UDP */

/* Tag field: where 802.1Q has DEI, STT says whether there is a tag at all. */
#define STT_TAG_VALID		0x1000

/* Longest frame that the 16-bit length in SEQ can describe. */
#define STT_FRAME_MAX		65535

/* The L4 offset is one byte (section 3.1.1). */
#define STT_L4_OFFSET_MAX	255

/**
 * struct stthdr - STT frame header
 * @version: %STT_VERSION
 * @flags: %STT_F_*; other bits are zero when sent and ignored when received
 * @l4_offset: with P, bytes from the inner Ethernet header to the inner L4
 *	header; zero otherwise
 * @reserved: zero when sent, ignored when received
 * @mss: with P, payload bytes per segment when the inner packet is sent on;
 *	zero if it need not be segmented
 * @tag: priority, %STT_TAG_VALID and VLAN ID of the inner frame's 802.1Q tag
 * @key: Context ID
 * @padding: zero when sent, ignored when received; aligns the inner IP header
 */
struct stthdr {
	__u8	version;
	__u8	flags;
	__u8	l4_offset;
	__u8	reserved;
	__be16	mss;
	__be16	tag;
	__be64	key;
	__be16	padding;
} __packed __aligned(2);

static_assert(sizeof(struct stthdr) == 18);

#define STT_HLEN	sizeof(struct stthdr)

/**
 * stt_seq() - SEQ of a segment (section 3.2)
 * @len: length of the frame in bytes, frame header included
 * @offset: offset of the segment's payload in the frame
 *
 * Return: SEQ in network byte order. TSO adds the segment size to it from one
 * segment to the next, which never carries into the length.
 */
static inline __be32 stt_seq(u16 len, u16 offset)
{
	return cpu_to_be32((u32)len << 16 | offset);
}

/**
 * stt_seq_len() - length of the frame that a segment belongs to
 * @seq: SEQ of the segment
 *
 * Return: length in bytes, frame header included.
 */
static inline u16 stt_seq_len(__be32 seq)
{
	return be32_to_cpu(seq) >> 16;
}

/**
 * stt_seq_offset() - place of a segment in its frame
 * @seq: SEQ of the segment
 *
 * Return: offset in bytes from the start of the frame header.
 */
static inline u16 stt_seq_offset(__be32 seq)
{
	return be32_to_cpu(seq) & 0xffff;
}

/* For other modules, as vxlan and geneve have it. */
struct net_device *stt_dev_create_fb(struct net *net, const char *name,
				     unsigned char name_assign_type,
				     __be16 port);
__be16 stt_dev_port(const struct net_device *dev);

#endif /* _NET_STT_H */
