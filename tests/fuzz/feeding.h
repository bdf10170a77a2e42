/*
 * feeding: what the two targets of the feed share: the events of a flow do not depend on the pieces
 * in which it comes, and each event that may be published survives the wire.
 */
#ifndef FEEDING_H
#define FEEDING_H

#include "feed.h"
#include "fuzz.h"

enum { FEEDING_EVENT_MAX = 4096 };

/* What a feed has handed over: a digest that two runs have to agree on. */
struct feeding {
	uint64_t digest;
	unsigned events;
};

static inline void feeding_note(struct feeding *seen, struct str s)
{
	const uint64_t key[2] = { seen->digest, s.n };

	seen->digest = str_hash(s, key);
}

/* The event as a frame, and read back. */
static inline void feeding_wire(const struct event *event)
{
	struct str id = event->id.n ? event->id : STR("1-0");
	size_t bound = sse_frame_bound(event, id.n), len, head;
	char *frame = malloc(bound);
	struct sse_parsed parsed;
	struct buf data;

	EXPECT(frame);
	len = sse_write_frame(frame, event, id, &head);
	EXPECT(len <= bound && head + 2 < len);
	EXPECT(strtoul(frame, NULL, 16) == len - head - 2);
	buf_init(&data, 1 << 20);
	EXPECT(sse_read_frame((struct str){ frame + head, len - head - 2 }, &parsed, &data) == 0);
	EXPECT(str_eq(parsed.id, id) && str_eq(parsed.type, event->type));
	EXPECT(parsed.retry_ms == event->retry_ms);
	EXPECT(data.n <= event->data.n);
	EXPECT(str_find(buf_str(&data), '\r') == data.n);
	EXPECT(str_find(event->data, '\r') < event->data.n || str_eq(buf_str(&data), event->data));
	buf_done(&data);
	free(frame);
}

static inline const char *feeding_take(void *context, const struct event *event)
{
	struct feeding *seen = context;

	seen->events++;
	EXPECT(event->topic_count > 0 && event->topic_count <= SSE_TOPICS_MAX);
	for (size_t i = 0; i < event->topic_count; i++)
		feeding_note(seen, event->topics[i]);
	feeding_note(seen, event->type);
	feeding_note(seen, event->id);
	feeding_note(seen, event->data);
	feeding_note(seen, (struct str){ (const char *)&event->retry_ms, sizeof(uint64_t) });
	if (!sse_check(event))
		feeding_wire(event);
	return NULL;
}

static inline int feeding_run(enum feed_format format, struct str in, size_t step,
			      struct feeding *seen, uint64_t *line)
{
	struct feed feed;
	int err = 0;

	*seen = (struct feeding){ 0 };
	feed_init(&feed, format, STR("broadcast"), FEEDING_EVENT_MAX, feeding_take, seen);
	while (!err && in.n) {
		struct str piece = { in.p, in.n < step ? in.n : step };
		char *copy = fuzz_copy(piece);

		err = feed_push(&feed, (struct str){ copy, piece.n });
		free(copy);
		in = str_from(in, piece.n);
	}
	if (!err)
		err = feed_end(&feed);
	EXPECT(!err || (feed.error && feed.error_line > 0));
	*line = feed.error_line;
	feed_done(&feed);
	return err;
}

/* The first byte is the size of the pieces of the second run. */
static inline void feeding_check(enum feed_format format, const uint8_t *bytes, size_t n)
{
	struct str in = { (const char *)bytes, n };
	size_t step = fuzz_byte(&in) % 16 + 1;
	struct feeding whole, pieces;
	uint64_t line, other_line;
	int err = feeding_run(format, in, in.n + 1, &whole, &line);

	EXPECT(err == feeding_run(format, in, step, &pieces, &other_line));
	EXPECT(line == other_line);
	EXPECT(whole.events == pieces.events && whole.digest == pieces.digest);
}

#endif
