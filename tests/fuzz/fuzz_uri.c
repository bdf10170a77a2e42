/* Targets: nothing that comes out of a path leads out of a root, and decoding is one thing. */
#include "fuzz.h"

#include <errno.h>

#include "uri.h"

static void expect_below(struct str path)
{
	struct str rest = path, segment;

	EXPECT(path.n == 0 || path.p[0] != '/');
	EXPECT(str_find(path, '\0') == path.n);
	while (str_cut(&rest, '/', &segment)) {
		EXPECT(segment.n == 0 || segment.p[0] != '.');
		EXPECT(segment.n > 0 || !rest.p);
	}
}

static void decode_both(struct str in)
{
	for (int plus = 0; plus < 2; plus++) {
		struct buf out;
		int err;

		buf_init(&out, 1 << 16);
		err = uri_decode(in, plus, &out);
		EXPECT(err == 0 || err == -EINVAL);
		EXPECT(out.n <= in.n);
		EXPECT(err || uri_eq(in, plus, buf_str(&out)));
		buf_done(&out);
	}
}

static void walk_query(struct str in)
{
	struct str query = in, name, value;
	bool found = false;
	struct buf out;
	int got;

	while (uri_query_next(&query, &name, &value)) {
		EXPECT(fuzz_inside(name, in) && fuzz_inside(value, in));
		EXPECT(str_find(name, '=') == name.n && str_find(value, '&') == value.n);
		found = found || uri_eq(name, true, STR("topic"));
	}
	buf_init(&out, 1 << 16);
	got = uri_query_get(in, STR("topic"), &out);
	EXPECT(got == 1 || got == 0 || got == -EINVAL);
	EXPECT((got != 0) == found);
	buf_done(&out);
}

int FUZZ_TARGET(uri)(const uint8_t *bytes, size_t n)
{
	struct str in = { (const char *)bytes, n < 60000 ? n : 60000 };
	char *copy = fuzz_copy(in);
	struct buf out;

	in.p = copy;
	buf_init(&out, 1 << 16);
	if (uri_file_path(in, &out) == 0)
		expect_below(buf_str(&out));
	buf_done(&out);
	decode_both(in);
	walk_query(in);
	if (uri_is_host(in))
		EXPECT(in.n > 0 && str_find(in, '@') == in.n && str_find(in, ' ') == in.n);
	free(copy);
	return 0;
}
