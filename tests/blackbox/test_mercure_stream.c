/*
 * Streams of the Mercure protocol: what they begin with, what they resume from, and that a private
 * update reaches exactly those who may see it, live and on replay; and the same tokens on /sse and
 * /publish.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "hubclient.h"
#include "metrics.h"

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))
#define B          "https%3A%2F%2Fexample.com"

Test(mercure_stream, begins_as_the_protocol_has_it)
{
	struct token token = token_for("", "\"*\"");
	struct daemon d;
	struct reader s;

	hub_begin(&d, NULL);
	subscribe(&s, &d, "?topic=a", &token);
	cr_expect(response_is(&s.head, "Content-Type", "text/event-stream"));
	cr_expect(response_is(&s.head, "X-Accel-Buffering", "no"));
	cr_expect(!response_header(&s.head, "Last-Event-ID").p, "there was no cursor");
	update(&d, "topic=a&data=1");
	reader_wait(&s, 1);
	cr_expect_str_eq(s.events[0].data, "1", "there is no welcome");
	cr_expect(str_starts(buf_str(&s.text), STR(":")), "a comment comes first");
	reader_close(&s);
	daemon_stop(&d);
}

/* Selectors of all kinds, several topics, one event each time. */
static const struct {
	const char *query, *form;
	bool gets;
} rows[] = {
	{ "?topic=a", "topic=a", true },
	{ "?topic=a", "topic=b", false },
	{ "?topic=a&topic=b", "topic=b", true },
	{ "?topic=*", "topic=anything", true },
	{ "?topic=" B "%2Fbooks%2F%7Bid%7D", "topic=" B "%2Fbooks%2F1", true },
	{ "?topic=" B "%2Fbooks%2F{id}", "topic=" B "%2Fbooks%2F1%2F2", false },
	{ "?topic=" B "%2F%7B%2Bpath%7D", "topic=" B "%2Fa%2Fb%3Fc%3Dd%23e", true },
	{ "?topic=a%7B", "topic=a%7B", true },
	{ "?topic=b", "topic=a&topic=b", true },
	{ "?topic=b&topic=a", "topic=a&topic=b", true },
};

Test(mercure_stream, selectors_and_alternates)
{
	struct token token = token_for("", "");
	struct daemon d;

	hub_begin(&d, NULL);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct reader s;
		char query[256];

		/* What comes last, comes in any case. */
		snprintf(query, sizeof(query), "%s&topic=last", rows[i].query);
		subscribe(&s, &d, query, &token);
		update(&d, rows[i].form);
		update(&d, "topic=last&data=end");
		reader_wait_data(&s, "end");
		cr_expect(s.count == 1u + rows[i].gets, "row %zu: %zu events", i, s.count);
		reader_close(&s);
	}
	daemon_stop(&d);
}

static const struct {
	const char *publish;   /* a private update, with data=secret */
	const char *subscribe; /* the claim */
	bool gets;
} privates[] = {
	{ "topic=a&private=on", "\"a\"", true },
	{ "topic=a&private", "\"a\"", true },
	{ "topic=a&private=", "\"b\"", false },
	{ "topic=a&private=on", "", false },
	{ "topic=a&private=on", "\"*\"", true },
	{ "topic=a&private=on", "\"{x}\"", true },
	{ "topic=a&private=on", "\"b\",\"c{/x}\"", false },
	/* What is subscribed to and what is claimed may be different topics. */
	{ "topic=a&topic=users/1&private=on", "\"users/1\"", true },
	{ "topic=users/1&topic=a&private=on", "\"users{/id}\"", true },
	{ "topic=a&topic=users/1&private=on", "\"users/2\"", false },
	/* A claim alone subscribes to nothing. */
	{ "topic=users/1&private=on", "\"*\"", false },
};

/* Reads to the event that everybody gets: exactly who may has the secret. */
static void expect_secret(struct reader *s, size_t row, const char *when)
{
	reader_wait_data(s, "end");
	cr_expect(s->count == 1u + privates[row].gets, "row %zu, %s: %zu events", row, when,
		  s->count);
	cr_expect(s->count < 2 || strcmp(s->events[0].data, "secret") == 0);
}

Test(mercure_stream, a_private_update_reaches_exactly_those_who_may_see_it)
{
	struct reader readers[ROWS(privates)], plain, control, anonymous;
	struct daemon d;
	char form[128];

	for (size_t i = 0; i < ROWS(privates); i++) {
		hub_begin(&d, OPTIONS("--mercure-anonymous", "--welcome", ""));
		/* All claims subscribe at once, and only the row's own update is published. */
		for (size_t k = 0; k < ROWS(privates); k++) {
			struct token token = token_for("", privates[k].subscribe);

			subscribe(&readers[k], &d, "?topic=a", &token);
		}
		subscribe(&anonymous, &d, "?topic=a", NULL);
		reader_open(&plain, &d, "/sse?topic=a&topic=users/1", "");
		struct client c;

		client_open_control(&c, &d);
		client_sendf(&c, "GET /sse?topic=a&topic=users/1 HTTP/1.1\r\nHost: a\r\n\r\n");
		reader_begin(&control, &c);
		snprintf(form, sizeof(form), "%s&data=secret", privates[i].publish);
		update(&d, form);
		update(&d, "topic=a&data=end");
		expect_secret(&readers[i], i, "live");
		reader_wait_data(&anonymous, "end");
		cr_expect(anonymous.count == 1);
		reader_wait_data(&plain, "end");
		cr_expect(plain.count == 1);
		reader_wait_data(&control, "end");
		cr_expect(control.count == 2, "who has the control listener may see everything");
		for (size_t k = 0; k < ROWS(privates); k++)
			reader_close(&readers[k]);
		reader_close(&anonymous);
		reader_close(&plain);
		reader_close(&control);
		/* And the same on replay. */
		struct token token = token_for("", privates[i].subscribe);

		subscribe(&readers[i], &d, "?topic=a&lastEventID=earliest", &token);
		expect_secret(&readers[i], i, "replayed");
		reader_close(&readers[i]);
		subscribe(&anonymous, &d, "?topic=a&lastEventID=earliest", NULL);
		reader_wait_data(&anonymous, "end");
		cr_expect(anonymous.count == 1);
		reader_close(&anonymous);
		daemon_stop(&d);
	}
}

/* Where a stream begins: the query, a header field, what is answered, the first data. */
static const struct {
	const char *query, *fields, *answered, *first;
	bool has_gap;
} cursors[] = {
	{ "", "Last-Event-ID: id2\r\n", "id2", "3", false },
	{ "&lastEventID=id1", "", "id1", "2", false },
	{ "&Last-Event-ID=id1", "", "id1", "2", false },
	{ "&lastEventID=id1", "Last-Event-ID: id2\r\n", "id2", "3", false },
	{ "&lastEventID=id1&Last-Event-ID=id2", "", "id1", "2", false },
	{ "&lastEventID=&Last-Event-ID=id2", "", "id2", "3", false },
	{ "&lastEventID=id1", "Last-Event-ID: \r\n", "id1", "2", false },
	{ "&lastEventID=earliest", "", "earliest", "1", false },
	{ "", "Last-Event-ID: earliest\r\n", "earliest", "1", false },
	{ "&lastEventID=unknown", "", "earliest", "1", true },
	/* On duplicate ids the earliest one counts. */
	{ "&lastEventID=twice", "", "twice", "5", false },
};

Test(mercure_stream, where_it_resumes)
{
	struct token token = token_for("", "");
	struct daemon d;

	hub_begin(&d, NULL);
	update(&d, "topic=a&data=1&id=id1");
	update(&d, "topic=a&data=2&id=id2");
	update(&d, "topic=a&data=3&id=id3");
	update(&d, "topic=a&data=4&id=twice");
	update(&d, "topic=a&data=5&id=id5");
	update(&d, "topic=a&data=6&id=twice");
	for (size_t i = 0; i < ROWS(cursors); i++) {
		char target[128], fields[2 * TOKEN_MAX];
		struct reader s;
		size_t at = cursors[i].has_gap;

		snprintf(target, sizeof(target), HUB "?topic=a%s", cursors[i].query);
		snprintf(fields, sizeof(fields), "%s%s", bearer(&token), cursors[i].fields);
		reader_open(&s, &d, target, fields);
		cr_expect(response_is(&s.head, "Last-Event-ID", cursors[i].answered), "row %zu", i);
		reader_wait_data(&s, "6");
		cr_expect(!cursors[i].has_gap || strcmp(s.events[0].type, "gap") == 0);
		cr_expect_str_eq(s.events[at].data, cursors[i].first, "row %zu", i);
		reader_close(&s);
	}
	daemon_stop(&d);
}

Test(mercure_stream, nothing_retained_is_earliest)
{
	struct token token = token_for("", "");
	struct daemon d;
	struct reader s;

	hub_begin(&d, NULL);
	subscribe(&s, &d, "?topic=a&lastEventID=id1", &token);
	cr_expect(response_is(&s.head, "Last-Event-ID", "earliest"));
	reader_close(&s);
	/* What is no header value is not sent as one. */
	subscribe(&s, &d, "?topic=a&lastEventID=a%0D%0ASet-Cookie:%20b", &token);
	cr_expect(response_is(&s.head, "Last-Event-ID", "earliest"));
	cr_expect(!response_header(&s.head, "Set-Cookie").p);
	reader_close(&s);
	daemon_stop(&d);
}

/* A token that lives as long as so many seconds from now. */
static struct token short_lived(double seconds)
{
	struct timespec now;
	char claims[256];

	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(claims, sizeof(claims),
		 "{\"mercure\":{\"subscribe\":[\"*\"],\"publish\":[\"*\"]},\"exp\":%.3f}",
		 (double)now.tv_sec + (double)now.tv_nsec / 1e9 + seconds);
	return token_of(claims);
}

Test(mercure_stream, ends_with_its_token)
{
	struct token brief = short_lived(2.5), lasting = token_for("", "\"*\"");
	struct daemon d;
	struct reader mine, other, sse;
	struct response r;

	hub_begin(&d, NULL);
	subscribe(&mine, &d, "?topic=a", &brief);
	reader_open(&sse, &d, "/sse?topic=a", bearer(&brief));
	subscribe(&other, &d, "?topic=a", &lasting);
	update(&d, "topic=a&data=1&private=on");
	reader_wait_data(&mine, "1");
	reader_wait_end(&mine);
	reader_wait_end(&sse);
	update(&d, "topic=a&data=2&private=on");
	reader_wait_data(&other, "2");
	cr_expect(mine.count == 1);
	cr_expect(hub_ask(&d, &r, "GET", "?topic=a", bearer(&brief)) == 401);
	response_done(&r);
	metric_wait(&d, "ssecast_disconnects_total{reason=\"expired\"}", 2);
	reader_close(&mine);
	reader_close(&sse);
	reader_close(&other);
	daemon_stop(&d);
}

/* --- the same tokens elsewhere --- */

/* Who has begun to publish in time may not go on for ever. */
Test(mercure_stream, flow_ends_with_its_token)
{
	struct token brief = short_lived(2.5);
	struct daemon d;
	struct client c;
	struct response r;

	hub_begin(&d, NULL);
	client_open(&c, &d);
	client_sendf(&c,
		     "POST /publish/a HTTP/1.1\r\nHost: a\r\n%sTransfer-Encoding: chunked\r\n"
		     "Content-Type: application/x-ndjson\r\n\r\n3\r\n{}\n\r\n",
		     bearer(&brief));
	client_read(&c, &r);
	cr_expect_eq(r.status, 401);
	cr_expect(response_has(&r, "The token has expired."));
	cr_expect(response_has(&r, "\"accepted\":1,"));
	response_done(&r);
	client_expect_eof(&c);
	metric_wait(&d, "ssecast_disconnects_total{reason=\"expired\"}", 1);
	client_close(&c);
	daemon_stop(&d);
}

static int publish_with(const struct daemon *d, const char *target, const char *fields,
			const char *body)
{
	struct client c;
	struct response r;

	client_open(&c, d);
	client_sendf(&c, "POST %s HTTP/1.1\r\nHost: a\r\n%sContent-Length: %zu\r\n\r\n%s", target,
		     fields, str_of(body).n, body);
	client_read(&c, &r);
	client_close(&c);
	response_done(&r);
	return r.status;
}

Test(mercure_stream, the_same_tokens_publish_on_publish)
{
	struct token token = token_for("\"ok{/x}\"", "\"*\""), none = token_for("", "");
	char ndjson[2 * TOKEN_MAX];
	struct daemon d;
	struct reader s;

	hub_begin(&d, OPTIONS("--welcome", ""));
	reader_open(&s, &d, "/sse?topic=ok%7B/x%7D", bearer(&token));
	cr_expect(publish_with(&d, "/publish/ok", "", "x") == 401);
	cr_expect(publish_with(&d, "/publish/ok", bearer(&none), "x") == 403);
	cr_expect(publish_with(&d, "/publish/no", bearer(&token), "x") == 403);
	cr_expect(publish_with(&d, "/publish?topic=ok&topic=no", bearer(&token), "x") == 403);
	cr_expect(publish_with(&d, "/publish?topic=ok/1&private", bearer(&token), "1") == 200);
	snprintf(ndjson, sizeof(ndjson), "Content-Type: application/x-ndjson\r\n%s",
		 bearer(&token));
	cr_expect(publish_with(&d, "/publish/ok", ndjson,
			       "{\"data\":\"2\"}\n{\"topic\":\"no\",\"data\":\"3\"}\n") == 403);
	cr_expect(publish_with(&d, "/publish/ok", bearer(&token), "4") == 200);
	reader_wait(&s, 3);
	cr_expect_str_eq(s.events[0].data, "1");
	cr_expect_str_eq(s.events[1].data, "2", "what came before the refused one stays");
	cr_expect_str_eq(s.events[2].data, "4");
	reader_close(&s);
	daemon_stop(&d);
}

static int status_of(const struct daemon *d, const char *target, const char *fields)
{
	struct client c;
	struct response r;

	client_open(&c, d);
	client_sendf(&c, "HEAD %s HTTP/1.1\r\nHost: a\r\n%s\r\n", target, fields);
	client_read_bodiless(&c, &r);
	client_close(&c);
	response_done(&r);
	return r.status;
}

Test(mercure_stream, require_token_guards_sse)
{
	struct token token = token_for("", ""),
		     forged = token_with("{\"alg\":\"HS256\"}", "{}", "x");
	struct daemon d;
	struct client c;
	struct reader s;

	hub_begin(&d, OPTIONS("--require-token"));
	cr_expect(status_of(&d, "/sse", "") == 401);
	cr_expect(status_of(&d, "/events?topic=a", "") == 401);
	cr_expect(status_of(&d, "/sse?poll", "") == 401);
	cr_expect(status_of(&d, "/sse", bearer(&forged)) == 401);
	cr_expect(status_of(&d, "/sse", bearer(&token)) == 200);
	cr_expect(status_of(&d, "/", "") == 200, "pages need none");
	client_open_control(&c, &d);
	client_sendf(&c, "GET /sse HTTP/1.1\r\nHost: a\r\n\r\n");
	reader_begin(&s, &c);
	reader_close(&s);
	daemon_stop(&d);
	/* Without it, a forged token is refused all the same, and nobody needs one. */
	hub_begin(&d, NULL);
	cr_expect(status_of(&d, "/sse", "") == 200);
	cr_expect(status_of(&d, "/sse", bearer(&forged)) == 401);
	daemon_stop(&d);
}

Test(mercure_stream, require_token_needs_a_key)
{
	struct daemon d;

	daemon_init(&d);
	cr_expect(daemon_run(&d, OPTIONS("--listen", "127.0.0.1:0", "--require-token")) == 1);
	cr_expect(daemon_has_said(&d, "--mercure-subscriber-key-file"));
	daemon_done(&d);
}

/* --- pages of other origins --- */

Test(mercure_stream, pages_of_named_origins_may_send_cookies)
{
	struct token token = token_for("", "");
	char fields[2 * TOKEN_MAX];
	struct daemon d;
	struct response r;

	hub_begin(&d, OPTIONS("--cors-origin", "https://good.example", "--cors-origin", "null"));
	snprintf(fields, sizeof(fields), "%sOrigin: https://good.example\r\n", bearer(&token));
	cr_expect(hub_ask(&d, &r, "HEAD", "?topic=a", fields) == 200);
	cr_expect(response_is(&r, "Access-Control-Allow-Origin", "https://good.example"));
	cr_expect(response_is(&r, "Access-Control-Allow-Credentials", "true"));
	cr_expect(response_is(&r, "Access-Control-Expose-Headers", "Last-Event-ID"));
	cr_expect(response_is(&r, "Vary", "Origin"));
	response_done(&r);
	cr_expect(hub_ask(&d, &r, "HEAD", "", "Origin: https://good.example\r\n") == 401);
	cr_expect(response_is(&r, "Access-Control-Allow-Origin", "https://good.example"),
		  "a refusal can be read, too");
	response_done(&r);
	snprintf(fields, sizeof(fields), "%sOrigin: https://evil.example\r\n", bearer(&token));
	cr_expect(hub_ask(&d, &r, "HEAD", "?topic=a", fields) == 200);
	cr_expect(!response_header(&r, "Access-Control-Allow-Origin").p);
	cr_expect(!response_header(&r, "Access-Control-Allow-Credentials").p);
	response_done(&r);
	cr_expect(hub_ask(&d, &r, "HEAD", "", "Origin: null\r\n") == 401);
	cr_expect(response_is(&r, "Access-Control-Allow-Origin", "null"));
	cr_expect(!response_header(&r, "Access-Control-Allow-Credentials").p);
	response_done(&r);
	cr_expect(hub_ask(&d, &r, "OPTIONS", "",
			  "Origin: https://good.example\r\nAccess-Control-Request-Method: POST\r\n"
			  "Access-Control-Request-Headers: authorization\r\n") == 204);
	cr_expect(response_is(&r, "Access-Control-Allow-Origin", "https://good.example"));
	cr_expect(response_is(&r, "Access-Control-Allow-Credentials", "true"));
	cr_expect(response_is(&r, "Access-Control-Allow-Methods", "GET, HEAD, POST"));
	cr_expect(response_is(&r, "Vary", "Origin"));
	response_done(&r);
	daemon_stop(&d);
	hub_begin(&d, NULL);
	cr_expect(hub_ask(&d, &r, "HEAD", "", "Origin: https://good.example\r\n") == 401);
	cr_expect(response_is(&r, "Access-Control-Allow-Origin", "*"));
	cr_expect(!response_header(&r, "Access-Control-Allow-Credentials").p);
	response_done(&r);
	daemon_stop(&d);
}
