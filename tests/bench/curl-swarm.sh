#!/bin/sh
# Real clients: so many curl processes (1,000) on /sse, each of which must have received every event
# in order. Prints how long connecting and delivering took, and what the daemon needed.
#
#	tests/bench/curl-swarm.sh [CURLS [EVENTS]]
#
# It starts a daemon of its own on free ports: the one that $SSECASTD names, or build/ssecastd.
set -eu

curls=${1:-1000}
events=${2:-20}
daemon=${SSECASTD:-build/ssecastd}
work=$(mktemp -d)
mkdir "$work/out"
trap 'kill $(cat "$work"/pids 2>/dev/null) 2>/dev/null || true; rm -rf "$work"' EXIT INT TERM

now() { # seconds
	date +%s.%N
}
since() {
	echo "$(now) $1" | awk '{ printf "%.2f", $1 - $2 }'
}
metric() {
	curl -s --unix-socket "$work/control" http://localhost/metrics |
		awk -v name="$1" '$1 == name { print $2 }'
}

"$daemon" --listen 127.0.0.1:0 --control "unix:$work/control" --tick-interval 0 --welcome '' \
	2>"$work/log" &
pid=$!
echo "$pid" >"$work/pids"
until address=$(grep -om1 'http://127.0.0.1:[0-9]*' "$work/log"); do
	kill -0 "$pid"
	sleep 0.02
done

begun=$(now)
i=0
while [ "$i" -lt "$curls" ]; do
	i=$((i + 1))
	curl -sN "$address/sse" >"$work/out/$i" &
	echo $! >>"$work/pids"
done
until [ "$(metric 'ssecast_clients{state="live"}')" -ge "$curls" ]; do
	sleep 0.05
done
echo "$curls curls connected in $(since "$begun") s"

begun=$(now)
i=0
while [ "$i" -lt "$events" ]; do
	i=$((i + 1))
	echo "data: event $i of $events" >>"$work/expected"
	printf 'data: event %s of %s\n\n' "$i" "$events"
done | curl -sf --unix-socket "$work/control" -H 'Content-Type: text/event-stream' \
	--data-binary @- http://localhost/publish >/dev/null
until [ "$(cat "$work"/out/* | grep -c "^data: event $events of")" -ge "$curls" ]; do
	sleep 0.05
done
echo "$events events to each delivered in $(since "$begun") s"

wrong=0
for file in "$work"/out/*; do
	grep '^data:' "$file" | cmp -s - "$work/expected" || wrong=$((wrong + 1))
done
awk '{ printf "the daemon used %.2f s of CPU", $1 / 1e9 }' "/proc/$pid/schedstat"
awk '/VmRSS/ { printf " and %.1f MiB of memory\n", $2 / 1024 }' "/proc/$pid/status"
if [ "$wrong" -gt 0 ]; then
	echo "$wrong curls did not get every event once and in order"
	exit 1
fi
echo "every curl got every event once and in order"
