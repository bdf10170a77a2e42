/*
 * cli: see cli.h. One row for each option.
 */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "payload.h"

enum kind { KIND_COUNT, KIND_LONG, KIND_REAL, KIND_URL, KIND_HEADER, KIND_TEXT, KIND_FLAG };

struct row {
	const char *name;
	enum kind kind;
	size_t offset;
	double min, max;
	const char *metavar, *help;
};

#define FIELD(field) offsetof(struct options, field)

/* Set by hand, to be read as a table. */
/* clang-format off */
static const struct row rows[] = {
	{ "-n", KIND_COUNT, FIELD(count), 1, 1e7, "N", "connections [1000]" },
	{ "--processes", KIND_COUNT, FIELD(workers), 1, WORKERS_MAX, "N", "that share them, where descriptors run out [1]" },
	{ "--concurrency", KIND_COUNT, FIELD(concurrency), 1, 1e6, "N", "connections being opened at a time [128]" },
	{ "--header", KIND_HEADER, FIELD(headers), 0, 0, "LINE", "of each request for a stream; repeatable" },
	{ "--publish", KIND_URL, FIELD(publish), 0, 0, "URL", "where events are POSTed; {} = to each reader in turn" },
	{ "--publishers", KIND_COUNT, FIELD(publishers), 1, PUBLISHERS_MAX, "N", "connections that publish [1]" },
	{ "--rate", KIND_REAL, FIELD(rate), 0, 1e9, "N", "events a second; 0 = as fast as it goes [0]" },
	{ "--size", KIND_COUNT, FIELD(size), PAYLOAD_MIN, PAYLOAD_MAX, "BYTES", "of an event's data [200]" },
	{ "--burst", KIND_COUNT, FIELD(burst), 1, 1e5, "N", "events published in one write [1]" },
	{ "--in-flight", KIND_COUNT, FIELD(in_flight), 1, 1e6, "N", "publishes unanswered at most [1]" },
	{ "--window", KIND_COUNT, FIELD(window), 0, 1e9, "N", "events under way to readers at most; 0 = any [64]" },
	{ "--events", KIND_LONG, FIELD(events), 0, 4e9, "N", "to publish; 0 = for the duration [0]" },
	{ "--duration", KIND_REAL, FIELD(seconds), 0, 1e6, "SECONDS", "to publish [5]" },
	{ "--idle", KIND_REAL, FIELD(idle_seconds), 0, 1e6, "SECONDS", "between connecting and publishing [0.2]" },
	{ "--replay", KIND_LONG, FIELD(replay), 1, 4e9, "N", "all leave, N events, all come back and catch up" },
	{ "--slow-fraction", KIND_REAL, FIELD(slow_fraction), 0, 1, "PART", "of the readers that are slow [0]" },
	{ "--slow-rate", KIND_LONG, FIELD(slow_rate), 0, 1e12, "BYTES", "a second that they read; 0 = never [0]" },
	{ "--churn-per-second", KIND_COUNT, FIELD(churn), 0, 1e6, "N", "readers that leave and resume [0]" },
	{ "--server-pid", KIND_COUNT, FIELD(server_pid), 1, 1e9, "PID", "whose CPU time and memory are reported" },
	{ "--json", KIND_FLAG, FIELD(json), 0, 0, NULL, "print one object" },
	{ "--svg", KIND_TEXT, FIELD(svg), 0, 0, "FILE", "plot the latency" },
	{ "--quiet", KIND_FLAG, FIELD(quiet), 0, 0, NULL, "no progress line" },
};
/* clang-format on */

enum { ROWS = sizeof(rows) / sizeof(rows[0]), DESCRIPTORS_SPARE = 64 };

static void print_help(void)
{
	printf("Usage: ssebench URL [OPTION]...\n"
	       "Loads a server of Server-Sent Events, and verifies every event of every stream.\n"
	       "URL is http://host:port/path or redis://host:port/channel; {} in it stands for the\n"
	       "connection's number.\n\n");
	for (size_t i = 0; i < ROWS; i++)
		printf("  %-18s %-8s %s\n", rows[i].name, rows[i].metavar ? rows[i].metavar : "",
		       rows[i].help);
}

static const char *set_header(struct options *options, const char *value)
{
	size_t n = strlen(options->headers), more = strlen(value);
	char *grown = realloc(options->headers, n + more + 3);

	if (!grown || n + more + 3 > HEADERS_MAX)
		return "the header lines are too long";
	memcpy(grown + n, value, more);
	memcpy(grown + n + more, "\r\n", 3);
	options->headers = grown;
	return NULL;
}

static const char *set_number(const struct row *row, void *field, const char *value)
{
	char *end;
	double number = strtod(value, &end);

	if (end == value || *end)
		return "that is no number";
	if (!(number >= row->min && number <= row->max))
		return "that number is out of range";
	if (row->kind == KIND_REAL)
		*(double *)field = number;
	else if (row->kind == KIND_LONG)
		*(uint64_t *)field = (uint64_t)number;
	else
		*(uint32_t *)field = (uint32_t)number;
	return NULL;
}

/* NULL, or what is wrong with the value. */
static const char *set(struct options *options, const struct row *row, const char *value)
{
	void *field = (char *)options + row->offset;

	switch (row->kind) {
	case KIND_HEADER: return set_header(options, value);
	case KIND_TEXT: *(const char **)field = value; return NULL;
	case KIND_FLAG: *(bool *)field = true; return NULL;
	case KIND_URL: options->publishes = true; return target_parse(value, field);
	case KIND_COUNT:
	case KIND_LONG:
	case KIND_REAL: break;
	}
	return set_number(row, field, value);
}

static const struct row *row_find(const char *name)
{
	for (size_t i = 0; i < ROWS; i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

static int complain(const char *name, const char *wrong)
{
	fprintf(stderr, "ssebench: %s: %s\n", name, wrong);
	return 2;
}

/* What does not go together. */
static int check(struct options *options)
{
	struct rlimit files;

	if (!options->url)
		return complain("URL", "is missing; --help lists what there is");
	if (options->burst > options->in_flight)
		options->in_flight = options->burst;
	if (options->window && options->window < options->burst)
		options->window = options->burst;
	if (options->replay && !options->publishes)
		return complain("--replay", "needs --publish");
	if (target_is_numbered(&options->publish) && options->publishers > 1)
		return complain("--publishers", "must be 1 with {} in --publish");
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (options->count / options->workers + DESCRIPTORS_SPARE > files.rlim_cur)
		return complain("-n", "more than a process may open: spread them by --processes");
	return 0;
}

int cli_read(struct options *options, int argc, char **argv)
{
	const char *wrong;

	*options = (struct options){ .headers = calloc(1, 1),
				     .count = 1000,
				     .workers = 1,
				     .concurrency = 128,
				     .size = 200,
				     .burst = 1,
				     .in_flight = 1,
				     .window = 64,
				     .publishers = 1,
				     .seconds = 5,
				     .idle_seconds = 0.2 };
	for (int i = 1; i < argc; i++) {
		const struct row *row = row_find(argv[i]);

		if (strcmp(argv[i], "--help") == 0) {
			print_help();
			return 1;
		}
		if (!row && argv[i][0] == '-')
			return complain(argv[i], "there is no such option");
		if (row && row->kind != KIND_FLAG && i + 1 == argc)
			return complain(argv[i], "needs a value");
		if (!row) {
			options->url = argv[i];
			wrong = target_parse(argv[i], &options->target);
		} else {
			wrong = set(options, row, row->kind == KIND_FLAG ? "" : argv[++i]);
		}
		if (wrong)
			return complain(argv[i], wrong);
	}
	return check(options);
}

void cli_done(struct options *options)
{
	free(options->headers);
	options->headers = NULL;
}
