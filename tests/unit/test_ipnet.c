/*
 * ipnet: what an operator may write, and which addresses that means.
 */
#include "ipnet.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "guard.h"

static struct in6_addr ip_of(const char *text)
{
	struct in6_addr ip;

	cr_assert(ipnet_parse_ip(str_of(text), &ip) == 0, "%s", text);
	return ip;
}

Test(ipnet, has_the_addresses_inside_and_no_others)
{
	static const struct {
		const char *net, *inside, *outside;
	} rows[] = {
		{ "192.0.2.7", "192.0.2.7", "192.0.2.6" },
		{ "192.0.2.7", "::ffff:192.0.2.7", "::192.0.2.7" },
		{ "192.0.2.0/24", "192.0.2.255", "192.0.3.0" },
		{ "192.0.2.7/24", "192.0.2.1", "192.0.1.255" },
		{ "10.0.0.0/8", "10.255.0.1", "11.0.0.0" },
		{ "172.16.0.0/12", "172.31.255.255", "172.32.0.0" },
		{ "192.0.2.6/31", "192.0.2.7", "192.0.2.8" },
		{ "192.0.2.7/32", "192.0.2.7", "192.0.2.5" },
		{ "0.0.0.0/0", "255.255.255.255", "2001:db8::1" },
		{ "::1", "::1", "::2" },
		{ "2001:db8::/32", "2001:db8:ffff::1", "2001:db9::" },
		{ "2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::" },
		{ "2001:db8::8/127", "2001:db8::9", "2001:db8::a" },
		{ "fe80::/10", "febf::1", "fec0::1" },
		{ "::ffff:0:0/96", "10.1.2.3", "::1" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct in6_addr inside = ip_of(rows[i].inside), outside = ip_of(rows[i].outside);
		struct ipnet net;

		cr_assert(ipnet_parse(str_of(rows[i].net), &net) == 0, "%s", rows[i].net);
		cr_expect(ipnet_has(&net, &inside), "%s: %s", rows[i].net, rows[i].inside);
		cr_expect(!ipnet_has(&net, &outside), "%s: %s", rows[i].net, rows[i].outside);
	}
}

Test(ipnet, unix_is_the_address_of_zeros_alone)
{
	struct in6_addr nobody = { 0 }, other = ip_of("::1");
	struct ipnet net;

	cr_assert(ipnet_parse(STR("unix"), &net) == 0);
	cr_expect(ipnet_has(&net, &nobody));
	cr_expect(!ipnet_has(&net, &other));
	cr_assert(ipnet_parse(STR("::/0"), &net) == 0);
	cr_expect(ipnet_has(&net, &other));
}

Test(ipnet, refuses_what_is_no_network)
{
	static const char *const texts[] = {
		"",
		"/",
		"/8",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0/8",
		"10.0.0.0/-1",
		"10.0.0.0/+8",
		"10.0.0.0/8/8",
		"10.0.0.0/ 8",
		"::/129",
		"::1/",
		"[::1]",
		"fe80::1%lo",
		"localhost",
		"10.0.0.0.0",
		"10.0.0.256",
		"1.2.3.4:80",
		"0x7f.0.0.1",
		" 10.0.0.1",
		"10.0.0.1 ",
		":::",
		"unix/0",
		"UNIX",
		"127.1",
		"1:2:3:4:5:6:7:8:9",
		"10.0.0.0/18446744073709551624",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa",
	};
	struct guard guard = guard_new(64);
	struct ipnet net;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		cr_expect(ipnet_parse(guard_place(&guard, str_of(texts[i])), &net) == -EINVAL, "%s",
			  texts[i]);
	cr_expect(ipnet_parse(STR("10.0.0.1\0"), &net) == -EINVAL);
	guard_free(&guard);
}

Test(ipnet, list_has_what_one_of_it_has)
{
	struct in6_addr first = ip_of("10.1.1.1"), second = ip_of("::1"), none = ip_of("::2");
	struct ipnets nets = { .count = 2 };

	cr_assert(ipnet_parse(STR("10.0.0.0/8"), &nets.nets[0]) == 0);
	cr_assert(ipnet_parse(STR("::1"), &nets.nets[1]) == 0);
	cr_expect(ipnets_have(&nets, &first) && ipnets_have(&nets, &second));
	cr_expect(!ipnets_have(&nets, &none));
	nets.count = 0;
	cr_expect(!ipnets_have(&nets, &first));
}
