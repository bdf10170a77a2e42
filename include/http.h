/*
 * http: HTTP/1.1 messages as bytes (RFC 9110, RFC 9112). Pure: bytes in, slices out.
 *
 * Strict on purpose: what is ambiguous is refused, never guessed at, because a request that two
 * parsers read differently is how requests are smuggled. Lines end in CRLF and in nothing else.
 *
 * This room is the request head. What its fields say (dates, ranges, entity tags) is in httpvalue,
 * the body behind it in httpbody.
 */
#ifndef HTTP_H
#define HTTP_H

#include "str.h"

enum {
	HTTP_HEAD_MAX = 16384, /* bytes of a request head, from its first byte to the empty line */
	HTTP_URI_MAX = 8192,   /* bytes of a request target */
	HTTP_FIELDS_MAX = 100, /* header fields of a request */
};

enum http_method {
	HTTP_GET = 1 << 0,
	HTTP_HEAD = 1 << 1,
	HTTP_POST = 1 << 2,
	HTTP_OPTIONS = 1 << 3,
	HTTP_PUT = 1 << 4,   /* `curl -T`: the same as POST, where a route takes it */
	HTTP_OTHER = 1 << 5, /* known, and used nowhere: DELETE, CONNECT, TRACE, PATCH */
};

struct http_field {
	struct str name;  /* as sent */
	struct str value; /* without surrounding white space */
};

enum http_framing {
	HTTP_NO_BODY,
	HTTP_LENGTH,  /* content_length bytes follow (0 included) */
	HTTP_CHUNKED, /* chunks follow */
};

/* A request head. All slices borrow from the buffer that was parsed, or are constants. */
struct http_request {
	enum http_method method;
	struct str method_name;
	unsigned minor;    /* HTTP/1.minor; 1 for anything above 1 */
	struct str target; /* as sent */
	/* Path of the target, undecoded; "*" where the target is no resource: OPTIONS *, CONNECT */
	struct str path;
	struct str query; /* behind the first '?', undecoded; NULL pointer where there is none */
	struct str host;  /* of the target if that has one, else of Host; may be empty in 1.0 */
	struct http_field fields[HTTP_FIELDS_MAX];
	size_t field_count;
	enum http_framing framing;
	uint64_t content_length;
	bool keep_alive;      /* the client wants to go on: RFC 9112 section 9.3 */
	bool expect_continue; /* Expect: 100-continue, in HTTP/1.1 only */
};

/*
 * Looks for the end of the request head in bytes[0..n). *scanned is where the last call stopped (0
 * at first), so that each byte is looked at once however the head arrives.
 *
 * Returns 0 with *head_len = bytes up to and including the empty line; -EAGAIN if it is not
 * complete; else an HTTP status to refuse with: 400 (bare CR or LF, NUL), 414 (target over
 * HTTP_URI_MAX), 431 (head over HTTP_HEAD_MAX). Empty lines before the request line (RFC 9112
 * section 2.2) count as part of the head; at most one is accepted, more are 400.
 */
int http_find_head(const char *bytes, size_t n, size_t *scanned, size_t *head_len);

/*
 * Parses a complete head of head_len bytes, as found by http_find_head().
 *
 * Returns 0, or the status to refuse with: 400, 411 never (no body is fine), 413 (a content length
 * that no counter holds), 414, 417 (an expectation other than 100-continue), 431 (too many fields),
 * 501 (unknown method, unknown transfer coding), 505 (HTTP/2.0, HTTP/0.9, …). *why is then a
 * sentence for the client and the log, a constant. Behind a refusal the connection has to be
 * closed: where the next request begins is not known.
 */
int http_parse_head(const char *bytes, size_t head_len, struct http_request *request,
		    const char **why);

/* The value of the first field of that name (case ignored), or NULL. */
const struct str *http_header(const struct http_request *request, struct str name);

/* Whether the comma-separated list in any field of that name has token (case ignored). */
bool http_header_has(const struct http_request *request, struct str name, struct str token);

/*
 * Whether Accept-Encoding allows coding with a quality above 0 (RFC 9110 section 12.5.3), named
 * outright or by "*". Without the field: false.
 */
bool http_accepts_encoding(const struct http_request *request, struct str coding);

/* "Not Found" for 404. Statuses that we never send have no reason phrase: "". */
const char *http_reason(int status);

#endif
