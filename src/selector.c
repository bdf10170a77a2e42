/*
 * selector: the three kinds. See selector.h.
 */
#include "selector.h"

#include "names.h"
#include "uritemplate.h"

enum selector_kind selector_kind(struct str text)
{
	if (str_eq(text, STR("*")))
		return SELECTOR_ALL;
	return uritemplate_is_valid(text) ? SELECTOR_TEMPLATE : SELECTOR_EXACT;
}

bool selector_asks(struct str text, enum selector_kind kind, struct str topic)
{
	if (str_eq(text, topic))
		return true;
	if (kind == SELECTOR_EXACT || topic.p[0] == '$')
		return false;
	return kind == SELECTOR_ALL || uritemplate_matches(text, topic);
}

bool selectors_ask(struct str list, struct str topic)
{
	struct str text;

	while (names_next(&list, &text))
		if (selector_asks(text, selector_kind(text), topic))
			return true;
	return false;
}
