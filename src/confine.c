/*
 * confine: which walls, and which paths stay open in them. See confine.h.
 *
 * What a reload or the next binary reads must stay readable: of each option that names a file its
 * folder (an editor replaces files), of each that names a folder that one; the program itself and
 * what it is loaded with; the resolver's files. In the folders of our unix sockets these can be
 * made and removed. Nothing can be written.
 */
#include "confine.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "options.h"
#include "sandbox.h"

enum { PATHS_MAX = 256 };

struct paths {
	struct sandbox_path items[PATHS_MAX]; /* paths are owned */
	size_t count;
};

static const struct sandbox_path system_paths[] = {
	{ "/lib", SANDBOX_RUN },
	{ "/lib64", SANDBOX_RUN },
	{ "/usr/lib", SANDBOX_RUN },
	{ "/usr/lib64", SANDBOX_RUN },
	{ "/etc/ld.so.cache", SANDBOX_READ },
	{ "/etc/ld.so.preload", SANDBOX_READ },
	{ "/etc/hosts", SANDBOX_READ },
	{ "/etc/host.conf", SANDBOX_READ },
	{ "/etc/nsswitch.conf", SANDBOX_READ },
	{ "/etc/resolv.conf", SANDBOX_READ },
	{ "/etc/gai.conf", SANDBOX_READ },
	{ "/etc/services", SANDBOX_READ },
	{ "/etc/localtime", SANDBOX_READ },
	{ "/usr/share/zoneinfo", SANDBOX_READ },
	{ "/proc/self", SANDBOX_READ },
	{ "/dev/null", SANDBOX_READ },
};

/* Of memory that runs out here, and of a list that is full, less stays open: on the safe side. */
static void add(struct paths *paths, const char *path, size_t len, enum sandbox_right right)
{
	char *copy = paths->count < PATHS_MAX ? strndup(path, len) : NULL;

	if (copy)
		paths->items[paths->count++] = (struct sandbox_path){ copy, right };
}

/* The folder that the file lies in. */
static void add_parent(struct paths *paths, const char *path, enum sandbox_right right)
{
	const char *slash = strrchr(path, '/');

	if (slash)
		add(paths, path, slash == path ? 1 : (size_t)(slash - path), right);
	else
		add(paths, ".", 1, right);
}

/* Where a file is looked for, and where a link at that place leads. */
static void add_file(struct paths *paths, const char *path)
{
	char *real = realpath(path, NULL);

	add_parent(paths, path, SANDBOX_READ);
	if (real)
		add_parent(paths, real, SANDBOX_READ);
	free(real);
}

static void add_options(struct paths *paths, const struct config *config)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &option_table[i];
		const char *text;

		if (option->kind != VALUE_TEXT || !option->metavar)
			continue;
		text = *(char *const *)((const char *)config + option->offset);
		if (text && strcmp(option->metavar, "FILE") == 0)
			add_file(paths, text);
		else if (text && strcmp(option->metavar, "DIR") == 0)
			add(paths, text, strlen(text), SANDBOX_READ);
	}
}

static void add_program(struct paths *paths, const char *argv0)
{
	char program[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);

	if (n > 0) {
		program[n] = '\0';
		add_parent(paths, program, SANDBOX_RUN);
	}
	if (argv0 && strchr(argv0, '/'))
		add_parent(paths, argv0, SANDBOX_RUN);
}

static void add_sockets(struct paths *paths, const struct listeners *listeners)
{
	for (uint32_t i = 0; i < listeners->count; i++)
		if (listeners->items[i].unlink_path)
			add_parent(paths, listeners->items[i].unlink_path, SANDBOX_SOCKET);
}

static int confine_paths(const struct server *server)
{
	struct paths paths = { .count = 0 };
	int err;

	for (size_t i = 0; i < sizeof(system_paths) / sizeof(system_paths[0]); i++)
		add(&paths, system_paths[i].path, PATH_MAX, system_paths[i].right);
	add_options(&paths, &server->hub.config);
	add_program(&paths, server->argv[0]);
	add_sockets(&paths, &server->listeners);
	err = sandbox_paths(paths.items, paths.count);
	while (paths.count)
		free((char *)(uintptr_t)paths.items[--paths.count].path);
	return err;
}

/* A build for sanitizers or coverage has a runtime that reads and writes as it likes. */
#ifdef TEST_UNCONFINED
static const bool is_possible = false;
#else
static const bool is_possible = true;
#endif

static bool is_wanted(const struct config *config, const char *wall)
{
	for (size_t i = 0; i < config->unconfined.count; i++)
		if (strcmp(config->unconfined.items[i], wall) == 0 ||
		    strcmp(config->unconfined.items[i], "all") == 0)
			return false;
	return is_possible;
}

static void say(const char *wall, int err)
{
	if (err == -ENOSYS || err == -EOPNOTSUPP)
		log_debug("not confined in its %s: the kernel does not offer it (any more)", wall);
	else if (err)
		log_warning("not confined in its %s: %s", wall, strerror(-err));
	else
		log_debug("confined: %s", wall);
}

void confine(const struct server *server)
{
	const struct config *config = &server->hub.config;

	if (is_wanted(config, "privileges"))
		say("privileges", sandbox_no_new_privileges());
	if (is_wanted(config, "files"))
		say("files", confine_paths(server));
	if (is_wanted(config, "system-calls"))
		say("system-calls", sandbox_system_calls());
}
