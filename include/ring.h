/*
 * ring: the bounded log of the newest records; the only place where events live.
 *
 * Everything is in one memfd, free of pointers, so that another process can adopt it:
 *
 *	header | index of records | buckets | names | frames
 *
 * Frames lie back to back; their region, and that of the names, is mapped twice in a row, so that
 * every run of bytes is contiguous in memory wherever it wraps. Positions are 64-bit and only grow
 * (offset = position % size). Records are numbered from 0 and only grow, too: record n stands in
 * slot n % slots of the index.
 *
 * Invariant: first <= flushed <= next; records first … next-1 are retained, those from flushed on
 * have not been offered to live subscribers yet. Appending evicts whole records from the first on,
 * never one that is not flushed. The floor is the newest id that is no longer there: who has it, or
 * a later one, can be given every later event.
 */
#ifndef RING_H
#define RING_H

#include "eventid.h"
#include "sse.h"

enum {
	RING_BYTES_MIN = 65536,
	RING_DOUBLES_MAX = 1024, /* records with the same own id, of which the oldest is found */
};

/* A day: an id from the far future would leave no room for those that follow it. */
#define RING_ID_AHEAD_MS 86400000u

enum record_flag {
	RECORD_PRIVATE = 1 << 0, /* only for subscribers authorised for one of its topics */
	RECORD_OWN_ID = 1 << 1,  /* its id is the publisher's text, not the daemon's shape */
	RECORD_SYSTEM = 1 << 2,  /* its topic begins with '$': "*" does not ask for it */
};

/* A frame's header. One cache line. */
struct record {
	struct eventid id;   /* place in time; also the id on the wire, unless RECORD_OWN_ID */
	uint64_t pos;        /* of the frame's first byte */
	uint64_t names_pos;  /* of the topics: each a u16 length and its bytes */
	uint64_t older;      /* RECORD_OWN_ID: an older record in the same bucket, or ~0 */
	uint64_t topic_hash; /* of the first topic: ring_hash() */
	uint32_t len;        /* bytes of the frame */
	uint32_t names_len;
	uint32_t sum; /* checksum over this record (sum 0), its names and its frame */
	uint16_t topic_count;
	uint8_t chunk_head; /* bytes of the frame before the event: the chunk's size line */
	uint8_t flags;
};

/* The bytes that follow the event in a frame: the chunk's CRLF. */
enum { RECORD_CHUNK_END = 2 };

/* What is shared with the next process: the first page of the memfd. */
struct ring_header {
	char magic[8];
	uint64_t version;
	uint64_t slots;      /* of the index, and buckets: a power of two */
	uint64_t names_size; /* bytes, whole pages */
	uint64_t data_size;  /* bytes, whole pages */
	uint64_t hash_key[2];
	uint64_t first, flushed, next;   /* record numbers */
	uint64_t tail, head;             /* positions of frames */
	uint64_t names_tail, names_head; /* positions of names */
	struct eventid last;             /* the newest id ever given out */
	struct eventid floor;            /* the newest id that is no longer there */
	uint64_t evicted;                /* records, since the ring was made */
};

struct ring {
	int fd; /* the memfd */
	struct ring_header *header;
	struct record *index;
	uint64_t *buckets;
	char *names;
	char *data;
	size_t mapped; /* bytes of header, index and buckets */
};

/*
 * A new ring with room for data_bytes of frames (at least RING_BYTES_MIN, rounded up to whole
 * pages), whose last id and floor stand at now_ms. 0 or -errno.
 */
int ring_init(struct ring *ring, uint64_t data_bytes, uint64_t now_ms);

/*
 * Goes on with the ring of an earlier process: takes fd, also when it fails. 0; -EINVAL for what is
 * no ring of this version, or one whose sizes do not fit; or -errno.
 */
int ring_adopt(struct ring *ring, int fd);

/*
 * After an adoption from a process that may have died between any two instructions: checks every
 * record, and puts right what the header and the buckets say of them. 0, or -EBADMSG for a ring
 * that nobody may use.
 */
int ring_repair(struct ring *ring);

void ring_done(struct ring *ring);

/* Bytes of memory that a ring for so many bytes of frames takes when it is full. */
uint64_t ring_bytes(uint64_t data_bytes);

/* The largest frame that the ring takes, in bytes; a quarter of it. */
uint64_t ring_frame_max(const struct ring *ring);

/*
 * Appends a checked event as a record. An id of the daemon's own shape must be larger than the last
 * one, and at most RING_ID_AHEAD_MS ahead of now_ms; with no id, the next one at now_ms is made.
 * Returns 0 with *record, -EEXIST for an id that is not larger, -ERANGE for one too far ahead,
 * -EMSGSIZE for an event that is larger than ring_frame_max(), or -EAGAIN if a record would have to
 * go that is not flushed: flush, and try again.
 */
int ring_append(struct ring *ring, const struct event *event, uint64_t now_ms, uint64_t *record);

/* Marks everything appended so far as flushed. */
void ring_flushed(struct ring *ring);

/* Record n, which is retained. */
const struct record *ring_record(const struct ring *ring, uint64_t n);

/* Its frame: chunk head, event, CRLF. Frames of neighbouring records are contiguous in memory. */
struct str ring_frame(const struct ring *ring, const struct record *record);

/* The event inside the frame: `id: …` to the empty line, without the chunk's head and end. */
struct str ring_event(const struct ring *ring, const struct record *record);

/* The id as it is on the wire; borrows from the frame. */
struct str ring_id_text(const struct ring *ring, const struct record *record);

/* Its topics: *at begins as 0; false at the end. */
bool ring_next_topic(const struct ring *ring, const struct record *record, uint32_t *at,
		     struct str *topic);

/* Bytes of frames from record n (first <= n <= next) to the flushed head. */
uint64_t ring_lag(const struct ring *ring, uint64_t n);

/* The id of the newest flushed record; the floor where there is none. */
struct eventid ring_flushed_id(const struct ring *ring);

/* The hash under which topics are kept, here and in the table of topics. */
uint64_t ring_hash(const struct ring *ring, struct str topic);

/* The first retained record with an id larger than id; next if there is none. */
uint64_t ring_after(const struct ring *ring, struct eventid id);

/*
 * The oldest retained record that its publisher gave this id: true with its number. Costs the same
 * however much is retained; an id that more than RING_DOUBLES_MAX records have is not found.
 */
bool ring_find_own_id(const struct ring *ring, struct str id, uint64_t *record);

#endif
