/* ringing: what holds of every ring, whatever was put in and whoever has adopted it. */
#ifndef RINGING_H
#define RINGING_H

#include "fuzz.h"
#include "ring.h"

static inline void ringing_header(const struct ring *ring)
{
	const struct ring_header *header = ring->header;

	EXPECT(header->first <= header->flushed && header->flushed <= header->next);
	EXPECT(header->next - header->first <= header->slots);
	EXPECT(header->tail <= header->head && header->head - header->tail <= header->data_size);
	EXPECT(header->names_tail <= header->names_head);
	EXPECT(header->names_head - header->names_tail <= header->names_size);
	EXPECT(eventid_cmp(header->floor, header->last) <= 0);
}

/* All that is retained lies back to back, in the order of its ids, and can be read. */
static inline void ringing_records(const struct ring *ring)
{
	const struct ring_header *header = ring->header;
	uint64_t pos = header->tail, names_pos = header->names_tail;
	struct eventid last = header->floor;

	for (uint64_t n = header->first; n < header->next; n++) {
		const struct record *record = ring_record(ring, n);
		struct str frame = ring_frame(ring, record), topic;
		uint32_t at = 0, topics = 0;

		EXPECT(record->pos == pos && record->names_pos == names_pos);
		/* The first may be the floor, where a process died while it evicted it. */
		EXPECT(eventid_cmp(record->id, last) >= (n > header->first));
		pos += record->len;
		names_pos += record->names_len;
		last = record->id;
		ring_hash(ring, frame); /* reads it */
		for (; ring_next_topic(ring, record, &at, &topic); topics++)
			ring_hash(ring, topic);
		EXPECT(topics == record->topic_count && at == record->names_len);
		EXPECT(ring_event(ring, record).n < frame.n);
		EXPECT(ring_id_text(ring, record).n <= frame.n);
		EXPECT(ring_after(ring, record->id) == n + 1);
	}
	EXPECT(pos == header->head && names_pos == header->names_head);
	EXPECT(eventid_cmp(last, header->last) <= 0);
}

#endif
