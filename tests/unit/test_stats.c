/*
 * stats: what is counted comes out, in a text that a strict reader of the Prometheus format takes.
 *
 * check_text() is that reader. It knows the format only, and none of our metrics.
 */
#include "stats.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

enum { TEXT_MAX = 65536, FAMILIES_MAX = 100, SERIES_MAX = 400, LINE_MAX_BYTES = 400 };

/* The family that is being read, and what was read before. */
struct reader {
	char families[FAMILIES_MAX][LINE_MAX_BYTES];
	size_t family_count;
	char series[SERIES_MAX][LINE_MAX_BYTES];
	size_t series_count;
	char type[16];
	double le, buckets;  /* of the last bucket; le is -1 before the first */
	bool has_sum, whole; /* of a histogram */
};

static const char *family(const struct reader *r)
{
	return r->families[r->family_count - 1];
}

/* Length of the metric or label name that text begins with. */
static size_t name_len(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");

	return isdigit((unsigned char)text[0]) ? 0 : n;
}

/* Length of `{a="b",c="d"}`, 0 where there are no labels; *le is the value of that label. */
static size_t labels_len(const char *text, char le[LINE_MAX_BYTES])
{
	const char *p = text;

	if (*p != '{')
		return 0;
	do {
		size_t n = name_len(++p), at = 0;
		bool is_le = n == 2 && strncmp(p, "le", 2) == 0;

		cr_assert(n > 0 && p[n] == '=' && p[n + 1] == '"', "labels: %s", text);
		for (p += n + 2; *p != '"'; p++) {
			cr_assert(*p, "a label without its end: %s", text);
			if (*p == '\\')
				cr_assert(strchr("\\\"n", *++p) && *p, "escape: %s", text);
			else if (is_le)
				le[at++] = *p;
		}
		if (is_le)
			le[at] = '\0';
		p++;
	} while (*p == ',');
	cr_assert(*p == '}', "labels: %s", text);
	return (size_t)(p + 1 - text);
}

static double number(const char *text)
{
	char *end;
	double value;

	if (strcmp(text, "+Inf") == 0)
		return INFINITY;
	cr_assert(isdigit((unsigned char)text[0]), "not a number: %s", text);
	value = strtod(text, &end);
	cr_assert(*end == '\0', "not a number: %s", text);
	return value;
}

static void end_family(const struct reader *r)
{
	if (r->family_count && strcmp(r->type, "histogram") == 0)
		cr_assert(r->whole, "a histogram without _count: %s", family(r));
}

static void read_help(struct reader *r, const char *line)
{
	size_t n = name_len(line);

	end_family(r);
	cr_assert(n > 0 && line[n] == ' ' && line[n + 1], "HELP: %s", line);
	cr_assert(!strchr(line, '\\'), "no help of ours has anything to escape");
	cr_assert(r->family_count < FAMILIES_MAX);
	snprintf(r->families[r->family_count], LINE_MAX_BYTES, "%.*s", (int)n, line);
	for (size_t i = 0; i < r->family_count; i++)
		cr_assert(strcmp(r->families[i], r->families[r->family_count]) != 0,
			  "a second HELP for %s", r->families[i]);
	r->family_count++;
	r->type[0] = '\0';
	r->le = -1;
	r->buckets = 0;
	r->has_sum = r->whole = false;
}

static void read_type(struct reader *r, const char *line)
{
	size_t n = name_len(line), family_len;
	bool is_total;

	cr_assert(r->family_count && r->type[0] == '\0', "TYPE without HELP: %s", line);
	family_len = strlen(family(r));
	cr_assert(n == family_len && strncmp(line, family(r), n) == 0, "TYPE: %s", line);
	cr_assert(strncmp(line, "ssecast_", 8) == 0, "%s", line);
	is_total = n > 6 && strncmp(line + n - 6, "_total", 6) == 0;
	cr_assert(line[n] == ' ');
	snprintf(r->type, sizeof(r->type), "%s", line + n + 1);
	cr_assert(strcmp(r->type, "counter") == 0 || strcmp(r->type, "gauge") == 0 ||
			  strcmp(r->type, "histogram") == 0,
		  "%s", line);
	cr_assert(is_total == (strcmp(r->type, "counter") == 0), "%s", line);
}

static void read_histogram(struct reader *r, const char *suffix, const char *le, double value)
{
	if (strcmp(suffix, "_bucket") == 0) {
		cr_assert(number(le) > r->le, "le=%s is not larger than the one before", le);
		cr_assert(value >= r->buckets, "buckets are cumulative");
		cr_assert(!r->has_sum && !r->whole);
		r->le = number(le);
		r->buckets = value;
	} else if (strcmp(suffix, "_sum") == 0) {
		cr_assert(isinf(r->le), "the last bucket is +Inf");
		r->has_sum = true;
	} else {
		cr_assert(strcmp(suffix, "_count") == 0, "%s", suffix);
		cr_assert(r->has_sum && value == r->buckets, "_count is the bucket of +Inf");
		r->whole = true;
	}
}

static void read_sample(struct reader *r, const char *line)
{
	char le[LINE_MAX_BYTES] = "", suffix[LINE_MAX_BYTES];
	size_t n = name_len(line), family_len, len;
	double value;

	cr_assert(n > 0 && r->type[0], "a sample outside a family: %s", line);
	family_len = strlen(family(r));
	cr_assert(strncmp(line, family(r), family_len) == 0, "not of %s: %s", family(r), line);
	len = n + labels_len(line + n, le);
	cr_assert(line[len] == ' ', "%s", line);
	cr_assert(r->series_count < SERIES_MAX);
	snprintf(r->series[r->series_count], LINE_MAX_BYTES, "%.*s", (int)len, line);
	for (size_t i = 0; i < r->series_count; i++)
		cr_assert(strcmp(r->series[i], r->series[r->series_count]) != 0, "twice: %s", line);
	r->series_count++;
	value = number(line + len + 1);
	snprintf(suffix, sizeof(suffix), "%.*s", (int)(n - family_len), line + family_len);
	if (strcmp(r->type, "histogram") == 0)
		read_histogram(r, suffix, le, value);
	else
		cr_assert(suffix[0] == '\0' && le[0] == '\0', "%s", line);
}

static void check_text(struct str text)
{
	static struct reader r;
	struct str rest = text, part;

	memset(&r, 0, sizeof(r));
	cr_assert(text.n && text.p[text.n - 1] == '\n', "the last line ends, too");
	rest.n--;
	while (str_cut(&rest, '\n', &part)) {
		char line[LINE_MAX_BYTES];

		cr_assert(part.n > 0 && part.n < sizeof(line) && part.p[part.n - 1] != ' ');
		memcpy(line, part.p, part.n);
		line[part.n] = '\0';
		cr_assert(strlen(line) == part.n && !strchr(line, '\r'));
		if (strncmp(line, "# HELP ", 7) == 0)
			read_help(&r, line + 7);
		else if (strncmp(line, "# TYPE ", 7) == 0)
			read_type(&r, line + 7);
		else
			read_sample(&r, line);
	}
	end_family(&r);
}

static void write_text(struct buf *out, const struct stats *stats, const struct stats_gauges *now)
{
	buf_init(out, TEXT_MAX);
	cr_assert(stats_write(stats, now, out) == 0);
	check_text(buf_str(out));
}

/* Whether the text has exactly that line. */
static bool has_line(const struct buf *text, const char *line)
{
	struct str rest = buf_str(text), part;

	while (str_cut(&rest, '\n', &part))
		if (str_eq(part, str_of(line)))
			return true;
	return false;
}

Test(stats, of_a_fresh_daemon_are_well_formed)
{
	struct stats stats = { 0 };
	struct stats_gauges now = { 0 };
	struct buf text;

	write_text(&text, &stats, &now);
	cr_assert(has_line(&text, "ssecast_accepts_total 0"));
	cr_assert(has_line(&text, "ssecast_turn_duration_seconds_bucket{le=\"+Inf\"} 0"));
	cr_assert(has_line(&text, "ssecast_turn_duration_seconds_sum 0.000000000"));
	buf_done(&text);
}

/* Every field gets a value of its own, so that a mix-up shows. */
Test(stats, every_counter_comes_out_under_its_name)
{
	struct stats stats = {
		.accepts = 1,
		.accept_pauses = 2,
		.events = 3,
		.event_bytes = 4,
		.deliveries = 5,
		.sent_bytes = 6,
		.short_writes = 7,
		.heartbeats = 8,
		.gaps = 9,
		.ticks_missed = 10,
		.events_refused = 11,
	};
	struct stats_gauges now = { 0 };
	const char *const lines[] = {
		"ssecast_accepts_total 1",
		"ssecast_accept_pauses_total 2",
		"ssecast_events_total 3",
		"ssecast_event_bytes_total 4",
		"ssecast_deliveries_total 5",
		"ssecast_sent_bytes_total 6",
		"ssecast_short_writes_total 7",
		"ssecast_heartbeats_total 8",
		"ssecast_gaps_total 9",
		"ssecast_ticks_missed_total 10",
		"ssecast_events_refused_total 11",
	};
	struct buf text;

	write_text(&text, &stats, &now);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		cr_assert(has_line(&text, lines[i]), "%s", lines[i]);
	buf_done(&text);
}

Test(stats, every_gauge_comes_out_under_its_name)
{
	struct stats stats = { 0 };
	struct stats_gauges now = {
		.clients = 1,
		.live = 2,
		.walking = 3,
		.topics = 4,
		.ring_bytes = 5,
		.ring_records = 7,
		.ring_size_bytes = 6,
		.ring_evicted = 8,
		.lag_bytes_max = 9,
		.request_bytes = 10,
		.log_dropped = 11,
		.ring_oldest_age_ms = 12034,
		.uptime_ms = 5,
	};
	const char *const lines[] = {
		"ssecast_connections 1",
		"ssecast_clients{state=\"live\"} 2",
		"ssecast_clients{state=\"walking\"} 3",
		"ssecast_topics 4",
		"ssecast_ring_bytes 5",
		"ssecast_ring_size_bytes 6",
		"ssecast_ring_records 7",
		"ssecast_ring_evicted_total 8",
		"ssecast_lag_max_bytes 9",
		"ssecast_request_bytes 10",
		"ssecast_log_dropped_total 11",
		"ssecast_ring_oldest_age_seconds 12.034",
		"ssecast_uptime_seconds 0.005",
	};
	struct buf text;

	write_text(&text, &stats, &now);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		cr_assert(has_line(&text, lines[i]), "%s", lines[i]);
	buf_done(&text);
}

Test(stats, responses_are_counted_by_route_and_status)
{
	struct stats stats = { 0 };
	struct stats_gauges now = { 0 };
	struct buf text;

	stats_request(&stats, ROUTE_STREAM, 200);
	stats_request(&stats, ROUTE_STREAM, 200);
	stats_request(&stats, ROUTE_STATIC, 416);
	stats_request(&stats, ROUTE_NONE, 505);
	stats_request(&stats, ROUTE_NONE, 299);
	stats_request(&stats, ROUTE_NONE, 0);
	write_text(&text, &stats, &now);
	cr_assert(has_line(&text, "ssecast_requests_total{route=\"stream\",status=\"200\"} 2"));
	cr_assert(has_line(&text, "ssecast_requests_total{route=\"static\",status=\"416\"} 1"));
	cr_assert(has_line(&text, "ssecast_requests_total{route=\"none\",status=\"505\"} 1"));
	cr_assert(has_line(&text, "ssecast_requests_total{route=\"none\",status=\"other\"} 2"),
		  "a status that is not in the list");
	buf_done(&text);
}

Test(stats, every_route_and_reason_has_a_name_of_its_own)
{
	struct stats stats = { 0 };
	struct stats_gauges now = { 0 };
	struct buf text;
	char line[100];

	for (unsigned i = 0; i < ROUTE_COUNT; i++)
		for (int status = 100; status < 600; status++)
			stats_request(&stats, (enum stats_route)i, status);
	for (unsigned i = 0; i < REASON_COUNT; i++)
		stats.disconnects[i] = 1000 + i;
	write_text(&text, &stats, &now); /* which complains of doubles */
	for (unsigned i = 0; i < REASON_COUNT; i++) {
		snprintf(line, sizeof(line), "ssecast_disconnects_total{reason=\"%s\"} %u",
			 stats_reason((enum stats_reason)i), 1000 + i);
		cr_assert(has_line(&text, line), "%s", line);
	}
	cr_assert_str_eq(stats_reason(REASON_STALLED), "stalled");
	buf_done(&text);
}

Test(stats, durations_fall_into_their_buckets)
{
	struct stats stats = { 0 };
	struct stats_gauges now = { 0 };
	struct buf text;

	stats_duration(&stats.turn, 0);
	stats_duration(&stats.turn, 10000); /* a bound belongs to its bucket */
	stats_duration(&stats.turn, 10001);
	stats_duration(&stats.turn, 327680000);
	stats_duration(&stats.turn, 327680001);
	stats_duration(&stats.turn, 3000000000);
	stats_duration(&stats.flush, 20000);
	write_text(&text, &stats, &now);
	cr_assert(has_line(&text, "ssecast_turn_duration_seconds_bucket{le=\"0.00001\"} 2"));
	cr_assert(has_line(&text, "ssecast_turn_duration_seconds_bucket{le=\"0.00002\"} 3"));
	cr_assert(has_line(&text, "ssecast_turn_duration_seconds_bucket{le=\"0.16384\"} 3"));
	cr_assert(has_line(&text, "ssecast_turn_duration_seconds_bucket{le=\"0.32768\"} 4"));
	cr_assert(has_line(&text, "ssecast_turn_duration_seconds_bucket{le=\"+Inf\"} 6"));
	cr_assert(has_line(&text, "ssecast_turn_duration_seconds_sum 3.655380002"));
	cr_assert(has_line(&text, "ssecast_turn_duration_seconds_count 6"));
	cr_assert(has_line(&text, "ssecast_flush_duration_seconds_bucket{le=\"0.00001\"} 0"));
	cr_assert(has_line(&text, "ssecast_flush_duration_seconds_count 1"));
	buf_done(&text);
}

Test(stats, want_of_room_is_told)
{
	struct stats stats = { 0 };
	struct stats_gauges now = { 0 };
	struct buf text;

	buf_init(&text, 1000);
	cr_assert(stats_write(&stats, &now, &text) == -ENOBUFS);
	buf_done(&text);
}

/* --- the same as JSON --- */

/* Takes the value of the next label off *labels: false where there is none. */
static bool next_label(struct str *labels, struct str *value)
{
	return str_cut(labels, '"', value) && str_cut(labels, '"', value);
}

/* The member that stands for a sample such as `ssecast_clients{state="live"} 3`. */
static struct str member_of(struct str json, struct str series)
{
	struct str labels = series, name, label, value = json, found;

	str_cut(&labels, '{', &name);
	cr_assert(json_get(json, str_from(name, strlen("ssecast_")), &value), "%.*s",
		  STR_ARG(name));
	while (next_label(&labels, &label)) {
		cr_assert(json_get(value, label, &found), "%.*s", STR_ARG(series));
		value = found;
	}
	return value;
}

static void expect_histogram(struct str json, struct str text, const char *name)
{
	struct str all, bounds, counts, bound, count, sum;
	char line[200];
	uint64_t total = 0, n;

	cr_assert(json_get(json, str_of(name), &all));
	cr_assert(json_get(all, STR("le"), &bounds) && json_get(all, STR("buckets"), &counts));
	while (json_next_element(&counts, &count)) {
		bool is_last = !json_next_element(&bounds, &bound);

		cr_assert(json_u64(count, &n) == 0);
		total += n;
		snprintf(line, sizeof(line), "ssecast_%s_bucket{le=\"%.*s\"} %ju\n", name,
			 STR_ARG(is_last ? STR("+Inf") : bound), (uintmax_t)total);
		cr_expect(memmem(text.p, text.n, line, strlen(line)), "%s", line);
	}
	cr_assert(json_get(all, STR("sum"), &sum) && json_get(all, STR("count"), &count));
	snprintf(line, sizeof(line), "ssecast_%s_sum %.*s\nssecast_%s_count %.*s\n", name,
		 STR_ARG(sum), name, STR_ARG(count));
	cr_expect(memmem(text.p, text.n, line, strlen(line)), "%s", line);
}

/* Every field and every pair has a value of its own. */
Test(stats, json_says_the_same_as_the_text)
{
	struct stats stats;
	struct stats_gauges now;
	struct buf text, out;
	struct str rest, line, json, time;
	size_t samples = 0;

	for (size_t i = 0; i < sizeof(stats) / sizeof(uint64_t); i++)
		((uint64_t *)&stats)[i] = 1000 + i;
	for (size_t i = 0; i < sizeof(now) / sizeof(uint64_t); i++)
		((uint64_t *)&now)[i] = 2000 + i;
	write_text(&text, &stats, &now);
	buf_init(&out, TEXT_MAX);
	cr_assert(stats_write_json(&stats, &now, 1763622735123, &out) == 0);
	cr_assert(json_check(buf_str(&out), &json) == 0, "%.*s", STR_ARG(buf_str(&out)));
	cr_assert(json_get(json, STR("time_ms"), &time) && str_eq(time, STR("1763622735123")));
	rest = buf_str(&text);
	while (str_cut(&rest, '\n', &line) && line.n) {
		struct str value = line, series;

		if (line.p[0] == '#' || memmem(line.p, line.n, "_duration_", 10))
			continue;
		str_cut(&value, ' ', &series);
		cr_expect(str_eq(member_of(json, series), value), "%.*s", STR_ARG(line));
		samples++;
	}
	cr_expect(samples > ROUTE_COUNT * STATS_STATUSES + REASON_COUNT + 20);
	expect_histogram(json, buf_str(&text), "turn_duration_seconds");
	expect_histogram(json, buf_str(&text), "flush_duration_seconds");
	buf_done(&text);
	buf_done(&out);
}

Test(stats, json_of_a_fresh_daemon_is_well_formed_and_small)
{
	struct stats stats = { 0 };
	struct stats_gauges now = { 0 };
	struct buf out;
	struct str json;

	buf_init(&out, 2048);
	cr_assert(stats_write_json(&stats, &now, 0, &out) == 0);
	cr_assert(json_check(buf_str(&out), &json) == 0, "%.*s", STR_ARG(buf_str(&out)));
	buf_done(&out);
	buf_init(&out, 1000);
	cr_assert(stats_write_json(&stats, &now, 0, &out) == -ENOBUFS);
	buf_done(&out);
}

/* The counters of one process go on in the next: all of them, by what the text says. */
Test(stats, reads_what_it_has_written)
{
	static struct stats stats, read;
	uint64_t *word = (uint64_t *)&stats;
	struct stats_gauges gauges = { .clients = 7 };
	struct buf text;

	for (size_t i = 0; i < sizeof(stats) / sizeof(*word); i++)
		word[i] = i * 3 + 1;
	buf_init(&text, 1 << 20);
	cr_assert_eq(stats_write(&stats, &gauges, &text), 0);
	stats_read(&read, buf_str(&text));
	for (size_t i = 0; i < sizeof(stats) / sizeof(*word); i++)
		cr_expect_eq(((uint64_t *)&read)[i], word[i], "word %zu", i);
	stats_read(&read, STR("nothing of ours 1\nssecast_events_total x\n"));
	cr_expect_eq(memcmp(&stats, &read, sizeof(stats)), 0);
	buf_done(&text);
}
