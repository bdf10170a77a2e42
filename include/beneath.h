/*
 * beneath: opening files for reading that lie in a folder, and nothing outside of it.
 *
 * Paths are relative, without "." and "..", as uri_file_path() makes them. Opening blocks on no
 * FIFO, waits for no device and takes no terminal. What was opened may be a folder or anything
 * else: the caller asks fstat(2).
 */
#ifndef BENEATH_H
#define BENEATH_H

/*
 * Opens path below the folder root_fd. Symbolic links are followed as long as they stay below it.
 * Where the kernel is older than openat2(2) (Linux 5.6), or a sandbox does not know it, none are
 * followed. Returns the descriptor, or -errno: -EXDEV or -ELOOP for what leads out.
 */
int beneath_open(int root_fd, const char *path);

/* The way without openat2(2): one name at a time, no symbolic links (-ELOOP or -ENOTDIR). */
int beneath_walk(int root_fd, const char *path);

#endif
