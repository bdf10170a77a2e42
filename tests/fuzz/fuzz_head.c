/* Request heads: however they arrive the verdict is the same, and what is accepted is strict. */
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

static void expect_request(const struct http_request *request, struct str head)
{
	unsigned hosts = 0, lengths = 0, codings = 0;

	expect_strict(head);
	EXPECT(fuzz_inside(request->target, head) && fuzz_inside(request->host, head));
	EXPECT(fuzz_inside(request->query, head) && request->path.n > 0);
	EXPECT(request->target.n > 0 && request->target.n <= HTTP_URI_MAX);
	EXPECT(request->field_count <= HTTP_FIELDS_MAX && request->minor <= 1);
	for (size_t i = 0; i < request->field_count; i++) {
		const struct http_field *field = &request->fields[i];

		EXPECT(fuzz_inside(field->name, head) && fuzz_inside(field->value, head));
		EXPECT(field->name.n > 0);
		hosts += is_named(field->name, "Host");
		lengths += is_named(field->name, "Content-Length");
		codings += is_named(field->name, "Transfer-Encoding");
	}
	/* What makes smuggling possible is not there. */
	EXPECT(hosts == 1 || (hosts == 0 && request->minor == 0));
	EXPECT(lengths <= 1 && (lengths == 0 || codings == 0));
	EXPECT((request->framing == HTTP_CHUNKED) == (codings > 0));
	EXPECT((request->framing == HTTP_LENGTH) == (lengths > 0));
	EXPECT(request->content_length == 0 || lengths == 1);
	http_accepts_encoding(request, STR("gzip"));
	EXPECT(!request->keep_alive || !http_header_has(request, STR("connection"), STR("close")));
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
	status = find(in, in.n ? in.n : 1, &len);
	EXPECT(status == find(in, step, &other_len) || len == 0);
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
