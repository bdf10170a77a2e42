/*
 * source: standard input as a publisher. See source.h.
 */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broadcast.h"
#include "log.h"
#include "publish.h"

enum {
	SLICE_BYTES = CONN_INPUT_BYTES,
	REFUSALS_LOGGED = 10, /* in ten seconds */
};

static const struct str default_topic = { "broadcast", sizeof("broadcast") - 1 };

/* What is refused is skipped and said: whoever feeds us by a pipe cannot be answered. */
static void say_refused(struct source *source, const char *why)
{
	if (log_allow(&source->limit, source->hub->now_ms, REFUSALS_LOGGED,
		      "events of standard input refused"))
		log_warning("standard input, line %llu: %s", (unsigned long long)source->feed.line,
			    why);
}

/* A line that is no event. */
static void source_refuse(void *context, const char *why)
{
	struct source *source = context;

	source->hub->stats.events_refused++;
	say_refused(source, why);
}

static const char *source_publish(void *context, const struct event *event)
{
	struct source *source = context;
	struct hub *hub = source->hub;
	struct broadcast_receipt receipt;
	const char *wrong = NULL;
	int status;

	for (size_t i = 0; i < event->topic_count && !wrong; i++)
		if (publish_is_ours(event->topics[i]))
			wrong = "Its topic is the daemon's own.";
	if (wrong)
		hub->stats.events_refused++;
	else
		wrong = broadcast_event(hub, event, &receipt, &status);
	if (wrong)
		say_refused(source, wrong);
	return NULL;
}

static enum feed_format format_of(enum config_stdin format)
{
	switch (format) {
	case CONFIG_STDIN_SSE: return FEED_SSE;
	case CONFIG_STDIN_NDJSON: return FEED_NDJSON;
	default: return FEED_LINES;
	}
}

static void open_feed(struct source *source, enum feed_format format)
{
	feed_init(&source->feed, format, default_topic, source->hub->config.body_bytes_max,
		  source_publish, source);
	source->feed.complain = source_refuse;
}

/* A descriptor for standard input on which reading does not block, or -errno. */
static int open_input(struct source *source)
{
	struct stat st;
	int fd;

	if (fstat(STDIN_FILENO, &st) < 0)
		return -errno;
	source->is_socket = S_ISSOCK(st.st_mode);
	if (S_ISREG(st.st_mode) || source->is_socket)
		fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		fd = open("/proc/self/fd/0", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	/* Without /proc there is only the shared open file to be changed. */
	fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return fd;
}

int source_init(struct source *source, struct hub *hub)
{
	int err;

	*source = (struct source){ .fd = -1, .hub = hub };
	if (hub->config.stdin_format == CONFIG_STDIN_OFF)
		return 0;
	source->fd = open_input(source);
	if (source->fd < 0)
		return source->fd;
	open_feed(source, format_of(hub->config.stdin_format));
	source->is_ready = true;
	err = loop_add(&hub->loop, source->fd, EPOLLIN, (struct loop_key){ .kind = LOOP_STDIN });
	/* A regular file is always ready, and epoll will have none of it. */
	return err == -EPERM ? 0 : err;
}

void source_pack(const struct source *source, struct buf *out)
{
	pack_u64(out, source->fd >= 0 ? (uint64_t)source->fd + 1 : 0);
	pack_u64(out, source->is_ready);
	pack_u64(out, source->is_socket);
	pack_u64(out, source->feed.format);
	feed_pack(&source->feed, out);
}

int source_adopt(struct source *source, struct hub *hub, struct str packed)
{
	struct unpack in = { .rest = packed };
	enum feed_format format;

	*source = (struct source){ .fd = (int)unpack_u64(&in, INT32_MAX) - 1, .hub = hub };
	source->is_ready = unpack_bool(&in);
	source->is_socket = unpack_bool(&in);
	format = (enum feed_format)unpack_u64(&in, FEED_SSE);
	open_feed(source, format);
	return feed_unpack(&source->feed, &in);
}

void source_done(struct source *source)
{
	if (source->fd >= 0)
		close(source->fd);
	source->fd = -1;
	source->is_ready = false;
	feed_done(&source->feed);
}

/* Nothing more is read: err is why, or 0 at the end. */
static void source_end(struct source *source, int err)
{
	int nothing;

	if (!err)
		feed_end(&source->feed);
	if (err)
		log_error("cannot read standard input: %s", strerror(err));
	else
		log_info("standard input has ended");
	source_done(source);
	/* Whoever still writes is to know that nobody reads any more. */
	nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (nothing >= 0) {
		dup2(nothing, STDIN_FILENO);
		close(nothing);
	}
}

bool source_read(struct source *source, struct hub *hub)
{
	struct str bytes = { hub->conns.input, 0 };
	ssize_t n;

	if (source->fd < 0 || !source->is_ready)
		return false;
	n = source->is_socket ? recv(source->fd, hub->conns.input, SLICE_BYTES, MSG_DONTWAIT)
			      : read(source->fd, hub->conns.input, SLICE_BYTES);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		source->is_ready = errno == EINTR;
		return source->is_ready;
	}
	if (n <= 0) {
		source_end(source, n < 0 ? errno : 0);
		return false;
	}
	bytes.n = (size_t)n;
	feed_push(&source->feed, bytes);
	return true;
}
