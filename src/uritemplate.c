/*
 * uritemplate: templates as sets of offsets. See uritemplate.h.
 *
 * The state of a match is a set: the offsets in the topic that the template so far can have led to.
 * It begins as {0}. A literal moves each offset behind itself, where the topic has it there; an
 * expression adds the offsets that its values can reach. In the end the topic matches if the offset
 * behind its last byte is in the set. Each element of the template looks at the topic once, from
 * left to right, so nothing is ever tried twice.
 *
 * An expression is
 *
 *	first leading* (separator following*){0,more_max}
 *
 * where leading and following are classes of characters, given by the operator:
 *
 *	operator  first  separator  class  named
 *	none      -      ,          U      no
 *	+         -      ,          UR     no
 *	#         #      ,          UR     no
 *	.         .      .          U      no
 *	/         /      /          U      no
 *	;         ;      ;          U      yes
 *	?         ?      &          U      yes
 *	&         &      &          U      yes
 *
 * U is what stands unencoded in a value, and the comma that joins the values of a list; R adds the
 * reserved characters. A '=' belongs to them where names or the keys of exploded values come.
 */
#include "uritemplate.h"

#include <string.h>

#include "uri.h"

enum { UNRESERVED = 1 << 0, RESERVED = 1 << 1, EQUALS = 1 << 2 };

enum { PREFIX_DIGITS_MAX = 4, MORE_ANY = UINT16_MAX };

/* A part of a template: a literal, or (if that is empty) an expression. */
struct element {
	struct str literal;
	char first; /* 0 = none */
	char separator;
	unsigned leading, following; /* sets of classes */
	unsigned more_max;           /* separators */
};

static const struct op {
	char sign, first, separator;
	unsigned classes;
	bool is_named;
} ops[] = {
	{ '+', 0, ',', UNRESERVED | RESERVED, false },
	{ '#', '#', ',', UNRESERVED | RESERVED, false },
	{ '.', '.', '.', UNRESERVED, false },
	{ '/', '/', '/', UNRESERVED, false },
	{ ';', ';', ';', UNRESERVED, true },
	{ '?', '?', '&', UNRESERVED, true },
	{ '&', '&', '&', UNRESERVED, true },
	{ 0, 0, ',', UNRESERVED, false }, /* no operator: the last one */
};

static bool is_escape(struct str s, size_t at)
{
	return s.n - at >= 3 && s.p[at] == '%' && uri_hex(s.p[at + 1]) >= 0 &&
	       uri_hex(s.p[at + 2]) >= 0;
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* --- the template --- */

/* Bytes of one character of a variable's name at the front of s, or 0. */
static size_t name_char(struct str s)
{
	if (s.n && (is_alnum(s.p[0]) || s.p[0] == '_'))
		return 1;
	return is_escape(s, 0) ? 3 : 0;
}

/* Takes a name off *rest: dots only between two of its characters. False if there is none. */
static bool take_name(struct str *rest)
{
	size_t step;

	do {
		step = name_char(*rest);
		if (!step)
			return false;
		while ((step = name_char(*rest)))
			*rest = str_from(*rest, step);
		if (rest->n == 0 || rest->p[0] != '.')
			return true;
		*rest = str_from(*rest, 1);
	} while (true);
}

/* Takes a modifier off *rest, if there is one: `*`, or `:` and a number from 1 to 9999. */
static bool take_modifier(struct str *rest, bool *explodes)
{
	size_t digits = 0;

	*explodes = str_starts(*rest, STR("*"));
	if (*explodes) {
		*rest = str_from(*rest, 1);
		return true;
	}
	if (!str_starts(*rest, STR(":")))
		return true;
	*rest = str_from(*rest, 1);
	while (digits < rest->n && rest->p[digits] >= '0' && rest->p[digits] <= '9')
		digits++;
	if (digits == 0 || digits > PREFIX_DIGITS_MAX || rest->p[0] == '0')
		return false;
	*rest = str_from(*rest, digits);
	return true;
}

/* Takes what follows a '{' off *rest, up to its '}'. False if that is no expression. */
static bool take_expression(struct str *rest, struct element *element)
{
	const struct op *op = ops;
	bool explodes, any_explodes = false, first_explodes = false;
	unsigned variables = 0;

	while (op->sign && !(rest->n && rest->p[0] == op->sign))
		op++;
	*rest = str_from(*rest, op->sign ? 1 : 0);
	do {
		if (variables++)
			*rest = str_from(*rest, 1);
		if (!take_name(rest) || !take_modifier(rest, &explodes))
			return false;
		any_explodes |= explodes;
		first_explodes |= explodes && variables == 1;
	} while (rest->n && rest->p[0] == ',');
	if (!str_starts(*rest, STR("}")))
		return false;
	*rest = str_from(*rest, 1);
	*element = (struct element){
		.first = op->first,
		.separator = op->separator,
		.leading = op->classes | (op->is_named || first_explodes ? EQUALS : 0),
		.following = op->classes | (op->is_named || any_explodes ? EQUALS : 0),
		.more_max = any_explodes ? MORE_ANY : variables - 1,
	};
	return true;
}

/* Takes the next element off *rest: false for an expression that is none. */
static bool take_element(struct str *rest, struct element *element)
{
	size_t literal = str_find(*rest, '{');

	*element = (struct element){ .literal = { rest->p, literal } };
	*rest = str_from(*rest, literal ? literal : 1);
	return literal || take_expression(rest, element);
}

/* The character of well-formed UTF-8 that begins at s.p[at], which is not ASCII; moves at. */
static uint32_t take_code_point(struct str s, size_t *at)
{
	unsigned char lead = (unsigned char)s.p[*at];
	size_t more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
	uint32_t code = lead & (0x3fu >> more);

	for ((*at)++; more > 0; more--, (*at)++)
		code = code << 6 | ((unsigned char)s.p[*at] & 0x3f);
	return code;
}

/* Whether literals may have it: no control character, and none that is set aside for good. */
static bool is_literal_code_point(uint32_t code)
{
	return code >= 0xa0 && (code & 0xfffe) != 0xfffe && !(code >= 0xfdd0 && code <= 0xfdef);
}

static bool is_literal(struct str s)
{
	for (size_t at = 0; at < s.n;) {
		char c = s.p[at];

		if (c & 0x80) {
			if (!is_literal_code_point(take_code_point(s, &at)))
				return false;
			continue;
		}
		if (c <= ' ' || c == 0x7f || strchr("\"<>\\^|`}", c) ||
		    (c == '%' && !is_escape(s, at)))
			return false;
		at++;
	}
	return true;
}

bool uritemplate_is_valid(struct str text)
{
	struct element element;

	if (str_find(text, '{') == text.n || !str_is_utf8(text))
		return false;
	while (text.n)
		if (!take_element(&text, &element) || !is_literal(element.literal))
			return false;
	return true;
}

bool uritemplate_is_costly(struct str text)
{
	unsigned expressions = 0;

	for (size_t i = 0; i < text.n; i++)
		expressions += text.p[i] == '{';
	return expressions > URITEMPLATE_EXPRESSIONS_MAX && uritemplate_is_valid(text);
}

/* --- the match --- */

enum { WORD_BITS = 64, WORDS = URITEMPLATE_TOPIC_MAX / WORD_BITS + 1 };

struct match {
	struct str topic;
	uint64_t reached[WORDS]; /* a bit for each offset, 0 to topic.n */
};

static bool is_reached(const struct match *match, size_t offset)
{
	return match->reached[offset / WORD_BITS] >> offset % WORD_BITS & 1;
}

static void reach(struct match *match, size_t offset)
{
	match->reached[offset / WORD_BITS] |= (uint64_t)1 << offset % WORD_BITS;
}

/* Moves every offset behind the literal. From the last to the first, because they only grow. */
static bool match_literal(struct match *match, struct str literal)
{
	bool any = false;

	for (size_t word = match->topic.n / WORD_BITS + 1; word-- > 0;) {
		uint64_t bits = match->reached[word];

		match->reached[word] = 0;
		for (; bits; bits &= bits - 1) {
			size_t at = word * WORD_BITS + (size_t)__builtin_ctzll(bits);

			if (!str_starts(str_from(match->topic, at), literal))
				continue;
			reach(match, at + literal.n);
			any = true;
		}
	}
	return any;
}

/* The classes that have a character. */
static const unsigned char class_table[256] = {
	['0' ... '9'] = UNRESERVED, ['A' ... 'Z'] = UNRESERVED, ['a' ... 'z'] = UNRESERVED,
	['-'] = UNRESERVED,         ['.'] = UNRESERVED,         ['_'] = UNRESERVED,
	['~'] = UNRESERVED,         [','] = UNRESERVED,         ['!'] = RESERVED,
	['#'] = RESERVED,           ['$'] = RESERVED,           ['&'] = RESERVED,
	['\''] = RESERVED,          ['('] = RESERVED,           [')'] = RESERVED,
	['*'] = RESERVED,           ['+'] = RESERVED,           ['/'] = RESERVED,
	[':'] = RESERVED,           [';'] = RESERVED,           ['?'] = RESERVED,
	['@'] = RESERVED,           ['['] = RESERVED,           [']'] = RESERVED,
	['='] = RESERVED | EQUALS,
};

/* Bytes of one character of these classes at the topic's offset: 1, 3 for an escape, or 0. */
static size_t class_char(struct str topic, size_t at, unsigned classes)
{
	unsigned char c = (unsigned char)topic.p[at];

	if (class_table[c] & classes)
		return 1;
	return c == '%' && is_escape(topic, at) ? 3 : 0;
}

/*
 * Where an expression stands at an offset and the three behind it (an escape has three bytes):
 * whether in its leading part, and with how few separators in one of the following. Fewer are
 * always as good as more.
 */
struct stand {
	unsigned leads;   /* bit 0: at the offset itself */
	unsigned used[4]; /* UINT_MAX: not there */
};

#define NOT_THERE ((unsigned)-1)

static void use(struct stand *stand, size_t ahead, unsigned separators)
{
	if (separators < stand->used[ahead])
		stand->used[ahead] = separators;
}

/* Takes the character at the offset where it stands. */
static void stand_on(struct stand *stand, const struct element *element, struct str topic,
		     size_t at)
{
	bool is_separator = topic.p[at] == element->separator;
	size_t step;

	if (stand->leads & 1) {
		step = class_char(topic, at, element->leading);
		if (step)
			stand->leads |= 1u << step;
		if (is_separator && element->more_max > 0)
			use(stand, 1, 1);
	}
	if (stand->used[0] != NOT_THERE) {
		step = class_char(topic, at, element->following);
		if (step)
			use(stand, step, stand->used[0]);
		if (is_separator && element->more_max == MORE_ANY)
			use(stand, 1, stand->used[0]);
		else if (is_separator && stand->used[0] < element->more_max)
			use(stand, 1, stand->used[0] + 1);
	}
}

static void stand_next(struct stand *stand)
{
	stand->leads >>= 1;
	memmove(stand->used, stand->used + 1, 3 * sizeof(stand->used[0]));
	stand->used[3] = NOT_THERE;
}

/* Adds what the expression can reach from any of the offsets. */
static void match_expression(struct match *match, const struct element *element)
{
	struct stand stand = { .used = { NOT_THERE, NOT_THERE, NOT_THERE, NOT_THERE } };

	for (size_t at = 0; at <= match->topic.n; at++) {
		if (is_reached(match, at)) {
			if (!element->first)
				stand.leads |= 1;
			else if (at < match->topic.n && match->topic.p[at] == element->first)
				stand.leads |= 2;
		}
		if (stand.leads & 1 || stand.used[0] != NOT_THERE)
			reach(match, at);
		if (at < match->topic.n)
			stand_on(&stand, element, match->topic, at);
		stand_next(&stand);
	}
}

bool uritemplate_matches(struct str text, struct str topic)
{
	struct match match;
	struct element element;

	if (topic.n > URITEMPLATE_TOPIC_MAX)
		return false;
	match.topic = topic;
	memset(match.reached, 0, (topic.n / WORD_BITS + 1) * sizeof(match.reached[0]));
	reach(&match, 0);
	while (text.n) {
		if (!take_element(&text, &element))
			return false;
		if (element.literal.n == 0)
			match_expression(&match, &element);
		else if (!match_literal(&match, element.literal))
			return false;
	}
	return is_reached(&match, topic.n);
}
