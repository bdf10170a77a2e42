/*
 * base64url: the alphabet of RFC 4648 section 5, without padding, as RFC 7515 has it. Pure.
 */
#ifndef BASE64URL_H
#define BASE64URL_H

#include "buf.h"

/*
 * Appends the bytes that text stands for to out. Each sequence of bytes has one text only: padding,
 * other characters and bits that stand for nothing are refused. Returns 0, -EINVAL, or out's sticky
 * error.
 */
int base64url_decode(struct str text, struct buf *out);

#endif
