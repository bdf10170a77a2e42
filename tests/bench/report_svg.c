/*
 * report_svg: the latency as a plot: which share of all deliveries took longer than so long, both
 * axes logarithmic, as tails need it. See report.h.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "report.h"

enum { WIDTH = 720, HEIGHT = 400, LEFT = 70, TOP = 40, RIGHT = 20, BOTTOM = 50, POINTS = 400 };

/* From 10 us to 10 s; from all to one in a million. */
static const double LOG_US_MIN = 1, LOG_US_MAX = 7, LOG_SHARE_MIN = -6;

static double x_of(double us)
{
	double at = us > 0 ? (log10(us) - LOG_US_MIN) / (LOG_US_MAX - LOG_US_MIN) : 0;

	return LEFT + fmin(fmax(at, 0), 1) * (WIDTH - LEFT - RIGHT);
}

static double y_of(double share)
{
	double at = share > 0 ? log10(share) / LOG_SHARE_MIN : 1;

	return TOP + fmin(fmax(at, 0), 1) * (HEIGHT - TOP - BOTTOM);
}

static void write_axes(FILE *out)
{
	static const char *const times[] = { "10 us",  "100 us", "1 ms", "10 ms",
					     "100 ms", "1 s",    "10 s" };
	static const char *const shares[] = { "100 %",  "10 %",   "1 %",  "0.1 %",
					      "0.01 %", "10 ppm", "1 ppm" };

	for (int i = 0; i <= 6; i++) {
		double x = x_of(pow(10, LOG_US_MIN + i)), y = y_of(pow(10, -i));

		fprintf(out, "<path d='M%.1f %d V%d M%d %.1f H%d' stroke='#ccc'/>\n", x, TOP,
			HEIGHT - BOTTOM, LEFT, y, WIDTH - RIGHT);
		fprintf(out, "<text x='%.1f' y='%d' text-anchor='middle'>%s</text>\n", x,
			HEIGHT - BOTTOM + 18, times[i]);
		fprintf(out, "<text x='%d' y='%.1f' text-anchor='end'>%s</text>\n", LEFT - 6, y + 4,
			shares[i]);
	}
}

static void write_curve(const struct histogram *h, FILE *out)
{
	fputs("<polyline fill='none' stroke='#06c' stroke-width='2' points='", out);
	for (int i = 0; i <= POINTS && h->count; i++) {
		double us = pow(10, LOG_US_MIN + (LOG_US_MAX - LOG_US_MIN) * i / POINTS);
		uint64_t above = h->count - histogram_below(h, (uint64_t)(us * 1000));

		fprintf(out, "%.1f,%.1f ", x_of(us), y_of((double)above / (double)h->count));
		if (above == 0)
			break;
	}
	fputs("'/>\n", out);
}

int report_svg(const struct report *report, const char *path)
{
	FILE *out = fopen(path, "we");

	if (!out)
		return -errno;
	fprintf(out,
		"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' "
		"font-family='sans-serif' font-size='12'>\n"
		"<rect width='100%%' height='100%%' fill='#fff'/>\n"
		"<text x='%d' y='24' font-size='14'>Share of deliveries that took longer: %u "
		"connections, %.0f deliveries/s</text>\n",
		WIDTH, HEIGHT, LEFT, report->options->count,
		report->seconds > 0 ? (double)report->totals.deliveries / report->seconds : 0);
	write_axes(out);
	write_curve(&report->totals.latency, out);
	fputs("</svg>\n", out);
	return fclose(out) ? -errno : 0;
}
