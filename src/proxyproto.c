/*
 * proxyproto: both versions of the header. See proxyproto.h.
 *
 * Version 1 is a line of text, `PROXY TCP4 192.0.2.7 192.0.2.1 56324 443` CRLF; version 2 a block
 * of 16 bytes and as many as it says:
 *
 *	0	signature, 12 bytes
 *	12	version 2 and command: 0 LOCAL, 1 PROXY
 *	13	family (0 none, 1 IPv4, 2 IPv6, 3 unix) and transport (0 none, 1 stream, 2 datagram)
 *	14	length of what follows: addresses, ports, then further fields, which are passed over
 */
#include "proxyproto.h"

#include <errno.h>
#include <string.h>

enum {
	V1_MAX = 107, /* bytes of the line, its CRLF included */
	V2_VERSION = 12,
	V2_FAMILY = 13,
	V2_LENGTH = 14,
	V2_ADDRESSES = 16,
};

static const struct str V1 = { "PROXY ", 6 };
static const struct str V2 = { "\r\n\r\n\0\r\nQUIT\n", 12 };

/* Whether bytes, as far as they go, are the beginning of prefix, or begin with it. */
static bool may_start(struct str bytes, struct str prefix)
{
	size_t n = bytes.n < prefix.n ? bytes.n : prefix.n;

	return str_eq((struct str){ bytes.p, n }, (struct str){ prefix.p, n });
}

/* A port: decimal, without zeros before it. */
static bool is_port(struct str text)
{
	uint64_t port;

	return text.n && (text.n == 1 || text.p[0] != '0') &&
	       str_to_u64(text, UINT16_MAX, &port) == 0;
}

/* The address is of the family that the line says. */
static bool parse_address(struct str text, bool is_v6, struct in6_addr *ip)
{
	return (str_find(text, ':') < text.n) == is_v6 && ipnet_parse_ip(text, ip) == 0;
}

/* What follows `PROXY `, without its CRLF: 0 or -EINVAL. */
static int read_line(struct str line, struct in6_addr *ip)
{
	struct str family, source, target, source_port, target_port;
	struct in6_addr from, to;
	bool is_v6;

	str_cut(&line, ' ', &family);
	if (str_eq(family, STR("UNKNOWN")))
		return 0;
	is_v6 = str_eq(family, STR("TCP6"));
	if (!is_v6 && !str_eq(family, STR("TCP4")))
		return -EINVAL;
	if (!str_cut(&line, ' ', &source) || !parse_address(source, is_v6, &from) ||
	    !str_cut(&line, ' ', &target) || !parse_address(target, is_v6, &to) ||
	    !str_cut(&line, ' ', &source_port) || !is_port(source_port) ||
	    !str_cut(&line, ' ', &target_port) || !is_port(target_port) || line.p)
		return -EINVAL;
	*ip = from;
	return 0;
}

static int read_v1(struct str bytes, size_t *len, struct in6_addr *ip)
{
	struct str head = { bytes.p, bytes.n < V1_MAX ? bytes.n : V1_MAX };
	size_t end = str_find_eol(head);

	if (end + 1 >= head.n && (end == head.n || head.p[end] == '\r'))
		return head.n == V1_MAX ? -EINVAL : -EAGAIN;
	if (head.p[end] != '\r' || head.p[end + 1] != '\n')
		return -EINVAL;
	*len = end + 2;
	return read_line((struct str){ bytes.p + V1.n, end - V1.n }, ip);
}

/* IPv4 in the form that all addresses have here. */
static struct in6_addr map_v4(const char *bytes)
{
	struct in6_addr ip = { 0 };

	ip.s6_addr[10] = ip.s6_addr[11] = 0xff;
	memcpy(&ip.s6_addr[12], bytes, 4);
	return ip;
}

/* The addresses of a PROXY command: source, target, two ports. 0 or -EINVAL. */
static int read_addresses(unsigned family, struct str bytes, struct in6_addr *ip)
{
	switch (family) {
	case 0x00: return 0;
	case 0x11:
		if (bytes.n < 12)
			return -EINVAL;
		*ip = map_v4(bytes.p);
		return 0;
	case 0x21:
		if (bytes.n < 36)
			return -EINVAL;
		memcpy(ip, bytes.p, sizeof(*ip));
		return 0;
	case 0x31: return bytes.n < 216 ? -EINVAL : 0;
	default: return -EINVAL; /* datagrams, and what is not defined */
	}
}

static int read_v2(struct str bytes, size_t *len, struct in6_addr *ip)
{
	const unsigned char *byte = (const unsigned char *)bytes.p;
	size_t length;

	if (bytes.n > V2_VERSION && byte[V2_VERSION] != 0x20 && byte[V2_VERSION] != 0x21)
		return -EINVAL;
	if (bytes.n < V2_ADDRESSES)
		return -EAGAIN;
	length = V2_ADDRESSES + ((size_t)byte[V2_LENGTH] << 8 | byte[V2_LENGTH + 1]);
	if (length > PROXYPROTO_MAX)
		return -EINVAL;
	if (bytes.n < length)
		return -EAGAIN;
	*len = length;
	/* LOCAL: the balancer asks for itself, whatever the rest says. */
	if (byte[V2_VERSION] == 0x20)
		return 0;
	return read_addresses(byte[V2_FAMILY],
			      str_from((struct str){ bytes.p, length }, V2_ADDRESSES), ip);
}

int proxyproto_read(struct str bytes, size_t *len, struct in6_addr *ip)
{
	*ip = (struct in6_addr){ 0 };
	if (may_start(bytes, V1))
		return bytes.n < V1.n ? -EAGAIN : read_v1(bytes, len, ip);
	if (may_start(bytes, V2))
		return bytes.n < V2.n ? -EAGAIN : read_v2(bytes, len, ip);
	return -EINVAL;
}
