/*
 * Dates against libc's calendar, ranges, entity tags, weights, characters.
 */
#include <criterion/criterion.h>
#include <ctype.h>
#include <errno.h>
#include <time.h>

#include "guard.h"
#include "httpvalue.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

enum { NOV_1994 = 784111777 }; /* Sun, 06 Nov 1994 08:49:37 GMT, the standard's example */

static const int64_t now_s = 1763622735; /* in 2025 */

Test(httpvalue, knows_token_and_text_characters)
{
	for (int c = 0; c < 256; c++) {
		bool tchar = c && (strchr("!#$%&'*+-.^_`|~", c) || (c < 128 && isalnum(c)));

		cr_assert_eq(http_is_tchar((char)c), tchar, "%d", c);
		cr_assert_eq(http_is_text((char)c), c == 9 || (c >= 32 && c != 127), "%d", c);
	}
	cr_assert(http_is_token(STR("X-a.1")));
	cr_assert_not(http_is_token(STR("")));
	cr_assert_not(http_is_token(STR("a b")));
	cr_assert(http_is_value(STR("")));
	cr_assert(http_is_value(STR("a\tb \xff")));
	cr_assert_not(http_is_value(STR("a\0b")));
	cr_assert_not(http_is_value(STR("a\r")));
}

static const char *const positive[] = { "",        " ",     "q=1",        "q=1.",
					"q=1.000", "Q=0.5", " q=0.001\t", "q=0.10" };
static const char *const not_positive[] = { "q=0",    "q=0.",    "q=0.0", "q=0.000", "q=0.0001",
					    "q=2",    "q=1.001", "q=1.1", "q=",      "q",
					    "x=1",    "q=.5",    "q=-1",  "q=0,5",   "q=0x5",
					    "q=0.1x", "q= 1",    "q=1 1" };

Test(httpvalue, reads_weights)
{
	struct guard guard = guard_new(16);

	for (size_t i = 0; i < COUNT(positive); i++)
		cr_assert(http_weight_is_positive(guard_place(&guard, str_of(positive[i]))), "%s",
			  positive[i]);
	for (size_t i = 0; i < COUNT(not_positive); i++)
		cr_assert_not(http_weight_is_positive(guard_place(&guard, str_of(not_positive[i]))),
			      "%s", not_positive[i]);
	guard_free(&guard);
}

static void check_date(int64_t unix_s)
{
	char got[HTTP_DATE_LEN + 1] = { 0 }, want[64];
	time_t time = unix_s;
	struct tm tm;
	int64_t again;

	http_date_write(got, unix_s);
	strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&time, &tm));
	cr_assert_str_eq(got, want, "%ld: got %s, want %s", (long)unix_s, got, want);
	cr_assert_eq(http_date_parse(str_of(got), now_s, &again), 0, "%s", got);
	cr_assert_eq(again, unix_s, "%s read as %ld", got, (long)again);
}

Test(httpvalue, writes_and_reads_every_day_of_a_thousand_years)
{
	struct tm first = { .tm_year = 1500 - 1900, .tm_mday = 1 };
	int64_t s = timegm(&first);

	for (int day = 0; day < 366000; day++, s += 86400)
		check_date(s + day % 86400);
}

Test(httpvalue, writes_the_edges_of_days)
{
	static const int64_t edges[] = { 0,          -1,         1,           86399,     86400,
					 -86400,     -86401,     951782399,   951868800, NOV_1994,
					 4102444799, 4107542400, 253402300799 };

	for (size_t i = 0; i < COUNT(edges); i++)
		check_date(edges[i]);
}

static void check_clamped(int64_t unix_s, const char *want)
{
	char got[HTTP_DATE_LEN + 1] = { 0 };

	http_date_write(got, unix_s);
	cr_assert_str_eq(got, want);
}

Test(httpvalue, writes_no_year_that_has_not_four_digits)
{
	check_clamped(-62135596800, "Mon, 01 Jan 0001 00:00:00 GMT");
	check_clamped(-62135596801, "Mon, 01 Jan 0001 00:00:00 GMT");
	check_clamped(INT64_MIN, "Mon, 01 Jan 0001 00:00:00 GMT");
	check_clamped(253402300800, "Fri, 31 Dec 9999 23:59:59 GMT");
	check_clamped(INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT");
}

static const struct {
	const char *text;
	int64_t unix_s;
} dates[] = {
	{ "Sun, 06 Nov 1994 08:49:37 GMT", NOV_1994 },
	{ "Sunday, 06-Nov-94 08:49:37 GMT", NOV_1994 },
	{ "Sun Nov  6 08:49:37 1994", NOV_1994 },
	{ "Wed Nov 16 08:49:37 1994", NOV_1994 + 10 * 86400 },
	{ "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
	{ "Tue, 29 Feb 2000 00:00:00 GMT", 951782400 },
	{ "Wed, 31 Dec 2008 23:59:60 GMT", 1230768000 }, /* a leap second */
	/* Two digits: at most fifty years ahead of now */
	{ "Tuesday, 01-Jan-75 00:00:00 GMT", 3313526400 },
	{ "Thursday, 01-Jan-76 00:00:00 GMT", 189302400 },
	{ "Saturday, 01-Jan-00 00:00:00 GMT", 946684800 },
};

Test(httpvalue, reads_dates_of_all_three_formats)
{
	struct guard guard = guard_new(64);

	for (size_t i = 0; i < COUNT(dates); i++) {
		struct str text = guard_place(&guard, str_of(dates[i].text));
		int64_t got = -1;

		cr_assert_eq(http_date_parse(text, now_s, &got), 0, "%s", dates[i].text);
		cr_assert_eq(got, dates[i].unix_s, "%s: got %ld", dates[i].text, (long)got);
		for (size_t n = 0; n < text.n; n++) {
			struct str part = { dates[i].text, n };

			cr_assert_eq(http_date_parse(guard_place(&guard, part), now_s, &got),
				     -EINVAL, "%zu bytes of %s", n, dates[i].text);
		}
	}
	guard_free(&guard);
}

static const char *const no_dates[] = {
	"",
	"x",
	"Sun",
	"Sun, 06 Nov 1994 08:49:37 GMT ",
	" Sun, 06 Nov 1994 08:49:37 GMT",
	"Sun, 06 Nov 1994 08:49:37 UTC",
	"Sun, 06 Nov 1994 08:49:37 +00",
	"sun, 06 Nov 1994 08:49:37 GMT",
	"Sux, 06 Nov 1994 08:49:37 GMT",
	"Sun, 06 nov 1994 08:49:37 GMT",
	"Sun, 06 Nox 1994 08:49:37 GMT",
	"Sun, 6 Nov 1994 08:49:37 GMT",
	"Sun,  6 Nov 1994 08:49:37 GMT",
	"Sun, 00 Nov 1994 08:49:37 GMT",
	"Sun, 31 Nov 1994 08:49:37 GMT",
	"Sun, 32 Dec 1994 08:49:37 GMT",
	"Wed, 29 Feb 1995 08:49:37 GMT",
	"Thu, 29 Feb 1900 08:49:37 GMT",
	"Sun, 06 Nov 0000 08:49:37 GMT",
	"Sun, 06 Nov 1994 24:00:00 GMT",
	"Sun, 06 Nov 1994 08:60:37 GMT",
	"Sun, 06 Nov 1994 08:49:61 GMT",
	"Sun, 06 Nov -994 08:49:37 GMT",
	"Sun, 06-Nov-94 08:49:37 GMT",
	"Sunday, 06 Nov 1994 08:49:37 GMT",
	"Sunday, 06-Nov-1994 08:49:37 GMT",
	"Sunday, 31-Jun-94 08:49:37 GMT",
	"Sun Nov 6 08:49:37 1994",
	"Sun Nov  0 08:49:37 1994",
	"Sun Nov  6 08:49:37 94",
	"Sun Nov 06 08:49:37 1994 GMT",
	"784111777",
};

Test(httpvalue, refuses_what_is_no_date)
{
	struct guard guard = guard_new(64);
	int64_t got;

	for (size_t i = 0; i < COUNT(no_dates); i++)
		cr_assert_eq(http_date_parse(guard_place(&guard, str_of(no_dates[i])), now_s, &got),
			     -EINVAL, "%s", no_dates[i]);
	cr_assert_eq(http_date_parse(STR("Sun, 06 Nov 1994 08:49:37 GMT\0"), now_s, &got), -EINVAL);
	guard_free(&guard);
}

static const struct {
	const char *value;
	uint64_t size;
	int status;
	uint64_t first, length;
} ranges[] = {
	{ "bytes=0-499", 10000, 206, 0, 500 },
	{ "bytes=500-999", 10000, 206, 500, 500 },
	{ "bytes=0-0", 10000, 206, 0, 1 },
	{ "bytes=9999-9999", 10000, 206, 9999, 1 },
	{ "bytes=9500-", 10000, 206, 9500, 500 },
	{ "bytes=-500", 10000, 206, 9500, 500 },
	{ "bytes=-1", 10000, 206, 9999, 1 },
	{ "bytes=0-", 10000, 206, 0, 10000 },
	{ "bytes=0-99999", 10000, 206, 0, 10000 },
	{ "bytes=-99999", 10000, 206, 0, 10000 },
	{ "bytes=1-99999999999999999999999999", 10000, 206, 1, 9999 },
	{ "bytes=-99999999999999999999999999", 10000, 206, 0, 10000 },
	{ "bytes=1-18446744073709551615", 10000, 206, 1, 9999 },
	{ "BYTES= 1-2 ", 10000, 206, 1, 2 },
	{ "bytes=0-", UINT64_MAX, 206, 0, UINT64_MAX },
	/* Behind the end */
	{ "bytes=10000-", 10000, 416, 0, 0 },
	{ "bytes=10000-10001", 10000, 416, 0, 0 },
	{ "bytes=99999999999999999999999999-", 10000, 416, 0, 0 },
	{ "bytes=-0", 10000, 416, 0, 0 },
	{ "bytes=0-", 0, 416, 0, 0 },
	{ "bytes=0-0", 0, 416, 0, 0 },
	/* Ignored */
	{ "bytes=-5", 0, 200, 0, 0 },
	{ "", 10000, 200, 0, 0 },
	{ "bytes", 10000, 200, 0, 0 },
	{ "bytes=", 10000, 200, 0, 0 },
	{ "bytes=-", 10000, 200, 0, 0 },
	{ "bytes=5", 10000, 200, 0, 0 },
	{ "bytes=2-1", 10000, 200, 0, 0 },
	{ "bytes=0-1,3-4", 10000, 200, 0, 0 },
	{ "bytes=0-1,", 10000, 200, 0, 0 },
	{ "bytes=-1,-2", 10000, 200, 0, 0 },
	{ "bytes=a-b", 10000, 200, 0, 0 },
	{ "bytes=0-b", 10000, 200, 0, 0 },
	{ "bytes=0x0-1", 10000, 200, 0, 0 },
	{ "bytes=--1", 10000, 200, 0, 0 },
	{ "bytes=1--2", 10000, 200, 0, 0 },
	{ "bytes=+1-2", 10000, 200, 0, 0 },
	{ "bytes=0 - 1", 10000, 200, 0, 0 },
	{ "bytes =0-1", 10000, 200, 0, 0 },
	{ "lines=0-1", 10000, 200, 0, 0 },
	{ "0-1", 10000, 200, 0, 0 },
};

Test(httpvalue, reads_ranges)
{
	struct guard guard = guard_new(64);

	for (size_t i = 0; i < COUNT(ranges); i++) {
		struct str value = guard_place(&guard, str_of(ranges[i].value));
		uint64_t first = 0, length = 0;
		int status = http_range(value, ranges[i].size, &first, &length);

		cr_assert_eq(status, ranges[i].status, "%s: got %d", ranges[i].value, status);
		if (status == 206)
			cr_assert(first == ranges[i].first && length == ranges[i].length, "%s",
				  ranges[i].value);
	}
	guard_free(&guard);
}

static const struct {
	const char *list;
	bool listed;
} lists[] = {
	{ "\"abc\"", true },
	{ "W/\"abc\"", true },
	{ " \"abc\" ", true },
	{ "*", true },
	{ " * ", true },
	{ "\"x\", \"abc\"", true },
	{ "\"x\" ,W/\"abc\",\"y\"", true },
	{ ", ,\"abc\",", true },
	{ "\"a,b\", \"abc\"", true },
	{ "\"\",\"abc\"", true },
	{ "", false },
	{ "abc", false },
	{ "\"abc", false },
	{ "\"", false },
	{ "W/", false },
	{ "w/\"abc\"", false },
	{ "W/ \"abc\"", false },
	{ "\"ABC\"", false },
	{ "\"ab\"", false },
	{ "\"abcd\"", false },
	{ "\"x,\"abc\"\"", false },
	{ "\"x\" \"abc\"", false },
	{ "\"*\"", false },
	{ "*, \"x\"", false },
	{ ",,", false },
};

Test(httpvalue, finds_etags)
{
	struct guard guard = guard_new(64);

	for (size_t i = 0; i < COUNT(lists); i++) {
		struct str list = guard_place(&guard, str_of(lists[i].list));

		cr_assert_eq(http_etag_listed(list, STR("\"abc\"")), lists[i].listed, "%s",
			     lists[i].list);
		cr_assert_eq(http_etag_listed(list, STR("W/\"abc\"")), lists[i].listed, "%s",
			     lists[i].list);
	}
	guard_free(&guard);
}
