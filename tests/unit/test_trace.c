/*
 * trace and anchor: where a stream stands, whenever its process died.
 */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "anchor.h"
#include "names.h"
#include "sock.h"
#include "stream.h"

Test(trace, terms_and_counts_outlive_the_process)
{
	struct trace trace, next;
	uint32_t a, b;

	cr_assert_eq(trace_init(&trace, 100), 0);
	a = trace_define(&trace, STR("some terms"));
	b = trace_define(&trace, STR("others"));
	cr_assert(a && b && a != b);
	trace_set_count(&trace, a, (struct tally_count){ 1000, 7 });
	trace_undefine(&trace, b);
	struct mark *mark = trace_mark(&trace, 99);

	mark->tally = a;
	trace_set(mark, 123, 45);
	trace_publish(mark, 6789);
	cr_assert_eq(trace_adopt(&next, dup(trace.fd)), 0);
	trace_done(&trace);
	cr_expect(str_eq(trace_terms(&next, a), STR("some terms")));
	cr_expect_eq(trace_terms(&next, b).n, 0);
	cr_expect_eq(trace_terms(&next, 77).n, 0);
	cr_expect_eq(trace_count(&next, a).bytes, 1000);
	cr_expect_eq(trace_count(&next, a).record, 7);
	mark = trace_mark(&next, 99);
	cr_expect(mark->cookie == 6789 && trace_position(mark).base == 123 &&
		  trace_position(mark).record == 45);
	trace_done(&next);
}

Test(trace, room_that_is_given_back_is_used_again)
{
	struct trace trace;
	static char large[20000];

	cr_assert_eq(trace_init(&trace, 4), 0);
	for (int i = 0; i < 100000; i++) {
		uint32_t a = trace_define(&trace, STR("x"));
		uint32_t b = trace_define(&trace, (struct str){ large, sizeof(large) });

		cr_assert(a && b, "%d", i);
		trace_undefine(&trace, a);
		trace_undefine(&trace, b);
	}
	cr_expect_lt(trace.header->terms_used, 200000);
	for (int i = 0; i < 3; i++)
		cr_assert(trace_define(&trace, STR("y")));
	cr_expect_eq(trace_define(&trace, STR("one too many")), 0);
	trace_done(&trace);
}

Test(trace, refuses_what_is_none)
{
	struct trace trace, next;

	cr_assert_eq(trace_init(&trace, 100), 0);
	struct trace_header was = *trace.header;

	for (int i = 0; i < 5; i++) {
		*trace.header = was;
		switch (i) {
		case 0: trace.header->magic[3]++; break;
		case 1: trace.header->version++; break;
		case 2: trace.header->slots++; break;
		case 3: trace.header->mark_high = 101; break;
		default: trace.header->terms_used = 0; break;
		}
		if (i == 2)
			trace.header->slots += 4096;
		cr_expect_eq(trace_adopt(&next, dup(trace.fd)), -EINVAL, "%d", i);
	}
	trace_done(&trace);
}

Test(trace, third_crash_within_ten_seconds)
{
	struct trace trace;

	cr_assert_eq(trace_init(&trace, 2), 0);
	cr_expect_not(trace_crashed(&trace, 100000));
	cr_expect_not(trace_crashed(&trace, 106000));
	cr_expect_not(trace_crashed(&trace, 112000));
	cr_expect(trace_crashed(&trace, 113000));
	cr_expect_not(trace_crashed(&trace, 130000));
	trace_done(&trace);
}

Test(sock_written, counts_what_the_kernel_has_taken)
{
	struct sockaddr_in name = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(name);
	int listener = socket(AF_INET, SOCK_STREAM, 0), client, server;
	uint64_t begun, now, total = 0;
	static char bytes[70000];

	cr_assert(bind(listener, (struct sockaddr *)&name, len) == 0 && listen(listener, 1) == 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&name, &len), 0);
	client = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(connect(client, (struct sockaddr *)&name, len), 0);
	server = accept(listener, NULL, NULL);
	cr_assert_eq(sock_written(server, &begun), 0);
	for (int i = 0; i < 300; i++) {
		ssize_t n = send(server, bytes, (size_t)(i * 231 + 1), MSG_DONTWAIT);

		total += n > 0 ? (uint64_t)n : 0;
		cr_assert_eq(sock_written(server, &now), 0);
		cr_expect_eq(now - begun, total, "after %d sends", i);
		if (i % 3 == 0)
			(void)!recv(client, bytes, sizeof(bytes), MSG_DONTWAIT);
	}
	cr_expect(sock_cookie(server) && sock_cookie(server) != sock_cookie(client));
	cr_expect_lt(sock_written(STDIN_FILENO, &now), 0);
	close(client);
	close(server);
	close(listener);
}

/* A hub with a ring of events on two topics, and an audience for one of them. */
struct place_test {
	struct hub hub;
	uint32_t audience;
	struct mark *mark;
	uint64_t lens[20]; /* of the frames of "mine": records 0, 2, 4 … */
};

static void open_hub(struct place_test *t)
{
	struct str topics[2] = { STR("mine"), STR("others") };
	struct buf names;

	memset(t, 0, sizeof(*t));
	cr_assert_eq(ring_init(&t->hub.ring, RING_BYTES_MIN, 1000000), 0);
	cr_assert_eq(topics_init(&t->hub.topics, &t->hub.ring), 0);
	cr_assert_eq(trace_init(&t->hub.trace, 10), 0);
	buf_init(&names, 100);
	names_add(&names, topics[0]);
	cr_assert_eq(topics_join(&t->hub.topics,
				 &(struct audience_terms){ .selectors = buf_str(&names) }, 10,
				 &t->audience),
		     0);
	buf_done(&names);
	for (uint64_t i = 0; i < 40; i++) {
		struct event event = { .topics = &topics[i % 2],
				       .topic_count = 1,
				       .data = STR("some data"),
				       .retry_ms = SSE_NO_RETRY };
		uint64_t record;

		cr_assert_eq(ring_append(&t->hub.ring, &event, 1000000, &record), 0);
		if (i % 2 == 0)
			t->lens[i / 2] = ring_record(&t->hub.ring, record)->len;
	}
	ring_flushed(&t->hub.ring);
	t->mark = trace_mark(&t->hub.trace, 1);
	t->mark->tally = trace_define(&t->hub.trace, STR("terms"));
}

static void close_hub(struct place_test *t)
{
	trace_done(&t->hub.trace);
	topics_done(&t->hub.topics);
	ring_done(&t->hub.ring);
}

/* Whether a socket that has taken so many bytes is found to stand there. */
static bool stands(const struct place_test *t, uint64_t written, uint64_t record, uint32_t offset)
{
	uint64_t at;
	uint32_t in;
	size_t left;

	return anchor_locate(&t->hub, t->mark, topics_audience(&t->hub.topics, t->audience),
			     written, &at, &in, &left) &&
	       at == record && in == offset && left == 0;
}

Test(anchor, finds_every_byte_of_a_walker_and_of_a_live_one)
{
	static struct place_test t;
	uint64_t at = 5000;

	open_hub(&t);
	for (uint64_t i = 0; i < 20; i++) {
		/* The mark of a walker; it says where record 0 began. */
		trace_set(t.mark, 5000, 0);
		for (uint32_t offset = 0; offset < t.lens[i]; offset++)
			cr_assert(stands(&t, at + offset, 2 * i, offset), "%u of %u", offset,
				  (unsigned)i);
		/* A live one, whose audience was counted up to here or less. */
		for (uint64_t counted = 0; counted <= i; counted++) {
			uint64_t bytes = 900;

			for (uint64_t k = 0; k < counted; k++)
				bytes += t.lens[k];
			trace_set_count(&t.hub.trace, t.mark->tally,
					(struct tally_count){ bytes, 2 * counted });
			trace_set(t.mark, 5000 - 900, TRACE_LIVE);
			cr_assert(stands(&t, at + 3, 2 * i, 3));
		}
		at += t.lens[i];
	}
	trace_set(t.mark, 5000, 0);
	cr_expect(stands(&t, at, 40, 0));
	close_hub(&t);
}

Test(anchor, does_not_guess)
{
	static struct place_test t;
	uint64_t record, all = 0;
	uint32_t offset;
	size_t left;

	open_hub(&t);
	const struct audience *audience = topics_audience(&t.hub.topics, t.audience);

	for (uint64_t i = 0; i < 20; i++)
		all += t.lens[i];
	trace_set(t.mark, 5000, 0);
	cr_expect_not(stands(&t, 4999, 0, 0));
	cr_expect_not(stands(&t, 5000 + all + 1, 40, 0));
	/* A heartbeat may have been on its way: all of it, nothing, or a part. */
	t.mark->saying = (uint32_t)topic_heartbeat(TOPIC_CHUNKED).n;
	for (size_t had = 0; had <= 8; had++) {
		cr_expect(anchor_locate(&t.hub, t.mark, audience, 5000 + all + had, &record,
					&offset, &left),
			  "%zu", had);
		cr_expect(record == 40 && offset == 0 && left == (had ? 8 - had : 0), "%zu: %zu",
			  had, left);
	}
	cr_expect_not(stands(&t, 5000 + all + 9, 40, 0));
	/* Of something longer nobody knows the rest. */
	t.mark->saying = 500;
	cr_expect(stands(&t, 5000 + all, 40, 0) && stands(&t, 5000 + all + 500, 40, 0));
	cr_expect_not(stands(&t, 5000 + all + 250, 40, 0));
	trace_set(t.mark, 5000, TRACE_UNKNOWN);
	cr_expect_not(stands(&t, 5000, 0, 0));
	close_hub(&t);
}
