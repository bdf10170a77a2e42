/*
 * Tests of config, options and value: each option of the table goes both ways, each fault is one
 * line that names it, and the man page and --help say what the table says.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "httpvalue.h"
#include "options.h"
#include "version.h"

#ifndef SRCDIR
#define SRCDIR "."
#endif

enum { ARGS_MAX = 8 };

/* What config_read() made of some arguments. */
struct outcome {
	struct config config;
	enum config_result result;
	char *out, *err;
	size_t out_len, err_len;
};

static struct outcome read_args(const char *const *args)
{
	struct outcome o;
	char *argv[ARGS_MAX + 2] = { (char *)"ssecastd" };
	int argc = 1;
	FILE *out = open_memstream(&o.out, &o.out_len);
	FILE *err = open_memstream(&o.err, &o.err_len);

	for (; args[argc - 1]; argc++)
		argv[argc] = (char *)args[argc - 1];
	cr_assert_eq(config_init(&o.config), 0);
	o.result = config_read(&o.config, argc, argv, out, err);
	fclose(out);
	fclose(err);
	return o;
}

#define READ(...) read_args((const char *const[ARGS_MAX + 1]){ __VA_ARGS__ })

static void outcome_done(struct outcome *o)
{
	config_done(&o->config);
	free(o->out);
	free(o->err);
}

/* A file with that text, in place of any that path (a template that ends in XXXXXX) named. */
static void write_file(char *path, const char *text, size_t n)
{
	int fd = strstr(path, "XXXXXX") ? mkstemp(path) : -1;
	FILE *file = fd >= 0 ? fdopen(fd, "w") : fopen(path, "w");

	cr_assert(file);
	cr_assert_eq(fwrite(text, 1, n, file), n);
	fclose(file);
}

static struct outcome read_file_text(const char *text, size_t n)
{
	char path[] = "/tmp/test_config.XXXXXX";
	struct outcome o;

	write_file(path, text, n);
	o = READ("--config", path);
	unlink(path);
	return o;
}

#define READ_FILE(text) read_file_text(text, strlen(text))

/* Fails unless exactly one line was said, with both parts in it. */
static void expect_fault(struct outcome o, const char *part, const char *other)
{
	cr_expect_eq(o.result, CONFIG_EXIT_USAGE, "accepted, but should say %s", part);
	cr_expect_eq(o.out_len, 0);
	cr_expect(strncmp(o.err, "ssecastd: ", 10) == 0, "got: %s", o.err);
	cr_expect(o.err_len && strchr(o.err, '\n') == o.err + o.err_len - 1, "lines: %s", o.err);
	cr_expect(strstr(o.err, part), "no %s in: %s", part, o.err);
	cr_expect(strstr(o.err, other), "no %s in: %s", other, o.err);
	outcome_done(&o);
}

static void expect_run(struct outcome o)
{
	cr_expect_eq(o.result, CONFIG_RUN, "refused: %s", o.err);
	cr_expect_eq(o.err_len, 0);
	outcome_done(&o);
}

/* A valid value that is not the default. */
static const char *other_value(const struct option *option)
{
	switch (option->kind) {
	case VALUE_BYTES: return "65537K";
	case VALUE_MS: return "1234ms";
	case VALUE_COUNT: return "77";
	case VALUE_TEXT: return option->check == http_is_token ? "name" : "a \"quoted\" text";
	case VALUE_LIST:
		if (strcmp(option->name, "unconfined") == 0)
			return "files";
		if (strcmp(option->name, "trusted-proxy") == 0)
			return "10.0.0.0/8";
		return strcmp(option->metavar, "ADDR") == 0 ? "unix:/tmp/some where"
							    : "https://example.org";
	case VALUE_BOOL: return option->words[1];
	case VALUE_WORD: return strcmp(option->name, "stdin") == 0 ? "ndjson" : option->words[4];
	case VALUE_ANSWER: break;
	}
	return NULL;
}

Test(config, table_is_whole)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &option_table[i];

		cr_assert(option->name, "row %zu is empty", i);
		cr_expect_eq(option_find(str_of(option->name)), option, "%s", option->name);
		cr_expect(option->help, "%s", option->name);
		if (option->kind == VALUE_TEXT || option->kind == VALUE_LIST)
			cr_expect(option->expect && option->max, "%s", option->name);
		if (option->kind <= VALUE_COUNT)
			cr_expect(option->initial && option->max > option->min, "%s", option->name);
	}
	cr_expect(option_table[0].group);
}

/* Also that no two rows share a field: each change must leave all the others alone. */
Test(config, each_option_by_argument_and_by_file)
{
	struct config defaults;

	config_init(&defaults);
	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &option_table[i];
		const char *value = other_value(option);
		char argument[200], line[200];
		struct outcome o[3];

		if (option->argv_only)
			continue;
		snprintf(argument, sizeof(argument), "--%s=%s", option->name, value);
		snprintf(line, sizeof(line), "%s \"%s\"\n", option->name, value);
		o[0] = READ(argument);
		o[1] = READ_FILE(line);
		argument[strcspn(argument, "=")] = '\0';
		o[2] = option->metavar ? READ(argument, value) : READ(argument);
		for (int k = 0; k < 3; k++) {
			cr_expect_eq(o[k].result, CONFIG_RUN, "%s: %s", option->name, o[k].err);
			cr_expect(value_equal(option, &o[k].config, &o[0].config), "%s", line);
			for (size_t j = 0; j < option_count; j++) {
				bool same = value_equal(&option_table[j], &o[k].config, &defaults);
				bool is_config = strcmp(option_table[j].name, "config") == 0;

				cr_expect_eq(same, j != i && !(is_config && k == 1),
					     "%s changes %s", line, option_table[j].name);
			}
		}
		for (int k = 0; k < 3; k++)
			outcome_done(&o[k]);
	}
	config_done(&defaults);
}

Test(config, defaults)
{
	struct outcome o = READ(NULL);

	cr_expect_eq(o.result, CONFIG_RUN);
	cr_expect_eq(o.config.listen.count, 1);
	cr_expect_str_eq(o.config.listen.items[0], "127.0.0.1:3000");
	cr_expect_eq(o.config.control.count, 0);
	cr_expect_str_eq(o.config.cors_origin.items[0], "*");
	cr_expect_null(o.config.root);
	cr_expect_str_eq(o.config.welcome, "welcome to server sent event");
	cr_expect_eq(o.config.retry_ms, 3000);
	cr_expect_eq(o.config.heartbeat_ms, 15000);
	cr_expect_eq(o.config.tick_interval_ms, 5000);
	cr_expect_str_eq(o.config.tick_topic, "broadcast");
	cr_expect_str_eq(o.config.tick_format, "Server time is %Y-%m-%d %H:%M:%S %Z");
	cr_expect_eq(o.config.ring_bytes, 64u << 20);
	cr_expect_eq(o.config.body_bytes_max, 1u << 20);
	cr_expect_eq(o.config.stdin_format, CONFIG_STDIN_OFF);
	cr_expect_not(o.config.stdin_eof_exits);
	cr_expect_not(o.config.access_log);
	cr_expect_eq(o.config.log_level, 6);
	cr_expect_eq(o.config.idle_timeout_ms, 60000);
	cr_expect_eq(o.config.drain_ms, 5000);
	outcome_done(&o);
}

Test(config, argument_wins_over_file)
{
	char path[] = "/tmp/test_config.XXXXXX";
	const char *text = "heartbeat 1s\nretry 2s\nlisten 1\nlisten 2\ncontrol 3\n";
	struct outcome o;

	write_file(path, text, strlen(text));
	o = READ("--retry=7s", "--listen", "8", "--config", path, "--listen=9");
	cr_expect_eq(o.result, CONFIG_RUN, "%s", o.err);
	cr_expect_eq(o.config.heartbeat_ms, 1000);
	cr_expect_eq(o.config.retry_ms, 7000);
	cr_assert_eq(o.config.listen.count, 2);
	cr_expect_str_eq(o.config.listen.items[0], "8");
	cr_expect_str_eq(o.config.listen.items[1], "9");
	cr_assert_eq(o.config.control.count, 1);
	cr_expect_str_eq(o.config.control.items[0], "3");
	cr_expect_str_eq(o.config.config_file, path);
	outcome_done(&o);
	/* A fault in the file counts, even where an argument overrides the value. */
	write_file(path, "retry 2\n", 8);
	expect_fault(READ("--retry=7s", "--config", path), ":1: retry", "\"2\"");
	unlink(path);
}

Test(config, lists)
{
	enum { TOO_MANY = VALUE_LIST_MAX + 1 };
	char text[16 * TOO_MANY];
	size_t n = 0;
	struct outcome o = READ("--cors-origin", "");

	cr_expect_eq(o.result, CONFIG_RUN);
	cr_expect_eq(o.config.cors_origin.count, 0);
	outcome_done(&o);
	for (int i = 0; i < VALUE_LIST_MAX; i++)
		n += (size_t)sprintf(text + n, "listen %d\n", i);
	o = read_file_text(text, n);
	cr_expect_eq(o.result, CONFIG_RUN, "%s", o.err);
	cr_expect_eq(o.config.listen.count, VALUE_LIST_MAX);
	outcome_done(&o);
	n += (size_t)sprintf(text + n, "listen 64\n");
	expect_fault(read_file_text(text, n), ":65: listen", "64");
}

Test(config, faults_on_the_command_line)
{
	expect_fault(READ("--nonsense"), "\"--nonsense\"", "--help");
	expect_fault(READ("--heartbea", "5s"), "\"--heartbea\"", "--help");
	expect_fault(READ("--nonsense=5s"), "\"--nonsense\"", "--help");
	expect_fault(READ("-h"), "\"-h\"", "--help");
	expect_fault(READ("--"), "\"--\"", "--help");
	expect_fault(READ("3000"), "argument", "\"3000\"");
	expect_fault(READ(""), "argument", "\"\"");
	expect_fault(READ("--retry"), "--retry", "needs a value");
	expect_fault(READ("--retry="), "--retry", "\"\"");
	expect_fault(READ("--help=me"), "--help", "no value");
	expect_fault(READ("--access-log=maybe"), "--access-log", "off, on");
	expect_fault(READ("--access-log", "off"), "argument", "\"off\"");
	expect_fault(READ("--log-level", "loud"), "\"loud\"", "error, warning, info, debug");
	expect_fault(READ("--stdin", "LINES"), "\"LINES\"", "lines");
	expect_fault(READ("--config", "/no/such/file"), "/no/such/file", "No such file");
	expect_fault(READ("--config", "/tmp"), "/tmp", "directory");
	expect_fault(READ("--retry", "5\n6"), "--retry", "5\\x0a6");
}

Test(config, faults_of_values)
{
	expect_fault(READ("--heartbeat", "15"), "--heartbeat: \"15\"", "with its unit: ms, s, m");
	expect_fault(READ("--heartbeat", "8761h"), "\"8761h\"", "to 8760h");
	expect_fault(READ("--heartbeat", "-1s"), "\"-1s\"", "unit");
	expect_fault(READ("--idle-timeout", "0"), "\"0\"", "from 1ms");
	expect_fault(READ("--ring-bytes", "65535"), "\"65535\"", "from 64K to 1024G");
	expect_fault(READ("--ring-bytes", "1025G"), "\"1025G\"", "from 64K to 1024G");
	expect_fault(READ("--max-clients", "0"), "\"0\"", "from 1 to 10000000");
	expect_fault(READ("--max-clients", "1K"), "\"1K\"", "a number");
	expect_fault(READ("--listen", ""), "--listen: \"\"", "[v6]:port");
	expect_fault(READ("--tick-topic", ""), "--tick-topic: \"\"", "256 bytes");
	expect_fault(READ("--tick-topic", "a\tb"), "--tick-topic: \"a\\x09b\"", "control");
	expect_fault(READ("--tick-topic", "\xff"), "--tick-topic: \"\\xff\"", "UTF-8");
	expect_fault(READ("--tick-format", ""), "--tick-format: \"\"", "strftime");
	expect_fault(READ("--welcome", "\xc3"), "--welcome", "UTF-8");
	expect_fault(READ("--cors-origin", "example.org"), "example.org", "https://");
	expect_fault(READ("--cors-origin", "https://a/"), "https://a/", "such as");
	expect_fault(READ("--cors-origin", "https://a, https://b"), "--cors-origin", "such as");
	expect_fault(READ("--cors-origin", "https://"), "--cors-origin", "such as");
	expect_fault(READ("--cors-origin", "://a"), "--cors-origin", "such as");
	expect_run(READ("--heartbeat", "0", "--heartbeat", "8760h"));
	expect_run(READ("--ring-bytes=64K", "--ring-bytes=1024G", "--max-clients=1"));
	expect_run(READ("--cors-origin", "null", "--cors-origin", "http://[::1]:80"));
	expect_run(READ("--welcome", "", "--tick-interval", "1ms"));
}

Test(config, long_values)
{
	char argument[1100] = "--welcome=";
	struct outcome o;

	memset(argument + 10, 'w', 1024);
	expect_run(READ(argument));
	argument[10 + 1024] = 'w';
	o = READ(argument);
	cr_expect(o.err_len < 250, "a value is shortened where it is quoted: %s", o.err);
	outcome_done(&o);
	expect_fault(READ(argument), "www...\"", "1024 bytes");
	/* 256 bytes are a topic. */
	memcpy(argument, "--tick-topic=", 13);
	argument[13 + 256] = '\0';
	expect_run(READ(argument));
	argument[13 + 256] = 'w';
	argument[13 + 257] = '\0';
	expect_fault(READ(argument), "--tick-topic", "256 bytes");
}

Test(config, file_syntax)
{
	struct outcome o = READ_FILE("# a comment\n\n \t\n  # another\nretry\t 4s  \r\n"
				     "welcome \"  kept  \"\ntick-format \"say \"hi\"\"\n"
				     "tick-topic a # b\naccess-log on\nheartbeat 2s");

	cr_expect_eq(o.result, CONFIG_RUN, "%s", o.err);
	cr_expect_eq(o.config.retry_ms, 4000);
	cr_expect_str_eq(o.config.welcome, "  kept  ");
	cr_expect_str_eq(o.config.tick_format, "say \"hi\"");
	cr_expect_str_eq(o.config.tick_topic, "a # b");
	cr_expect(o.config.access_log);
	cr_expect_eq(o.config.heartbeat_ms, 2000);
	outcome_done(&o);
	expect_run(READ_FILE(""));
	o = READ_FILE("welcome \"\"\n");
	cr_expect_eq(o.result, CONFIG_RUN);
	cr_expect_str_eq(o.config.welcome, "");
	outcome_done(&o);
}

Test(config, faults_in_a_file)
{
	expect_fault(READ_FILE("\n# x\nnonsense 5\n"), ":3: unknown option", "\"nonsense\"");
	expect_fault(READ_FILE("--retry 5s\n"), ":1: unknown option", "\"--retry\"");
	expect_fault(READ_FILE("retry 1s\n\nretry 2s\n"), ":3: retry", "second");
	expect_fault(READ_FILE("retry 1s\nheartbeat 5\n"), ":2: heartbeat: \"5\"", "unit");
	expect_fault(READ_FILE("retry\n"), ":1: retry", "needs a value");
	expect_fault(READ_FILE("access-log\n"), ":1: access-log", "off, on");
	expect_fault(READ_FILE("welcome \"hello\n"), ":1: welcome", "quote");
	expect_fault(READ_FILE("welcome \"\n"), ":1: welcome", "quote");
	expect_fault(READ_FILE("config other\n"), ":1: config", "command line");
	expect_fault(READ_FILE("help\n"), ":1: help", "command line");
	expect_fault(read_file_text("retry 1s\nwelcome a\0b\n", 21), ":2: ", "NUL");
}

Test(config, file_size)
{
	char *text = malloc(CONFIG_FILE_MAX + 1);

	memset(text, '\n', CONFIG_FILE_MAX + 1);
	expect_run(read_file_text(text, CONFIG_FILE_MAX));
	expect_fault(read_file_text(text, CONFIG_FILE_MAX + 1), "test_config.", "65536 bytes");
	free(text);
}

Test(config, answers)
{
	struct outcome o = READ("--version");

	cr_expect_eq(o.result, CONFIG_EXIT_OK);
	cr_expect_str_eq(o.out, "ssecastd " SSECAST_VERSION "\n");
	outcome_done(&o);
	expect_run(READ("--check-config"));
	expect_fault(READ("--check-config", "--retry=5"), "--retry", "\"5\"");
}

Test(config, help_has_every_option_on_80_columns)
{
	struct outcome o = READ("--help");
	struct str rest = { o.out, o.out_len }, line;
	int lines = 0;

	cr_expect_eq(o.result, CONFIG_EXIT_OK);
	for (; str_cut(&rest, '\n', &line); lines++)
		cr_expect(line.n <= 80, "%.*s", STR_ARG(line));
	cr_expect(lines <= 70, "%d lines", lines);
	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &option_table[i];
		char start[64];
		const char *at;

		snprintf(start, sizeof(start), "\n  --%s ", option->name);
		at = strstr(o.out, start);
		cr_assert_eq(!at, option->is_internal, "%s", option->name);
		if (!at)
			continue;
		rest = str_of(at + 1);
		str_cut(&rest, '\n', &line);
		if (!memmem(line.p, line.n, option->help, strlen(option->help)))
			str_cut(&rest, '\n', &line);
		cr_expect(memmem(line.p, line.n, option->help, strlen(option->help)));
		if (option->metavar && option->initial)
			cr_expect(memmem(line.p, line.n, option->initial, strlen(option->initial)),
				  "no default: %.*s", STR_ARG(line));
	}
	outcome_done(&o);
}

Test(config, reload_takes_over_what_it_can)
{
	char path[] = "/tmp/test_config.XXXXXX";
	char *argv[] = { (char *)"ssecastd", (char *)"--config", path, (char *)"--retry=9s" };
	const char *before = "heartbeat 1s\nlisten 1\nroot /a\nretry 1s\n";
	const char *after = "heartbeat 2s\nlisten 2\nroot /a\nretry 2s\nwelcome new\n"
			    "cors-origin http://a\nring-bytes 1M\n";
	struct config config;
	struct buf kept;

	buf_init(&kept, 4096);
	write_file(path, before, strlen(before));
	cr_assert_eq(config_init(&config), 0);
	cr_assert_eq(config_read(&config, 4, argv, stdout, stderr), CONFIG_RUN);
	write_file(path, after, strlen(after));
	cr_assert_eq(config_reload(&config, 4, argv, &kept), 0);
	cr_expect_eq(config.heartbeat_ms, 2000);
	cr_expect_eq(config.retry_ms, 9000);
	cr_expect_str_eq(config.welcome, "new");
	cr_expect_str_eq(config.cors_origin.items[0], "http://a");
	cr_expect_str_eq(config.listen.items[0], "1");
	cr_expect_str_eq(config.root, "/a");
	cr_expect_eq(config.ring_bytes, 64u << 20);
	cr_expect(str_eq(buf_str(&kept), STR("listen: the new value needs a restart\n"
					     "ring-bytes: the new value needs a restart\n")),
		  "%.*s", STR_ARG(buf_str(&kept)));
	buf_clear(&kept);
	write_file(path, "heartbeat 3s\nretry 2\n", 21);
	cr_expect_eq(config_reload(&config, 4, argv, &kept), -EINVAL);
	cr_expect_eq(config.heartbeat_ms, 2000, "nothing of a faulty file counts");
	cr_expect(kept.n && memmem(kept.p, kept.n, ":2: retry: \"2\"", 14));
	buf_done(&kept);
	config_done(&config);
	unlink(path);
}

/* The lists of the brief: what must, and what cannot, change while running. */
Test(config, what_can_change_while_running)
{
	static const char *const fixed[] = { "listen",      "control",    "root", "ring-bytes",
					     "max-clients", "max-topics", "stdin" };
	static const char *const live[] = { "retry",         "heartbeat",    "welcome",
					    "tick-interval", "tick-topic",   "tick-format",
					    "cors-origin",   "head-timeout", "stall-timeout",
					    "lag-max",       "max-body",     "max-clients-per-ip",
					    "access-log",    "log-level",    "drain",
					    "drain-retry" };

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		cr_expect(option_find(str_of(fixed[i]))->at_start, "%s", fixed[i]);
	for (size_t i = 0; i < sizeof(live) / sizeof(live[0]); i++)
		cr_expect_not(option_find(str_of(live[i]))->at_start, "%s", live[i]);
}

static int parse(int (*parser)(struct str, uint64_t *), const char *text, uint64_t *value)
{
	*value = 0;
	return parser(str_of(text), value);
}

Test(config, times_and_sizes)
{
	static const char *const bad[] = { "",   "s",   "1d",   "1 s", "1S",   "1.5s",
					   "+1", "1sm", "1sms", "ms",  "0x1s", "5KB" };
	uint64_t v;

	cr_expect(parse(value_parse_ms, "1500ms", &v) == 0 && v == 1500);
	cr_expect(parse(value_parse_ms, "5s", &v) == 0 && v == 5000);
	cr_expect(parse(value_parse_ms, "2m", &v) == 0 && v == 120000);
	cr_expect(parse(value_parse_ms, "1h", &v) == 0 && v == 3600000);
	cr_expect(parse(value_parse_ms, "0", &v) == 0 && v == 0);
	cr_expect_eq(parse(value_parse_ms, "1", &v), -EINVAL);
	cr_expect_eq(parse(value_parse_ms, "00", &v), -EINVAL);
	cr_expect_eq(parse(value_parse_ms, "18446744073709551615s", &v), -ERANGE);
	cr_expect(parse(value_parse_bytes, "7", &v) == 0 && v == 7);
	cr_expect(parse(value_parse_bytes, "2K", &v) == 0 && v == 2048);
	cr_expect(parse(value_parse_bytes, "64M", &v) == 0 && v == 64u << 20);
	cr_expect(parse(value_parse_bytes, "3G", &v) == 0 && v == 3ull << 30);
	cr_expect(parse(value_parse_bytes, "17179869183G", &v) == 0 && v == -1ull << 30);
	cr_expect_eq(parse(value_parse_bytes, "17179869184G", &v), -ERANGE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_expect_eq(parse(value_parse_ms, bad[i], &v), -EINVAL, "%s", bad[i]);
		cr_expect_eq(parse(value_parse_bytes, bad[i], &v), -EINVAL, "%s", bad[i]);
	}
}

/* Bytes from an item's first to its last: the next item or the end of the list follows. */
static size_t item_length(const char *item)
{
	const char *next = strstr(item, "\n.It "), *end = strstr(item, "\n.El");

	cr_assert(end);
	return (size_t)((next && next < end ? next : end) + 1 - item);
}

/* Both ways: each option has an item that tells its default and whether it needs a restart, and
 * each item is an option. */
Test(config, man_page_says_what_the_table_says)
{
	FILE *file = fopen(SRCDIR "/docs/ssecastd.8", "r");
	static char page[65536];
	size_t items = 0;

	cr_assert(file);
	page[fread(page, 1, sizeof(page) - 1, file)] = '\0';
	fclose(file);
	for (const char *at = page; (at = strstr(at, "\n.It Fl -")); at++)
		items++;
	cr_expect_eq(items, option_count);
	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &option_table[i];
		char start[64], said[96];
		const char *at;
		char *item;

		snprintf(start, sizeof(start), "\n.It Fl -%s%s", option->name,
			 option->metavar ? " Ar " : "");
		at = strstr(page, start);
		cr_assert(at, "no item for %s", option->name);
		item = strndup(at + 1, item_length(at + 1));
		if (option->metavar && option->initial) {
			snprintf(said, sizeof(said), "The default is\n.Ql %s .\n", option->initial);
			cr_expect(strstr(item, said), "%s: no default", option->name);
		}
		cr_expect_eq(strstr(item, "\n.Pq restart") != NULL,
			     option->at_start && !option->argv_only, "%s: restart?", option->name);
		free(item);
	}
}
