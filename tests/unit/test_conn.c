/*
 * conn: who has a place, and who has not.
 */
#include "conn.h"

#include <criterion/criterion.h>
#include <sys/socket.h>
#include <unistd.h>

#include "house.h"

static const struct in6_addr somebody = { .s6_addr = { [10] = 0xff, 0xff, 192, 0, 2, 1 } };

/* A conn from that address in the next slot; *end is the client's. */
static struct conn *come(struct hub *hub, uint32_t slot, int *end)
{
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	hub->stats.accepts++;
	cr_assert_eq(conn_open(hub, ends[0], &somebody, 0), 0);
	*end = ends[1];
	return conns_at(&hub->conns, slot);
}

/* Where one may be there, the next one may as soon as the first has gone: it need not be closed. */
static void expect_place_is_free(const char *limit)
{
	struct house *house = calloc(1, sizeof(*house));
	struct hub *hub = &house->server.hub;
	struct conn *first, *second, *third;
	int ends[3];

	house_open(house, (const char *const[]){ limit, "1", NULL });
	first = come(hub, 1, &ends[0]);
	second = come(hub, 2, &ends[1]);
	cr_expect(!(first->flags & CONN_OVER_LIMIT));
	cr_expect(second->flags & CONN_OVER_LIMIT);
	conn_doom(hub, first, REASON_CLIENT);
	conn_doom(hub, second, REASON_OVER_LIMIT);
	third = come(hub, 3, &ends[2]);
	cr_expect(!(third->flags & CONN_OVER_LIMIT));
	for (int i = 0; i < 3; i++)
		close(ends[i]);
	house_turn(house);
	house_expect_idle(house);
	cr_expect_eq(hub->conns.refused, 0);
	house_close(house);
	free(house);
}

Test(conn, who_has_gone_takes_no_place)
{
	expect_place_is_free("--max-clients");
}

Test(conn, who_has_gone_takes_no_place_of_its_address)
{
	expect_place_is_free("--max-clients-per-ip");
}
