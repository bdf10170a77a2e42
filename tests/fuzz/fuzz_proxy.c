/* What proxies say of their clients: the PROXY header, networks, X-Forwarded-For. */
#include "fuzz.h"

#include <errno.h>

#include "forwarded.h"
#include "proxyproto.h"

static bool same(const struct in6_addr *a, const struct in6_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
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
	try_network(in);
	try_list(in);
	free(copy);
	return 0;
}
