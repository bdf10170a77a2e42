/*
 * buf: growth, the limit, and errors that stick.
 */
#include "buf.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

static bool holds(const struct buf *b, struct str want)
{
	return str_eq(buf_str(b), want);
}

Test(buf, empty_owns_nothing)
{
	struct buf b, zeroed = { 0 };

	buf_init(&b, 10);
	cr_assert(b.p == NULL && b.cap == 0 && b.err == 0);
	cr_assert(buf_add(&b, (struct str){ NULL, 0 }) == 0);
	cr_assert(buf_addf(&b, "%s", "") == 0);
	cr_assert(holds(&b, STR("")));
	buf_drop(&b, 0);
	buf_done(&b);
	buf_done(&b);
	buf_done(&zeroed);
}

Test(buf, appends_in_order)
{
	struct buf b;

	buf_init(&b, 100);
	cr_assert(buf_add(&b, STR("ab")) == 0);
	cr_assert(buf_add_char(&b, '\0') == 0);
	cr_assert(buf_addf(&b, "%d-%s", 12, "x") == 0);
	cr_assert(holds(&b, STR("ab\00012-x")));
	buf_done(&b);
	cr_assert(b.p == NULL && b.n == 0 && b.max == 100);
}

Test(buf, grows_to_the_limit_exactly)
{
	for (size_t max = 0; max < 2000; max += 97) {
		struct buf b;

		buf_init(&b, max);
		for (size_t i = 0; i < max; i++)
			cr_assert(buf_add_char(&b, (char)i) == 0);
		cr_assert(buf_add_char(&b, 'x') == -ENOBUFS);
		cr_assert(b.n == max && b.cap <= max);
		for (size_t i = 0; i < max; i++)
			cr_assert(b.p[i] == (char)i);
		buf_done(&b);
	}
}

Test(buf, formatted_text_may_fill_it)
{
	struct buf b;

	buf_init(&b, 5);
	cr_assert(buf_addf(&b, "%s", "12345") == 0, "the NUL does not count");
	cr_assert(holds(&b, STR("12345")));
	cr_assert(buf_addf(&b, "%s", "") == 0);
	cr_assert(buf_addf(&b, "%s", "6") == -ENOBUFS);
	cr_assert(holds(&b, STR("12345")));
	buf_done(&b);
}

Test(buf, error_sticks_until_cleared)
{
	struct buf b;

	buf_init(&b, 4);
	cr_assert(buf_add(&b, STR("abc")) == 0);
	cr_assert(buf_add(&b, STR("de")) == -ENOBUFS);
	cr_assert(buf_add(&b, STR("d")) == -ENOBUFS, "it would fit, but something is missing");
	cr_assert(buf_add(&b, STR("")) == -ENOBUFS);
	cr_assert(buf_add_char(&b, 'd') == -ENOBUFS);
	cr_assert(buf_addf(&b, "d") == -ENOBUFS);
	cr_assert(buf_add_json(&b, STR("\n")) == -ENOBUFS);
	cr_assert(buf_reserve(&b, 0) == -ENOBUFS);
	cr_assert(holds(&b, STR("abc")));
	buf_clear(&b);
	cr_assert(buf_add(&b, STR("abcd")) == 0);
	cr_assert(holds(&b, STR("abcd")));
	buf_done(&b);
}

Test(buf, sizes_that_no_memory_has)
{
	struct buf b;

	buf_init(&b, SIZE_MAX);
	cr_assert(buf_add(&b, STR("abc")) == 0);
	cr_assert(buf_reserve(&b, SIZE_MAX) == -ENOBUFS);
	buf_clear(&b);
	cr_assert(buf_reserve(&b, SIZE_MAX - 2) == -ENOBUFS);
	cr_assert(b.max == PTRDIFF_MAX);
	buf_done(&b);
}

Test(buf, reserve_is_room_to_write)
{
	struct buf b;

	buf_init(&b, 1000);
	cr_assert(buf_reserve(&b, 700) == 0);
	memset(b.p, 'x', 700);
	cr_assert(b.n == 0 && b.cap >= 700);
	char *before = b.p;
	b.n = 100;
	cr_assert(buf_reserve(&b, 600) == 0);
	cr_assert(b.p == before, "there was room");
	cr_assert(buf_reserve(&b, 901) == -ENOBUFS);
	buf_done(&b);
}

Test(buf, drop_moves_the_rest)
{
	struct buf b;

	buf_init(&b, 10);
	buf_add(&b, STR("abcdef"));
	buf_drop(&b, 2);
	cr_assert(holds(&b, STR("cdef")));
	buf_drop(&b, 4);
	cr_assert(holds(&b, STR("")));
	cr_assert(buf_add(&b, STR("0123456789")) == 0);
	buf_done(&b);
}

Test(buf, json_escapes)
{
	struct buf b;

	buf_init(&b, 200);
	cr_assert(buf_add_json(&b, STR("a\"b\\c/\n\r\t\b\0\x1f\x7f\xc3\xa4")) == 0);
	cr_assert(holds(&b, STR("a\\\"b\\\\c/\\n\\r\\t\\u0008\\u0000\\u001f\\u007f\xc3\xa4")));
	buf_clear(&b);
	cr_assert(buf_add_json(&b, STR("")) == 0 && b.n == 0);
	cr_assert(buf_add_json(&b, STR("\n")) == 0);
	cr_assert(holds(&b, STR("\\n")));
	buf_done(&b);
}
