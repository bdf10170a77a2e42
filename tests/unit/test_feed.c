/*
 * feed: the same events and the same error, whatever the pieces in which the bytes come.
 *
 * What a feed hands over is written down as text, one line an event:
 *	topic,topic|id|type|retry|data;
 * with a P before a private one, and the error, if any, as !line:sentence at the end; or, of a feed
 * that goes on behind what is wrong, each as ?line:sentence;
 */
#include "feed.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct record {
	const struct feed *feed;
	struct buf text;
	unsigned calls;
	unsigned refuse_at; /* the call that is refused, from 1; 0 = none */
};

static const char *take(void *context, const struct event *event)
{
	struct record *record = context;
	struct buf *text = &record->text;

	if (++record->calls == record->refuse_at)
		return "refused";
	if (event->is_private)
		buf_add_char(text, 'P');
	for (size_t i = 0; i < event->topic_count; i++) {
		if (i)
			buf_add_char(text, ',');
		buf_add(text, event->topics[i]);
	}
	buf_add_char(text, '|');
	buf_add(text, event->id);
	buf_add_char(text, '|');
	buf_add(text, event->type);
	buf_add_char(text, '|');
	if (event->retry_ms != SSE_NO_RETRY)
		buf_addf(text, "%llu", (unsigned long long)event->retry_ms);
	buf_add_char(text, '|');
	buf_add(text, event->data);
	buf_add_char(text, ';');
	return NULL;
}

static void note(void *context, const char *why)
{
	struct record *record = context;

	buf_addf(&record->text, "?%llu:%s;", (unsigned long long)record->feed->line, why);
}

/* A piece in memory of its own, so that a feed that keeps a slice of it is found out. */
static int push(struct feed *feed, struct str piece)
{
	char *own = malloc(piece.n ? piece.n : 1);
	int err;

	memcpy(own, piece.n ? piece.p : "", piece.n);
	err = feed_push(feed, (struct str){ own, piece.n });
	memset(own, '#', piece.n);
	free(own);
	return err;
}

struct setting {
	enum feed_format format;
	size_t event_max;
	unsigned refuse_at;
	bool goes_on;
};

/* Pushes input up to first at once, the rest in steps; the record of it goes to out. */
static void run(const struct setting *setting, struct str input, size_t first, size_t step,
		struct buf *out)
{
	struct feed feed;
	struct record record = { .feed = &feed, .refuse_at = setting->refuse_at };
	int err;

	buf_init(&record.text, 1 << 20);
	feed_init(&feed, setting->format, STR("std"), setting->event_max, take, &record);
	feed.complain = setting->goes_on ? note : NULL;
	err = push(&feed, (struct str){ input.p, first });
	for (size_t at = first; at < input.n; at += step) {
		struct str rest = str_from(input, at);

		err = push(&feed, (struct str){ rest.p, rest.n < step ? rest.n : step });
	}
	cr_assert(err == feed.err);
	err = feed_end(&feed);
	cr_assert(err == (feed.error ? -EINVAL : 0));
	if (feed.error) {
		buf_addf(&record.text, "!%llu:%s", (unsigned long long)feed.error_line, feed.error);
		unsigned calls = record.calls;
		cr_assert(push(&feed, STR("{}\ndata: x\n\n")) == -EINVAL);
		cr_assert(feed_end(&feed) == -EINVAL);
		cr_assert(record.calls == calls, "nothing is taken after the error");
	}
	buf_clear(out);
	buf_add(out, buf_str(&record.text));
	feed_done(&feed);
	feed_done(&feed);
	buf_done(&record.text);
}

static void expect_with(const struct setting *setting, struct str input, struct str want)
{
	struct buf got;

	buf_init(&got, 1 << 20);
	for (size_t step = 1; step <= 3; step++) {
		run(setting, input, 0, step, &got);
		cr_assert(str_eq(buf_str(&got), want), "steps of %zu: %.*s\nwanted %.*s", step,
			  STR_ARG(buf_str(&got)), STR_ARG(want));
	}
	for (size_t first = 0; first <= input.n; first++) {
		run(setting, input, first, input.n + 1, &got);
		cr_assert(str_eq(buf_str(&got), want), "split at %zu: %.*s\nwanted %.*s", first,
			  STR_ARG(buf_str(&got)), STR_ARG(want));
	}
	buf_done(&got);
}

static void expect(enum feed_format format, struct str input, struct str want)
{
	struct setting setting = { .format = format, .event_max = 1000 };

	expect_with(&setting, input, want);
}

/* lines */

Test(feed, lines_end_in_lf_crlf_or_cr)
{
	expect(FEED_LINES, STR("a\nb\r\nc\rd\n"), STR("std||||a;std||||b;std||||c;std||||d;"));
	expect(FEED_LINES, STR("a\rb\nc"), STR("std||||a;std||||b;std||||c;"));
	expect(FEED_LINES, STR("a\n\rb"), STR("std||||a;std||||;std||||b;"));
	expect(FEED_LINES, STR("a\r\r\n\nb"), STR("std||||a;std||||;std||||;std||||b;"));
	expect(FEED_LINES, STR("\n\r\n\r"), STR("std||||;std||||;std||||;"));
}

Test(feed, lines_at_the_end)
{
	expect(FEED_LINES, STR(""), STR(""));
	expect(FEED_LINES, STR("a"), STR("std||||a;"));
	expect(FEED_LINES, STR("a\n b \t"), STR("std||||a;std|||| b \t;"));
	expect(FEED_LINES, STR("a\r"), STR("std||||a;"));
}

Test(feed, lines_keep_every_byte)
{
	expect(FEED_LINES, STR("a\0b\n\xff|data: x"), STR("std||||a\0b;std||||\xff|data: x;"));
}

Test(feed, mark_at_the_beginning_only)
{
	expect(FEED_LINES,
	       STR("\xef\xbb\xbf"
		   "a\n\xef\xbb\xbf"
		   "b"),
	       STR("std||||a;std||||\xef\xbb\xbf"
		   "b;"));
	expect(FEED_LINES,
	       STR("\xef\xbb\xbf\xef\xbb\xbf"
		   "a"),
	       STR("std||||\xef\xbb\xbf"
		   "a;"));
	expect(FEED_LINES, STR("\xef\xbb\xbf"), STR(""));
	expect(FEED_LINES, STR("\xef\xbb\xbf\n"), STR("std||||;"));
	expect(FEED_LINES, STR("\xef\xbb"), STR("std||||\xef\xbb;"));
	expect(FEED_NDJSON, STR("\xef\xbb\xbf{}\n{}"), STR("std||||;std||||;"));
	expect(FEED_NDJSON, STR("{}\n\xef\xbb\xbf{}"), STR("std||||;!2:The line is not JSON."));
	expect(FEED_SSE,
	       STR("\xef\xbb\xbf"
		   "data: a\n\n\xef\xbb\xbf"
		   "data: b\n\n"),
	       STR("std||||a;"));
}

Test(feed, lines_have_a_limit)
{
	struct setting setting = { .format = FEED_LINES, .event_max = 4 };

	expect_with(&setting, STR("1234\n123\n1234"), STR("std||||1234;std||||123;std||||1234;"));
	expect_with(&setting, STR("1\r\n\r\n12345\nx\n"),
		    STR("std||||1;std||||;!3:A line is longer than --max-body allows."));
	expect_with(&setting, STR("1\n12345\n\n12345\n"),
		    STR("std||||1;!2:A line is longer than --max-body allows."));
	expect_with(&setting, STR("1\n12345"),
		    STR("std||||1;!2:A line is longer than --max-body allows."));
	expect_with(&setting, STR("123456789\n"),
		    STR("!1:A line is longer than --max-body allows."));
}

/* A line that is too long is refused before its end has come: it may never come. */
Test(feed, limit_does_not_wait_for_the_end)
{
	struct record record = { 0 };
	struct feed feed;

	feed_init(&feed, FEED_LINES, STR("std"), 4, take, &record);
	cr_assert(feed_push(&feed, STR("12")) == 0);
	cr_assert(feed_push(&feed, STR("345")) == -EINVAL);
	cr_assert(feed.error_line == 1 && record.calls == 0);
	feed_done(&feed);
}

Test(feed, refused_event_stops_it)
{
	struct setting setting = { .event_max = 9, .refuse_at = 2 };

	expect_with(&setting, STR("a\r\nb\r\nc too long\r\n"), STR("std||||a;!2:refused"));
	expect_with(&setting, STR("a\n\nc"), STR("std||||a;!2:refused"));
	expect_with(&setting, STR("a\rb"), STR("std||||a;!2:refused"));
	setting.format = FEED_NDJSON;
	expect_with(&setting, STR("{}\n\n\n{}\n{}\n"), STR("std||||;!4:refused"));
	setting.format = FEED_SSE;
	expect_with(&setting, STR("data\n\n: c\ndata\n\ndata\n\n"), STR("std||||;!5:refused"));
}

/* An event goes out with its line end, not with the next byte: also behind a CR. */
Test(feed, event_does_not_wait_for_more)
{
	static const struct {
		enum feed_format format;
		struct str input;
	} cases[] = { { FEED_LINES, { "a\r", 2 } },
		      { FEED_LINES, { "a\n", 2 } },
		      { FEED_NDJSON, { "{}\r", 3 } },
		      { FEED_SSE, { "data\r\r", 6 } },
		      { FEED_SSE, { "data\r\n\r", 7 } } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct record record = { 0 };
		struct feed feed;

		buf_init(&record.text, 100);
		feed_init(&feed, cases[i].format, STR("std"), 100, take, &record);
		cr_assert(feed_push(&feed, cases[i].input) == 0);
		cr_assert(record.calls == 1, "case %zu", i);
		cr_assert(feed_push(&feed, STR("\n")) == 0);
		cr_assert(feed_push(&feed, STR("")) == 0);
		cr_assert(feed_end(&feed) == 0);
		feed_done(&feed);
		buf_done(&record.text);
	}
}

/* ndjson */

Test(feed, ndjson_members)
{
	expect(FEED_NDJSON,
	       STR("{\"topic\":\"t\",\"event\":\"e\",\"id\":\"i\",\"retry\":5,\"data\":\"d\"}\n"),
	       STR("t|i|e|5|d;"));
	expect(FEED_NDJSON, STR("{}"), STR("std||||;"));
	expect(FEED_NDJSON, STR(" { \"data\" : \"d\" , \"x\" : [ 1 ] } \t\r\n"), STR("std||||d;"));
	expect(FEED_NDJSON,
	       STR("{\"\\u0064ata\":\"a\\n\\u00e4\",\"event\":\"\\t\",\"id\":\"\\\\\"}"),
	       STR("std|\\|\t||a\n\xc3\xa4;"));
	expect(FEED_NDJSON, STR("{\"data\":\"a\",\"data\":\"b\"}"), STR("std||||b;"));
	expect(FEED_NDJSON, STR("{\"retry\":0}\n{\"retry\":18446744073709551614}"),
	       STR("std|||0|;std|||18446744073709551614|;"));
	expect(FEED_NDJSON, STR("{\"topic\":null,\"event\":null,\"id\":null,\"retry\":null}"),
	       STR("std||||;"));
}

Test(feed, ndjson_data_of_any_type)
{
	expect(FEED_NDJSON,
	       STR("{\"data\":{\"a\": [1,\"\\u00e4\"]}}\r\n{\"data\":null}\n"
		   "{\"data\":-1.50}\n{\"data\":true}\n{\"data\":\"\"}"),
	       STR("std||||{\"a\": [1,\"\\u00e4\"]};std||||null;std||||-1.50;std||||true;std||||;"));
}

Test(feed, ndjson_topics)
{
	expect(FEED_NDJSON,
	       STR("{\"topic\":[\"a\"]}\n{\"topic\":[\"a\\\"\",\"b\",\"\\u00e4\"],\"data\":\"\\n\"}"),
	       STR("a||||;a\",b,\xc3\xa4||||\n;"));
	expect(FEED_NDJSON, STR("{\"topic\":\"\"}"), STR("||||;"));
	expect(FEED_NDJSON, STR("{\"topic\":[]}"), STR("!1:The member topic is an empty array."));
	expect(FEED_NDJSON, STR("{\"topic\":[\"a\",1]}"),
	       STR("!1:The member topic is neither a string nor an array of strings."));
	expect(FEED_NDJSON, STR("{\"topic\":{}}"),
	       STR("!1:The member topic is neither a string nor an array of strings."));
}

static void push_topics(unsigned count, struct record *record, struct feed *feed)
{
	struct buf line;

	buf_init(&line, 1 << 20);
	buf_add(&line, STR("{\"topic\":[\"\\n\""));
	for (unsigned i = 1; i < count; i++)
		buf_add(&line, STR(",\"\\u0061\""));
	buf_add(&line, STR("]}\n"));
	buf_init(&record->text, 1 << 20);
	feed_init(feed, FEED_NDJSON, STR("std"), 1 << 20, take, record);
	push(feed, buf_str(&line));
	buf_done(&line);
}

Test(feed, ndjson_many_topics)
{
	struct record record = { 0 };
	struct feed feed;

	push_topics(SSE_TOPICS_MAX, &record, &feed);
	cr_assert(record.calls == 1);
	cr_assert(record.text.n == 2 * SSE_TOPICS_MAX - 1 + 5);
	buf_done(&record.text);
	feed_done(&feed);

	push_topics(SSE_TOPICS_MAX + 1, &record, &feed);
	cr_assert(record.calls == 1 && feed.err == -EINVAL);
	cr_assert(strcmp(feed.error, "An event may have 1000 topics at the most.") == 0);
	buf_done(&record.text);
	feed_done(&feed);
}

Test(feed, ndjson_skips_lines_of_white_space)
{
	expect(FEED_NDJSON, STR("\n{}\n \t\r\n\r\r{}\n  "), STR("std||||;std||||;"));
}

Test(feed, ndjson_refuses_the_line)
{
	static const struct {
		const char *line, *why;
	} cases[] = {
		{ "{", "The line is not JSON." },
		{ "hello", "The line is not JSON." },
		{ "{}{}", "The line is not JSON." },
		{ "{\"data\":\"\xff\"}", "The line is not JSON." },
		{ "[]", "The line is not a JSON object." },
		{ "\"data\"", "The line is not a JSON object." },
		{ "{\"event\":1}", "The member event is not a string." },
		{ "{\"id\":{}}", "The member id is not a string." },
		{ "{\"id\":7}", "The member id is not a string." },
		{ "{\"retry\":\"5\"}", "The member retry is not a whole number of milliseconds." },
		{ "{\"retry\":-5}", "The member retry is not a whole number of milliseconds." },
		{ "{\"retry\":1.5}", "The member retry is not a whole number of milliseconds." },
		{ "{\"retry\":18446744073709551615}",
		  "The member retry is not a whole number of milliseconds." },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf input, want;

		buf_init(&input, 200);
		buf_init(&want, 200);
		buf_addf(&input, "{\"data\":1}\r\n\r\n%s\n{\"data\":2}\n", cases[i].line);
		buf_addf(&want, "std||||1;!3:%s", cases[i].why);
		expect(FEED_NDJSON, buf_str(&input), buf_str(&want));
		buf_done(&input);
		buf_done(&want);
	}
}

Test(feed, ndjson_nested_too_deep)
{
	char line[2 * 70] = "";

	memset(line, '[', 70);
	memset(line + 70, ']', 70);
	expect(FEED_NDJSON, (struct str){ line, sizeof(line) },
	       STR("!1:The JSON is nested too deep."));
}

Test(feed, ndjson_line_of_the_limit)
{
	struct setting setting = { .format = FEED_NDJSON, .event_max = 16 };

	expect_with(&setting, STR("{\"data\":\"\\n\\n\"} \r\n{\"data\":\"1234\" }"),
		    STR("std||||\n\n;std||||1234;"));
	expect_with(&setting, STR("{\"data\":\"12345\"} \n"),
		    STR("!1:A line is longer than --max-body allows."));
}

Test(feed, ndjson_private)
{
	expect(FEED_NDJSON,
	       STR("{\"private\":true}\n{\"private\":false}\n{\"private\":null}\n{\"private\":1}\n"),
	       STR("Pstd||||;std||||;std||||;!4:The member private is neither true nor false."));
}

/* Of a feed that nobody could tell that it has stopped. */
Test(feed, goes_on_behind_what_is_wrong)
{
	struct setting setting = { .format = FEED_NDJSON, .event_max = 16, .goes_on = true };

	expect_with(&setting, STR("{\"data\":1}\nnonsense\n{\"id\":7}\r\n{\"data\":2}\n[]"),
		    STR("std||||1;?2:The line is not JSON.;?3:The member id is not a string.;"
			"std||||2;?5:The line is not a JSON object.;"));
	expect_with(&setting, STR("{\"data\":\"12345\"} \n{\"data\":2}\n{\"data\":\"12345\"} "),
		    STR("?1:A line is longer than --max-body allows.;std||||2;"
			"?3:A line is longer than --max-body allows.;"));
	setting.format = FEED_LINES;
	expect_with(&setting, STR("12345678901234567890\n\nshort\r12345678901234567890"),
		    STR("?1:A line is longer than --max-body allows.;std||||;std||||short;"
			"?4:A line is longer than --max-body allows.;"));
	setting.format = FEED_SSE;
	expect_with(&setting,
		    STR("data: 1\n\nid: x\ndata: 1234567890\ndata: 1234567\ndata: 8\nevent: y\n\n"
			"data: 2\n\n:2345678901234567890\ndata: 3\n\ndata: 4\n\n"),
		    STR("std||||1;"
			"?5:The data of an event is longer than --max-body allows.;std||||2;"
			"?11:A line is longer than --max-body allows.;std||||4;"));
	setting.refuse_at = 1;
	expect_with(&setting, STR("data: 1\n\ndata: 2\n\n"), STR("?2:refused;std||||2;"));
}

/* sse */

Test(feed, sse_fields)
{
	expect(FEED_SSE,
	       STR("id: i\nevent: e\nretry: 5\ntopic: t\ndata: one\ndata: two\n\ndata: x\n\n"),
	       STR("t|i|e|5|one\ntwo;std||||x;"));
	expect(FEED_SSE, STR("data:a\r\rdata:  a\r\n\r\ndata: a: b\n\n"),
	       STR("std||||a;std|||| a;std||||a: b;"));
	expect(FEED_SSE, STR(": comment\n:\ndata: a\n: data: b\n\n"), STR("std||||a;"));
	expect(FEED_SSE, STR("foo: b\nDATA: x\n data: y\ndatax: z\nfoo\ndata: a\n\n"),
	       STR("std||||a;"));
	expect(FEED_SSE,
	       STR("event: a\nevent: b\nevent\nid: 1\nid: 2\ntopic: a\ntopic: b\ndata\n\n"),
	       STR("b|2|||;"));
}

/* The examples of the standard, section 9.2.6. */
Test(feed, sse_examples_of_the_standard)
{
	expect(FEED_SSE, STR("data: YHOO\ndata: +2\ndata: 10\n\n"), STR("std||||YHOO\n+2\n10;"));
	expect(FEED_SSE, STR("data\n\ndata\ndata\n\ndata:"), STR("std||||;std||||\n;"));
	expect(FEED_SSE, STR("data:test\n\ndata: test\n\n"), STR("std||||test;std||||test;"));
	expect(FEED_SSE,
	       STR(": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\n"
		   "data:  third event"),
	       STR("std|1|||first event;std||||second event;"));
}

Test(feed, sse_blocks_without_data_are_dropped)
{
	expect(FEED_SSE, STR("id: i\nevent: e\nretry: 5\ntopic: t\n\n\n\n: c\n\ndata: x\n\n"),
	       STR("std||||x;"));
	expect(FEED_SSE, STR("data: a\n\ndata: b\n"), STR("std||||a;"));
	expect(FEED_SSE, STR("data: a\n\ndata: b"), STR("std||||a;"));
	expect(FEED_SSE, STR(""), STR(""));
}

Test(feed, sse_values_that_are_ignored)
{
	expect(FEED_SSE, STR("id: a\nid: b\0c\ndata\n\n"), STR("std|a|||;"));
	expect(FEED_SSE,
	       STR("retry: 5\nretry: x\nretry: -1\nretry:\nretry:  7\nretry: 1.0\ndata\n\n"),
	       STR("std|||5|;"));
	expect(FEED_SSE, STR("retry: 5\nretry: 18446744073709551615\ndata\n\n"), STR("std|||5|;"));
}

Test(feed, sse_topic_may_be_empty_and_is_then_not_ours)
{
	expect(FEED_SSE, STR("topic:\ndata: x\n\ndata: y\n\n"), STR("||||x;std||||y;"));
}

Test(feed, sse_limits)
{
	struct setting setting = { .format = FEED_SSE, .event_max = 8 };

	expect_with(&setting, STR("data:123\n\n"), STR("std||||123;"));
	expect_with(&setting, STR("data:1\n\ndata:1234\n\n"),
		    STR("std||||1;!3:A line is longer than --max-body allows."));
	expect_with(&setting, STR("data:12\ndata:45\ndata:78\n\n"), STR("std||||12\n45\n78;"));
	expect_with(&setting, STR("data:12\ndata:45\ndata:789\n\n"),
		    STR("!3:The data of an event is longer than --max-body allows."));
	expect_with(&setting, STR("data:12\r\ndata:45\r\ndata:78\r\ndata\r\n\r\n"),
		    STR("!4:The data of an event is longer than --max-body allows."));
	expect_with(&setting, STR(":12345678\n"),
		    STR("!1:A line is longer than --max-body allows."));
	expect_with(&setting, STR("data:12\ndata:45\ndata:789"), STR(""));
}

/* A MiB of short lines: were it not linear, this would not end in the time that a test has. */
Test(feed, many_short_lines)
{
	static char input[1 << 20];

	for (unsigned way = 0; way < 3; way++)
		for (size_t step = 1; step <= sizeof(input); step *= 1024) {
			struct record record = { .refuse_at = 0 };
			struct feed feed;

			memset(input, way == 0 ? '\n' : way == 1 ? '\r' : 'a', sizeof(input));
			buf_init(&record.text, 0);
			feed_init(&feed, FEED_LINES, STR("std"), sizeof(input), take, &record);
			for (size_t at = 0; at < sizeof(input); at += step)
				cr_assert(feed_push(&feed, (struct str){ input + at, step }) == 0);
			cr_assert(feed_end(&feed) == 0);
			cr_assert(record.calls == (way == 2 ? 1 : sizeof(input)));
			feed_done(&feed);
		}
}

Test(feed, whole_lines_are_not_copied)
{
	struct record record = { .refuse_at = 0 };
	struct feed feed;

	buf_init(&record.text, 100);
	feed_init(&feed, FEED_LINES, STR("std"), 100, take, &record);
	cr_assert(feed_push(&feed, STR("one\ntwo\r\nthree\n")) == 0);
	cr_assert(record.calls == 3 && feed.text.p == NULL);
	feed_done(&feed);
	buf_done(&record.text);
}
