/*
 * forwarded: whom a list of proxies is believed, and how far.
 */
#include "forwarded.h"

#include <criterion/criterion.h>
#include <string.h>

#include "buf.h"
#include "guard.h"

/* The client that these lines of a head name, as text; NULL where they name none. */
static void expect_client(const char *fields, const char *client)
{
	struct in6_addr ip = { 0 }, expected = { 0 };
	struct guard guard = guard_new(4096);
	struct http_request request;
	struct ipnets trusted = { .count = 2 };
	const char *why;
	struct buf head;
	struct str text;
	bool found;

	cr_assert(ipnet_parse(STR("10.0.0.0/8"), &trusted.nets[0]) == 0);
	cr_assert(ipnet_parse(STR("fd00::/8"), &trusted.nets[1]) == 0);
	buf_init(&head, 4096);
	buf_addf(&head, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);
	text = guard_place(&guard, buf_str(&head));
	cr_assert(http_parse_head(text.p, text.n, &request, &why) == 0, "%s", why);
	found = forwarded_for(&request, &trusted, &ip);
	cr_expect(found == !!client, "%s", fields);
	if (client)
		cr_assert(ipnet_parse_ip(str_of(client), &expected) == 0);
	cr_expect(!found || memcmp(&ip, &expected, sizeof(ip)) == 0, "%s", fields);
	buf_done(&head);
	guard_free(&guard);
}

#define XFF "X-Forwarded-For: "

Test(forwarded, is_the_last_address_that_is_no_proxy)
{
	expect_client(XFF "192.0.2.7\r\n", "192.0.2.7");
	expect_client(XFF "192.0.2.7, 10.0.0.1\r\n", "192.0.2.7");
	expect_client(XFF "192.0.2.7,fd00::2,10.0.0.1\r\n", "192.0.2.7");
	expect_client("x-forwarded-for: 2001:db8::7\r\n", "2001:db8::7");
}

Test(forwarded, nobody_is_believed_what_stands_before)
{
	expect_client(XFF "10.9.9.9, 198.51.100.1, 192.0.2.7, 10.0.0.1\r\n", "192.0.2.7");
	expect_client(XFF "rubbish, 192.0.2.7\r\n", "192.0.2.7");
	expect_client(XFF "198.51.100.1\r\n" XFF "192.0.2.7\r\n", "192.0.2.7");
	expect_client(XFF "192.0.2.7\r\n" XFF "10.0.0.1\r\n", "192.0.2.7");
}

Test(forwarded, only_proxies_is_the_first_of_them)
{
	expect_client(XFF "10.0.0.3, 10.0.0.2, 10.0.0.1\r\n", "10.0.0.3");
}

Test(forwarded, what_is_no_address_ends_the_list)
{
	expect_client("", NULL);
	expect_client("Forwarded-For: 192.0.2.7\r\n", NULL);
	expect_client(XFF "\r\n", NULL);
	expect_client(XFF ", ,\r\n", NULL);
	expect_client(XFF "unknown\r\n", NULL);
	expect_client(XFF "192.0.2.7, unknown\r\n", NULL);
	expect_client(XFF "192.0.2.7, unknown, 10.0.0.1\r\n", "10.0.0.1");
	expect_client(XFF "192.0.2.7;\r\n", NULL);
	expect_client(XFF "::1::\r\n", NULL);
}

Test(forwarded, ports_and_brackets_and_empty_elements_are_taken)
{
	expect_client(XFF "192.0.2.7:4711\r\n", "192.0.2.7");
	expect_client(XFF "[2001:db8::7]\r\n", "2001:db8::7");
	expect_client(XFF "[2001:db8::7]:4711\r\n", "2001:db8::7");
	expect_client(XFF "::ffff:192.0.2.7\r\n", "192.0.2.7");
	expect_client(XFF "192.0.2.7, ,\t10.0.0.1 ,\r\n", "192.0.2.7");
	expect_client(XFF "192.0.2.7:\r\n", NULL);
	expect_client(XFF "192.0.2.7:65536\r\n", NULL);
	expect_client(XFF "[2001:db8::7\r\n", NULL);
	expect_client(XFF "[2001:db8::7]4711\r\n", NULL);
	expect_client(XFF "[2001:db8::7]:\r\n", NULL);
}
