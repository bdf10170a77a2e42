/*
 * uritemplate: whether a topic has the shape that a URI Template (RFC 6570) describes. Pure.
 *
 * All four levels of the syntax are known. Matching asks only for the shape: which name a variable
 * has, or how long its prefix may be, does not matter. Each expression as a whole is optional.
 */
#ifndef URITEMPLATE_H
#define URITEMPLATE_H

#include "str.h"

enum {
	URITEMPLATE_TOPIC_MAX = 8192,     /* bytes: what is longer matches no template */
	URITEMPLATE_EXPRESSIONS_MAX = 10, /* what a stranger's template may have: each looks at
					     the whole topic */
};

/*
 * Whether text is a template: it has at least one expression, and breaks no rule of RFC 6570
 * section 2. (Of the characters that the grammar keeps away from literals, `'` is allowed, because
 * it is allowed in URIs.)
 */
bool uritemplate_is_valid(struct str text);

/* Whether it is a template with more than URITEMPLATE_EXPRESSIONS_MAX expressions. */
bool uritemplate_is_costly(struct str text);

/*
 * Whether topic has the shape of a valid template. Takes a time in proportion to the product of
 * both lengths at the worst, whatever they say: there is nothing to try again.
 */
bool uritemplate_matches(struct str text, struct str topic);

#endif
