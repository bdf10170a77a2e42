/* The ring: whatever is appended, its invariants hold and every record is what was put in. */
#include "fuzz.h"

#include <errno.h>

#include "ring.h"

static void expect_sound(const struct ring *ring)
{
	const struct ring_header *header = ring->header;

	EXPECT(header->first <= header->flushed && header->flushed <= header->next);
	EXPECT(header->next - header->first <= header->slots);
	EXPECT(header->tail <= header->head && header->head - header->tail <= header->data_size);
	EXPECT(header->names_head - header->names_tail <= header->names_size);
	EXPECT(eventid_cmp(header->floor, header->last) <= 0);
}

/* All that is retained, from the first record to the last. */
static void expect_records(const struct ring *ring)
{
	const struct ring_header *header = ring->header;
	uint64_t pos = header->tail;
	struct eventid last = header->floor;

	for (uint64_t n = header->first; n < header->next; n++) {
		const struct record *record = ring_record(ring, n);
		struct sse_parsed parsed;
		struct buf data;

		EXPECT(record->pos == pos && eventid_cmp(record->id, last) > 0);
		pos += record->len;
		last = record->id;
		buf_init(&data, 1 << 20);
		EXPECT(sse_read_frame(ring_event(ring, record), &parsed, &data) == 0);
		EXPECT(str_eq(parsed.id, ring_id_text(ring, record)));
		buf_done(&data);
		EXPECT(ring_after(ring, record->id) == n + 1);
	}
	EXPECT(pos == header->head);
	EXPECT(header->next == header->first || eventid_cmp(last, header->last) == 0);
}

/* An event whose sizes, id and topics the bytes choose. */
static void append_one(struct ring *ring, struct str *in, uint64_t *now_ms)
{
	static char filler[1 << 15];
	struct str topics[4], id_text;
	unsigned kind = fuzz_byte(in), size = fuzz_byte(in);
	struct event event = { .topics = topics,
			       .topic_count = kind % 4 + 1,
			       .retry_ms = kind & 4 ? 10 : SSE_NO_RETRY };
	uint64_t number, found;
	int err;

	if (!filler[0])
		memset(filler, 'x', sizeof(filler));
	event.data = (struct str){ filler, (size_t)size * (kind & 8 ? 120 : 3) };
	for (size_t i = 0; i < event.topic_count; i++)
		topics[i] = (struct str){ filler, fuzz_byte(in) % 255 + 1 };
	id_text = (struct str){ in->p, fuzz_byte(in) % 24 };
	if (kind & 16 && id_text.n <= in->n)
		event.id = id_text;
	*now_ms += kind & 32 ? 0 : size;
	if (sse_check(&event))
		return;
	err = ring_append(ring, &event, *now_ms, &number);
	EXPECT(!err || err == -EEXIST || err == -ERANGE || err == -EAGAIN || err == -EMSGSIZE);
	if (err || ring_record(ring, number)->flags & RECORD_OWN_ID) {
		ring_flushed(ring);
		if (!err)
			EXPECT(ring_find_own_id(ring, event.id, &found) && found <= number);
	}
	if (kind & 64)
		ring_flushed(ring);
}

int FUZZ_TARGET(ring)(const uint8_t *bytes, size_t n)
{
	struct str in = { (const char *)bytes, n };
	uint64_t now_ms = 1000000;
	struct ring ring;

	EXPECT(ring_init(&ring, RING_BYTES_MIN, now_ms) == 0);
	while (in.n) {
		append_one(&ring, &in, &now_ms);
		expect_sound(&ring);
	}
	expect_records(&ring);
	ring_done(&ring);
	return 0;
}
