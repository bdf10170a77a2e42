/*
 * str: a slice of bytes that somebody else owns.
 *
 * A str borrows; it is never freed and never NUL-terminated by contract. It is valid as long as
 * the buffer it points into. An empty str may have a NULL pointer.
 */
#ifndef STR_H
#define STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
	const char *p;
	size_t n;
};

/* The slice of a string literal. */
#define STR(literal) ((struct str){ (literal), sizeof(literal) - 1 })

/* printf arguments for "%.*s". The caller knows that the slice is shorter than INT_MAX. */
#define STR_ARG(s) (int)(s).n, (s).n ? (s).p : ""

/* The slice of a NUL-terminated string; NULL gives the empty slice. */
struct str str_of(const char *z);

/* Byte equality; and equality that ignores the case of ASCII letters. */
bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b);

bool str_starts(struct str s, struct str prefix);

/* Offset of the first byte c, or s.n where there is none. */
size_t str_find(struct str s, char c);

/* Offset of the first CR or LF, or s.n where there is none. Reads eight bytes at a time. */
size_t str_find_eol(struct str s);

/* The part of s from offset at (clamped to s.n) to its end. */
struct str str_from(struct str s, size_t at);

/*
 * Takes the part of *rest before the first sep into *part and moves *rest behind the sep. The last
 * part leaves *rest with a NULL pointer; with that, the next call returns false.
 */
bool str_cut(struct str *rest, char sep, struct str *part);

/* s without spaces and tabs at both ends (OWS of RFC 9110 section 5.6.3). */
struct str str_trim(struct str s);

/* Decimal digits only, one at least, value <= max: 0; else -EINVAL, or -ERANGE if too large. */
int str_to_u64(struct str s, uint64_t max, uint64_t *out);

/* Writes value in decimal to text, without a NUL; returns the number of digits. */
enum { STR_U64_MAX = 20 };
size_t str_write_u64(char *text, uint64_t value);

/* Whether s is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, <= U+10FFFF). */
bool str_is_utf8(struct str s);

/*
 * SipHash-2-4 of s under a 128-bit key: for hash tables whose keys come from outside, and as the
 * checksum of records.
 */
uint64_t str_hash(struct str s, const uint64_t key[2]);

/* Equality in a time that depends on the lengths only, for secrets. */
bool str_eq_secret(struct str a, struct str b);

#endif
