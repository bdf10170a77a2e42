/*
 * metrics: see metrics.h.
 */
#include "metrics.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAMILIES_MAX = 256, SAMPLES_MAX = 4096 };

struct scan {
	struct str families[FAMILIES_MAX]; /* their names; the last is the one being read */
	size_t family_count;
	struct str type; /* of the last; empty while only its HELP has come */
	struct str samples[SAMPLES_MAX];
	size_t sample_count;
	/* Of a histogram. */
	double last_le, last_bucket, count;
	bool has_sum, has_count;
};

static bool is_name(struct str s, const char *also)
{
	if (s.n == 0 || (s.p[0] >= '0' && s.p[0] <= '9'))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '_' || (*also && c == *also)))
			return false;
	}
	return true;
}

static double number(struct str s)
{
	char text[64], *end;
	double value;

	cr_assert(s.n && s.n < sizeof(text), "a value of %zu bytes", s.n);
	snprintf(text, sizeof(text), "%.*s", STR_ARG(s));
	value = strtod(text, &end);
	cr_assert(*end == '\0', "'%s' is no value", text);
	return value;
}

static struct str last_family(const struct scan *r)
{
	return r->family_count ? r->families[r->family_count - 1] : (struct str){ "", 0 };
}

/* What must be true of a family once its samples are over. */
static void end_family(struct scan *r)
{
	if (!str_eq(r->type, STR("histogram")))
		return;
	cr_assert(r->has_sum && r->has_count, "a histogram without _sum or _count");
	cr_assert(isinf(r->last_le) && fabs(r->last_bucket - r->count) < 0.5,
		  "a histogram that does not end in +Inf with its count");
}

static void begin_family(struct scan *r, struct str name)
{
	end_family(r);
	cr_assert(is_name(name, ":"), "family '%.*s'", STR_ARG(name));
	for (size_t i = 0; i < r->family_count; i++)
		cr_assert(!str_eq(r->families[i], name), "%.*s is there twice", STR_ARG(name));
	cr_assert(r->family_count < FAMILIES_MAX);
	r->families[r->family_count++] = name;
	r->type = (struct str){ "", 0 };
	r->last_le = -INFINITY;
	r->last_bucket = 0;
	r->has_sum = r->has_count = false;
}

static void take_comment(struct scan *r, struct str line)
{
	struct str rest = str_from(line, 2), word, name;

	cr_assert(str_starts(line, STR("# ")) && str_cut(&rest, ' ', &word) &&
			  str_cut(&rest, ' ', &name),
		  "'%.*s'", STR_ARG(line));
	if (str_eq(word, STR("HELP"))) {
		cr_assert(rest.n > 0, "no help for %.*s", STR_ARG(name));
		for (size_t i = 0; i < rest.n; i++)
			if (rest.p[i] == '\\')
				cr_assert(++i < rest.n && (rest.p[i] == 'n' || rest.p[i] == '\\'));
		begin_family(r, name);
		return;
	}
	cr_assert(str_eq(word, STR("TYPE")), "'%.*s'", STR_ARG(line));
	cr_assert(str_eq(name, last_family(r)) && !r->type.n, "TYPE of %.*s without its HELP",
		  STR_ARG(name));
	cr_assert(str_eq(rest, STR("counter")) || str_eq(rest, STR("gauge")) ||
			  str_eq(rest, STR("histogram")),
		  "'%.*s'", STR_ARG(line));
	r->type = rest;
	cr_assert(str_eq(rest, STR("counter")) ==
			  (name.n > 6 && str_eq(str_from(name, name.n - 6), STR("_total"))),
		  "%.*s: counters, and only they, end in _total", STR_ARG(name));
}

/* Reads {a="x",b="y"}, moves *at behind it; le goes into *le. */
static void take_labels(struct str *at, struct str *le)
{
	if (at->p[0] != '{')
		return;
	do {
		*at = str_from(*at, 1);
		size_t n = str_find(*at, '=');
		struct str name = { at->p, n };

		cr_assert(is_name(name, ""), "label '%.*s'", STR_ARG(name));
		*at = str_from(*at, n + 1);
		cr_assert(at->n && at->p[0] == '"');
		*at = str_from(*at, 1);
		for (n = 0; n < at->n && at->p[n] != '"'; n++)
			if (at->p[n] == '\\')
				cr_assert(++n < at->n && strchr("\\\"n", at->p[n]));
		if (str_eq(name, STR("le")))
			*le = (struct str){ at->p, n };
		*at = str_from(*at, n + 1);
		cr_assert(at->n, "labels without an end");
	} while (at->p[0] == ',');
	cr_assert(at->p[0] == '}');
	*at = str_from(*at, 1);
}

static void take_histogram(struct scan *r, struct str suffix, struct str le, double value)
{
	if (str_eq(suffix, STR("_sum"))) {
		r->has_sum = true;
	} else if (str_eq(suffix, STR("_count"))) {
		r->has_count = true;
		r->count = value;
	} else {
		cr_assert(str_eq(suffix, STR("_bucket")) && le.n, "'%.*s'", STR_ARG(suffix));
		double bound = str_eq(le, STR("+Inf")) ? INFINITY : number(le);

		cr_assert(bound > r->last_le && value >= r->last_bucket, "buckets out of order");
		r->last_le = bound;
		r->last_bucket = value;
	}
}

static void take_sample(struct scan *r, struct str line)
{
	size_t n = 0;

	while (n < line.n && line.p[n] != '{' && line.p[n] != ' ')
		n++;
	struct str name = { line.p, n }, rest = str_from(line, n), le = { "", 0 };
	struct str family = last_family(r);

	cr_assert(r->type.n, "'%.*s' without a TYPE", STR_ARG(line));
	cr_assert(str_starts(name, family), "'%.*s' belongs to another family", STR_ARG(line));
	take_labels(&rest, &le);
	struct str sample = { line.p, line.n - rest.n };

	for (size_t i = 0; i < r->sample_count; i++)
		cr_assert(!str_eq(r->samples[i], sample), "%.*s is there twice", STR_ARG(sample));
	cr_assert(r->sample_count < SAMPLES_MAX);
	r->samples[r->sample_count++] = sample;
	cr_assert(rest.n && rest.p[0] == ' ', "'%.*s'", STR_ARG(line));
	double value = number(str_from(rest, 1));

	if (str_eq(r->type, STR("histogram")))
		take_histogram(r, str_from(name, family.n), le, value);
	else
		cr_assert(str_eq(name, family), "'%.*s' belongs to another family", STR_ARG(line));
	cr_assert(!str_eq(r->type, STR("counter")) || value >= 0);
}

void metrics_check(struct str text)
{
	struct scan *r = calloc(1, sizeof(*r));
	struct str line;

	cr_assert(text.n && text.p[text.n - 1] == '\n', "no final newline");
	text.n--;
	while (str_cut(&text, '\n', &line)) {
		if (line.n && line.p[0] == '#')
			take_comment(r, line);
		else if (line.n)
			take_sample(r, line);
	}
	end_family(r);
	cr_assert(r->sample_count > 20, "%zu samples", r->sample_count);
	free(r);
}

double metric(const struct daemon *d, const char *sample)
{
	struct response r;
	struct str rest, line;
	size_t n = strlen(sample);
	double value = NAN;

	cr_assert(request_control(d, &r, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n") == 200);
	rest = buf_str(&r.body);
	while (str_cut(&rest, '\n', &line))
		if (str_starts(line, str_of(sample)) && line.n > n && line.p[n] == ' ')
			value = number(str_from(line, n + 1));
	cr_assert(!isnan(value), "no sample %s", sample);
	response_done(&r);
	return value;
}

void metric_wait(const struct daemon *d, const char *sample, double value)
{
	uint64_t deadline_ms = deadline();

	while (metric(d, sample) < value)
		deadline_left(deadline_ms, sample);
}

void metric_wait_down(const struct daemon *d, const char *sample, double value)
{
	uint64_t deadline_ms = deadline();

	while (metric(d, sample) > value)
		deadline_left(deadline_ms, sample);
}
