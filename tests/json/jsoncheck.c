/*
 * jsoncheck: says of each file that is named whether json.c takes it: `accept NAME` or `refuse
 * NAME`. For collections of JSON texts that other people have made.
 */
#include <stdio.h>
#include <stdlib.h>

#include "json.h"

enum { TEXT_MAX = 1 << 20 };

int main(int argc, char **argv)
{
	char *text = malloc(TEXT_MAX);

	for (int i = 1; text && i < argc; i++) {
		FILE *file = fopen(argv[i], "rb");
		struct str bytes = { text, 0 }, value;

		if (!file) {
			perror(argv[i]);
			return EXIT_FAILURE;
		}
		bytes.n = fread(text, 1, TEXT_MAX, file);
		fclose(file);
		printf("%s %s\n", json_check(bytes, &value) ? "refuse" : "accept", argv[i]);
	}
	free(text);
	return EXIT_SUCCESS;
}
