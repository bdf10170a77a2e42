/*
 * floods: what many hostile clients do at once, against the real binary; and what its other clients
 * notice.
 *
 * A daemon serves a crowd, in quiet and under attack by turns. Of the times that events take to
 * reach the crowd under attack, the 99th percentile is at most twice that of the times in quiet.
 * New clients are served, memory is below what --print-limits says, a counter names the reason, and
 * afterwards the daemon is as empty as before.
 *
 * The attackers have a host of their own (see hosts.sh) and, since real ones do not share the
 * daemon's, a processor: the daemon runs on the first, all others on the rest. As root they all go
 * before what else runs on this machine; what that does nevertheless is told from what the
 * attackers do by trying again.
 *
 * FLOOD_MS tells how long each phase lasts.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attacks.h"
#include "bounds.h"
#include "clock.h"
#include "crowd.h"
#include "metrics.h"

enum { PHASE_MS = 500, PHASES = 3, WARM_UP_MS = 300, NEWCOMERS = 5, TRIES = 6, TIMES = 2 };

/* What the tests' daemons are told. */
#define LIMITS                                                                                \
	"--listen", "0.0.0.0:0", "--max-clients", "15000", "--ring-bytes", "4M",              \
		"--max-request-memory", "16M", "--max-topics", "20000", "--sndbuf", "16K",    \
		"--head-timeout", "300ms", "--body-timeout", "300ms", "--idle-timeout", "5s", \
		"--stall-timeout", "300ms", "--welcome", ""

struct flood {
	const char *name;
	attack *round;
	const char *reason; /* what it makes grow: a sample of /metrics, or the kernel's counter */
	struct daemon d;
	struct target target;
	struct crowd crowd;
	struct delays quiet, loud;
	uint64_t ceiling, memory_max;        /* bytes, in user space */
	uint64_t kernel_ceiling, kernel_max; /* and of sockets */
};

/* --- the attackers' host --- */

/*
 * This process runs from now on on the first processor, or on all others where there are some, and
 * as root before what else runs on this machine.
 */
static void take_processors(bool is_first, int priority)
{
	struct sched_param param = { .sched_priority = priority };
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int i = 0; i < sysconf(_SC_NPROCESSORS_ONLN); i++)
		if ((i == 0) == is_first)
			CPU_SET((size_t)i, &set);
	if (CPU_COUNT(&set))
		sched_setaffinity(0, sizeof(set), &set);
	sched_setscheduler(0, SCHED_FIFO, &param);
}

static pid_t start_attack(const struct flood *flood)
{
	int host = open(getenv("ATTACKERS"), O_RDONLY | O_CLOEXEC);
	pid_t pid = fork();

	cr_assert(host >= 0 && pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		take_processors(false, 1);
		if (setns(host, CLONE_NEWNET) < 0)
			abort();
		for (;;)
			flood->round(&flood->target);
	}
	close(host);
	return pid;
}

static void stop_attack(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	cr_assert(WTERMSIG(status) == SIGKILL, "the attack has ended by itself");
}

/* --- the daemon --- */

static void start(struct flood *flood, const char *const *options)
{
	struct daemon *d = &flood->d;

	take_processors(true, 1);
	daemon_init(d);
	cr_assert(daemon_run(d, OPTIONS("--print-limits", LIMITS)) == 0);
	flood->ceiling = limit_said(d, "\ntotal ");
	flood->kernel_ceiling = limit_said(d, "\nkernel ");
	daemon_forget_log(d);
	daemon_start(d, options);
	d->port = (int)limit_said(d, "listening on http://0.0.0.0:");
	flood->target = (struct target){ (uint16_t)d->port, d->control };
	take_processors(false, 2);
}

/* As it is when nobody is there but the crowd, its publisher, and who asks. */
static void expect_idle(const struct daemon *d)
{
	metric_wait_down(d, "ssecast_connections", CROWD_SUBSCRIBERS + 2);
	metric_wait_down(d, "ssecast_request_bytes", 64 * 1024);
	metric_wait_down(d, "ssecast_topics", 1);
}

static void expect_newcomers_served(const struct daemon *d)
{
	for (int i = 0; i < NEWCOMERS; i++)
		cr_expect(
			request(d, NULL,
				"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") ==
			200);
}

/* A counter of this host's kernel, from the table of names and numbers in /proc/net/netstat. */
static double kernel_counter(const char *name)
{
	FILE *file = fopen("/proc/net/netstat", "r");
	char names[8192], numbers[8192], *name_rest, *number_rest;
	double value = -1;

	cr_assert(file && fgets(names, sizeof(names), file) &&
		  fgets(numbers, sizeof(numbers), file));
	fclose(file);
	for (char *at = strtok_r(names, " \n", &name_rest),
		  *number = strtok_r(numbers, " \n", &number_rest);
	     at && number;
	     at = strtok_r(NULL, " \n", &name_rest), number = strtok_r(NULL, " \n", &number_rest))
		if (strcmp(at, name) == 0)
			value = strtod(number, NULL);
	cr_assert(value >= 0, "the kernel does not count %s", name);
	return value;
}

static void expect_reason(const struct flood *flood)
{
	if (strncmp(flood->reason, "ssecast_", 8) == 0)
		metric_wait(&flood->d, flood->reason, 1);
	else
		cr_expect(kernel_counter(flood->reason) >= 10000, "%s", flood->reason);
}

/* --- the test --- */

static uint64_t phase_ms(void)
{
	uint64_t ms;

	return str_to_u64(str_of(getenv("FLOOD_MS")), 60000, &ms) ? PHASE_MS : ms;
}

/* What the daemon and its sockets hold now, if that is more than ever before. */
static void look_at_memory(struct flood *flood)
{
	uint64_t memory = memory_held(&flood->d);
	struct sockets_held held;

	if (memory > flood->memory_max)
		flood->memory_max = memory;
	if (sockets_held(flood->d.port, &held) && held.bytes > flood->kernel_max)
		flood->kernel_max = held.bytes;
}

/* In quiet, and under attack. */
static void phases(struct flood *flood)
{
	struct delays warm_up = { 0 };
	pid_t pid;

	crowd_measure(&flood->crowd, phase_ms(), &flood->quiet);
	pid = start_attack(flood);
	crowd_measure(&flood->crowd, WARM_UP_MS, &warm_up);
	look_at_memory(flood);
	crowd_measure(&flood->crowd, phase_ms(), &flood->loud);
	expect_newcomers_served(&flood->d);
	look_at_memory(flood);
	stop_attack(pid);
	delays_done(&warm_up);
	expect_idle(&flood->d);
}

/* True if the crowd has noticed next to nothing. */
static bool is_endured(struct flood *flood)
{
	double before = metric(&flood->d, "ssecast_accepts_total");
	uint64_t quiet, loud;
	bool is_calm;

	for (int i = 0; i < PHASES; i++)
		phases(flood);
	quiet = delays_percentile(&flood->quiet, 99);
	loud = delays_percentile(&flood->loud, 99);
	is_calm = loud <= TIMES * quiet;
	fprintf(stderr,
		"floods: %-13s p99 quiet %6.3f ms, flooded %6.3f ms (x %.2f); %6.0f accepted; "
		"memory %4.1f and %5.1f MB%s\n",
		flood->name, (double)quiet / 1e6, (double)loud / 1e6, (double)loud / (double)quiet,
		metric(&flood->d, "ssecast_accepts_total") - before,
		(double)flood->memory_max / 1e6, (double)flood->kernel_max / 1e6,
		is_calm ? "" : " (again)");
	delays_done(&flood->quiet);
	delays_done(&flood->loud);
	return is_calm;
}

static void endure(const char *name, attack *round, const char *reason, const char *const *options)
{
	struct flood *flood = calloc(1, sizeof(*flood));
	bool is_calm = false;

	cr_assert(flood && getenv("ATTACKERS"), "tests/floods/hosts.sh runs this");
	flood->name = name;
	flood->round = round;
	flood->reason = reason;
	start(flood, options);
	crowd_open(&flood->crowd, &flood->d);
	for (int i = 0; i < TRIES && !is_calm; i++)
		is_calm = is_endured(flood);
	cr_expect(is_calm, "%s: who listens waits too long", name);
	cr_expect(flood->memory_max <= flood->ceiling && flood->kernel_max <= flood->kernel_ceiling,
		  "%llu bytes, and %llu in the kernel", (unsigned long long)flood->memory_max,
		  (unsigned long long)flood->kernel_max);
	expect_reason(flood);
	crowd_close(&flood->crowd);
	daemon_stop(&flood->d);
	free(flood);
}

#define REASON(name) "ssecast_disconnects_total{reason=\"" name "\"}"

#define FLOOD(name, reason, ...)                                          \
	Test(floods, name)                                                \
	{                                                                 \
		endure(#name, name, reason, OPTIONS(LIMITS __VA_ARGS__)); \
	}

FLOOD(slow_heads, REASON("head_timeout"))
FLOOD(slow_bodies, REASON("body_timeout"))
FLOOD(slow_chunks, REASON("body_timeout"))
FLOOD(silent_ones, REASON("head_timeout"))
FLOOD(half_open, "SyncookiesSent")
FLOOD(slow_readers, REASON("stalled"))
FLOOD(pages_unread, REASON("stalled"))
FLOOD(many_topics, REASON("client"))
FLOOD(long_lists, REASON("client"))
FLOOD(connections, REASON("client"))
FLOOD(one_address, REASON("too_fast"), , "--max-accepts-per-ip", "150")
FLOOD(resets, REASON("client"))
FLOOD(pipelined, REASON("client"))
FLOOD(rubbish, REASON("refused"))
FLOOD(header_bombs, REASON("client"))
FLOOD(full_speed, REASON("lagged"))
