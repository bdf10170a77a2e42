# shellcheck shell=sh disable=SC2154,SC2034
# Starts and stops the servers that a bench compares; sourced by the scripts beside it.
#
# A server runs alone on one core ($SERVER_CORE), the load on another ($LOAD_CORE). Each start_NAME
# sets $pid (whose CPU time and memory are measured), $url (of the stream) and $publish. $build,
# $here and $work (a scratch folder) are set by whoever sources this.

: "${SERVER_CORE:=0}" "${LOAD_CORE:=1}"
port=$((20000 + $$ % 10000))
pid=
also=

# A fresh port for each server, so that none meets what the one before has left.
next_port() {
	port=$((port + 1))
}

# Waits until somebody listens on the port.
wait_for_port() {
	tries=0
	until curl -s -o /dev/null --max-time 1 "http://127.0.0.1:$1/" || [ $? -ne 7 ]; do
		tries=$((tries + 1))
		if [ "$tries" -gt 200 ]; then
			echo "bench: nobody listens on port $1" >&2
			cat "$work"/*.log >&2
			exit 1
		fi
		sleep 0.02
	done
}

on_server_core() {
	if command -v taskset >/dev/null; then
		exec taskset -c "$SERVER_CORE" "$@"
	fi
	exec "$@"
}

on_load_core() {
	if command -v taskset >/dev/null; then
		taskset -c "$LOAD_CORE" "$@"
	else
		"$@"
	fi
}

# The bare loop; $1 = events a send at the most.
start_limit() {
	next_port
	(on_server_core "$build/bench/limit" "$port" "${1:-1}") 2>"$work/limit.log" &
	pid=$!
	url=http://127.0.0.1:$port/sse publish=http://127.0.0.1:$port/publish
	wait_for_port "$port"
}

start_joined() {
	start_limit 0
}

# $SSECASTD_OPTIONS are added.
start_ssecastd() {
	next_port
	control=$port
	next_port
	# The options are meant to be split.
	# shellcheck disable=SC2086
	(on_server_core "$build/ssecastd" --listen "127.0.0.1:$port" \
		--control "127.0.0.1:$control" --tick-interval 0 $SSECASTD_OPTIONS) \
		2>"$work/ssecastd.log" &
	pid=$!
	url=http://127.0.0.1:$port/sse publish=http://127.0.0.1:$control/publish
	wait_for_port "$control"
}

start_nchan() {
	next_port
	sed "s|@PORT@|$port|; s|@WORK@|$work|g" "$here/peers/nginx.conf.in" >"$work/nginx.conf"
	(on_server_core nginx -p "$work" -c "$work/nginx.conf" -e "$work/nginx.log") &
	also=$!
	url=http://127.0.0.1:$port/sub publish=http://127.0.0.1:$port/pub
	wait_for_port "$port"
	# The worker is the master's only child.
	pid=$(cat "/proc/$also/task/$also/children")
	pid=${pid%% *}
}

start_redis() {
	next_port
	(on_server_core redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no \
		--maxclients 19000 --dir "$work" --client-output-buffer-limit pubsub 0 0 0) \
		>"$work/redis.log" 2>&1 &
	pid=$!
	url=redis://127.0.0.1:$port/bench publish=$url
	wait_for_port "$port"
}

start_node() {
	next_port
	(on_server_core node "$here/peers/node.js" "$port") 2>"$work/node.log" &
	pid=$!
	url=http://127.0.0.1:$port/sse publish=http://127.0.0.1:$port/publish
	wait_for_port "$port"
}

stop_server() {
	for one in $also $pid; do
		kill "$one" 2>/dev/null || true
	done
	for one in $also $pid; do
		wait "$one" 2>/dev/null || true
	done
	pid='' also=''
}
