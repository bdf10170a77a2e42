/*
 * ipnet: addresses and networks. See ipnet.h.
 */
#include "ipnet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

enum { IP_BITS = 128, MAPPED_BITS = 96 /* before the 32 of an IPv4 address */ };

int ipnet_parse_ip(struct str text, struct in6_addr *ip)
{
	char copy[INET6_ADDRSTRLEN] = "";
	struct in6_addr parsed = { 0 };

	if (text.n == 0 || text.n >= sizeof(copy) || str_find(text, '\0') < text.n)
		return -EINVAL;
	memcpy(copy, text.p, text.n);
	if (inet_pton(AF_INET6, copy, &parsed) != 1) {
		parsed.s6_addr[10] = parsed.s6_addr[11] = 0xff;
		if (inet_pton(AF_INET, copy, &parsed.s6_addr[12]) != 1)
			return -EINVAL;
	}
	*ip = parsed;
	return 0;
}

int ipnet_parse(struct str text, struct ipnet *net)
{
	struct str rest = text, address;
	uint64_t bits = IP_BITS, offset;

	*net = (struct ipnet){ .bits = IP_BITS };
	if (str_eq(text, STR("unix")))
		return 0;
	str_cut(&rest, '/', &address);
	if (ipnet_parse_ip(address, &net->ip))
		return -EINVAL;
	offset = str_find(address, ':') < address.n ? 0 : MAPPED_BITS;
	if (rest.p && str_to_u64(rest, IP_BITS - offset, &bits))
		return -EINVAL;
	net->bits = (unsigned)(rest.p ? bits + offset : IP_BITS);
	return 0;
}

bool ipnet_has(const struct ipnet *net, const struct in6_addr *ip)
{
	unsigned whole = net->bits / 8, rest = net->bits % 8;
	unsigned char mask = (unsigned char)(0xff00u >> rest);

	if (memcmp(net->ip.s6_addr, ip->s6_addr, whole) != 0)
		return false;
	return rest == 0 || ((net->ip.s6_addr[whole] ^ ip->s6_addr[whole]) & mask) == 0;
}

bool ipnets_have(const struct ipnets *nets, const struct in6_addr *ip)
{
	for (size_t i = 0; i < nets->count; i++)
		if (ipnet_has(&nets->nets[i], ip))
			return true;
	return false;
}
