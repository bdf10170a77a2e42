/*
 * httpvalue: characters, weights, dates, ranges, entity tags. See httpvalue.h.
 *
 * The calendar is computed here because libc's would read the time zone's file on the way.
 */
#include "httpvalue.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { DAY_S = 24 * 60 * 60, YEAR_MAX = 9999 };

static const bool tchar_table[256] = {
	['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['!'] = true,
	['#'] = true,         ['$'] = true,         ['%'] = true,         ['&'] = true,
	['\''] = true,        ['*'] = true,         ['+'] = true,         ['-'] = true,
	['.'] = true,         ['^'] = true,         ['_'] = true,         ['`'] = true,
	['|'] = true,         ['~'] = true,
};

bool http_is_tchar(char c)
{
	return tchar_table[(unsigned char)c];
}

bool http_is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!http_is_tchar(s.p[i]))
			return false;
	return s.n > 0;
}

bool http_is_text(char c)
{
	return ((unsigned char)c >= ' ' && c != 0x7f) || c == '\t';
}

bool http_is_value(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!http_is_text(s.p[i]))
			return false;
	return true;
}

bool http_weight_is_positive(struct str parameters)
{
	struct str weight = str_trim(parameters), decimals = str_from(weight, 4);
	bool positive;
	char whole;

	if (weight.n == 0)
		return true;
	if (weight.n < 3 || decimals.n > 3 ||
	    !str_eq_nocase((struct str){ weight.p, 2 }, STR("q=")))
		return false;
	whole = weight.p[2];
	if ((whole != '0' && whole != '1') || (weight.n > 3 && weight.p[3] != '.'))
		return false;
	positive = whole == '1';
	for (size_t i = 0; i < decimals.n; i++) {
		if (decimals.p[i] < '0' || decimals.p[i] > (whole == '1' ? '0' : '9'))
			return false;
		positive = positive || decimals.p[i] != '0';
	}
	return positive;
}

static const char *const days[] = { "Sunday",   "Monday", "Tuesday", "Wednesday",
				    "Thursday", "Friday", "Saturday" };
static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
				      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

struct date {
	int64_t year, month, day; /* month and day from 1 */
	int64_t hour, minute, second;
};

/*
 * Days from 1970-01-01 to a day of the Gregorian calendar, negative before it. Counted in years
 * that begin in March, so that the leap day comes last: their months begin on day (153 m + 2) / 5.
 */
static int64_t days_to(int64_t year, int64_t month, int64_t day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t m = month > 2 ? month - 3 : month + 9;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

/* The time's date; *weekday is 0 on Sundays. Times outside the years 1 to 9999 become the bounds.
 */
static struct date date_of(int64_t unix_s, size_t *weekday)
{
	int64_t first = days_to(1, 1, 1) * DAY_S, end = days_to(YEAR_MAX + 1, 1, 1) * DAY_S;
	int64_t s = unix_s < first ? 0 : unix_s >= end ? end - 1 - first : unix_s - first;
	int64_t day = (s + first - s % DAY_S) / DAY_S, second = s % DAY_S;
	struct date date = { .hour = second / 3600,
			     .minute = second / 60 % 60,
			     .second = second % 60 };

	/* A guess from the mean length of a year, which is at most a year off. */
	date.year = s / DAY_S * 400 / 146097 + 1;
	while (days_to(date.year, 1, 1) > day)
		date.year--;
	while (days_to(date.year + 1, 1, 1) <= day)
		date.year++;
	date.month = 12;
	while (days_to(date.year, date.month, 1) > day)
		date.month--;
	date.day = day - days_to(date.year, date.month, 1) + 1;
	*weekday =
		(size_t)(s / DAY_S + 1) % 7; /* the first of January of the year 1 was a Monday */
	return date;
}

void http_date_write(char text[HTTP_DATE_LEN], int64_t unix_s)
{
	char line[128];
	size_t weekday;
	struct date date = date_of(unix_s, &weekday);

	snprintf(line, sizeof(line), "%.3s, %02d %s %04d %02d:%02d:%02d GMT", days[weekday],
		 (int)date.day, months[date.month - 1], (int)date.year, (int)date.hour,
		 (int)date.minute, (int)date.second);
	memcpy(text, line, HTTP_DATE_LEN);
}

/* What follows the name of the day: digits for d (day), y, h, m, s, letters for o (month). */
static const struct {
	bool long_day;
	const char *pattern;
} date_formats[] = {
	{ false, ", dd ooo yyyy hh:mm:ss GMT" }, /* IMF-fixdate */
	{ true, ", dd-ooo-yy hh:mm:ss GMT" },    /* RFC 850 */
	{ false, " ooo dd hh:mm:ss yyyy" },      /* asctime() */
	{ false, " ooo  d hh:mm:ss yyyy" },
};

/* Length of the name of a day that s begins with, or 0. */
static size_t day_name(struct str s, bool long_day)
{
	for (size_t i = 0; i < 7; i++) {
		struct str name = { days[i], long_day ? strlen(days[i]) : 3 };

		if (str_starts(s, name))
			return name.n;
	}
	return 0;
}

/* Number of the month that p, three bytes, names: 1 to 12, or 0. */
static int64_t month_number(const char *p)
{
	for (int i = 0; i < 12; i++)
		if (memcmp(p, months[i], 3) == 0)
			return i + 1;
	return 0;
}

static int64_t *date_part(struct date *date, char letter)
{
	switch (letter) {
	case 'd': return &date->day;
	case 'y': return &date->year;
	case 'h': return &date->hour;
	case 'm': return &date->minute;
	case 's': return &date->second;
	default: return NULL;
	}
}

static bool date_match(struct str s, const char *pattern, struct date *date)
{
	*date = (struct date){ 0 };
	if (s.n != strlen(pattern))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		int64_t *part = date_part(date, pattern[i]);

		if (part && s.p[i] >= '0' && s.p[i] <= '9') {
			*part = *part * 10 + (s.p[i] - '0');
		} else if (pattern[i] == 'o') {
			date->month = month_number(s.p + i);
			i += 2;
		} else if (part || s.p[i] != pattern[i]) {
			return false;
		}
	}
	return date->month != 0;
}

static bool date_is_possible(const struct date *date)
{
	int64_t year = date->month < 12 ? date->year : date->year + 1;
	int64_t next_month = date->month % 12 + 1;

	return date->year >= 1 && date->day >= 1 && date->hour < 24 && date->minute < 60 &&
	       date->second <= 60 && /* a leap second */
	       days_to(date->year, date->month, date->day) < days_to(year, next_month, 1);
}

/* The latest year with these two last digits that is at most 50 years ahead. */
static int64_t full_year(int64_t two_digits, int64_t now_s)
{
	size_t weekday;
	int64_t latest = date_of(now_s, &weekday).year + 50;

	return latest - (latest - two_digits) % 100;
}

int http_date_parse(struct str text, int64_t now_s, int64_t *unix_s)
{
	for (size_t i = 0; i < sizeof(date_formats) / sizeof(date_formats[0]); i++) {
		size_t at = day_name(text, date_formats[i].long_day);
		struct date date;

		if (at == 0 || !date_match(str_from(text, at), date_formats[i].pattern, &date))
			continue;
		if (date_formats[i].long_day)
			date.year = full_year(date.year, now_s);
		if (!date_is_possible(&date))
			return -EINVAL;
		*unix_s = days_to(date.year, date.month, date.day) * DAY_S + date.hour * 3600 +
			  date.minute * 60 + date.second;
		return 0;
	}
	return -EINVAL;
}

/* A position in a file: digits. What no counter holds is behind the end of every file. */
static bool read_position(struct str s, uint64_t *position)
{
	int err = str_to_u64(s, UINT64_MAX, position);

	if (err == -ERANGE)
		*position = UINT64_MAX;
	return err != -EINVAL;
}

/* `-500`: the last 500 bytes. */
static int suffix_range(struct str s, uint64_t size, uint64_t *first, uint64_t *length)
{
	uint64_t suffix;

	if (!read_position(s, &suffix))
		return 200;
	if (suffix == 0)
		return 416;
	if (size == 0)
		return 200; /* there is no byte that a Content-Range could name */
	*length = suffix < size ? suffix : size;
	*first = size - *length;
	return 206;
}

int http_range(struct str value, uint64_t size, uint64_t *first, uint64_t *length)
{
	struct str rest = value, unit, from;
	uint64_t last = UINT64_MAX;

	if (!str_cut(&rest, '=', &unit) || !str_eq_nocase(unit, STR("bytes")))
		return 200;
	rest = str_trim(rest);
	if (!str_cut(&rest, '-', &from) || !rest.p)
		return 200;
	if (from.n == 0)
		return suffix_range(rest, size, first, length);
	if (!read_position(from, first) || (rest.n && !read_position(rest, &last)) || last < *first)
		return 200;
	if (*first >= size)
		return 416;
	*length = (last < size ? last + 1 : size) - *first;
	return 206;
}

/* Without the W/ of a weak tag. */
static struct str opaque_tag(struct str s)
{
	return str_starts(s, STR("W/")) ? str_from(s, 2) : s;
}

/*
 * Takes the next entity tag off *list, without its W/ but with its quotes. A comma may stand inside
 * the quotes. False at the end and at what is no tag.
 */
static bool etag_next(struct str *list, struct str *tag)
{
	size_t end;

	*list = str_trim(*list);
	while (str_starts(*list, STR(",")))
		*list = str_trim(str_from(*list, 1));
	*list = opaque_tag(*list);
	if (!str_starts(*list, STR("\"")))
		return false;
	end = 1 + str_find(str_from(*list, 1), '"');
	if (end == list->n)
		return false;
	*tag = (struct str){ list->p, end + 1 };
	*list = str_trim(str_from(*list, end + 1));
	return list->n == 0 || list->p[0] == ',';
}

bool http_etag_listed(struct str list, struct str etag)
{
	struct str tag;

	if (str_eq(str_trim(list), STR("*")))
		return true;
	while (etag_next(&list, &tag))
		if (str_eq(tag, opaque_tag(etag)))
			return true;
	return false;
}
