/*
 * selector: what a subscriber asks for, and what a token allows. Pure.
 *
 * A selector asks for a topic if it is "*", or byte for byte the same, or a URI Template that has
 * the topic's shape. "*" and templates never ask for a topic that begins with '$': those are the
 * daemon's own, and have to be named.
 */
#ifndef SELECTOR_H
#define SELECTOR_H

#include "str.h"

enum selector_kind { SELECTOR_EXACT, SELECTOR_ALL, SELECTOR_TEMPLATE };

/* What kind text is. A template that breaks a rule is an exact topic. */
enum selector_kind selector_kind(struct str text);

/* Whether a selector of that kind asks for the topic (not empty). */
bool selector_asks(struct str text, enum selector_kind kind, struct str topic);

/* Whether one of a list of selectors (see names.h) asks for the topic. */
bool selectors_ask(struct str list, struct str topic);

#endif
