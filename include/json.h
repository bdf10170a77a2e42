/*
 * json: a reader of JSON texts (RFC 8259) over slices. Pure; allocates nothing but in
 * json_string() and, for numbers of 128 characters and more, in json_double().
 *
 * A text is checked once with json_check(); after that the other functions walk it and rely on it
 * being well-formed. A value is a slice of the text, from its first to its last byte.
 */
#ifndef JSON_H
#define JSON_H

#include "buf.h"

enum { JSON_DEPTH_MAX = 64 }; /* nested arrays and objects */

enum json_type {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};

/*
 * Checks that text is one JSON value with optional white space around it, in UTF-8, and gives its
 * slice without that white space. Returns 0, -EINVAL, or -E2BIG when nested deeper than
 * JSON_DEPTH_MAX. \u escapes that are lone surrogates are refused (they have no UTF-8).
 */
int json_check(struct str text, struct str *value);

/* The type of a checked value. */
enum json_type json_type(struct str value);

/*
 * Walks an object or array. *at begins as the whole value and is moved on; each call gives the next
 * member or element and returns true, or false at the end (at once, for a value of another type).
 * key is the raw string with its quotes.
 */
bool json_next_member(struct str *at, struct str *key, struct str *value);
bool json_next_element(struct str *at, struct str *value);

/* The last member of an object with that (decoded) key: true, or false where there is none. */
bool json_get(struct str object, struct str key, struct str *value);

/* Appends the decoded content of a checked string to out; returns out->err. */
int json_string(struct str value, struct buf *out);

/* Whether a checked string's decoded content equals s. */
bool json_string_is(struct str value, struct str s);

/* A checked number as a whole number: 0, or -ERANGE where it has a fraction, a sign, an exponent or
 * does not fit. */
int json_u64(struct str value, uint64_t *out);

/* A checked number as a double, by strtod's rules (LC_NUMERIC is never set: "C"). NAN when out of
 * memory.
 */
double json_double(struct str value);

#endif
