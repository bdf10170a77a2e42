/*
 * access: what the client of a request may do, by the token that the request carries.
 */
#ifndef ACCESS_H
#define ACCESS_H

#include "grant.h"
#include "hub.h"

enum access_what { ACCESS_PUBLISH, ACCESS_SUBSCRIBE };

/*
 * Reads the request's token into a fresh grant: from `Authorization: Bearer`, else from the query's
 * `authorization`, else from the cookie that --mercure-cookie names; whichever is there first
 * counts, right or wrong. A cookie lets one change something only for a page of
 * --mercure-publish-origin. Control listeners need no token and look at none: their clients may do
 * everything. Returns NULL, with *has_token; or a sentence, a constant, why the token is worth
 * nothing.
 */
const char *access_read(const struct hub *hub, const struct conn *conn,
			const struct http_request *request, enum access_what what,
			struct grant *grant, bool *has_token);

/*
 * Appends the request's target as it may be shown to others: with the value of `authorization` in
 * its query left out; and its end, where out has no room for it.
 */
void access_redact(const struct http_request *request, struct buf *out);

#endif
