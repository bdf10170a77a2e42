/*
 * base64url: see base64url.h.
 */
#include "base64url.h"

#include <errno.h>

/* The six bits of a character, or -1. */
static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

int base64url_decode(struct str text, struct buf *out)
{
	unsigned bits = 0, have = 0; /* bits not written yet, and how many */

	for (size_t i = 0; i < text.n; i++) {
		int value = value_of(text.p[i]);

		if (value < 0)
			return -EINVAL;
		bits = bits << 6 | (unsigned)value;
		have += 6;
		if (have >= 8) {
			have -= 8;
			buf_add_char(out, (char)(bits >> have));
			bits &= (1u << have) - 1;
		}
	}
	/* Six bits are no byte, and what is left of a last byte's bits must be nothing. */
	if (have == 6 || bits)
		return -EINVAL;
	return out->err;
}
