#!/bin/sh
# Starts a proxy by its configuration in docs/proxies, on a port of localhost, before two daemons;
# stays in the foreground, and ends it when it is told to end (SIGTERM).
#
#	tests/proxies/start.sh nginx|haproxy|caddy|varnish FOLDER PORT DAEMON OTHER [TIMEOUT]
#
# DAEMON and OTHER are ports. FOLDER gets the certificate (localhost.pem, for a client to trust) and
# what the proxy writes. TIMEOUT replaces the minute that the configurations have.
set -eu

name=$1
work=$2
port=$3
daemon=$4
other=$5
timeout=${6:-60}
docs=$(cd "$(dirname "$0")/../../docs/proxies" && pwd)
conf=$work/$name.conf

# What each line of a configuration becomes here. A word that is not there any more is an error: the
# test would no longer try what the documentation says.
adapted() {
	file=$1
	shift
	cp "$docs/$file" "$work/adapted"
	for pair; do
		from=${pair%%=>*}
		grep -q -e "$from" "$work/adapted" || {
			echo "start.sh: docs/proxies/$file has no '$from'" >&2
			exit 1
		}
		sed "s|$from|${pair#*=>}|g" "$work/adapted" >"$work/adapted.new"
		mv "$work/adapted.new" "$work/adapted"
	done
	cat "$work/adapted"
}

certificate() {
	[ -s "$work/localhost.pem" ] && return
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
		-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
		-keyout "$work/localhost.key" -out "$work/localhost.pem" 2>/dev/null
	cat "$work/localhost.pem" "$work/localhost.key" >"$work/both.pem"
}

start_nginx() {
	cat >"$conf" <<-END
		pid $work/nginx.pid;
		daemon off;
		error_log stderr warn;
		worker_rlimit_nofile 8192;
		events { worker_connections 4096; }
		http {
			access_log off;
			client_body_temp_path $work/nginx-body;
			proxy_temp_path $work/nginx-proxy;
			fastcgi_temp_path $work/nginx-fastcgi;
			uwsgi_temp_path $work/nginx-uwsgi;
			scgi_temp_path $work/nginx-scgi;
			include $work/nginx-site.conf;
		}
	END
	[ "$(id -u)" != 0 ] || echo 'user root;' >>"$conf"
	adapted nginx.conf "listen 443=>listen 127.0.0.1:$port" "example\.org;=>localhost;" \
		"127\.0\.0\.1:3000=>127.0.0.1:$daemon" "127\.0\.0\.1:3001=>127.0.0.1:$other" \
		"/etc/ssl/certs/example\.org\.pem=>$work/localhost.pem" "60s=>${timeout}s" \
		"/etc/ssl/private/example\.org\.key=>$work/localhost.key" >"$work/nginx-site.conf"
	exec nginx -e stderr -p "$work" -c "$conf"
}

start_haproxy() {
	adapted haproxy.cfg "bind :443=>bind 127.0.0.1:$port" "60s=>${timeout}s" \
		"maxconn 30000=>maxconn 4000" "/etc/haproxy/example\.org\.pem=>$work/both.pem" \
		"127\.0\.0\.1:3000=>127.0.0.1:$daemon" \
		"127\.0\.0\.1:3001=>127.0.0.1:$other" >"$conf"
	exec haproxy -f "$conf" -db
}

# Its certificate is its own affair, but not here.
start_caddy() {
	{
		printf '{\n\tadmin off\n\tauto_https off\n}\n'
		adapted Caddyfile "^example\.org {=>https://localhost:$port {\n\tbind 127.0.0.1\n\ttls $work/localhost.pem $work/localhost.key" \
			"127\.0\.0\.1:3000=>127.0.0.1:$daemon" \
			"127\.0\.0\.1:3001=>127.0.0.1:$other"
	} >"$conf"
	export XDG_DATA_HOME="$work/caddy" XDG_CONFIG_HOME="$work/caddy"
	exec caddy run --adapter caddyfile --config "$conf"
}

start_varnish() {
	adapted varnish.vcl "\.port = \"3000\"=>.port = \"$daemon\"" \
		"\.port = \"3001\"=>.port = \"$other\"" >"$work/varnish.vcl"
	adapted varnish-tls.cfg "bind :443=>bind 127.0.0.1:$port" "maxconn 30000=>maxconn 4000" \
		"/etc/haproxy/example\.org\.pem=>$work/both.pem" "60s=>${timeout}s" \
		"/run/varnish/http\.sock=>$work/varnish.sock" >"$conf"
	varnishd -F -j none -n "$work/varnish" -f "$work/varnish.vcl" -s malloc,16m \
		-a "$work/varnish.sock,PROXY,mode=660" -p "pipe_timeout=$timeout" &
	behind=$!
	haproxy -f "$conf" -db &
	before=$!
	trap 'kill $before $behind 2>/dev/null; wait; exit 0' TERM INT
	wait $before $behind
}

mkdir -p "$work"
certificate
"start_$name"
