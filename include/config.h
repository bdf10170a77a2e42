/*
 * config: reads what can be set (options.h) from the command line and the configuration file alike.
 *
 * An option `--tick-interval 5s` (or `--tick-interval=5s`) on the command line is the line
 * `tick-interval 5s` in the file. The command line wins over the file, the file over the defaults.
 * For options that can be repeated (listen, control, cors-origin) the command line's values replace
 * those of the file, which replace the default; an empty value adds nothing, so that
 * `--cors-origin ""` is an empty list.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdio.h>

#include "options.h"

enum { CONFIG_FILE_MAX = 65536 }; /* bytes of the configuration file */

enum config_result {
	CONFIG_RUN = 0,
	CONFIG_EXIT_OK = 1, /* --help or --version was answered on stdout, or --check-config found
			       no fault */
	CONFIG_EXIT_USAGE = 2, /* what is wrong was said on stderr: one line */
};

/* The defaults. Frees nothing: for a fresh struct. Returns 0, or -ENOMEM with a struct that is only
 * good for config_done(). */
int config_init(struct config *config);
void config_done(struct config *config);

/*
 * Reads argv (argv[0] is the program) and the file that --config names into a config that has the
 * defaults. On CONFIG_EXIT_USAGE one line `ssecastd: …` has been written to err that names the
 * option, the value, what would be right, and for the file its name and line. Whatever it returns,
 * config_done() is the caller's.
 */
enum config_result config_read(struct config *config, int argc, char **argv, FILE *out, FILE *err);

/*
 * For SIGHUP: reads argv and file again into a fresh config and takes over what can change while
 * running. Appends one sentence for each option whose new value needs a restart, to kept, each
 * ending in a newline. Returns 0, or -EINVAL with the reason (one sentence, no newline) in kept and
 * config unchanged, or -ENOMEM. Texts and lists of config may have moved: borrow them again.
 */
int config_reload(struct config *config, int argc, char **argv, struct buf *kept);

#endif
