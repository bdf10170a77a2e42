/*
 * bounds: see bounds.h.
 */
#include "bounds.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t limit_said(const struct daemon *d, const char *name)
{
	const char *at = strstr(d->log.p, name);

	cr_assert(at, "%s", d->log.p);
	return strtoull(at + strlen(name), NULL, 10);
}

uint64_t memory_held(const struct daemon *d)
{
	static const char *const names[] = { "RssAnon:", "RssShmem:" };
	char path[64], line[256];
	uint64_t kib = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)d->pid);
	file = fopen(path, "r");
	cr_assert(file);
	while (fgets(line, sizeof(line), file))
		for (size_t i = 0; i < 2; i++)
			if (strncmp(line, names[i], strlen(names[i])) == 0)
				kib += strtoull(line + strlen(names[i]), NULL, 10);
	fclose(file);
	return kib * 1024;
}
