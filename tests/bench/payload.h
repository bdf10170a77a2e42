/*
 * payload: the data of an event that can be verified where it arrives.
 *
 *	PP SSSSSSSS TTTTTTTTTTTTTTTT abcdefgh…
 *
 * The publisher's number, the event's sequence number and the monotonic time of its publishing in
 * ns, all in hexadecimal, then letters that go round the alphabet, beginning where the sequence
 * number says: so that two events that got mixed, or one that lost a piece, are noticed.
 */
#ifndef PAYLOAD_H
#define PAYLOAD_H

#include <stdint.h>

#include "str.h"

enum { PAYLOAD_MIN = 32, PAYLOAD_MAX = 1 << 20 };

struct payload {
	uint32_t publisher, seq;
	uint64_t sent_ns;
};

enum payload_kind {
	PAYLOAD_OURS,
	PAYLOAD_TORN,    /* begins as one of ours, but is not whole */
	PAYLOAD_FOREIGN, /* not made here: a welcome, a tick */
};

/* Writes size bytes (PAYLOAD_MIN to PAYLOAD_MAX) to out. */
void payload_write(const struct payload *payload, char *out, size_t size);

/* Reads and verifies data that should have size bytes. */
enum payload_kind payload_read(struct str data, size_t size, struct payload *payload);

#endif
