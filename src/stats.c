/*
 * stats: the counters as text. See stats.h.
 *
 * metrics[] names every number that stands alone; a row without help is one more sample of the
 * family above it. What has labels from an enum, and the histograms, are written by a function
 * each. All names and label values are constants of ours with nothing in them to escape.
 */
#include "stats.h"

#include <assert.h>
#include <stdio.h>

enum { FIRST_BUCKET_NS = 10000 };

/* Slot 0 counts what is not in the list. */
static const int statuses[STATS_STATUSES] = { 0,   200, 204, 206, 301, 302, 304, 307, 308, 400, 401,
					      403, 404, 405, 406, 408, 409, 411, 412, 413, 414, 415,
					      416, 417, 421, 429, 431, 500, 501, 503, 505, 507 };

static const char *const routes[ROUTE_COUNT] = {
	[ROUTE_STREAM] = "stream",         [ROUTE_POLL] = "poll",       [ROUTE_PUBLISH] = "publish",
	[ROUTE_STATIC] = "static",         [ROUTE_HEALTHZ] = "healthz", [ROUTE_METRICS] = "metrics",
	[ROUTE_MERCURE] = "subscriptions", [ROUTE_NONE] = "none",
};

static const char *const reasons[REASON_COUNT] = {
	[REASON_CLIENT] = "client",
	[REASON_DONE] = "done",
	[REASON_REFUSED] = "refused",
	[REASON_LAGGED] = "lagged",
	[REASON_STALLED] = "stalled",
	[REASON_HEAD_TIMEOUT] = "head_timeout",
	[REASON_BODY_TIMEOUT] = "body_timeout",
	[REASON_IDLE] = "idle",
	[REASON_OVER_LIMIT] = "over_limit",
	[REASON_NO_MEMORY] = "no_memory",
	[REASON_DRAIN] = "drain",
	[REASON_ERROR] = "error",
	[REASON_EXPIRED] = "expired",
	[REASON_TOO_FAST] = "too_fast",
	[REASON_CRASH] = "crash",
};

enum unit { PLAIN, MILLISECONDS };

struct metric {
	const char *name;
	const char *type;
	const char *help;    /* NULL = a sample of the family above */
	const char *labels;  /* with their braces, or "" */
	bool is_gauge_field; /* offset is in struct stats_gauges, else in struct stats */
	size_t offset;       /* of a uint64_t */
	enum unit unit;
};

#define COUNTED(field)        "", false, offsetof(struct stats, field), PLAIN
#define NOW(field)            "", true, offsetof(struct stats_gauges, field), PLAIN
#define NOW_MS(field)         "", true, offsetof(struct stats_gauges, field), MILLISECONDS
#define NOW_OF(labels, field) labels, true, offsetof(struct stats_gauges, field), PLAIN

static const struct metric metrics[] = {
	{ "ssecast_uptime_seconds", "gauge", "Time since the daemon started.", NOW_MS(uptime_ms) },
	{ "ssecast_connections", "gauge", "Open connections, streams included.", NOW(clients) },
	{ "ssecast_clients", "gauge",
	  "Open streams: live ones have everything, walking ones are catching up.",
	  NOW_OF("{state=\"live\"}", live) },
	{ "ssecast_clients", "gauge", NULL, NOW_OF("{state=\"walking\"}", walking) },
	{ "ssecast_topics", "gauge", "Topics and patterns that somebody subscribes to.",
	  NOW(topics) },
	{ "ssecast_accepts_total", "counter", "Connections accepted.", COUNTED(accepts) },
	{ "ssecast_accept_pauses_total", "counter",
	  "Times that accepting stopped for want of descriptors or room.", COUNTED(accept_pauses) },
	{ "ssecast_events_total", "counter", "Events published.", COUNTED(events) },
	{ "ssecast_event_bytes_total", "counter", "Bytes of the published events' frames.",
	  COUNTED(event_bytes) },
	{ "ssecast_events_refused_total", "counter", "Events that were not accepted.",
	  COUNTED(events_refused) },
	{ "ssecast_deliveries_total", "counter", "Events handed to the kernel for a subscriber.",
	  COUNTED(deliveries) },
	{ "ssecast_sent_bytes_total", "counter", "Bytes handed to the kernel.",
	  COUNTED(sent_bytes) },
	{ "ssecast_short_writes_total", "counter",
	  "Sends that the kernel took in part or not at all.", COUNTED(short_writes) },
	{ "ssecast_heartbeats_total", "counter", "Heartbeats sent.", COUNTED(heartbeats) },
	{ "ssecast_gaps_total", "counter", "Gap events sent.", COUNTED(gaps) },
	{ "ssecast_ticks_missed_total", "counter", "Ticks that came too late to be published.",
	  COUNTED(ticks_missed) },
	{ "ssecast_upgrades_total", "counter", "Times that the binary on disk took over.",
	  COUNTED(upgrades) },
	{ "ssecast_upgrades_refused_total", "counter", "Upgrades that were not made.",
	  COUNTED(upgrades_refused) },
	{ "ssecast_streams_recovered_total", "counter",
	  "Streams that went on after the end of the process before.", COUNTED(streams_recovered) },
	{ "ssecast_ring_bytes", "gauge", "Bytes of the frames in the ring.", NOW(ring_bytes) },
	{ "ssecast_ring_size_bytes", "gauge", "Bytes that the ring has room for.",
	  NOW(ring_size_bytes) },
	{ "ssecast_ring_records", "gauge", "Events in the ring.", NOW(ring_records) },
	{ "ssecast_ring_evicted_total", "counter", "Events that left the ring for newer ones.",
	  NOW(ring_evicted) },
	{ "ssecast_ring_oldest_age_seconds", "gauge", "Age of the oldest event in the ring.",
	  NOW_MS(ring_oldest_age_ms) },
	{ "ssecast_lag_max_bytes", "gauge",
	  "Lag of the subscriber that was furthest behind in the last sweep.", NOW(lag_bytes_max) },
	{ "ssecast_request_bytes", "gauge", "Memory held for unfinished requests.",
	  NOW(request_bytes) },
	{ "ssecast_log_dropped_total", "counter", "Log lines that found no room.",
	  NOW(log_dropped) },
};

enum { METRIC_COUNT = sizeof(metrics) / sizeof(metrics[0]) };

static size_t status_slot(int status)
{
	for (size_t i = 1; i < STATS_STATUSES; i++)
		if (statuses[i] == status)
			return i;
	return 0;
}

void stats_request(struct stats *stats, enum stats_route route, int status)
{
	assert(route < ROUTE_COUNT);
	stats->requests[route][status_slot(status)]++;
}

void stats_duration(struct stats_histogram *histogram, uint64_t ns)
{
	uint64_t bound_ns = FIRST_BUCKET_NS;
	size_t i = 0;

	for (; i < STATS_BUCKETS && ns > bound_ns; i++)
		bound_ns *= 2;
	histogram->buckets[i]++;
	histogram->sum_ns += ns;
}

const char *stats_reason(enum stats_reason reason)
{
	assert(reason < REASON_COUNT);
	return reasons[reason];
}

static void family_add(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A count of billionths of seconds, or of thousandths …, in seconds; exact, and in no locale. */
static void seconds_add(struct buf *out, uint64_t value, uint64_t parts_per_second, int digits)
{
	buf_addf(out, "%ju.%0*ju", (uintmax_t)(value / parts_per_second), digits,
		 (uintmax_t)(value % parts_per_second));
}

static void value_add(struct buf *out, const struct metric *metric, const struct stats *stats,
		      const struct stats_gauges *gauges)
{
	const char *base = metric->is_gauge_field ? (const char *)gauges : (const char *)stats;
	uint64_t value = *(const uint64_t *)(const void *)(base + metric->offset);

	if (metric->unit == MILLISECONDS)
		seconds_add(out, value, 1000, 3);
	else
		buf_addf(out, "%ju", (uintmax_t)value);
}

/* Only what has been answered: most pairs of route and status never are. */
static void requests_add(struct buf *out, const struct stats *stats)
{
	const char *name = "ssecast_requests_total";

	family_add(out, name, "counter", "Responses, by what was asked for and by status.");
	for (size_t route = 0; route < ROUTE_COUNT; route++) {
		for (size_t slot = 0; slot < STATS_STATUSES; slot++) {
			uint64_t count = stats->requests[route][slot];
			char status[16] = "other";

			if (count == 0)
				continue;
			if (slot > 0)
				snprintf(status, sizeof(status), "%d", statuses[slot]);
			buf_addf(out, "%s{route=\"%s\",status=\"%s\"} %ju\n", name, routes[route],
				 status, (uintmax_t)count);
		}
	}
}

static void disconnects_add(struct buf *out, const struct stats *stats)
{
	const char *name = "ssecast_disconnects_total";

	family_add(out, name, "counter", "Connections closed, by reason.");
	for (size_t i = 0; i < REASON_COUNT; i++)
		buf_addf(out, "%s{reason=\"%s\"} %ju\n", name, reasons[i],
			 (uintmax_t)stats->disconnects[i]);
}

static void histogram_add(struct buf *out, const char *name, const char *help,
			  const struct stats_histogram *histogram)
{
	uint64_t bound_ns = FIRST_BUCKET_NS, count = 0;

	family_add(out, name, "histogram", help);
	for (size_t i = 0; i < STATS_BUCKETS; i++, bound_ns *= 2) {
		count += histogram->buckets[i];
		buf_addf(out, "%s_bucket{le=\"", name);
		seconds_add(out, bound_ns / 10000, 100000, 5);
		buf_addf(out, "\"} %ju\n", (uintmax_t)count);
	}
	count += histogram->buckets[STATS_BUCKETS];
	buf_addf(out, "%s_bucket{le=\"+Inf\"} %ju\n%s_sum ", name, (uintmax_t)count, name);
	seconds_add(out, histogram->sum_ns, 1000000000, 9);
	buf_addf(out, "\n%s_count %ju\n", name, (uintmax_t)count);
}

int stats_write(const struct stats *stats, const struct stats_gauges *gauges, struct buf *out)
{
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		const struct metric *metric = &metrics[i];

		if (metric->help)
			family_add(out, metric->name, metric->type, metric->help);
		buf_addf(out, "%s%s ", metric->name, metric->labels);
		value_add(out, metric, stats, gauges);
		buf_add_char(out, '\n');
	}
	requests_add(out, stats);
	disconnects_add(out, stats);
	histogram_add(out, "ssecast_turn_duration_seconds",
		      "Time that a turn of the loop took, without its wait.", &stats->turn);
	histogram_add(out, "ssecast_flush_duration_seconds", "Time that a turn's broadcast took.",
		      &stats->flush);
	return out->err;
}

/* --- JSON --- */

/* `"name":` without the prefix that all metrics share. */
static void key_add(struct buf *out, const char *name)
{
	buf_addf(out, "\"%s\":", name + sizeof("ssecast_") - 1);
}

/* A metric of the table. Labelled rows of one family are the members of one object. */
static void json_metric_add(struct buf *out, size_t i, const struct stats *stats,
			    const struct stats_gauges *gauges)
{
	const struct metric *metric = &metrics[i];
	struct str rest = str_of(metric->labels), label;
	bool is_last = i + 1 == METRIC_COUNT || metrics[i + 1].help;
	bool is_labelled;

	/* The label's value stands between the first two quotes. */
	str_cut(&rest, '"', &label);
	is_labelled = str_cut(&rest, '"', &label);
	buf_add_char(out, ',');
	if (metric->help)
		key_add(out, metric->name);
	if (is_labelled && metric->help)
		buf_add_char(out, '{');
	if (is_labelled)
		buf_addf(out, "\"%.*s\":", STR_ARG(label));
	value_add(out, metric, stats, gauges);
	if (is_labelled && is_last)
		buf_add_char(out, '}');
}

static void json_requests_add(struct buf *out, const struct stats *stats)
{
	buf_add(out, STR(",\"requests_total\":{"));
	for (size_t route = 0; route < ROUTE_COUNT; route++) {
		const char *comma = "";

		buf_addf(out, "%s\"%s\":{", route ? "," : "", routes[route]);
		for (size_t slot = 0; slot < STATS_STATUSES; slot++) {
			uint64_t count = stats->requests[route][slot];
			char status[16] = "other";

			if (count == 0)
				continue;
			if (slot > 0)
				snprintf(status, sizeof(status), "%d", statuses[slot]);
			buf_addf(out, "%s\"%s\":%ju", comma, status, (uintmax_t)count);
			comma = ",";
		}
		buf_add_char(out, '}');
	}
	buf_add_char(out, '}');
}

static void json_disconnects_add(struct buf *out, const struct stats *stats)
{
	buf_add(out, STR(",\"disconnects_total\":{"));
	for (size_t i = 0; i < REASON_COUNT; i++)
		buf_addf(out, "%s\"%s\":%ju", i ? "," : "", reasons[i],
			 (uintmax_t)stats->disconnects[i]);
	buf_add_char(out, '}');
}

static void json_histogram_add(struct buf *out, const char *name,
			       const struct stats_histogram *histogram)
{
	uint64_t bound_ns = FIRST_BUCKET_NS, count = 0;

	buf_addf(out, ",\"%s\":{\"le\":[", name);
	for (size_t i = 0; i < STATS_BUCKETS; i++, bound_ns *= 2) {
		buf_add(out, i ? STR(",") : STR(""));
		seconds_add(out, bound_ns / 10000, 100000, 5);
	}
	buf_add(out, STR("],\"buckets\":["));
	for (size_t i = 0; i <= STATS_BUCKETS; i++) {
		buf_addf(out, "%s%ju", i ? "," : "", (uintmax_t)histogram->buckets[i]);
		count += histogram->buckets[i];
	}
	buf_add(out, STR("],\"sum\":"));
	seconds_add(out, histogram->sum_ns, 1000000000, 9);
	buf_addf(out, ",\"count\":%ju}", (uintmax_t)count);
}

int stats_write_json(const struct stats *stats, const struct stats_gauges *gauges, uint64_t now_ms,
		     struct buf *out)
{
	buf_addf(out, "{\"time_ms\":%ju", (uintmax_t)now_ms);
	for (size_t i = 0; i < METRIC_COUNT; i++)
		json_metric_add(out, i, stats, gauges);
	json_requests_add(out, stats);
	json_disconnects_add(out, stats);
	json_histogram_add(out, "turn_duration_seconds", &stats->turn);
	json_histogram_add(out, "flush_duration_seconds", &stats->flush);
	buf_add_char(out, '}');
	return out->err;
}

/* The value of a sample; labels are part of the name, and a point means billionths. */
static bool sample_find(struct str text, const char *name, uint64_t *value)
{
	struct str line, wanted = str_of(name), whole;
	uint64_t count, parts = 0;

	while (str_cut(&text, '\n', &line)) {
		if (!str_starts(line, wanted) || line.n <= wanted.n || line.p[wanted.n] != ' ')
			continue;
		line = str_from(line, wanted.n + 1);
		str_cut(&line, '.', &whole);
		if (str_to_u64(whole, UINT64_MAX, &count) ||
		    (line.p && (line.n != 9 || str_to_u64(line, UINT64_MAX, &parts))))
			return false;
		*value = line.p ? count * 1000000000 + parts : count;
		return true;
	}
	return false;
}

static bool sample_read(struct str text, const char *name, const char *labels, uint64_t *value)
{
	char full[256];

	snprintf(full, sizeof(full), "%s%s", name, labels);
	return sample_find(text, full, value);
}

static void histogram_read(struct str text, const char *name, struct stats_histogram *histogram)
{
	uint64_t bound_ns = FIRST_BUCKET_NS, below = 0, count = 0;
	char labels[64];

	for (size_t i = 0; i <= STATS_BUCKETS; i++, bound_ns *= 2) {
		snprintf(labels, sizeof(labels), "_bucket{le=\"%ju.%05ju\"}",
			 (uintmax_t)(bound_ns / 1000000000),
			 (uintmax_t)(bound_ns / 10000 % 100000));
		if (!sample_read(text, name, i < STATS_BUCKETS ? labels : "_bucket{le=\"+Inf\"}",
				 &count))
			return;
		histogram->buckets[i] = count >= below ? count - below : 0;
		below = count;
	}
	sample_read(text, name, "_sum", &histogram->sum_ns);
}

void stats_read(struct stats *stats, struct str text)
{
	char labels[128];

	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		if (!metrics[i].is_gauge_field)
			sample_read(text, metrics[i].name, metrics[i].labels,
				    (uint64_t *)(void *)((char *)stats + metrics[i].offset));
	for (size_t route = 0; route < ROUTE_COUNT; route++) {
		for (size_t slot = 0; slot < STATS_STATUSES; slot++) {
			char status[16] = "other";

			if (slot > 0)
				snprintf(status, sizeof(status), "%d", statuses[slot]);
			snprintf(labels, sizeof(labels), "{route=\"%s\",status=\"%s\"}",
				 routes[route], status);
			sample_read(text, "ssecast_requests_total", labels,
				    &stats->requests[route][slot]);
		}
	}
	for (size_t i = 0; i < REASON_COUNT; i++) {
		snprintf(labels, sizeof(labels), "{reason=\"%s\"}", reasons[i]);
		sample_read(text, "ssecast_disconnects_total", labels, &stats->disconnects[i]);
	}
	histogram_read(text, "ssecast_turn_duration_seconds", &stats->turn);
	histogram_read(text, "ssecast_flush_duration_seconds", &stats->flush);
}
