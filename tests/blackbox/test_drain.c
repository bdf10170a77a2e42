/*
 * The end of the daemon for those who are in the middle of something.
 */
#include <criterion/criterion.h>
#include <signal.h>

#include "reader.h"

Test(drain, flow_without_an_end_is_answered_with_what_is_published)
{
	static const char line[] = "{\"id\":\"mine\",\"data\":\"a\"}\n";
	struct daemon d;
	struct client c;
	struct reader s;
	struct response r;

	daemon_begin(&d, OPTIONS(QUIET, "--drain", "20s"));
	reader_open(&s, &d, "/sse", "");
	client_open_control(&c, &d);
	client_sendf(&c,
		     "POST /publish HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
		     "Content-Type: application/x-ndjson\r\n\r\n%zx\r\n%s\r\n",
		     sizeof(line) - 1, line);
	client_send(&c, STR("8\r\n{\"data\":\r\n"));
	reader_wait(&s, 1);
	daemon_signal(&d, SIGTERM);
	client_read(&c, &r);
	cr_expect(r.status == 503 && response_is(&r, "Connection", "close"));
	cr_expect(response_has(&r, "\"accepted\":1,\"last_id\":\"mine\""), "%s", r.body.p);
	response_done(&r);
	client_expect_eof(&c);
	client_close(&c);
	reader_wait_end(&s);
	cr_expect(s.count == 1);
	reader_close(&s);
	cr_expect(daemon_wait_exit(&d) == 0);
	cr_expect(!daemon_has_said(&d, "were cut"), "%s", d.log.p);
	daemon_done(&d);
}
