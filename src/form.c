/*
 * form: see form.h.
 *
 * Cut first, then decoded: a separator that comes out of an escape is data.
 */
#include "form.h"

#include "uri.h"

int form_next(struct form *form, struct str *name, struct str *value)
{
	struct str rest = { form->p, form->n };
	char *at;
	int err;

	if (!uri_query_next(&rest, name, value))
		return 0;
	at = form->p + (name->p - form->p);
	err = uri_decode_in_place(at, &name->n, true);
	if (err)
		return err;
	at = form->p + (value->p - form->p);
	err = uri_decode_in_place(at, &value->n, true);
	if (err)
		return err;
	form->p = rest.p ? form->p + (rest.p - form->p) : NULL;
	form->n = rest.n;
	return 1;
}
