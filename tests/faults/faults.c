/*
 * faults: the daemon while one system or library call fails.
 *
 * For each story, each call that it makes, each errno of that call, each use: the story is told
 * anew, and in its middle that one use fails. Then: the daemon runs on; whoever was not hit keeps
 * the connection; every subscriber, who comes back with its last id if it was cut, has each
 * accepted event once and in order; new clients are served; nothing that waits is forgotten; at the
 * end every descriptor is given back. At the start it may refuse to start, with nothing left
 * behind. Memory is counted by a build with AddressSanitizer.
 *
 *	faults [STORY [CALL [USE]]]	prints the number of cases of each call; a call that no
 *					story makes is a mistake
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "people.h"
#include "stories.h"
#include "wraps.h"

/* Uses of one call in one story that are tried with one errno, and with $FAULTS_USES others. */
enum { USES_TRIED = 12 };

static const struct story stories[] = {
	{ .name = "streams", .tell = story_streams },
	{ .name = "requests", .tell = story_requests },
	{ .name = "pipe", .tell = story_pipe },
	{ .name = "socket", .tell = story_socket },
	{ .name = "upgrade", .tell = story_upgrade },
	{ .name = "crash", .tell = story_crash },
	{ .name = "program", .tell = story_program, .is_apart = true },
};

enum { STORIES = sizeof(stories) / sizeof(stories[0]) };

/* Of all stories, which are told at the same time: shared memory. */
struct results {
	unsigned uses[STORIES][CALLS_MAX], cases[STORIES][CALLS_MAX];
};

/* One fault: whether it happened. */
static bool run(const struct story *story, const struct wrap *wrap, int err, unsigned use)
{
	unsigned descriptors = descriptors_open(OURS), ours = descriptors_open(1 << 20);

	snprintf(world.what, sizeof(world.what), "%s: %s, use %u, %s", story->name, wrap->name, use,
		 wraps_errname(err));
	world.call = wrap->name;
	world.published = 0;
	world.err = 0;
	world.must_poke = world.may_begin_anew = false;
	world.may_cut_anybody = wrap->may_cut;
	world.cuts_max = 1;
	house_ahead_ms = 0;
	wraps_arm(wrap->name, err, use);
	story->tell();
	wraps_disarm();
	EXPECT(descriptors_open(OURS) == descriptors, "a descriptor is not given back");
	EXPECT(descriptors_open(1 << 20) == ours, "the test has lost a descriptor");
	EXPECT(strcmp(wrap->name, "unlink") == 0 || strcmp(wrap->name, "lstat") == 0 ||
		       access(world_path("socket"), F_OK) < 0,
	       "a socket's file is left behind");
	return wraps_has_hit();
}

/*
 * Fails the call in a story that makes so many uses of it: how many cases there were. Of many uses
 * each errno has a share of its own, so that all of them have their turn. one: only this use, 0 =
 * not so.
 */
static unsigned try(const struct story *story, const struct wrap *wrap, unsigned uses, unsigned one)
{
	const char *wanted = getenv("FAULTS_USES");
	unsigned stride = uses / (wanted ? (unsigned)atoi(wanted) : USES_TRIED) + 1, cases = 0;

	for (unsigned e = 0; wrap->errnos[e]; e++) {
		int err = wrap->errnos[e];

		/* What the kernel would tell later, nobody can tell another process. */
		if (story->is_apart && (err == EAGAIN || err == SHORT))
			continue;
		if (one)
			cases += run(story, wrap, err, one);
		for (unsigned use = 1 + e % stride; use <= uses && !one; use += stride)
			cases += run(story, wrap, err, use);
	}
	return cases;
}

static void tell(const struct story *story, char *const *only, unsigned *uses, unsigned *cases)
{
	const char *call = only[0], *one = call ? only[1] : NULL;

	/* Low numbers are the daemon's: what the shell has left there is nobody's. */
	close_range(STDERR_FILENO + 1, OURS - 1, 0);
	world.out = descriptor_ours(dup(STDOUT_FILENO));
	dup2(STDERR_FILENO, STDOUT_FILENO);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	world_prepare();
	run(story, &wraps[0], 1, 0); /* so that libc has opened what it keeps open */
	run(story, &wraps[0], 1, 0);
	for (unsigned i = 0; i < wrap_count; i++)
		uses[i] = wraps_uses(wraps[i].name);
	for (unsigned i = 0; i < wrap_count; i++) {
		if (!call || strcmp(call, wraps[i].name) == 0)
			cases[i] = try(story, &wraps[i], uses[i], one ? (unsigned)atoi(one) : 0);
	}
	world_clean();
}

static pid_t begin(unsigned s, char *const *only, struct results *results)
{
	pid_t pid = fork();

	if (pid == 0) {
		tell(&stories[s], only, results->uses[s], results->cases[s]);
		exit(EXIT_SUCCESS);
	}
	return pid;
}

/* Prints the table: whether every call was made. */
static bool print(const struct results *results)
{
	unsigned total = 0, missing = 0;

	printf("faults: %-23s", "cases in story:");
	for (unsigned s = 0; s < STORIES; s++)
		printf(" %8s", stories[s].name);
	printf("\n");
	for (unsigned i = 0; i < wrap_count; i++) {
		unsigned uses = 0;

		printf("faults: %-23s", wraps[i].name);
		for (unsigned s = 0; s < STORIES; s++) {
			uses += results->uses[s][i];
			total += results->cases[s][i];
			printf(" %8u", results->cases[s][i]);
		}
		printf("%s\n", uses ? "" : "  is never made");
		missing += uses == 0;
	}
	printf("faults: %u cases of (call, errno, use) hold\n", total);
	/* Under a sanitizer no walls are built. */
#ifdef TEST_UNCONFINED
	return true;
#else
	return missing == 0;
#endif
}

/* The test's main(): the program's own is there, too. */
int __wrap_main(int argc, char **argv);

int __wrap_main(int argc, char **argv)
{
	struct results *results = mmap(NULL, sizeof(*results), PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *only = argc > 1 ? argv[1] : NULL;
	bool all_hold = true;
	pid_t pids[STORIES] = { 0 };

	world.out = STDOUT_FILENO;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN); /* but where the daemon wants to be told */
	/* The daemon has a lot to say here. */
	EXPECT(freopen("/dev/null", "w", stderr), "no /dev/null");
	setvbuf(stderr, NULL, _IONBF, 0); /* children say only what is theirs */
	wraps_on_hit = people_hit;
	for (unsigned s = 0; s < STORIES; s++)
		if (!only || strcmp(only, stories[s].name) == 0)
			pids[s] = begin(s, argv + (argc > 2 ? 2 : argc), results);
	for (unsigned s = 0; s < STORIES; s++) {
		int status = 0;

		if (pids[s])
			waitpid(pids[s], &status, 0);
		all_hold = all_hold && status == 0;
	}
	if (!all_hold)
		return EXIT_FAILURE;
	return print(results) || only ? EXIT_SUCCESS : EXIT_FAILURE;
}
