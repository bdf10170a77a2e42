/*
 * uritemplate: what is a template, and which topics have its shape; against a slow matcher of its
 * own on small alphabets, too.
 */
#include "uritemplate.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "buf.h"
#include "guard.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define B            "https://example.com"

static const struct {
	const char *text;
	const char *matches[8]; /* NULL ends them */
	const char *misses[10];
} vectors[] = {
	{ B "/books/{id}",
	  { B "/books/1", B "/books/", B "/books/a,b", B "/books/a%20b", B "/books/a.b-c_d~e" },
	  { B "/books/1/2", B "/books/1?x=y", B "/books/a=b", B "/books/a%2", B "/books/a b",
	    B "/books/\xc3\xa9", B "/books/a:b", B "/book", B "/books/{id}", "" } },
	{ B "/{+path}", { B "/a/b?c=d#e", B "/" }, { B "/a b", B "/a%2", "" } },
	{ B "/{+all}", { B "/a/b?c=d#e" }, { B "/\xc3\xa9" } },
	{ "{+all}", { "", "*", "a", "[x]" }, { "{", "}", "a\"" } },
	{ "{scheme}://{+host}/demo/books/{id}.jsonld",
	  { "https://localhost:3000/demo/books/1.jsonld" },
	  { "https://localhost:3000/demo/books/1.json" } },
	{ B "/f{.ext}", { B "/f", B "/f.json", B "/f.tar.gz" }, { B "/f.a/b", B "/fx" } },
	{ B "{/seg}", { B, B "/", B "/a" }, { B "/a/b" } },
	{ B "{/a,b}", { B "/a/b", B "/a", B "//" }, { B "/a/b/c" } },
	{ B "{/a*}", { B "/a/b/c", B "/k=v/w" }, { B "a", B "/a:b" } },
	{ B "/x{#frag}", { B "/x", B "/x#a/b", B "/x#" }, { B "/xa" } },
	{ B "/m{;p}", { B "/m;p=1", B "/m;q=1", B "/m;" }, { B "/m;a;b", B "/mp" } },
	{ B "/u/{?topic}", { B "/u/", B "/u/?other=1" }, { B "/u/?topic=a/b", B "/u/?a&b" } },
	{ B "/s{?q}", { B "/s?q=1" }, { B "/s?q=1&l=fr" } },
	{ B "/s{?q,l}", { B "/s?q=1&l=fr", B "/s?q=1" }, { B "/s?q=1&l=fr&m=2", B "/s&q=1" } },
	{ B "/s{?q*}", { B "/s?q=1&l=fr", B "/s?a=1&b=2&c=3" }, { B "/s?a=1?b" } },
	{ B "/s?fixed=1{&more}", { B "/s?fixed=1", B "/s?fixed=1&x=2" }, { B "/s?fixed=1x" } },
	{ B "/{a:3}", { B "/abcdef" }, { B "/abc/d" } },
	{ B "/{a}", { B "/k" }, { B "/k=v" } },
	{ B "/{a,b*}", { B "/k", B "/x,k=v" }, { B "/k=v" } },
	{ B "/{a*}", { B "/k=v", B "/k=v,l=w" }, { B "/a/b" } },
	{ "{a}{b}", { "", "x", "xyz" }, { "x/y" } },
	{ "{a}x{b}", { "x", "xx", "axb", "xxx" }, { "", "a" } },
	{ "\xc3\xa9/{a}", { "\xc3\xa9/1" }, { "e/1", "\xc3/1" } },
	{ "%7e{a}", { "%7e", "%7ex" }, { "~", "%7E" } },
	{ "{a.b.c,%41_9}", { "x,y" }, { "/" } },
	{ "it's{a}", { "it's" }, { "its" } },
};

Test(uritemplate, vectors)
{
	struct guard text_guard = guard_new(256), topic_guard = guard_new(256);

	for (size_t i = 0; i < COUNT(vectors); i++) {
		struct str text = guard_place(&text_guard, str_of(vectors[i].text));

		cr_assert(uritemplate_is_valid(text), "%s", vectors[i].text);
		for (const char *const *topic = vectors[i].matches; *topic; topic++)
			cr_assert(uritemplate_matches(text,
						      guard_place(&topic_guard, str_of(*topic))),
				  "%s should match %s", vectors[i].text, *topic);
		for (size_t t = 0; t < COUNT(vectors[i].misses) && vectors[i].misses[t]; t++)
			cr_assert(!uritemplate_matches(
					  text,
					  guard_place(&topic_guard, str_of(vectors[i].misses[t]))),
				  "%s should not match %s", vectors[i].text, vectors[i].misses[t]);
	}
	guard_free(&text_guard);
	guard_free(&topic_guard);
}

static const char *const not_templates[] = {
	"",
	"*",
	"plain",
	"{",
	"{}",
	"{unclosed",
	"{a b}",
	"{=a}",
	"{,a}",
	"{!a}",
	"{@a}",
	"{|a}",
	"{a:0}",
	"{a:10000}",
	"{a:}",
	"{a:01}",
	"{a:x}",
	"{a:1*}",
	"{a*:1}",
	"{a**}",
	"{.}",
	"{..a}",
	"{a..b}",
	"{a.}",
	"{a,}",
	"{a,,b}",
	"{+}",
	"{++a}",
	"{a%2}",
	"{a-b}",
	"{\xc3\xa9}",
	"a b{c}",
	"a%2{c}",
	"a%zz{c}",
	"x}{y}",
	"{y}}",
	"{{y}}",
	"\"{y}",
	"<{y}",
	">{y}",
	"\\{y}",
	"^{y}",
	"|{y}",
	"`{y}",
	"\x01{y}",
	"\x7f{y}",
	"\xc2\x9f{y}",         /* a control character: U+009F */
	"\xef\xb7\x90{y}",     /* set aside: U+FDD0 */
	"\xef\xbf\xbe{y}",     /* set aside: U+FFFE */
	"\xf0\x9f\xbf\xbf{y}", /* set aside: U+1FFFF */
	"\xed\xa0\x80{y}",     /* a surrogate */
	"\xff{y}",
};

static const char *const templates[] = {
	"{a}",
	"{a:1}",
	"{a:9999}",
	"{+a,b:3,c*}",
	"{_}",
	"{%41.b}",
	"\xc2\xa0{y}",
	"\xef\xb7\xb0{y}",
	"\xf0\x9f\x98\x80{y}",
	"!$&'()*+,;=:@/?#[]-._~%20{y}",
};

Test(uritemplate, what_is_one)
{
	struct guard guard = guard_new(64);

	for (size_t i = 0; i < COUNT(not_templates); i++)
		cr_assert(!uritemplate_is_valid(guard_place(&guard, str_of(not_templates[i]))),
			  "%s", not_templates[i]);
	for (size_t i = 0; i < COUNT(templates); i++)
		cr_assert(uritemplate_is_valid(guard_place(&guard, str_of(templates[i]))), "%s",
			  templates[i]);
	cr_assert(!uritemplate_is_valid(STR("\0{a}")));
	guard_free(&guard);
}

/* One expression, matched the slow way: every split is tried. */
struct shape {
	const char *text; /* of the expression */
	char first, separator;
	const char *leading, *following; /* the characters, of the test's alphabet */
	unsigned more_max;
};

static bool slow_rest(const struct shape *s, const char *topic, size_t n, bool leads, unsigned used)
{
	if (n == 0)
		return true;
	if (strchr(leads ? s->leading : s->following, *topic) &&
	    slow_rest(s, topic + 1, n - 1, leads, used))
		return true;
	return *topic == s->separator && used < s->more_max &&
	       slow_rest(s, topic + 1, n - 1, false, used + 1);
}

static bool slow_match(const struct shape *s, const char *topic, size_t n)
{
	if (n == 0)
		return true;
	if (!s->first)
		return slow_rest(s, topic, n, true, 0);
	return *topic == s->first && slow_rest(s, topic + 1, n - 1, true, 0);
}

static const struct shape shapes[] = {
	{ "{a}", 0, ',', "a,.", "a,.", 0 },
	{ "{a*}", 0, ',', "a,.=", "a,.=", 99 },
	{ "{a,b*}", 0, ',', "a,.", "a,.=", 99 },
	{ "{a*,b}", 0, ',', "a,.=", "a,.=", 99 },
	{ "{a,b}", 0, ',', "a,.", "a,.", 1 },
	{ "{+a}", 0, ',', "a,.=/;?&#", "a,.=/;?&#", 0 },
	{ "{#a}", '#', ',', "a,.=/;?&#", "a,.=/;?&#", 0 },
	{ "{.a,b}", '.', '.', "a,.", "a,.", 1 },
	{ "{/a}", '/', '/', "a,.", "a,.", 0 },
	{ "{/a,b}", '/', '/', "a,.", "a,.", 1 },
	{ "{/a,b,c}", '/', '/', "a,.", "a,.", 2 },
	{ "{/a,b*}", '/', '/', "a,.", "a,.=", 99 },
	{ "{;a}", ';', ';', "a,.=", "a,.=", 0 },
	{ "{;a,b}", ';', ';', "a,.=", "a,.=", 1 },
	{ "{?a}", '?', '&', "a,.=", "a,.=", 0 },
	{ "{?a,b}", '?', '&', "a,.=", "a,.=", 1 },
	{ "{?a*}", '?', '&', "a,.=", "a,.=", 99 },
	{ "{&a,b}", '&', '&', "a,.=", "a,.=", 1 },
};

/* Every string of up to five characters of the alphabet. */
Test(uritemplate, agrees_with_a_slow_matcher)
{
	static const char alphabet[] = "a,.=/;?&#";
	const size_t letters = sizeof(alphabet) - 1;
	char topic[5];

	for (size_t len = 0; len <= sizeof(topic); len++) {
		size_t total = 1;

		for (size_t i = 0; i < len; i++)
			total *= letters;
		for (size_t n = 0; n < total; n++) {
			size_t rest = n;

			for (size_t i = 0; i < len; i++, rest /= letters)
				topic[i] = alphabet[rest % letters];
			for (size_t i = 0; i < COUNT(shapes); i++) {
				struct str text = str_of(shapes[i].text);

				if (uritemplate_matches(text, (struct str){ topic, len }) !=
				    slow_match(&shapes[i], topic, len))
					cr_assert_fail("%s and %.*s", shapes[i].text, (int)len,
						       topic);
			}
		}
	}
}

/* What makes a backtracking matcher explode takes no time here: the test would not end. */
Test(uritemplate, has_nothing_to_try_again)
{
	struct buf text, topic;

	buf_init(&text, 1 << 16);
	buf_init(&topic, 1 << 16);
	for (int i = 0; i < 200; i++)
		buf_add(&text, STR("{a,b,c*}a"));
	for (int i = 0; i < URITEMPLATE_TOPIC_MAX - 1; i++)
		buf_add_char(&topic, 'a');
	cr_assert(uritemplate_matches(buf_str(&text), buf_str(&topic)));
	buf_add_char(&topic, '/');
	cr_assert(!uritemplate_matches(buf_str(&text), buf_str(&topic)));
	cr_assert(!uritemplate_matches(STR("{+a}b"), buf_str(&topic)));
	cr_assert(uritemplate_matches(STR("{+a}"), buf_str(&topic)));
	buf_add_char(&topic, '/');
	cr_assert(!uritemplate_matches(STR("{+a}"), buf_str(&topic)), "longer than the limit");
	buf_done(&text);
	buf_done(&topic);
}

Test(uritemplate, is_costly_beyond_ten_expressions)
{
	struct buf text;

	buf_init(&text, 1 << 16);
	for (int i = 0; i < URITEMPLATE_EXPRESSIONS_MAX; i++) {
		buf_add(&text, STR("{a}"));
		cr_assert(!uritemplate_is_costly(buf_str(&text)), "%d", i + 1);
	}
	buf_add(&text, STR("{a}"));
	cr_assert(uritemplate_is_costly(buf_str(&text)));
	buf_add(&text, STR("{"));
	cr_assert(!uritemplate_is_costly(buf_str(&text)), "it is no template");
	buf_done(&text);
}

/* Any byte at any place: no byte read behind the end. */
Test(uritemplate, survives_every_changed_byte)
{
	static const char text[] = "a%20{+b.c:12,d*}\xc3\xa9{&e}";
	struct guard guard = guard_new(sizeof(text)), topic_guard = guard_new(sizeof(text));
	char changed[sizeof(text)];
	unsigned valid = 0;

	for (size_t len = 1; len < sizeof(text); len++)
		for (size_t at = 0; at < len; at++)
			for (int c = 0; c < 256; c++) {
				struct str s;

				memcpy(changed, text, sizeof(text));
				changed[at] = (char)c;
				s = guard_place(&guard, (struct str){ changed, len });
				if (!uritemplate_is_valid(s))
					continue;
				valid++;
				uritemplate_matches(
					s, guard_place(&topic_guard, (struct str){ changed, len }));
			}
	cr_assert(valid > 1000);
	guard_free(&guard);
	guard_free(&topic_guard);
}
