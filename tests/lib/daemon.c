/*
 * daemon: see daemon.h.
 *
 * The daemon's ports are learnt from its log ("listening on http://127.0.0.1:PORT"), and it is
 * ready when it says "ready". Its end is the end of its log: nobody else holds the pipe.
 */
#include "daemon.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

enum { ARGS_MAX = 64, LOG_MAX = 16 << 20 };

uint64_t deadline(void)
{
	return clock_mono_ms() + DEADLINE_MS;
}

int deadline_left(uint64_t deadline_ms, const char *what)
{
	uint64_t now = clock_mono_ms();

	cr_assert(now < deadline_ms, "waited %d s for %s", DEADLINE_MS / 1000, what);
	return (int)(deadline_ms - now);
}

void daemon_init(struct daemon *d)
{
	const char *below = getenv("TMPDIR");

	memset(d, 0, sizeof(*d));
	d->log_fd = d->input_fd = -1;
	buf_init(&d->log, LOG_MAX);
	snprintf(d->dir, sizeof(d->dir), "%s/ssecastd-XXXXXX", below ? below : "/tmp");
	cr_assert(mkdtemp(d->dir), "mkdtemp %s: %s", d->dir, strerror(errno));
	signal(SIGPIPE, SIG_IGN);
}

const char *daemon_path(struct daemon *d, const char *name)
{
	char *path = NULL;

	cr_assert(d->path_count < sizeof(d->paths) / sizeof(d->paths[0]), "too many paths");
	cr_assert(asprintf(&path, "%s/%s", d->dir, name) > 0, "no memory");
	d->paths[d->path_count++] = path;
	return path;
}

const char *daemon_file(struct daemon *d, const char *name, struct str bytes)
{
	const char *path = daemon_path(d, name);
	FILE *file;

	for (char *slash = strchr(path + strlen(d->dir) + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		cr_assert(mkdir(path, 0755) == 0 || errno == EEXIST, "mkdir %s", path);
		*slash = '/';
	}
	file = fopen(path, "w");
	cr_assert(file, "%s: %s", path, strerror(errno));
	cr_assert(fwrite(bytes.p, 1, bytes.n, file) == bytes.n, "%s: short write", path);
	cr_assert(fclose(file) == 0, "%s: %s", path, strerror(errno));
	return path;
}

/* In the child: what a service manager would have set up. */
static void prepare_service(const struct daemon *d)
{
	enum { ASIDE = 100 };
	char text[32];

	for (size_t i = 0; i < 4 && d->environment[i]; i++)
		putenv((char *)(uintptr_t)d->environment[i]);
	if (!d->passed_count)
		return;
	for (int i = 0; i < d->passed_count; i++)
		dup2(d->passed[i], ASIDE + i);
	for (int i = 0; i < d->passed_count; i++) {
		dup2(ASIDE + i, STDERR_FILENO + 1 + i);
		close(ASIDE + i);
	}
	snprintf(text, sizeof(text), "%d", (int)getpid());
	setenv("LISTEN_PID", text, 1);
	snprintf(text, sizeof(text), "%d", d->passed_count);
	setenv("LISTEN_FDS", text, 1);
}

/* In the child: becomes the daemon. */
static void become(const struct daemon *d, char **argv, int input, int log)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_DFL);
	if (d->files_max) {
		rlim_t files = (rlim_t)d->files_max;

		setrlimit(RLIMIT_NOFILE, &(struct rlimit){ files, files });
	}
	unsetenv("JOURNAL_STREAM");
	unsetenv("NOTIFY_SOCKET");
	dup2(input, STDIN_FILENO);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	prepare_service(d);
	execv(argv[0], argv);
	dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static void spawn(struct daemon *d, const char *const *options)
{
	const char *binary = d->binary ? d->binary : getenv("SSECASTD");
	char *argv[ARGS_MAX] = { 0 };
	int input[2], log[2], count = 0;

	argv[count++] = strdup(binary ? binary : "build/ssecastd");
	for (; options && *options; options++) {
		cr_assert(count + 1 < ARGS_MAX, "too many options");
		argv[count++] = strdup(*options);
	}
	cr_assert(pipe2(input, O_CLOEXEC) == 0 && pipe2(log, O_CLOEXEC) == 0, "no pipe");
	d->pid = fork();
	cr_assert(d->pid >= 0, "fork: %s", strerror(errno));
	if (d->pid == 0)
		become(d, argv, input[0], log[1]);
	close(input[0]);
	close(log[1]);
	d->input_fd = input[1];
	d->log_fd = log[0];
	while (count)
		free(argv[--count]);
}

/* Reads on in the log: false at its end. */
static bool log_more(struct daemon *d, uint64_t deadline_ms, const char *what)
{
	struct pollfd ready = { .fd = d->log_fd, .events = POLLIN };
	int left = deadline_left(deadline_ms, what);

	if (poll(&ready, 1, left) <= 0)
		return true;
	cr_assert(buf_reserve(&d->log, 4097) == 0, "the log has no end");
	ssize_t n = read(d->log_fd, d->log.p + d->log.n, 4096);

	cr_assert(n >= 0, "log: %s", strerror(errno));
	d->log.n += (size_t)n;
	d->log.p[d->log.n] = '\0';
	return n > 0;
}

bool daemon_has_said(const struct daemon *d, const char *text)
{
	return d->log.n && strstr(d->log.p, text);
}

void daemon_forget_log(struct daemon *d)
{
	buf_clear(&d->log);
}

void daemon_wait_log(struct daemon *d, const char *text)
{
	uint64_t deadline_ms = deadline();

	while (!daemon_has_said(d, text))
		cr_assert(log_more(d, deadline_ms, text), "it ended and did not say '%s':\n%s",
			  text, d->log.n ? d->log.p : "(nothing)");
}

/* The number behind the first such text in the log, or 0. */
static int said_port(const struct daemon *d, const char *before)
{
	const char *at = strstr(d->log.p, before);

	return at ? atoi(at + strlen(before)) : 0;
}

static bool has_option(const char *const *options, const char *name)
{
	for (; options && *options; options++)
		if (strcmp(*options, name) == 0)
			return true;
	return false;
}

void daemon_start(struct daemon *d, const char *const *options)
{
	const char *all[ARGS_MAX] = { 0 };
	char control[128];
	size_t count = 0;

	d->control = (char *)daemon_path(d, "control.sock");
	snprintf(control, sizeof(control), "unix:%s", d->control);
	const char *const defaults[][2] = { { "--listen", "127.0.0.1:0" },
					    { "--control", control },
					    { "--tick-interval", "0" } };

	for (size_t i = 0; i < 3 && !d->is_bare; i++)
		if (!has_option(options, defaults[i][0])) {
			all[count++] = defaults[i][0];
			all[count++] = defaults[i][1];
		}
	for (; options && *options; options++) {
		cr_assert(count + 1 < ARGS_MAX, "too many options");
		all[count++] = *options;
	}
	spawn(d, all);
	daemon_wait_log(d, "ready");
	d->port = said_port(d, "listening on http://127.0.0.1:");
	d->control_port = said_port(d, "control on http://127.0.0.1:");
}

void daemon_begin(struct daemon *d, const char *const *options)
{
	daemon_init(d);
	daemon_start(d, options);
}

int daemon_run(struct daemon *d, const char *const *options)
{
	spawn(d, options);
	return daemon_wait_exit(d);
}

void daemon_signal(const struct daemon *d, int signal)
{
	cr_assert(d->pid > 0 && kill(d->pid, signal) == 0, "no daemon to signal");
}

int daemon_wait_exit(struct daemon *d)
{
	uint64_t deadline_ms = deadline();
	int status;

	while (log_more(d, deadline_ms, "its end"))
		continue;
	cr_assert(waitpid(d->pid, &status, 0) == d->pid, "waitpid: %s", strerror(errno));
	d->pid = 0;
	close(d->log_fd);
	d->log_fd = -1;
	daemon_input_end(d);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void daemon_input(struct daemon *d, struct str bytes)
{
	cr_assert(write(d->input_fd, bytes.p, bytes.n) == (ssize_t)bytes.n, "stdin: %s",
		  strerror(errno));
}

void daemon_input_end(struct daemon *d)
{
	if (d->input_fd >= 0)
		close(d->input_fd);
	d->input_fd = -1;
}

void daemon_stop(struct daemon *d)
{
	daemon_signal(d, SIGTERM);
	int status = daemon_wait_exit(d);

	cr_expect(status == 0, "exit status %d:\n%s", status, d->log.p);
	daemon_done(d);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void daemon_done(struct daemon *d)
{
	nftw(d->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	while (d->path_count)
		free(d->paths[--d->path_count]);
	buf_done(&d->log);
}
