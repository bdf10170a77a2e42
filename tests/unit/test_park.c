/*
 * park: what is parked comes back, whoever has died in between, and what is gone makes room.
 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "park.h"

enum { MANY = 2000 };

static int sockets[MANY];     /* by the lower half of their number; -1 = gone */
static uint64_t rounds[MANY]; /* the upper half */
static bool seen[MANY];

static int find(void *context, uint64_t number)
{
	uint64_t i = number & UINT32_MAX;

	(void)context;
	return i < MANY && rounds[i] == number >> 32 ? sockets[i] : -1;
}

/* A socket that its number can be read from. */
static int numbered(uint64_t number)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(write(pair[0], &number, sizeof(number)), (ssize_t)sizeof(number));
	close(pair[0]);
	return pair[1];
}

/* The copy takes the place of the one that the process before had. */
static bool take(void *context, int fd, uint64_t *number)
{
	int *copies = context;

	cr_assert_eq(recv(fd, number, sizeof(*number), MSG_PEEK), (ssize_t)sizeof(*number));
	cr_assert_lt(*number, MANY);
	*copies += seen[*number];
	if (seen[*number] || sockets[*number] < 0) {
		close(fd);
		return false;
	}
	seen[*number] = true;
	close(sockets[*number]);
	sockets[*number] = fd;
	return true;
}

static void open_some(size_t count)
{
	for (size_t i = 0; i < MANY; i++)
		sockets[i] = i < count ? numbered(i) : -1;
}

/* Another process's park: it has the ends, and knows nothing. */
static int recover(struct park *park, struct park *old, size_t count)
{
	int ends[PARK_ENDS], copies = 0;

	for (int i = 0; i < PARK_ENDS; i++)
		ends[i] = dup(old->ends[i]);
	park_adopt(park, ends, find, NULL);
	for (size_t i = 0; i < MANY; i++)
		seen[i] = false;
	park_recover(park, take, &copies);
	for (size_t i = 0; i < count; i++)
		cr_expect(seen[i] || sockets[i] < 0, "%zu is lost", i);
	return copies;
}

Test(park, gives_everything_back_again_and_again)
{
	struct park park, next, last;

	open_some(1000);
	cr_assert_eq(park_init(&park, find, NULL), 0);
	for (uint64_t i = 0; i < 1000; i++)
		cr_assert(park_add(&park, sockets[i], i), "%llu", (unsigned long long)i);
	cr_expect_eq(park.parked, 1000);
	cr_expect_eq(recover(&next, &park, 1000), 0);
	cr_expect_eq(next.parked, 1000);
	park_done(&park);
	/* A death in the middle of the next recovery leaves its mark in the queue. */
	cr_assert_eq(send(next.ends[0], "a mark..", 8, 0), 8);
	cr_expect_eq(recover(&last, &next, 1000), 0);
	park_done(&next);
	for (uint64_t i = 0; i < 1000; i++)
		close(sockets[i]);
	park_done(&last);
}

Test(park, forgets_what_is_gone)
{
	struct park park, next;

	open_some(0);
	cr_assert_eq(park_init(&park, find, NULL), 0);
	/* Far more in all than there is room for, but few at a time. */
	for (uint64_t round = 0; round < 20; round++) {
		for (uint64_t i = 0; i < 600; i++) {
			if (sockets[i] >= 0)
				close(sockets[i]);
			sockets[i] = numbered(i);
			rounds[i] = round;
			cr_assert(park_add(&park, sockets[i], round << 32 | i));
			/* All but a few go at once. */
			if (i % 50) {
				close(sockets[i]);
				sockets[i] = -1;
			}
		}
		for (uint64_t i = 0; i < 600; i += 50) {
			close(sockets[i]);
			sockets[i] = -1;
		}
	}
	cr_expect_lt(park.parked, 3 * PARK_BATCH);
	cr_expect_eq(park.refused, 0);
	recover(&next, &park, 0);
	cr_expect_eq(next.parked, 0);
	park_done(&next);
	park_done(&park);
}

Test(park, state_crosses_to_the_next_binary)
{
	struct park park, next;
	struct buf packed;
	int ends[PARK_ENDS];

	open_some(700);
	cr_assert_eq(park_init(&park, find, NULL), 0);
	for (uint64_t i = 0; i < 600; i++)
		cr_assert(park_add(&park, sockets[i], i));
	buf_init(&packed, 1 << 20);
	park_pack(&park, &packed);
	for (int i = 0; i < PARK_ENDS; i++)
		ends[i] = dup(park.ends[i]);
	park_adopt(&next, ends, find, NULL);
	cr_assert_eq(park_unpack(&next, buf_str(&packed)), 0);
	cr_expect_eq(next.parked, 600);
	for (uint64_t i = 600; i < 700; i++)
		cr_assert(park_add(&next, sockets[i], i));
	park_done(&park);
	cr_expect_eq(recover(&park, &next, 700), 0);
	park_done(&park);
	park_done(&next);
	buf_done(&packed);
	for (uint64_t i = 0; i < 700; i++)
		close(sockets[i]);
}
