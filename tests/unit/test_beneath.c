/*
 * beneath: what lies below the folder opens, and nothing else does; on both ways.
 */
#include "beneath.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* outer/secret beside outer/root, which is served. */
static char outer[] = "/tmp/beneath-XXXXXX";
static int outer_fd, root_fd;

static void write_file(const char *path, const char *text)
{
	int fd = openat(outer_fd, path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void make_tree(void)
{
	cr_assert(mkdtemp(outer));
	outer_fd = open(outer, O_RDONLY | O_DIRECTORY);
	cr_assert(mkdirat(outer_fd, "root", 0700) == 0);
	cr_assert(mkdirat(outer_fd, "root/dir", 0700) == 0);
	write_file("secret", "secret");
	write_file("root/file", "file");
	write_file("root/dir/deep", "deep");
	cr_assert(symlinkat("dir/deep", outer_fd, "root/inside") == 0);
	cr_assert(symlinkat("../file", outer_fd, "root/dir/up") == 0);
	cr_assert(symlinkat("../secret", outer_fd, "root/outside") == 0);
	cr_assert(symlinkat("..", outer_fd, "root/parent") == 0);
	cr_assert(symlinkat("/etc/passwd", outer_fd, "root/absolute") == 0);
	cr_assert(symlinkat("loop", outer_fd, "root/loop") == 0);
	cr_assert(mkfifoat(outer_fd, "root/fifo", 0600) == 0);
	root_fd = openat(outer_fd, "root", O_PATH | O_DIRECTORY);
	cr_assert(root_fd >= 0);
}

static void remove_tree(void)
{
	const char *const files[] = {
		"secret",       "root/file",   "root/dir/deep", "root/inside", "root/dir/up",
		"root/outside", "root/parent", "root/absolute", "root/loop",   "root/fifo",
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		unlinkat(outer_fd, files[i], 0);
	unlinkat(outer_fd, "root/dir", AT_REMOVEDIR);
	unlinkat(outer_fd, "root", AT_REMOVEDIR);
	close(root_fd);
	close(outer_fd);
	cr_assert(rmdir(outer) == 0);
}

TestSuite(beneath, .init = make_tree, .fini = remove_tree, .timeout = 10);

/* Whether it opened and begins with text. */
static bool reads(int fd, const char *text)
{
	char bytes[16] = "";
	ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes) - 1);

	if (fd >= 0)
		close(fd);
	return n >= 0 && strcmp(bytes, text) == 0;
}

static bool refuses(int fd)
{
	if (fd >= 0)
		close(fd);
	return fd < 0;
}

Test(beneath, opens_what_lies_below)
{
	cr_assert(reads(beneath_open(root_fd, "file"), "file"));
	cr_assert(reads(beneath_open(root_fd, "dir/deep"), "deep"));
	cr_assert(reads(beneath_walk(root_fd, "file"), "file"));
	cr_assert(reads(beneath_walk(root_fd, "dir/deep"), "deep"));
}

Test(beneath, says_what_is_not_there)
{
	int (*const ways[])(int, const char *) = { beneath_open, beneath_walk };

	for (size_t i = 0; i < 2; i++) {
		cr_assert(ways[i](root_fd, "nothing") == -ENOENT);
		cr_assert(ways[i](root_fd, "nothing/file") == -ENOENT);
		cr_assert(ways[i](root_fd, "file/below") == -ENOTDIR);
		cr_assert(ways[i](root_fd, "") == -ENOENT);
	}
	cr_assert(beneath_walk(root_fd, "dir//deep") == -ENOENT);
	cr_assert(beneath_walk(root_fd, "dir/") == -ENOENT);
}

Test(beneath, follows_no_link_that_leads_out)
{
	const char *const paths[] = { "outside",   "parent/secret",    "absolute",   "loop",
				      "../secret", "dir/../../secret", "/etc/passwd" };

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		cr_assert(refuses(beneath_open(root_fd, paths[i])), "%s", paths[i]);
		cr_assert(refuses(beneath_walk(root_fd, paths[i])), "%s", paths[i]);
	}
	cr_assert(beneath_walk(root_fd, "outside") == -ELOOP);
}

Test(beneath, follows_links_inside_where_the_kernel_can_tell)
{
	int fd = beneath_open(root_fd, "inside");

	cr_assert(fd == -ELOOP || reads(fd, "deep"));
	cr_assert(beneath_walk(root_fd, "inside") == -ELOOP);
	cr_assert(refuses(beneath_walk(root_fd, "dir/up")));
}

Test(beneath, a_fifo_does_not_block)
{
	struct stat st;
	int fd = beneath_open(root_fd, "fifo");

	cr_assert(fd >= 0 && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode));
	close(fd);
	fd = beneath_walk(root_fd, "fifo");
	cr_assert(fd >= 0);
	close(fd);
}

Test(beneath, names_that_are_too_long)
{
	char name[NAME_MAX + 2];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	cr_assert(beneath_open(root_fd, name) == -ENAMETOOLONG);
	cr_assert(beneath_walk(root_fd, name) == -ENAMETOOLONG);
	name[NAME_MAX] = '\0';
	cr_assert(beneath_walk(root_fd, name) == -ENOENT);
}

/* Descriptors that stay open would show as a number that grows. */
Test(beneath, a_walk_leaves_no_descriptor_behind)
{
	int before = dup(root_fd), after;

	close(before);
	for (int i = 0; i < 3; i++) {
		cr_assert(reads(beneath_walk(root_fd, "dir/deep"), "deep"));
		cr_assert(beneath_walk(root_fd, "dir/none") == -ENOENT);
		cr_assert(refuses(beneath_walk(root_fd, "parent/secret")));
	}
	after = dup(root_fd);
	close(after);
	cr_assert(before == after);
}
