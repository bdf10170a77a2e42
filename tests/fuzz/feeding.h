/*
 * feeding: what the two targets of the feed share: the events of a flow do not depend on the pieces
 * in which it comes, nor on upgrades between them, and each event that may be published survives
 * the wire.
 */
#ifndef FEEDING_H
#define FEEDING_H

#include "feed.h"
#include "fuzz.h"

enum { FEEDING_EVENT_MAX = 4096 };

/* What a feed has handed over: a digest that two runs have to agree on. */
struct feeding {
	uint64_t digest;
	unsigned events, complaints;
	bool skips; /* what is wrong is left out; else it is the end */
};

static inline void feeding_note(struct feeding *seen, struct str s)
{
	const uint64_t key[2] = { seen->digest, s.n };

	seen->digest = str_hash(s, key);
}

/* Data as it arrives: its line ends are LF. */
static inline void feeding_lines(struct str data, struct buf *out)
{
	for (size_t i = 0; i < data.n; i++) {
		bool is_second = i > 0 && data.p[i] == '\n' && data.p[i - 1] == '\r';

		if (!is_second)
			buf_add_char(out, data.p[i] == '\r' ? '\n' : data.p[i]);
	}
}

/* The event as a frame, and read back. */
static inline void feeding_wire(const struct event *event)
{
	struct str id = event->id.n ? event->id : STR("1-0");
	size_t bound = sse_frame_bound(event, id.n), len, head;
	char *frame = malloc(bound);
	struct sse_parsed parsed;
	struct buf data, lines;

	EXPECT(frame);
	len = sse_write_frame(frame, event, id, &head);
	EXPECT(len <= bound && head + 2 < len);
	EXPECT(strtoul(frame, NULL, 16) == len - head - 2);
	buf_init(&data, 1 << 20);
	EXPECT(sse_read_frame((struct str){ frame + head, len - head - 2 }, &parsed, &data) == 0);
	EXPECT(str_eq(parsed.id, id) && str_eq(parsed.type, event->type));
	EXPECT(parsed.retry_ms == event->retry_ms);
	buf_init(&lines, 1 << 20);
	feeding_lines(event->data, &lines);
	EXPECT(str_eq(buf_str(&data), buf_str(&lines)));
	buf_done(&lines);
	buf_done(&data);
	free(frame);
}

static inline void feeding_event(struct feeding *seen, const struct event *event)
{
	seen->events++;
	for (size_t i = 0; i < event->topic_count; i++)
		feeding_note(seen, event->topics[i]);
	feeding_note(seen, event->type);
	feeding_note(seen, event->id);
	feeding_note(seen, event->data);
	feeding_note(seen, (struct str){ (const char *)&event->retry_ms, sizeof(uint64_t) });
}

static inline const char *feeding_take(void *context, const struct event *event)
{
	const char *why;

	EXPECT(event->topic_count > 0 && event->topic_count <= SSE_TOPICS_MAX);
	feeding_event(context, event);
	why = sse_check(event);
	if (!why)
		feeding_wire(event);
	return why;
}

static inline void feeding_complain(void *context, const char *why)
{
	struct feeding *seen = context;

	EXPECT(why);
	seen->complaints++;
	feeding_note(seen, str_of(why));
}

static inline void feeding_begin(struct feed *feed, enum feed_format format, struct feeding *seen)
{
	feed_init(feed, format, STR("broadcast"), FEEDING_EVENT_MAX, feeding_take, seen);
	feed->complain = seen->skips ? feeding_complain : NULL;
}

/* Another process goes on with the feed. */
static inline void feeding_cross(struct feed *feed, struct feeding *seen)
{
	enum feed_format format = feed->format;
	struct unpack in;
	struct buf packed;

	buf_init(&packed, 1 << 20);
	feed_pack(feed, &packed);
	feed_done(feed);
	feeding_begin(feed, format, seen);
	in = (struct unpack){ .rest = buf_str(&packed) };
	EXPECT(feed_unpack(feed, &in) == 0 && in.rest.n == 0);
	buf_done(&packed);
}

/* In pieces of step bytes, with an upgrade after each, or not. */
static inline int feeding_run(enum feed_format format, struct str in, size_t step, bool crosses,
			      struct feeding *seen, uint64_t *line)
{
	struct feed feed;
	int err = 0;

	*seen = (struct feeding){ .skips = seen->skips };
	feeding_begin(&feed, format, seen);
	while (!err && in.n) {
		struct str piece = { in.p, in.n < step ? in.n : step };
		char *copy = fuzz_copy(piece);

		err = feed_push(&feed, (struct str){ copy, piece.n });
		free(copy);
		in = str_from(in, piece.n);
		if (crosses && !err)
			feeding_cross(&feed, seen);
	}
	if (!err)
		err = feed_end(&feed);
	EXPECT(!err || (feed.error && feed.error_line > 0));
	*line = feed.error_line;
	feed_done(&feed);
	return err;
}

/* What another reader has found must be what the feed finds, as far as the feed went. */
typedef void feeding_reader(struct str in, unsigned events_max, struct feeding *seen);

/* From end to end, and in pieces with an upgrade after each, or not. */
static inline int feeding_twice(enum feed_format format, struct str in, unsigned how,
				struct feeding *whole)
{
	struct feeding pieces = { .skips = whole->skips };
	uint64_t line, other_line;
	int err = feeding_run(format, in, in.n + 1, false, whole, &line);

	EXPECT(err == feeding_run(format, in, how % 16 + 1, how & 16, &pieces, &other_line));
	EXPECT(line == other_line);
	EXPECT(whole->events == pieces.events && whole->digest == pieces.digest);
	EXPECT(whole->complaints == pieces.complaints);
	return err;
}

/* The first byte is the size of the pieces of the second run. */
static inline void feeding_check(enum feed_format format, const uint8_t *bytes, size_t n,
				 feeding_reader *reader)
{
	struct str in = { (const char *)bytes, n };
	unsigned how = fuzz_byte(&in);
	struct feeding whole = { 0 }, skipping = { .skips = true }, read = { 0 };
	int err = feeding_twice(format, in, how, &whole);

	/* The same until the first complaint, and then on. */
	EXPECT(feeding_twice(format, in, how, &skipping) == 0);
	EXPECT((err != 0) == (skipping.complaints > 0) && skipping.events >= whole.events);
	EXPECT(err || skipping.digest == whole.digest);
	if (!reader)
		return;
	reader(in, err ? whole.events : UINT32_MAX, &read);
	EXPECT(whole.events == read.events && whole.digest == read.digest);
}

#endif
