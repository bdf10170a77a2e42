/*
 * uri: paths and queries of request targets (RFC 3986). Pure.
 */
#ifndef URI_H
#define URI_H

#include "buf.h"

/* The value of a hexadecimal digit, or -1. */
int uri_hex(char c);

/*
 * Appends s with %HH decoded to out; plus says whether '+' means a space (queries and forms).
 * Returns 0; -EINVAL for a '%' that two hexadecimal digits do not follow; or out's sticky error.
 */
int uri_decode(struct str s, bool plus, struct buf *out);

/* The same for bytes that are the caller's own: they only become fewer. 0 with *n, or -EINVAL. */
int uri_decode_in_place(char *p, size_t *n, bool plus);

/* Whether encoded, with %HH decoded and '+' read as plus says, is plain. False for a bad escape. */
bool uri_eq(struct str encoded, bool plus, struct str plain);

/*
 * Takes the next `name=value` of a query or form into *name and *value, undecoded, and moves *query
 * behind it. Empty pieces (`&&`) are skipped. False at the end.
 */
bool uri_query_next(struct str *query, struct str *name, struct str *value);

/*
 * The first value of that name (however encoded), decoded and appended to out. Returns 1 if there
 * is one, 0 if not, -EINVAL for a bad escape, or out's sticky error.
 */
int uri_query_get(struct str query, struct str name, struct buf *out);

/*
 * Turns the path of a request into a relative file path below a root, decoded and appended to out:
 * no leading slash, no empty or dot segment, no ".." at all, no NUL, no encoded slash, no segment
 * that begins with a dot; nothing for the root itself. A trailing slash stays. Symlinks are the
 * opener's care. Returns 0, -EINVAL for a bad escape, -EACCES for a path that is not for anybody to
 * see, or out's sticky error; out may then hold a part of the path.
 */
int uri_file_path(struct str path, struct buf *out);

/*
 * Whether s is a well-formed host with optional port (RFC 3986 section 3.2.2 and 3.2.3: reg-name,
 * IPv4, IPv6 in brackets; no userinfo). The host must not be empty, as http URIs have it (RFC 9110
 * section 4.2.1); the port may be, but not be over 65535.
 */
bool uri_is_host(struct str s);

#endif
