/*
 * heads: what the tests of request heads share.
 */
#ifndef HEADS_H
#define HEADS_H

#include <criterion/criterion.h>

#include "guard.h"
#include "http.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* A request line and Host, and the end of a head, for what is between them. */
#define GET  "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"
#define END  "\r\n"

/* Finds and parses a head that is all of in. Returns what the first that fails returns. */
static inline int head_parse(struct guard *guard, struct str in, struct http_request *request,
			     const char **why)
{
	struct str head = guard_place(guard, in);
	size_t scanned = 0, head_len = 0;
	int result = http_find_head(head.p, head.n, &scanned, &head_len);

	*why = "(no head was found)";
	if (result)
		return result;
	cr_assert_eq(head_len, in.n);
	return http_parse_head(head.p, head_len, request, why);
}

#endif
