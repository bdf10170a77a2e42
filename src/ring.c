/*
 * ring: the log of the newest records, in one memfd. See ring.h for its shape and invariant.
 *
 * A process may die between any two instructions here, and the next one adopts what it finds. So
 * the order of stores matters: a record is evicted (floor, then first) before its bytes are
 * overwritten, and complete before next counts it.
 */
#include "ring.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	RING_VERSION = 1,
	PAGE = 4096,
	FRAME_BYTES_TYPICAL = 256, /* one slot of the index for so many bytes of frames */
	SLOTS_MIN = 1024,
	NAMES_SHARE = 8,     /* names get this part of what the frames get, */
	NAMES_MIN = 1 << 20, /* but room for several records with the most topics */
	FRAME_MAX_SHARE = 4, /* a frame may fill this part of the ring */
	OWN_ID_PREFIX = sizeof("id: ") - 1,
};

#define DATA_MAX  ((uint64_t)1 << 40)
#define NO_RECORD UINT64_MAX
/* Numbers, positions and ids from there on are damage: no ring lives to see them. */
#define GROWN_MAX ((uint64_t)1 << 62)

static const char MAGIC[8] = { 's', 's', 'e', 'r', 'i', 'n', 'g', '1' };

_Static_assert(sizeof(struct record) == 64, "a record is one cache line");
_Static_assert(sizeof(struct ring_header) <= PAGE, "the header is one page");

static uint64_t whole_pages(uint64_t bytes)
{
	return (bytes + PAGE - 1) / PAGE * PAGE;
}

/* Bytes of the memfd before the names: header, index, buckets. */
static uint64_t tables_size(uint64_t slots)
{
	return PAGE + whole_pages(slots * sizeof(struct record)) +
	       whole_pages(slots * sizeof(uint64_t));
}

/* Maps size bytes of fd at offset twice in a row. NULL on failure, with errno set. */
static char *map_twice(int fd, uint64_t offset, uint64_t size)
{
	char *at = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	for (int i = 0; i < 2; i++) {
		if (mmap(at + (uint64_t)i * size, size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd, (off_t)offset) != MAP_FAILED)
			continue;
		int err = errno;

		munmap(at, 2 * size);
		errno = err;
		return NULL;
	}
	return at;
}

/* Maps the memfd, whose geometry is known to fit its size. 0 or -errno. */
static int map_all(struct ring *ring, uint64_t slots, uint64_t names_size, uint64_t data_size)
{
	uint64_t tables = tables_size(slots);
	char *base = mmap(NULL, tables, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);

	if (base == MAP_FAILED)
		return -errno;
	ring->mapped = tables;
	ring->header = (struct ring_header *)(void *)base;
	ring->index = (struct record *)(void *)(base + PAGE);
	ring->buckets =
		(uint64_t *)(void *)(base + PAGE + whole_pages(slots * sizeof(struct record)));
	ring->names = map_twice(ring->fd, tables, names_size);
	if (!ring->names)
		return -errno;
	ring->data = map_twice(ring->fd, tables + names_size, data_size);
	return ring->data ? 0 : -errno;
}

static uint64_t slots_for(uint64_t data_size)
{
	uint64_t slots = SLOTS_MIN;

	while (slots < data_size / FRAME_BYTES_TYPICAL)
		slots *= 2;
	return slots;
}

static uint64_t data_for(uint64_t data_bytes)
{
	return whole_pages(data_bytes < RING_BYTES_MIN ? RING_BYTES_MIN : data_bytes);
}

static uint64_t names_for(uint64_t data_size)
{
	return data_size / NAMES_SHARE < NAMES_MIN ? NAMES_MIN
						   : whole_pages(data_size / NAMES_SHARE);
}

uint64_t ring_bytes(uint64_t data_bytes)
{
	uint64_t data = data_for(data_bytes);

	return tables_size(slots_for(data)) + names_for(data) + data;
}

int ring_init(struct ring *ring, uint64_t data_bytes, uint64_t now_ms)
{
	uint64_t data = data_for(data_bytes), names = names_for(data);
	uint64_t slots = slots_for(data), key[2];
	int err;

	*ring = (struct ring){ .fd = -1 };
	if (data > DATA_MAX)
		return -ENOMEM;
	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		return -EIO;
	ring->fd = memfd_create("ssecast-ring", MFD_CLOEXEC);
	if (ring->fd < 0)
		return -errno;
	err = ftruncate(ring->fd, (off_t)(tables_size(slots) + names + data)) < 0 ? -errno : 0;
	if (!err)
		err = map_all(ring, slots, names, data);
	if (err) {
		ring_done(ring);
		return err;
	}
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a failure has an errno */
	*ring->header = (struct ring_header){ .version = RING_VERSION,
					      .slots = slots,
					      .names_size = names,
					      .data_size = data,
					      .hash_key = { key[0], key[1] },
					      .last = { now_ms, 0 },
					      .floor = { now_ms, 0 } };
	memset(ring->buckets, 0xff, slots * sizeof(uint64_t));
	memcpy(ring->header->magic, MAGIC, sizeof(MAGIC));
	return 0;
}

/* Whether the sizes in the header are some that ring_init() makes, and fill a file of size bytes.
 */
static bool has_geometry(const struct ring_header *header, uint64_t size)
{
	uint64_t slots = header->slots, names = header->names_size, data = header->data_size;

	if (memcmp(header->magic, MAGIC, sizeof(MAGIC)) != 0 || header->version != RING_VERSION)
		return false;
	if (slots < SLOTS_MIN || slots > DATA_MAX / FRAME_BYTES_TYPICAL || (slots & (slots - 1)))
		return false;
	if (names < NAMES_MIN || names > DATA_MAX || data < RING_BYTES_MIN || data > DATA_MAX)
		return false;
	return names % PAGE == 0 && data % PAGE == 0 && tables_size(slots) + names + data == size;
}

static bool has_order(const struct ring_header *header)
{
	return header->first <= header->flushed && header->flushed <= header->next &&
	       header->next - header->first <= header->slots && header->tail <= header->head &&
	       header->head - header->tail <= header->data_size &&
	       header->names_tail <= header->names_head &&
	       header->names_head - header->names_tail <= header->names_size &&
	       header->next < GROWN_MAX && header->head < GROWN_MAX &&
	       header->names_head < GROWN_MAX && header->last.ms < GROWN_MAX;
}

int ring_adopt(struct ring *ring, int fd)
{
	struct ring_header header;
	struct stat st;
	int err = 0;

	*ring = (struct ring){ .fd = fd };
	if (fstat(fd, &st) < 0 ||
	    pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
	    !has_geometry(&header, (uint64_t)st.st_size) || !has_order(&header))
		err = -EINVAL;
	if (!err)
		err = map_all(ring, header.slots, header.names_size, header.data_size);
	if (err)
		ring_done(ring);
	return err;
}

void ring_done(struct ring *ring)
{
	if (ring->data)
		munmap(ring->data, 2 * ring->header->data_size);
	if (ring->names)
		munmap(ring->names, 2 * ring->header->names_size);
	if (ring->header)
		munmap(ring->header, ring->mapped);
	if (ring->fd >= 0)
		close(ring->fd);
	*ring = (struct ring){ .fd = -1 };
}

uint64_t ring_frame_max(const struct ring *ring)
{
	return ring->header->data_size / FRAME_MAX_SHARE;
}

static struct record *slot_of(const struct ring *ring, uint64_t n)
{
	return &ring->index[n & (ring->header->slots - 1)];
}

const struct record *ring_record(const struct ring *ring, uint64_t n)
{
	assert(n >= ring->header->first && n < ring->header->next);
	return slot_of(ring, n);
}

struct str ring_frame(const struct ring *ring, const struct record *record)
{
	return (struct str){ ring->data + record->pos % ring->header->data_size, record->len };
}

struct str ring_event(const struct ring *ring, const struct record *record)
{
	struct str frame = ring_frame(ring, record);

	return (struct str){ frame.p + record->chunk_head,
			     frame.n - record->chunk_head - RECORD_CHUNK_END };
}

struct str ring_id_text(const struct ring *ring, const struct record *record)
{
	struct str text = str_from(ring_event(ring, record), OWN_ID_PREFIX);

	return (struct str){ text.p, str_find(text, '\n') };
}

static struct str names_of(const struct ring *ring, const struct record *record)
{
	return (struct str){ ring->names + record->names_pos % ring->header->names_size,
			     record->names_len };
}

bool ring_next_topic(const struct ring *ring, const struct record *record, uint32_t *at,
		     struct str *topic)
{
	struct str rest = str_from(names_of(ring, record), *at);
	uint16_t len;

	if (rest.n < sizeof(len))
		return false;
	memcpy(&len, rest.p, sizeof(len));
	*topic = (struct str){ rest.p + sizeof(len), len };
	*at += (uint32_t)sizeof(len) + len;
	return true;
}

uint64_t ring_lag(const struct ring *ring, uint64_t n)
{
	const struct ring_header *header = ring->header;
	uint64_t end =
		header->flushed < header->next ? slot_of(ring, header->flushed)->pos : header->head;

	return n < header->flushed ? end - slot_of(ring, n)->pos : 0;
}

struct eventid ring_flushed_id(const struct ring *ring)
{
	const struct ring_header *header = ring->header;

	return header->flushed > header->first ? slot_of(ring, header->flushed - 1)->id
					       : header->floor;
}

uint64_t ring_hash(const struct ring *ring, struct str topic)
{
	return str_hash(topic, ring->header->hash_key);
}

static uint32_t record_sum(const struct ring *ring, const struct record *record)
{
	const uint64_t *key = ring->header->hash_key;
	struct record bare = *record;
	uint64_t sum[3];

	bare.sum = 0;
	sum[0] = str_hash((struct str){ (const char *)&bare, sizeof(bare) }, key);
	sum[1] = str_hash(names_of(ring, record), key);
	sum[2] = str_hash(ring_frame(ring, record), key);
	return (uint32_t)(sum[0] ^ sum[1] << 1 ^ sum[2] << 2);
}

static void evict_first(struct ring *ring)
{
	struct ring_header *header = ring->header;
	const struct record *record = slot_of(ring, header->first);

	header->floor = record->id;
	header->tail = record->pos + record->len;
	header->names_tail = record->names_pos + record->names_len;
	header->evicted++;
	atomic_signal_fence(memory_order_seq_cst);
	header->first++;
	atomic_signal_fence(memory_order_seq_cst);
}

/* Evicts until there is room. 0, or -EAGAIN where a record that is not flushed is in the way. */
static int make_room(struct ring *ring, uint64_t frame_bytes, uint64_t names_bytes)
{
	struct ring_header *header = ring->header;

	while (header->next - header->first == header->slots ||
	       header->head - header->tail + frame_bytes > header->data_size ||
	       header->names_head - header->names_tail + names_bytes > header->names_size) {
		if (header->first == header->flushed)
			return -EAGAIN;
		evict_first(ring);
	}
	return 0;
}

static uint64_t names_bytes_of(const struct event *event)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < event->topic_count; i++)
		bytes += sizeof(uint16_t) + event->topics[i].n;
	return bytes;
}

static void write_names(struct ring *ring, const struct event *event)
{
	char *out = ring->names + ring->header->names_head % ring->header->names_size;

	for (size_t i = 0; i < event->topic_count; i++) {
		uint16_t len = (uint16_t)event->topics[i].n;

		memcpy(out, &len, sizeof(len));
		memcpy(out + sizeof(len), event->topics[i].p, len);
		out += sizeof(len) + len;
	}
}

static uint64_t *bucket_of(const struct ring *ring, struct str id)
{
	return &ring->buckets[ring_hash(ring, id) & (ring->header->slots - 1)];
}

/* The record's place in time; marks where the publisher chose a text of its own. */
static int choose_id(const struct ring *ring, const struct event *event, uint64_t now_ms,
		     struct record *record)
{
	struct eventid last = ring->header->last, chosen;

	record->id = eventid_next(last, now_ms);
	if (event->id.n == 0)
		return 0;
	if (!eventid_parse(event->id, &chosen)) {
		record->flags |= RECORD_OWN_ID;
		return 0;
	}
	if (eventid_cmp(chosen, last) <= 0)
		return -EEXIST;
	if (chosen.ms > now_ms && chosen.ms - now_ms > RING_ID_AHEAD_MS)
		return -ERANGE;
	record->id = chosen;
	return 0;
}

int ring_append(struct ring *ring, const struct event *event, uint64_t now_ms, uint64_t *number)
{
	struct ring_header *header = ring->header;
	struct record record = { .older = NO_RECORD, .topic_count = (uint16_t)event->topic_count };
	uint64_t names = names_bytes_of(event), bound;
	char made[EVENTID_TEXT_MAX];
	struct str id = event->id;
	size_t chunk_head;
	int err = choose_id(ring, event, now_ms, &record);

	if (err)
		return err;
	if (id.n == 0)
		id = (struct str){ made, eventid_write(made, record.id) };
	bound = sse_frame_bound(event, id.n);
	if (bound > ring_frame_max(ring) || names > header->names_size)
		return -EMSGSIZE;
	err = make_room(ring, bound, names);
	if (err)
		return err;

	record.pos = header->head;
	record.names_pos = header->names_head;
	record.names_len = (uint32_t)names;
	record.topic_hash = ring_hash(ring, event->topics[0]);
	if (event->is_private)
		record.flags |= RECORD_PRIVATE;
	if (event->topics[0].p[0] == '$')
		record.flags |= RECORD_SYSTEM;
	write_names(ring, event);
	record.len = (uint32_t)sse_write_frame(ring->data + header->head % header->data_size, event,
					       id, &chunk_head);
	record.chunk_head = (uint8_t)chunk_head;
	if (record.flags & RECORD_OWN_ID)
		record.older = *bucket_of(ring, id);
	record.sum = record_sum(ring, &record);

	*number = header->next;
	*slot_of(ring, *number) = record;
	atomic_signal_fence(memory_order_seq_cst);
	if (record.flags & RECORD_OWN_ID)
		*bucket_of(ring, id) = *number;
	header->last = record.id;
	header->names_head += names;
	header->head += record.len;
	atomic_signal_fence(memory_order_seq_cst);
	header->next++;
	return 0;
}

void ring_flushed(struct ring *ring)
{
	ring->header->flushed = ring->header->next;
}

uint64_t ring_after(const struct ring *ring, struct eventid id)
{
	uint64_t low = ring->header->first, high = ring->header->next;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (eventid_cmp(slot_of(ring, middle)->id, id) > 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

bool ring_find_own_id(const struct ring *ring, struct str id, uint64_t *number)
{
	uint64_t n = *bucket_of(ring, id);
	unsigned looks = 0;
	bool found = false;

	/* From the newest to the oldest of the bucket; what has been evicted ends the chain. */
	while (n != NO_RECORD && n >= ring->header->first && n < ring->header->next) {
		const struct record *record = slot_of(ring, n);

		if (++looks > RING_DOUBLES_MAX)
			return false;
		if (str_eq(ring_id_text(ring, record), id)) {
			*number = n;
			found = true;
		}
		if (record->older >= n)
			break;
		n = record->older;
	}
	return found;
}

/* Whether the record's names are its topics, one behind the other, and nothing else. */
static bool has_topics(const struct ring *ring, const struct record *record)
{
	uint32_t at = 0, count = 0;
	struct str topic;

	while (ring_next_topic(ring, record, &at, &topic)) {
		count++;
		if (topic.n == 0 || at > record->names_len)
			return false;
	}
	return at == record->names_len && count == record->topic_count && count > 0;
}

/* Whether record n is whole, and lies where the one before it ended. */
static bool is_sound(const struct ring *ring, uint64_t n, uint64_t pos, uint64_t names_pos)
{
	const struct record *record = slot_of(ring, n);

	return record->pos == pos && record->names_pos == names_pos &&
	       record->len <= ring_frame_max(ring) &&
	       record->names_len <= ring->header->names_size &&
	       (uint32_t)record->chunk_head + OWN_ID_PREFIX + RECORD_CHUNK_END < record->len &&
	       record->sum == record_sum(ring, record) && has_topics(ring, record);
}

int ring_repair(struct ring *ring)
{
	struct ring_header *header = ring->header;
	uint64_t first = header->first, next = header->next;
	struct eventid newest = header->floor;
	uint64_t pos, names_pos;

	if (first == next) {
		header->tail = header->head;
		header->names_tail = header->names_head;
	}
	pos = first < next ? slot_of(ring, first)->pos : header->head;
	names_pos = first < next ? slot_of(ring, first)->names_pos : header->names_head;
	header->tail = pos;
	header->names_tail = names_pos;
	memset(ring->buckets, 0xff, header->slots * sizeof(uint64_t));
	for (uint64_t n = first; n < next; n++) {
		const struct record *record = slot_of(ring, n);

		/* The first may be the floor: a death in the middle of its eviction. */
		if (!is_sound(ring, n, pos, names_pos) ||
		    eventid_cmp(record->id, newest) < (n > first))
			return -EBADMSG;
		newest = record->id;
		pos += record->len;
		names_pos += record->names_len;
		if (record->flags & RECORD_OWN_ID)
			*bucket_of(ring, ring_id_text(ring, record)) = n;
	}
	if (eventid_cmp(header->last, newest) < 0)
		header->last = newest;
	header->head = pos;
	header->names_head = names_pos;
	return has_order(header) ? 0 : -EBADMSG;
}
