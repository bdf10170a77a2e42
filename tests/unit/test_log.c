/*
 * Tests of log: what a line looks like, that nothing from outside can forge one, and that flushing
 * neither blocks nor loses count, whatever stderr is. Each test runs in its own process.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

/* Makes fd this process's stderr and closes it. */
static void use_stderr(int fd)
{
	cr_assert_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	close(fd);
}

/* A pipe as stderr; returns its other end, which never blocks. */
static int pipe_stderr(void)
{
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	cr_assert_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	use_stderr(ends[1]);
	unsetenv("JOURNAL_STREAM");
	return ends[0];
}

/* All that can be read now, as a string. */
static const char *read_all(int fd)
{
	static char text[1 << 20];
	size_t n = 0;
	ssize_t got;

	while ((got = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	return text;
}

static bool matches(const char *text, const char *pattern)
{
	regex_t regex;
	bool yes;

	cr_assert_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	yes = regexec(&regex, text, 0, NULL, 0) == 0;
	regfree(&regex);
	return yes;
}

#define DATE "20[0-9]{2}-[01][0-9]-[0-3][0-9] "
#define TIME "[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}"

static size_t count_lines(const char *text)
{
	size_t n = 0;

	while ((text = strchr(text, '\n'))) {
		text++;
		n++;
	}
	return n;
}

Test(log, works_before_init)
{
	int fd = pipe_stderr();

	log_info("early %d", 1);
	log_flush();
	cr_expect(matches(read_all(fd), "^" TIME " early 1\n$"));
}

Test(log, dates_and_levels)
{
	int fd = pipe_stderr();
	const char *text;

	log_init();
	log_level = LOG_LEVEL_DEBUG;
	log_error("e");
	log_warning("w");
	log_info("i");
	log_debug("d");
	cr_expect_str_empty(read_all(fd), "nothing is written before the flush");
	log_flush();
	text = read_all(fd);
	cr_expect(matches(text, "^" DATE TIME "[+-][0-9]{4} error: e\n"), "%s", text);
	cr_expect(matches(text, "\n" DATE TIME "[+-][0-9]{4} warning: w\n"), "%s", text);
	cr_expect(matches(text, "\n" DATE TIME "[+-][0-9]{4} i\n"), "%s", text);
	cr_expect(matches(text, "\n" DATE TIME "[+-][0-9]{4} debug: d\n$"), "%s", text);
	cr_expect_eq(log_dropped(), 0);
}

Test(log, level_decides)
{
	int fd = pipe_stderr();

	log_init();
	log_debug("no");
	log_level = LOG_LEVEL_ERROR;
	log_warning("no");
	log_info("no");
	log_error("yes");
	log_flush();
	cr_expect(matches(read_all(fd), "^[^\n]*error: yes\n$"));
}

Test(log, priorities_for_the_journal)
{
	int fd = pipe_stderr();
	struct stat st;
	char stream[64];

	cr_assert_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_init();
	log_info("hello");
	log_error("alas");
	log_flush();
	cr_expect_str_eq(read_all(fd), "<6>hello\n<3>alas\n");
}

Test(log, another_journal_is_not_ours)
{
	int fd = pipe_stderr();
	struct stat st;
	char stream[64];

	cr_assert_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino + 1);
	setenv("JOURNAL_STREAM", stream, 1);
	log_init();
	log_info("hello");
	log_flush();
	cr_expect(matches(read_all(fd), "^" DATE));
}

static void expect_escaped(struct str s, const char *expected)
{
	char out[200];
	size_t n = log_escape(out, sizeof(out), s);

	cr_expect(str_eq((struct str){ out, n }, str_of(expected)), "%.*s is not %s", (int)n, out,
		  expected);
}

Test(log, escapes)
{
	char out[8];

	expect_escaped(STR("plain text ~"), "plain text ~");
	expect_escaped(STR("a\nb\r\t\x1b[31m\x7f"), "a\\x0ab\\x0d\\x09\\x1b[31m\\x7f");
	expect_escaped(STR("a\0b"), "a\\x00b");
	expect_escaped(STR("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
		       "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
	expect_escaped(STR("\xc2\x9b\xc2\xa0"), "\\xc2\\x9b\xc2\xa0");
	expect_escaped(STR("\xff\xe2\x82"), "\\xff\\xe2\\x82");
	expect_escaped(STR("\xed\xa0\x80 \xc0\x80"), "\\xed\\xa0\\x80 \\xc0\\x80");
	cr_expect_eq(log_escape(out, 0, STR("a")), 0);
	cr_expect_eq(log_escape(out, 8, STR("abcdefghi")), 8);
	cr_expect_eq(log_escape(out, 8, STR("abcde\n")), 5, "an escape is not cut");
	cr_expect_eq(log_escape(out, 5, STR("abcd\xc3\xa9")), 4, "nor a character");
}

Test(log, nobody_forges_a_line)
{
	int fd = pipe_stderr();
	const char *text;

	log_init();
	log_info("got %s", "x\n<3>forged\xff");
	log_flush();
	text = read_all(fd);
	cr_expect(strstr(text, "got x\\x0a<3>forged\\xff\n"), "%s", text);
	cr_expect_eq(count_lines(text), 1);
}

Test(log, long_messages_are_cut)
{
	int fd = pipe_stderr();
	char long_text[5000];
	const char *text;

	log_init();
	memset(long_text, '\n', sizeof(long_text));
	log_info("%.*s", 1001, long_text);
	log_info("%.*s", 1000, long_text);
	log_flush();
	text = read_all(fd);
	cr_expect_eq(count_lines(text), 2);
	cr_expect(strstr(text, "\\x0a...\n"));
	cr_expect(matches(text, "x0a\n$"), "%s", text);
}

/* Nobody reads. An alarm ends the test, should the flush block. */
static void fill(unsigned lines)
{
	alarm(20);
	for (unsigned i = 0; i < lines; i++) {
		log_info("line %u of many", i);
		log_flush();
	}
	alarm(0);
}

/* All that comes until the sink is empty, too. */
static char *drain(int fd)
{
	char *text = NULL;
	size_t n;
	FILE *all = open_memstream(&text, &n);

	for (int i = 0; i < 100; i++) {
		fputs(read_all(fd), all);
		log_flush();
	}
	fclose(all);
	return text;
}

/* Everything arrives or is counted, and the count stands where the lines are missing. */
static void expect_all_accounted_for(int fd, unsigned lines)
{
	unsigned seen = 0, next = 0, missing = 0, number;
	char *text = drain(fd);
	struct str rest = str_of(text), line;

	while (str_cut(&rest, '\n', &line) && rest.p) {
		const char *said = memmem(line.p, line.n, "warning: ", 9);
		const char *at = memmem(line.p, line.n, " line ", 6);

		if (said) {
			cr_assert_eq(sscanf(said, "warning: %u log lines dropped", &number), 1);
			next += number;
			missing += number;
			continue;
		}
		cr_assert(at && sscanf(at, " line %u of many\n", &number) == 1);
		cr_assert_eq(number, next, "line %u where %u was due", number, next);
		next++;
		seen++;
	}
	cr_expect_eq(seen + missing, lines, "%u seen, %u missing", seen, missing);
	cr_expect_eq(missing, log_dropped());
	cr_expect_gt(missing, 0);
	free(text);
}

Test(log, full_pipe_neither_blocks_nor_loses_count)
{
	int fd = pipe_stderr();

	log_init();
	cr_assert_geq(fcntl(fd, F_SETPIPE_SZ, 4096), 4096);
	fill(5000);
	cr_expect_not(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, "the shared file is as it was");
	expect_all_accounted_for(fd, 5000);
}

/* As before log_init(), or where the pipe must not be opened again. */
Test(log, full_pipe_without_init)
{
	int fd = pipe_stderr();

	cr_assert_geq(fcntl(fd, F_SETPIPE_SZ, 4096), 4096);
	fill(5000);
	expect_all_accounted_for(fd, 5000);
}

Test(log, full_socket)
{
	int ends[2], size = 4096;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	cr_assert_eq(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	cr_assert_eq(setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	use_stderr(ends[1]);
	unsetenv("JOURNAL_STREAM");
	log_init();
	fill(5000);
	cr_expect_not(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK);
	expect_all_accounted_for(ends[0], 5000);
}

Test(log, stuck_terminal)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave;
	const char *text;

	cr_assert_geq(master, 0);
	cr_assert_eq(grantpt(master), 0);
	cr_assert_eq(unlockpt(master), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	cr_assert_geq(slave, 0);
	use_stderr(slave);
	log_init();
	fill(5000);
	cr_expect_gt(log_dropped(), 0);
	cr_expect_not(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK);
	cr_assert_eq(fcntl(master, F_SETFL, O_NONBLOCK), 0);
	text = read_all(master);
	cr_expect(matches(text, "^" TIME " line 0 of many\r\n" TIME " line 1 of many\r\n"));
}

Test(log, file_is_appended_where_its_owner_left_off)
{
	char path[] = "/tmp/test_log.XXXXXX";
	int fd = mkstemp(path), reader = open(path, O_RDONLY);
	const char *text;

	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(write(fd, "before\n", 7), 7);
	use_stderr(fd);
	unsetenv("JOURNAL_STREAM");
	log_init();
	log_info("ours");
	log_flush();
	cr_assert_eq(write(STDERR_FILENO, "after\n", 6), 6);
	text = read_all(reader);
	cr_expect(matches(text, "^before\n" DATE "[^\n]* ours\nafter\n$"), "%s", text);
}

Test(log, reader_gone)
{
	int fd = pipe_stderr();

	signal(SIGPIPE, SIG_IGN);
	log_init();
	close(fd);
	log_info("one");
	log_info("two");
	log_flush();
	cr_expect_eq(log_dropped(), 2);
}

Test(log, no_stderr)
{
	close(STDERR_FILENO);
	log_init();
	log_info("into the void");
	log_flush();
}

Test(log, allow)
{
	struct log_limit limit = { 0 };
	int fd = pipe_stderr();
	const char *text;

	log_init();
	cr_expect(log_allow(&limit, 20000, 2, "accept"));
	cr_expect(log_allow(&limit, 20001, 2, "accept"));
	cr_expect_not(log_allow(&limit, 20002, 2, "accept"));
	cr_expect_not(log_allow(&limit, 29999, 2, "accept"));
	log_flush();
	cr_expect_str_empty(read_all(fd));
	cr_expect(log_allow(&limit, 30000, 2, "accept"));
	log_flush();
	text = read_all(fd);
	cr_expect(strstr(text, "warning: accept: 2 more not shown\n"), "%s", text);
	cr_expect(log_allow(&limit, 30001, 2, "accept"));
	cr_expect_not(log_allow(&limit, 30002, 2, "accept"));
}
