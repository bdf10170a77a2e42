# Varnish before ssecastd, two daemons behind it, for who has Varnish before the rest of a site.
#
# Varnish speaks no TLS: HAProxy stands before it with TLS and HTTP/2 (varnish-tls.cfg beside this
# file), and hands the client's address on by the PROXY protocol. Tried with Varnish 7.1 by
# `make check-proxies`:
#
#	varnishd -a /run/varnish/http.sock,PROXY,user=varnish,group=haproxy,mode=660 \
#		-f /etc/varnish/varnish.vcl -p pipe_timeout=60 -p thread_pool_max=20000
#	ssecastd --listen 127.0.0.1:3000 --trusted-proxy 127.0.0.1
#	ssecastd --listen 127.0.0.1:3001 --trusted-proxy 127.0.0.1
#
# pipe_timeout BREAKS STREAMS if it is shorter than --heartbeat (15s): it ends a pipe that is silent
# for so long. 60 is the default. thread_pool_max does so at its default, as every stream holds a
# thread as long as it lives: 5000 in each of two pools. For more streams than that, let HAProxy
# send /sse to the daemons and only the rest to Varnish.

vcl 4.1;

import directors;

probe healthz {
	.url = "/healthz";
	.interval = 1s;
	.timeout = 1s;
	.window = 1;
	.threshold = 1;
	.initial = 0;
}

backend a {
	.host = "127.0.0.1";
	.port = "3000";
	.probe = healthz;
}

backend b {
	.host = "127.0.0.1";
	.port = "3001";
	.probe = healthz;
}

sub vcl_init {
	new ssecast = directors.round_robin();
	ssecast.add_backend(a);
	ssecast.add_backend(b);
}

sub vcl_recv {
	set req.backend_hint = ssecast.backend();

	# BREAKS STREAMS if it is left out: an ordinary response is ended after send_timeout (10
	# minutes), however lively. In a pipe bytes go through as they come. A poll is an ordinary
	# response.
	if (req.url ~ "^/(sse|events)([/?]|$)" && req.url !~ "[?&]poll([=&]|$)") {
		return (pipe);
	}
	# Asked anew each time, and request bodies passed on as they come.
	if (req.url ~ "^/(sse|events|publish|healthz)([/?]|$)") {
		return (pass);
	}
}

sub vcl_pipe {
	# A pipe is Varnish's last word on a connection: what came behind it would not be looked at.
	set bereq.http.Connection = "close";
}
