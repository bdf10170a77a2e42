/*
 * replay: runs the fuzz targets over kept inputs, without a fuzzer.
 *
 *	replay CORPUS...	each a folder named after its target, with a file for each input
 */
#include <dirent.h>

#include "fuzz.h"

enum { INPUT_MAX = 1 << 20 };

static const struct {
	const char *name;
	fuzz_target *target;
} targets[] = {
#define FUZZ_ROW(name) { #name, fuzz_##name },
	FUZZ_TARGETS(FUZZ_ROW)
};

static fuzz_target *target_of(const char *folder)
{
	const char *name = strrchr(folder, '/');

	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		if (strcmp(targets[i].name, name ? name + 1 : folder) == 0)
			return targets[i].target;
	fprintf(stderr, "replay: there is no target for %s\n", folder);
	exit(1);
}

static void run_file(const char *folder, const char *name, fuzz_target *target)
{
	static char bytes[INPUT_MAX];
	char path[4096];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "r");
	EXPECT(file);
	n = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	char *copy = fuzz_copy((struct str){ bytes, n });

	target((const uint8_t *)copy, n);
	free(copy);
}

/* Runs what is in the folder: how many inputs. */
static unsigned run_folder(const char *folder)
{
	fuzz_target *target = target_of(folder);
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	unsigned count = 0;

	EXPECT(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		run_file(folder, entry->d_name, target);
		count++;
	}
	closedir(dir);
	return count;
}

int main(int argc, char **argv)
{
	unsigned count = 0;

	for (int i = 1; i < argc; i++)
		count += run_folder(argv[i]);
	printf("replay: %u inputs of %d targets hold\n", count, argc - 1);
	return count == 0;
}
