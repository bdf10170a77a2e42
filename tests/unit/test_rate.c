/*
 * rate: so many at once, so many a second, each address for itself.
 */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <stdlib.h>

#include "rate.h"

static struct rate *rate;

static void open_rate(void)
{
	rate = calloc(1, sizeof(*rate));
	cr_assert(rate);
	rate_init(rate);
	/* Where entries collide is not left to chance. */
	rate->hash_key[0] = rate->hash_key[1] = 1;
}

static void close_rate(void)
{
	free(rate);
}

TestSuite(rate, .init = open_rate, .fini = close_rate);

static unsigned allowed(const char *ip, uint64_t now_ms, unsigned tries, uint64_t per_second)
{
	struct in6_addr address;
	unsigned count = 0;

	cr_assert_eq(inet_pton(AF_INET6, ip, &address), 1);
	while (tries-- > 0)
		count += rate_allows(rate, &address, now_ms, per_second);
	return count;
}

Test(rate, lets_a_burst_in_and_then_so_many_a_second)
{
	cr_expect_eq(allowed("::ffff:192.0.2.1", 5000, 100, 10), 10);
	cr_expect_eq(allowed("::ffff:192.0.2.1", 5099, 100, 10), 0);
	cr_expect_eq(allowed("::ffff:192.0.2.1", 5100, 100, 10), 1);
	cr_expect_eq(allowed("::ffff:192.0.2.1", 5600, 100, 10), 5);
	cr_expect_eq(allowed("::ffff:192.0.2.1", 60000, 100, 10), 10);
}

Test(rate, each_address_has_its_own_and_a_network_of_ipv6_is_one)
{
	cr_expect_eq(allowed("::ffff:192.0.2.1", 5000, 3, 3), 3);
	cr_expect_eq(allowed("::ffff:192.0.2.2", 5000, 3, 3), 3);
	cr_expect_eq(allowed("2001:db8::1", 5000, 3, 3), 3);
	cr_expect_eq(allowed("2001:db8::2", 5000, 3, 3), 0);
	cr_expect_eq(allowed("2001:db8:0:1::2", 5000, 3, 3), 3);
}

Test(rate, zero_is_no_limit)
{
	cr_expect_eq(allowed("::ffff:192.0.2.1", 5000, 1000, 0), 1000);
}
