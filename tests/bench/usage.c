/*
 * usage: see usage.h.
 */
#include "usage.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The number behind name in a file of `name number` lines; 0 if there is none. */
static uint64_t number_in(const char *path, const char *name)
{
	unsigned long long value = 0;
	char line[512], *at;
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof(line), file)) {
		at = strstr(line, name);
		if (!at)
			continue;
		value = strtoull(at + strlen(name), NULL, 10);
		break;
	}
	if (file)
		fclose(file);
	return value;
}

static void add_thread(int pid, const char *tid, struct usage *usage)
{
	char path[128];
	unsigned long long ns = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat", pid, tid);
	file = fopen(path, "re");
	if (file && fscanf(file, "%llu", &ns) == 1)
		usage->cpu_ns += ns;
	if (file)
		fclose(file);
	snprintf(path, sizeof(path), "/proc/%d/task/%.20s/status", pid, tid);
	usage->switches += number_in(path, "voluntary_ctxt_switches:") +
			   number_in(path, "nonvoluntary_ctxt_switches:");
}

void usage_read(int pid, struct usage *usage)
{
	char path[64];
	struct dirent *entry;
	DIR *tasks;

	*usage = (struct usage){ 0 };
	if (!pid)
		return;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	while (tasks && (entry = readdir(tasks)))
		if (entry->d_name[0] != '.')
			add_thread(pid, entry->d_name, usage);
	if (tasks)
		closedir(tasks);
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	usage->rss_bytes = number_in(path, "VmRSS:") * 1024;
	usage->tcp_mem_bytes =
		number_in("/proc/net/sockstat", " mem ") * (uint64_t)sysconf(_SC_PAGESIZE);
}
