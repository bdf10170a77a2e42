/*
 * httpbody: takes the framing off a request body (RFC 9112 sections 6 and 7). Pure and incremental:
 * the body may come in any pieces, and none of it is kept.
 */
#ifndef HTTPBODY_H
#define HTTPBODY_H

#include "http.h"

enum {
	HTTP_CHUNK_LINE_MAX = 256, /* bytes of a chunk's size line, extensions and CRLF included */
	HTTP_TRAILERS_MAX = 8192,  /* bytes of a trailer section, empty line included */
};

/* Where in its body a request is. Free of pointers, so that it can be handed to the next binary. */
struct http_body {
	uint8_t state;       /* private to httpbody.c */
	uint16_t line_bytes; /* so far, of the size line or of the trailer section: bounded */
	uint64_t left;       /* bytes left of the body or of the chunk */
};

void http_body_init(struct http_body *body, const struct http_request *request);

/*
 * Takes the next piece of data out of in. *used = bytes of in consumed; *data = a slice of in (may
 * be empty even when bytes were consumed). Trailer fields are checked and thrown away.
 *
 * Returns 0: call again with what is left of in, or when more has come; 1: the body is complete
 * (no byte behind it was consumed; *data may hold its last piece); 400: malformed (bad chunk size,
 * overflow, bare LF, a line over its limit, …), and nothing more can be read. A request without a
 * body is complete at the first call, whatever in is.
 */
int http_body_next(struct http_body *body, struct str in, size_t *used, struct str *data);

#endif
