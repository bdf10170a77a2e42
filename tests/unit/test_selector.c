/*
 * selector: its kinds and what they ask for; names: packed lists.
 */
#include "selector.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "guard.h"
#include "names.h"

static bool asks(const char *text, const char *topic)
{
	return selector_asks(str_of(text), selector_kind(str_of(text)), str_of(topic));
}

Test(selector, kinds)
{
	cr_assert(selector_kind(STR("*")) == SELECTOR_ALL);
	cr_assert(selector_kind(STR("a/{b}")) == SELECTOR_TEMPLATE);
	cr_assert(selector_kind(STR("a/{b")) == SELECTOR_EXACT);
	cr_assert(selector_kind(STR("a")) == SELECTOR_EXACT);
	cr_assert(selector_kind(STR("**")) == SELECTOR_EXACT);
}

Test(selector, asks_for_all_or_the_same_or_its_shape)
{
	cr_assert(asks("*", "anything"));
	cr_assert(asks("*", "*"));
	cr_assert(asks("a", "a") && !asks("a", "ab") && !asks("ab", "a"));
	cr_assert(asks("a/{b}", "a/1") && asks("a/{b}", "a/{b}") && !asks("a/{b}", "b/1"));
	cr_assert(asks("a/{b", "a/{b") && !asks("a/{b", "a/1"));
}

Test(selector, the_daemon_s_own_topics_must_be_named)
{
	cr_assert(!asks("*", "$stats"));
	cr_assert(!asks("{+a}", "$stats"));
	cr_assert(asks("$stats", "$stats"));
	cr_assert(asks("{+a}", "a$stats"));
}

Test(selector, one_of_a_list)
{
	struct buf list;

	buf_init(&list, 100);
	cr_assert(!selectors_ask(buf_str(&list), STR("x")));
	names_add(&list, STR("a"));
	names_add(&list, STR("b{/c}"));
	cr_assert(selectors_ask(buf_str(&list), STR("a")));
	cr_assert(selectors_ask(buf_str(&list), STR("b/1")));
	cr_assert(!selectors_ask(buf_str(&list), STR("x")));
	buf_done(&list);
}

Test(names, packed_and_walked)
{
	static const char longest[UINT16_MAX + 1];
	struct buf list;
	struct str at, name;

	buf_init(&list, 1 << 20);
	cr_assert(names_add(&list, STR("one")) == 0);
	cr_assert(names_add(&list, STR("")) == 0);
	cr_assert(names_add(&list, (struct str){ longest, UINT16_MAX }) == 0);
	cr_assert(names_add(&list, (struct str){ longest, UINT16_MAX + 1 }) == -EMSGSIZE);
	at = buf_str(&list);
	cr_assert(names_count(at) == 3);
	cr_assert(names_next(&at, &name) && str_eq(name, STR("one")));
	cr_assert(names_next(&at, &name) && name.n == 0);
	cr_assert(names_next(&at, &name) && name.n == UINT16_MAX);
	cr_assert(!names_next(&at, &name));
	buf_done(&list);
}

Test(names, never_half_a_name)
{
	struct guard guard = guard_new(64);
	struct buf list;

	buf_init(&list, 8);
	cr_assert(names_add(&list, STR("abc")) == 0);
	cr_assert(names_add(&list, STR("abc")) == -ENOBUFS);
	cr_assert(list.n == 5);
	/* A list that was cut anywhere ends before the name that is not whole. */
	for (size_t len = 0; len <= 5; len++)
		cr_assert(names_count(guard_place(&guard, (struct str){ list.p, len })) ==
			  (len == 5));
	buf_done(&list);
	guard_free(&guard);
}
