/*
 * options: the table that --help, the command line and the file go by. See options.h.
 *
 * A row is data; what happens with it is in value.c and config.c. Rows stand in the order of
 * --help, and the first of a group has its heading.
 */
#include "options.h"

#include <string.h>

#include "httpvalue.h"
#include "ipnet.h"
#include "log.h"
#include "sock.h"
#include "sse.h"

enum {
	YEAR_HOURS = 365 * 24,
	HELP_COLUMN = 29, /* where --help explains */
	CLIENTS_MAX = 10000000,
	TOPICS_MAX = 100000000,
	PATH_BYTES_MAX = 4095,
	ADDRESS_BYTES_MAX = 511,
};

#define YEAR ((uint64_t)YEAR_HOURS * 3600 * 1000)
#define KIB  ((uint64_t)1 << 10)
#define GIB  ((uint64_t)1 << 30)

static bool is_address(struct str text)
{
	struct sock_address address;
	char copy[ADDRESS_BYTES_MAX + 1] = "";

	if (text.n > ADDRESS_BYTES_MAX)
		return false;
	memcpy(copy, text.p, text.n);
	return !sock_parse(copy, &address);
}

static bool is_topic(struct str text)
{
	struct event event = { .topics = &text, .topic_count = 1, .retry_ms = SSE_NO_RETRY };

	return !sse_check(&event);
}

/* What an Origin header can equal: `*`, `null`, or scheme://host[:port] without a path. */
static bool is_origin(struct str text)
{
	const char *scheme_end = memmem(text.p, text.n, "://", 3);
	struct str host;

	if (str_eq(text, STR("*")) || str_eq(text, STR("null")))
		return true;
	if (!scheme_end || scheme_end == text.p)
		return false;
	host = str_from(text, (size_t)(scheme_end + 3 - text.p));
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] <= ' ' || text.p[i] > '~' || text.p[i] == ',')
			return false;
	return host.n && str_find(host, '/') == host.n;
}

static bool is_wall(struct str text)
{
	return str_eq(text, STR("privileges")) || str_eq(text, STR("files")) ||
	       str_eq(text, STR("system-calls")) || str_eq(text, STR("all"));
}

static bool is_network(struct str text)
{
	struct ipnet net;

	return !ipnet_parse(text, &net);
}

/* Set by hand, to be read as a table. */
/* clang-format off */

/* Ways to fill a row: kind, field, limits. */
#define FIELD(field_) .offset = offsetof(struct config, field_)
#define SIZE(field_, min_) .kind = VALUE_BYTES, FIELD(field_), .min = (min_), .metavar = "SIZE"
#define COUNT(field_, min_) .kind = VALUE_COUNT, FIELD(field_), .min = (min_), .metavar = "N"
#define TIME(field_, min_) \
	.kind = VALUE_MS, FIELD(field_), .min = (min_), .max = YEAR, .metavar = "TIME"
#define TEXT(field_, min_, max_) .kind = VALUE_TEXT, FIELD(field_), .min = (min_), .max = (max_)
#define LIST(field_, min_, max_) .kind = VALUE_LIST, FIELD(field_), .min = (min_), .max = (max_)
#define FLAG(field_) \
	.kind = VALUE_BOOL, FIELD(field_), .words = { "off", "on" }, .initial = "off"

#define ADDRESS_EXPECTED "an address: port, host:port, [v6]:port or unix:path"

const struct option option_table[] = {
	{ .group = "Listening",
	  .name = "listen", LIST(listen, 1, ADDRESS_BYTES_MAX), .initial = "127.0.0.1:3000",
	  .check = is_address,
	  .expect = ADDRESS_EXPECTED, .metavar = "ADDR", .at_start = true,
	  .help = "serve everybody here; repeatable" },
	{ .name = "control", LIST(control, 0, ADDRESS_BYTES_MAX), .check = is_address,
	  .expect = ADDRESS_EXPECTED, .metavar = "ADDR", .at_start = true,
	  .help = "publish and measure here; repeatable" },
	{ .name = "root", TEXT(root, 1, PATH_BYTES_MAX),
	  .expect = "a folder", .metavar = "DIR", .at_start = true,
	  .help = "serve this folder, not the page inside" },
	{ .name = "cors-origin", LIST(cors_origin, 0, 1024), .initial = "*",
	  .check = is_origin, .expect = "* or an origin such as https://example.org",
	  .metavar = "ORIGIN", .help = "whose pages may read; repeatable" },
	{ .name = "trusted-proxy", LIST(trusted_proxy, 0, 64),
	  .check = is_network, .expect = "an address, a network such as 10.0.0.0/8, or unix",
	  .metavar = "NET", .help = "believe its X-Forwarded-For; repeatable" },
	{ .name = "public-stats", FLAG(public_stats),
	  .help = "let everybody subscribe to $stats" },

	{ .group = "Stream",
	  .name = "welcome", TEXT(welcome, 0, 1024), .initial = "welcome to server sent event",
	  .check = str_is_utf8, .expect = "UTF-8 text of at most 1024 bytes",
	  .metavar = "TEXT", .help = "first event" },
	{ .name = "retry", TIME(retry_ms, 0), .initial = "3s",
	  .help = "browsers reconnect after this time" },
	{ .name = "heartbeat", TIME(heartbeat_ms, 0), .initial = "15s",
	  .help = "comment after so much silence; 0 = none" },
	{ .name = "poll-timeout", TIME(poll_timeout_ms, 1), .initial = "25s",
	  .help = "?poll waits so long for events" },

	{ .group = "Ticks",
	  .name = "tick-interval", TIME(tick_interval_ms, 0), .initial = "5s",
	  .help = "between two ticks; 0 = off" },
	{ .name = "tick-topic", TEXT(tick_topic, 1, SSE_TOPIC_MAX), .initial = "broadcast",
	  .check = is_topic,
	  .expect = "a topic: 1 to 256 bytes of UTF-8 without control characters",
	  .metavar = "TOPIC", .help = "where they are published" },
	{ .name = "tick-format", TEXT(tick_format, 1, 256),
	  .initial = "Server time is %Y-%m-%d %H:%M:%S %Z",
	  .check = str_is_utf8, .expect = "a strftime format: 1 to 256 bytes of UTF-8",
	  .metavar = "FORMAT", .help = "strftime" },

	{ .group = "Publishing",
	  .name = "publish-token-file", TEXT(publish_token_file, 1, PATH_BYTES_MAX),
	  .expect = "a file", .metavar = "FILE", .help = "has the secret that lets one publish" },
	{ .name = "stdin", .kind = VALUE_WORD, FIELD(stdin_format), .initial = "off",
	  .words = { [CONFIG_STDIN_OFF] = "off", [CONFIG_STDIN_LINES] = "lines",
		     [CONFIG_STDIN_SSE] = "sse", [CONFIG_STDIN_NDJSON] = "ndjson" },
	  .metavar = "FORMAT", .at_start = true, .help = "publish input: lines, sse or ndjson" },
	{ .name = "stdin-eof", .kind = VALUE_BOOL, FIELD(stdin_eof_exits), .initial = "serve",
	  .words = { "serve", "exit" },
	  .metavar = "WORD", .at_start = true, .help = "at its end: serve on, or exit" },
	{ .name = "max-body", SIZE(body_bytes_max, 1), .max = GIB, .initial = "1M",
	  .help = "of a request, or of an event in a flow" },

	{ .group = "Mercure",
	  .name = "mercure-publisher-key-file",
	  TEXT(mercure_publisher_key_file, 1, PATH_BYTES_MAX), .expect = "a file",
	  .metavar = "FILE", .help = "of those who publish" },
	{ .name = "mercure-subscriber-key-file",
	  TEXT(mercure_subscriber_key_file, 1, PATH_BYTES_MAX), .expect = "a file",
	  .metavar = "FILE", .help = "of those who subscribe" },
	{ .name = "mercure-anonymous", FLAG(mercure_anonymous),
	  .help = "let subscribe who has no token" },
	{ .name = "mercure-subscriptions", FLAG(mercure_subscriptions), .at_start = true,
	  .help = "tell who subscribes to what" },
	{ .name = "mercure-cookie", TEXT(mercure_cookie, 1, 256), .check = http_is_token,
	  .initial = "mercureAuthorization", .expect = "a cookie's name",
	  .metavar = "NAME", .help = "cookie with a token" },
	{ .name = "mercure-publish-origin", LIST(mercure_publish_origin, 0, 1024),
	  .check = is_origin, .expect = "* or an origin such as https://example.org",
	  .metavar = "ORIGIN", .help = "may publish by cookie; repeatable" },
	{ .name = "require-token", FLAG(require_token),
	  .help = "to subscribe on /sse, too" },

	{ .group = "Limits",
	  .name = "ring-bytes", SIZE(ring_bytes, 64 * KIB), .max = 1024 * GIB, .initial = "64M",
	  .at_start = true, .help = "memory for the newest events" },
	{ .name = "lag-max", SIZE(lag_bytes_max, 0), .max = 1024 * GIB, .initial = "0",
	  .help = "drop who lags more; 0 = ring's size" },
	{ .name = "max-clients", COUNT(clients_max, 1), .max = CLIENTS_MAX, .initial = "1000000",
	  .at_start = true, .help = "connections" },
	{ .name = "max-accepts-per-ip", COUNT(accepts_per_ip_max, 0), .max = CLIENTS_MAX,
	  .initial = "0", .help = "a second, of one address; 0 = no limit" },
	{ .name = "max-clients-per-ip", COUNT(clients_per_ip_max, 0), .max = CLIENTS_MAX,
	  .initial = "0", .help = "of one address; 0 = no limit" },
	{ .name = "max-topics", COUNT(topics_max, 1), .max = TOPICS_MAX, .initial = "1000000",
	  .at_start = true, .help = "topics with subscribers" },
	{ .name = "max-request-memory", SIZE(requests_bytes_max, 64 * KIB), .max = 1024 * GIB,
	  .initial = "64M", .at_start = true, .help = "for unfinished requests" },
	{ .name = "sndbuf", SIZE(sndbuf_bytes, 0), .max = GIB, .initial = "128K",
	  .at_start = true, .help = "kernel queues so much a client; 0 = any" },
	{ .name = "head-timeout", TIME(head_timeout_ms, 1), .initial = "10s",
	  .help = "for the head of a request" },
	{ .name = "body-timeout", TIME(body_timeout_ms, 1), .initial = "30s",
	  .help = "for the body of a request" },
	{ .name = "idle-timeout", TIME(idle_timeout_ms, 1), .initial = "60s",
	  .help = "between two requests" },
	{ .name = "stall-timeout", TIME(stall_timeout_ms, 1), .initial = "30s",
	  .help = "for a client that has stopped reading" },

	{ .group = "Running",
	  .name = "drain", TIME(drain_ms, 0), .initial = "5s",
	  .help = "to end all streams on SIGTERM" },
	{ .name = "drain-retry", TIME(drain_retry_ms, 0), .initial = "10s",
	  .help = "spread their return over this time" },
	{ .name = "unconfined", LIST(unconfined, 0, 32), .check = is_wall,
	  .expect = "privileges, files, system-calls or all", .metavar = "WHAT",
	  .at_start = true, .help = "leave out a protection; repeatable" },
	{ .name = "no-crash-recovery", FLAG(crash_recovery_off), .at_start = true,
	  .help = "streams end when the daemon crashes" },
	{ .name = "access-log", FLAG(access_log), .help = "log every request" },
	{ .name = "log-level", .kind = VALUE_WORD, FIELD(log_level), .initial = "info",
	  .words = { [LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning",
		     [LOG_LEVEL_INFO] = "info", [LOG_LEVEL_DEBUG] = "debug" },
	  .metavar = "LEVEL", .help = "error, warning, info or debug" },
	{ .name = "config", TEXT(config_file, 1, PATH_BYTES_MAX),
	  .expect = "a file", .metavar = "FILE", .at_start = true, .argv_only = true,
	  .help = "has options, as lines of `name value`" },
	{ .name = "print-limits", FLAG(print_limits), .at_start = true, .argv_only = true,
	  .help = "say how much memory all this may take" },
	{ .name = "check-config", FLAG(check_config), .at_start = true, .argv_only = true,
	  .help = "say whether all this is valid, and exit" },
	{ .name = "check-handover", .kind = VALUE_COUNT, FIELD(check_handover_fd),
	  .max = INT32_MAX, .initial = "0", .metavar = "FD", .at_start = true, .argv_only = true,
	  .is_internal = true, .help = "can it go on from there? say so, and exit" },
	{ .name = "help", .kind = VALUE_ANSWER, .at_start = true, .argv_only = true,
	  .help = "print this, and exit" },
	{ .name = "version", .kind = VALUE_ANSWER, .at_start = true, .argv_only = true,
	  .help = "print the version, and exit" },
};
/* clang-format on */

const size_t option_count = sizeof(option_table) / sizeof(option_table[0]);

_Static_assert(sizeof(option_table) / sizeof(option_table[0]) <= OPTIONS_MAX, "a place for each");
_Static_assert(sizeof(enum config_stdin) == sizeof(int), "VALUE_WORD is an int");

const struct option *option_find(struct str name)
{
	for (size_t i = 0; i < option_count; i++)
		if (str_eq(name, str_of(option_table[i].name)))
			return &option_table[i];
	return NULL;
}

void options_print_help(FILE *out)
{
	fputs("Usage: ssecastd [OPTION]...\n"
	      "Broadcasts events to browsers (Server-Sent Events). See ssecastd(8).\n",
	      out);
	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &option_table[i];
		int column;

		if (option->is_internal)
			continue;
		if (option->group)
			fprintf(out, "\n%s:\n", option->group);
		column = fprintf(out, "  --%s %s", option->name,
				 option->metavar ? option->metavar : "");
		/* What is said of a long name stands below it. */
		if (column > HELP_COLUMN - 2)
			column = fprintf(out, "\n") - 1;
		fprintf(out, "%*s%s", HELP_COLUMN - column, "", option->help);
		if (option->metavar && option->initial)
			fprintf(out, " [%s]", option->initial);
		fputc('\n', out);
	}
}
