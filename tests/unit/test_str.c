/*
 * str: slices, numbers, UTF-8 and SipHash, on slices without a NUL and with NULL pointers.
 */
#include "str.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static const struct str none = { NULL, 0 };

Test(str, slice_of_a_string)
{
	cr_assert(str_eq(str_of("abc"), STR("abc")));
	cr_assert(str_of(NULL).n == 0);
	cr_assert(STR("a\0b").n == 3);
}

Test(str, equality)
{
	cr_assert(str_eq(none, STR("")));
	cr_assert(!str_eq(STR("a"), STR("ab")));
	cr_assert(!str_eq(STR("a\0b"), STR("a\0c")));
	cr_assert(str_eq_nocase(STR("Last-Event-ID"), STR("lAST-eVENT-id")));
	cr_assert(!str_eq_nocase(STR("@[`{"), STR("`{@[")), "only letters have a case");
	cr_assert(!str_eq_nocase(STR("\xc4"), STR("\xe4")), "only ASCII letters have a case");
	cr_assert(!str_eq_nocase(STR("a"), STR("aa")));
}

Test(str, secrets_are_equal_only_when_whole)
{
	cr_assert(str_eq_secret(STR("token"), STR("token")));
	cr_assert(!str_eq_secret(STR("token"), STR("tokeN")));
	cr_assert(!str_eq_secret(STR("token"), STR("Token")));
	cr_assert(!str_eq_secret(STR("aa"), STR("a")), "a repetition is not the same");
	cr_assert(!str_eq_secret(STR("a"), STR("aa")));
	cr_assert(!str_eq_secret(none, STR("a")));
	cr_assert(!str_eq_secret(STR("a"), none));
	cr_assert(str_eq_secret(none, STR("")));
}

Test(str, prefixes)
{
	cr_assert(str_starts(STR("abc"), STR("ab")));
	cr_assert(str_starts(STR("abc"), STR("abc")));
	cr_assert(str_starts(none, none));
	cr_assert(!str_starts(STR("ab"), STR("abc")));
	cr_assert(!str_starts(STR("abc"), STR("b")));
}

Test(str, find_and_from)
{
	cr_assert(str_find(STR("abcabc"), 'c') == 2);
	cr_assert(str_find(STR("abc"), 'x') == 3);
	cr_assert(str_find(STR("a\0c"), 'c') == 2);
	cr_assert(str_find(none, 'x') == 0);
	cr_assert(str_eq(str_from(STR("abc"), 1), STR("bc")));
	cr_assert(str_from(STR("abc"), 3).n == 0);
	cr_assert(str_from(STR("abc"), 99).n == 0);
	cr_assert(str_from(none, 1).p == NULL);
}

/* Every place of a line end, around every length up to some words, against the obvious loop. */
Test(str, find_eol_at_every_place)
{
	char text[33];

	cr_assert(str_find_eol(none) == 0);
	for (size_t n = 0; n <= sizeof(text); n++) {
		memset(text, 0x0b, sizeof(text)); /* a neighbour of LF, also under the borrow */
		cr_assert(str_find_eol((struct str){ text, n }) == n);
		memset(text, 0x8a, sizeof(text)); /* LF with the high bit */
		cr_assert(str_find_eol((struct str){ text, n }) == n);
		for (size_t at = 0; at < n; at++) {
			memset(text, at % 2 ? 0x0c : 0x0e, sizeof(text));
			text[at] = '\n';
			cr_assert(str_find_eol((struct str){ text, n }) == at);
			text[at] = '\r';
			cr_assert(str_find_eol((struct str){ text, n }) == at);
			text[n - 1] = '\n';
			cr_assert(str_find_eol((struct str){ text, n }) == at);
		}
	}
}

Test(str, cut_gives_every_part)
{
	struct str rest = STR("a,,b,"), part;

	cr_assert(str_cut(&rest, ',', &part) && str_eq(part, STR("a")));
	cr_assert(str_cut(&rest, ',', &part) && str_eq(part, STR("")));
	cr_assert(str_cut(&rest, ',', &part) && str_eq(part, STR("b")));
	cr_assert(str_cut(&rest, ',', &part) && str_eq(part, STR("")));
	cr_assert(!str_cut(&rest, ',', &part));
	rest = STR("");
	cr_assert(str_cut(&rest, ',', &part) && part.n == 0);
	cr_assert(!str_cut(&rest, ',', &part));
	rest = none;
	cr_assert(!str_cut(&rest, ',', &part));
}

Test(str, trim_takes_spaces_and_tabs_only)
{
	cr_assert(str_eq(str_trim(STR(" \ta b\t ")), STR("a b")));
	cr_assert(str_eq(str_trim(STR("\r\na\v")), STR("\r\na\v")));
	cr_assert(str_trim(STR(" \t ")).n == 0);
	cr_assert(str_trim(none).n == 0);
}

Test(str, decimal_numbers)
{
	uint64_t value = 7;

	cr_assert(str_to_u64(STR("0"), 0, &value) == 0 && value == 0);
	cr_assert(str_to_u64(STR("0012"), 12, &value) == 0 && value == 12);
	cr_assert(str_to_u64(STR("18446744073709551615"), UINT64_MAX, &value) == 0);
	cr_assert(value == UINT64_MAX);
	cr_assert(str_to_u64(STR("18446744073709551616"), UINT64_MAX, &value) == -ERANGE);
	cr_assert(str_to_u64(STR("99999999999999999999999"), UINT64_MAX, &value) == -ERANGE);
	cr_assert(str_to_u64(STR("256"), 255, &value) == -ERANGE);
	cr_assert(str_to_u64(STR("4"), 3, &value) == -ERANGE, "a digit above the maximum");
	cr_assert(value == UINT64_MAX, "a refusal leaves the number alone");
	cr_assert(str_to_u64(none, 9, &value) == -EINVAL);
	cr_assert(str_to_u64(STR("+1"), 9, &value) == -EINVAL);
	cr_assert(str_to_u64(STR("-1"), 9, &value) == -EINVAL);
	cr_assert(str_to_u64(STR(" 1"), 9, &value) == -EINVAL);
	cr_assert(str_to_u64(STR("99x"), 9, &value) == -EINVAL, "no number rather than too large");
	cr_assert(str_to_u64(STR("1\0"), 9, &value) == -EINVAL);
}

static bool writes(uint64_t value, struct str want)
{
	char text[STR_U64_MAX];

	return str_eq((struct str){ text, str_write_u64(text, value) }, want);
}

Test(str, numbers_written)
{
	cr_assert(writes(0, STR("0")));
	cr_assert(writes(9, STR("9")));
	cr_assert(writes(10, STR("10")));
	cr_assert(writes(1763622735123, STR("1763622735123")));
	cr_assert(writes(UINT64_MAX, STR("18446744073709551615")));
}

static size_t encode(char *p, uint32_t c)
{
	if (c < 0x80) {
		p[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		p[0] = (char)(0xc0 | c >> 6);
		p[1] = (char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		p[0] = (char)(0xe0 | c >> 12);
		p[1] = (char)(0x80 | (c >> 6 & 63));
		p[2] = (char)(0x80 | (c & 63));
		return 3;
	}
	p[0] = (char)(0xf0 | c >> 18);
	p[1] = (char)(0x80 | (c >> 12 & 63));
	p[2] = (char)(0x80 | (c >> 6 & 63));
	p[3] = (char)(0x80 | (c & 63));
	return 4;
}

Test(str, utf8_has_every_scalar_value)
{
	char text[4];

	for (uint32_t c = 0; c <= 0x10ffff; c++) {
		struct str s = { text, encode(text, c) };
		bool is_surrogate = c >= 0xd800 && c <= 0xdfff;

		cr_assert(str_is_utf8(s) == !is_surrogate, "U+%04X", c);
		s.n--;
		cr_assert(s.n == 0 || !str_is_utf8(s), "a cut U+%04X", c);
	}
}

/*
 * All strings of three bytes: as many are well-formed as can be composed of scalar values; with
 * the test above, these are exactly the right ones.
 */
Test(str, utf8_has_nothing_else)
{
	size_t count = 0, two = 0x800 - 0x80, three = 0x10000 - 0x800 - 0x800;
	char text[4];

	for (uint32_t i = 0; i < 1u << 24; i++) {
		memcpy(text, (char[]){ (char)(i >> 16), (char)(i >> 8), (char)i }, 3);
		count += str_is_utf8((struct str){ text, 3 });
	}
	cr_assert(count == 0x80 * 0x80 * 0x80 + 2 * 0x80 * two + three);

	/* Four bytes from F0 on: of the last two, those at the borders. */
	static const unsigned char last[] = { 0x00, 0x7f, 0x80, 0xbf, 0xc0, 0xff };
	count = 0;
	for (uint32_t i = 0xf000; i <= 0xffff; i++)
		for (size_t j = 0; j < sizeof(last) * sizeof(last); j++) {
			text[0] = (char)(i >> 8);
			text[1] = (char)i;
			text[2] = (char)last[j / sizeof(last)];
			text[3] = (char)last[j % sizeof(last)];
			count += str_is_utf8((struct str){ text, 4 });
		}
	cr_assert(count == (0x30 + 3 * 0x40 + 0x10) * 2 * 2);
}

/* Eight ASCII bytes are taken at once: a sequence may begin and break at every place among them. */
Test(str, utf8_around_words)
{
	static const struct str good[] = { { "\xc3\xa4", 2 },
					   { "\xe2\x82\xac", 3 },
					   { "\xf0\x9f\x98\x80", 4 } };
	static const struct str bad[] = { { "\x80", 1 },         { "\xc3", 1 },
					  { "\xe2\x82", 2 },     { "\xf0\x9f\x98", 3 },
					  { "\xed\xa0\x80", 3 }, { "\xff", 1 } };
	char text[40];

	cr_assert(str_is_utf8(none));
	cr_assert(str_is_utf8(STR("\0")), "NUL is well-formed");
	for (size_t n = 4; n <= sizeof(text); n++)
		for (size_t at = 0; at + 4 <= n; at++) {
			for (size_t i = 0; i < 3; i++) {
				memset(text, 'a', sizeof(text));
				memcpy(text + at, good[i].p, good[i].n);
				cr_assert(str_is_utf8((struct str){ text, n }));
			}
			for (size_t i = 0; i < 6; i++) {
				memset(text, 'a', sizeof(text));
				memcpy(text + at, bad[i].p, bad[i].n);
				cr_assert(!str_is_utf8((struct str){ text, n }));
			}
		}
}

/* The example of the paper (appendix A), and more lengths of the authors' table. */
Test(str, hash_is_siphash_2_4)
{
	static const uint64_t key[2] = { 0x0706050403020100u, 0x0f0e0d0c0b0a0908u };
	static const struct {
		size_t n;
		uint64_t hash;
	} vectors[] = {
		{ 0, 0x726fdb47dd0e0e31u },  { 1, 0x74f839c593dc67fdu }, { 2, 0x0d6c8009d9a94f5au },
		{ 3, 0x85676696d7fb7e2du },  { 7, 0xab0200f58b01d137u }, { 8, 0x93f5f5799a932462u },
		{ 15, 0xa129ca6149be45e5u },
	};
	char text[16];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)i;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		cr_assert(str_hash((struct str){ text, vectors[i].n }, key) == vectors[i].hash,
			  "%zu bytes", vectors[i].n);
	cr_assert(str_hash(none, key) == vectors[0].hash);
}
