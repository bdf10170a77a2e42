/*
 * The ring, against a plain list of what was put in: whatever is appended, evicted, or adopted in
 * between, every record that is retained is what was put in, ids are found where a search from end
 * to end finds them, and what is gone is the oldest.
 */
#include "ringing.h"

#include <errno.h>
#include <unistd.h>

enum { PUTS_MAX = 400, TOPICS_MAX = 4, FILLER = 1 << 15, NOW_MS = 1000000 };

struct put {
	struct eventid place;
	struct str id; /* empty: made from its place */
	bool is_own, is_private;
	struct str topics[TOPICS_MAX];
	size_t topic_count, size;
	uint64_t retry_ms;
};

struct trial {
	struct ring ring;
	struct put puts[PUTS_MAX];
	uint64_t count;
	uint64_t now_ms;
};

static char filler[FILLER];

/* --- what must be true --- */

static void expect_put(const struct ring *ring, const struct record *record, const struct put *put)
{
	char made[EVENTID_TEXT_MAX];
	struct str id = put->id, topic;
	struct sse_parsed parsed;
	struct buf data;
	uint32_t at = 0;

	if (id.n == 0)
		id = (struct str){ made, eventid_write(made, put->place) };
	buf_init(&data, 1 << 20);
	EXPECT(sse_read_frame(ring_event(ring, record), &parsed, &data) == 0);
	EXPECT(eventid_cmp(record->id, put->place) == 0);
	EXPECT(str_eq(parsed.id, id) && str_eq(ring_id_text(ring, record), id));
	EXPECT(parsed.type.n == 0 && parsed.retry_ms == put->retry_ms);
	EXPECT(str_eq(buf_str(&data), (struct str){ filler, put->size }));
	EXPECT(record->topic_count == put->topic_count);
	for (size_t i = 0; i < put->topic_count; i++)
		EXPECT(ring_next_topic(ring, record, &at, &topic) && str_eq(topic, put->topics[i]));
	EXPECT(record->topic_hash == ring_hash(ring, put->topics[0]));
	EXPECT(record->flags ==
	       ((put->is_private ? RECORD_PRIVATE : 0) | (put->is_own ? RECORD_OWN_ID : 0)));
	buf_done(&data);
}

/* From end to end: the oldest that has the id. */
static void expect_found(const struct trial *trial, struct str id)
{
	uint64_t n = trial->ring.header->first, found;

	while (n < trial->count && !(trial->puts[n].is_own && str_eq(trial->puts[n].id, id)))
		n++;
	EXPECT(ring_find_own_id(&trial->ring, id, &found) == (n < trial->count));
	EXPECT(n == trial->count || found == n);
}

static void expect_all(const struct trial *trial)
{
	const struct ring_header *header = trial->ring.header;

	ringing_header(&trial->ring);
	ringing_records(&trial->ring);
	EXPECT(header->next == trial->count && header->evicted == header->first);
	for (uint64_t n = header->first; n < header->next; n++)
		expect_put(&trial->ring, ring_record(&trial->ring, n), &trial->puts[n]);
	if (header->first > 0)
		EXPECT(eventid_cmp(header->floor, trial->puts[header->first - 1].place) == 0);
	else
		EXPECT(header->floor.ms == NOW_MS && header->floor.seq == 0);
}

/* --- what is done --- */

/* An event whose sizes, id and topics the bytes choose. */
static struct put choose(struct str *in, unsigned kind, unsigned size)
{
	struct put put = { .topic_count = kind % TOPICS_MAX + 1,
			   .retry_ms = kind & 4 ? 10 : SSE_NO_RETRY,
			   .size = (size_t)size * (kind & 8 ? 64 : 3),
			   .is_private = size & 1 };
	size_t id_len;

	for (size_t i = 0; i < put.topic_count; i++)
		put.topics[i] = (struct str){ filler, fuzz_byte(in) % 255 + 1 };
	if (!(kind & 16))
		return put;
	id_len = fuzz_byte(in) % 24;
	if (id_len > in->n)
		id_len = in->n;
	put.id = (struct str){ in->p, id_len };
	*in = str_from(*in, id_len);
	return put;
}

/* Why it may not be appended, or 0: then there may only be no room. */
static int why_not(const struct trial *trial, const struct event *event)
{
	size_t id_len = event->id.n ? event->id.n : EVENTID_TEXT_MAX;
	struct eventid id;

	if (eventid_parse(event->id, &id)) {
		if (eventid_cmp(id, trial->ring.header->last) <= 0)
			return -EEXIST;
		if (id.ms > trial->now_ms && id.ms - trial->now_ms > RING_ID_AHEAD_MS)
			return -ERANGE;
	}
	return sse_frame_bound(event, id_len) > RING_BYTES_MIN / 4 + EVENTID_TEXT_MAX ? -EMSGSIZE
										      : 0;
}

static void append(struct trial *trial, struct put put)
{
	struct event event = { .topics = put.topics,
			       .topic_count = put.topic_count,
			       .data = { filler, put.size },
			       .id = put.id,
			       .retry_ms = put.retry_ms,
			       .is_private = put.is_private };
	struct eventid id, last = trial->ring.header->last;
	bool is_free = trial->ring.header->flushed == trial->ring.header->next;
	uint64_t number;
	int why, err;

	if (sse_check(&event))
		return;
	why = why_not(trial, &event);
	err = ring_append(&trial->ring, &event, trial->now_ms, &number);
	if (err) {
		EXPECT(err == why || (err == -EAGAIN && !is_free) ||
		       (err == -EMSGSIZE && put.size > RING_BYTES_MIN / 4 - 1000));
		return;
	}
	EXPECT(why == 0 && number == trial->count);
	put.is_own = put.id.n && !eventid_parse(put.id, &id);
	put.place = ring_record(&trial->ring, number)->id;
	EXPECT(eventid_cmp(put.place, last) > 0);
	EXPECT(put.is_own || put.id.n == 0 || eventid_cmp(put.place, id) == 0);
	EXPECT(put.place.ms >= trial->now_ms || put.id.n);
	trial->puts[trial->count++] = put;
	if (put.id.n)
		expect_found(trial, put.id);
}

/* The process ends here, and another one goes on. */
static void pass_on(struct trial *trial)
{
	struct ring_header before = *trial->ring.header;
	int fd = dup(trial->ring.fd);

	ring_done(&trial->ring);
	EXPECT(ring_adopt(&trial->ring, fd) == 0 && ring_repair(&trial->ring) == 0);
	EXPECT(memcmp(&before, trial->ring.header, sizeof(before)) == 0);
}

int FUZZ_TARGET(ring)(const uint8_t *bytes, size_t n)
{
	struct str in = { (const char *)bytes, n };
	static struct trial trial;

	memset(filler, 'x', sizeof(filler));
	trial.count = 0;
	trial.now_ms = NOW_MS;
	EXPECT(ring_init(&trial.ring, RING_BYTES_MIN, trial.now_ms) == 0);
	while (in.n && trial.count < PUTS_MAX) {
		unsigned kind = fuzz_byte(&in), size = fuzz_byte(&in);

		trial.now_ms = kind & 32 ? trial.now_ms - size : trial.now_ms + size;
		if (kind & 128 && size % 8 == 0)
			pass_on(&trial);
		append(&trial, choose(&in, kind, size));
		if (kind & 64)
			ring_flushed(&trial.ring);
		ringing_header(&trial.ring);
	}
	expect_all(&trial);
	ring_done(&trial.ring);
	return 0;
}
