/*
 * secret: see secret.h.
 */
#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#define SUBSCRIBER_VARIABLE "MERCURE_SUBSCRIBER_JWT_KEY"

void secrets_init(struct secrets *secrets)
{
	buf_init(&secrets->publish_token, SECRET_BYTES_MAX + 1);
	buf_init(&secrets->publisher_key, SECRET_BYTES_MAX + 1);
	buf_init(&secrets->subscriber_key, SECRET_BYTES_MAX + 1);
}

void secrets_done(struct secrets *secrets)
{
	buf_done(&secrets->publish_token);
	buf_done(&secrets->publisher_key);
	buf_done(&secrets->subscriber_key);
}

/* Reads a file, one byte more than it may have at the most. 0 or -errno after a sentence. */
static int file_read(const char *option, const char *path, struct buf *secret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err = fd < 0 ? -errno : buf_reserve(secret, SECRET_BYTES_MAX + 1);
	ssize_t n = 1;

	while (!err && n > 0 && secret->n <= SECRET_BYTES_MAX) {
		n = read(fd, secret->p + secret->n, SECRET_BYTES_MAX + 1 - secret->n);
		if (n > 0)
			secret->n += (size_t)n;
		else if (n < 0 && errno == EINTR)
			n = 1;
		else if (n < 0)
			err = -errno;
	}
	if (fd >= 0)
		close(fd);
	if (err)
		log_error("cannot read --%s %s: %s", option, path, strerror(-err));
	return err;
}

static int fail(const char *option, const char *path, const char *what)
{
	log_error("--%s %s must hold %s of 1 to %d bytes", option, path, what, SECRET_BYTES_MAX);
	return -EINVAL;
}

static int token_read(const char *option, const char *path, struct buf *token)
{
	struct str text;
	int err;

	if (!path)
		return 0;
	err = file_read(option, path, token);
	if (err)
		return err;
	text = buf_str(token);
	while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
		text.n--;
	text = str_trim(text);
	if (text.n == 0 || text.n > SECRET_BYTES_MAX || str_find(text, '\n') < text.n)
		return fail(option, path, "one line");
	memmove(token->p, text.p, text.n);
	token->n = text.n;
	return 0;
}

static int key_read(const char *option, const char *path, const char *variable, struct buf *key)
{
	int err = path ? file_read(option, path, key) : buf_add(key, str_of(getenv(variable)));

	if (err && !path)
		log_error("$%s is longer than %d bytes", variable, SECRET_BYTES_MAX);
	if (err || !path)
		return err;
	if (key->n && key->p[key->n - 1] == '\n')
		key->n--;
	if (key->n && key->p[key->n - 1] == '\r')
		key->n--;
	return key->n == 0 || key->n > SECRET_BYTES_MAX ? fail(option, path, "a key") : 0;
}

int secrets_read(struct secrets *secrets, const struct config *config)
{
	struct secrets fresh;
	int err;

	secrets_init(&fresh);
	err = token_read("publish-token-file", config->publish_token_file, &fresh.publish_token);
	if (!err)
		err = key_read("mercure-publisher-key-file", config->mercure_publisher_key_file,
			       "MERCURE_PUBLISHER_JWT_KEY", &fresh.publisher_key);
	if (!err)
		err = key_read("mercure-subscriber-key-file", config->mercure_subscriber_key_file,
			       SUBSCRIBER_VARIABLE, &fresh.subscriber_key);
	if (!err && config->require_token && fresh.subscriber_key.n == 0) {
		log_error("--require-token needs --mercure-subscriber-key-file");
		err = -EINVAL;
	}
	if (!err) {
		struct secrets old = *secrets;

		*secrets = fresh;
		fresh = old;
	}
	secrets_done(&fresh);
	return err;
}

bool secrets_have_subscribers(const struct config *config)
{
	return config->mercure_subscriber_key_file || str_of(getenv(SUBSCRIBER_VARIABLE)).n > 0;
}
