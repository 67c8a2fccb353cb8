// SPDX-License-Identifier: GPL-2.0
/*
 * Stateless Transport Tunneling: routes of an external device.
 *
 * Metadata may bring a cache for the route, and those of IPv4 routes and of tc
 * do. Those of IPv6 routes do not, and a lookup for each packet would cost more
 * than the tunnel. The device keeps them for these.
 *
 * A table belongs to a CPU. A route has one place in it, by a hash of the
 * remote, and a newer one takes it.
 */
#include <linux/hash.h>
#include <linux/local_lock.h>
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

/**
 * struct stt_routes - the table of a CPU
 * @bh_lock: held while a route is taken or kept
 * @route: by hash of the remote
 */
struct stt_routes {
	local_lock_t		bh_lock;
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
	struct dst_entry *dst = NULL;
	struct stt_route *route;

	local_lock_nested_bh(&routes->bh_lock);
	route = *stt_route_slot(routes, id);
	if (route && !memcmp(&route->id, id, sizeof(*id)) &&
	    dst_check(route->dst, route->cookie)) {
		dst = dst_clone(route->dst);
		*saddr = route->saddr;
	}
	local_unlock_nested_bh(&routes->bh_lock);
	return dst;
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
	struct stt_route **slot, *route;

	local_lock_nested_bh(&routes->bh_lock);
	slot = stt_route_slot(routes, id);
	route = *slot;
	if (route)
		dst_release(route->dst);
	else
		route = kmalloc(sizeof(*route), STT_GFP_ENTRY);
	*slot = route;
	if (route) {
		dst_hold(dst);
		route->id = *id;
		route->saddr = *saddr;
		route->dst = dst;
		route->cookie = stt_addr_is_v4(&id->daddr) ? 0 :
				rt6_get_cookie(dst_rt6_info(dst));
	}
	local_unlock_nested_bh(&routes->bh_lock);
}

/**
 * stt_routes_new() - make empty tables
 *
 * Return: the tables, or NULL.
 */
struct stt_routes __percpu *stt_routes_new(void)
{
	struct stt_routes __percpu *routes;
	int cpu;

	routes = alloc_percpu_gfp(struct stt_routes, GFP_KERNEL_ACCOUNT);
	if (!routes)
		return NULL;
	for_each_possible_cpu(cpu)
		local_lock_init(&per_cpu_ptr(routes, cpu)->bh_lock);
	return routes;
}

/**
 * stt_routes_clear() - forget all routes
 * @routes: tables that nobody uses any more, or NULL
 */
void stt_routes_clear(struct stt_routes __percpu *routes)
{
	struct stt_route **slot;
	unsigned int i;
	int cpu;

	if (!routes)
		return;
	for_each_possible_cpu(cpu) {
		for (i = 0; i < 1 << STT_ROUTES_BITS; i++) {
			slot = &per_cpu_ptr(routes, cpu)->route[i];
			stt_route_free(*slot);
			*slot = NULL;
		}
	}
}

/**
 * stt_routes_free() - free the tables
 * @routes: tables that nobody uses any more, or NULL
 */
void stt_routes_free(struct stt_routes __percpu *routes)
{
	stt_routes_clear(routes);
	free_percpu(routes);
}
