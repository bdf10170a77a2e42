/*
 * Request heads that are refused, each with its status, and the limits. Every head ends at a page
 * that cannot be read.
 */
#include <criterion/criterion.h>
#include <errno.h>

#include "buf.h"
#include "heads.h"

static const struct {
	int status;
	struct str head;
} refused[] = {
#define HEAD(literal) .head = { (literal), sizeof(literal) - 1 }
	/* Line ends */
	{ 400, HEAD("GET / HTTP/1.1\nHost: a\n\n") },
	{ 400, HEAD(GET "A: b\n" END) },
	{ 400, HEAD(GET "\n") },
	{ 400, HEAD("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD(GET "A: b\rc\r\n" END) },
	{ 400, HEAD(GET "A: b\r\r\n" END) },
	{ 400, HEAD("GET / HTTP/1.1\rHost: a\r\r") },
	{ 400, HEAD("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") },
	/* NUL and other control characters */
	{ 400, HEAD("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD(GET "A: b\0\r\n" END) },
	{ 400, HEAD("\0") },
	{ 400, HEAD("\x16\x03\x01\x02\x00") }, /* the beginning of TLS */
	{ 400, HEAD(GET "A: \x01\r\n" END) },
	{ 400, HEAD(GET "A: \x0b\r\n" END) },
	{ 400, HEAD(GET "A: \x1b[2J\r\n" END) },
	{ 400, HEAD(GET "A: \x7f\r\n" END) },
	/* Request lines */
	{ 400, HEAD("GET\r\n\r\n") },
	{ 400, HEAD("GET /\r\n\r\n") },
	{ 400, HEAD("GET / \r\n\r\n") },
	{ 400, HEAD("GET  / HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET /  HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET / HTTP/1.1 \r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD(" GET / HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET HTTP/1.1\r\nHost: a\r\n\r\n") },
	/* Methods */
	{ 400, HEAD("G(T / HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("G\x80T / HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 501, HEAD("BREW / HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 501, HEAD("get / HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 501, HEAD("GETT / HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 501, HEAD("GE / HTTP/1.1\r\nHost: a\r\n\r\n") },
	/* Versions */
	{ 505, HEAD("GET / HTTP/2.0\r\nHost: a\r\n\r\n") },
	{ 505, HEAD("GET / HTTP/0.9\r\n\r\n") },
	{ 505, HEAD("PRI * HTTP/2.0\r\n\r\n") },
	{ 400, HEAD("GET / HTTP/1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET / HTTP/1.10\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET / HTTP/11.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET / HTTP/1,1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET / HTTP/x.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET / HTTP/1.x\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET / http/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET / HTTPS/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET / ICY/1.1\r\nHost: a\r\n\r\n") },
	/* Targets */
	{ 400, HEAD("GET a HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET ?a HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET * HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("OPTIONS *a HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET /#a HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET /\t HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET a:443 HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("CONNECT http://a/ HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET http:// HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET http://:80/ HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET http://u@b/ HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET http://b:x/ HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET http:/b HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET https://b/ HTTP/1.1\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n") },
	/* Fields */
	{ 400, HEAD(GET " A: b\r\n" END) },
	{ 400, HEAD(GET "A: b\r\n c\r\n" END) },
	{ 400, HEAD(GET "A: b\r\n\tc\r\n" END) },
	{ 400, HEAD(GET "A: b\r\n \r\n" END) },
	{ 400, HEAD("GET / HTTP/1.1\r\n Host: a\r\n\r\n") },
	{ 400, HEAD(GET "A : b\r\n" END) },
	{ 400, HEAD(GET "A\t: b\r\n" END) },
	{ 400, HEAD(GET "A B: b\r\n" END) },
	{ 400, HEAD(GET "A(: b\r\n" END) },
	{ 400, HEAD(GET "A\xc3\xa9: b\r\n" END) },
	{ 400, HEAD(GET ": b\r\n" END) },
	{ 400, HEAD(GET "A\r\n" END) },
	/* Host */
	{ 400, HEAD("GET / HTTP/1.1\r\n\r\n") },
	{ 400, HEAD("GET http://b/ HTTP/1.1\r\n\r\n") },
	{ 400, HEAD(GET "Host: a\r\n" END) },
	{ 400, HEAD(GET "hOST: b\r\n" END) },
	{ 400, HEAD("GET http://b/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n") },
	{ 400, HEAD("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n") },
	{ 400, HEAD("GET / HTTP/1.1\r\nHost:\r\n\r\n") },
	{ 400, HEAD("GET / HTTP/1.1\r\nHost: a b\r\n\r\n") },
	{ 400, HEAD("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n") },
	{ 400, HEAD("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n") },
	{ 400, HEAD("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n") },
	{ 400, HEAD("GET / HTTP/1.1\r\nHost: http://a\r\n\r\n") },
	{ 400, HEAD("GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n") },
	{ 400, HEAD("GET / HTTP/1.0\r\nHost: a b\r\n\r\n") },
	/* Framing */
	{ 400, HEAD(POST "Content-Length: 1\r\nContent-Length: 1\r\n" END) },
	{ 400, HEAD(POST "Content-Length: 1\r\nContent-Length: 2\r\n" END) },
	{ 400, HEAD(POST "Content-Length: 1, 1\r\n" END) },
	{ 400, HEAD(POST "Content-Length:\r\n" END) },
	{ 400, HEAD(POST "Content-Length: -1\r\n" END) },
	{ 400, HEAD(POST "Content-Length: +1\r\n" END) },
	{ 400, HEAD(POST "Content-Length: 0x1\r\n" END) },
	{ 400, HEAD(POST "Content-Length: 1 2\r\n" END) },
	{ 400, HEAD(POST "Content-Length: 1.0\r\n" END) },
	{ 400, HEAD(POST "Content-Length: a\r\n" END) },
	{ 413, HEAD(POST "Content-Length: 9223372036854775808\r\n" END) },
	{ 413, HEAD(POST "Content-Length: 18446744073709551617\r\n" END) },
	{ 400, HEAD(POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n" END) },
	{ 400, HEAD(POST "Transfer-Encoding: chunked\r\nContent-Length: x\r\n" END) },
	{ 400, HEAD(POST "Transfer-Encoding: gzip\r\nContent-Length: 1\r\n" END) },
	{ 400, HEAD(POST "Transfer-Encoding:\r\n" END) },
	{ 400, HEAD(POST "Transfer-Encoding: chunked,\r\n" END) },
	{ 400, HEAD(POST "Transfer-Encoding: chunked;a=b\r\n" END) },
	{ 400, HEAD(POST "Transfer-Encoding: chunked, chunked\r\n" END) },
	{ 400, HEAD(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END) },
	{ 400, HEAD(POST "Transfer-Encoding: \"chunked\"\r\n" END) },
	{ 400, HEAD(POST "Transfer-Encoding: \x0b"
			 "chunked\r\n" END) },
	{ 400, HEAD("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") },
	{ 501, HEAD(POST "Transfer-Encoding: gzip\r\n" END) },
	{ 501, HEAD(POST "Transfer-Encoding: gzip, chunked\r\n" END) },
	{ 501, HEAD(POST "Transfer-Encoding: chunked, identity\r\n" END) },
	{ 501, HEAD(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n" END) },
	{ 501, HEAD(POST "Transfer-Encoding: xchunked\r\n" END) },
	/* Expectations */
	{ 417, HEAD(POST "Expect: 200-ok\r\n" END) },
	{ 417, HEAD(POST "Expect: 100-continue, x\r\n" END) },
	{ 417, HEAD(POST "Expect: 100-continue\r\nExpect: x\r\n" END) },
	{ 417, HEAD(POST "Expect:\r\n" END) },
	{ 417, HEAD("POST / HTTP/1.0\r\nExpect: x\r\n\r\n") },
#undef HEAD
};

Test(http_refusals, refuses_with_the_right_status)
{
	struct guard guard = guard_new(HTTP_HEAD_MAX);
	struct http_request request;

	for (size_t i = 0; i < COUNT(refused); i++) {
		const char *why;
		int status = head_parse(&guard, refused[i].head, &request, &why);

		cr_assert_eq(status, refused[i].status, "case %zu, %.*s: got %d", i,
			     STR_ARG(refused[i].head), status);
		cr_assert(why && *why);
		cr_assert(*http_reason(status));
	}
	guard_free(&guard);
}

Test(http_refusals, refuses_bad_line_ends_before_the_head_is_complete)
{
	struct str bad[] = { STR("GET / HTTP/1.1\n"), STR("GET / HTTP/1.1\rH"), STR("G\0") };

	for (size_t i = 0; i < COUNT(bad); i++) {
		size_t scanned = 0, head_len;

		for (size_t n = 0; n < bad[i].n; n++)
			cr_assert_eq(http_find_head(bad[i].p, n, &scanned, &head_len), -EAGAIN);
		cr_assert_eq(http_find_head(bad[i].p, bad[i].n, &scanned, &head_len), 400);
	}
}

/* Appends c until b has n bytes. */
static void pad(struct buf *b, char c, size_t n)
{
	while (b->n < n)
		buf_add_char(b, c);
}

Test(http_refusals, bounds_heads)
{
	struct guard guard = guard_new(2 * HTTP_HEAD_MAX);
	struct http_request request;
	struct buf b;
	const char *why;

	buf_init(&b, 2 * HTTP_HEAD_MAX);
	for (size_t over = 0; over < 2; over++) {
		buf_clear(&b);
		buf_add(&b, STR(GET "A: "));
		pad(&b, 'x', HTTP_HEAD_MAX - 4 + over);
		buf_add(&b, STR("\r\n\r\n"));
		cr_assert_eq(head_parse(&guard, buf_str(&b), &request, &why), over ? 431 : 0);
	}
	buf_clear(&b);
	buf_add(&b, STR("GET /"));
	pad(&b, 'x', HTTP_HEAD_MAX - 1);
	cr_assert_eq(head_parse(&guard, buf_str(&b), &request, &why), -EAGAIN);
	pad(&b, 'x', HTTP_HEAD_MAX);
	cr_assert_eq(head_parse(&guard, buf_str(&b), &request, &why), 414);
	buf_done(&b);
	guard_free(&guard);
}

Test(http_refusals, bounds_targets)
{
	struct guard guard = guard_new(HTTP_HEAD_MAX);
	struct http_request request;
	struct buf b;
	const char *why;

	buf_init(&b, HTTP_HEAD_MAX);
	for (size_t over = 0; over < 2; over++) {
		buf_clear(&b);
		buf_add(&b, STR("GET /"));
		pad(&b, 'x', 4 + HTTP_URI_MAX + over);
		buf_add(&b, STR(" HTTP/1.1\r\nHost: a\r\n\r\n"));
		cr_assert_eq(head_parse(&guard, buf_str(&b), &request, &why), over ? 414 : 0);
	}
	buf_done(&b);
	guard_free(&guard);
}

Test(http_refusals, bounds_the_number_of_fields)
{
	struct guard guard = guard_new(HTTP_HEAD_MAX);
	struct http_request request;
	struct buf b;
	const char *why;

	buf_init(&b, HTTP_HEAD_MAX);
	for (size_t over = 0; over < 2; over++) {
		buf_clear(&b);
		buf_add(&b, STR(GET));
		for (size_t i = 1; i < HTTP_FIELDS_MAX + over; i++)
			buf_addf(&b, "A%zu: b\r\n", i);
		buf_add(&b, STR(END));
		cr_assert_eq(head_parse(&guard, buf_str(&b), &request, &why), over ? 431 : 0);
	}
	cr_assert_eq(request.field_count, HTTP_FIELDS_MAX);
	buf_done(&b);
	guard_free(&guard);
}
