/*
 * main: reads the configuration, prepares the process, runs the server.
 *
 * Exit codes: 0 after an orderly end, 1 when something could not be opened or broke, 2 for a wrong
 * option or configuration.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ceiling.h"
#include "confine.h"
#include "daemon.h"
#include "log.h"
#include "sock.h"
#include "upgrade.h"
#include "version.h"

/* Descriptors that are not connections: listeners, timers, memfds, files being served. */
enum { FILES_RESERVED = 64 };

/*
 * Raises the soft limit of descriptors to the hard one. Returns for how many clients there is room:
 * --max-clients or less, so that running out is answered and not suffered.
 */
static uint64_t fit_clients(uint64_t wanted)
{
	struct rlimit limit;
	uint64_t room;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return wanted;
	if (limit.rlim_cur != limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
			log_warning("the limit of open files could not be raised");
	}
	if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur <= FILES_RESERVED + CONN_SPARE)
		return wanted;
	room = limit.rlim_cur - FILES_RESERVED - CONN_SPARE;
	if (wanted <= room)
		return wanted;
	log_info("room for %llu clients, not %llu: the limit of open files is %llu",
		 (unsigned long long)room, (unsigned long long)wanted,
		 (unsigned long long)limit.rlim_cur);
	return room;
}

/* What a person can do with it, to begin with. */
static void say_try(const struct server *server)
{
	struct buf public, control;

	buf_init(&public, 512);
	buf_init(&control, 512);
	for (uint32_t i = server->listeners.count; i-- > 0;) {
		const struct listener *listener = &server->listeners.items[i];
		struct buf *name = listener->is_control ? &control : &public;

		buf_clear(name);
		sock_name(listener->fd, name);
	}
	if (str_starts(buf_str(&public), STR("http://"))) {
		log_info("try: open %.*s/ in a browser", STR_ARG(buf_str(&public)));
		log_info("try: curl -N %.*s/sse", STR_ARG(buf_str(&public)));
	}
	if (str_starts(buf_str(&control), STR("http://")))
		log_info("try: curl -d hello %.*s/publish", STR_ARG(buf_str(&control)));
	else if (control.n)
		log_info("try: curl --unix-socket %.*s -d hello http://localhost/publish",
			 STR_ARG(str_from(buf_str(&control), sizeof("unix:") - 1)));
	buf_done(&public);
	buf_done(&control);
}

static int run(struct config *config, int argc, char **argv)
{
	static struct server server;
	struct handover from;
	int state_fd = upgrade_state_fd(), err;
	bool goes_on = state_fd >= 0;
	const char *wrong = goes_on ? handover_read(&from, state_fd) : NULL;

	log_level = (enum log_level)config->log_level;
	log_init();
	if (wrong)
		log_error("cannot go on: %s; every connection ends", wrong);
	if (!goes_on)
		log_info("ssecastd %s", SSECAST_VERSION);
	if (!goes_on && geteuid() == 0)
		log_warning(
			"running as root, which nothing here needs: better as a user of its own");
	err = wrong ? -EINVAL
		    : daemon_init(&server, config, fit_clients(config->clients_max), argc, argv,
				  goes_on ? &from : NULL);
	if (goes_on)
		handover_done(&from);
	if (!err) {
		if (server.systemd.notify_fd < 0 && !goes_on)
			say_try(&server);
		confine(&server);
		log_info("ready");
		systemd_ready(&server.systemd);
		log_flush();
		err = daemon_run(&server);
	}
	if (server.has_left) {
		log_flush();
		return EXIT_SUCCESS;
	}
	if (!err)
		log_info("goodbye");
	daemon_done(&server);
	log_flush();
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Opens what the configuration names and would be opened at the start, but no listener. */
static bool check_files(const struct config *config)
{
	struct staticfiles files;
	struct secrets secrets;
	int err;

	log_init();
	secrets_init(&secrets);
	err = secrets_read(&secrets, config);
	secrets_done(&secrets);
	if (!err && (err = staticfiles_init(&files, config->root)))
		log_error("cannot serve --root %s: %s", config->root, strerror(-err));
	if (!err)
		staticfiles_done(&files);
	log_flush();
	return !err;
}

/* What the options ask for: the exit status. */
static int act(struct config *config, int argc, char **argv)
{
	int status = EXIT_SUCCESS;

	if (config->check_handover_fd)
		return upgrade_try(config, (int)config->check_handover_fd) ? EXIT_SUCCESS
									   : EXIT_FAILURE;
	if (!config->print_limits && !config->check_config)
		return run(config, argc, argv);
	if (config->print_limits)
		ceiling_print(config, fit_clients(config->clients_max), stdout);
	else if (check_files(config))
		puts("ssecastd: the configuration is valid");
	else
		status = EXIT_FAILURE;
	config_done(config);
	return status;
}

/* Whoever opens a file next must not get the number of a standard one that came closed. */
static void open_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	struct config config;

	open_standard_files();
	/* A limit of a file's size is an error like others, and not the end of all streams. */
	signal(SIGXFSZ, SIG_IGN);
	if (config_init(&config)) {
		fputs("ssecastd: there is no memory for the configuration\n", stderr);
		return EXIT_FAILURE;
	}
	switch (config_read(&config, argc, argv, stdout, stderr)) {
	case CONFIG_RUN: return act(&config, argc, argv);
	case CONFIG_EXIT_OK: config_done(&config); return EXIT_SUCCESS;
	default: config_done(&config); return 2;
	}
}
