/*
 * peer: conns of each address, counted up and down.
 */
#include <criterion/criterion.h>

#include <string.h>

#include "peer.h"

static struct in6_addr address(uint32_t i)
{
	struct in6_addr ip = { 0 };

	memcpy(&ip.s6_addr[12], &i, sizeof(i));
	ip.s6_addr[10] = ip.s6_addr[11] = 0xff;
	return ip;
}

Test(peer, addresses_are_counted_apart_and_forgotten_when_the_last_conn_goes)
{
	enum { MANY = 5000 };
	static uint32_t index[MANY];
	struct peers peers;

	cr_assert_eq(peers_init(&peers), 0);
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < MANY; i++) {
			struct in6_addr ip = address(i % (MANY / 2));

			index[i] = peers_enter(&peers, &ip);
			cr_assert_neq(index[i], 0);
			cr_assert_eq(peers_conns(&peers, index[i]), i < MANY / 2 ? 1 : 2);
		}
		for (uint32_t i = 0; i < MANY / 2; i++)
			cr_assert_eq(index[i], index[i + MANY / 2]);
		for (uint32_t i = 0; i < MANY; i++)
			peers_leave(&peers, index[i]);
		cr_assert_leq(peers.count, MANY / 2 + 1, "entries are used again");
	}
	cr_assert_eq(peers_conns(&peers, 0), 0);
	peers_leave(&peers, 0);
	peers_done(&peers);
}

/* Who has one address of IPv6 has 2^64 of them. */
Test(peer, addresses_of_ipv6_count_by_their_network)
{
	enum { MANY = 1000 };
	static uint32_t index[MANY];
	struct in6_addr ip = { .s6_addr = { 0x20, 0x01, 0x0d, 0xb8 } }, v4 = address(7);
	struct peers peers;
	uint32_t other;

	cr_assert_eq(peers_init(&peers), 0);
	for (uint32_t i = 0; i < MANY; i++) {
		memcpy(&ip.s6_addr[8], &i, sizeof(i)); /* :: itself is among them */
		index[i] = peers_enter(&peers, &ip);
		cr_assert_eq(peers_conns(&peers, index[i]), i + 1);
		cr_assert_eq(memcmp(&peers.table[index[i]].ip, &ip, sizeof(ip)), 0);
	}
	peers_again(&peers, index[1]);
	cr_expect_eq(peers_conns(&peers, index[0]), MANY + 1);
	peers_leave(&peers, index[1]);
	ip.s6_addr[7] = 1;
	other = peers_enter(&peers, &ip);
	cr_expect_eq(peers_conns(&peers, other), 1, "another /64");
	peers_leave(&peers, other);
	for (uint32_t i = 0; i < MANY; i++)
		peers_leave(&peers, index[i]);
	other = peers_enter(&peers, &v4);
	cr_expect_eq(peers_conns(&peers, other), 1);
	cr_expect_eq(peers_conns(&peers, peers_enter(&peers, &v4)), 2);
	cr_expect_eq(peers.count, MANY + 4, "entries are used again");
	peers_done(&peers);
}
