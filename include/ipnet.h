/*
 * ipnet: IP addresses and networks as people write them. Pure.
 *
 * An address is 16 bytes, IPv4 mapped to ::ffff:a.b.c.d; so a network of IPv4 is one of IPv6 with
 * 96 bits more. The address of all zeros is that of no IP at all: a peer on a unix socket.
 */
#ifndef IPNET_H
#define IPNET_H

#include <netinet/in.h>

#include "str.h"

/* The addresses that have their first bits in common with ip. */
struct ipnet {
	struct in6_addr ip;
	unsigned bits;
};

enum { IPNETS_MAX = 64 };

struct ipnets {
	struct ipnet nets[IPNETS_MAX];
	size_t count;
};

/* `192.0.2.7` or `2001:db8::7`: 0, or -EINVAL. */
int ipnet_parse_ip(struct str text, struct in6_addr *ip);

/*
 * An address, or one with its number of bits: `192.0.2.0/24`, `2001:db8::/32`; or `unix`, which has
 * the address of all zeros alone. 0, or -EINVAL.
 */
int ipnet_parse(struct str text, struct ipnet *net);

bool ipnet_has(const struct ipnet *net, const struct in6_addr *ip);
bool ipnets_have(const struct ipnets *nets, const struct in6_addr *ip);

#endif
