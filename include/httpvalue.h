/*
 * httpvalue: what the values of header fields are made of and mean (RFC 9110): characters, dates,
 * ranges, entity tags. Pure.
 */
#ifndef HTTPVALUE_H
#define HTTPVALUE_H

#include "str.h"

/* Whether c may stand in a token (RFC 9110 section 5.6.2), and whether s is a token. */
bool http_is_tchar(char c);
bool http_is_token(struct str s);

/* Whether c may stand in a field value: HTAB, SP, VCHAR, obs-text (RFC 9110 section 5.5). */
bool http_is_text(char c);
bool http_is_value(struct str s);

/*
 * Whether the parameters behind a list element (`q=0.5`) give it a weight above 0 (RFC 9110
 * section 12.4.2). None at all is a weight of 1; what is malformed counts as 0.
 */
bool http_weight_is_positive(struct str parameters);

/* Bytes of an IMF-fixdate (RFC 9110 section 5.6.7), without a NUL. */
enum { HTTP_DATE_LEN = 29 };

/* Writes "Sun, 06 Nov 1994 08:49:37 GMT". Times outside the years 1 to 9999 become their bounds. */
void http_date_write(char text[HTTP_DATE_LEN], int64_t unix_s);

/*
 * Reads any of the three formats of RFC 9110 section 5.6.7: 0, or -EINVAL. A year of two digits is
 * the latest that is at most 50 years after now_s.
 */
int http_date_parse(struct str text, int64_t now_s, int64_t *unix_s);

/*
 * Range of a representation of size bytes (RFC 9110 section 14.2), single ranges only.
 *
 * Returns 206 with the first offset and the length; 416 if it cannot be satisfied; 200 if the
 * field is to be ignored (another unit, several ranges, malformed, the end of an empty file).
 */
int http_range(struct str value, uint64_t size, uint64_t *first, uint64_t *length);

/*
 * Whether the entity-tag list of If-None-Match has etag, or is "*" (RFC 9110 section 13.1.2, weak
 * comparison). etag includes its quotes. A malformed list has what stands before the fault.
 */
bool http_etag_listed(struct str list, struct str etag);

#endif
