/* Configuration files: read, said what is wrong with, read again as by SIGHUP. */
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "config.h"

int FUZZ_TARGET(config)(const uint8_t *bytes, size_t n)
{
	int fd = memfd_create("config", 0);
	char path[64], said[8192];
	char *argv[] = { "ssecastd", "--config", path };
	FILE *err = fmemopen(said, sizeof(said), "w");
	struct config config;
	struct buf kept;
	int result;

	EXPECT(fd >= 0 && err && write(fd, bytes, n) == (ssize_t)n);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	EXPECT(config_init(&config) == 0);
	result = (int)config_read(&config, 3, argv, err, err);
	fclose(err);
	EXPECT(result == CONFIG_RUN || result == CONFIG_EXIT_USAGE);
	/* One line, whatever the file has in it. */
	if (result == CONFIG_EXIT_USAGE) {
		EXPECT(strncmp(said, "ssecastd: ", 10) == 0);
		EXPECT(strchr(said, '\n') == NULL || strchr(said, '\n')[1] == '\0');
	} else {
		EXPECT(config.clients_max > 0 && config.ring_bytes >= 65536);
		buf_init(&kept, 1 << 16);
		EXPECT(config_reload(&config, 3, argv, &kept) == 0 && kept.n == 0);
		buf_done(&kept);
	}
	config_done(&config);
	close(fd);
	return 0;
}
