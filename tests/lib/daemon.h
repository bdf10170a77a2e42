/*
 * daemon: the real binary, started for one test on free ports, watched through its log, stopped by
 * a signal.
 *
 * The binary is the one that $SSECASTD names, or build/ssecastd. Each daemon has a fresh folder of
 * its own (below $TMPDIR or /tmp) that holds its control socket and what the test puts there.
 * Whatever goes wrong fails the test at once; the daemon dies with the test's process. Nothing here
 * waits for time to pass: every wait is for a condition and has a deadline that only a failing test
 * meets.
 */
#ifndef DAEMON_H
#define DAEMON_H

#include <sys/types.h>

#include "buf.h"

/* The longest that a test waits for one thing: generous, for sanitizers on a busy machine. */
enum { DEADLINE_MS = 30000 };

struct daemon {
	pid_t pid;                  /* 0 when it is not running */
	int log_fd;                 /* its stdout and stderr */
	int input_fd;               /* its stdin; -1 once closed */
	int port;                   /* of its first public TCP listener */
	int control_port;           /* of its first TCP control listener, 0 = none */
	const char *binary;         /* to start; NULL = the usual one */
	bool is_bare;               /* started with the given options and no defaults of ours */
	const char *environment[4]; /* NAME=value, for it alone */
	int passed[16];             /* descriptors that it gets as a manager passes them, … */
	int passed_count;           /* … and how many */
	int files_max;              /* RLIMIT_NOFILE to start it with, 0 = ours */
	char dir[96];               /* its folder */
	char *control;              /* path of its control socket */
	char *paths[16];            /* what daemon_path() made */
	size_t path_count;          /* how many */
	struct buf log;             /* all it has said */
};

/* NULL-terminated options, as an argument. */
#define OPTIONS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* A daemon that does not run yet, with its folder. */
void daemon_init(struct daemon *d);

/* dir/name; valid until daemon_done(). */
const char *daemon_path(struct daemon *d, const char *name);

/* Writes a file into its folder (sub-folders are made); returns its path. */
const char *daemon_file(struct daemon *d, const char *name, struct str bytes);

/*
 * Starts it and waits until it is ready. Unless the options say otherwise it listens on a free port
 * of 127.0.0.1 and on the control socket, and does not tick. options may be NULL.
 */
void daemon_start(struct daemon *d, const char *const *options);

/* Runs it with exactly these options to its end; returns its exit status. */
int daemon_run(struct daemon *d, const char *const *options);

/* Waits until it has said that, and says whether it has. */
void daemon_wait_log(struct daemon *d, const char *text);
bool daemon_has_said(const struct daemon *d, const char *text);

/* Forgets what it has said so far, to wait for what it says next. */
void daemon_forget_log(struct daemon *d);

void daemon_signal(const struct daemon *d, int signal);

/* Waits for its end; returns its exit status, or minus the signal that killed it. */
int daemon_wait_exit(struct daemon *d);

/* Writes to its standard input; closes it. */
void daemon_input(struct daemon *d, struct str bytes);
void daemon_input_end(struct daemon *d);

/* Stops it by SIGTERM, expects exit status 0, and removes its folder. */
void daemon_stop(struct daemon *d);

/* Removes its folder and frees everything; it runs no more. */
void daemon_done(struct daemon *d);

/* daemon_init() and daemon_start(). */
void daemon_begin(struct daemon *d, const char *const *options);

/* The monotonic time in milliseconds by which a wait that begins now must be over; and what is left
 * until then, which fails the test when it is nothing. */
uint64_t deadline(void);
int deadline_left(uint64_t deadline_ms, const char *what);

#endif
