/*
 * httpbody: the framing of request bodies. See httpbody.h.
 *
 * A machine that reads framing byte by byte and data in slices. In BODY_LENGTH and CHUNK_DATA
 * `left` bytes of data follow (more than none); in the other states the next byte is framing, and
 * while a size is read `left` is what its digits say so far.
 */
#include "httpbody.h"

#include "httpvalue.h"
#include "uri.h"

/* What the next byte is. */
enum body_state {
	BODY_LENGTH, /* data, of a body whose length is known */
	SIZE_FIRST,  /* the first digit of a chunk's size */
	SIZE_DIGIT,  /* another digit, or what ends it */
	SIZE_SPACE,  /* white space before the semicolon of an extension */
	EXTENSION,   /* in a chunk's extensions, which are skipped */
	SIZE_LF,     /* the LF of the size line */
	CHUNK_DATA,  /* data */
	CHUNK_CR,    /* the CRLF behind it */
	CHUNK_LF,
	TRAILER_FIRST, /* the first byte of a trailer field, or of the empty line that ends all */
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	LAST_LF, /* the LF of the empty line */
	BODY_DONE,
};

void http_body_init(struct http_body *body, const struct http_request *request)
{
	*body = (struct http_body){ .state = BODY_DONE };
	if (request->framing == HTTP_CHUNKED) {
		body->state = SIZE_FIRST;
	} else if (request->framing == HTTP_LENGTH && request->content_length > 0) {
		body->state = BODY_LENGTH;
		body->left = request->content_length;
	}
}

static bool go(struct http_body *body, enum body_state state)
{
	body->state = (uint8_t)state;
	return true;
}

/* Goes on to a new line, whose bytes are counted from 0. */
static bool go_line(struct http_body *body, enum body_state state)
{
	body->line_bytes = 0;
	return go(body, state);
}

static bool take_digit(struct http_body *body, char c)
{
	int digit = uri_hex(c);

	if (digit < 0 || body->left > UINT64_MAX >> 4)
		return false;
	body->left = body->left << 4 | (uint64_t)digit;
	return go(body, SIZE_DIGIT);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* Takes a byte of the line that says how long a chunk is (RFC 9112 section 7.1). */
static bool take_size_line(struct http_body *body, char c)
{
	switch (body->state) {
	case SIZE_FIRST: return take_digit(body, c);
	case SIZE_DIGIT:
		if (uri_hex(c) >= 0)
			return take_digit(body, c);
		if (c == '\r')
			return go(body, SIZE_LF);
		/* fall through */
	case SIZE_SPACE:
		if (c == ';')
			return go(body, EXTENSION);
		return is_space(c) && go(body, SIZE_SPACE);
	case EXTENSION: return c == '\r' ? go(body, SIZE_LF) : http_is_text(c);
	case SIZE_LF: return c == '\n' && go_line(body, body->left ? CHUNK_DATA : TRAILER_FIRST);
	default: return false;
	}
}

/* Takes a byte of the end of a chunk, or of the trailer section (RFC 9112 section 7.1.2). */
static bool take_end(struct http_body *body, char c)
{
	switch (body->state) {
	case CHUNK_CR: return c == '\r' && go(body, CHUNK_LF);
	case CHUNK_LF: return c == '\n' && go_line(body, SIZE_FIRST);
	case TRAILER_FIRST:
		if (c == '\r')
			return go(body, LAST_LF);
		return http_is_tchar(c) && go(body, TRAILER_NAME);
	case TRAILER_NAME: return c == ':' ? go(body, TRAILER_VALUE) : http_is_tchar(c);
	case TRAILER_VALUE: return c == '\r' ? go(body, TRAILER_LF) : http_is_text(c);
	case TRAILER_LF: return c == '\n' && go(body, TRAILER_FIRST);
	case LAST_LF: return c == '\n' && go(body, BODY_DONE);
	default: return false;
	}
}

static bool take_framing(struct http_body *body, char c)
{
	bool in_trailers = body->state >= TRAILER_FIRST;

	if (++body->line_bytes > (in_trailers ? HTTP_TRAILERS_MAX : HTTP_CHUNK_LINE_MAX))
		return false;
	return body->state <= SIZE_LF ? take_size_line(body, c) : take_end(body, c);
}

static void take_data(struct http_body *body, struct str in, size_t *used, struct str *data)
{
	*data = str_from(in, *used);
	if (data->n > body->left)
		data->n = (size_t)body->left;
	*used += data->n;
	body->left -= data->n;
	if (body->left == 0)
		go(body, body->state == BODY_LENGTH ? BODY_DONE : CHUNK_CR);
}

int http_body_next(struct http_body *body, struct str in, size_t *used, struct str *data)
{
	*used = 0;
	*data = (struct str){ in.p, 0 };
	while (body->state != BODY_DONE && *used < in.n) {
		if (body->state == BODY_LENGTH || body->state == CHUNK_DATA) {
			take_data(body, in, used, data);
			break;
		}
		if (!take_framing(body, in.p[(*used)++]))
			return 400;
	}
	return body->state == BODY_DONE;
}
