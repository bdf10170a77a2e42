/*
 * report: the text and the JSON. See report.h; the plot is in report_svg.c.
 */
#include "report.h"

enum { BAR_COLUMNS = 50, NS_PER_US = 1000 };

bool report_is_clean(const struct report *report)
{
	const struct totals *t = &report->totals;
	uint64_t wrong = t->gaps + t->doubles + t->misordered + t->torn + t->missing + t->refused +
			 t->failures;

	/* A slow reader may be cut: that is the server's right. */
	return wrong == 0 && (t->closed_by_server == 0 || report->options->slow_fraction > 0);
}

static double per(double amount, double by)
{
	return by > 0 ? amount / by : 0;
}

static double us_at(const struct report *report, double part)
{
	return (double)histogram_at(&report->totals.latency, part) / NS_PER_US;
}

static double cpu_seconds(const struct usage *from, const struct usage *to)
{
	return (double)(to->cpu_ns - from->cpu_ns) / 1e9;
}

/*
 * CPU of the server for one delivery to those who are not slow; a replay's deliveries are not in
 * the measured phase.
 */
static double cpu_us(const struct report *report)
{
	uint64_t deliveries = report->totals.deliveries;

	if (report->options->replay)
		return per((double)report->replay_cpu_ns / NS_PER_US, (double)deliveries);
	return per(cpu_seconds(&report->begun, &report->ended) * 1e6, (double)deliveries);
}

static double rss_per_connection(const struct report *report)
{
	return per((double)report->begun.rss_bytes - (double)report->before.rss_bytes,
		   report->options->count);
}

/* A line for each power of two of microseconds that has at least one value. */
static void text_histogram(const struct histogram *h, FILE *out)
{
	uint64_t below = 0, most = 0;

	for (uint64_t us = 1; us < (uint64_t)1 << 31; us *= 2) {
		uint64_t upto = histogram_below(h, us * NS_PER_US);

		most = upto - below > most ? upto - below : most;
		below = upto;
	}
	below = 0;
	for (uint64_t us = 1; us < (uint64_t)1 << 31; us *= 2) {
		uint64_t upto = histogram_below(h, us * NS_PER_US), count = upto - below;

		below = upto;
		if (count == 0)
			continue;
		fprintf(out, "  <= %8llu us %10llu ", (unsigned long long)us,
			(unsigned long long)count);
		for (uint64_t i = 0; i < count * BAR_COLUMNS / most; i++)
			fputc('#', out);
		fputc('\n', out);
	}
}

static void text_server(const struct report *report, FILE *out)
{
	if (!report->options->server_pid)
		return;
	fprintf(out, "server     %.2f s CPU to connect (%.1f us each), %.2f s to publish; ",
		cpu_seconds(&report->before, &report->connected),
		per(cpu_seconds(&report->before, &report->connected) * 1e6, report->options->count),
		cpu_seconds(&report->begun, &report->ended));
	fprintf(out, "%.2f us CPU a delivery\n", cpu_us(report));
	fprintf(out, "memory     %.1f MiB before, %.1f MiB connected: %.0f bytes a connection; ",
		(double)report->before.rss_bytes / (1 << 20),
		(double)report->begun.rss_bytes / (1 << 20), rss_per_connection(report));
	fprintf(out, "%.1f MiB in TCP buffers at the end\n",
		(double)report->ended.tcp_mem_bytes / (1 << 20));
	fprintf(out, "switches   %llu\n",
		(unsigned long long)(report->ended.switches - report->begun.switches));
}

void report_text(const struct report *report, FILE *out)
{
	const struct totals *t = &report->totals;

	fprintf(out,
		"streams    %llu of %u in %.2f s (%.0f/s), %llu failed, %llu closed, %llu resumed\n",
		(unsigned long long)t->connects, report->options->count, report->connect_seconds,
		per((double)t->connects, report->connect_seconds), (unsigned long long)t->failures,
		(unsigned long long)t->closed_by_server, (unsigned long long)t->resumed);
	fprintf(out, "events     %llu published, %llu refused, %llu delivered in %.2f s: %.0f/s\n",
		(unsigned long long)t->published, (unsigned long long)t->refused,
		(unsigned long long)t->deliveries, report->seconds,
		per((double)t->deliveries, report->seconds));
	fprintf(out, "           %llu to slow readers, %llu comments, %llu others, %.1f MiB\n",
		(unsigned long long)t->slow_deliveries, (unsigned long long)t->comments,
		(unsigned long long)t->foreign, (double)t->bytes / (1 << 20));
	if (report->options->replay)
		fprintf(out, "replay     %llu events each in %.2f s\n",
			(unsigned long long)report->options->replay, report->replay_seconds);
	text_server(report, out);
	fprintf(out, "latency    p50 %.0f, p90 %.0f, p99 %.0f, p99.9 %.0f, max %.0f us\n",
		us_at(report, 0.5), us_at(report, 0.9), us_at(report, 0.99), us_at(report, 0.999),
		us_at(report, 1));
	text_histogram(&t->latency, out);
	fprintf(out,
		"verdict    %s: %llu missing, %llu in gaps, %llu doubles, %llu out of order, "
		"%llu torn\n",
		report_is_clean(report) ? "every event once and in order" : "NOT CLEAN",
		(unsigned long long)t->missing, (unsigned long long)t->gaps,
		(unsigned long long)t->doubles, (unsigned long long)t->misordered,
		(unsigned long long)t->torn);
}

void report_json(const struct report *report, FILE *out)
{
	const struct totals *t = &report->totals;
	const struct {
		const char *name;
		double value;
	} fields[] = {
		{ "connections", report->options->count },
		{ "connected", (double)t->connects },
		{ "connect_seconds", report->connect_seconds },
		{ "connects_per_second", per((double)t->connects, report->connect_seconds) },
		{ "connect_cpu_us", per(cpu_seconds(&report->before, &report->connected) * 1e6,
					report->options->count) },
		{ "failures", (double)t->failures },
		{ "closed_by_server", (double)t->closed_by_server },
		{ "resumed", (double)t->resumed },
		{ "published", (double)t->published },
		{ "refused", (double)t->refused },
		{ "deliveries", (double)t->deliveries },
		{ "slow_deliveries", (double)t->slow_deliveries },
		{ "seconds", report->seconds },
		{ "deliveries_per_second", per((double)t->deliveries, report->seconds) },
		{ "deliveries_per_cpu_second", per(1e6, cpu_us(report)) },
		{ "cpu_seconds", cpu_seconds(&report->begun, &report->ended) },
		{ "cpu_us_per_delivery", cpu_us(report) },
		{ "cpu_us_per_event",
		  per(cpu_seconds(&report->begun, &report->ended) * 1e6, (double)t->published) },
		{ "rss_bytes", (double)report->begun.rss_bytes },
		{ "rss_bytes_per_connection", rss_per_connection(report) },
		{ "tcp_mem_bytes", (double)report->ended.tcp_mem_bytes },
		{ "context_switches", (double)(report->ended.switches - report->begun.switches) },
		{ "replay_seconds", report->replay_seconds },
		{ "replay_cpu_seconds", (double)report->replay_cpu_ns / 1e9 },
		{ "latency_p50_us", us_at(report, 0.5) },
		{ "latency_p90_us", us_at(report, 0.9) },
		{ "latency_p99_us", us_at(report, 0.99) },
		{ "latency_p999_us", us_at(report, 0.999) },
		{ "latency_max_us", us_at(report, 1) },
		{ "missing", (double)t->missing },
		{ "gaps", (double)t->gaps },
		{ "doubles", (double)t->doubles },
		{ "misordered", (double)t->misordered },
		{ "torn", (double)t->torn },
	};

	fputs("{", out);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		fprintf(out, "%s\"%s\":%.10g", i ? "," : "", fields[i].name, fields[i].value);
	fprintf(out, ",\"clean\":%s}\n", report_is_clean(report) ? "true" : "false");
}
