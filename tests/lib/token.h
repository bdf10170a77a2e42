/*
 * token: signed tokens (JWT) for tests, from an encoder of the tests' own.
 */
#ifndef TOKEN_H
#define TOKEN_H

#include "buf.h"

/* The key that the tests give the daemon. */
#define TOKEN_KEY "!ChangeThisMercureHubJWTSecretKey!"

enum { TOKEN_MAX = 8192 };

struct token {
	char text[TOKEN_MAX];
};

/* A token with these claims (JSON), signed with TOKEN_KEY by HS256. */
struct token token_of(const char *claims);

/* The same with another header and another key. */
struct token token_with(const char *header, const char *claims, const char *key);

/* {"mercure":{"publish":[…],"subscribe":[…]}}: each list as JSON, such as `"a","b{/c}"`. */
struct token token_for(const char *publish, const char *subscribe);

#endif
