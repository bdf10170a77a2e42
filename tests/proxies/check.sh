#!/usr/bin/env bash
# Streams through real proxies, each started by its configuration in docs/proxies: real TLS and
# HTTP/2 with curl as the browser, two daemons behind each.
#
#	tests/proxies/check.sh [nginx] [haproxy] [caddy] [varnish]	all of them if none is named
#
# The minute that the configurations have as their time-outs is three seconds here, and a heartbeat
# comes every second, so that a stream outlives them only by its heartbeats.
#
# Functions are called by name, through wait_for and trap:
# shellcheck disable=SC2317
set -eu
cd "$(dirname "$0")/../.."

ssecastd=${SSECASTD:-build/ssecastd}
timeout_s=3
patience_s=30
many=200
client=127.0.0.77 # an address of ours that no proxy has

# --- one proxy, in a subshell with a folder of its own ---

say() {
	printf '%-8s %s\n' "$name:" "$*"
}

fail() {
	say "FAILED: $*" >&2
	for log in "$work"/{a,b,proxy}.log; do
		[ -f "$log" ] && tail -v -n 15 "$log" >&2
	done
	exit 1
}

# Ends what was started, the last first: the proxy before the daemons.
end_all() {
	for ((i = ${#started[@]} - 1; i >= 0; i--)); do
		kill "${started[i]}" 2>/dev/null || true
		wait "${started[i]}" 2>/dev/null || true
	done
}

# Waits until a command succeeds, or fails after some seconds.
wait_for() {
	local end=$((SECONDS + patience_s))

	until "$@" 2>/dev/null; do
		((SECONDS < end)) || return 1
		sleep 0.02
	done
}

has() {
	grep -q -e "$2" "$1"
}

has_times() {
	(($(grep -c -e "$2" "$1") >= $3))
}

free_port() {
	local port

	while :; do
		port=$((10000 + RANDOM % 20000))
		(: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	echo $port
}

# daemon a|b ADDRESS: starts a daemon; its port is in daemon_port.
daemon() {
	local header=

	[ "$name" = haproxy ] && header=,proxy
	: >"$work/$1.log"
	"$ssecastd" --listen "127.0.0.1:$2$header" --control "unix:$work/$1.sock" --tick-interval 0 \
		--heartbeat 1s --poll-timeout 1s --access-log --trusted-proxy 127.0.0.1 \
		--trusted-proxy 10.0.0.0/8 --publish-token-file "$work/token" --drain 1s \
		2>"$work/$1.log" &
	started+=($!)
	wait_for has "$work/$1.log" ' ready$' || fail "daemon $1 does not start"
	daemon_port=$(sed -n 's|.*listening on http://127.0.0.1:||p' "$work/$1.log")
}

# What a browser would do: fetch PATH [curl's options]
fetch() {
	local path=$1

	shift
	curl -sS --http2 --cacert "$work/localhost.pem" --interface $client "$@" \
		"https://localhost:$port$path"
}

# open_stream NAME PATH [curl's options]: what comes is in $work/NAME.
open_stream() {
	local file=$work/$1 path=$2

	shift 2
	: >"$file"
	fetch "$path" --no-buffer -D "$file.head" "$@" >"$file" 2>"$file.log" &
	started+=($!)
}

# publish_to a|b QUERY DATA: behind the proxy's back.
publish_to() {
	curl -sS --fail --unix-socket "$work/$1.sock" "http://localhost/publish$2" -d "$3" >/dev/null
}

streams_of() {
	curl -sS --unix-socket "$work/$1.sock" http://localhost/metrics |
		awk '/^ssecast_clients/ { sum += $2 } END { print sum }'
}

# --- what must hold ---

check_stream() {
	open_stream stream /sse
	wait_for has "$work/stream" '^data: welcome' || fail "no stream"
	has "$work/stream.head" '^HTTP/2 200' || fail "not HTTP/2: $(head -1 "$work/stream.head")"
	has "$work/stream.head" '^content-type: text/event-stream' || fail "not an event stream"
	say "a stream opens, by HTTP/2"
}

# An event that is kept in a buffer would not come at all. A busy machine may be late, but not
# three times.
check_latency() {
	local begin late_ms=

	for try in 1 2 3; do
		begin=${EPOCHREALTIME/./}
		open_stream first /sse
		wait_for has "$work/first" '^data: welcome' || fail "the first event does not come"
		late_ms=$(((${EPOCHREALTIME/./} - begin) / 1000))
		kill "${started[-1]}"
		((late_ms >= 1000)) || break
	done
	((late_ms < 1000)) || fail "the first event takes $late_ms ms"
	begin=${EPOCHREALTIME/./}
	publish_to a '' "small $try"
	wait_for has "$work/stream" "^data: small $try" || fail "an event does not come"
	say "the first event comes after $late_ms ms," \
		"a published one after $(((${EPOCHREALTIME/./} - begin) / 1000)) ms"
}

check_heartbeats() {
	local beats=$((2 * timeout_s + 1))

	wait_for has_times "$work/stream" '^:$' $beats || fail "the stream does not live on"
	publish_to a '' "still here"
	wait_for has "$work/stream" '^data: still here' || fail "the stream is dead"
	say "a stream lives over $beats heartbeats, twice the time-out"
}

check_publishing() {
	local status flow

	status=$(fetch /publish -d no -o "$work/answer" -w '%{http_code}')
	[ "$status" = 401 ] || fail "publishing without a token: $status"
	fetch /publish -d 'by token' -H 'Authorization: Bearer secret' --fail -o "$work/answer" ||
		fail "publishing with a token"
	wait_for has "$work/stream" '^data: by token' || fail "what was published does not come"

	mkfifo "$work/flow"
	fetch /publish -T - -X POST -H 'Authorization: Bearer secret' \
		-H 'Content-Type: application/x-ndjson' <"$work/flow" >"$work/answer" 2>&1 &
	flow=$!
	exec 9>"$work/flow"
	echo '{"data":"in the flow"}' >&9
	wait_for has "$work/stream" '^data: in the flow' || fail "a flow is kept until its end"
	exec 9>&-
	wait $flow || fail "a flow does not end: $(cat "$work/answer")"
	has "$work/answer" '"accepted":1' || fail "a flow is not answered: $(cat "$work/answer")"
	say "publishing works with a token, and a flow of events is passed on as it comes"
}

check_client() {
	wait_for has "$work/a.log" " $client \"GET /sse " || fail "the client's address is not known"
	fetch "/healthz?spoof" -o "$work/answer" -H 'X-Forwarded-For: 192.0.2.7'
	wait_for has "$work/a.log" "/healthz?spoof" || fail "no request"
	has "$work/a.log" " $client \"GET /healthz?spoof" ||
		fail "an invented address is believed: $(grep spoof "$work/a.log")"
	say "the client's address reaches the daemon, and an invented one is not believed"
}

check_polling() {
	local last

	last=$(fetch '/sse?poll' | sed 's/.*"last_id":"\([^"]*\)".*/\1/')
	[ -n "$last" ] || fail "a poll is not answered"
	publish_to a '' 'between polls'
	fetch "/sse?poll&lastEventID=$last" >"$work/answer"
	has "$work/answer" '"data":"between polls"' || fail "a poll: $(cat "$work/answer")"
	say "polling works"
}

# A page may have many streams, and a browser has one connection for all of them. The body of
# what h2load gets is of no interest.
check_many_on_one_connection() {
	local before

	before=$(streams_of a)
	h2load -c 1 -m $many -n $many "https://localhost:$port/sse" >"$work/h2load.log" 2>&1 &
	started+=($!)
	wait_for has_streams $((before + many)) ||
		fail "$(($(streams_of a) - before)) streams on one connection, not $many"
	kill "${started[-1]}"
	say "one connection carries $many streams"
}

has_streams() {
	(($(streams_of a) >= $1))
}

# Waits until both daemons have streams; an event with the same id at both of them reaches all.
check_two_daemons() {
	local streams=0 daemon_a=$1 daemon_b=$2

	daemon b "$daemon_b"
	until (($(streams_of b) >= 2)); do
		((++streams <= 100)) || fail "the second daemon gets no streams"
		open_stream "many.$streams" /sse
		wait_for has "$work/many.$streams" '^data: welcome' || fail "no stream $streams"
	done
	open_stream "many.$((++streams))" /sse
	wait_for has "$work/many.$streams" '^data: welcome' || fail "no stream $streams"
	(($(streams_of a) >= 2)) || fail "the first daemon has no streams"
	for d in a b; do
		publish_to $d '?id=order-1' 'for all'
	done
	for ((i = 1; i <= streams; i++)); do
		wait_for has "$work/many.$i" '^data: for all' || fail "stream $i misses an event"
	done
	say "two daemons behind it share $streams streams"

	kill "$daemon_a"
	wait "$daemon_a" || fail "the first daemon does not end"
	publish_to b '?id=order-2' 'missed'
	open_stream back /sse -H 'Last-Event-ID: order-1'
	wait_for has "$work/back" '^data: missed' || fail "no resuming at the other daemon"
	has "$work/back" '^event: gap' && fail "a gap"
	say "one goes, and a client resumes at the other"
}

check_proxy() {
	local port_a port_b daemon_a

	name=$1
	work=$2/$1
	started=()
	mkdir "$work"
	trap end_all EXIT
	trap 'exit 1' INT TERM HUP
	echo secret >"$work/token"
	port=$(free_port)
	port_b=$(free_port)
	daemon a 0
	daemon_a=${started[-1]}
	port_a=$daemon_port
	sh tests/proxies/start.sh "$name" "$work" "$port" "$port_a" "$port_b" $timeout_s \
		>"$work/proxy.log" 2>&1 &
	started+=($!)
	wait_for fetch /healthz --fail -o "$work/answer" || fail "the proxy does not start"
	check_stream
	check_latency
	check_publishing
	check_client
	check_polling
	check_heartbeats
	check_many_on_one_connection
	check_two_daemons "$daemon_a" "$port_b"
}

all=$(sh tests/scratch.sh "$(dirname "$ssecastd")")
pids=()
# Whatever ends this, nothing is left.
trap 'kill "${pids[@]}" 2>/dev/null || true; wait; rm -rf "$all"' EXIT
trap 'exit 1' INT TERM HUP
for name in "${@:-nginx haproxy caddy varnish}"; do
	for one in $name; do
		(check_proxy "$one" "$all") &
		pids+=($!)
	done
done
result=0
for pid in "${pids[@]}"; do
	wait "$pid" || result=1
done
[ $result = 0 ] && echo "All proxies pass streams on."
exit $result
