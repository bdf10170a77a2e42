/*
 * sweep: a round, and a crowd that comes in the middle of it.
 */
#include <criterion/criterion.h>
#include <sys/socket.h>
#include <unistd.h>

#include "house.h"
#include "request.h"

enum { CROWD = 300, FIRES_MAX = 64 };

Test(sweep, round_is_not_longer_when_a_crowd_comes_in_the_middle_of_it)
{
	struct house *house = calloc(1, sizeof(*house));
	const struct conns *conns = &house->server.hub.conns;
	int fds[CROWD + 1];

	house_open(house, (const char *const[]){ "--head-timeout", "1s", NULL });
	fds[0] = house_connect(house, 0, 0);
	house_turn(house);
	cr_assert(house->server.sweep.running);
	for (int i = 1; i <= CROWD; i++)
		fds[i] = house_connect(house, 0, 0);
	house_ahead_ms += 5000;
	/* Nobody has said anything: all are to be cut within this round and the next. */
	for (int fires = 0; conns->count > 0 && fires < FIRES_MAX; fires++) {
		loop_set_timer(house->server.sweep.timer_fd, 1, 0);
		house_turn(house);
	}
	cr_expect_eq(conns->count, 0, "%u are left", conns->count);
	for (int i = 0; i <= CROWD; i++)
		close(fds[i]);
	house_close(house);
	free(house);
}

/* Whoever has asked, and waits only because others are before it, is not cut for that. */
Test(sweep, does_not_take_our_delay_for_the_clients)
{
	static const char request[] = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
	struct house *house = calloc(1, sizeof(*house));
	struct hub *hub = &house->server.hub;
	char answer[16] = "";
	int fd;

	house_open(house, (const char *const[]){ "--head-timeout", "1s", NULL });
	fd = house_connect(house, 0, 0);
	house_turn(house);
	cr_assert(write(fd, request, sizeof(request) - 1) == (ssize_t)sizeof(request) - 1);
	request_event(hub, 1, conns_at(&hub->conns, 1)->generation, EPOLLIN);
	hub->now_ms += 5000;
	house->server.sweep.due = house->server.sweep.at + 1;
	sweep_turn(&house->server.sweep, hub);
	house_turn(house);
	cr_expect(recv(fd, answer, 12, MSG_DONTWAIT) == 12);
	cr_expect_str_eq(answer, "HTTP/1.1 200");
	close(fd);
	house_close(house);
	free(house);
}
