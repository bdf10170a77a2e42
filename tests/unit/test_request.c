/*
 * request: how much of a turn a client can take.
 */
#include "daemon.h"
#include "request.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "house.h"

enum { CLIENTS = 3, PIPELINED = 200 };

static const char GET[] = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

static void ask(int fd, int times)
{
	for (int i = 0; i < times; i++)
		cr_assert_eq(write(fd, GET, sizeof(GET) - 1), (ssize_t)sizeof(GET) - 1);
}

/* Answers that a client has got since the last look. */
static int answers(int fd)
{
	char text[65536];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	int count = 0;

	text[n > 0 ? n : 0] = '\0';
	for (const char *at = text; (at = strstr(at, "HTTP/1.1 200")); at++)
		count++;
	return count;
}

/* Has the daemon hear of what the client in a slot has sent. */
static void tell(struct house *house, uint32_t slot)
{
	struct hub *hub = &house->server.hub;

	request_event(hub, slot, conns_at(&hub->conns, slot)->generation, EPOLLIN);
}

Test(request, pipelined_requests_are_answered_some_in_a_turn)
{
	struct house *house = calloc(1, sizeof(*house));
	int fd, got = 0, turns = 0, count;

	house_open(house, (const char *const[]){ NULL });
	fd = house_connect(house, 0, 0);
	ask(fd, PIPELINED);
	while (got < PIPELINED && turns < PIPELINED) {
		cr_assert_geq(daemon_turn(&house->server, 0), 0);
		count = answers(fd);
		cr_assert_leq(count, 16, "in turn %d", turns);
		got += count;
		turns++;
	}
	cr_expect_eq(got, PIPELINED);
	close(fd);
	house_close(house);
	free(house);
}

/* Where a turn has no time for all, they are visited one after the other, and nobody twice before
 * the last has been. */
Test(request, clients_queue)
{
	struct house *house = calloc(1, sizeof(*house));
	struct hub *hub = &house->server.hub;
	int fds[CLIENTS];

	house_open(house, (const char *const[]){ NULL });
	for (int i = 0; i < CLIENTS; i++)
		fds[i] = house_connect(house, 0, 0);
	house_turn(house);
	for (int i = 0; i < CLIENTS; i++) {
		ask(fds[i], 40);
		tell(house, (uint32_t)i + 1);
	}
	house_hurry = 100;
	for (int visit = 0; visit < 2 * CLIENTS; visit++) {
		request_run_agenda(hub);
		/* Who has been visited may come with more, and is behind the others all the same.
		 */
		tell(house, (uint32_t)(visit % CLIENTS) + 1);
		for (int i = 0; i < CLIENTS; i++)
			cr_assert_eq(answers(fds[i]), i == visit % CLIENTS ? 16 : 0,
				     "visit %d, client %d", visit, i);
	}
	house_hurry = 0;
	house_turn(house);
	for (int i = 0; i < CLIENTS; i++) {
		cr_expect_eq(answers(fds[i]), 8);
		close(fds[i]);
	}
	house_close(house);
	free(house);
}

Test(request, control_listeners_do_not_queue)
{
	struct house *house = calloc(1, sizeof(*house));
	int fds[2];

	house_open(house, (const char *const[]){ NULL });
	fds[0] = house_connect(house, 0, 0);
	fds[1] = house_connect(house, CONN_CONTROL, 0);
	house_turn(house);
	for (int i = 0; i < 2; i++) {
		ask(fds[i], 1);
		tell(house, (uint32_t)i + 1);
	}
	cr_expect_eq(answers(fds[0]), 0);
	cr_expect_eq(answers(fds[1]), 1);
	house_turn(house);
	cr_expect_eq(answers(fds[0]), 1);
	for (int i = 0; i < 2; i++)
		close(fds[i]);
	house_close(house);
	free(house);
}
