/*
 * upgrade: asks the new binary, and makes room for it. See upgrade.h.
 */
#include "upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "handover.h"
#include "log.h"
#include "version.h"

enum {
	ANSWER_MAX = 4096,      /* bytes that the child may say */
	ANSWER_TIME_MS = 10000, /* that it may take */
	ARGS_MAX = 4096,
};

#define STATE_VARIABLE "SSECASTD_HANDOVER"
#define ACCEPTED       STR("accepted by ")

void upgrade_init(struct upgrade *upgrade, const char *argv0)
{
	char path[PATH_MAX];
	ssize_t n;

	*upgrade = (struct upgrade){ .answer_fd = -1 };
	/* A path is kept as it was given: a link in it may lead to the new binary. */
	if (argv0 && argv0[0] == '/') {
		upgrade->path = strdup(argv0);
	} else if (argv0 && strchr(argv0, '/') && getcwd(path, sizeof(path))) {
		if (asprintf(&upgrade->path, "%s/%s", path, argv0) < 0)
			upgrade->path = NULL;
	} else {
		n = readlink("/proc/self/exe", path, sizeof(path) - 1);
		upgrade->path = n > 0 ? strndup(path, (size_t)n) : NULL;
	}
}

void upgrade_done(struct upgrade *upgrade)
{
	if (upgrade->child)
		kill(upgrade->child, SIGKILL);
	if (upgrade->answer_fd >= 0)
		close(upgrade->answer_fd);
	free(upgrade->path);
	*upgrade = (struct upgrade){ .answer_fd = -1 };
}

/* It does not happen: says why, and that things stay as they are. */
static void refuse(struct server *server, const char *why)
{
	log_error("no upgrade: %s; this binary goes on", why);
	server->hub.stats.upgrades_refused++;
	server->upgrade.is_accepted = false;
	systemd_ready(&server->systemd);
	systemd_notify(&server->systemd, "STATUS=No upgrade: %s", why);
}

/* In the child: becomes the new binary, with the state and a way to answer. */
static void become(const struct server *server, int state_fd, int answer_fd)
{
	char *argv[ARGS_MAX] = { (char *)(uintptr_t)server->upgrade.path };
	char option[64];
	int count = 1;

	snprintf(option, sizeof(option), "--check-handover=%d", state_fd);
	for (int i = 1; i < server->argc && count < ARGS_MAX - 2; i++)
		argv[count++] = server->argv[i];
	argv[count] = option;
	dup2(answer_fd, STDOUT_FILENO);
	dup2(answer_fd, STDERR_FILENO);
	/* No connection may stay open because of us. Not every libc has close_range(2). */
	syscall(SYS_close_range, STDERR_FILENO + 1, state_fd - 1, 0);
	syscall(SYS_close_range, state_fd + 1, UINT_MAX, 0);
	execv(argv[0], argv);
	dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
	_exit(EXIT_FAILURE);
}

static int child_start(struct server *server)
{
	struct upgrade *upgrade = &server->upgrade;
	int state_fd = handover_write(server, clock_mono_ns()), answer[2], err = 0;

	if (state_fd < 0)
		return state_fd;
	if (pipe2(answer, O_CLOEXEC | O_NONBLOCK) < 0) {
		err = -errno;
		close(state_fd);
		return err;
	}
	upgrade->child = fork();
	if (upgrade->child == 0)
		become(server, state_fd, answer[1]);
	err = upgrade->child < 0 ? -errno : 0;
	close(state_fd);
	close(answer[1]);
	upgrade->answer_fd = answer[0];
	upgrade->give_up_ms = server->hub.now_ms + ANSWER_TIME_MS;
	if (!err)
		return 0;
	upgrade->child = 0;
	close(answer[0]);
	upgrade->answer_fd = -1;
	return err;
}

void upgrade_ask(struct server *server)
{
	int err;

	if (server->upgrade.child || server->upgrade.is_accepted)
		return;
	log_info("asking %s to take over",
		 server->upgrade.path ? server->upgrade.path : "(the binary)");
	systemd_notify(&server->systemd, "RELOADING=1\nMONOTONIC_USEC=%llu",
		       (unsigned long long)(clock_mono_ns() / 1000));
	if (server->hub.draining) {
		refuse(server, "the daemon is ending");
	} else if (!server->upgrade.path) {
		refuse(server, "where the binary lies is not known");
	} else {
		err = child_start(server);
		if (err)
			refuse(server, strerror(-err));
	}
}

/* The last line that was said. */
static struct str last_line(struct str text)
{
	struct str line, last = STR("the new binary said nothing");

	while (str_cut(&text, '\n', &line))
		if (line.n)
			last = line;
	return last;
}

void upgrade_answered(struct server *server)
{
	struct upgrade *upgrade = &server->upgrade;
	char text[ANSWER_MAX], why[ANSWER_MAX + 1];
	struct str last;
	ssize_t n;
	pid_t pid;
	int status;

	if (!upgrade->child)
		return;
	do
		pid = waitpid(upgrade->child, &status, WNOHANG);
	while (pid < 0 && errno == EINTR);
	if (pid == 0)
		return;
	if (pid < 0)
		status = -1; /* somebody else has waited for it: how it ended is not known */
	upgrade->child = 0;
	do
		n = read(upgrade->answer_fd, text, sizeof(text));
	while (n < 0 && errno == EINTR);
	close(upgrade->answer_fd);
	upgrade->answer_fd = -1;
	last = last_line((struct str){ text, n > 0 ? (size_t)n : 0 });
	upgrade->is_accepted =
		WIFEXITED(status) && WEXITSTATUS(status) == 0 && str_starts(last, ACCEPTED);
	if (upgrade->is_accepted)
		return;
	snprintf(why, sizeof(why), "%.*s", STR_ARG(last));
	refuse(server, why);
}

void upgrade_check(struct server *server)
{
	if (server->upgrade.child && server->hub.now_ms >= server->upgrade.give_up_ms)
		kill(server->upgrade.child, SIGKILL);
}

/* Returns only when it fails: -errno. */
static int take_over(struct server *server, int state_fd)
{
	char number[16];
	int err;

	snprintf(number, sizeof(number), "%d", state_fd);
	if (setenv(STATE_VARIABLE, number, 1) < 0)
		return -errno;
	handover_inherit(server, true);
	log_flush();
	execv(server->upgrade.path, server->argv);
	err = -errno;
	handover_inherit(server, false);
	unsetenv(STATE_VARIABLE);
	return err;
}

void upgrade_turn_end(struct server *server)
{
	int state_fd, err;

	/* Conns that are doomed are not for the next binary. */
	if (!server->upgrade.is_accepted || server->hub.conns.doomed)
		return;
	if (server->hub.draining) {
		refuse(server, "the daemon is ending");
		log_flush();
		return;
	}
	server->hub.stats.upgrades++;
	state_fd = handover_write(server, clock_mono_ns());
	err = state_fd < 0 ? state_fd : take_over(server, state_fd);
	server->hub.stats.upgrades--;
	if (state_fd >= 0)
		close(state_fd);
	refuse(server, strerror(-err));
	/* The turn has written its log, and there may be none for long. */
	log_flush();
}

int upgrade_state_fd(void)
{
	const char *text = getenv(STATE_VARIABLE);
	uint64_t fd;

	if (!text || str_to_u64(str_of(text), INT_MAX, &fd))
		return -1;
	unsetenv(STATE_VARIABLE);
	return (int)fd;
}

/* What of the configuration is read at the start, and of the state: NULL or what is wrong. */
static const char *try_all(struct server *server, struct handover *state)
{
	struct hub *hub = &server->hub;
	uint32_t closed;

	if (secrets_read(&hub->secrets, &hub->config))
		return "a token or key cannot be read";
	if (staticfiles_init(&server->files, hub->config.root))
		return "the folder of --root cannot be opened";
	if (listeners_unpack(&server->listeners, state->listeners) ||
	    source_adopt(&server->source, hub, state->source))
		return "the state of listeners or input is damaged";
	if (ring_init(&hub->ring, RING_BYTES_MIN, clock_real_ms()) ||
	    topics_init(&hub->topics, &hub->ring) || peers_init(&hub->conns.peers))
		return "there is no memory to try it";
	exchanges_init(&hub->conns.exchanges);
	if (handover_restore(state, hub, &closed))
		return "the state of topics or requests is damaged";
	return NULL;
}

bool upgrade_try(const struct config *config, int state_fd)
{
	static struct server server;
	struct handover state;
	const char *wrong = handover_read(&state, state_fd);

	server.hub.config = *config;
	secrets_init(&server.hub.secrets);
	if (!wrong)
		wrong = try_all(&server, &state);
	if (wrong)
		fprintf(stderr, "version %s: %s\n", SSECAST_VERSION, wrong);
	else
		printf("%s%s\n", ACCEPTED.p, SSECAST_VERSION);
	return !wrong;
}
