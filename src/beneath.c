/*
 * beneath: opening below a folder. See beneath.h.
 */
#include "beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { OPEN_FLAGS = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK };

int beneath_open(int root_fd, const char *path)
{
	struct open_how how = { .flags = OPEN_FLAGS,
				.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

	if (fd >= 0)
		return (int)fd;
	/* EPERM is how some sandboxes refuse a system call that they have never heard of. */
	if (errno == ENOSYS || errno == EPERM)
		return beneath_walk(root_fd, path);
	return -errno;
}

/* Opens the name of name_len bytes in the folder dir_fd. */
static int step(int dir_fd, const char *name, size_t name_len, int flags)
{
	char text[NAME_MAX + 1];
	int fd;

	if (name_len > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(text, name, name_len);
	text[name_len] = '\0';
	if (strcmp(text, "..") == 0)
		return -EXDEV;
	fd = openat(dir_fd, text, flags | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int beneath_walk(int root_fd, const char *path)
{
	int dir_fd = root_fd;

	for (;;) {
		size_t len = strcspn(path, "/");
		int flags = path[len] ? O_PATH | O_DIRECTORY : OPEN_FLAGS;
		int fd = step(dir_fd, path, len, flags);

		if (dir_fd != root_fd)
			close(dir_fd);
		if (fd < 0 || path[len] == '\0')
			return fd;
		dir_fd = fd;
		path += len + 1;
	}
}
