// SPDX-License-Identifier: GPL-2.0
/*
 * Traffic between two network namespaces, from one process that owns both
 * ends: what is sent is received before more is sent. So nothing is lost to a
 * full queue, nothing depends on the scheduler, and the same instructions are
 * executed each time.
 *
 * Usage: flow [OPTION]... WORKLOAD NAMESPACE NAMESPACE ADDRESS
 *
 * From the first namespace to ADDRESS, which is the second one's. If one of
 * them is "-", it is on another machine, and another flow with the same
 * arguments but these has that end. WORKLOADs, and what -n counts:
 *   bulk   bytes through TCP connections
 *   duplex the same, half of them in the other direction
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
 *  -c ADDRESS  by which the machines agree, of the second one
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
#define CONTROL_PORT	5002
#define MAX_FLOWS	64
/* Of a connection, in bytes. */
#define WINDOW		0x100000
/* Datagrams on their way at a time. */
#define BURST		32
#define DATAGRAM_MEM	(16 << 20)
/* Emulation is slow, and a busy machine slower; in seconds. */
#define PATIENCE	60

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
	const char	*control;
};

struct wire {
	__u64	rx_bytes, rx_packets, tx_bytes, tx_packets;
};

static union address peer;
static int ns[2], devices;
static int a[MAX_FLOWS], b[MAX_FLOWS], listener, control;
static char buf[1 << 21];

static bool here(int i)
{
	return ns[i] >= 0;
}

static void enter(int i)
{
	if (setns(ns[i], CLONE_NEWNET))
		err(1, "setns");
}

static union address parse_address(const char *text, unsigned short port)
{
	union address address = {};

	if (inet_pton(AF_INET, text, &address.v4.sin_addr) == 1) {
		address.v4.sin_family = AF_INET;
		address.v4.sin_port = htons(port);
	} else if (inet_pton(AF_INET6, text, &address.v6.sin6_addr) == 1) {
		address.v6.sin6_family = AF_INET6;
		address.v6.sin6_port = htons(port);
	} else {
		errx(1, "%s: no address", text);
	}
	return address;
}

static socklen_t address_len(const union address *address)
{
	return address->sa.sa_family == AF_INET ? sizeof(address->v4) :
						  sizeof(address->v6);
}

static int ns_open(const char *name)
{
	char path[256];
	int fd;

	if (!strcmp(name, "-"))
		return -1;
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

static int listen_on(const union address *address)
{
	const int one = 1;
	int fd = sock(1, SOCK_STREAM);

	fix_window(fd);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, &address->sa, address_len(address)) ||
	    listen(fd, MAX_FLOWS))
		err(1, "listen");
	return fd;
}

static void set_nodelay(int fd, bool nodelay)
{
	const int opt = nodelay;

	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &opt, sizeof(opt)))
		err(1, "TCP_NODELAY");
}

static void tcp_connect(int i, bool nodelay)
{
	if (here(0)) {
		a[i] = sock(0, SOCK_STREAM);
		fix_window(a[i]);
		if (connect(a[i], &peer.sa, address_len(&peer)))
			err(1, "connect");
		set_nodelay(a[i], nodelay);
	}
	if (here(1)) {
		b[i] = accept(listener, NULL, NULL);
		if (b[i] < 0)
			err(1, "accept");
		set_nodelay(b[i], nodelay);
	}
}

static void udp_connect(void)
{
	const int size = DATAGRAM_MEM;

	if (here(1)) {
		b[0] = sock(1, SOCK_DGRAM);
		if (bind(b[0], &peer.sa, address_len(&peer)))
			err(1, "bind");
		if (setsockopt(b[0], SOL_SOCKET, SO_RCVBUFFORCE, &size,
			       sizeof(size)))
			err(1, "SO_RCVBUFFORCE");
	}
	if (here(0)) {
		a[0] = sock(0, SOCK_DGRAM);
		if (connect(a[0], &peer.sa, address_len(&peer)))
			err(1, "connect");
		if (setsockopt(a[0], SOL_SOCKET, SO_SNDBUFFORCE, &size,
			       sizeof(size)))
			err(1, "SO_SNDBUFFORCE");
	}
}

/* The other machine may be late. */
static void control_connect(const char *text)
{
	const struct timespec pause = { .tv_nsec = 100000000 };
	union address address = parse_address(text, CONTROL_PORT);
	unsigned int i;
	int fd;

	if (here(1)) {
		fd = listen_on(&address);
		control = accept(fd, NULL, NULL);
		if (control < 0)
			err(1, "accept");
		close(fd);
	} else {
		control = sock(0, SOCK_STREAM);
		for (i = 0; connect(control, &address.sa,
				    address_len(&address)); i++) {
			if (i == 10 * PATIENCE)
				err(1, "%s", text);
			close(control);
			control = sock(0, SOCK_STREAM);
			nanosleep(&pause, NULL);
		}
	}
	set_nodelay(control, true);
}

/* Neither machine goes on before the other one gets here. */
static void meet(void)
{
	char c = 0;

	if (!control)
		return;
	if (write(control, &c, 1) != 1 || read(control, &c, 1) != 1)
		errx(1, "the other machine has failed");
}

static void await(struct pollfd *fds, unsigned int n)
{
	int rc = poll(fds, n, PATIENCE * 1000);

	if (rc < 0)
		err(1, "poll");
	if (!rc)
		errx(1, "nothing arrives");
}

/* One direction of one connection. */
struct stream {
	int	out, in;
	__u64	unsent, unseen;
};

/* False if neither end could do anything. */
static bool stream_push(struct stream *s, size_t size)
{
	bool progress = false;
	ssize_t rc;

	if (s->unsent) {
		rc = send(s->out, buf, s->unsent < size ? s->unsent : size,
			  MSG_DONTWAIT);
		if (rc < 0 && errno != EAGAIN)
			err(1, "send");
		if (rc > 0) {
			s->unsent -= rc;
			progress = true;
		}
	}
	while (s->unseen) {
		rc = recv(s->in, buf, sizeof(buf), MSG_DONTWAIT);
		if (!rc)
			errx(1, "connection closed");
		if (rc < 0 && errno != EAGAIN)
			err(1, "recv");
		if (rc < 0)
			break;
		s->unseen -= rc;
		progress = true;
	}
	return progress;
}

static void push_all(struct stream *s, unsigned int n, size_t size)
{
	struct pollfd fds[4 * MAX_FLOWS];
	bool progress, done;
	unsigned int i;

	do {
		progress = false;
		done = true;
		for (i = 0; i < n; i++) {
			progress |= stream_push(&s[i], size);
			done &= !s[i].unsent && !s[i].unseen;
		}
		if (progress || done)
			continue;
		for (i = 0; i < n; i++) {
			fds[2 * i].fd = s[i].unsent ? s[i].out : -1;
			fds[2 * i].events = POLLOUT;
			fds[2 * i + 1].fd = s[i].unseen ? s[i].in : -1;
			fds[2 * i + 1].events = POLLIN;
		}
		await(fds, 2 * n);
	} while (!done);
}

static struct stream stream(int out, int in, __u64 len)
{
	return (struct stream){
		.out = out,
		.in = in,
		.unsent = out >= 0 ? len : 0,
		.unseen = in >= 0 ? len : 0,
	};
}

static void bulk(const struct options *o)
{
	struct stream s[MAX_FLOWS];
	unsigned int i;

	for (i = 0; i < o->flows; i++)
		s[i] = stream(a[i], b[i], o->units / o->flows);
	push_all(s, o->flows, o->size);
}

static void duplex(const struct options *o)
{
	struct stream s[2 * MAX_FLOWS];
	unsigned int i;

	for (i = 0; i < o->flows; i++) {
		s[2 * i] = stream(a[i], b[i], o->units / o->flows / 2);
		s[2 * i + 1] = stream(b[i], a[i], o->units / o->flows / 2);
	}
	push_all(s, 2 * o->flows, o->size);
}

/* Receive @len bytes of a stream, or one datagram, if that end is here. */
static void take(int fd, size_t len)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	ssize_t rc;

	if (fd < 0)
		return;
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
	if (fd >= 0 && send(fd, buf, len, 0) != (ssize_t)len)
		err(1, "send");
}

static void udp(const struct options *o)
{
	__u64 left = o->units;
	unsigned int i, n;

	for (; left; left -= n) {
		n = left < BURST ? left : BURST;
		MARK(MARKER_SEND);
		for (i = 0; i < n; i++)
			give(a[0], o->size);
		MARK(MARKER_RECEIVE);
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

static void await_end(int fd)
{
	if (recv(fd, buf, 1, 0))
		errx(1, "more than was asked for");
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
		if (here(1))
			close(b[0]);
		if (here(0)) {
			if (!here(1))
				await_end(a[0]);
			close(a[0]);
		}
	}
}

/* Counters of the device. */
static struct wire wire(const char *dev)
{
	/* Room for ten thousand devices. */
	static char text[1 << 22];
	struct wire w = {};
	size_t len = 0;
	ssize_t more;
	char *line;

	if (!dev)
		return w;
	do {
		more = pread(devices, text + len, sizeof(text) - 1 - len, len);
		if (more < 0)
			err(1, "/proc/net/dev");
		len += more;
	} while (more);
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
	meet();
	begin = now();
	MARK(MARKER_BEGIN);
	run(o);
	meet();
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
		bool		nodelay;
		unsigned int	size;
	} workloads[] = {
		{ "bulk", bulk, true, true, false, 131072 },
		{ "duplex", duplex, true, true, false, 131072 },
		{ "udp", udp, false, true, false, 64 },
		{ "rr", rr, true, true, true, 64 },
		{ "crr", crr, true, false, true, 64 },
	}, *w = workloads;
	struct options o = { .units = 1, .repetitions = 1, .flows = 1 };
	unsigned int i;
	int opt;

	while ((opt = getopt(argc, argv, "n:r:s:f:d:c:")) != -1) {
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
		case 'c':
			o.control = optarg;
			break;
		default:
			return 1;
		}
	}
	if (argc - optind != 4)
		errx(1, "usage: flow [OPTION]... WORKLOAD NS NS ADDRESS");
	argv += optind;
	for (; strcmp(w->name, argv[0]); w++) {
		if (w == &workloads[4])
			errx(1, "%s: no such workload", argv[0]);
	}
	ns[0] = ns_open(argv[1]);
	ns[1] = ns_open(argv[2]);
	if ((!here(0) && !here(1)) || (here(0) && here(1)) != !o.control)
		errx(1, "-c is for one end here and one there");
	peer = parse_address(argv[3], PORT);
	memset(a, -1, sizeof(a));
	memset(b, -1, sizeof(b));
	if (!o.size)
		o.size = w->size;
	if (w->tcp && here(1))
		listener = listen_on(&peer);
	if (!w->tcp)
		udp_connect();
	if (o.control)
		control_connect(o.control);
	for (i = 0; w->tcp && w->connected && i < o.flows; i++)
		tcp_connect(i, w->nodelay);

	meet();
	w->run(&o);
	for (i = 0; i < o.repetitions; i++)
		measure(w->run, &o);
	return 0;
}
