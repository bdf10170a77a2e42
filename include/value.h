/*
 * value: one option of the configuration, and its value as text and as a field of struct config.
 *
 * A struct option is a row of the table in options.c and says all there is to say about one option.
 * The functions here read, check, compare and free the field that a row describes; they know the
 * kinds, options.c knows the options. `config` is always a struct config.
 */
#ifndef VALUE_H
#define VALUE_H

#include "buf.h"

struct config;

enum { VALUE_LIST_MAX = 64 }; /* values of a repeatable option */

struct value_list {
	char *items[VALUE_LIST_MAX]; /* owned */
	size_t count;
};

enum value_kind {
	VALUE_BYTES,  /* uint64_t: `64M` */
	VALUE_MS,     /* uint64_t: `15s` */
	VALUE_COUNT,  /* uint64_t: `1000` */
	VALUE_TEXT,   /* char *, owned; NULL where there is no default */
	VALUE_LIST,   /* struct value_list; each value appends, an empty one adds nothing */
	VALUE_BOOL,   /* bool: words[false] or words[true] */
	VALUE_WORD,   /* int, or an enum: the index in words */
	VALUE_ANSWER, /* no field: a question that the program answers, then exits */
};

enum { VALUE_WORDS_MAX = 8 };

struct option {
	const char *group; /* heading in --help that begins here; NULL = as the row before */
	const char *name;  /* without the hyphens */
	enum value_kind kind;
	size_t offset;       /* of the field in struct config */
	const char *initial; /* the default, as text; NULL = none */
	uint64_t min, max;   /* of a number; of the length in bytes of a text or list item */
	const char *words[VALUE_WORDS_MAX]; /* gaps are NULL */
	bool (*check)(struct str text);     /* of a text or list item, beyond its length; or NULL */
	const char *expect;                 /* what a text or list item should be: `a topic, …` */
	const char *metavar;                /* its value in --help; NULL = --name alone means on */
	const char *help;
	bool at_start;    /* a new value needs a restart */
	bool argv_only;   /* makes no sense in a file */
	bool is_internal; /* not for people: --help is silent about it */
};

/*
 * Sets the field from text (copied). A list appends; an empty text adds nothing to it. Returns 0;
 * -EINVAL or -ERANGE for a text that is not what value_expect() says; -E2BIG for a list that is
 * full; -ENOMEM. On failure the field is as before.
 */
int value_set(const struct option *option, struct config *config, struct str text);

/* Appends what a value of this option should be: `a number from 1 to 100`. */
void value_expect(const struct option *option, struct buf *out);

/* Frees what the field owns and leaves it empty (numbers: 0). */
void value_clear(const struct option *option, struct config *config);

bool value_equal(const struct option *option, const struct config *a, const struct config *b);
void value_swap(const struct option *option, struct config *a, struct config *b);

/*
 * Values on their own: `64M` (K, M, G are powers of 1024), `1500ms`, `5s`, `2m`, `1h`. 0, -EINVAL
 * or -ERANGE.
 */
int value_parse_bytes(struct str s, uint64_t *bytes);
int value_parse_ms(struct str s, uint64_t *ms);

#endif
