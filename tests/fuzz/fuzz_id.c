/* Ids, times and sizes: one spelling each, and an order that holds. */
#include "fuzz.h"

#include "config.h"
#include "eventid.h"

static void expect_order(struct eventid a, struct eventid b, uint64_t now_ms)
{
	struct eventid next = eventid_next(a, now_ms);
	bool is_last = a.ms == UINT64_MAX && a.seq == UINT64_MAX;

	EXPECT(eventid_cmp(a, b) == -eventid_cmp(b, a));
	EXPECT(is_last ? eventid_cmp(next, a) == 0 : eventid_cmp(next, a) > 0);
	EXPECT(is_last || next.ms >= now_ms);
}

int FUZZ_TARGET(id)(const uint8_t *bytes, size_t n)
{
	struct str in = { (const char *)bytes, n }, first, second;
	char *copy = fuzz_copy(in), text[EVENTID_TEXT_MAX];
	struct eventid a, b;
	uint64_t value = 0;

	in.p = copy;
	second = in;
	str_cut(&second, '\n', &first);
	if (n && eventid_parse(first, &a)) {
		EXPECT(str_eq(first, (struct str){ text, eventid_write(text, a) }));
		if (eventid_parse(second, &b))
			expect_order(a, b, b.ms);
		expect_order(a, a, 0);
	}
	if (config_parse_ms(in, &value) == 0)
		EXPECT(in.n > 0 && in.p[0] >= '0' && in.p[0] <= '9');
	if (config_parse_bytes(in, &value) == 0)
		EXPECT(in.n > 0 && in.p[0] >= '0' && in.p[0] <= '9');
	if (str_to_u64(in, UINT64_MAX, &value) == 0 && in.p[0] != '0')
		EXPECT(str_eq(in, (struct str){ text, str_write_u64(text, value) }));
	free(copy);
	return 0;
}
