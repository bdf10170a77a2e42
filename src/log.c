/*
 * log: lines on their way to stderr. See log.h.
 *
 * The sink holds whole lines, oldest first, of at most PIPE_BUF bytes each; only the first may have
 * lost its beginning to a short write. Lines are made in place on the stack and enter the sink
 * whole or not at all. Everybody logs; the loop flushes once a turn, main before it exits.
 *
 * Why flushing cannot block although the open file stays as it is (others share it: a shell, the
 * journal): O_NONBLOCK is a property of the open file, so log_init() opens the same terminal or
 * pipe again for us alone. A socket cannot be opened again but has MSG_DONTWAIT. A file does not
 * wait for anybody and must keep its shared offset. Where opening again is not allowed, or has not
 * happened yet, poll() is asked first: a pipe that it calls writable takes PIPE_BUF bytes at once.
 */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

enum {
	SINK_SIZE = 65536,
	START_MAX = 64,     /* time and level */
	MESSAGE_MAX = 1000, /* before escaping, which makes up to four bytes of one */
	LINE_MAX_BYTES = START_MAX + 4 * MESSAGE_MAX + 4,
	WINDOW_MS = 10000, /* of log_allow() */
};

_Static_assert(LINE_MAX_BYTES <= PIPE_BUF, "a line goes into a pipe at once");

enum line_start { START_TIME, START_DATE, START_PRIORITY };

static struct {
	int fd;
	bool is_socket;
	enum line_start start;
	uint64_t dropped; /* since start */
	uint64_t unsaid;  /* of these, the ones that no line has told of */
	size_t n;         /* bytes in use */
	char bytes[SINK_SIZE];
} sink = { .fd = STDERR_FILENO };

enum log_level log_level = LOG_LEVEL_INFO;

/* Whether JOURNAL_STREAM says `device:inode` of this file (systemd.exec(5)). */
static bool is_journal(const struct stat *st)
{
	struct str rest = str_of(getenv("JOURNAL_STREAM")), device, inode;
	uint64_t dev, ino;

	return str_cut(&rest, ':', &device) && str_cut(&rest, ':', &inode) && !rest.p &&
	       str_to_u64(device, UINT64_MAX, &dev) == 0 &&
	       str_to_u64(inode, UINT64_MAX, &ino) == 0 && dev == st->st_dev && ino == st->st_ino;
}

void log_init(void)
{
	struct stat st;
	int fd;

	tzset(); /* localtime_r() alone need not look at TZ */
	if (fstat(STDERR_FILENO, &st) < 0) {
		sink.fd = -1; /* closed: its number may soon be a client's */
		return;
	}
	sink.start = is_journal(&st)         ? START_PRIORITY
		     : isatty(STDERR_FILENO) ? START_TIME
					     : START_DATE;
	sink.is_socket = S_ISSOCK(st.st_mode);
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return;
	fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		sink.fd = fd;
}

/* Bytes of the next character of s that may stand as it is; 0 if its first byte must not. */
static size_t printable(struct str s)
{
	unsigned char c = (unsigned char)s.p[0];

	if (c < 0x80)
		return c >= 0x20 && c != 0x7f;
	if (c == 0xc2 && s.n > 1 && (unsigned char)s.p[1] < 0xa0)
		return 0; /* U+0080 to U+009F: control characters, too */
	for (size_t n = 2; n <= 4 && n <= s.n; n++)
		if (str_is_utf8((struct str){ s.p, n }))
			return n;
	return 0;
}

size_t log_escape(char *out, size_t room, struct str s)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0, plain;

	for (; s.n; s = str_from(s, plain ? plain : 1)) {
		plain = printable(s);
		if (n + (plain ? plain : 4) > room)
			break;
		if (plain) {
			memcpy(out + n, s.p, plain);
			n += plain;
			continue;
		}
		out[n++] = '\\';
		out[n++] = 'x';
		out[n++] = hex[(unsigned char)s.p[0] >> 4];
		out[n++] = hex[(unsigned char)s.p[0] & 15];
	}
	return n;
}

static const char *level_word(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR: return "error: ";
	case LOG_LEVEL_WARNING: return "warning: ";
	case LOG_LEVEL_INFO: return "";
	case LOG_LEVEL_DEBUG: return "debug: ";
	}
	return "";
}

/* What stands before the message: its length. */
static size_t write_start(char out[START_MAX], enum log_level level)
{
	uint64_t now_ms = clock_real_ms();
	time_t now_s = (time_t)(now_ms / 1000);
	unsigned ms = (unsigned)(now_ms % 1000);
	char date[24] = "", zone[8] = "";
	struct tm tm;

	if (sink.start == START_PRIORITY)
		return (size_t)snprintf(out, START_MAX, "<%d>", (int)level);
	if (!localtime_r(&now_s, &tm))
		return 0;
	strftime(date, sizeof(date), sink.start == START_TIME ? "%T" : "%F %T", &tm);
	if (sink.start == START_DATE)
		strftime(zone, sizeof(zone), "%z", &tm);
	return (size_t)snprintf(out, START_MAX, "%s.%03u%s %s", date, ms, zone, level_word(level));
}

/* Makes the line and puts it into the sink, if there is room. */
static bool add_line(enum log_level level, const char *format, va_list args)
{
	char message[MESSAGE_MAX + 1], line[LINE_MAX_BYTES];
	int len = vsnprintf(message, sizeof(message), format, args);
	size_t n = write_start(line, level);
	bool cut = len > MESSAGE_MAX;

	if (len < 0)
		return false;
	n += log_escape(line + n, 4 * MESSAGE_MAX,
			(struct str){ message, cut ? MESSAGE_MAX : (size_t)len });
	n += log_escape(line + n, 3, cut ? STR("...") : STR(""));
	line[n++] = '\n';
	if (n > SINK_SIZE - sink.n)
		return false;
	memcpy(sink.bytes + sink.n, line, n);
	sink.n += n;
	return true;
}

__attribute__((format(printf, 2, 3))) static bool add_linef(enum log_level level,
							    const char *format, ...)
{
	va_list args;
	bool added;

	va_start(args, format);
	added = add_line(level, format, args);
	va_end(args);
	return added;
}

static void drop(uint64_t lines)
{
	sink.dropped += lines;
	sink.unsaid += lines;
}

/* Tells of lines dropped, where they are missing. False: no room even for that. */
static bool say_dropped(void)
{
	if (sink.unsaid == 0)
		return true;
	if (!add_linef(LOG_LEVEL_WARNING, "%llu log lines dropped: nobody took them",
		       (unsigned long long)sink.unsaid))
		return false;
	sink.unsaid = 0;
	return true;
}

static void add(enum log_level level, const char *format, va_list args)
{
	if (level <= log_level && !(say_dropped() && add_line(level, format, args)))
		drop(1);
}

void log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(LOG_LEVEL_ERROR, format, args);
	va_end(args);
}

void log_warning(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(LOG_LEVEL_WARNING, format, args);
	va_end(args);
}

void log_info(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(LOG_LEVEL_INFO, format, args);
	va_end(args);
}

void log_debug(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(LOG_LEVEL_DEBUG, format, args);
	va_end(args);
}

/* Bytes of as many whole lines as PIPE_BUF holds: what a pipe takes at once or not at all. */
static size_t piece(size_t at)
{
	size_t n = sink.n - at;
	const char *end;

	if (n <= PIPE_BUF)
		return n;
	end = memrchr(sink.bytes + at, '\n', PIPE_BUF);
	return end ? (size_t)(end + 1 - (sink.bytes + at)) : PIPE_BUF;
}

/* Bytes written, or -errno; -EAGAIN where it would have to wait. */
static ssize_t write_some(const char *bytes, size_t n)
{
	struct pollfd ready = { .fd = sink.fd, .events = POLLOUT };
	ssize_t done;

	if (sink.is_socket)
		done = send(sink.fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	else if (poll(&ready, 1, 0) == 1)
		done = write(sink.fd, bytes, n);
	else
		return -EAGAIN;
	return done < 0 ? -errno : done;
}

/* Writes from the front until all is written or stderr does not take more. */
static int write_sink(void)
{
	size_t at = 0;
	ssize_t done = 0;

	while (at < sink.n) {
		done = write_some(sink.bytes + at, piece(at));
		if (done == -EINTR)
			continue;
		if (done < 0)
			break;
		at += (size_t)done;
	}
	sink.n -= at;
	memmove(sink.bytes, sink.bytes + at, sink.n);
	return done < 0 ? (int)done : 0;
}

/* Nobody will ever read these. */
static void discard_sink(void)
{
	for (size_t i = 0; i < sink.n; i++)
		if (sink.bytes[i] == '\n')
			drop(1);
	sink.n = 0;
}

void log_flush(void)
{
	int err = write_sink();

	if (err == 0 && sink.unsaid && say_dropped())
		err = write_sink();
	if (err && err != -EAGAIN)
		discard_sink();
}

uint64_t log_dropped(void)
{
	return sink.dropped;
}

bool log_allow(struct log_limit *limit, uint64_t now_ms, unsigned burst, const char *what)
{
	if (now_ms - limit->window_ms >= WINDOW_MS) {
		if (limit->muted)
			log_warning("%s: %u more not shown", what, limit->muted);
		*limit = (struct log_limit){ .window_ms = now_ms };
	}
	if (limit->said < burst) {
		limit->said++;
		return true;
	}
	limit->muted++;
	return false;
}
