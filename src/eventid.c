/*
 * eventid: the daemon's ids. See eventid.h.
 *
 * An id has one spelling only, so that equal ids are equal bytes: what is not canonical is no id of
 * the daemon's shape but a name that a publisher chose.
 */
#include "eventid.h"

/* Decimal without leading zeros. */
static bool parse_canonical(struct str s, uint64_t *out)
{
	if (s.n > 1 && s.p[0] == '0')
		return false;
	return str_to_u64(s, UINT64_MAX, out) == 0;
}

bool eventid_parse(struct str s, struct eventid *out)
{
	size_t hyphen = str_find(s, '-');
	struct eventid id;

	if (hyphen == s.n)
		return false;
	if (!parse_canonical((struct str){ s.p, hyphen }, &id.ms) ||
	    !parse_canonical(str_from(s, hyphen + 1), &id.seq))
		return false;
	*out = id;
	return true;
}

size_t eventid_write(char text[EVENTID_TEXT_MAX], struct eventid id)
{
	size_t n = str_write_u64(text, id.ms);

	text[n++] = '-';
	return n + str_write_u64(text + n, id.seq);
}

int eventid_cmp(struct eventid a, struct eventid b)
{
	if (a.ms != b.ms)
		return a.ms < b.ms ? -1 : 1;
	return (a.seq > b.seq) - (a.seq < b.seq);
}

struct eventid eventid_next(struct eventid last, uint64_t now_ms)
{
	if (now_ms > last.ms)
		return (struct eventid){ now_ms, 0 };
	if (last.seq < UINT64_MAX)
		return (struct eventid){ last.ms, last.seq + 1 };
	if (last.ms < UINT64_MAX)
		return (struct eventid){ last.ms + 1, 0 };
	return last;
}
