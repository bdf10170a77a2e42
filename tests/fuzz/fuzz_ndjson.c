/* Lines of JSON, and JSON itself: what the reader walks is what the check has accepted. */
#include "feeding.h"

#include "json.h"

static void walk(struct str value, int depth)
{
	struct str at = value, key, inner;
	struct buf text;
	uint64_t number;

	EXPECT(depth <= JSON_DEPTH_MAX);
	EXPECT(value.n > 0 && json_check(value, &inner) == 0 && str_eq(inner, value));
	switch (json_type(value)) {
	case JSON_OBJECT:
		while (json_next_member(&at, &key, &inner)) {
			EXPECT(fuzz_inside(key, value) && fuzz_inside(inner, value));
			walk(key, depth + 1);
		}
		break;
	case JSON_ARRAY:
		while (json_next_element(&at, &inner))
			EXPECT(fuzz_inside(inner, value));
		break;
	case JSON_STRING:
		buf_init(&text, 1 << 20);
		EXPECT(json_string(value, &text) == 0 && text.n <= value.n);
		EXPECT(str_is_utf8(buf_str(&text)) && json_string_is(value, buf_str(&text)));
		buf_done(&text);
		break;
	case JSON_NUMBER:
		json_u64(value, &number);
		json_double(value);
		break;
	default: break;
	}
}

int FUZZ_TARGET(ndjson)(const uint8_t *bytes, size_t n)
{
	struct str in = { (const char *)bytes, n }, value;
	char *copy = fuzz_copy(in);

	feeding_check(FEED_NDJSON, bytes, n, NULL);
	in.p = copy;
	in = str_from(in, 1);
	if (json_check(in, &value) == 0)
		walk(value, 0);
	free(copy);
	return 0;
}
