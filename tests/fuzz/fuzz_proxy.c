/* What proxies say of their clients: the PROXY header, networks, X-Forwarded-For. */
#include "fuzz.h"

#include <arpa/inet.h>
#include <errno.h>

#include "forwarded.h"
#include "proxyproto.h"

static bool same(const struct in6_addr *a, const struct in6_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* The header, with something else behind it. */
static void try_behind(struct str header, char what, const struct in6_addr *ip)
{
	char bytes[2 * PROXYPROTO_MAX];
	struct in6_addr again;
	size_t len;

	memset(bytes, what, sizeof(bytes));
	memcpy(bytes, header.p, header.n);
	EXPECT(proxyproto_read((struct str){ bytes, sizeof(bytes) }, &len, &again) == 0);
	EXPECT(len == header.n && same(ip, &again));
}

/* Headers by the rules, for the addresses that the bytes are. */
static void make_headers(struct str in)
{
	static const char block[] = "\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x26";
	char bytes[PROXYPROTO_MAX], text[INET6_ADDRSTRLEN];
	struct in6_addr ip = { 0 }, again;
	bool is_v4 = in.n % 2;
	size_t len;
	int n;

	memcpy(&ip, in.p, in.n < sizeof(ip) ? in.n : sizeof(ip));
	memcpy(bytes, block, sizeof(block) - 1);
	memset(bytes + sizeof(block) - 1, 'x', 38);
	memcpy(bytes + sizeof(block) - 1, &ip, sizeof(ip));
	EXPECT(proxyproto_read((struct str){ bytes, sizeof(block) + 37 }, &len, &again) == 0);
	EXPECT(len == sizeof(block) + 37 && same(&ip, &again));
	inet_ntop(is_v4 ? AF_INET : AF_INET6, &ip, text, sizeof(text));
	n = snprintf(bytes, sizeof(bytes), "PROXY TCP%c %s %s %zu 0\r\n", is_v4 ? '4' : '6', text,
		     is_v4 ? "0.0.0.0" : "::", in.n % 65536);
	EXPECT(proxyproto_read((struct str){ bytes, (size_t)n }, &len, &again) == 0);
	EXPECT(len == (size_t)n);
	EXPECT(is_v4 ? memcmp(&again.s6_addr[12], &ip, 4) == 0 : same(&ip, &again));
}

/* What is behind a header changes nothing, and what is before its end is not enough. */
static void try_header(struct str in)
{
	struct in6_addr ip, again;
	size_t len = 0, again_len = 0;
	int err = proxyproto_read(in, &len, &ip);

	EXPECT(err == 0 || err == -EAGAIN || err == -EINVAL);
	EXPECT(err != -EAGAIN || in.n < PROXYPROTO_MAX);
	if (err)
		return;
	EXPECT(len > 0 && len <= in.n && len <= PROXYPROTO_MAX);
	EXPECT(proxyproto_read((struct str){ in.p, len }, &again_len, &again) == 0);
	EXPECT(again_len == len && same(&ip, &again));
	EXPECT(in.p[0] != 'P' || memcmp(in.p + len - 2, "\r\n", 2) == 0);
	try_behind((struct str){ in.p, len }, '\0', &ip);
	try_behind((struct str){ in.p, len }, '\n', &ip);
	for (size_t n = 0; n < len; n += 1 + len / 16)
		EXPECT(proxyproto_read((struct str){ in.p, n }, &again_len, &again) == -EAGAIN);
}

static void try_network(struct str text)
{
	struct ipnet net;

	if (ipnet_parse(text, &net) == 0)
		EXPECT(net.bits <= 128 && ipnet_has(&net, &net.ip));
}

/* One more proxy that is trusted changes nothing. */
static void try_list(struct str list)
{
	static const struct str name = { "X-Forwarded-For", 15 };
	struct http_request request = { .field_count = 1, .fields[0] = { name, list } };
	struct ipnets trusted = { .count = 1 };
	struct in6_addr ip, again;

	EXPECT(ipnet_parse(STR("10.0.0.0/8"), &trusted.nets[0]) == 0);
	static const char client[] = "192.0.2.9, 10.1.1.1";
	struct http_field last = { name, { client, sizeof(client) - 1 } };

	/* The last one that is not trusted, whatever stands before it. */
	request.fields[request.field_count++] = last;
	EXPECT(forwarded_for(&request, &trusted, &ip));
	EXPECT(ip.s6_addr[12] == 192 && ip.s6_addr[13] == 0 && ip.s6_addr[15] == 9);
	request.field_count--;
	if (!forwarded_for(&request, &trusted, &ip))
		return;
	request.fields[request.field_count++] = (struct http_field){ name, STR("10.0.0.1") };
	EXPECT(forwarded_for(&request, &trusted, &again) && same(&ip, &again));
}

int FUZZ_TARGET(proxy)(const uint8_t *bytes, size_t n)
{
	struct str in = { (const char *)bytes, n };
	char *copy = fuzz_copy(in);

	in.p = copy;
	try_header(in);
	make_headers(in);
	try_network(in);
	try_list(in);
	free(copy);
	return 0;
}
