/*
 * hubclient: a client of the Mercure protocol, for tests.
 */
#ifndef HUBCLIENT_H
#define HUBCLIENT_H

#include "reader.h"
#include "token.h"

#define HUB  "/.well-known/mercure"
#define FORM "Content-Type: application/x-www-form-urlencoded\r\n"

/* A daemon with both keys, one in a file and one in the environment, and these options. */
void hub_begin(struct daemon *d, const char *const *options);

/* Posts bytes to the hub with these header fields; the answer is in r. Returns the status. */
int hub_post(const struct daemon *d, struct response *r, const char *fields, struct str body);

/* Posts a form with that token. */
int hub_update(const struct daemon *d, struct response *r, const struct token *token,
	       struct str form);

/* Publishes with a token that may do everything, and expects 200. */
void update(const struct daemon *d, const char *form);

/* Asks with that method for HUB and what follows: the status. For streams that open, use HEAD. */
int hub_ask(const struct daemon *d, struct response *r, const char *method, const char *rest,
	    const char *fields);

/* The token as a header field; valid until the next call. */
const char *bearer(const struct token *token);

/* Opens a stream of HUB and what follows, with that token (NULL = none). */
void subscribe(struct reader *s, const struct daemon *d, const char *rest,
	       const struct token *token);

#endif
