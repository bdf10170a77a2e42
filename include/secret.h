/*
 * secret: what an operator keeps in a file, or hands over in the environment, and tells nobody.
 */
#ifndef SECRET_H
#define SECRET_H

#include "config.h"

enum { SECRET_BYTES_MAX = 4096 };

struct secrets {
	struct buf publish_token;  /* --publish-token-file: one line, without white space around */
	struct buf publisher_key;  /* of the tokens (jwt.h) of those who publish, … */
	struct buf subscriber_key; /* … and of those who subscribe; each empty = not set up */
};

void secrets_init(struct secrets *secrets);
void secrets_done(struct secrets *secrets);

/*
 * Reads what the configuration names. A key's bytes count as they are, but for one line end behind
 * them; without a file it comes from $MERCURE_PUBLISHER_JWT_KEY, $MERCURE_SUBSCRIBER_JWT_KEY. 0; or
 * -errno after a sentence to the log, with secrets as they were: an empty file is a mistake, no
 * secret, and so is --require-token without a subscriber key.
 */
int secrets_read(struct secrets *secrets, const struct config *config);

/* Whether there is to be a key of those who subscribe; it is not read. */
bool secrets_have_subscribers(const struct config *config);

#endif
