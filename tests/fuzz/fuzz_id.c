/* Ids, times and sizes: one spelling each, and an order that holds. */
#include "fuzz.h"

#include "eventid.h"
#include "value.h"

static void expect_order(struct eventid a, struct eventid b, uint64_t now_ms)
{
	struct eventid next = eventid_next(a, now_ms);
	bool is_last = a.ms == UINT64_MAX && a.seq == UINT64_MAX;

	EXPECT(eventid_cmp(a, b) == -eventid_cmp(b, a));
	EXPECT(is_last ? eventid_cmp(next, a) == 0 : eventid_cmp(next, a) > 0);
	EXPECT(is_last || next.ms >= now_ms);
}

/* Any id has a text, and comes back from it. */
static void write_and_read(struct str in)
{
	char text[EVENTID_TEXT_MAX];
	struct eventid id = { 0, 0 }, again;

	memcpy(&id, in.p, in.n < sizeof(id) ? in.n : sizeof(id));
	id.seq >>= in.n % 64;
	EXPECT(eventid_parse((struct str){ text, eventid_write(text, id) }, &again));
	EXPECT(eventid_cmp(id, again) == 0);
}

/* The digits before a unit; the unit alone is left in *in. */
static uint64_t cut_number(struct str *in)
{
	uint64_t number = 0;

	EXPECT(in->n > 0 && in->p[0] >= '0' && in->p[0] <= '9');
	for (; in->n && in->p[0] >= '0' && in->p[0] <= '9'; *in = str_from(*in, 1)) {
		EXPECT(!__builtin_mul_overflow(number, 10, &number));
		EXPECT(!__builtin_add_overflow(number, in->p[0] - '0', &number));
	}
	return number;
}

static void expect_size(struct str in, uint64_t bytes)
{
	static const char units[] = "KMG";
	uint64_t number = cut_number(&in);
	const char *unit = in.n == 1 ? strchr(units, in.p[0]) : NULL;

	EXPECT(in.n == 0 || unit);
	EXPECT(bytes == (unit ? number << (unit - units + 1) * 10 : number));
	EXPECT(!unit || number <= UINT64_MAX >> (unit - units + 1) * 10);
}

static void expect_time(struct str in, uint64_t ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "", 0 } };
	uint64_t number = cut_number(&in);
	size_t i = 0;

	while (i < 4 && !str_eq(in, str_of(units[i].name)))
		i++;
	EXPECT(str_eq(in, str_of(units[i].name)) && (units[i].ms || number == 0));
	EXPECT(ms == number * units[i].ms && (number == 0 || ms / number == units[i].ms));
}

int FUZZ_TARGET(id)(const uint8_t *bytes, size_t n)
{
	struct str in = { (const char *)bytes, n }, first, second;
	char *copy = fuzz_copy(in), text[EVENTID_TEXT_MAX];
	struct eventid a, b;
	uint64_t value = 0;

	in.p = copy;
	write_and_read(in);
	second = in;
	str_cut(&second, '\n', &first);
	if (n && eventid_parse(first, &a)) {
		EXPECT(str_eq(first, (struct str){ text, eventid_write(text, a) }));
		if (eventid_parse(second, &b))
			expect_order(a, b, b.ms);
		expect_order(a, a, 0);
	}
	if (value_parse_ms(in, &value) == 0)
		expect_time(in, value);
	if (value_parse_bytes(in, &value) == 0)
		expect_size(in, value);
	if (str_to_u64(in, UINT64_MAX, &value) == 0 && in.p[0] != '0')
		EXPECT(str_eq(in, (struct str){ text, str_write_u64(text, value) }));
	free(copy);
	return 0;
}
