/*
 * form: the fields of an application/x-www-form-urlencoded body (WHATWG URL section 5.1). Pure.
 */
#ifndef FORM_H
#define FORM_H

#include "str.h"

/* What is left of a body, which is the caller's own and is decoded where it lies. */
struct form {
	char *p;
	size_t n;
};

/*
 * Takes the next field off the form: name and value, decoded, are slices of the body. Returns 1, or
 * 0 at the end, or -EINVAL for a '%' that two hexadecimal digits do not follow.
 */
int form_next(struct form *form, struct str *name, struct str *value);

#endif
