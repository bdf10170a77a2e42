/*
 * The commands of the README, with the real curl.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "reader.h"

/* A command that runs beside the test; its output is read line by line. */
__attribute__((format(printf, 1, 2))) static FILE *run(const char *format, ...)
{
	char command[512];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	FILE *pipe = popen(command, "re");

	cr_assert(pipe, "no shell");
	return pipe;
}

static void expect_line(FILE *pipe, const char *wanted)
{
	char line[256] = "";

	do {
		cr_assert(fgets(line, sizeof(line), pipe), "curl ended without '%s'", wanted);
		line[strcspn(line, "\n")] = '\0';
	} while (strcmp(line, wanted) != 0);
}

Test(curl, follows_a_stream_to_its_end)
{
	struct daemon d;

	daemon_begin(&d, NULL);
	FILE *curl = run("exec curl -sS -N http://127.0.0.1:%d/sse 2>&1", d.port);

	expect_line(curl, "data: welcome to server sent event");
	publish(&d, "/publish?event=e", "hello\nworld", NULL);
	expect_line(curl, "event: e");
	expect_line(curl, "data: hello");
	expect_line(curl, "data: world");
	daemon_stop(&d);
	/* 18 would say that the last chunk was missing. */
	char rest[256];

	while (fgets(rest, sizeof(rest), curl))
		continue;
	int status = pclose(curl);

	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%d: %s", status, rest);
}

Test(curl, publishes_on_the_control_socket)
{
	struct daemon d;
	struct reader s;

	daemon_begin(&d, OPTIONS(QUIET));
	reader_open(&s, &d, "/sse", "");
	FILE *curl = run("curl -sS --unix-socket %s -d hello http://localhost/publish", d.control);
	char answer[256] = "";

	cr_assert(fgets(answer, sizeof(answer), curl));
	cr_expect(pclose(curl) == 0);
	reader_wait(&s, 1);
	cr_expect_str_eq(s.events[0].data, "hello");
	cr_expect(strstr(answer, s.events[0].id) && strstr(answer, "\"subscribers\":1}"), "%s",
		  answer);
	reader_close(&s);
	daemon_stop(&d);
}

Test(curl, uploads_a_flow_that_does_not_end)
{
	struct daemon d;
	struct reader s;
	char command[512], answer[256] = "", path[200];

	daemon_begin(&d, OPTIONS(QUIET));
	reader_open(&s, &d, "/sse", "");
	snprintf(path, sizeof(path), "%s/answer", d.dir);
	snprintf(command, sizeof(command),
		 "curl -sS -T - -H 'Content-Type: application/x-ndjson' --unix-socket %s "
		 "http://localhost/publish >%s",
		 d.control, path);
	FILE *curl = popen(command, "we");

	for (size_t i = 0; i < 5; i++) {
		fprintf(curl, "{\"data\":%zu}\n", i);
		fflush(curl);
		reader_wait(&s, i + 1);
		cr_expect(s.events[i].data[0] == (char)('0' + i));
	}
	cr_expect(pclose(curl) == 0);
	FILE *file = fopen(path, "re");

	cr_assert(file && fgets(answer, sizeof(answer), file));
	fclose(file);
	cr_expect(strstr(answer, "\"accepted\":5"), "%s", answer);
	reader_close(&s);
	daemon_stop(&d);
}

Test(curl, sends_a_big_body_with_expect_continue)
{
	struct daemon d;
	struct reader s;

	daemon_begin(&d, OPTIONS(QUIET, "--max-body", "3M"));
	reader_open(&s, &d, "/sse", "");
	FILE *curl = run("head -c 2000000 /dev/zero | tr '\\0' x | curl -sS --unix-socket %s "
			 "-H 'Expect: 100-continue' --data-binary @- http://localhost/publish",
			 d.control);
	char answer[256] = "";

	cr_assert(fgets(answer, sizeof(answer), curl));
	cr_expect(strstr(answer, "\"id\""), "%s", answer);
	cr_expect(pclose(curl) == 0);
	reader_wait(&s, 1);
	cr_expect(strlen(s.events[0].data) == 2000000);
	reader_close(&s);
	daemon_stop(&d);
}
