/*
 * Request heads: however they arrive the verdict is the same, what is accepted is strict, and a
 * second reader, plain and line by line, finds the same in it. What is made by the rules is
 * accepted.
 */
#include "fuzz.h"

#include "http.h"

#include <errno.h>

/* The verdict on bytes that arrive in pieces of `step`. */
static int find(struct str in, size_t step, size_t *head_len)
{
	size_t scanned = 0, n = 0;
	int status = -EAGAIN;

	while (status == -EAGAIN && n < in.n) {
		n = in.n - n < step ? in.n : n + step;
		status = http_find_head(in.p, n, &scanned, head_len);
		EXPECT(scanned <= n);
	}
	return status;
}

/* By other means than the parser's: nothing but visible characters, SP and HTAB in lines. */
static void expect_strict(struct str head)
{
	for (size_t i = 0; i < head.n; i++) {
		unsigned char c = (unsigned char)head.p[i];

		EXPECT(c != 0 && c != 0x7f);
		EXPECT(c >= 0x20 || c == '\t' || c == '\r' || c == '\n');
		EXPECT(c != '\n' || (i > 0 && head.p[i - 1] == '\r'));
		EXPECT(c != '\r' || (i + 1 < head.n && head.p[i + 1] == '\n'));
	}
}

static bool is_named(struct str name, const char *what)
{
	return str_eq_nocase(name, str_of(what));
}

/* Whether an element of the list in any such field is the word. */
static bool plain_has(const struct http_request *request, const char *name, const char *word)
{
	for (size_t i = 0; i < request->field_count; i++) {
		struct str list = request->fields[i].value, element;

		while (is_named(request->fields[i].name, name) && str_cut(&list, ',', &element))
			if (is_named(str_trim(element), word))
				return true;
	}
	return false;
}

/* What makes smuggling possible is not there, and how the body and the connection end is clear. */
static void expect_conclusions(const struct http_request *request)
{
	unsigned hosts = 0, lengths = 0, codings = 0, expects = 0;
	uint64_t length = 0;

	for (size_t i = 0; i < request->field_count; i++) {
		const struct http_field *field = &request->fields[i];

		hosts += is_named(field->name, "Host");
		codings += is_named(field->name, "Transfer-Encoding");
		expects += is_named(field->name, "Expect");
		if (!is_named(field->name, "Content-Length"))
			continue;
		lengths++;
		for (size_t at = 0; at < field->value.n; at++) {
			EXPECT(field->value.p[at] >= '0' && field->value.p[at] <= '9');
			length = length * 10 + (uint64_t)(field->value.p[at] - '0');
		}
	}
	EXPECT(hosts == 1 || (hosts == 0 && request->minor == 0));
	EXPECT(lengths <= 1 && (lengths == 0 || codings == 0));
	EXPECT(codings == 0 ||
	       (request->minor == 1 && plain_has(request, "Transfer-Encoding", "chunked")));
	EXPECT((request->framing == HTTP_CHUNKED) == (codings > 0));
	EXPECT((request->framing == HTTP_LENGTH) == (lengths > 0));
	EXPECT(request->content_length == length);
	EXPECT(!request->expect_continue || (expects && request->minor == 1));
	EXPECT(request->keep_alive ==
	       (!plain_has(request, "Connection", "close") &&
		(request->minor == 1 || plain_has(request, "Connection", "keep-alive"))));
}

/* The lines again, cut at their ends. */
static void expect_lines(const struct http_request *request, struct str head)
{
	struct str line, part;
	size_t i = 0;

	if (str_starts(head, STR("\r\n")))
		head = str_from(head, 2);
	str_cut(&head, '\n', &line);
	str_cut(&line, ' ', &part);
	EXPECT(str_eq(part, request->method_name));
	str_cut(&line, ' ', &part);
	EXPECT(str_eq(part, request->target));
	EXPECT(line.n == 9 && str_starts(line, STR("HTTP/1.")));
	EXPECT(request->minor == (line.p[7] != '0'));
	for (; str_cut(&head, '\n', &line) && line.n > 1; i++) {
		EXPECT(i < request->field_count && line.p[line.n - 1] == '\r');
		line.n--;
		EXPECT(str_cut(&line, ':', &part) && line.p);
		EXPECT(str_eq(part, request->fields[i].name));
		EXPECT(str_eq(str_trim(line), request->fields[i].value));
	}
	EXPECT(i == request->field_count && head.n == 0);
	if (request->target.p[0] != '/')
		return;
	line = request->target;
	str_cut(&line, '?', &part);
	EXPECT(str_eq(part, request->path) && str_eq(line, request->query));
	EXPECT(!line.p == !request->query.p);
}

static void expect_request(const struct http_request *request, struct str head)
{
	expect_strict(head);
	EXPECT(fuzz_inside(request->target, head) && fuzz_inside(request->host, head));
	EXPECT(fuzz_inside(request->query, head) && request->path.n > 0);
	EXPECT(request->target.n > 0 && request->target.n <= HTTP_URI_MAX);
	EXPECT(request->field_count <= HTTP_FIELDS_MAX && request->minor <= 1);
	for (size_t i = 0; i < request->field_count; i++) {
		const struct http_field *field = &request->fields[i];

		EXPECT(fuzz_inside(field->name, head) && fuzz_inside(field->value, head));
		EXPECT(field->name.n > 0);
	}
	expect_lines(request, head);
	expect_conclusions(request);
	http_accepts_encoding(request, STR("gzip"));
}

/* A head by the rules, with what the bytes can stand for: it is found, and accepted. */
static void make_and_read(struct str in)
{
	struct http_request request;
	size_t scanned = 0, len = 0, fields = 0;
	const char *why;
	struct str line;
	struct buf made;

	buf_init(&made, HTTP_HEAD_MAX);
	str_cut(&in, '\n', &line);
	buf_add(&made, STR("\r\nGET /"));
	for (size_t i = 0; i < line.n && i < HTTP_URI_MAX - 1; i++)
		buf_add_char(&made, line.p[i] > ' ' && line.p[i] <= '~' && line.p[i] != '#'
					    ? line.p[i]
					    : '%');
	buf_add(&made, STR(" HTTP/1.1\r\nHost: a\r\n"));
	while (fields < HTTP_FIELDS_MAX - 1 && made.n + in.n < HTTP_HEAD_MAX / 2 &&
	       str_cut(&in, '\n', &line)) {
		buf_addf(&made, "X-%zu:%s", fields, fields % 2 ? "\t " : "");
		fields++;
		for (size_t i = 0; i < line.n; i++)
			buf_add_char(&made, (unsigned char)line.p[i] < ' ' || line.p[i] == 0x7f
						    ? '\t'
						    : line.p[i]);
		buf_add(&made, STR(" \r\n"));
	}
	buf_add(&made, STR("\r\n"));
	if (!made.err) {
		EXPECT(http_find_head(made.p, made.n, &scanned, &len) == 0 && len == made.n);
		EXPECT(http_parse_head(made.p, len, &request, &why) == 0);
		EXPECT(request.field_count == fields + 1 && request.keep_alive);
		expect_request(&request, buf_str(&made));
	}
	buf_done(&made);
}

int FUZZ_TARGET(head)(const uint8_t *bytes, size_t n)
{
	struct str in = { (const char *)bytes, n };
	size_t step = fuzz_byte(&in) % 32 + 1, len = 0, other_len = 0;
	char *copy = fuzz_copy(in);
	struct http_request request;
	const char *why = NULL;
	int status;

	in.p = copy;
	make_and_read(in);
	status = find(in, in.n ? in.n : 1, &len);
	EXPECT(status == find(in, step, &other_len));
	EXPECT(status != -EAGAIN || in.n < HTTP_HEAD_MAX);
	if (status == 0) {
		char *head = fuzz_copy((struct str){ in.p, len });

		EXPECT(len == other_len && len <= HTTP_HEAD_MAX);
		status = http_parse_head(head, len, &request, &why);
		EXPECT(status == 0 || (status >= 400 && status < 600 && why));
		EXPECT(status == 0 || http_reason(status)[0]);
		if (status == 0)
			expect_request(&request, (struct str){ head, len });
		free(head);
	}
	free(copy);
	return 0;
}
