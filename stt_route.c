// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: routes of an external device.
 *
 * Metadata may bring a cache for the route, and those of IPv4 routes and of tc
 * do. Those of IPv6 routes do not, and a lookup for each packet would cost more
 * than the tunnel. The device keeps them for these.
 *
 * A table belongs to a CPU and is used with bottom halves disabled. A route has
 * one place in it, by a hash of the remote, and a newer one takes it.
 */
#include <linux/hash.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <net/dst.h>
#include <net/ip6_fib.h>
#include <net/ipv6.h>

#include "stt_private.h"

#define STT_ROUTES_BITS	8

/**
 * struct stt_route - a route, and what it is the answer to
 * @id: the question
 * @saddr: source address
 * @dst: the route, a reference
 * @cookie: tells whether it has become invalid
 */
struct stt_route {
	struct stt_route_id	id;
	struct in6_addr		saddr;
	struct dst_entry	*dst;
	u32			cookie;
};

struct stt_routes {
	struct stt_route	*route[1 << STT_ROUTES_BITS];
};

static struct stt_route **stt_route_slot(struct stt_routes __percpu *routes,
					 const struct stt_route_id *id)
{
	return &this_cpu_ptr(routes)->route[hash_32(ipv6_addr_hash(&id->daddr),
						    STT_ROUTES_BITS)];
}

static void stt_route_free(struct stt_route *route)
{
	if (!route)
		return;
	dst_release(route->dst);
	kfree(route);
}

/**
 * stt_routes_get() - look for a route
 * @routes: of the device
 * @id: what is asked for
 * @saddr: source address of the route, if there is one
 *
 * Context: bottom halves disabled.
 * Return: a reference, or NULL if the stack has to be asked.
 */
struct dst_entry *stt_routes_get(struct stt_routes __percpu *routes,
				 const struct stt_route_id *id,
				 struct in6_addr *saddr)
{
	struct stt_route *route = *stt_route_slot(routes, id);

	if (!route || memcmp(&route->id, id, sizeof(*id)) ||
	    !dst_check(route->dst, route->cookie))
		return NULL;
	dst_hold(route->dst);
	*saddr = route->saddr;
	return route->dst;
}

/**
 * stt_routes_set() - keep a route for the next packet
 * @routes: of the device
 * @id: what was asked for
 * @dst: the answer
 * @saddr: its source address
 *
 * Context: bottom halves disabled.
 */
void stt_routes_set(struct stt_routes __percpu *routes,
		    const struct stt_route_id *id, struct dst_entry *dst,
		    const struct in6_addr *saddr)
{
	struct stt_route **slot = stt_route_slot(routes, id);
	struct stt_route *route = *slot;

	if (route)
		dst_release(route->dst);
	else
		route = kmalloc(sizeof(*route), STT_GFP_ENTRY);
	*slot = route;
	if (!route)
		return;
	dst_hold(dst);
	route->id = *id;
	route->saddr = *saddr;
	route->dst = dst;
	route->cookie = 0;
	if (!stt_addr_is_v4(&id->daddr))
		route->cookie = rt6_get_cookie(dst_rt6_info(dst));
}

/**
 * stt_routes_new() - make empty tables
 *
 * Return: the tables, or NULL.
 */
struct stt_routes __percpu *stt_routes_new(void)
{
	return alloc_percpu_gfp(struct stt_routes, GFP_KERNEL_ACCOUNT);
}

/**
 * stt_routes_free() - free the tables
 * @routes: tables that nobody uses any more, or NULL
 */
void stt_routes_free(struct stt_routes __percpu *routes)
{
	unsigned int i;
	int cpu;

	if (!routes)
		return;
	for_each_possible_cpu(cpu)
		for (i = 0; i < 1 << STT_ROUTES_BITS; i++)
			stt_route_free(per_cpu_ptr(routes, cpu)->route[i]);
	free_percpu(routes);
}
