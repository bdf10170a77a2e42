/*
 * jwt: JSON Web Tokens that are signed with a shared key: JWS compact serialisation (RFC 7515) with
 * HS256, HS384 or HS512 (RFC 7518 section 3.2). Pure.
 */
#ifndef JWT_H
#define JWT_H

#include "buf.h"

struct jwt {
	struct str claims; /* a checked JSON object (json.h) */
	double expires_s;  /* Unix time from which on it is worth nothing; INFINITY = never */
};

/*
 * Whether token is signed with key (its bytes as they are, not empty) and valid at now_s, Unix
 * time. Returns NULL with *jwt, whose slices are in text then; or a sentence, a constant, that says
 * why not. Nothing of the claims is looked at before the signature has been found to be right, in a
 * time that does not depend on which of its bytes are wrong. exp and nbf (RFC 7519 section 4.1) are
 * optional and may have fractions; there is no leeway. A header with `crit` is refused.
 */
const char *jwt_verify(struct str token, struct str key, double now_s, struct buf *text,
		       struct jwt *jwt);

#endif
