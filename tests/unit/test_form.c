/*
 * form: fields of a form body, decoded in place.
 */
#include "form.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "guard.h"

enum { FIELDS_MAX = 6 };

static const struct {
	struct str body;
	const char *fields[FIELDS_MAX]; /* names and values in turns */
	int end;
} rows[] = {
	{ { "", 0 }, { 0 }, 0 },
	{ { "&&", 2 }, { 0 }, 0 },
	{ { "a=1&b=2", 7 }, { "a", "1", "b", "2" }, 0 },
	{ { "a&b=&=c", 7 }, { "a", "", "b", "", "", "c" }, 0 },
	{ { "a=b=c", 5 }, { "a", "b=c" }, 0 },
	{ { "&a=1&&", 6 }, { "a", "1" }, 0 },
	{ { "a+b=c+d%2B", 10 }, { "a b", "c d+" }, 0 },
	{ { "%26%3D=%25%26", 13 }, { "&=", "%&" }, 0 },
	{ { "a=%", 3 }, { 0 }, -EINVAL },
	{ { "a=1&b=%2", 8 }, { "a", "1" }, -EINVAL },
	{ { "%zz=1", 5 }, { 0 }, -EINVAL },
	{ { "\xc3\xa9=%C3%a9", 9 }, { "\xc3\xa9", "\xc3\xa9" }, 0 },
};

Test(form, fields_in_their_order)
{
	struct guard guard = guard_new(64);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str body = guard_place(&guard, rows[i].body), name, value;
		struct form form = { guard.map + guard.room - body.n, body.n };

		for (size_t f = 0; f < FIELDS_MAX && rows[i].fields[f]; f += 2) {
			cr_assert(form_next(&form, &name, &value) == 1, "row %zu", i);
			cr_assert(str_eq(name, str_of(rows[i].fields[f])), "row %zu", i);
			cr_assert(str_eq(value, str_of(rows[i].fields[f + 1])), "row %zu", i);
		}
		cr_assert(form_next(&form, &name, &value) == rows[i].end, "row %zu", i);
	}
	guard_free(&guard);
}
