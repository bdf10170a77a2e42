/*
 * stream: lag, and how far a reader of the ring goes in one turn.
 */
#include <criterion/criterion.h>
#include <unistd.h>

#include "broadcast.h"
#include "daemon.h"
#include "house.h"
#include "stream.h"

Test(stream, lag_of_one_whom_the_ring_has_left_behind_is_what_the_ring_has)
{
	struct hub *hub = calloc(1, sizeof(*hub));
	struct str topic = STR("a");
	struct event event = { .topics = &topic, .topic_count = 1, .retry_ms = SSE_NO_RETRY };
	struct conn conn = { .state = CONN_STREAM, .cursor = 0, .offset = 9 };
	static char data[1000];
	uint64_t number;

	cr_assert_eq(ring_init(&hub->ring, RING_BYTES_MIN, 1), 0);
	memset(data, 'x', sizeof(data));
	event.data = (struct str){ data, sizeof(data) };
	cr_assert_eq(ring_append(&hub->ring, &event, 1, &number), 0);
	ring_flushed(&hub->ring);
	cr_expect_eq(stream_lag(hub, &conn), ring_record(&hub->ring, 0)->len - 9);
	while (hub->ring.header->first == 0) {
		cr_assert_eq(ring_append(&hub->ring, &event, 1, &number), 0);
		ring_flushed(&hub->ring);
	}
	cr_expect_eq(stream_lag(hub, &conn), hub->ring.header->head - hub->ring.header->tail);
	ring_done(&hub->ring);
	free(hub);
}

/* Publishes count events to an empty house, flushed. */
static void fill(struct house *house, unsigned count)
{
	struct str topic = STR("https://example.com/books/1");
	struct event event = {
		.topics = &topic, .topic_count = 1, .data = STR("x"), .retry_ms = SSE_NO_RETRY
	};
	struct broadcast_receipt receipt;
	int status;

	for (unsigned i = 0; i < count; i++)
		cr_assert_null(broadcast_event(&house->server.hub, &event, &receipt, &status));
	house_turn(house);
}

/* Turns until the client's cursor reaches the head; returns how many that took. */
static unsigned turns_of_replay(struct house *house, const char *request)
{
	struct hub *hub = &house->server.hub;
	int fd = house_connect(house, 0, 0);
	const struct conn *conn = conns_at(&hub->conns, 1);
	unsigned turns = 0;

	cr_assert_eq(write(fd, request, strlen(request)), (ssize_t)strlen(request));
	do {
		cr_assert_geq(daemon_turn(&house->server, 0), 0);
		turns++;
	} while (conn->state == CONN_HEAD || conn->cursor < hub->ring.header->next);
	close(fd);
	house_turn(house);
	return turns;
}

/* One client with templates that ask for nothing must not keep all others waiting. */
Test(stream, replay_by_templates_takes_small_steps)
{
	struct house *house = calloc(1, sizeof(*house));

	house_open(house, (const char *const[]){ NULL });
	fill(house, 1000);
	cr_expect_leq(turns_of_replay(house, "GET /sse?topic=a&topic=b&lastEventID=earliest "
					     "HTTP/1.1\r\nHost: a\r\n\r\n"),
		      3);
	cr_expect_geq(turns_of_replay(house, "GET /sse?topic={a}{/b}!&lastEventID=earliest "
					     "HTTP/1.1\r\nHost: a\r\n\r\n"),
		      15);
	cr_expect_geq(turns_of_replay(house, "GET /sse?poll&topic={a}{/b}!&lastEventID=earliest "
					     "HTTP/1.1\r\nHost: a\r\n\r\n"),
		      15);
	house_close(house);
	free(house);
}

/* A live stream in an empty house, which takes count events before it falls behind. */
static struct conn *take_all(struct house *house, int *fd, unsigned *count)
{
	static const char request[] = "GET /sse?topic=* HTTP/1.1\r\nHost: a\r\n\r\n";
	struct conn *conn;
	unsigned taken = 0;

	house_open(house, (const char *const[]){ "--stall-timeout", "30s", "--heartbeat", "15s",
						 "--poll-timeout", "1h", NULL });
	*fd = house_connect(house, 0, 4608);
	cr_assert_eq(write(*fd, request, sizeof(request) - 1), (ssize_t)sizeof(request) - 1);
	house_turn(house);
	conn = conns_at(&house->server.hub.conns, 1);
	while (conn->flags & CONN_LIVE && taken < *count) {
		fill(house, 1);
		taken++;
	}
	*count = taken;
	return conn;
}

/* Who has long had everything has the whole stall time from the moment when it takes no more, also
 * if that is a heartbeat. */
Test(stream, stall_begins_when_a_heartbeat_does_not_go_out)
{
	struct house *house = calloc(1, sizeof(*house));
	unsigned count = 1000;
	struct conn *conn;
	int fd;

	conn = take_all(house, &fd, &count);
	cr_assert(count > 1 && !(conn->flags & CONN_LIVE));
	close(fd);
	house_close(house);
	/* This time one less: the kernel has no room, and nobody knows yet. */
	count--;
	conn = take_all(house, &fd, &count);
	cr_assert(conn->flags & CONN_LIVE);
	house_ahead_ms += 40000;
	house_sweep(house);
	cr_assert(conn->state == CONN_STREAM && !(conn->flags & CONN_LIVE));
	house_sweep(house);
	cr_expect(conn->state == CONN_STREAM, "cut at once");
	house_ahead_ms += 40000;
	house_sweep(house);
	cr_expect(house->server.hub.stats.disconnects[REASON_STALLED] == 1);
	close(fd);
	house_close(house);
	free(house);
}
