/*
 * manager: takes what a service tells its manager, and keeps what it gives it to keep, until it is
 * ended. For measuring what the daemon does for crashes, which it does only under a manager.
 *
 *	manager SOCKET-PATH
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char **argv)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (argc != 2 || strlen(argv[1]) >= sizeof(name.sun_path)) {
		fputs("usage: manager SOCKET-PATH\n", stderr);
		return EXIT_FAILURE;
	}
	strcpy(name.sun_path, argv[1]);
	if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0) {
		perror("manager");
		return EXIT_FAILURE;
	}
	for (;;) {
		char text[4096], control[CMSG_SPACE(16 * sizeof(int))];
		struct iovec piece = { text, sizeof(text) };
		struct msghdr message = { .msg_iov = &piece,
					  .msg_iovlen = 1,
					  .msg_control = control,
					  .msg_controllen = sizeof(control) };

		/* The descriptors stay open: that is all there is to keeping them. */
		if (recvmsg(fd, &message, MSG_CMSG_CLOEXEC) < 0)
			return EXIT_FAILURE;
	}
}
