/*
 * config: the ways to set options: defaults, file, command line. See config.h; options.h has the
 * table, value.h the values.
 *
 * Everything is read into one struct, in that order, and each source begins a list anew. The
 * command line is read twice: first to answer --help and to learn of --config, then again on top of
 * what the file has set. Each function that finds a fault adds one sentence to `why`, once.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "options.h"
#include "version.h"

enum {
	REASON_MAX = 8192, /* bytes of a sentence about what is wrong */
	SHOWN_MAX = 100,   /* bytes of a value, where it is quoted */
};

int config_init(struct config *config)
{
	int err = 0;

	*config = (struct config){ 0 };
	for (size_t i = 0; i < option_count && !err; i++)
		if (option_table[i].initial)
			err = value_set(&option_table[i], config, str_of(option_table[i].initial));
	assert(err == 0 || err == -ENOMEM);
	return err;
}

void config_done(struct config *config)
{
	for (size_t i = 0; config && i < option_count; i++)
		value_clear(&option_table[i], config);
}

/* One source of settings, the command line or a file, while it is read. */
struct reader {
	struct config *config;
	struct buf *why;  /* gets the sentence when something is wrong */
	const char *file; /* NULL: the command line */
	size_t line;
	bool given[OPTIONS_MAX];
};

/* Begins the sentence, with where we are. Returns -EINVAL, for the caller to return. */
__attribute__((format(printf, 2, 3))) static int fail(struct reader *reader, const char *format,
						      ...)
{
	va_list args;

	if (reader->file)
		buf_addf(reader->why, "%s:", reader->file);
	if (reader->line)
		buf_addf(reader->why, "%zu:", reader->line);
	if (reader->file)
		buf_add_char(reader->why, ' ');
	va_start(args, format);
	buf_addv(reader->why, format, args);
	va_end(args);
	return -EINVAL;
}

/* "text", shortened. */
static void add_quoted(struct buf *out, struct str text)
{
	bool cut = text.n > SHOWN_MAX;

	if (cut)
		text.n = SHOWN_MAX;
	buf_addf(out, "\"%.*s%s\"", STR_ARG(text), cut ? "..." : "");
}

static int fail_value(struct reader *reader, const struct option *option, struct str text, int err)
{
	if (err == -ENOMEM)
		return err;
	fail(reader, "%s%s: ", reader->file ? "" : "--", option->name);
	if (err == -E2BIG) {
		buf_addf(reader->why, "more than %d values", VALUE_LIST_MAX);
		return -EINVAL;
	}
	add_quoted(reader->why, text);
	buf_add(reader->why, STR(" should be "));
	value_expect(option, reader->why);
	return -EINVAL;
}

static int fail_name(struct reader *reader, struct str name)
{
	fail(reader, "unknown option ");
	add_quoted(reader->why, name);
	buf_add(reader->why, STR("; see ssecastd --help"));
	return -EINVAL;
}

static int set_option(struct reader *reader, const struct option *option, struct str text)
{
	bool *given = &reader->given[option - option_table];
	int err;

	if (option->kind == VALUE_LIST && !*given)
		value_clear(option, reader->config);
	*given = true;
	err = value_set(option, reader->config, text);
	return err ? fail_value(reader, option, text, err) : 0;
}

/* What reading the command line can end in, besides 0 and errors. */
enum answer { ANSWER_HELP = 1, ANSWER_VERSION };

/* The option at argv[*i], and its value if that is an argument of its own. */
static int read_argument(struct reader *reader, int argc, char **argv, int *i)
{
	struct str whole = str_of(argv[*i]), rest = str_from(whole, 2), name;
	const struct option *option;

	if (!str_starts(whole, STR("-"))) {
		fail(reader, "unexpected argument ");
		add_quoted(reader->why, whole);
		return -EINVAL;
	}
	if (!str_starts(whole, STR("--")))
		return fail_name(reader, whole);
	str_cut(&rest, '=', &name);
	option = option_find(name);
	if (!option)
		return fail_name(reader, (struct str){ whole.p, name.n + 2 });
	if (option->kind == VALUE_ANSWER) {
		if (rest.p)
			return fail(reader, "--%s takes no value", option->name);
		return str_eq(name, STR("help")) ? ANSWER_HELP : ANSWER_VERSION;
	}
	if (!rest.p && !option->metavar)
		rest = STR("on");
	if (!rest.p && ++*i < argc)
		rest = str_of(argv[*i]);
	if (!rest.p) {
		fail(reader, "--%s needs a value: ", option->name);
		value_expect(option, reader->why);
		return -EINVAL;
	}
	return set_option(reader, option, rest);
}

static int read_argv(struct config *config, int argc, char **argv, struct buf *why)
{
	struct reader reader = { .config = config, .why = why };
	int result = 0;

	for (int i = 1; i < argc && result == 0; i++)
		result = read_argument(&reader, argc, argv, &i);
	return result;
}

/* Takes a value out of its quotes, if it has some. False: one is missing. */
static bool unquote(struct str *value)
{
	if (!str_starts(*value, STR("\"")))
		return true;
	if (value->n < 2 || value->p[value->n - 1] != '"')
		return false;
	*value = (struct str){ value->p + 1, value->n - 2 };
	return true;
}

static int read_line(struct reader *reader, struct str line)
{
	size_t end = 0;
	struct str name, value;
	const struct option *option;

	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	line = str_trim(line);
	if (line.n == 0 || line.p[0] == '#')
		return 0;
	if (str_find(line, '\0') < line.n)
		return fail(reader, "a NUL byte; this is no text file");
	while (end < line.n && line.p[end] != ' ' && line.p[end] != '\t')
		end++;
	name = (struct str){ line.p, end };
	value = str_trim(str_from(line, end));
	option = option_find(name);
	if (!option)
		return fail_name(reader, name);
	if (option->argv_only)
		return fail(reader, "%s belongs on the command line", option->name);
	if (option->kind != VALUE_LIST && reader->given[option - option_table])
		return fail(reader, "%s is set a second time", option->name);
	if (value.n == 0) {
		fail(reader, "%s needs a value: ", option->name);
		value_expect(option, reader->why);
		return -EINVAL;
	}
	if (!unquote(&value))
		return fail(reader, "%s: the closing quote is missing", option->name);
	return set_option(reader, option, value);
}

/* The whole file into text, which has room for one byte more than it may have. */
static int load_file(struct reader *reader, char text[CONFIG_FILE_MAX + 1], size_t *len)
{
	FILE *file = fopen(reader->file, "re");
	int err;

	if (!file)
		return fail(reader, "cannot open: %s", strerror(errno));
	errno = 0;
	*len = fread(text, 1, CONFIG_FILE_MAX + 1, file);
	err = ferror(file) ? errno : 0;
	fclose(file);
	if (err)
		return fail(reader, "cannot read: %s", strerror(err));
	if (*len > CONFIG_FILE_MAX)
		return fail(reader, "larger than %d bytes", CONFIG_FILE_MAX);
	return 0;
}

static int read_file(struct config *config, const char *path, struct buf *why)
{
	struct reader reader = { .config = config, .why = why, .file = path };
	char text[CONFIG_FILE_MAX + 1];
	struct str rest = { text, 0 }, line;
	int err = load_file(&reader, text, &rest.n);

	while (err == 0 && str_cut(&rest, '\n', &line)) {
		reader.line++;
		err = read_line(&reader, line);
	}
	return err;
}

/* 0, an enum answer, -EINVAL with the sentence in why, or -ENOMEM. */
static int read_all(struct config *config, int argc, char **argv, struct buf *why)
{
	int result = read_argv(config, argc, argv, why);
	char *path = config->config_file;

	if (result || !path)
		return result;
	config->config_file = NULL; /* ours, so that it outlives the fresh start */
	config_done(config);
	result = config_init(config);
	if (result == 0)
		result = read_file(config, path, why);
	if (result == 0)
		result = read_argv(config, argc, argv, why);
	free(path);
	return result;
}

static void print_reason(FILE *err, struct str why)
{
	char line[4 * REASON_MAX];
	size_t n = log_escape(line, sizeof(line), why);

	fprintf(err, "ssecastd: %.*s\n", (int)n, line);
}

enum config_result config_read(struct config *config, int argc, char **argv, FILE *out, FILE *err)
{
	struct buf why;
	int result;

	buf_init(&why, REASON_MAX);
	result = read_all(config, argc, argv, &why);
	if (result < 0)
		print_reason(err, result == -ENOMEM ? STR("out of memory") : buf_str(&why));
	buf_done(&why);
	if (result < 0)
		return CONFIG_EXIT_USAGE;
	if (result == ANSWER_HELP)
		options_print_help(out);
	else if (result == ANSWER_VERSION)
		fputs("ssecastd " SSECAST_VERSION "\n", out);
	else
		return CONFIG_RUN;
	return CONFIG_EXIT_OK;
}

int config_reload(struct config *config, int argc, char **argv, struct buf *kept)
{
	struct config fresh;
	int err = config_init(&fresh);

	if (err == 0)
		err = read_all(&fresh, argc, argv, kept);
	assert(err <= 0); /* who asked for an answer got it at the start */
	for (size_t i = 0; err == 0 && i < option_count; i++) {
		const struct option *option = &option_table[i];

		if (value_equal(option, config, &fresh))
			continue;
		if (option->at_start)
			buf_addf(kept, "%s: the new value needs a restart\n", option->name);
		else
			value_swap(option, config, &fresh);
	}
	config_done(&fresh);
	return err;
}
