// SPDX-License-Identifier: GPL-2.0
/*
 * Sends STT segments that no honest peer sends, or plain TCP segments of the
 * same length, at a fixed rate.
 *
 * Usage: segflood [OPTION]... DEVICE GATEWAY-MAC SOURCE DESTINATION MODE
 *
 * MODE	first	first segments of frames whose rest never comes
 *	last	last segments of frames whose rest never came
 *	oneid	segments of one frame identifier at random offsets
 *	unknown	whole frames for a Context ID that does not exist
 *	tcp	plain TCP segments, for comparison
 *
 * -s N	take the source from the N addresses that begin at SOURCE
 * -p N	destination port (7471)
 * -r N	segments a second, 0 for as many as possible (0)
 * -n N	segments in all, 0 for no end (0)
 * -t N	seconds from the first segment on, 0 for no end (0)
 * -l N	payload of a segment (1400)
 * -R N	seed of everything random (1)
 *
 * Ends by itself or by SIGTERM, and prints the number of segments sent, those
 * included that the device would not take.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/types.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH		32
#define PAYLOAD_MAX	8900
#define HEADERS_MAX	(sizeof(struct ethhdr) + sizeof(struct ip6_hdr) + \
			 sizeof(struct tcphdr))
#define STT_HLEN	18

enum mode { FIRST, LAST, ONEID, UNKNOWN, TCP };

static const char * const mode_names[] = {
	"first", "last", "oneid", "unknown", "tcp"
};

struct addr {
	int	family;
	__u8	bytes[16];
};

static struct addr source, destination;
static enum mode mode;
static unsigned long sources = 1, rate, limit, payload = 1400;
static __u16 port = 7471;
static __u64 seed = 1, duration;
static atomic_bool stop;

static __u8 payload_bytes[PAYLOAD_MAX];
static __u32 payload_sum;
static __u8 packets[BATCH][HEADERS_MAX + PAYLOAD_MAX];

static void die(const char *what)
{
	fprintf(stderr, "segflood: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

/* xorshift64: any seed but 0 */
static __u32 random32(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed >> 32;
}

static struct addr parse_addr(const char *text)
{
	struct addr addr = { .family = AF_INET };

	if (inet_pton(AF_INET, text, addr.bytes) == 1)
		return addr;
	addr.family = AF_INET6;
	if (inet_pton(AF_INET6, text, addr.bytes) != 1) {
		errno = EINVAL;
		die(text);
	}
	return addr;
}

static unsigned long parse_number(const char *text)
{
	char *end;
	unsigned long number = strtoul(text, &end, 0);

	if (*end || end == text) {
		errno = EINVAL;
		die(text);
	}
	return number;
}

static __u32 sum_bytes(const void *data, size_t len, __u32 sum)
{
	const __u8 *p = data;

	for (; len > 1; len -= 2, p += 2)
		sum += p[0] << 8 | p[1];
	if (len)
		sum += p[0] << 8;
	return sum;
}

static __u16 fold(__u32 sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum & 0xffff);
}

/* The source moves within its last 32 bits. */
static void pick_source(struct addr *addr)
{
	__u32 word;
	__u8 *last;

	*addr = source;
	last = addr->bytes + (addr->family == AF_INET ? 0 : 12);
	memcpy(&word, last, sizeof(word));
	word = htonl(ntohl(word) + random32() % sources);
	memcpy(last, &word, sizeof(word));
}

static __u8 *put_ipv4(__u8 *p, const struct addr *from)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tot_len = htons(sizeof(ip) + sizeof(struct tcphdr) + payload),
		.frag_off = htons(0x4000),
		.ttl = 64,
		.protocol = IPPROTO_TCP,
	};

	memcpy(&ip.saddr, from->bytes, 4);
	memcpy(&ip.daddr, destination.bytes, 4);
	ip.check = fold(sum_bytes(&ip, sizeof(ip), 0));
	memcpy(p, &ip, sizeof(ip));
	return p + sizeof(ip);
}

static __u8 *put_ipv6(__u8 *p, const struct addr *from)
{
	struct ip6_hdr ip = {
		.ip6_flow = htonl(6 << 28),
		.ip6_plen = htons(sizeof(struct tcphdr) + payload),
		.ip6_nxt = IPPROTO_TCP,
		.ip6_hlim = 64,
	};

	memcpy(&ip.ip6_src, from->bytes, 16);
	memcpy(&ip.ip6_dst, destination.bytes, 16);
	memcpy(p, &ip, sizeof(ip));
	return p + sizeof(ip);
}

/* SEQ is the length of the frame and the place in it, ACK names the frame. */
static void fill_tcp(struct tcphdr *tcp)
{
	static __u32 next_id;
	__u32 total = 60000, offset = 0;

	next_id++;
	switch (mode) {
	case FIRST:
		break;
	case LAST:
		offset = total - payload;
		break;
	case ONEID:
		next_id = 1;
		offset = random32() % (total - payload);
		break;
	case UNKNOWN:
		total = payload;
		break;
	case TCP:
		break;
	}
	tcp->source = htons(49152 + random32() % 16384);
	tcp->dest = htons(port);
	tcp->seq = htonl(total << 16 | offset);
	tcp->ack_seq = htonl(next_id);
	tcp->doff = 5;
	tcp->ack = 1;
	tcp->psh = 1;
	if (mode == TCP) {
		tcp->seq = htonl(random32());
		tcp->window = htons(1000);
	}
}

static size_t build(__u8 *packet)
{
	size_t alen = source.family == AF_INET ? 4 : 16;
	__u8 *p = packet + sizeof(struct ethhdr);
	struct tcphdr tcp = { };
	struct addr from;
	__u32 sum;

	pick_source(&from);
	p = source.family == AF_INET ? put_ipv4(p, &from) : put_ipv6(p, &from);
	fill_tcp(&tcp);
	sum = payload_sum + IPPROTO_TCP + sizeof(tcp) + payload;
	sum = sum_bytes(from.bytes, alen, sum);
	sum = sum_bytes(destination.bytes, alen, sum);
	tcp.check = fold(sum_bytes(&tcp, sizeof(tcp), sum));
	memcpy(p, &tcp, sizeof(tcp));
	return p + sizeof(tcp) + payload - packet;
}

/* An STT header for a Context ID that nobody has, and an Ethernet frame. */
static void fill_payload(void)
{
	size_t i;

	for (i = 0; i < payload; i++)
		payload_bytes[i] = random32();
	if (mode != TCP && payload >= STT_HLEN) {
		memset(payload_bytes, 0, STT_HLEN);
		memset(payload_bytes + 8, 0xee, 8);
	}
	payload_sum = sum_bytes(payload_bytes, payload, 0);
}

static __u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static void await_ns(__u64 when)
{
	struct timespec ts = {
		.tv_sec = when / 1000000000,
		.tv_nsec = when % 1000000000,
	};

	while (!stop && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts,
					NULL) == EINTR)
		;
}

static unsigned long flood(int fd)
{
	struct mmsghdr messages[BATCH] = { };
	struct iovec parts[BATCH];
	__u64 begin = now_ns();
	unsigned long sent = 0;
	int i, n;

	while (!stop && (!limit || sent < limit) &&
	       (!duration || now_ns() - begin < duration)) {
		n = limit && limit - sent < BATCH ? limit - sent : BATCH;
		for (i = 0; i < n; i++) {
			parts[i].iov_base = packets[i];
			parts[i].iov_len = build(packets[i]);
			messages[i].msg_hdr.msg_iov = &parts[i];
			messages[i].msg_hdr.msg_iovlen = 1;
		}
		i = sendmmsg(fd, messages, n, 0);
		if (i < 0 && errno != ENOBUFS && errno != EINTR &&
		    errno != ENETDOWN)
			die("send");
		sent += i > 0 ? i : n;
		if (rate)
			await_ns(begin + sent * 1000000000ull / rate);
	}
	return sent;
}

static int open_device(const char *device, const char *mac)
{
	struct sockaddr_ll ll = {
		.sll_family = AF_PACKET,
		.sll_ifindex = if_nametoindex(device),
	};
	const struct ether_addr *to = ether_aton(mac);
	int fd, i;

	if (!ll.sll_ifindex || !to)
		die(device);
	for (i = 0; i < BATCH; i++) {
		struct ethhdr eth = {
			.h_source = { 2, 0, 0, 0, 0, 0x66 },
			.h_proto = htons(source.family == AF_INET ?
					 ETH_P_IP : ETH_P_IPV6),
		};

		memcpy(eth.h_dest, to, ETH_ALEN);
		memcpy(packets[i], &eth, sizeof(eth));
		memcpy(packets[i] + sizeof(eth) + sizeof(struct tcphdr) +
		       (source.family == AF_INET ? sizeof(struct iphdr) :
						   sizeof(struct ip6_hdr)),
		       payload_bytes, payload);
	}
	/* Protocol 0: nothing is received. */
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&ll, sizeof(ll)))
		die(device);
	return fd;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	int option;

	while ((option = getopt(argc, argv, "s:p:r:n:t:l:R:")) != -1) {
		switch (option) {
		case 's':
			sources = parse_number(optarg);
			break;
		case 'p':
			port = parse_number(optarg);
			break;
		case 'r':
			rate = parse_number(optarg);
			break;
		case 'n':
			limit = parse_number(optarg);
			break;
		case 't':
			duration = parse_number(optarg) * 1000000000ull;
			break;
		case 'l':
			payload = parse_number(optarg);
			break;
		case 'R':
			seed = parse_number(optarg) ?: 1;
			break;
		default:
			return 2;
		}
	}
	errno = EINVAL;
	if (argc - optind != 5 || !sources || payload > PAYLOAD_MAX)
		die("see the head of segflood.c for usage");
	source = parse_addr(argv[optind + 2]);
	destination = parse_addr(argv[optind + 3]);
	if (source.family != destination.family)
		die("source and destination");
	for (mode = FIRST; strcmp(argv[optind + 4], mode_names[mode]); mode++)
		if (mode == TCP)
			die(argv[optind + 4]);

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	fill_payload();
	printf("%lu\n", flood(open_device(argv[optind], argv[optind + 1])));
	return 0;
}
