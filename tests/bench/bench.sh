#!/bin/sh
# Measures the daemon against the bare loop (limit.c), side by side, and writes docs/bench.md.
#
#	make bench			everything, some five minutes
#	PAIRS=9 SECONDS_EACH=5 make bench	longer
#	ROWS='cpu burst' make bench	only these rows; writes no file
#
# What counts is the ratio of two runs that followed each other at once; each row has PAIRS of them,
# and shows the median and the spread. A row is a function below that prints one line of the table.
set -eu

build=${BUILD:-build}
here=$(dirname "$0")
work=$(mktemp -d)
PAIRS=${PAIRS:-5}
SECONDS_EACH=${SECONDS_EACH:-2}
MANY=${MANY:-10000}
all='cpu flat burst latency connects slow crash replay topics idle'
ROWS=${ROWS:-$all}
: "${SSECASTD_OPTIONS=}"
# shellcheck source=servers.sh
. "$here/servers.sh"
trap 'stop_server; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# measure SERVER ARGUMENT…: starts it, loads it, stops it; what was found is in $work/SERVER.json.
measure() {
	name=$1
	shift
	"start_$name"
	on_load_core "$build/bench/ssebench" "$url" --quiet --json --server-pid "$pid" \
		--publish "$publish" "$@" >"$work/$name.json" || {
		echo "bench: $name: not every event came once and in order: $*" >&2
		cat "$work/$name.json" >&2
	}
	stop_server
}

# field NAME FILE: that number of each object in the file.
field() {
	sed -n "s/.*\"$1\":\([^,}]*\).*/\1/p" "$work/$2"
}

# Reads numbers, prints their median.
median() {
	sort -g | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

# Reads ratios: `1.02 (0.99–1.04)`.
spread() {
	sort -g >"$work/sorted"
	awk -v median="$(median <"$work/sorted")" '
		NR == 1 { low = $1 }
		{ high = $1 }
		END { printf "%.2f (%.2f–%.2f)", median, low, high }' "$work/sorted"
}

# Prints a number as people read it: three digits that count.
short() {
	awk -v x="$1" 'BEGIN {
		if (x >= 1e6) printf "%.2f M", x / 1e6
		else if (x >= 1e4) printf "%.0f k", x / 1e3
		else if (x >= 100) printf "%.0f", x
		else printf "%.2f", x
	}'
}

line() {
	printf '| %s | %s | %s | %s | %s |\n' "$@" | tee -a "$work/table"
}

# pairs DENOMINATOR ARGUMENT…: runs it and the daemon in turns with the same arguments; all that was
# found is collected for show().
pairs() {
	other=$1
	shift
	rm -f "$work/theirs" "$work/ours"
	pair=0
	while [ "$pair" -lt "$PAIRS" ]; do
		pair=$((pair + 1))
		measure "$other" "$@"
		cat "$work/$other.json" >>"$work/theirs"
		measure ssecastd "$@"
		cat "$work/ssecastd.json" >>"$work/ours"
	done
}

# The same for the daemon against itself, with one string of arguments and another.
pairs_of() {
	rm -f "$work/theirs" "$work/ours"
	pair=0
	while [ "$pair" -lt "$PAIRS" ]; do
		pair=$((pair + 1))
		# The arguments are meant to be split.
		# shellcheck disable=SC2086
		measure ssecastd $1
		cat "$work/ssecastd.json" >>"$work/theirs"
		# shellcheck disable=SC2086
		measure ssecastd $2
		cat "$work/ssecastd.json" >>"$work/ours"
	done
}

# show WHAT MARK FIELD: a row from the runs collected.
show() {
	field "$3" theirs >"$work/a"
	field "$3" ours >"$work/b"
	paste "$work/a" "$work/b" | awk '$1 > 0 { print $2 / $1 }' >"$work/ratios"
	line "$1" "$(short "$(median <"$work/a")")" "$(short "$(median <"$work/b")")" \
		"$(spread <"$work/ratios")" "$2"
}

row_cpu() {
	for n in 1000 "$MANY"; do
		pairs limit -n "$n" --window 2 --duration "$SECONDS_EACH"
		show "CPU µs a delivery, one event at a time, $n subscribers" '≤ 1.05' \
			cpu_us_per_delivery
	done
}

row_flat() {
	for n in 1000 "$MANY"; do
		pairs joined -n "$n" --in-flight 8 --duration "$SECONDS_EACH"
		show "deliveries/s, 8 publishes in flight, $n" '≥ 0.9' deliveries_per_second
		show "… a second of the server's CPU" '≥ 0.9' deliveries_per_cpu_second
	done
}

row_burst() {
	for n in 1000 "$MANY"; do
		pairs joined -n "$n" --burst 16 --in-flight 32 --window 128 \
			--duration "$SECONDS_EACH"
		show "deliveries/s, bursts of 16, 32 in flight, $n" '≥ 0.9' deliveries_per_second
		show "… a second of the server's CPU" '≥ 0.9' deliveries_per_cpu_second
	done
}

row_latency() {
	measure joined -n "$MANY" --in-flight 8 --duration "$SECONDS_EACH"
	rate=$(field deliveries_per_cpu_second joined.json |
		awk -v n="$MANY" '{ print $1 / 2 / n }')
	pairs joined -n "$MANY" --burst 8 --in-flight 64 --window 0 --rate "$rate" \
		--duration $((SECONDS_EACH * 2))
	show "p99 µs at half of that load, bursts of 8, $MANY" '≤ 1.2' latency_p99_us
}

row_connects() {
	pairs limit -n "$MANY" --events 1
	show "connects/s, $MANY" '≥ 1.0' connects_per_second
	show "CPU µs a connect, $MANY" '' connect_cpu_us
	show "user-space bytes a subscriber, $MANY idle" '≤ 128 B' rss_bytes_per_connection
}

row_slow() {
	pairs_of "-n 900 --window 2 --size 4000 --duration $((SECONDS_EACH * 2))" \
		"-n 1000 --slow-fraction 0.1 --window 2 --size 4000 --duration $((SECONDS_EACH * 2))"
	show 'CPU µs a delivery to 900: alone, beside 100 that never read' '≤ 1.05' \
		cpu_us_per_delivery
	show 'p99 µs of 900: alone, beside 100 that never read' '≤ 1.05' latency_p99_us
}

# The daemon without a service manager, and under one that keeps what a crash needs.
row_crash() {
	"$build/bench/manager" "$work/notify" &
	also_manager=$!
	until [ -e "$work/notify" ]; do sleep 0.02; done
	for n in 1000 "$MANY"; do
		rm -f "$work/theirs" "$work/ours"
		pair=0
		while [ "$pair" -lt "$PAIRS" ]; do
			pair=$((pair + 1))
			measure ssecastd -n "$n" --window 2 --duration "$SECONDS_EACH"
			cat "$work/ssecastd.json" >>"$work/theirs"
			NOTIFY_SOCKET=$work/notify
			export NOTIFY_SOCKET
			measure ssecastd -n "$n" --window 2 --duration "$SECONDS_EACH"
			cat "$work/ssecastd.json" >>"$work/ours"
			unset NOTIFY_SOCKET
		done
		show "CPU µs a delivery, $n: as it is, ready for a crash" '≤ 1.03' \
			cpu_us_per_delivery
		show "CPU µs a connect, $n: as it is, ready for a crash" '' connect_cpu_us
	done
	kill "$also_manager"
	wait "$also_manager" 2>/dev/null || true
}

row_replay() {
	pairs limit -n "$MANY" --replay 1000 --in-flight 256 --concurrency "$MANY"
	show "seconds until $MANY that return have caught up 1000 events each" '≤ 1.3' \
		replay_seconds
	show "… of the server's CPU" '≤ 1.3' replay_cpu_seconds
}

# pairs_with OPTIONS OPTIONS ARGUMENT…: the daemon with those options and with these.
pairs_with() {
	first=$1 second=$2
	shift 2
	rm -f "$work/theirs" "$work/ours"
	pair=0
	while [ "$pair" -lt "$PAIRS" ]; do
		pair=$((pair + 1))
		SSECASTD_OPTIONS=$first
		measure ssecastd "$@"
		cat "$work/ssecastd.json" >>"$work/theirs"
		SSECASTD_OPTIONS=$second
		measure ssecastd "$@"
		cat "$work/ssecastd.json" >>"$work/ours"
	done
	SSECASTD_OPTIONS=
}

# What the walls around the daemon cost; not one of the rows that are run by default.
row_confined() {
	pairs_with '--unconfined all' '' -n 1000 --window 2 --duration "$SECONDS_EACH"
	show 'CPU µs a delivery, 1000: --unconfined all, as it is' '' cpu_us_per_delivery
}

# What the default of --sndbuf was chosen by; not one of those that are run by default.
row_sndbuf() {
	for size in 16K 32K 64K 128K 256K; do
		pairs_with '--sndbuf 0' "--sndbuf $size" -n 1000 --replay 4000 --in-flight 256 \
			--concurrency 1000
		show "CPU s to replay 4000 events to each of 1000: --sndbuf 0, $size" '' \
			replay_cpu_seconds
	done
	for size in 0 16K 32K 64K 128K 256K; do
		SSECASTD_OPTIONS="--sndbuf $size"
		start_ssecastd
		on_load_core "$build/bench/ssebench" "$url" --quiet --publish "$publish" -n 100 \
			--slow-fraction 1 --in-flight 8 --size 1000 --duration 4 >"$work/stuck" &
		load=$!
		sleep 3.5
		line "KiB in the kernel for a reader that never reads, --sndbuf $size" '' \
			"$(queued_kib)" '' ''
		wait "$load" || true
		stop_server
	done
	SSECASTD_OPTIONS=
}

# What the fullest of the daemon's sockets has in its send queue, by ss(8).
queued_kib() {
	listening=${url#http://127.0.0.1:}
	ss -tmnH state established "sport = :${listening%/sse}" | grep -o ',w[0-9]*' |
		tr -d ',w' | sort -g | awk '{ most = $1 } END { print int(most / 1024) }'
}

# Ten topics that somebody reads, first alone, then beside 100,000 others of one subscriber each.
row_topics() {
	rm -f "$work/ours" "$work/theirs"
	query='topic=a{}&topic=b{}&topic=c{}&topic=d{}&topic=e{}'
	query="$query&topic=f{}&topic=g{}&topic=h{}&topic=i{}&topic=j{}"
	pair=0
	while [ "$pair" -lt "$PAIRS" ]; do
		pair=$((pair + 1))
		start_ssecastd
		before=$(awk '/VmRSS/ { print $2 * 1024 }' "/proc/$pid/status")
		ten "$work/theirs"
		"$build/bench/ssebench" "$url?$query" -n "$MANY" --quiet --duration 1000 \
			>"$work/others" &
		others=$!
		until [ "$(open_streams)" -ge "$MANY" ]; do
			sleep 0.1
		done
		after=$(awk '/VmRSS/ { print $2 * 1024 }' "/proc/$pid/status")
		ten "$work/ours"
		kill "$others"
		stop_server
	done
	show "CPU µs to publish to one reader: 10 topics, beside $((MANY * 10)) more" '0.9–1.1' \
		cpu_us_per_event
	line "user-space bytes a topic, $((MANY * 10)) topics of one subscriber, ten a stream" '' \
		"$(((after - before) / (MANY * 10)))" '' '≤ 300 B'
}

# Publishes to ten topics of one subscriber each; what was found is added to the file.
ten() {
	on_load_core "$build/bench/ssebench" "$url/t{}" -n 10 --quiet --json --server-pid "$pid" \
		--publish "$publish/t{}" --events 50000 --duration 0 --in-flight 16 >>"$1"
}

open_streams() {
	curl -s "${publish%/publish}/metrics" |
		awk '$1 == "ssecast_clients{state=\"live\"}" { print $2 }'
}

# A minute of silence, so that each stream gets four heartbeats.
row_idle() {
	start_ssecastd
	on_load_core "$build/bench/ssebench" "$url" -n "$MANY" --quiet --json --server-pid "$pid" \
		--duration "${IDLE_SECONDS:-60}" >"$work/ssecastd.json"
	stop_server
	share=$(field cpu_seconds ssecastd.json |
		awk -v s="${IDLE_SECONDS:-60}" '{ printf "%.2f", 100 * $1 / s }')
	line "% of a core for $MANY idle streams with heartbeats of 15 s" '' "$share" '' '≤ 1'
}

# Puts the table into docs/bench.md, between the marks of that name; the rest there is by hand.
write_between() {
	{
		sed "/<!-- $1 begins -->/q" docs/bench.md
		printf '\n%s, Linux %s, %s cores: server on core %s, load on core %s; ' \
			"$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1)" \
			"$(uname -r)" "$(nproc)" "$SERVER_CORE" "$LOAD_CORE"
		printf '%s rounds of %s s on %s.\n\n' "$PAIRS" "$SECONDS_EACH" "$(date -u +%F)"
		cat "$work/table"
		echo
		sed -n "/<!-- $1 ends -->/,\$p" docs/bench.md
	} >"$work/bench.md"
	cat "$work/bench.md" >docs/bench.md
}

if [ "$ROWS" != none ]; then
	{
		echo '| what | bare loop | ssecastd | ratio: median (spread) | mark |'
		echo '| --- | --- | --- | --- | --- |'
	} | tee "$work/table"
	for row in $ROWS; do
		"row_$row"
	done
fi
if [ "$ROWS" = "$all" ]; then
	write_between bench
fi
