// SPDX-License-Identifier: GPL-2.0
/*
 * Traffic between two network namespaces, from one process that owns both
 * ends: what is sent is received before more is sent. So nothing is lost to a
 * full queue, nothing depends on the scheduler, and the same instructions are
 * executed each time.
 *
 * Usage: flow [OPTION]... WORKLOAD NAMESPACE NAMESPACE ADDRESS
 *
 * From the first namespace to ADDRESS, which is the second one's. WORKLOADs,
 * and what -n counts:
 *   bulk   bytes through TCP connections
 *   udp    datagrams
 *   rr     requests, each with a response, on a TCP connection
 *   crr    TCP connections with one request and one response
 *
 *  -n N    units per repetition
 *  -r N    repetitions, after one that is not counted
 *  -s N    bytes of payload: of a datagram, request, response; of bulk: of a
 *          write
 *  -f N    connections at a time (bulk)
 *  -d NAMESPACE/DEV  count packets and bytes of this device
 *
 * Prints a line per repetition: units, nanoseconds, then the packets and bytes
 * sent, and those received, by DEV.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <linux/types.h>

#include "marker.h"

#define PORT		5001
#define MAX_FLOWS	64
/* Of a connection, in bytes. */
#define WINDOW		0x100000
/* Datagrams on their way at a time; they fit into any socket buffer. */
#define BURST		32
/* Emulation is slow, and a busy machine slower; in seconds. */
#define PATIENCE	20

union address {
	struct sockaddr		sa;
	struct sockaddr_in	v4;
	struct sockaddr_in6	v6;
};

struct options {
	__u64	units;
	unsigned int	repetitions;
	unsigned int	size;
	unsigned int	flows;
	const char	*dev;
};

struct wire {
	__u64	rx_bytes, rx_packets, tx_bytes, tx_packets;
};

static union address peer;
static socklen_t peer_len;
static int ns[2], devices;
static int a[MAX_FLOWS], b[MAX_FLOWS], listener;
static char buf[1 << 21];

static void enter(int i)
{
	if (setns(ns[i], CLONE_NEWNET))
		err(1, "setns");
}

static int ns_open(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

/* Open the counters of a namespace; the name of the device is returned. */
static const char *open_device(char *name)
{
	char *dev = strchr(name, '/');
	int fd;

	if (!dev)
		errx(1, "%s: NAMESPACE/DEVICE expected", name);
	*dev++ = 0;
	fd = ns_open(name);
	if (setns(fd, CLONE_NEWNET))
		err(1, "setns");
	close(fd);
	devices = open("/proc/thread-self/net/dev", O_RDONLY);
	if (devices < 0)
		err(1, "/proc/net/dev");
	return dev;
}

static int sock(int i, int type)
{
	int fd;

	enter(i);
	fd = socket(peer.sa.sa_family, type, 0);
	if (fd < 0)
		err(1, "socket");
	return fd;
}

/*
 * How many frames share an ACK depends on the window, which must
 * not be left to grow in its own time.
 */
static void fix_window(int fd)
{
	const int size = WINDOW;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		err(1, "SO_RCVBUFFORCE");
}

static void tcp_listen(void)
{
	const int one = 1;

	listener = sock(1, SOCK_STREAM);
	fix_window(listener);
	if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(listener, &peer.sa, peer_len) || listen(listener, MAX_FLOWS))
		err(1, "listen");
}

static void tcp_connect(int i, bool nodelay)
{
	const int opt = nodelay;

	a[i] = sock(0, SOCK_STREAM);
	fix_window(a[i]);
	if (connect(a[i], &peer.sa, peer_len))
		err(1, "connect");
	b[i] = accept(listener, NULL, NULL);
	if (b[i] < 0)
		err(1, "accept");
	if (setsockopt(a[i], IPPROTO_TCP, TCP_NODELAY, &opt, sizeof(opt)) ||
	    setsockopt(b[i], IPPROTO_TCP, TCP_NODELAY, &opt, sizeof(opt)))
		err(1, "TCP_NODELAY");
}

static void udp_connect(void)
{
	b[0] = sock(1, SOCK_DGRAM);
	if (bind(b[0], &peer.sa, peer_len))
		err(1, "bind");
	a[0] = sock(0, SOCK_DGRAM);
	if (connect(a[0], &peer.sa, peer_len))
		err(1, "connect");
}

static void await(struct pollfd *fds, unsigned int n)
{
	int rc = poll(fds, n, PATIENCE * 1000);

	if (rc < 0)
		err(1, "poll");
	if (!rc)
		errx(1, "nothing arrives");
}

static void bulk(const struct options *o)
{
	__u64 sent[MAX_FLOWS] = {}, got[MAX_FLOWS] = {};
	__u64 share = o->units / o->flows;
	struct pollfd fds[2 * MAX_FLOWS];
	unsigned int i, open = o->flows;
	bool progress;
	ssize_t rc;

	while (open) {
		progress = false;
		for (i = 0; i < o->flows; i++) {
			size_t len = share - sent[i];

			if (len > o->size)
				len = o->size;
			rc = len ? send(a[i], buf, len, MSG_DONTWAIT) : 0;
			if (rc < 0 && errno != EAGAIN)
				err(1, "send");
			if (rc > 0) {
				sent[i] += rc;
				progress = true;
			}
			while (got[i] < share) {
				rc = recv(b[i], buf, sizeof(buf), MSG_DONTWAIT);
				if (rc < 0 && errno != EAGAIN)
					err(1, "recv");
				if (rc <= 0)
					break;
				got[i] += rc;
				progress = true;
				if (got[i] == share)
					open--;
			}
		}
		if (progress || !open)
			continue;
		for (i = 0; i < o->flows; i++) {
			fds[2 * i].fd = a[i];
			fds[2 * i].events = sent[i] < share ? POLLOUT : 0;
			fds[2 * i + 1].fd = b[i];
			fds[2 * i + 1].events = got[i] < share ? POLLIN : 0;
		}
		await(fds, 2 * o->flows);
	}
}

/* Receive exactly @len bytes of a stream, or one datagram. */
static void take(int fd, size_t len)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	ssize_t rc;

	while (len) {
		rc = recv(fd, buf, len, MSG_DONTWAIT);
		if (rc > 0)
			len -= rc;
		else if (!rc)
			errx(1, "connection closed");
		else if (errno == EAGAIN)
			await(&pfd, 1);
		else
			err(1, "recv");
	}
}

static void give(int fd, size_t len)
{
	if (send(fd, buf, len, 0) != (ssize_t)len)
		err(1, "send");
}

static void udp(const struct options *o)
{
	__u64 left = o->units;
	unsigned int i, n;

	for (; left; left -= n) {
		n = left < BURST ? left : BURST;
		for (i = 0; i < n; i++)
			give(a[0], o->size);
		for (i = 0; i < n; i++)
			take(b[0], o->size);
	}
}

static void rr(const struct options *o)
{
	__u64 i;

	for (i = 0; i < o->units; i++) {
		give(a[0], o->size);
		take(b[0], o->size);
		give(b[0], o->size);
		take(a[0], o->size);
	}
}

static void crr(const struct options *o)
{
	struct options one = *o;
	__u64 i;

	one.units = 1;
	for (i = 0; i < o->units; i++) {
		tcp_connect(0, true);
		rr(&one);
		/* By the far end, which has no ports to run out of. */
		close(b[0]);
		close(a[0]);
	}
}

/* Counters of the device. */
static struct wire wire(const char *dev)
{
	static char text[1 << 16];
	struct wire w = {};
	ssize_t len;
	char *line;

	if (!dev)
		return w;
	len = pread(devices, text, sizeof(text) - 1, 0);
	if (len < 0)
		err(1, "/proc/net/dev");
	text[len] = 0;
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		line += strspn(line, " ");
		if (strncmp(line, dev, strlen(dev)) || line[strlen(dev)] != ':')
			continue;
		if (sscanf(line + strlen(dev) + 1,
			   "%llu%llu%*s%*s%*s%*s%*s%*s%llu%llu",
			   &w.rx_bytes, &w.rx_packets, &w.tx_bytes,
			   &w.tx_packets) == 4)
			return w;
	}
	errx(1, "no device %s", dev);
}

static __u64 now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void measure(void (*run)(const struct options *o),
		    const struct options *o)
{
	struct wire before, after;
	__u64 begin, end;

	before = wire(o->dev);
	begin = now();
	MARK(MARKER_BEGIN);
	run(o);
	MARK(MARKER_END);
	end = now();
	after = wire(o->dev);
	printf("%llu %llu %llu %llu %llu %llu\n", o->units, end - begin,
	       after.tx_packets - before.tx_packets,
	       after.tx_bytes - before.tx_bytes,
	       after.rx_packets - before.rx_packets,
	       after.rx_bytes - before.rx_bytes);
	fflush(stdout);
}

static void set_peer(const char *text)
{
	if (inet_pton(AF_INET, text, &peer.v4.sin_addr) == 1) {
		peer.v4.sin_family = AF_INET;
		peer.v4.sin_port = htons(PORT);
		peer_len = sizeof(peer.v4);
	} else if (inet_pton(AF_INET6, text, &peer.v6.sin6_addr) == 1) {
		peer.v6.sin6_family = AF_INET6;
		peer.v6.sin6_port = htons(PORT);
		peer_len = sizeof(peer.v6);
	} else {
		errx(1, "%s: no address", text);
	}
}

static __u64 parse(const char *text, __u64 max)
{
	char *end;
	__u64 n = strtoull(text, &end, 10);

	if (!n || *end || n > max)
		errx(1, "%s: expected 1 to %llu", text, max);
	return n;
}

int main(int argc, char **argv)
{
	static const struct {
		const char	*name;
		void		(*run)(const struct options *o);
		bool		tcp;
		bool		connected;
		unsigned int	size;
	} workloads[] = {
		{ "bulk", bulk, true, true, 131072 },
		{ "udp", udp, false, true, 64 },
		{ "rr", rr, true, true, 64 },
		{ "crr", crr, true, false, 64 },
	}, *w = workloads;
	struct options o = { .units = 1, .repetitions = 1, .flows = 1 };
	unsigned int i;
	int opt;

	while ((opt = getopt(argc, argv, "n:r:s:f:d:")) != -1) {
		switch (opt) {
		case 'n':
			o.units = parse(optarg, ~0ULL);
			break;
		case 'r':
			o.repetitions = parse(optarg, 1000);
			break;
		case 's':
			o.size = parse(optarg, sizeof(buf));
			break;
		case 'f':
			o.flows = parse(optarg, MAX_FLOWS);
			break;
		case 'd':
			o.dev = open_device(optarg);
			break;
		default:
			return 1;
		}
	}
	if (argc - optind != 4)
		errx(1, "usage: flow [OPTION]... WORKLOAD NS NS ADDRESS");
	argv += optind;
	for (; strcmp(w->name, argv[0]); w++) {
		if (w == &workloads[3])
			errx(1, "%s: no such workload", argv[0]);
	}
	ns[0] = ns_open(argv[1]);
	ns[1] = ns_open(argv[2]);
	set_peer(argv[3]);
	if (!o.size)
		o.size = w->size;
	if (w->tcp)
		tcp_listen();
	else
		udp_connect();
	for (i = 0; w->tcp && w->connected && i < o.flows; i++)
		tcp_connect(i, w->run != bulk);

	w->run(&o);
	for (i = 0; i < o.repetitions; i++)
		measure(w->run, &o);
	return 0;
}
