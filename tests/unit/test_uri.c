/*
 * Decoding, queries, paths that try to leave the root, hosts. Every input ends at a page that
 * cannot be read.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

#include "guard.h"
#include "uri.h"

struct decode_case {
	const char *in;
	bool plus;
	int result;
	const char *out;
};

static const struct decode_case decode_cases[] = {
	{ "", false, 0, "" },
	{ "plain", false, 0, "plain" },
	{ "a%20b", false, 0, "a b" },
	{ "%41%5a%7E", false, 0, "AZ~" },
	{ "%c3%A9", false, 0, "\xc3\xa9" },
	{ "a+b", false, 0, "a+b" },
	{ "a+b%2b", true, 0, "a b+" },
	{ "%2525", false, 0, "%25" },
	{ "%", false, -EINVAL, NULL },
	{ "%4", false, -EINVAL, NULL },
	{ "a%4g", false, -EINVAL, NULL },
	{ "%g4", false, -EINVAL, NULL },
	{ "%%41", false, -EINVAL, NULL },
	{ "% 41", false, -EINVAL, NULL },
	{ "%+1", true, -EINVAL, NULL },
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void check_str(struct str got, const char *want, const char *what)
{
	cr_assert(str_eq(got, str_of(want)), "%s: got \"%.*s\", want \"%s\"", what, STR_ARG(got),
		  want);
}

Test(uri, decodes_escapes_and_refuses_bad_ones)
{
	struct guard guard = guard_new(64);

	for (size_t i = 0; i < COUNT(decode_cases); i++) {
		const struct decode_case *c = &decode_cases[i];
		struct buf out;
		int result;

		buf_init(&out, 64);
		result = uri_decode(guard_place(&guard, str_of(c->in)), c->plus, &out);
		cr_assert_eq(result, c->result, "%s: got %d", c->in, result);
		if (c->out)
			check_str(buf_str(&out), c->out, c->in);
		buf_done(&out);
	}
	guard_free(&guard);
}

Test(uri, decodes_every_byte)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		char text[4];
		struct buf out;

		snprintf(text, sizeof(text), byte % 2 ? "%%%02x" : "%%%02X", byte);
		buf_init(&out, 8);
		cr_assert_eq(uri_decode(str_of(text), false, &out), 0);
		cr_assert(out.n == 1 && (unsigned char)out.p[0] == byte, "%s", text);
		buf_done(&out);
	}
}

Test(uri, says_that_the_buffer_is_full)
{
	struct buf out;

	buf_init(&out, 3);
	cr_assert_eq(uri_decode(STR("%61%62%63"), false, &out), 0);
	cr_assert_eq(uri_decode(STR("d"), false, &out), -ENOBUFS);
	buf_done(&out);
	buf_init(&out, 3);
	cr_assert_eq(uri_query_get(STR("a=1234"), STR("a"), &out), -ENOBUFS);
	buf_done(&out);
	buf_init(&out, 3);
	cr_assert_eq(uri_file_path(STR("/abc/d"), &out), -ENOBUFS);
	buf_done(&out);
}

Test(uri, compares_what_is_encoded)
{
	cr_assert(uri_eq(STR("topic"), true, STR("topic")));
	cr_assert(uri_eq(STR("to%70i%63"), true, STR("topic")));
	cr_assert(uri_eq(STR("a+b"), true, STR("a b")));
	cr_assert(uri_eq(STR("a+b"), false, STR("a+b")));
	cr_assert(uri_eq(STR(""), false, STR("")));
	cr_assert_not(uri_eq(STR("a+b"), true, STR("a+b")));
	cr_assert_not(uri_eq(STR("topi"), true, STR("topic")));
	cr_assert_not(uri_eq(STR("topics"), true, STR("topic")));
	cr_assert_not(uri_eq(STR("topic%"), true, STR("topic")));
	cr_assert_not(uri_eq(STR("topi%6"), true, STR("topic")));
	cr_assert_not(uri_eq(STR("Topic"), true, STR("topic")));
}

Test(uri, takes_a_query_apart)
{
	static const struct {
		const char *name, *value;
	} want[] = { { "a", "1" }, { "b", "" },    { "c", "" },
		     { "", "x" },  { "d", "2=3" }, { "%26", "+" } };
	struct str query = STR("&a=1&&b&c=&=x&d=2=3&%26=+&");
	struct str name, value;

	for (size_t i = 0; i < COUNT(want); i++) {
		cr_assert(uri_query_next(&query, &name, &value), "piece %zu", i);
		check_str(name, want[i].name, "name");
		check_str(value, want[i].value, "value");
	}
	cr_assert_not(uri_query_next(&query, &name, &value));
	cr_assert_not(uri_query_next(&query, &name, &value), "it stays at the end");
}

Test(uri, finds_nothing_in_no_query)
{
	struct str none = { NULL, 0 }, empty = STR(""), name, value;
	struct buf out;

	buf_init(&out, 8);
	cr_assert_not(uri_query_next(&none, &name, &value));
	cr_assert_not(uri_query_next(&empty, &name, &value));
	cr_assert_eq(uri_query_get((struct str){ NULL, 0 }, STR("a"), &out), 0);
	buf_done(&out);
}

Test(uri, gets_the_first_value_decoded)
{
	struct str query = STR("x=0&to%70ic=a+b%2B&topic=second&bad=%zz&empty");
	struct buf out;

	buf_init(&out, 64);
	cr_assert_eq(uri_query_get(query, STR("topic"), &out), 1);
	check_str(buf_str(&out), "a b+", "topic");
	buf_clear(&out);
	cr_assert_eq(uri_query_get(query, STR("empty"), &out), 1);
	cr_assert_eq(out.n, 0);
	cr_assert_eq(uri_query_get(query, STR("none"), &out), 0);
	cr_assert_eq(uri_query_get(query, STR("bad"), &out), -EINVAL);
	buf_done(&out);
}

struct path_case {
	const char *in;
	int result;
	const char *out;
};

static const struct path_case path_cases[] = {
	/* What is served */
	{ "/", 0, "" },
	{ "/index.html", 0, "index.html" },
	{ "/a/b/c.js", 0, "a/b/c.js" },
	{ "/a/", 0, "a/" },
	{ "/a%20b/%C3%A9", 0, "a b/\xc3\xa9" },
	{ "/a+b", 0, "a+b" },
	{ "/a..b/c.", 0, "a..b/c." },
	{ "/%252e%252e", 0, "%2e%2e" }, /* decoded once, and only once */
	{ "/~", 0, "~" },
	/* Out of the root */
	{ "/..", -EACCES, NULL },
	{ "/../", -EACCES, NULL },
	{ "/../etc/passwd", -EACCES, NULL },
	{ "/a/../b", -EACCES, NULL },
	{ "/a/..", -EACCES, NULL },
	{ "/%2e%2e/etc/passwd", -EACCES, NULL },
	{ "/%2E./x", -EACCES, NULL },
	{ "/.%2e/x", -EACCES, NULL },
	{ "/a/%2e%2e/%2e%2e/x", -EACCES, NULL },
	{ "/..%2fetc", -EACCES, NULL },
	{ "/%2e%2e%2fetc", -EACCES, NULL },
	{ "/a%2f..%2f..%2fetc", -EACCES, NULL },
	{ "/%2fetc/passwd", -EACCES, NULL },
	{ "/a%2Fb", -EACCES, NULL },
	{ "/a/%2f", -EACCES, NULL },
	/* Segments that name nothing */
	{ "//", -EACCES, NULL },
	{ "//etc/passwd", -EACCES, NULL },
	{ "/a//b", -EACCES, NULL },
	{ "/a//", -EACCES, NULL },
	{ "/.", -EACCES, NULL },
	{ "/./a", -EACCES, NULL },
	{ "/a/.", -EACCES, NULL },
	{ "/a/./", -EACCES, NULL },
	{ "/%2e", -EACCES, NULL },
	/* Hidden files */
	{ "/.git/config", -EACCES, NULL },
	{ "/a/.htpasswd", -EACCES, NULL },
	{ "/a/%2ehtpasswd", -EACCES, NULL },
	{ "/...", -EACCES, NULL },
	/* NUL */
	{ "/%00", -EACCES, NULL },
	{ "/index.html%00.png", -EACCES, NULL },
	{ "/a%00/b", -EACCES, NULL },
	/* Bad escapes */
	{ "/%", -EINVAL, NULL },
	{ "/%2", -EINVAL, NULL },
	{ "/%2/", -EINVAL, NULL },
	{ "/a/%zz", -EINVAL, NULL },
	{ "/%u002e", -EINVAL, NULL },
	/* No paths */
	{ "", -EACCES, NULL },
	{ "*", -EACCES, NULL },
	{ "a", -EACCES, NULL },
	{ "..", -EACCES, NULL },
};

Test(uri, keeps_file_paths_below_the_root)
{
	struct guard guard = guard_new(64);

	for (size_t i = 0; i < COUNT(path_cases); i++) {
		const struct path_case *c = &path_cases[i];
		struct buf out;
		int result;

		buf_init(&out, 64);
		result = uri_file_path(guard_place(&guard, str_of(c->in)), &out);
		cr_assert_eq(result, c->result, "%s: got %d", c->in, result);
		if (c->out)
			check_str(buf_str(&out), c->out, c->in);
		buf_done(&out);
	}
	guard_free(&guard);
}

Test(uri, appends_the_file_path)
{
	struct buf out;

	buf_init(&out, 64);
	buf_add(&out, STR("./"));
	cr_assert_eq(uri_file_path(STR("/a/b"), &out), 0);
	check_str(buf_str(&out), "./a/b", "path");
	buf_done(&out);
}

static const char *const hosts[] = {
	"localhost",    "example.org",           "example.org:80",
	"example.org:", "127.0.0.1:3000",        "a_b.c-d~",
	"%41%c3%a9",    "x!$&'()*+,;=",          "[::1]",
	"[::1]:65535",  "[2001:db8::192.0.2.1]", "[::]:",
	"h:0",
};

static const char *const no_hosts[] = {
	"",
	":80",
	"user@host",
	"user:pw@host",
	"host/",
	"host/path",
	"host?q",
	"host#f",
	"host:65536",
	"host:99999999999999999999999",
	"host:8x",
	"host:+80",
	"host:-1",
	"host: 80",
	"a b",
	"a\tb",
	"host:80:80",
	"::1",
	"[::1",
	"::1]",
	"[]",
	"[::1]x",
	"[::1]80",
	"[::1]:x",
	"[127.0.0.1]",
	"[::1%25eth0]",
	"[::g]",
	"[1:2:3:4:5:6:7:8:9]",
	"[v1.a]",
	"%",
	"%4",
	"a%zz",
	"\xc3\xa9",
	"a\"b",
	"a\\b",
	"a<b",
	"a[b",
	"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]",
};

Test(uri, knows_hosts)
{
	struct guard guard = guard_new(128);

	for (size_t i = 0; i < COUNT(hosts); i++)
		cr_assert(uri_is_host(guard_place(&guard, str_of(hosts[i]))), "%s", hosts[i]);
	for (size_t i = 0; i < COUNT(no_hosts); i++)
		cr_assert_not(uri_is_host(guard_place(&guard, str_of(no_hosts[i]))), "%s",
			      no_hosts[i]);
	cr_assert_not(uri_is_host(STR("a\0b")));
	cr_assert_not(uri_is_host(STR("[::1\0]")));
	guard_free(&guard);
}
