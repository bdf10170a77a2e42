/*
 * Who subscribes to what: the events that tell of it, and the lists of it.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hubclient.h"
#include "metrics.h"

#define SUBSCRIPTIONS "/.well-known/mercure/subscriptions"
#define ALL_OF_THEM \
	"?topic=%2F.well-known%2Fmercure%2Fsubscriptions%7B%2Ftopic%7D%7B%2Fsubscriber%7D"

/* The text between two others. To be freed. */
static char *between(const char *text, const char *before, const char *after)
{
	const char *begin = strstr(text, before);

	cr_assert(begin, "no %s in %s", before, text);
	begin += strlen(before);
	const char *end = strstr(begin, after);

	cr_assert(end, "no %s in %s", after, text);
	return strndup(begin, (size_t)(end - begin));
}

static struct token watcher_token(void)
{
	return token_for("", "\"" SUBSCRIPTIONS "{/topic}{/subscriber}\"");
}

Test(mercure_presence, tells_when_a_subscriber_comes_and_goes)
{
	struct token watcher = watcher_token(), nobody = token_for("", "");
	struct token token = token_of("{\"mercure\":{\"payload\":{\"user\":[\"x\"]}}}");
	struct daemon d;
	struct reader w, blind, s;
	char expected[512], *name, *encoded;

	hub_begin(&d, OPTIONS("--mercure-subscriptions"));
	subscribe(&w, &d, ALL_OF_THEM, &watcher);
	subscribe(&blind, &d, ALL_OF_THEM "&topic=end", &nobody);
	/* It is told of the one that came after it, not of itself. */
	reader_wait(&w, 2);
	cr_expect(strstr(w.events[0].data, "\"topic\":\"" SUBSCRIPTIONS "{/topic}{/subscriber}\""));
	subscribe(&s, &d, "?topic=a&topic=b%7B%2Fc%7D", &token);
	reader_wait(&w, 4);
	name = between(w.events[2].data, "\"subscriber\":\"", "\"");
	encoded = between(w.events[2].data, "subscriptions/a/", "\"");
	cr_expect(strncmp(name, "urn:uuid:", 9) == 0 && strlen(name) == 45 && name[23] == '4');
	cr_expect(strncmp(encoded, "urn%3Auuid%3A", 13) == 0);
	snprintf(expected, sizeof(expected),
		 "{\"@context\":\"https://mercure.rocks/\",\"id\":\"" SUBSCRIPTIONS "/a/%s\","
		 "\"type\":\"Subscription\",\"subscriber\":\"%s\",\"topic\":\"a\",\"active\":true,"
		 "\"payload\":{\"user\":[\"x\"]}}",
		 encoded, name);
	cr_expect_str_eq(w.events[2].data, expected);
	snprintf(expected, sizeof(expected), SUBSCRIPTIONS "/b%%7B%%2Fc%%7D/%s\"", encoded);
	cr_expect(strstr(w.events[3].data, expected), "%s", w.events[3].data);
	cr_expect(strstr(w.events[3].data, name), "one name for all that it asks for");
	reader_close(&s);
	reader_wait(&w, 6);
	for (size_t i = 4; i < 6; i++)
		cr_expect(strstr(w.events[i].data, name) &&
			  strstr(w.events[i].data, "\"active\":false"));
	/* Who is not authorised sees nothing of it. */
	update(&d, "topic=end&data=end");
	reader_wait_data(&blind, "end");
	cr_expect(blind.count == 1);
	free(name);
	free(encoded);
	reader_close(&w);
	reader_close(&blind);
	daemon_stop(&d);
}

/* A stream that is cut in the middle of a flush is told of, too; and all of it in the history. */
Test(mercure_presence, is_in_the_history)
{
	struct token watcher = watcher_token(), token = token_for("", "");
	struct daemon d;
	struct reader w, s;

	hub_begin(&d, OPTIONS("--mercure-subscriptions"));
	subscribe(&s, &d, "?topic=a", &token);
	reader_abort(&s);
	metric_wait(&d, "ssecast_events_total", 2);
	subscribe(&w, &d, ALL_OF_THEM "&lastEventID=earliest", &watcher);
	reader_wait(&w, 2);
	cr_expect(strstr(w.events[0].data, "\"active\":true"));
	cr_expect(strstr(w.events[1].data, "\"active\":false"));
	reader_close(&w);
	daemon_stop(&d);
}

static int list(const struct daemon *d, struct response *r, const char *rest, const char *fields)
{
	char text[512];

	snprintf(text, sizeof(text), "/subscriptions%s", rest);
	hub_ask(d, r, "GET", text, fields);
	/* For strstr() and the like. */
	buf_add_char(&r->body, '\0');
	r->body.n--;
	return r->status;
}

Test(mercure_presence, lists)
{
	struct token watcher = watcher_token(), token = token_for("", "\"a\""),
		     some = token_for("", "\"" SUBSCRIPTIONS "/a\"");
	struct daemon d;
	struct response r;
	struct reader s;
	char one[256], fields[2 * TOKEN_MAX], *encoded, *etag;

	hub_begin(&d, OPTIONS("--mercure-subscriptions", "--mercure-anonymous"));
	cr_expect(list(&d, &r, "", bearer(&watcher)) == 200);
	cr_expect_str_eq(r.body.p,
			 "{\"@context\":\"https://mercure.rocks/\",\"id\":\"" SUBSCRIPTIONS
			 "\",\"type\":\"Subscriptions\",\"lastEventID\":\"earliest\","
			 "\"subscriptions\":[]}");
	response_done(&r);
	subscribe(&s, &d, "?topic=a&topic=b%2Fc", &token);
	cr_expect(list(&d, &r, "", bearer(&watcher)) == 200);
	cr_expect(response_is(&r, "Content-Type", "application/ld+json"));
	cr_expect(response_has(&r, "\"topic\":\"a\"") && response_has(&r, "\"topic\":\"b/c\""));
	etag = between(r.body.p, "\"lastEventID\":\"", "\"");
	snprintf(one, sizeof(one), "\"%s\"", etag);
	cr_expect(response_is(&r, "ETag", one));
	encoded = between(r.body.p, "subscriptions/a/", "\"");
	response_done(&r);
	snprintf(fields, sizeof(fields), "%sIf-None-Match: \"%s\"\r\n", bearer(&watcher), etag);
	char rest[64] = "/subscriptions";

	cr_expect(hub_ask(&d, &r, "HEAD", rest, fields) == 304);
	response_done(&r);
	/* Of one topic; of one subscriber. */
	cr_expect(list(&d, &r, "/b%2Fc", bearer(&watcher)) == 200);
	cr_expect(response_has(&r, "\"topic\":\"b/c\"") && !response_has(&r, "\"topic\":\"a\""));
	response_done(&r);
	cr_expect(list(&d, &r, "/other", bearer(&watcher)) == 200);
	cr_expect(response_has(&r, "\"subscriptions\":[]"));
	response_done(&r);
	snprintf(one, sizeof(one), "/a/%s", encoded);
	cr_expect(list(&d, &r, one, bearer(&watcher)) == 200);
	cr_expect(str_starts(buf_str(&r.body),
			     STR("{\"@context\":\"https://mercure.rocks/\",\"id\":")));
	cr_expect(response_has(&r, "\"lastEventID\":\"") && response_has(&r, "\"active\":true"));
	response_done(&r);
	snprintf(one, sizeof(one), "/other/%s", encoded);
	cr_expect(list(&d, &r, one, bearer(&watcher)) == 404);
	response_done(&r);
	cr_expect(list(&d, &r, "/a/urn%3Auuid%3Ax", bearer(&watcher)) == 404);
	response_done(&r);
	cr_expect(list(&d, &r, "/a/b/c", bearer(&watcher)) == 403, "no selector has that shape");
	response_done(&r);
	/* Who may. */
	cr_expect(list(&d, &r, "", "") == 401, "not anonymous clients");
	response_done(&r);
	cr_expect(list(&d, &r, "", bearer(&token)) == 403);
	response_done(&r);
	cr_expect(list(&d, &r, "/a", bearer(&some)) == 200);
	response_done(&r);
	cr_expect(list(&d, &r, "/b%2Fc", bearer(&some)) == 403);
	response_done(&r);
	reader_close(&s);
	free(encoded);
	free(etag);
	daemon_stop(&d);
}

/* More than fits into a conn's own bytes. */
Test(mercure_presence, long_lists)
{
	enum { STREAMS = 40, TOPICS = 100 };
	struct token watcher = watcher_token(), token = token_for("", "");
	struct reader s[STREAMS];
	struct daemon d;
	struct response r;
	struct buf query;
	size_t found = 0;

	hub_begin(&d, OPTIONS("--mercure-subscriptions"));
	buf_init(&query, 4000);
	for (int i = 0; i < TOPICS; i++)
		buf_addf(&query, "%ctopic=topic-%d", i ? '&' : '?', i);
	buf_add_char(&query, '\0');
	for (int i = 0; i < STREAMS; i++)
		subscribe(&s[i], &d, query.p, &token);
	cr_expect(list(&d, &r, "", bearer(&watcher)) == 200);
	cr_expect(r.body.n > 1 << 19, "%zu bytes", r.body.n);
	for (const char *at = r.body.p; (at = strstr(at, "\"active\":true")); at++)
		found++;
	cr_expect(found == STREAMS * TOPICS, "%zu", found);
	response_done(&r);
	for (int i = 0; i < STREAMS; i++)
		reader_close(&s[i]);
	metric_wait(&d, "ssecast_events_total", 2 * STREAMS * TOPICS);
	cr_expect(list(&d, &r, "", bearer(&watcher)) == 200);
	cr_expect(response_has(&r, "\"subscriptions\":[]"));
	response_done(&r);
	buf_done(&query);
	daemon_stop(&d);
}

Test(mercure_presence, lists_that_nobody_reads_hold_no_more_memory_than_is_allowed)
{
	enum { STREAMS = 40, TOPICS = 100, ASKING = 20, MAX = 6 << 20 };
	struct token watcher = watcher_token(), token = token_for("", "");
	struct client asking[ASKING];
	struct reader s[STREAMS];
	struct response r;
	struct daemon d;
	struct buf query;
	double most = 0;

	hub_begin(&d, OPTIONS("--mercure-subscriptions", "--max-request-memory", "6M", "--sndbuf",
			      "8K"));
	buf_init(&query, 4000);
	for (int i = 0; i < TOPICS; i++)
		buf_addf(&query, "%ctopic=topic-%d", i ? '&' : '?', i);
	buf_add_char(&query, '\0');
	for (int i = 0; i < STREAMS; i++)
		subscribe(&s[i], &d, query.p, &token);
	for (int i = 0; i < ASKING; i++) {
		double held;

		client_open_tiny(&asking[i], d.port);
		client_sendf(&asking[i], "GET " HUB "/subscriptions HTTP/1.1\r\nHost: a\r\n%s\r\n",
			     bearer(&watcher));
		client_need(&asking[i], 15);
		held = metric(&d, "ssecast_request_bytes");
		cr_assert(held <= (double)MAX, "%.0f", held);
		most = held > most ? held : most;
	}
	cr_expect(most > (double)MAX / 2, "%.0f", most);
	cr_expect(list(&d, &r, "", bearer(&watcher)) == 503);
	response_done(&r);
	for (int i = 0; i < ASKING; i++)
		client_close(&asking[i]);
	metric_wait_down(&d, "ssecast_request_bytes", 64 * 1024);
	cr_expect(list(&d, &r, "", bearer(&watcher)) == 200);
	response_done(&r);
	for (int i = 0; i < STREAMS; i++)
		reader_close(&s[i]);
	buf_done(&query);
	daemon_stop(&d);
}

Test(mercure_presence, is_off_until_asked_for)
{
	struct token watcher = token_for("", "\"*\"");
	struct daemon d;
	struct response r;
	struct reader w, s;

	hub_begin(&d, NULL);
	subscribe(&w, &d, "?topic=*", &watcher);
	subscribe(&s, &d, "?topic=a", &watcher);
	update(&d, "topic=end&data=end");
	reader_wait_data(&w, "end");
	cr_expect(w.count == 1);
	cr_expect(list(&d, &r, "", bearer(&watcher)) == 404);
	response_done(&r);
	reader_close(&w);
	reader_close(&s);
	daemon_stop(&d);
}

/* The next binary knows who is there, what each may see, and until when. */
Test(mercure_presence, outlives_an_upgrade)
{
	struct token watcher = watcher_token(), sees = token_for("", "\"a\""),
		     blind = token_for("", "\"b\"");
	struct daemon d;
	struct response r;
	struct reader w, s, other;
	char *name, *again;

	hub_begin(&d, OPTIONS("--mercure-subscriptions"));
	subscribe(&w, &d, ALL_OF_THEM, &watcher);
	subscribe(&s, &d, "?topic=a", &sees);
	subscribe(&other, &d, "?topic=a", &blind);
	reader_wait(&w, 2);
	name = between(w.events[0].data, "\"subscriber\":\"", "\"");
	daemon_forget_log(&d);
	daemon_signal(&d, SIGUSR2);
	daemon_wait_log(&d, "upgraded from");
	daemon_wait_log(&d, "ready");
	cr_expect(list(&d, &r, "", bearer(&watcher)) == 200);
	cr_expect(response_has(&r, name) && response_has(&r, "{/topic}{/subscriber}"));
	response_done(&r);
	update(&d, "topic=a&data=secret&private");
	update(&d, "topic=a&data=end");
	reader_wait_data(&s, "end");
	cr_expect(s.count == 2);
	reader_wait_data(&other, "end");
	cr_expect(other.count == 1);
	reader_close(&s);
	reader_wait(&w, 3);
	again = between(w.events[2].data, "\"subscriber\":\"", "\"");
	cr_expect_str_eq(again, name);
	cr_expect(strstr(w.events[2].data, "\"active\":false"));
	free(name);
	free(again);
	reader_close(&w);
	reader_close(&other);
	daemon_stop(&d);
}
