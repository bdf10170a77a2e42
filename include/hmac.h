/*
 * hmac: message authentication codes with a hash (RFC 2104, FIPS 198-1). Pure.
 */
#ifndef HMAC_H
#define HMAC_H

#include "str.h"

enum hmac_hash { HMAC_SHA256, HMAC_SHA384, HMAC_SHA512 };

enum { HMAC_BYTES_MAX = 64 }; /* of a code */

/* The code of message under key, into mac; returns its length. */
size_t hmac(enum hmac_hash hash, struct str key, struct str message,
	    unsigned char mac[HMAC_BYTES_MAX]);

#endif
