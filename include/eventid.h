/*
 * eventid: `<milliseconds>-<sequence>`, the name of an event and its place in time.
 *
 * The daemon's own ids grow strictly, also across restarts and steps of the clock: the milliseconds
 * are those of the real clock or of the last id, whichever is larger.
 */
#ifndef EVENTID_H
#define EVENTID_H

#include "str.h"

struct eventid {
	uint64_t ms;
	uint64_t seq;
};

/* Bytes that the longest id takes: two u64, a hyphen. No NUL. */
enum { EVENTID_TEXT_MAX = 41 };

/* Whether s is exactly `<u64>-<u64>` in canonical decimal (no sign, no leading zeros). */
bool eventid_parse(struct str s, struct eventid *out);

/* Writes the id into text; returns its length in bytes. */
size_t eventid_write(char text[EVENTID_TEXT_MAX], struct eventid id);

/* Negative, 0 or positive, as a is older than, the same as or newer than b. */
int eventid_cmp(struct eventid a, struct eventid b);

/* The id that follows last at now_ms. The largest id of all has no successor: returns itself. */
struct eventid eventid_next(struct eventid last, uint64_t now_ms);

#endif
