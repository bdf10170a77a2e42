/*
 * assets: the pages that the binary carries inside itself, so that it runs alone in an empty
 * folder.
 *
 * The table is generated at build time: src/embed.sh makes one entry of every file in static/,
 * sorted by name. Constant, never freed.
 */
#ifndef ASSETS_H
#define ASSETS_H

#include "str.h"

struct asset {
	struct str name;  /* path below static/, such as "index.html": no leading slash */
	struct str bytes; /* the file as it was at build time */
	struct str etag; /* strong (RFC 9110 section 8.8.3), with its quotes: a hash of the bytes */
};

extern const struct asset assets[];
extern const size_t asset_count;

#endif
