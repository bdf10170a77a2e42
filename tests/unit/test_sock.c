/*
 * sock: addresses as an operator writes them, and what is wrong with others.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sock.h"

Test(sock, addresses_are_understood)
{
	static const struct {
		const char *text, *host, *port, *path;
	} good[] = {
		{ "3000", "", "3000", "" },
		{ ":3000", "", "3000", "" },
		{ "127.0.0.1:80", "127.0.0.1", "80", "" },
		{ "[::1]:3000", "::1", "3000", "" },
		{ "localhost:65535", "localhost", "65535", "" },
		{ "unix:/run/x.sock", "", "", "/run/x.sock" },
		{ "unix:@abstract", "", "", "@abstract" },
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct sock_address address;

		cr_assert_null(sock_parse(good[i].text, &address), "%s", good[i].text);
		cr_assert_str_eq(address.host, good[i].host);
		cr_assert_str_eq(address.port, good[i].port);
		cr_assert_str_eq(address.path, good[i].path);
		cr_assert_eq(address.is_unix, good[i].path[0] != '\0');
	}
}

Test(sock, proxy_behind_an_address_asks_for_a_header)
{
	struct sock_address address;

	cr_assert_null(sock_parse("[::1]:3000,proxy", &address));
	cr_assert(address.has_header);
	cr_assert_str_eq(address.host, "::1");
	cr_assert_str_eq(address.port, "3000");
	cr_assert_null(sock_parse("unix:/run/x,proxy", &address));
	cr_assert(address.has_header);
	cr_assert_str_eq(address.path, "/run/x");
	cr_assert_null(sock_parse("unix:/run/proxy", &address));
	cr_assert(!address.has_header);
	cr_assert_not_null(sock_parse(",proxy", &address));
	cr_assert_not_null(sock_parse("3000,Proxy", &address));
	cr_assert_not_null(sock_parse("3000,proxy,proxy", &address));
}

Test(sock, other_texts_are_refused)
{
	static const char *const bad[] = { "",        "http",   "127.0.0.1",  "127.0.0.1:",
					   ":x",      "::1:80", "host:65536", "host:-1",
					   "host:8o", "unix:",  "host:000080" };
	char text[400] = "unix:/";
	struct sock_address address;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_not_null(sock_parse(bad[i], &address), "%s", bad[i]);
	memset(text + 6, 'p', 200);
	cr_assert_not_null(sock_parse(text, &address));
	memset(text, 'h', 300);
	strcpy(text + 300, ":80");
	cr_assert_not_null(sock_parse(text, &address));
}

Test(sock, a_port_in_use_is_said_and_a_name_is_written_as_a_url)
{
	const struct sock_buffers any = { 0, 0 };
	struct sock_address address;
	struct buf name;
	int first, second;

	buf_init(&name, 100);
	cr_assert_null(sock_parse("127.0.0.1:0", &address));
	first = sock_listen(&address, &any);
	cr_assert_geq(first, 0);
	sock_name(first, &name);
	cr_assert(str_starts(buf_str(&name), STR("http://127.0.0.1:")));
	buf_add_char(&name, '\0');
	cr_assert_null(sock_parse(name.p + 7, &address));
	second = sock_listen(&address, &any);
	cr_assert_eq(second, -EADDRINUSE);
	close(first);
	buf_done(&name);
}

Test(sock, a_dead_unix_socket_is_replaced_and_a_living_one_is_not)
{
	const struct sock_buffers any = { 0, 0 };
	char folder[] = "/tmp/ssecast-sock-XXXXXX", text[64];
	struct sock_address address;
	int first, second;

	cr_assert_not_null(mkdtemp(folder));
	snprintf(text, sizeof(text), "unix:%s/s", folder);
	cr_assert_null(sock_parse(text, &address));
	first = sock_listen(&address, &any);
	cr_assert_geq(first, 0);
	cr_assert_eq(sock_listen(&address, &any), -EADDRINUSE);
	close(first);
	second = sock_listen(&address, &any);
	cr_assert_geq(second, 0);
	close(second);
	unlink(text + 5);
	rmdir(folder);
}

static int buffer_of(int fd, int name)
{
	socklen_t len = sizeof(int);
	int bytes = 0;

	cr_assert(getsockopt(fd, SOL_SOCKET, name, &bytes, &len) == 0);
	return bytes;
}

Test(sock, accepted_sockets_have_the_buffers_that_were_asked_for)
{
	const struct sock_buffers buffers = { 20000, 30000 };
	struct sockaddr_storage name;
	socklen_t len = sizeof(name);
	struct sock_address address;
	int listening, client, accepted;

	cr_assert_null(sock_parse("127.0.0.1:0", &address));
	listening = sock_listen(&address, &buffers);
	cr_assert(getsockname(listening, (struct sockaddr *)&name, &len) == 0);
	client = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert(connect(client, (struct sockaddr *)&name, len) == 0);
	accepted = accept(listening, NULL, NULL);
	cr_assert_geq(accepted, 0);
	cr_expect_eq(buffer_of(accepted, SO_SNDBUF), 40000);
	cr_expect_eq(buffer_of(accepted, SO_RCVBUF), 60000);
	/* What is 0 stays as it is. */
	sock_prepare(accepted, &(struct sock_buffers){ 10000, 0 });
	cr_expect_eq(buffer_of(accepted, SO_SNDBUF), 20000);
	cr_expect_eq(buffer_of(accepted, SO_RCVBUF), 60000);
	close(client);
	close(accepted);
	close(listening);
}
