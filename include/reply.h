/*
 * reply: the response to the request that a conn is reading.
 *
 * A handler calls exactly one of these (or opens a stream, or waits for the body). The bytes go to
 * the exchange's own bytes; the exchange sends them.
 */
#ifndef REPLY_H
#define REPLY_H

#include "hub.h"

/*
 * Begins a response: status line, Date, Content-Length, Connection where it is needed,
 * nosniff and the CORS fields of the request, then the given fields (each line with its CRLF) and
 * the empty line. length: bytes of the body that the caller appends, or UINT64_MAX for a response
 * that has no body by its status (304, 204). For HEAD the same head is made, and the caller sends
 * no body. Fields that could not be built (their sticky error) spoil the response: the conn is then
 * closed without it.
 */
void reply_head(struct hub *hub, struct conn *conn, int status, uint64_t length,
		const struct buf *fields);

/* A whole response of that media type. */
void reply_body(struct hub *hub, struct conn *conn, int status, struct str type, struct str body);

/* A refusal or an answer in one sentence: text/plain with a newline behind it. */
void reply_text(struct hub *hub, struct conn *conn, int status, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* What there is to say where memory ran out; a constant, to be told from other sentences. */
extern const char reply_no_memory[];

/* What is wrong with a request, with that status; with 503 where it is reply_no_memory. */
void reply_wrong(struct hub *hub, struct conn *conn, int status, const char *sentence);

/* As reply_text(), and the connection ends after it: what follows on it cannot be trusted. */
void reply_refuse(struct hub *hub, struct conn *conn, int status, const char *sentence);

/* Appends `GET, HEAD, …` for a set of enum http_method. */
void reply_methods(struct buf *out, unsigned methods);

/*
 * The head of a stream, for the framing that the client's version needs. For HEAD that is all.
 */
void reply_stream_head(struct hub *hub, struct conn *conn);

/*
 * Appends Access-Control-Allow-Origin, with credentials for an origin that is allowed by its name
 * (not for "*", nor for null), and Vary where it depends on the Origin, as --cors-origin allows it
 * (Fetch standard, "CORS protocol").
 */
void reply_cors(const struct hub *hub, const struct http_request *request, struct buf *out);

#endif
