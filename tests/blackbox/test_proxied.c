/*
 * Behind a proxy: whose address counts and is logged, and who is not believed.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "metrics.h"
#include "reader.h"

#define GET "GET /healthz HTTP/1.1\r\nHost: a\r\n"
#define XFF "X-Forwarded-For: "

/* One request on the connection; its answer is thrown away. */
static void ask(struct client *c, const char *fields)
{
	struct response r;

	client_sendf(c, GET "%s\r\n", fields);
	client_read(c, &r);
	cr_expect(r.status == 200);
	response_done(&r);
}

static void expect_logged(struct daemon *d, const char *address)
{
	char line[128];

	snprintf(line, sizeof(line), " %s \"GET ", address);
	daemon_wait_log(d, line);
	daemon_forget_log(d);
}

Test(proxied, forwarded_address_is_believed_from_a_trusted_proxy_alone)
{
	static const struct {
		const char *trusted, *fields, *logged;
	} rows[] = {
		{ "", XFF "192.0.2.7\r\n", "127.0.0.1" },
		{ "10.0.0.0/8", XFF "192.0.2.7\r\n", "127.0.0.1" },
		{ "127.0.0.0/8", XFF "192.0.2.7\r\n", "192.0.2.7" },
		{ "127.0.0.1", XFF "198.51.100.1, 2001:db8::7\r\n", "2001:db8::7" },
		{ "127.0.0.1", "", "127.0.0.1" },
		{ "127.0.0.1", XFF "nonsense\r\n", "127.0.0.1" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct daemon d;
		struct client c;

		daemon_begin(&d, OPTIONS("--access-log", "--trusted-proxy", rows[i].trusted));
		client_open(&c, &d);
		ask(&c, rows[i].fields);
		expect_logged(&d, rows[i].logged);
		client_close(&c);
		daemon_stop(&d);
	}
}

/* A proxy asks for one client after the other on the same connection. */
Test(proxied, each_request_has_its_own_client)
{
	struct daemon d;
	struct client c;

	daemon_begin(&d, OPTIONS("--access-log", "--trusted-proxy", "10.0.0.0/8", "--trusted-proxy",
				 "127.0.0.1"));
	client_open(&c, &d);
	ask(&c, XFF "192.0.2.7\r\n");
	expect_logged(&d, "192.0.2.7");
	ask(&c, XFF "192.0.2.8, 10.1.1.1\r\n");
	expect_logged(&d, "192.0.2.8");
	ask(&c, "");
	expect_logged(&d, "127.0.0.1");
	client_close(&c);
	daemon_stop(&d);
}

Test(proxied, reload_changes_who_is_trusted)
{
	struct daemon d;
	struct client c;
	const char *file;

	daemon_init(&d);
	file = daemon_file(&d, "conf", STR("access-log on\ntrusted-proxy 10.0.0.1\n"));
	daemon_start(&d, OPTIONS("--config", file));
	daemon_file(&d, "conf", STR("access-log on\ntrusted-proxy 127.0.0.1\n"));
	daemon_signal(&d, SIGHUP);
	daemon_wait_log(&d, "read again");
	client_open(&c, &d);
	ask(&c, XFF "192.0.2.7\r\n");
	expect_logged(&d, "192.0.2.7");
	client_close(&c);
	daemon_stop(&d);
}

static void open_stream_for(struct reader *s, struct client *c, const char *client)
{
	client_sendf(c, "GET /sse HTTP/1.1\r\nHost: a\r\n" XFF "%s\r\n\r\n", client);
	reader_begin(s, c);
}

Test(proxied, limit_of_an_address_is_that_of_the_client)
{
	struct reader first, second, third, other;
	struct client idle, c;
	struct daemon d;

	daemon_begin(&d,
		     OPTIONS(QUIET, "--trusted-proxy", "127.0.0.1", "--max-clients-per-ip", "2"));
	/* Served once and kept open by the proxy: nobody's any more. */
	client_open(&idle, &d);
	ask(&idle, XFF "192.0.2.7\r\n");
	client_open(&c, &d);
	open_stream_for(&first, &c, "192.0.2.7");
	client_open(&c, &d);
	open_stream_for(&second, &c, "192.0.2.7");
	metric_wait(&d, "ssecast_clients{state=\"live\"}", 2);
	client_open(&c, &d);
	open_stream_for(&third, &c, "192.0.2.7");
	reader_wait_end(&third);
	client_open(&c, &d);
	open_stream_for(&other, &c, "192.0.2.8");
	metric_wait(&d, "ssecast_clients{state=\"live\"}", 3);
	cr_expect(metric(&d, "ssecast_disconnects_total{reason=\"over_limit\"}") < 1.5);
	reader_close(&third);
	/* And one that goes makes room for another. */
	reader_close(&first);
	metric_wait_down(&d, "ssecast_clients{state=\"live\"}", 2);
	client_open(&c, &d);
	open_stream_for(&first, &c, "192.0.2.7");
	metric_wait(&d, "ssecast_clients{state=\"live\"}", 3);
	reader_close(&first);
	reader_close(&second);
	reader_close(&other);
	client_close(&idle);
	daemon_stop(&d);
}

Test(proxied, unix_socket_can_be_trusted)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	char listen[128];
	struct daemon d;
	struct client c = { .fd = socket(AF_UNIX, SOCK_STREAM, 0) };

	daemon_init(&d);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", daemon_path(&d, "front.sock"));
	snprintf(listen, sizeof(listen), "unix:%s", name.sun_path);
	daemon_start(&d, OPTIONS("--access-log", "--trusted-proxy", "unix", "--listen", listen,
				 "--listen", "127.0.0.1:0"));
	cr_assert(connect(c.fd, (const struct sockaddr *)&name, sizeof(name)) == 0);
	buf_init(&c.in, 1 << 20);
	ask(&c, XFF "192.0.2.7\r\n");
	expect_logged(&d, "192.0.2.7");
	ask(&c, "");
	expect_logged(&d, "unix");
	client_close(&c);
	daemon_stop(&d);
}

/* --- the PROXY protocol --- */

#define V2     "\r\n\r\n\0\r\nQUIT\n"
#define BEHIND OPTIONS(QUIET, "--access-log", "--listen", "127.0.0.1:0,proxy")

static void expect_client(struct daemon *d, struct str header, const char *client)
{
	struct client c;

	client_open(&c, d);
	client_send(&c, header);
	ask(&c, XFF "198.51.100.1\r\n");
	expect_logged(d, client);
	ask(&c, "");
	expect_logged(d, client);
	client_close(&c);
}

Test(proxied, header_of_a_balancer_names_the_client)
{
	struct daemon d;

	daemon_begin(&d, BEHIND);
	expect_client(&d, STR("PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n"), "192.0.2.7");
	expect_client(&d, STR("PROXY TCP6 2001:db8::7 ::1 1 2\r\n"), "2001:db8::7");
	expect_client(&d, STR("PROXY UNKNOWN\r\n"), "127.0.0.1");
	expect_client(&d, STR(V2 "\x21\x11\0\x0c\xc0\0\2\7\xc0\0\2\1\0\1\0\2"), "192.0.2.7");
	expect_client(&d, STR(V2 "\x20\0\0\0"), "127.0.0.1");
	daemon_stop(&d);
}

/* TLS ends at a proxy behind a balancer: the header names the proxy, the proxy the client. */
Test(proxied, header_and_forwarded_address_go_together)
{
	struct daemon d;
	struct client c;

	daemon_begin(&d, OPTIONS("--access-log", "--listen", "127.0.0.1:0,proxy", "--trusted-proxy",
				 "10.0.0.0/8"));
	client_open(&c, &d);
	client_sendf(&c, "PROXY TCP4 10.1.1.1 10.0.0.1 1 2\r\n");
	ask(&c, XFF "192.0.2.7\r\n");
	expect_logged(&d, "192.0.2.7");
	client_close(&c);
	daemon_stop(&d);
}

Test(proxied, header_comes_in_pieces_and_with_the_request)
{
	static const char text[] = "PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n" GET "\r\n";
	struct daemon d;
	struct client c;
	struct response r;

	daemon_begin(&d, BEHIND);
	client_open(&c, &d);
	for (size_t i = 0; i + 1 < sizeof(text); i++)
		client_send(&c, (struct str){ text + i, 1 });
	client_read(&c, &r);
	cr_expect(r.status == 200);
	response_done(&r);
	expect_logged(&d, "192.0.2.7");
	client_close(&c);
	client_open(&c, &d);
	client_sendf(&c, "%s", text);
	client_read(&c, &r);
	cr_expect(r.status == 200);
	response_done(&r);
	expect_logged(&d, "192.0.2.7");
	client_close(&c);
	daemon_stop(&d);
}

Test(proxied, connection_without_a_header_is_closed_without_an_answer)
{
	static const struct str rows[] = {
		STR(GET "\r\n"),
		STR("PROXY TCP4 nonsense\r\n" GET "\r\n"),
		STR(V2 "\x31\x11\0\x0c\xc0\0\2\7\xc0\0\2\1\0\1\0\2" GET "\r\n"),
	};
	struct daemon d;
	struct client c;

	daemon_begin(&d, BEHIND);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		client_open(&c, &d);
		client_send(&c, rows[i]);
		cr_expect(!client_more(&c, deadline()));
		client_close(&c);
		metric_wait(&d, "ssecast_disconnects_total{reason=\"refused\"}", (double)i + 1);
	}
	daemon_wait_log(&d, "has no PROXY header");
	cr_expect(!daemon_has_said(&d, "\"GET /healthz"));
	daemon_stop(&d);
}

Test(proxied, header_that_does_not_come_times_out)
{
	struct daemon d;
	struct client c;

	daemon_begin(&d, OPTIONS("--listen", "127.0.0.1:0,proxy", "--head-timeout", "100ms"));
	client_open(&c, &d);
	client_sendf(&c, "PROXY TCP4 192.0.2.7");
	metric_wait(&d, "ssecast_disconnects_total{reason=\"head_timeout\"}", 1);
	client_close(&c);
	daemon_stop(&d);
}

/* A stream that a client asks for through a balancer. */
static void open_through(struct reader *s, const struct daemon *d, const char *addresses)
{
	struct client c;

	client_open(&c, d);
	client_sendf(&c, "PROXY %s 1 2\r\nGET /sse HTTP/1.1\r\nHost: a\r\n\r\n", addresses);
	reader_begin(s, &c);
}

Test(proxied, limit_of_an_address_holds_behind_a_balancer)
{
	static const char *const rows[][3] = {
		/* who is there, who is one too many, who is somebody else */
		{ "TCP4 192.0.2.7 192.0.2.1", "TCP4 192.0.2.7 192.0.2.1",
		  "TCP4 192.0.2.8 192.0.2.1" },
		{ "TCP6 2001:db8::7 ::1", "TCP6 2001:db8::ffff:8 ::1", "TCP6 2001:db8:0:1::7 ::1" },
	};
	struct daemon d;
	struct reader first, second, other;

	daemon_begin(&d,
		     OPTIONS(QUIET, "--listen", "127.0.0.1:0,proxy", "--max-clients-per-ip", "1"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		open_through(&first, &d, rows[i][0]);
		open_through(&second, &d, rows[i][1]);
		reader_wait_end(&second);
		open_through(&other, &d, rows[i][2]);
		metric_wait(&d, "ssecast_clients{state=\"live\"}", 2);
		reader_close(&first);
		reader_close(&second);
		reader_close(&other);
		metric_wait_down(&d, "ssecast_clients{state=\"live\"}", 0);
	}
	daemon_stop(&d);
}

/* All connections come from the balancer: it is not the one to be slowed down. */
Test(proxied, balancer_may_connect_as_often_as_it_likes)
{
	struct daemon d;

	daemon_begin(&d, OPTIONS("--access-log", "--listen", "127.0.0.1:0,proxy",
				 "--max-accepts-per-ip", "1"));
	for (int i = 0; i < 5; i++)
		expect_client(&d, STR("PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\n"), "192.0.2.7");
	daemon_stop(&d);
}

Test(proxied, control_listener_takes_no_header)
{
	struct daemon d;

	daemon_init(&d);
	cr_expect(daemon_run(&d, OPTIONS("--listen", "127.0.0.1:0", "--control",
					 "127.0.0.1:0,proxy")) == 1);
	cr_expect(daemon_has_said(&d, "no balancer belongs before a control listener"));
	daemon_done(&d);
}
