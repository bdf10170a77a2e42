/*
 * proxyproto: headers of both versions, whole, in every prefix, and broken.
 */
#include "proxyproto.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "guard.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4_BLOCK  "\xc0\0\2\7\xc0\0\2\1\xdc\4\1\xbb"
#define V6_BLOCK \
	"\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\xdc\4\1\xbb"

static const struct {
	struct str header;
	const char *client; /* NULL = none is named */
} valid[] = {
	{ STR("PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\n"), "192.0.2.7" },
	{ STR("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255" },
	{ STR("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), "0.0.0.0" },
	{ STR("PROXY TCP6 2001:db8::7 ::1 1 2\r\n"), "2001:db8::7" },
	{ STR("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	{ STR("PROXY UNKNOWN\r\n"), NULL },
	{ STR("PROXY UNKNOWN ffff::1 whatever 1 2 3\r\n"), NULL },
	{ STR(SIGNATURE "\x21\x11\0\x0c" V4_BLOCK), "192.0.2.7" },
	{ STR(SIGNATURE "\x21\x21\0\x24" V6_BLOCK), "2001:db8::7" },
	{ STR(SIGNATURE "\x21\x11\0\x11" V4_BLOCK "\4\0\2xx"), "192.0.2.7" }, /* with a TLV */
	{ STR(SIGNATURE "\x20\0\0\0"), NULL },
	{ STR(SIGNATURE "\x20\x11\0\x0c" V4_BLOCK), NULL },
	{ STR(SIGNATURE "\x21\0\0\0"), NULL },
	{ STR(SIGNATURE "\x21\0\0\3abc"), NULL },
};

enum { VALID = sizeof(valid) / sizeof(valid[0]) };

static void expect_client(const struct in6_addr *ip, const char *client)
{
	struct in6_addr expected = { 0 };

	if (client)
		cr_assert(ipnet_parse_ip(str_of(client), &expected) == 0);
	cr_expect(memcmp(ip, &expected, sizeof(expected)) == 0, "%s", client);
}

Test(proxyproto, reads_headers_and_nothing_behind_them)
{
	struct guard guard = guard_new(512);
	struct in6_addr ip;
	size_t len;

	for (size_t i = 0; i < VALID; i++) {
		char more[512];
		struct str header = valid[i].header;

		len = 0;
		cr_assert(proxyproto_read(guard_place(&guard, header), &len, &ip) == 0, "row %zu",
			  i);
		cr_expect(len == header.n, "row %zu: %zu", i, len);
		expect_client(&ip, valid[i].client);
		memcpy(more, header.p, header.n);
		memcpy(more + header.n, "GET / ", 6);
		len = 0;
		cr_assert(proxyproto_read((struct str){ more, header.n + 6 }, &len, &ip) == 0);
		cr_expect(len == header.n, "row %zu: %zu", i, len);
	}
	guard_free(&guard);
}

Test(proxyproto, every_prefix_waits_for_more)
{
	struct guard guard = guard_new(512);
	struct in6_addr ip;
	size_t len;

	for (size_t i = 0; i < VALID; i++)
		for (size_t n = 0; n < valid[i].header.n; n++)
			cr_assert(proxyproto_read(
					  guard_place(&guard, (struct str){ valid[i].header.p, n }),
					  &len, &ip) == -EAGAIN,
				  "row %zu, %zu bytes", i, n);
	guard_free(&guard);
}

/* A header that is refused early does not make anybody wait. */
Test(proxyproto, refuses_what_is_no_header)
{
	static const struct str rows[] = {
		STR("G"),
		STR("GET / HTTP/1.1\r\n"),
		STR("proxy TCP4 192.0.2.7 192.0.2.1 56324 443\r\n"),
		STR("PROXY  TCP4 192.0.2.7 192.0.2.1 56324 443\r\n"),
		STR("PROXY TCP5 192.0.2.7 192.0.2.1 56324 443\r\n"),
		STR("PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\n"),
		STR("PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\r"),
		STR("PROXY TCP4 192.0.2.7 192.0.2.1 56324 443 \r\n"),
		STR("PROXY TCP4 192.0.2.7 192.0.2.1 56324\r\n"),
		STR("PROXY TCP4 192.0.2.7 192.0.2.1 56324 65536\r\n"),
		STR("PROXY TCP4 192.0.2.7 192.0.2.1 056324 443\r\n"),
		STR("PROXY TCP4 192.0.2.7 192.0.2.1  443\r\n"),
		STR("PROXY TCP4 192.0.2 192.0.2.1 56324 443\r\n"),
		STR("PROXY TCP4 192.0.2.7 x 56324 443\r\n"),
		STR("PROXY TCP4 ::1 ::1 1 2\r\n"),
		STR("PROXY TCP6 192.0.2.7 192.0.2.1 1 2\r\n"),
		STR("PROXY TCP4\r\n"),
		STR("PROXY \r\n"),
		STR("PROXY UNKNOWNX\r\n"),
		STR("PROXY UNKNOWN 0123456789012345678901234567890123456789012345678901234567890"
		    "12345678901234567890123456789012\r\n"),
		STR("\r\n\r\n\0\r\nQUIX"),
		STR(SIGNATURE "\x11"),
		STR(SIGNATURE "\x22"),
		STR(SIGNATURE "\x21\x12\0\x0c" V4_BLOCK),
		STR(SIGNATURE "\x21\x11\0\x0b\xc0\0\2\7\xc0\0\2\1\xdc\4\1"),
		STR(SIGNATURE "\x21\x21\0\x0c" V4_BLOCK),
		STR(SIGNATURE "\x21\x31\0\x0c" V4_BLOCK),
		STR(SIGNATURE "\x21\x11\xff\xff"),
	};
	struct guard guard = guard_new(512);
	struct in6_addr ip;
	size_t len;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect(proxyproto_read(guard_place(&guard, rows[i]), &len, &ip) == -EINVAL,
			  "row %zu", i);
	guard_free(&guard);
}

Test(proxyproto, line_of_107_bytes_is_the_longest)
{
	struct in6_addr ip;
	char line[128];
	size_t len;

	for (int n = 105; n <= 110; n++) {
		snprintf(line, sizeof(line), "PROXY UNKNOWN %0*d\r\n", n - 16, 0);
		cr_assert(strlen(line) == (size_t)n);
		cr_expect(proxyproto_read(str_of(line), &len, &ip) == (n <= 107 ? 0 : -EINVAL),
			  "%d", n);
	}
}
