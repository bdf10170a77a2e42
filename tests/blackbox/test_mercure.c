/*
 * The Mercure protocol over real sockets, point by point: who may publish and subscribe, what is
 * said in which order, and that a private update reaches exactly those who may see it.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hubclient.h"
#include "metrics.h"

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))
#define GET(...)   hub_ask(&d, &r, "GET", __VA_ARGS__)
#define HEAD(...)  hub_ask(&d, &r, "HEAD", __VA_ARGS__)

/* --- publishing --- */

Test(mercure, answers_the_id_and_nothing_else)
{
	struct token token = token_for("\"*\"", "\"*\"");
	struct daemon d;
	struct response r;
	struct reader s;

	hub_begin(&d, NULL);
	subscribe(&s, &d, "?topic=https%3A%2F%2Fexample.com%2Fbooks%2F1", &token);
	cr_expect(hub_update(&d, &r, &token,
			     STR("topic=https%3A%2F%2Fexample.com%2Fbooks%2F1&data=a+b%0Ac%2B"
				 "&id=urn:uuid:1&type=t&retry=5&unknown=x")) == 200);
	cr_expect(str_eq(buf_str(&r.body), STR("urn:uuid:1")));
	cr_expect(str_starts(response_header(&r, "Content-Type"), STR("text/plain")));
	response_done(&r);
	reader_wait(&s, 1);
	cr_expect_str_eq(s.events[0].data, "a b\nc+");
	cr_expect_str_eq(s.events[0].id, "urn:uuid:1");
	cr_expect_str_eq(s.events[0].type, "t");
	cr_expect(s.retry_ms == 5);
	/* Without an id there is one of ours. */
	cr_expect(hub_update(&d, &r, &token, STR("topic=https%3A%2F%2Fexample.com%2Fbooks%2F1")) ==
		  200);
	reader_wait(&s, 2);
	cr_expect(str_eq(buf_str(&r.body), str_of(s.events[1].id)) && strchr(s.events[1].id, '-'));
	cr_expect_str_eq(s.events[1].data, "");
	response_done(&r);
	reader_close(&s);
	daemon_stop(&d);
}

Test(mercure, the_first_value_wins_and_retry_0_is_not_sent)
{
	struct token token = token_for("\"*\"", "");
	struct daemon d;
	struct reader s;

	hub_begin(&d, NULL);
	subscribe(&s, &d, "?topic=a", &token);
	update(&d, "topic=a&data=&data=2&id=i1&id=i2&type=&type=u&retry=0&retry=7");
	reader_wait(&s, 1);
	cr_expect_str_eq(s.events[0].data, "");
	cr_expect_str_eq(s.events[0].id, "i1");
	cr_expect_str_eq(s.events[0].type, "message");
	cr_expect(s.retries == 1 && s.retry_ms == 3000, "only that of the beginning");
	reader_close(&s);
	daemon_stop(&d);
}

static const struct {
	struct str form;
	int status;
	const char *says;
} forms[] = {
	{ STR("data=x"), 400, "Missing \"topic\" parameter\n" },
	{ STR(""), 400, "Missing \"topic\" parameter\n" },
	{ STR("topic=ok%2"), 400, "percent" },
	{ STR("topic=ok&data=%zz"), 400, "percent" },
	{ STR("topic=ok&retry=x"), 400, "retry" },
	{ STR("topic=ok&retry=-1"), 400, "retry" },
	{ STR("topic=ok&retry=18446744073709551616"), 400, "retry" },
	{ STR("topic=ok&retry="), 200, NULL },
	{ STR("topic=no"), 403, NULL },
	{ STR("topic=ok&topic=no"), 403, NULL },
	{ STR("topic=ok/1"), 200, NULL },
	{ STR("topic=ok&topic=ok/1&private"), 200, NULL },
	{ STR("topic=/.well-known/mercure"), 403, NULL },
	{ STR("topic=/.well-known/mercure/subscriptions/a/b"), 403, NULL },
	{ STR("topic=ok&id=a%0Ab"), 400, NULL },
	{ STR("topic=ok&id=a%0Db"), 400, NULL },
	{ STR("topic=ok&id=a%00b"), 400, NULL },
	{ STR("topic=ok&type=a%0Ab"), 400, NULL },
	{ STR("topic=ok&type=a%00b"), 400, NULL },
	{ STR("topic=ok&id=%23a"), 400, "#" },
	{ STR("topic=ok&id=earliest"), 400, "earliest" },
	{ STR("topic=ok&data=%FF"), 400, NULL },
	{ STR("topic="), 400, NULL },
	/* The order of the checks. */
	{ STR("topic=no&retry=x"), 400, "retry" },
	{ STR("retry=x"), 400, "Missing" },
	{ STR("topic=no&data=%"), 400, "percent" },
};

Test(mercure, refuses_with_one_sentence_and_stores_nothing)
{
	struct token token = token_for("\"ok{/x}\",\"/.well-known/mercure{+x}\"", "");
	struct daemon d;
	double published = 0;

	hub_begin(&d, NULL);
	for (size_t i = 0; i < ROWS(forms); i++) {
		struct response r;
		int status = hub_update(&d, &r, &token, forms[i].form);
		struct str body = buf_str(&r.body);

		cr_expect(status == forms[i].status, "row %zu: %d", i, status);
		cr_expect(!forms[i].says || response_has(&r, forms[i].says), "row %zu", i);
		if (status == 200)
			published++;
		else
			cr_expect(str_find(body, '\n') == body.n - 1 &&
					  response_is(&r, "Content-Type",
						      "text/plain; charset=utf-8"),
				  "row %zu", i);
		response_done(&r);
	}
	cr_expect(metric(&d, "ssecast_events_total") == published);
	daemon_stop(&d);
}

Test(mercure, topics_of_an_update_have_a_limit)
{
	struct token token = token_for("\"*\"", "");
	struct daemon d;
	struct response r;
	struct buf form;

	hub_begin(&d, NULL);
	buf_init(&form, 1 << 20);
	for (int i = 0; i < 1000; i++)
		buf_addf(&form, "topic=t%d&", i);
	cr_expect(hub_update(&d, &r, &token, buf_str(&form)) == 200);
	response_done(&r);
	buf_add(&form, STR("topic=t"));
	cr_expect(hub_update(&d, &r, &token, buf_str(&form)) == 400);
	response_done(&r);
	buf_done(&form);
	daemon_stop(&d);
}

Test(mercure, other_bodies_have_no_fields_and_large_ones_are_refused)
{
	struct token token = token_for("\"*\"", "");
	char fields[2 * TOKEN_MAX + 128];
	struct daemon d;
	struct response r;
	struct buf form;

	hub_begin(&d, OPTIONS("--max-body", "1000"));
	snprintf(fields, sizeof(fields), "Content-Type: application/json\r\n%s", bearer(&token));
	cr_expect(hub_post(&d, &r, fields, STR("topic=a")) == 400);
	cr_expect(response_has(&r, "Missing \"topic\" parameter"));
	response_done(&r);
	cr_expect(hub_post(&d, &r, bearer(&token), STR("topic=a")) == 400);
	response_done(&r);
	snprintf(fields, sizeof(fields),
		 "Content-Type: Application/x-www-form-urlencoded; charset=utf-8\r\n%s",
		 bearer(&token));
	cr_expect(hub_post(&d, &r, fields, STR("topic=a")) == 200);
	response_done(&r);
	buf_init(&form, 2000);
	buf_add(&form, STR("topic=a&data="));
	while (form.n < 1001)
		buf_add_char(&form, 'x');
	cr_expect(hub_update(&d, &r, &token, buf_str(&form)) == 413);
	response_done(&r);
	buf_done(&form);
	daemon_stop(&d);
}

/* --- who may --- */

/* Tokens that are worth nothing, to publish or to subscribe. */
static size_t bad_tokens(struct token bad[16])
{
	struct token good = token_for("\"*\"", "\"*\"");
	size_t n = 0;

	bad[n++] = token_with("{\"alg\":\"HS256\"}", "{\"mercure\":{\"publish\":[\"*\"]}}",
			      "another key");
	bad[n++] =
		token_with("{\"alg\":\"none\"}", "{\"mercure\":{\"publish\":[\"*\"]}}", TOKEN_KEY);
	bad[n++] =
		token_with("{\"alg\":\"HS512\"}", "{\"mercure\":{\"publish\":[\"*\"]}}", TOKEN_KEY);
	bad[n++] = token_of("{\"mercure\":{\"publish\":[\"*\"]},\"exp\":1}");
	bad[n++] = token_of("{\"mercure\":{\"publish\":[\"*\"]},\"nbf\":99999999999}");
	bad[n++] = token_of("{\"mercure\":{\"publish\":\"*\"}}");
	bad[n++] = token_of("{\"mercure\":[]}");
	bad[n] = good;
	bad[n++].text[strlen(good.text) - 1] = '\0';
	bad[n] = good;
	*strrchr(bad[n++].text, '.') = '\0';
	bad[n] = good;
	strrchr(bad[n++].text, '.')[1] = '\0'; /* no signature */
	bad[n] = good;
	bad[n].text[40] = (char)(bad[n].text[40] == 'A' ? 'B' : 'A');
	n++;
	bad[n++] = (struct token){ "" };
	bad[n++] = (struct token){ "a.b.c" };
	return n;
}

Test(mercure, bad_tokens_are_worth_nothing)
{
	struct token bad[16];
	size_t count = bad_tokens(bad);
	struct response r;
	struct daemon d;

	/* Anonymous clients may subscribe: a bad token is worse than none. */
	hub_begin(&d, OPTIONS("--mercure-anonymous"));
	for (size_t i = 0; i < count; i++) {
		cr_expect(hub_update(&d, &r, &bad[i], STR("topic=a")) == 401, "token %zu", i);
		cr_expect(response_is(&r, "WWW-Authenticate", "Bearer"));
		response_done(&r);
		cr_expect(GET("?topic=a", bearer(&bad[i])) == 401, "token %zu", i);
		response_done(&r);
	}
	cr_expect(hub_post(&d, &r, FORM, STR("topic=a")) == 401, "no token");
	response_done(&r);
	cr_expect(hub_post(&d, &r, FORM "Authorization: Basic YTpi\r\n", STR("topic=a")) == 401);
	response_done(&r);
	daemon_stop(&d);
}

Test(mercure, a_token_must_speak_of_publishing)
{
	struct token none = token_of("{}"),
		     no_list = token_of("{\"mercure\":{\"subscribe\":[\"*\"]}}"),
		     empty = token_for("", "\"*\"");
	struct daemon d;
	struct response r;

	hub_begin(&d, NULL);
	cr_expect(hub_update(&d, &r, &none, STR("topic=a")) == 401);
	response_done(&r);
	cr_expect(hub_update(&d, &r, &no_list, STR("topic=a")) == 401);
	response_done(&r);
	cr_expect(hub_update(&d, &r, &empty, STR("topic=a")) == 403,
		  "an empty list grants nothing");
	response_done(&r);
	cr_expect(GET("?topic=a", "") == 401, "nobody subscribes without a token");
	response_done(&r);
	cr_expect(GET("", "") == 401, "that comes before the missing topic");
	response_done(&r);
	cr_expect(GET("", bearer(&none)) == 400);
	cr_expect(response_has(&r, "Missing \"topic\" parameter"));
	response_done(&r);
	daemon_stop(&d);
}

Test(mercure, where_the_token_is)
{
	struct token good = token_for("\"*\"", "\"*\""), bad = token_of("{\"exp\":1}");
	char query[TOKEN_MAX + 64], fields[3 * TOKEN_MAX];
	struct daemon d;
	struct response r;

	hub_begin(&d, OPTIONS("--access-log", "--mercure-cookie", "auth",
			      "--mercure-publish-origin", "https://good.example"));
	snprintf(query, sizeof(query), "?topic=a&authorization=%s", good.text);
	cr_expect(HEAD(query, "") == 200, "query");
	response_done(&r);
	snprintf(fields, sizeof(fields), "Cookie: x=y; auth=%s; z\r\n", good.text);
	cr_expect(HEAD("?topic=a", fields) == 200, "cookie");
	response_done(&r);
	snprintf(fields, sizeof(fields), "authorization: bearer  %s\r\n", good.text);
	cr_expect(HEAD("?topic=a", fields) == 200, "the scheme in any case");
	response_done(&r);
	/* Whichever is first counts, right or wrong. */
	snprintf(fields, sizeof(fields), "Authorization: Bearer %s\r\nCookie: auth=%s\r\n",
		 bad.text, good.text);
	cr_expect(GET(query, fields) == 401, "header before query and cookie");
	response_done(&r);
	snprintf(query, sizeof(query), "?topic=a&authorization=%s", bad.text);
	snprintf(fields, sizeof(fields), "Cookie: auth=%s\r\n", good.text);
	cr_expect(GET(query, fields) == 401, "query before cookie");
	response_done(&r);
	daemon_wait_log(&d, "authorization=*** HTTP");
	cr_expect(!daemon_has_said(&d, good.text) && !daemon_has_said(&d, bad.text));
	daemon_stop(&d);
}

Test(mercure, a_cookie_publishes_only_for_pages_that_may)
{
	static const struct {
		const char *fields;
		int status;
	} rows[] = {
		{ "", 401 },
		{ "Origin: https://good.example\r\n", 200 },
		{ "Origin: https://evil.example\r\n", 401 },
		{ "Origin: https://good.example.evil.example\r\n", 401 },
		{ "Referer: https://good.example/page?x=/y\r\n", 200 },
		{ "Referer: https://good.example\r\n", 200 },
		{ "Referer: https://evil.example/https://good.example/\r\n", 401 },
		{ "Origin: https://evil.example\r\nReferer: https://good.example/\r\n", 401 },
	};
	struct token good = token_for("\"*\"", "");
	struct daemon d;

	hub_begin(&d, OPTIONS("--mercure-publish-origin", "https://good.example"));
	for (size_t i = 0; i < ROWS(rows); i++) {
		char fields[2 * TOKEN_MAX];
		struct response r;

		snprintf(fields, sizeof(fields), FORM "Cookie: mercureAuthorization=%s\r\n%s",
			 good.text, rows[i].fields);
		cr_expect(hub_post(&d, &r, fields, STR("topic=a")) == rows[i].status, "row %zu", i);
		response_done(&r);
	}
	daemon_stop(&d);
}

Test(mercure, is_not_there_until_it_is_set_up)
{
	struct token token = token_for("\"*\"", "\"*\"");
	struct daemon d;
	struct response r;

	daemon_begin(&d, NULL);
	cr_expect(GET("?topic=a", bearer(&token)) == 404);
	response_done(&r);
	cr_expect(hub_update(&d, &r, &token, STR("topic=a")) == 404);
	response_done(&r);
	daemon_stop(&d);
	daemon_begin(&d, OPTIONS("--mercure-anonymous"));
	cr_expect(HEAD("?topic=a", "") == 200);
	response_done(&r);
	cr_expect(GET("?topic=a", bearer(&token)) == 401);
	response_done(&r);
	daemon_stop(&d);
}

Test(mercure, methods_and_paths)
{
	struct daemon d;
	struct response r;

	hub_begin(&d, OPTIONS("--mercure-anonymous"));
	cr_expect(request(&d, &r, "PUT " HUB " HTTP/1.1\r\nHost: a\r\n\r\n") == 405);
	cr_expect(response_is(&r, "Allow", "GET, HEAD, POST, OPTIONS"));
	response_done(&r);
	cr_expect(GET("/", "") == 404);
	response_done(&r);
	cr_expect(GET("x?topic=a", "") == 404);
	response_done(&r);
	cr_expect(GET("?topic=a&match=b", "") == 400, "a newer dialect");
	response_done(&r);
	cr_expect(GET("?matchURLPattern=b", "") == 400);
	response_done(&r);
	daemon_stop(&d);
}
