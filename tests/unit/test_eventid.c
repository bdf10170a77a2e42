/*
 * eventid: one spelling, one order.
 */
#include "eventid.h"

#include <criterion/criterion.h>

#define MAX "18446744073709551615"

static const struct {
	struct eventid id;
	struct str text;
} pairs[] = {
	{ { 0, 0 }, { "0-0", 3 } },
	{ { 0, 10 }, { "0-10", 4 } },
	{ { 1763622735123, 0 }, { "1763622735123-0", 15 } },
	{ { UINT64_MAX, 0 }, { MAX "-0", 22 } },
	{ { UINT64_MAX, UINT64_MAX }, { MAX "-" MAX, 41 } },
};

enum { PAIRS = sizeof(pairs) / sizeof(pairs[0]) };

Test(eventid, written_and_parsed)
{
	for (size_t i = 0; i < PAIRS; i++) {
		char text[EVENTID_TEXT_MAX];
		struct eventid id;

		struct str written = { text, eventid_write(text, pairs[i].id) };
		cr_assert(str_eq(written, pairs[i].text));
		cr_assert(eventid_parse(written, &id));
		cr_assert(eventid_cmp(id, pairs[i].id) == 0);
	}
}

Test(eventid, other_spellings_are_none)
{
	static const char *const wrong[] = {
		"",
		"-",
		"0",
		"1-",
		"-1",
		"1--1",
		"1-1-",
		"1-1-1",
		"01-1",
		"1-01",
		"00-0",
		"0-00",
		"+1-1",
		"1-+1",
		" 1-1",
		"1-1 ",
		"1 -1",
		"1-1\n",
		"1_1",
		"0x1-1",
		"1.0-1",
		"abc",
		"a-b",
		"\xef\xbc\x91-1",
		"1-x",
		"x1-1",
		"*",
		"1-*",
		"$",
		"--",
		"-1-1",
		"1e3-0",
		"18446744073709551616-0",
		"0-18446744073709551616",
		"99999999999999999999999-0",
	};
	struct eventid id = { 5, 6 };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_assert(!eventid_parse(str_of(wrong[i]), &id), "\"%s\"", wrong[i]);
	cr_assert(!eventid_parse((struct str){ NULL, 0 }, &id));
	cr_assert(!eventid_parse(STR("1-1\0"), &id));
	cr_assert(id.ms == 5 && id.seq == 6, "a refusal leaves the id alone");
}

Test(eventid, ordered_by_time_then_sequence)
{
	for (size_t i = 0; i < PAIRS; i++)
		for (size_t j = 0; j < PAIRS; j++) {
			int order = eventid_cmp(pairs[i].id, pairs[j].id);

			cr_assert((order < 0) == (i < j) && (order > 0) == (i > j));
		}
	cr_assert(eventid_cmp((struct eventid){ 1, 9 }, (struct eventid){ 2, 0 }) < 0);
}

static bool next_is(struct eventid last, uint64_t now_ms, struct eventid want)
{
	return eventid_cmp(eventid_next(last, now_ms), want) == 0;
}

Test(eventid, next_grows_whatever_the_clock_does)
{
	cr_assert(next_is((struct eventid){ 0, 0 }, 1000, (struct eventid){ 1000, 0 }));
	cr_assert(next_is((struct eventid){ 1000, 7 }, 1001, (struct eventid){ 1001, 0 }));
	cr_assert(next_is((struct eventid){ 1000, 7 }, 1000, (struct eventid){ 1000, 8 }));
	cr_assert(next_is((struct eventid){ 1000, 7 }, 3, (struct eventid){ 1000, 8 }));
	cr_assert(next_is((struct eventid){ 0, 0 }, 0, (struct eventid){ 0, 1 }));
}

Test(eventid, next_at_the_borders)
{
	struct eventid last = { UINT64_MAX, UINT64_MAX };

	cr_assert(next_is((struct eventid){ 5, UINT64_MAX }, 5, (struct eventid){ 6, 0 }));
	cr_assert(next_is((struct eventid){ 5, UINT64_MAX }, 9, (struct eventid){ 9, 0 }));
	cr_assert(next_is((struct eventid){ UINT64_MAX, 1 }, 0, (struct eventid){ UINT64_MAX, 2 }));
	cr_assert(next_is(last, 0, last));
	cr_assert(next_is(last, UINT64_MAX, last));
}
