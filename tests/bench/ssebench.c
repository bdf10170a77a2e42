/*
 * ssebench: a load generator for servers of Server-Sent Events, which verifies all that it gets.
 *
 * The parent forks the workers, orders the phases, measures the server between them, and reports.
 * It ends with 0 when every event of every reader came once and in order, else with 1.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "report.h"
#include "worker.h"

enum {
	POLL_NS = 500000,
	PROGRESS_NS = 250000000,
	CONNECT_SECONDS = 120, /* to wait at most */
	DRAIN_SECONDS = 10,    /* without a delivery */
};

struct run {
	struct options options;
	struct shared *shared;
	struct report report;
	pid_t workers[WORKERS_MAX];
	uint64_t progress_ns;
	bool shows_progress;
};

uint64_t bench_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t totals_sum(const struct shared *shared, const struct options *options, size_t field)
{
	uint64_t sum = 0;

	for (uint32_t w = 0; w < options->workers; w++) {
		const char *totals = (const char *)&shared->workers[w];

		sum += atomic_load_explicit(
			(const _Atomic uint64_t *)(const void *)(totals + field),
			memory_order_relaxed);
	}
	return sum;
}

static void show_progress(struct run *run, const char *what)
{
	uint64_t now_ns = bench_now_ns();

	if (!run->shows_progress || now_ns < run->progress_ns)
		return;
	run->progress_ns = now_ns + PROGRESS_NS;
	fprintf(stderr, "\r\033[K%s: %llu streams, %llu published, %llu delivered", what,
		(unsigned long long)TOTAL(run->shared, &run->options, open),
		(unsigned long long)TOTAL(run->shared, &run->options, published),
		(unsigned long long)TOTAL(run->shared, &run->options, deliveries));
}

static void show_nothing(const struct run *run)
{
	if (run->shows_progress)
		fputs("\r\033[K", stderr);
}

/* Sleeps a little; false when a worker has given up. */
static bool wait_a_little(struct run *run, const char *what)
{
	struct timespec little = { 0, POLL_NS };

	nanosleep(&little, NULL);
	show_progress(run, what);
	return atomic_load(&run->shared->errors) == 0;
}

static bool start_workers(struct run *run)
{
	fflush(NULL);
	for (uint32_t w = 0; w < run->options.workers; w++) {
		pid_t pid = fork();

		if (pid < 0)
			return false;
		if (pid == 0) {
			int err;

			prctl(PR_SET_PDEATHSIG, SIGKILL);
			err = worker_run(&run->options, run->shared, w);
			if (err) {
				fprintf(stderr, "ssebench: a worker fails: %s\n", strerror(-err));
				atomic_store(&run->shared->errors, 1);
			}
			_exit(err ? 1 : 0);
		}
		run->workers[w] = pid;
	}
	return true;
}

static void stop_workers(struct run *run)
{
	atomic_store(&run->shared->phase, PHASE_STOP);
	for (uint32_t w = 0; w < run->options.workers; w++)
		if (run->workers[w] > 0)
			waitpid(run->workers[w], NULL, 0);
}

static double seconds_since(uint64_t begun_ns)
{
	return (double)(bench_now_ns() - begun_ns) / 1e9;
}

static uint64_t open_streams(const struct run *run)
{
	return TOTAL(run->shared, &run->options, open) +
	       TOTAL(run->shared, &run->options, slow_open);
}

/* Until all are connected. */
static bool phase_connect(struct run *run)
{
	uint64_t begun_ns = bench_now_ns(), failures = 0;

	usage_read(run->options.server_pid, &run->report.before);
	atomic_store(&run->shared->phase, PHASE_CONNECT);
	if (!start_workers(run))
		return false;
	while (open_streams(run) + failures < run->options.count) {
		failures = 0;
		for (uint32_t w = 0; w < run->options.workers; w++)
			failures += run->shared->workers[w].failures;
		if (!wait_a_little(run, "connecting") || seconds_since(begun_ns) > CONNECT_SECONDS)
			return false;
	}
	run->report.connect_seconds = seconds_since(begun_ns);
	atomic_store(&run->shared->phase, PHASE_IDLE);
	begun_ns = bench_now_ns();
	usage_read(run->options.server_pid, &run->report.connected);
	while (seconds_since(begun_ns) < run->options.idle_seconds)
		if (!wait_a_little(run, "waiting"))
			return false;
	return true;
}

/* Until nothing more comes. */
static bool drain(struct run *run)
{
	uint64_t had = 0, moved_ns = bench_now_ns();

	atomic_store(&run->shared->phase, PHASE_DRAIN);
	for (;;) {
		uint64_t have = TOTAL(run->shared, &run->options, deliveries);
		uint64_t published = TOTAL(run->shared, &run->options, published), owed = published;

		if (!target_is_numbered(&run->options.publish))
			owed *= TOTAL(run->shared, &run->options, open);
		/* Churn and slow readers make the sum inexact: then silence tells. */
		if (have >= owed ||
		    seconds_since(moved_ns) > (run->options.churn || run->options.slow_fraction > 0
						       ? 1
						       : DRAIN_SECONDS))
			return true;
		if (have != had)
			moved_ns = bench_now_ns();
		had = have;
		if (!wait_a_little(run, "draining"))
			return false;
	}
}

/* Orders a phase in which events are published, until they are. */
static bool publish_in(struct run *run, enum phase phase, const char *what)
{
	atomic_store(&run->shared->phase, (int)phase);
	while (atomic_load(&run->shared->published) != (int)phase)
		if (!wait_a_little(run, what))
			return false;
	return true;
}

static bool listen_only(struct run *run)
{
	uint64_t begun_ns = bench_now_ns();

	while (seconds_since(begun_ns) < run->options.seconds)
		if (!wait_a_little(run, "listening"))
			return false;
	return true;
}

static bool phase_publish(struct run *run)
{
	bool done;

	usage_read(run->options.server_pid, &run->report.begun);
	if (run->options.publishes)
		done = publish_in(run, PHASE_PUBLISH, "publishing") && drain(run);
	else
		done = listen_only(run);
	usage_read(run->options.server_pid, &run->report.ended);
	return done;
}

/* All leave, events are published, all come back at once. */
static bool phase_replay(struct run *run)
{
	struct usage begun, ended;
	uint64_t begun_ns;

	atomic_store(&run->shared->phase, PHASE_CLOSE);
	while (open_streams(run) > 0)
		if (!wait_a_little(run, "leaving"))
			return false;
	if (!publish_in(run, PHASE_FILL, "publishing"))
		return false;
	usage_read(run->options.server_pid, &begun);
	begun_ns = bench_now_ns();
	atomic_store(&run->shared->phase, PHASE_RETURN);
	while (TOTAL(run->shared, &run->options, caught_up) < run->options.count)
		if (!wait_a_little(run, "catching up") || seconds_since(begun_ns) > CONNECT_SECONDS)
			return false;
	run->report.replay_seconds = seconds_since(begun_ns);
	usage_read(run->options.server_pid, &ended);
	run->report.replay_cpu_ns = ended.cpu_ns - begun.cpu_ns;
	return true;
}

/* Everything that the workers counted, in one. */
static void sum_up(struct run *run)
{
	struct totals *sum = &run->report.totals;

	for (uint32_t w = 0; w < run->options.workers; w++) {
		const struct totals *t = &run->shared->workers[w];

		sum->open += t->open + t->slow_open;
		sum->deliveries += t->deliveries;
		sum->published += t->published;
		sum->answered += t->answered;
		sum->connects += t->connects;
		sum->failures += t->failures;
		sum->closed_by_server += t->closed_by_server;
		sum->resumed += t->resumed;
		sum->bytes += t->bytes;
		sum->comments += t->comments;
		sum->foreign += t->foreign;
		sum->slow_deliveries += t->slow_deliveries;
		sum->gaps += t->gaps;
		sum->doubles += t->doubles;
		sum->misordered += t->misordered;
		sum->torn += t->torn;
		sum->missing += t->missing;
		sum->refused += t->refused;
		if (t->last_ns > sum->last_ns)
			sum->last_ns = t->last_ns;
		histogram_merge(&sum->latency, &t->latency);
	}
	sum->published_ns = run->shared->workers[0].published_ns;
	if (sum->last_ns > sum->published_ns && sum->published_ns)
		run->report.seconds = (double)(sum->last_ns - sum->published_ns) / 1e9;
}

static bool run_phases(struct run *run)
{
	return phase_connect(run) && phase_publish(run) &&
	       (!run->options.replay || phase_replay(run));
}

static int report(struct run *run)
{
	int err = run->options.svg ? report_svg(&run->report, run->options.svg) : 0;

	if (err)
		fprintf(stderr, "ssebench: %s: %s\n", run->options.svg, strerror(-err));
	if (run->options.json)
		report_json(&run->report, stdout);
	else
		report_text(&run->report, stdout);
	return err || !report_is_clean(&run->report);
}

int main(int argc, char **argv)
{
	struct run run = { .shows_progress = isatty(STDERR_FILENO) };
	int status = cli_read(&run.options, argc, argv);
	bool done;

	if (status) {
		cli_done(&run.options);
		return status == 1 ? 0 : status;
	}
	run.shows_progress = run.shows_progress && !run.options.quiet;
	run.report.options = &run.options;
	run.shared = mmap(NULL, sizeof(*run.shared), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run.shared == MAP_FAILED) {
		perror("ssebench");
		return 1;
	}
	done = run_phases(&run);
	stop_workers(&run);
	sum_up(&run);
	show_nothing(&run);
	if (!done)
		fprintf(stderr, "ssebench: the run did not come to its end\n");
	status = report(&run);
	munmap(run.shared, sizeof(*run.shared));
	cli_done(&run.options);
	return done ? status : 1;
}
