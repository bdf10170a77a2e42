/*
 * stream: lag.
 */
#include <criterion/criterion.h>

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
