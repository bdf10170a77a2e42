/*
 * value: text to field and back, for every kind of option. See value.h.
 *
 * A unit is a row in a table: its suffix and its factor, the largest first, so that printing can
 * take the first one that divides.
 */
#include "value.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct unit {
	const char *suffix;
	uint64_t factor;
};

static const struct unit byte_units[] = {
	{ "G", 1u << 30 },
	{ "M", 1u << 20 },
	{ "K", 1u << 10 },
	{ "", 1 },
};

static const struct unit time_units[] = {
	{ "h", 3600000 },
	{ "m", 60000 },
	{ "s", 1000 },
	{ "ms", 1 },
};

enum {
	BYTE_UNITS = sizeof(byte_units) / sizeof(byte_units[0]),
	TIME_UNITS = sizeof(time_units) / sizeof(time_units[0]),
};

/* Digits followed by exactly one of the suffixes. */
static int parse_with_unit(struct str s, const struct unit *units, size_t count, uint64_t *out)
{
	size_t digits = 0;
	uint64_t number;
	int err;

	while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
		digits++;
	for (size_t i = 0; i < count; i++) {
		if (!str_eq(str_from(s, digits), str_of(units[i].suffix)))
			continue;
		err = str_to_u64((struct str){ s.p, digits }, UINT64_MAX / units[i].factor,
				 &number);
		if (err == 0)
			*out = number * units[i].factor;
		return err;
	}
	return -EINVAL;
}

int value_parse_bytes(struct str s, uint64_t *bytes)
{
	return parse_with_unit(s, byte_units, BYTE_UNITS, bytes);
}

int value_parse_ms(struct str s, uint64_t *ms)
{
	/* Nothing is nothing in any unit; every other bare number could mean two things. */
	if (str_eq(s, STR("0"))) {
		*ms = 0;
		return 0;
	}
	return parse_with_unit(s, time_units, TIME_UNITS, ms);
}

static void add_number(enum value_kind kind, uint64_t number, struct buf *out)
{
	const struct unit *unit = kind == VALUE_MS ? time_units : byte_units;

	if (kind == VALUE_COUNT || number == 0) {
		buf_addf(out, "%llu", (unsigned long long)number);
		return;
	}
	while (number % unit->factor)
		unit++;
	buf_addf(out, "%llu%s", (unsigned long long)(number / unit->factor), unit->suffix);
}

static void add_words(const struct option *option, struct buf *out)
{
	const char *separator = "";

	for (size_t i = 0; i < VALUE_WORDS_MAX; i++) {
		if (!option->words[i])
			continue;
		buf_addf(out, "%s%s", separator, option->words[i]);
		separator = ", ";
	}
}

void value_expect(const struct option *option, struct buf *out)
{
	switch (option->kind) {
	case VALUE_TEXT:
	case VALUE_LIST: buf_add(out, str_of(option->expect)); return;
	case VALUE_BOOL:
	case VALUE_WORD:
		buf_add(out, STR("one of: "));
		add_words(option, out);
		return;
	case VALUE_BYTES:
		buf_add(out, STR("a size in bytes, or in K, M or G (such as 64M),"));
		break;
	case VALUE_MS:
		buf_add(out, STR("a time with its unit: ms, s, m or h (such as 15s),"));
		break;
	case VALUE_COUNT: buf_add(out, STR("a number")); break;
	case VALUE_ANSWER: assert(option->kind != VALUE_ANSWER);
	}
	buf_add(out, STR(" from "));
	add_number(option->kind, option->min, out);
	buf_add(out, STR(" to "));
	add_number(option->kind, option->max, out);
}

static void *field_of(const struct option *option, struct config *config)
{
	return (char *)config + option->offset;
}

static const void *field_of_const(const struct option *option, const struct config *config)
{
	return (const char *)config + option->offset;
}

static int set_number(const struct option *option, uint64_t *field, struct str text)
{
	uint64_t number;
	int err = option->kind == VALUE_BYTES ? value_parse_bytes(text, &number)
		  : option->kind == VALUE_MS  ? value_parse_ms(text, &number)
					      : str_to_u64(text, UINT64_MAX, &number);

	if (err)
		return err;
	if (number < option->min || number > option->max)
		return -ERANGE;
	*field = number;
	return 0;
}

static int check_text(const struct option *option, struct str text)
{
	if (text.n < option->min || text.n > option->max)
		return -ERANGE;
	return option->check && text.n && !option->check(text) ? -EINVAL : 0;
}

static char *copy_text(struct str text)
{
	return strndup(text.n ? text.p : "", text.n);
}

static int set_text(const struct option *option, char **field, struct str text)
{
	int err = check_text(option, text);
	char *copy;

	if (err)
		return err;
	copy = copy_text(text);
	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

static int add_item(const struct option *option, struct value_list *list, struct str text)
{
	int err = check_text(option, text);

	if (err || text.n == 0)
		return err;
	if (list->count == VALUE_LIST_MAX)
		return -E2BIG;
	list->items[list->count] = copy_text(text);
	if (!list->items[list->count])
		return -ENOMEM;
	list->count++;
	return 0;
}

/* The index of the word, or -EINVAL. */
static int find_word(const struct option *option, struct str text)
{
	for (int i = 0; i < VALUE_WORDS_MAX; i++)
		if (option->words[i] && str_eq(text, str_of(option->words[i])))
			return i;
	return -EINVAL;
}

int value_set(const struct option *option, struct config *config, struct str text)
{
	void *field = field_of(option, config);
	int word;

	switch (option->kind) {
	case VALUE_BYTES:
	case VALUE_MS:
	case VALUE_COUNT: return set_number(option, field, text);
	case VALUE_TEXT: return set_text(option, field, text);
	case VALUE_LIST: return add_item(option, field, text);
	case VALUE_BOOL:
	case VALUE_WORD:
		word = find_word(option, text);
		if (word < 0)
			return word;
		if (option->kind == VALUE_BOOL)
			*(bool *)field = word;
		else
			memcpy(field, &word, sizeof(word));
		return 0;
	case VALUE_ANSWER: break;
	}
	assert(option->kind != VALUE_ANSWER);
	return -EINVAL;
}

static size_t field_size(enum value_kind kind)
{
	static const size_t sizes[] = {
		[VALUE_BYTES] = sizeof(uint64_t),
		[VALUE_MS] = sizeof(uint64_t),
		[VALUE_COUNT] = sizeof(uint64_t),
		[VALUE_TEXT] = sizeof(char *),
		[VALUE_LIST] = sizeof(struct value_list),
		[VALUE_BOOL] = sizeof(bool),
		[VALUE_WORD] = sizeof(int),
		[VALUE_ANSWER] = 0,
	};

	return sizes[kind];
}

void value_clear(const struct option *option, struct config *config)
{
	void *field = field_of(option, config);

	if (option->kind == VALUE_TEXT)
		free(*(char **)field);
	if (option->kind == VALUE_LIST) {
		struct value_list *list = field;

		for (size_t i = 0; i < list->count; i++)
			free(list->items[i]);
	}
	memset(field, 0, field_size(option->kind));
}

static bool lists_equal(const struct value_list *a, const struct value_list *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

static bool texts_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool value_equal(const struct option *option, const struct config *a, const struct config *b)
{
	const void *x = field_of_const(option, a), *y = field_of_const(option, b);

	if (option->kind == VALUE_LIST)
		return lists_equal(x, y);
	if (option->kind == VALUE_TEXT)
		return texts_equal(*(char *const *)x, *(char *const *)y);
	return memcmp(x, y, field_size(option->kind)) == 0;
}

void value_swap(const struct option *option, struct config *a, struct config *b)
{
	char *x = field_of(option, a), *y = field_of(option, b);

	for (size_t i = 0; i < field_size(option->kind); i++) {
		char byte = x[i];

		x[i] = y[i];
		y[i] = byte;
	}
}
