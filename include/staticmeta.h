/*
 * staticmeta: what a request wants of a file, and what is to be said about the file: its media
 * type, the answer to the request's preconditions and range, and where a folder really is
 * (RFC 9110 sections 8, 13, 14). Pure.
 */
#ifndef STATICMETA_H
#define STATICMETA_H

#include "buf.h"
#include "http.h"

/* One representation of a file: the file itself, or a compressed one beside it. */
struct staticmeta {
	struct str etag;    /* strong, with its quotes, without a comma; borrowed */
	uint64_t size;      /* bytes */
	bool is_dated;      /* without a date, preconditions on the date do not count */
	int64_t modified_s; /* Unix time; not later than now */
};

/* The media type by the end of the name; application/octet-stream for what is not known. */
struct str staticmeta_type(struct str name);

/*
 * What to answer to a GET or HEAD for that representation at the time now_s: 200 or 206 with
 * *first and *length the part of it to send, 304, 412, or 416. Preconditions in the order of
 * RFC 9110 section 13.2.2; a range counts for GET only.
 */
int staticmeta_status(const struct http_request *request, const struct staticmeta *meta,
		      int64_t now_s, uint64_t *first, uint64_t *length);

/*
 * Appends the location of the folder whose relative path, decoded and without a slash at either
 * end, is path: "/path/" with the query if there is one (NULL pointer: none). Everything in path
 * that could be taken for anything but a name is percent-encoded. Returns out->err.
 */
int staticmeta_location(struct str path, struct str query, struct buf *out);

#endif
