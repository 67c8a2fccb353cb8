// SPDX-License-Identifier: GPL-2.0
/*
 * Datagrams from one network namespace to many addresses of another, from one
 * process that owns both ends, as in flow.c: what is sent is received before
 * more is sent.
 *
 * Usage: spray NAMESPACE NAMESPACE FIRST-ADDRESS ADDRESSES SIZE N
 *
 * Sends N datagrams in turn to as many IPv4 addresses, which are all the second
 * namespace's; once to warm up and three times more, each of which prints the
 * nanoseconds per datagram.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define PORT	5001
#define BURST	32

static int sock(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		err(1, "%s", path);
	close(fd);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0)
		err(1, "socket");
	return fd;
}

static unsigned long long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(PORT) };
	struct timeval patience = { .tv_sec = 20 };
	unsigned int first, count, size, total, i, j, n, next = 0;
	static char buf[65536];
	unsigned long long begin;
	int a, b;

	if (argc != 7)
		errx(2, "six arguments expected");
	b = sock(argv[2]);
	if (bind(b, (struct sockaddr *)&to, sizeof(to)) ||
	    setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &patience,
		       sizeof(patience)))
		err(1, "receiver");
	a = sock(argv[1]);
	first = ntohl(inet_addr(argv[3]));
	count = atoi(argv[4]);
	size = atoi(argv[5]);
	total = atoi(argv[6]);

	for (n = 0; n < 4; n++) {
		begin = now();
		for (i = 0; i < total; i += BURST) {
			for (j = 0; j < BURST; j++) {
				to.sin_addr.s_addr = htonl(first + next);
				next = (next + 1) % count;
				if (sendto(a, buf, size, 0,
					   (struct sockaddr *)&to,
					   sizeof(to)) < 0)
					err(1, "send");
			}
			for (j = 0; j < BURST; j++)
				if (recv(b, buf, sizeof(buf), 0) != (int)size)
					err(1, "receive");
		}
		if (n)
			printf("%llu\n", (now() - begin) / i);
	}
	return 0;
}
