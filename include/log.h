/*
 * log: sentences for the operator, one line each, to stderr.
 *
 * Lines are collected in memory and written by log_flush() at the end of the turn, so that a slow
 * terminal or journal never blocks the loop: what does not fit is dropped, counted, and the count
 * is said as soon as there is room. Bytes from outside are escaped (control characters, invalid
 * UTF-8), so that nobody can forge a line.
 *
 * Under systemd (JOURNAL_STREAM names our stderr) each line begins with its priority, "<6>", and
 * has no time; on a terminal or in a file it begins with the local time.
 */
#ifndef LOG_H
#define LOG_H

#include "str.h"

enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

/* The one global of the program. Lines above this level are not even formatted. */
extern enum log_level log_level;

/*
 * Finds out what stderr is and makes it non-blocking for us without changing the open file. Lines
 * may be logged and flushed before. Needs one descriptor, which stays open.
 */
void log_init(void);

/*
 * One line, without a newline. The level's priority decides whether it is written. A message of
 * more than 1000 bytes is cut and ends in "...".
 */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes what has been collected, as far as stderr takes it without blocking. */
void log_flush(void);

/*
 * Writes s to out[0..room) with control characters and bytes that are no UTF-8 as \xHH; stops
 * before the first character that does not fit. Returns the bytes written; no NUL.
 */
size_t log_escape(char *out, size_t room, struct str s);

/* Lines dropped because stderr did not take them, since start. */
uint64_t log_dropped(void);

/* At most `burst` lines per ten seconds from one place; the rest is counted and said later. */
struct log_limit {
	uint64_t window_ms; /* when the current ten seconds began (monotonic) */
	unsigned said;      /* lines in it */
	unsigned muted;     /* lines suppressed in it */
};

/* Whether a line may be written now; says how many were suppressed when a new window opens. */
bool log_allow(struct log_limit *limit, uint64_t now_ms, unsigned burst, const char *what);

#endif
