/*
 * Static files: the page inside the binary, a folder of --root, and nothing outside of it.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reader.h"

#define ROWS(rows) (sizeof(rows) / sizeof((rows)[0]))

/* GET path with these header fields. */
static int get(const struct daemon *d, struct response *r, const char *path, const char *fields)
{
	char text[1024];

	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", path, fields);
	return request(d, r, text);
}

/* A daemon with a root that has a bit of everything, and a secret beside it. */
static void begin(struct daemon *d)
{
	static const char *const links[][2] = {
		{ "../secret.txt", "root/link.txt" },
		{ "/etc", "root/etc" },
		{ "plain.txt", "root/inside.txt" },
		{ "nowhere", "root/dangling" },
	};

	daemon_init(d);
	daemon_file(d, "secret.txt", STR("secret"));
	daemon_file(d, "root-other/x.txt", STR("secret"));
	daemon_file(d, "root/index.html", STR("<p>index"));
	daemon_file(d, "root/plain.txt", STR("0123456789"));
	daemon_file(d, "root/empty.css", STR(""));
	daemon_file(d, "root/sub/index.html", STR("<p>sub"));
	daemon_file(d, "root/bare/file.json", STR("{}"));
	daemon_file(d, "root/.hidden", STR("secret"));
	daemon_file(d, "root/.git/config", STR("secret"));
	daemon_file(d, "root/a b%.js", STR("1"));
	for (size_t i = 0; i < ROWS(links); i++) {
		char path[160];

		snprintf(path, sizeof(path), "%s/%s", d->dir, links[i][1]);
		cr_assert(symlink(links[i][0], path) == 0);
	}
	daemon_start(d, OPTIONS("--root", daemon_path(d, "root"), QUIET));
}

Test(page, is_inside_the_binary)
{
	struct daemon d;
	struct response r;

	daemon_begin(&d, NULL);
	cr_assert(get(&d, &r, "/", "") == 200);
	cr_expect(response_is(&r, "Content-Type", "text/html; charset=utf-8"));
	cr_expect(response_is(&r, "X-Content-Type-Options", "nosniff"));
	cr_expect(response_header(&r, "Content-Security-Policy").n > 10);
	cr_expect(response_has(&r, "sse-data"));
	struct str etag = response_header(&r, "ETag");

	cr_assert(etag.n > 2 && etag.p[0] == '"');
	char fields[128];

	snprintf(fields, sizeof(fields), "If-None-Match: \"x\", %.*s\r\n", STR_ARG(etag));
	response_done(&r);
	cr_expect(get(&d, &r, "/index.html", fields) == 304);
	response_done(&r);
	cr_expect(get(&d, &r, "/nothing.html", "") == 404);
	response_done(&r);
	daemon_stop(&d);
}

Test(files, have_types_validators_and_a_policy)
{
	static const struct {
		const char *path, *type, *body;
	} rows[] = {
		{ "/", "text/html; charset=utf-8", "<p>index" },
		{ "/index.html", "text/html; charset=utf-8", "<p>index" },
		{ "/plain.txt", "text/plain; charset=utf-8", "0123456789" },
		{ "/plain.txt?query=1", "text/plain; charset=utf-8", "0123456789" },
		{ "/%70lain.txt", "text/plain; charset=utf-8", "0123456789" },
		{ "/sub/", "text/html; charset=utf-8", "<p>sub" },
		{ "/bare/file.json", "application/json", "{}" },
		{ "/a%20b%25.js", "text/javascript; charset=utf-8", "1" },
		{ "/inside.txt", "text/plain; charset=utf-8", "0123456789" },
	};
	struct daemon d;

	begin(&d);
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct response r;

		cr_expect(get(&d, &r, rows[i].path, "") == 200, "%s: %d", rows[i].path, r.status);
		cr_expect(response_is(&r, "Content-Type", rows[i].type), "%s: %.*s", rows[i].path,
			  STR_ARG(response_header(&r, "Content-Type")));
		cr_expect(str_eq(buf_str(&r.body), str_of(rows[i].body)), "%s", rows[i].path);
		cr_expect(response_is(&r, "X-Content-Type-Options", "nosniff"));
		cr_expect(response_header(&r, "ETag").n > 2);
		cr_expect(response_header(&r, "Last-Modified").n == 29);
		response_done(&r);
	}
	daemon_stop(&d);
}

Test(files, empty_file_and_folder_without_a_slash)
{
	struct daemon d;
	struct response r;

	begin(&d);
	cr_expect(get(&d, &r, "/empty.css", "") == 200);
	cr_expect(r.has_length && r.length == 0);
	response_done(&r);
	get(&d, &r, "/sub", "");
	if (r.status == 200)
		cr_expect(response_has(&r, "<p>sub"));
	else
		cr_expect((r.status == 301 || r.status == 308) &&
				  response_is(&r, "Location", "/sub/"),
			  "%d", r.status);
	response_done(&r);
	cr_expect(get(&d, &r, "/bare/", "") == 404);
	response_done(&r);
	cr_expect(get(&d, &r, "/plain.txt/", "") == 404);
	response_done(&r);
	daemon_stop(&d);
}

Test(files, nothing_outside_the_root_is_reachable)
{
	static const char *const paths[] = {
		"/../secret.txt",
		"/sub/../../secret.txt",
		"/%2e%2e/secret.txt",
		"/.%2e/secret.txt",
		"/..%2fsecret.txt",
		"/sub/..%2f..%2fsecret.txt",
		"/%2e%2e%2fsecret.txt",
		"//etc/passwd",
		"/%2fetc/passwd",
		"/etc/passwd",
		"/etc/hostname",
		"/link.txt",
		"/dangling",
		"/.hidden",
		"/%2ehidden",
		"/.git/config",
		"/sub/../.hidden",
		"/plain.txt%00",
		"/plain.txt%00.html",
		"/%00",
		"/..",
		"/../root-other/x.txt",
		"/..%5csecret.txt",
		"/%252e%252e/secret.txt",
		"/sub/%2e%2e/%2e%2e/secret.txt",
		"/./secret.txt",
		"/%zz",
		"/%",
	};
	struct daemon d;

	begin(&d);
	for (size_t i = 0; i < ROWS(paths); i++) {
		struct response r;
		int status = get(&d, &r, paths[i], "");

		cr_expect(status == 404 || status == 400 || status == 403, "%s: %d", paths[i],
			  status);
		cr_expect(!response_has(&r, "secret") && !response_has(&r, "root:"), "%s",
			  paths[i]);
		response_done(&r);
	}
	daemon_stop(&d);
}

Test(files, unchanged_is_304)
{
	struct daemon d;
	struct response r;
	char fields[256], etag[64], modified[64];

	begin(&d);
	cr_assert(get(&d, &r, "/plain.txt", "") == 200);
	snprintf(etag, sizeof(etag), "%.*s", STR_ARG(response_header(&r, "ETag")));
	snprintf(modified, sizeof(modified), "%.*s", STR_ARG(response_header(&r, "Last-Modified")));
	response_done(&r);
	const struct {
		const char *format, *value;
		int status;
	} rows[] = {
		{ "If-None-Match: %s\r\n", etag, 304 },
		{ "If-None-Match: W/%s\r\n", etag, 304 },
		{ "If-None-Match: \"a\", %s\r\n", etag, 304 },
		{ "If-None-Match: *\r\n", NULL, 304 },
		{ "If-None-Match: \"a\"\r\n", NULL, 200 },
		{ "If-Modified-Since: %s\r\n", modified, 304 },
		{ "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", NULL, 200 },
		{ "If-Modified-Since: yesterday\r\n", NULL, 200 },
		{ "If-None-Match: \"a\"\r\nIf-Modified-Since: %s\r\n", modified, 200 },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		const char *at = strstr(rows[i].format, "%s");

		snprintf(fields, sizeof(fields), "%.*s%s%s",
			 at ? (int)(at - rows[i].format) : (int)strlen(rows[i].format),
			 rows[i].format, at ? rows[i].value : "", at ? at + 2 : "");
		cr_expect(get(&d, &r, "/plain.txt", fields) == rows[i].status, "%s: %d", fields,
			  r.status);
		cr_expect(response_is(&r, "ETag", etag));
		response_done(&r);
	}
	daemon_stop(&d);
}

Test(files, single_ranges)
{
	static const struct {
		const char *range;
		int status;
		const char *content_range, *body;
	} rows[] = {
		{ "bytes=0-3", 206, "bytes 0-3/10", "0123" },
		{ "bytes=7-", 206, "bytes 7-9/10", "789" },
		{ "bytes=-2", 206, "bytes 8-9/10", "89" },
		{ "bytes=-99", 206, "bytes 0-9/10", "0123456789" },
		{ "bytes=5-99999999999999999999", 206, "bytes 5-9/10", "56789" },
		{ "bytes=9-9", 206, "bytes 9-9/10", "9" },
		{ "bytes=10-", 416, "bytes */10", NULL },
		{ "bytes=-0", 416, "bytes */10", NULL },
		{ "bytes=3-1", 200, NULL, "0123456789" },
		{ "bytes=a-b", 200, NULL, "0123456789" },
		{ "bytes=0-1,3-4", 200, NULL, "0123456789" },
		{ "lines=0-1", 200, NULL, "0123456789" },
	};
	struct daemon d;
	struct response r;
	char fields[160], etag[64];

	begin(&d);
	for (size_t i = 0; i < ROWS(rows); i++) {
		snprintf(fields, sizeof(fields), "Range: %s\r\n", rows[i].range);
		cr_expect(get(&d, &r, "/plain.txt", fields) == rows[i].status, "%s: %d",
			  rows[i].range, r.status);
		cr_expect(
			str_eq(response_header(&r, "Content-Range"), str_of(rows[i].content_range)),
			"%s", rows[i].range);
		cr_expect(!rows[i].body || str_eq(buf_str(&r.body), str_of(rows[i].body)), "%s",
			  rows[i].range);
		snprintf(etag, sizeof(etag), "%.*s", STR_ARG(response_header(&r, "ETag")));
		response_done(&r);
	}
	snprintf(fields, sizeof(fields), "Range: bytes=0-3\r\nIf-Range: %s\r\n", etag);
	cr_expect(get(&d, &r, "/plain.txt", fields) == 206);
	response_done(&r);
	cr_expect(get(&d, &r, "/plain.txt", "Range: bytes=0-3\r\nIf-Range: \"old\"\r\n") == 200);
	response_done(&r);
	daemon_stop(&d);
}

Test(files, compressed_siblings_are_served_to_who_accepts_them)
{
	static const struct {
		const char *accept, *coding;
	} rows[] = {
		{ "", NULL },
		{ "Accept-Encoding: gzip\r\n", "gzip" },
		{ "Accept-Encoding: br, gzip\r\n", "br" },
		{ "Accept-Encoding: gzip;q=0\r\n", NULL },
		{ "Accept-Encoding: deflate\r\n", NULL },
		{ "Accept-Encoding: identity, gzip;q=0.5\r\n", "gzip" },
		{ "Accept-Encoding: br;q=0, gzip;q=1.0\r\n", "gzip" },
	};
	struct daemon d;
	struct response r;

	daemon_init(&d);
	daemon_file(&d, "root/a.js", STR("plain"));
	daemon_file(&d, "root/a.js.gz", STR("gzip"));
	daemon_file(&d, "root/a.js.br", STR("br"));
	daemon_start(&d, OPTIONS("--root", daemon_path(&d, "root")));
	for (size_t i = 0; i < ROWS(rows); i++) {
		const char *coding = rows[i].coding;

		cr_expect(get(&d, &r, "/a.js", rows[i].accept) == 200);
		cr_expect(str_eq(response_header(&r, "Content-Encoding"), str_of(coding)), "%s",
			  rows[i].accept);
		cr_expect(str_eq(buf_str(&r.body), str_of(coding ? coding : "plain")), "%s",
			  rows[i].accept);
		cr_expect(response_is(&r, "Vary", "Accept-Encoding"));
		cr_expect(response_is(&r, "Content-Type", "text/javascript; charset=utf-8"));
		response_done(&r);
	}
	daemon_stop(&d);
}

Test(files, big_file_to_a_slow_reader_does_not_hold_up_a_stream)
{
	enum { SIZE = 20 << 20 };
	struct daemon d;
	struct client c;
	struct response r;
	struct reader s;
	char *bytes = malloc(SIZE), data[32];

	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (char)(i * 2654435761u >> 13);
	daemon_init(&d);
	daemon_file(&d, "root/big.bin", (struct str){ bytes, SIZE });
	daemon_start(&d, OPTIONS(QUIET, "--root", daemon_path(&d, "root")));
	reader_open(&s, &d, "/sse", "");
	client_open_narrow(&c, &d);
	client_sendf(&c, "GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n"
			 "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
	client_read_head(&c, &r);
	cr_assert(r.status == 200 && r.length == SIZE);
	for (size_t i = 0; i < 50; i++) {
		snprintf(data, sizeof(data), "%zu", i);
		publish(&d, "/publish", data, NULL);
		reader_wait(&s, i + 1);
		client_need(&c, (i + 1) * 1000);
	}
	client_need(&c, SIZE);
	cr_expect(memcmp(c.in.p, bytes, SIZE) == 0);
	buf_drop(&c.in, SIZE);
	response_done(&r);
	client_read(&c, &r);
	cr_expect(r.status == 200);
	response_done(&r);
	client_close(&c);
	reader_close(&s);
	free(bytes);
	daemon_stop(&d);
}
