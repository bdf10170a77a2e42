/*
 * staticfile: the pages, from inside the binary or from the folder of --root (RFC 9110 sections 8,
 * 13, 14).
 */
#ifndef STATICFILE_H
#define STATICFILE_H

#include "reply.h"

/* What is served, opened once at start. */
struct staticfiles {
	int root_fd; /* of --root; -1 = the assets inside the binary */
};

/* Opens the root (NULL = the assets). 0 or -errno, with nothing left open. */
int staticfiles_init(struct staticfiles *files, const char *root);
void staticfiles_done(struct staticfiles *files);

/*
 * Answers GET and HEAD (the caller has checked the method): 200, 206, 301 (a folder without its
 * slash), 304, 404, 412, 416; 400 for a bad escape, 503 when descriptors or memory ran out, 500
 * when the disk fails. A file's bytes are sent by the exchange (exchange->file_fd, which it owns
 * from then on, file_at, file_left); an asset's through exchange->blob.
 */
void staticfile_serve(struct hub *hub, struct conn *conn, const struct http_request *request);

#endif
