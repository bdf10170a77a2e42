/*
 * hubclient: see hubclient.h.
 */
#include "hubclient.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

void hub_begin(struct daemon *d, const char *const *options)
{
	const char *all[24];
	size_t n = 0;

	daemon_init(d);
	all[n++] = "--mercure-publisher-key-file";
	all[n++] = daemon_file(d, "key", STR(TOKEN_KEY "\n"));
	cr_assert(setenv("MERCURE_SUBSCRIBER_JWT_KEY", TOKEN_KEY, 1) == 0);
	while (options && *options)
		all[n++] = *options++;
	all[n] = NULL;
	daemon_start(d, all);
	unsetenv("MERCURE_SUBSCRIBER_JWT_KEY");
}

int hub_post(const struct daemon *d, struct response *r, const char *fields, struct str body)
{
	struct client c;

	client_open(&c, d);
	client_sendf(&c, "POST " HUB " HTTP/1.1\r\nHost: a\r\n%sContent-Length: %zu\r\n\r\n",
		     fields, body.n);
	client_try_send(&c, body);
	client_read(&c, r);
	client_close(&c);
	return r->status;
}

const char *bearer(const struct token *token)
{
	static char fields[TOKEN_MAX + 64];

	snprintf(fields, sizeof(fields), "Authorization: Bearer %.*s\r\n", TOKEN_MAX, token->text);
	return fields;
}

int hub_update(const struct daemon *d, struct response *r, const struct token *token,
	       struct str form)
{
	char fields[2 * TOKEN_MAX];

	snprintf(fields, sizeof(fields), FORM "%s", bearer(token));
	return hub_post(d, r, fields, form);
}

void update(const struct daemon *d, const char *form)
{
	struct token token = token_for("\"*\"", "");
	struct response r;

	cr_assert(hub_update(d, &r, &token, str_of(form)) == 200, "%s: %d", form, r.status);
	response_done(&r);
}

int hub_ask(const struct daemon *d, struct response *r, const char *method, const char *rest,
	    const char *fields)
{
	struct client c;

	client_open(&c, d);
	client_sendf(&c, "%s " HUB "%s HTTP/1.1\r\nHost: a\r\n%s\r\n", method, rest, fields);
	if (str_eq(str_of(method), STR("HEAD")))
		client_read_bodiless(&c, r);
	else
		client_read(&c, r);
	client_close(&c);
	return r->status;
}

void subscribe(struct reader *s, const struct daemon *d, const char *rest,
	       const struct token *token)
{
	char target[4096];

	snprintf(target, sizeof(target), HUB "%s", rest);
	reader_open(s, d, target, token ? bearer(token) : "");
}
