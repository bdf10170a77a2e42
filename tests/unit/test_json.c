/*
 * json: what is JSON and what is not, never a byte behind the text, and the walk over it.
 */
#include "json.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 65536 };

/* The same bytes at the end of a page, before one that nobody may touch. */
static struct str guarded(struct str s)
{
	static char *page;

	if (!page) {
		page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0);
		cr_assert(page != MAP_FAILED);
		cr_assert(mprotect(page + PAGE, PAGE, PROT_NONE) == 0);
	}
	cr_assert(s.n <= PAGE);
	return (struct str){ memcpy(page + PAGE - s.n, s.n ? s.p : "", s.n), s.n };
}

static int check(struct str text)
{
	struct str value;

	return json_check(guarded(text), &value);
}

static const char *const accepted[] = {
	"null",
	"true",
	"false",
	"0",
	"-0",
	"7",
	"-12",
	"1234567890123456789012345678901234567890",
	"0.0",
	"1.50",
	"-0.1",
	"1e5",
	"1E+5",
	"1e-5",
	"0e0",
	"1.5e010",
	"\"\"",
	"\"a\"",
	"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
	"\"\\u0000\"",
	"\"\\u00e4\\uABCD\"",
	"\"\\ud83d\\ude00\"",
	"\"\\uDBFF\\uDFFF\"",
	"\"\x7f\"",
	"\"\xc3\xa4\xf0\x9f\x98\x80\"",
	"\"\xef\xbb\xbf\"",
	"[]",
	"{}",
	"[ ]",
	"{ }",
	"[1]",
	"[1,2]",
	"[[],[[]],{}]",
	"{\"a\":1}",
	"{\"a\":1,\"a\":2}",
	"{\"\":{}}",
	"{\"a\":[{\"b\":[null,true,false]}],\"c\":\"d\"}",
	" \t\r\n[ \t\r\n1 \t\r\n, \t\r\n2 \t\r\n] \t\r\n",
	"{ \"a\" : 1 , \"b\" : { } }",
	"\"[\"",
	"\"}\"",
	"[\"]\",\"{\"]",
};

static const char *const refused[] = {
	"",
	" ",
	"nul",
	"nulll",
	"Null",
	"TRUE",
	"truefalse",
	"undefined",
	"NaN",
	"Infinity",
	"-Infinity",
	"-",
	"+1",
	"01",
	"-01",
	"00",
	"1.",
	".5",
	"-.5",
	"1.e5",
	"1e",
	"1e+",
	"1e-",
	"1e5.5",
	"0x10",
	"1 2",
	"1,",
	"--1",
	"1-",
	"1_000",
	"\"",
	"\"a",
	"a\"",
	"'a'",
	"\"\\\"",
	"\"\\",
	"\"\\x41\"",
	"\"\\a\"",
	"\"\\'\"",
	"\"\\u\"",
	"\"\\u1\"",
	"\"\\u12\"",
	"\"\\u123\"",
	"\"\\u123g\"",
	"\"\\u 123\"",
	"\"\\U0041\"",
	"\"\\ud800\"",
	"\"\\udc00\"",
	"\"\\ud800x\"",
	"\"\\ud800\\n\"",
	"\"\\ud800\\ud800\"",
	"\"\\ud800\\u0041\"",
	"\"\\udc00\\ud800\"",
	"\"\\udc00\\udc00\"",
	"\"\\ud83d\\\"",
	"\"\t\"",
	"\"\n\"",
	"\"\x1f\"",
	"\"\xff\"",
	"\"\xc3\"",
	"\"\xed\xa0\x80\"",
	"\"\xc0\x80\"",
	"[",
	"]",
	"{",
	"}",
	"[}",
	"{]",
	"[1",
	"[1,",
	"[1,]",
	"[,]",
	"[,1]",
	"[1,,2]",
	"[1 2]",
	"[1}",
	"[\"a\":1]",
	"{\"a\"}",
	"{\"a\":}",
	"{\"a\":1,}",
	"{,}",
	"{\"a\":1 \"b\":2}",
	"{\"a\":1]",
	"{a:1}",
	"{1:1}",
	"{null:1}",
	"{\"a\"::1}",
	"{\"a\",1}",
	"{\"a\":1:2}",
	"{:1}",
	"[]]",
	"{}}",
	"[][]",
	"{}{}",
	"[] x",
	"/**/1",
	"1//",
	"[1]#",
	"\xef\xbb\xbf[]",
	"\v1",
	"\f1",
	"\xc2\xa0[]",
	"1\xe2\x80\xa8",
	"[01]",
	"[1.]",
	"[-]",
	"[tru]",
	"[true1]",
	"{\"a\":01}",
};

Test(json, accepts_the_grammar)
{
	for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++)
		cr_assert(check(str_of(accepted[i])) == 0, "%s", accepted[i]);
}

Test(json, refuses_everything_else)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		cr_assert(check(str_of(refused[i])) == -EINVAL, "%s", refused[i]);
	cr_assert(check((struct str){ NULL, 0 }) == -EINVAL);
}

Test(json, nul_is_nowhere_allowed)
{
	cr_assert(check(STR("\0")) == -EINVAL);
	cr_assert(check(STR("1\0")) == -EINVAL);
	cr_assert(check(STR("[\0]")) == -EINVAL);
	cr_assert(check(STR("\"a\0b\"")) == -EINVAL);
	cr_assert(check(STR("\"\\\0\"")) == -EINVAL);
	cr_assert(check(STR("[1]\0")) == -EINVAL);
}

/* Only a container or a string shows its end; so the prefixes of what is in an array. */
Test(json, refuses_every_prefix)
{
	for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
		char text[200];
		int n = snprintf(text, sizeof(text), "{\"k\":[%s]}", accepted[i]);

		cr_assert(n > 0 && n < (int)sizeof(text));
		cr_assert(check((struct str){ text, (size_t)n }) == 0);
		for (size_t len = 0; len < (size_t)n; len++)
			cr_assert(check((struct str){ text, len }) == -EINVAL, "%zu bytes of %s",
				  len, text);
	}
}

/* Any byte at any place: no crash, no byte read behind, and what is accepted can be walked. */
Test(json, survives_every_changed_byte)
{
	static const char text[] = "{\"a\":[1.5e-3,\"\\ud83d\\ude00\\n\"],\"b\":null}";
	char changed[sizeof(text)];

	for (size_t at = 0; at + 1 < sizeof(text); at++)
		for (int c = 0; c < 256; c++) {
			struct str all, at_value, key, value;

			memcpy(changed, text, sizeof(text));
			changed[at] = (char)c;
			if (json_check(guarded((struct str){ changed, sizeof(text) - 1 }), &all))
				continue;
			at_value = all;
			unsigned members = 0;
			while (json_next_member(&at_value, &key, &value))
				members++;
			cr_assert(members == 2);
		}
}

Test(json, gives_the_value_without_white_space)
{
	struct str value;

	cr_assert(json_check(STR(" \n{\"a\": 1} \t"), &value) == 0);
	cr_assert(str_eq(value, STR("{\"a\": 1}")));
	cr_assert(json_check(STR("12 "), &value) == 0);
	cr_assert(str_eq(value, STR("12")));
}

/* Arrays and objects in turns, depth of them. */
static int check_depth(unsigned depth)
{
	struct buf b;
	int err;

	buf_init(&b, PAGE);
	for (unsigned i = 0; i < depth; i++)
		buf_add(&b, i % 3 ? STR("{\"a\":") : STR("["));
	buf_add_char(&b, '1');
	for (unsigned i = depth; i-- > 0;)
		buf_add_char(&b, i % 3 ? '}' : ']');
	err = check(buf_str(&b));
	buf_done(&b);
	return err;
}

Test(json, depth_has_a_limit)
{
	for (unsigned depth = 0; depth <= JSON_DEPTH_MAX; depth++)
		cr_assert(check_depth(depth) == 0, "depth %u", depth);
	cr_assert(check_depth(JSON_DEPTH_MAX + 1) == -E2BIG);
	cr_assert(check_depth(5000) == -E2BIG);
}

Test(json, depth_counts_what_is_open_only)
{
	struct buf b;

	buf_init(&b, PAGE);
	buf_add_char(&b, '[');
	for (unsigned i = 0; i < 1000; i++)
		buf_add(&b, STR("[],{\"a\":{}},"));
	buf_add(&b, STR("0]"));
	cr_assert(check(buf_str(&b)) == 0);
	buf_done(&b);
}

Test(json, types)
{
	cr_assert(json_type(STR("null")) == JSON_NULL);
	cr_assert(json_type(STR("false")) == JSON_FALSE);
	cr_assert(json_type(STR("true")) == JSON_TRUE);
	cr_assert(json_type(STR("-1")) == JSON_NUMBER);
	cr_assert(json_type(STR("0")) == JSON_NUMBER);
	cr_assert(json_type(STR("\"\"")) == JSON_STRING);
	cr_assert(json_type(STR("[]")) == JSON_ARRAY);
	cr_assert(json_type(STR("{}")) == JSON_OBJECT);
}

Test(json, walks_members_in_order)
{
	struct str at = guarded(STR("{ \"a\" : [1,{\"x\":2}] ,\"b}\":\"]\", \"c\":-1e5 }")), key,
		   value;

	cr_assert(json_next_member(&at, &key, &value));
	cr_assert(str_eq(key, STR("\"a\"")) && str_eq(value, STR("[1,{\"x\":2}]")));
	cr_assert(json_next_member(&at, &key, &value));
	cr_assert(str_eq(key, STR("\"b}\"")) && str_eq(value, STR("\"]\"")));
	cr_assert(json_next_member(&at, &key, &value));
	cr_assert(str_eq(key, STR("\"c\"")) && str_eq(value, STR("-1e5")));
	cr_assert(!json_next_member(&at, &key, &value));
	cr_assert(!json_next_member(&at, &key, &value), "the end stays the end");
}

Test(json, walks_elements_in_order)
{
	struct str at = guarded(STR("[ null ,[[]],{}, \"a\\\"\" ]")), value;

	cr_assert(json_next_element(&at, &value) && str_eq(value, STR("null")));
	cr_assert(json_next_element(&at, &value) && str_eq(value, STR("[[]]")));
	cr_assert(json_next_element(&at, &value) && str_eq(value, STR("{}")));
	cr_assert(json_next_element(&at, &value) && str_eq(value, STR("\"a\\\"\"")));
	cr_assert(!json_next_element(&at, &value));
	cr_assert(!json_next_element(&at, &value));
}

Test(json, walks_nothing_else)
{
	static const char *const texts[] = { "[]", "[ ]", "{}", "{ }", "1", "\",\"", "null" };
	struct str key, value;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct str at = guarded(str_of(texts[i]));
		cr_assert(!json_next_element(&at, &value), "%s", texts[i]);
		at = guarded(str_of(texts[i]));
		cr_assert(!json_next_member(&at, &key, &value), "%s", texts[i]);
	}
	struct str array = STR("[\"a\"]"), object = STR("{\"a\":1}");
	cr_assert(!json_next_member(&array, &key, &value));
	cr_assert(!json_next_element(&object, &value));
}

Test(json, get_finds_the_last_of_its_name)
{
	struct str object = STR("{\"a\":1,\"b\":{\"c\":2},\"\\u0061\":3,\"\":4}"), value;

	cr_assert(json_get(object, STR("a"), &value) && str_eq(value, STR("3")));
	cr_assert(json_get(object, STR("b"), &value) && str_eq(value, STR("{\"c\":2}")));
	cr_assert(json_get(object, STR(""), &value) && str_eq(value, STR("4")));
	cr_assert(!json_get(object, STR("c"), &value), "it belongs to another object");
	cr_assert(!json_get(STR("{}"), STR("a"), &value));
	cr_assert(!json_get(STR("[\"a\"]"), STR("a"), &value));
}

static const struct {
	struct str json, content;
} strings[] = {
	{ { "\"\"", 2 }, { "", 0 } },
	{ { "\"abc\"", 5 }, { "abc", 3 } },
	{ { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", 18 }, { "\"\\/\b\f\n\r\t", 8 } },
	{ { "\"a\\u0000b\"", 10 }, { "a\0b", 3 } },
	{ { "\"\\u007f\\u0080\"", 14 }, { "\x7f\xc2\x80", 3 } },
	{ { "\"\\u07ff\\u0800\"", 14 }, { "\xdf\xbf\xe0\xa0\x80", 5 } },
	{ { "\"\\uFFFF\\uD7ff\\ue000\"", 20 }, { "\xef\xbf\xbf\xed\x9f\xbf\xee\x80\x80", 9 } },
	{ { "\"\\ud800\\udc00\"", 14 }, { "\xf0\x90\x80\x80", 4 } },
	{ { "\"\\udbff\\udfff\"", 14 }, { "\xf4\x8f\xbf\xbf", 4 } },
	{ { "\"x\xc3\xa4\\u00e4y\"", 12 }, { "x\xc3\xa4\xc3\xa4y", 6 } },
};

enum { STRINGS = sizeof(strings) / sizeof(strings[0]) };

Test(json, strings_decoded)
{
	struct buf out;

	buf_init(&out, 100);
	for (size_t i = 0; i < STRINGS; i++) {
		cr_assert(check(strings[i].json) == 0, "string %zu", i);
		buf_clear(&out);
		buf_add(&out, STR("="));
		cr_assert(json_string(guarded(strings[i].json), &out) == 0);
		cr_assert(str_eq(str_from(buf_str(&out), 1), strings[i].content), "string %zu", i);
	}
	buf_done(&out);
	buf_init(&out, 2);
	cr_assert(json_string(STR("\"abc\""), &out) == -ENOBUFS);
	buf_done(&out);
}

Test(json, strings_compared)
{
	for (size_t i = 0; i < STRINGS; i++)
		for (size_t j = 0; j < STRINGS; j++)
			cr_assert(json_string_is(guarded(strings[i].json), strings[j].content) ==
				  (i == j));
	cr_assert(!json_string_is(STR("\"abc\""), STR("ab")));
	cr_assert(!json_string_is(STR("\"ab\""), STR("abc")));
	cr_assert(!json_string_is(STR("\"a\\nb\""), STR("a\n")));
	cr_assert(!json_string_is(STR("\"a\\n\""), STR("a\nb")));
}

Test(json, whole_numbers)
{
	static const char *const wrong[] = {
		"-0",   "-1",    "1.0", "1e3", "18446744073709551616", "99999999999999999999999",
		"null", "\"1\"", "{}"
	};
	uint64_t value = 5;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		cr_assert(json_u64(str_of(wrong[i]), &value) == -ERANGE, "%s", wrong[i]);
	cr_assert(value == 5);
	cr_assert(json_u64(STR("0"), &value) == 0 && value == 0);
	cr_assert(json_u64(guarded(STR("18446744073709551615")), &value) == 0);
	cr_assert(value == UINT64_MAX);
}

static bool is_double(struct str text, double want)
{
	return memcmp(&(double){ json_double(guarded(text)) }, &want, sizeof(want)) == 0;
}

Test(json, doubles)
{
	char longest[2000];

	cr_assert(is_double(STR("0"), 0.0));
	cr_assert(is_double(STR("-0"), -0.0));
	cr_assert(is_double(STR("1.5e3"), 1500.0));
	cr_assert(is_double(STR("-0.1"), -0.1));
	cr_assert(is_double(STR("1e999"), INFINITY));
	/* Around the length where the copy changes its place. */
	for (size_t n = 100; n < sizeof(longest); n += n < 200 ? 1 : 900) {
		memset(longest, '0', n);
		longest[0] = '1';
		longest[1] = '.';
		longest[n - 1] = '1';
		cr_assert(is_double((struct str){ longest, n }, 1.0), "%zu digits", n);
		memcpy(longest + n - 3, "e-2", 3);
		cr_assert(is_double((struct str){ longest, n }, 0.01), "%zu digits", n);
	}
}
