/*
 * Configuration files: read, said what is wrong with, read again as by SIGHUP; and the same lines
 * as arguments mean the same.
 */
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "config.h"
#include "options.h"

enum { ARGS_MAX = 200, SAID_MAX = 8192 };

static enum config_result read_into(struct config *config, int argc, char **argv, char *said)
{
	FILE *err = fmemopen(said, SAID_MAX, "w");
	enum config_result result;

	EXPECT(err && config_init(config) == 0);
	result = config_read(config, argc, argv, err, err);
	fclose(err);
	EXPECT(result == CONFIG_RUN || result == CONFIG_EXIT_USAGE);
	/* One line, whatever the file has in it. */
	if (result == CONFIG_EXIT_USAGE) {
		EXPECT(strncmp(said, "ssecastd: ", 10) == 0);
		EXPECT(strchr(said, '\n') == NULL || strchr(said, '\n')[1] == '\0');
		for (size_t i = 0; said[i] && said[i] != '\n'; i++)
			EXPECT((unsigned char)said[i] >= ' ' && said[i] != 0x7f);
	}
	return result;
}

/* Numbers are where the table says. */
static void expect_limits(const struct config *config)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct option *option = &option_table[i];
		uint64_t number;

		if (option->kind != VALUE_BYTES && option->kind != VALUE_MS &&
		    option->kind != VALUE_COUNT)
			continue;
		memcpy(&number, (const char *)config + option->offset, sizeof(number));
		EXPECT(number >= option->min && number <= option->max);
	}
}

/* Only what is a list may be named twice. */
static void expect_once(char **argv, int argc)
{
	for (int i = 1; i < argc; i++) {
		size_t n = strcspn(argv[i], "=");
		const struct option *option = option_find((struct str){ argv[i] + 2, n - 2 });

		EXPECT(option);
		for (int j = i + 1; j < argc && option->kind != VALUE_LIST; j++)
			EXPECT(strncmp(argv[i], argv[j], n + 1) != 0);
	}
}

/* A line as an argument; NULL where it has no option. To be freed. */
static char *argument_of(struct str line)
{
	struct str value;
	struct buf out;
	size_t n = 0;

	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	line = str_trim(line);
	if (line.n == 0 || line.p[0] == '#')
		return NULL;
	while (n < line.n && line.p[n] != ' ' && line.p[n] != '\t')
		n++;
	value = str_trim(str_from(line, n));
	if (value.n && value.p[0] == '"')
		value = (struct str){ value.p + 1, value.n - 2 };
	buf_init(&out, 1 << 17);
	buf_addf(&out, "--%.*s=%.*s", (int)n, line.p, STR_ARG(value));
	buf_add_char(&out, '\0');
	EXPECT(out.err == 0);
	return out.p;
}

static void expect_same_as_arguments(const struct config *config, struct str file)
{
	char *argv[ARGS_MAX] = { "ssecastd" }, said[SAID_MAX];
	struct config again;
	struct str line;
	int argc = 1;

	while (argc < ARGS_MAX && str_cut(&file, '\n', &line))
		if ((argv[argc] = argument_of(line)))
			argc++;
	if (argc < ARGS_MAX) {
		expect_once(argv, argc);
		EXPECT(read_into(&again, argc, argv, said) == CONFIG_RUN);
		for (size_t i = 0; i < option_count; i++)
			if (!option_table[i].argv_only && option_table[i].kind != VALUE_ANSWER)
				EXPECT(value_equal(&option_table[i], config, &again));
		config_done(&again);
	}
	while (--argc > 0)
		free(argv[argc]);
}

int FUZZ_TARGET(config)(const uint8_t *bytes, size_t n)
{
	int fd = memfd_create("config", 0);
	char path[64], said[SAID_MAX];
	char *argv[] = { "ssecastd", "--config", path };
	struct config config;
	struct buf kept;

	EXPECT(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (read_into(&config, 3, argv, said) == CONFIG_RUN) {
		expect_limits(&config);
		buf_init(&kept, 1 << 16);
		EXPECT(config_reload(&config, 3, argv, &kept) == 0 && kept.n == 0);
		buf_done(&kept);
		expect_same_as_arguments(&config, (struct str){ (const char *)bytes, n });
	}
	config_done(&config);
	close(fd);
	return 0;
}
