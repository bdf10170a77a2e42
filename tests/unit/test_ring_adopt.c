/*
 * ring: a ring that another process has made, and what its death may have left behind.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ring.h"

/* Another process's view: the same memfd, adopted. */
static void adopt(struct ring *other, const struct ring *ring)
{
	cr_assert_eq(ring_adopt(other, dup(ring->fd)), 0);
}

static uint64_t append_one(struct ring *ring, const char *id, const char *data)
{
	struct str topic = STR("t");
	struct event event = { .topics = &topic,
			       .topic_count = 1,
			       .id = str_of(id),
			       .data = str_of(data),
			       .retry_ms = SSE_NO_RETRY };
	uint64_t n;

	while (ring_append(ring, &event, 5000000, &n) == -EAGAIN)
		ring_flushed(ring);
	return n;
}

Test(ring_adopt, goes_on_where_the_other_stopped)
{
	struct ring ring, other;
	uint64_t own;

	cr_assert_eq(ring_init(&ring, RING_BYTES_MIN, 5000000), 0);
	for (int i = 0; i < 3000; i++)
		append_one(&ring, "", "some data that fills the ring");
	own = append_one(&ring, "mine", "x");
	ring_flushed(&ring);
	adopt(&other, &ring);
	cr_expect_eq(other.header->next, ring.header->next);
	cr_assert_eq(ring_repair(&other), 0);
	uint64_t found;

	cr_expect(ring_find_own_id(&other, STR("mine"), &found) && found == own);
	cr_expect_eq(append_one(&other, "", "next"), own + 1);
	ring_done(&other);
	ring_done(&ring);
}

/* What a death between two instructions leaves behind is put right. */
Test(ring_adopt, repairs_what_the_header_says)
{
	struct ring ring, other;
	uint64_t last, found;

	cr_assert_eq(ring_init(&ring, RING_BYTES_MIN, 5000000), 0);
	for (int i = 0; i < 3000; i++)
		append_one(&ring, "", "some data that fills the ring");
	append_one(&ring, "mine", "x");
	last = append_one(&ring, "", "y");
	struct ring_header was = *ring.header;

	/* In the middle of an append, and in the middle of an eviction. */
	ring.header->head += 50;
	ring.header->names_head += 3;
	ring.header->tail += ring_record(&ring, ring.header->first)->len;
	ring.header->last.ms -= 1;
	memset(ring.buckets, 0xff, 64);
	adopt(&other, &ring);
	cr_assert_eq(ring_repair(&other), 0);
	cr_expect_eq(other.header->head, was.head);
	cr_expect_eq(other.header->names_head, was.names_head);
	cr_expect_eq(other.header->tail, was.tail);
	cr_expect_eq(eventid_cmp(other.header->last, was.last), 0);
	cr_expect(ring_find_own_id(&other, STR("mine"), &found) && found == last - 1);
	ring_done(&other);
	ring_done(&ring);
}

Test(ring_adopt, refuses_what_is_damaged)
{
	struct ring ring, other;
	uint64_t n;

	cr_assert_eq(ring_init(&ring, RING_BYTES_MIN, 5000000), 0);
	append_one(&ring, "", "one");
	n = append_one(&ring, "", "two");
	((char *)(uintptr_t)ring_frame(&ring, ring_record(&ring, n)).p)[5] ^= 1;
	adopt(&other, &ring);
	cr_expect_eq(ring_repair(&other), -EBADMSG);
	ring_done(&other);
	struct ring_header was = *ring.header;

	for (int i = 0; i < 6; i++) {
		struct ring_header *header = ring.header;

		*header = was;
		switch (i) {
		case 0: header->magic[0]++; break;
		case 1: header->version++; break;
		case 2: header->slots *= 2; break;
		case 3: header->data_size += 4096; break;
		case 4: header->first = header->next + 1; break;
		default: header->tail = header->head + 1; break;
		}
		cr_expect_eq(ring_adopt(&other, dup(ring.fd)), -EINVAL, "%d", i);
	}
	*ring.header = was;
	ring_done(&ring);
}
