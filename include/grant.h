/*
 * grant: what a token allows: the claim of the Mercure protocol. Pure.
 *
 *	"mercure": {"publish": [SELECTOR…], "subscribe": [SELECTOR…], "payload": ANYTHING}
 */
#ifndef GRANT_H
#define GRANT_H

#include "jwt.h"

enum { GRANT_SELECTORS_MAX = 1000 }; /* of each of both lists */

struct grant {
	bool has_publish;     /* the token says something of publishing, be it an empty list */
	struct buf publish;   /* packed (names.h): selectors of topics that may be published to */
	struct buf subscribe; /* packed: of those whose private events may be seen */
	struct buf payload;   /* JSON that describes the subscriber to others; empty = none */
	double expires_s;     /* as in struct jwt */
};

/* A grant of nothing that never ends. Allocates nothing. */
void grant_init(struct grant *grant);
void grant_done(struct grant *grant);

/*
 * Takes what a verified token says into a fresh grant (copied). The claim has the name `mercure`
 * or `https://mercure.rocks/`, which wins; without it nothing is granted. Returns NULL, or a
 * sentence, a constant, where the claim has the wrong types or too many selectors.
 */
const char *grant_read(struct grant *grant, const struct jwt *jwt);

/* When its time ends, in whole seconds, rounded up; 0 = never. */
uint32_t grant_expiry(const struct grant *grant);

#endif
