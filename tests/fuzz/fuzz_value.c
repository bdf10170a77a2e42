/* Values of header fields: dates come back as they were, ranges lie inside, tags are found. */
#include "fuzz.h"

#include "httpvalue.h"
#include "staticmeta.h"

enum { NOW_S = 1700000000 };

int FUZZ_TARGET(value)(const uint8_t *bytes, size_t n)
{
	struct str in = { (const char *)bytes, n };
	char *copy = fuzz_copy(in), text[HTTP_DATE_LEN];
	uint64_t size, first, length;
	int64_t unix_s, again_s;
	int status;

	in.p = copy;
	size = in.n ? (uint64_t)(unsigned char)in.p[in.n - 1] * 7 : 0;
	if (http_date_parse(in, NOW_S, &unix_s) == 0) {
		http_date_write(text, unix_s);
		EXPECT(http_date_parse((struct str){ text, sizeof(text) }, NOW_S, &again_s) == 0);
		EXPECT(again_s == unix_s);
	}
	status = http_range(in, size, &first, &length);
	EXPECT(status == 200 || status == 206 || status == 416);
	if (status == 206)
		EXPECT(length > 0 && first < size && length <= size - first);
	if (http_etag_listed(in, STR("\"a\"")))
		EXPECT(str_find(in, '*') < in.n || str_find(in, '"') < in.n);
	http_weight_is_positive(in);
	EXPECT(!http_is_token(in) || http_is_value(in));
	EXPECT(staticmeta_type(in).n > 0);
	free(copy);
	return 0;
}
