#!/bin/sh
# The daemon beside servers that people use, with the same load, each alone on one core: prints a
# table, and writes it into docs/bench.md. See bench.sh for the variables.
#
#	make bench-peers
set -eu

# What is defined there is used here; no row of it is run.
# shellcheck disable=SC2034
ROWS=none
# shellcheck source=bench.sh
. "$(dirname "$0")/bench.sh"

PEERS=${PEERS:-limit joined ssecastd redis nchan node}

# One round over all of them with the same arguments; PAIRS of them, so that all drift alike.
rounds() {
	for name in $PEERS; do
		rm -f "$work/all.$name"
	done
	round=0
	while [ "$round" -lt "$PAIRS" ]; do
		round=$((round + 1))
		for name in $PEERS; do
			measure "$name" "$@"
			cat "$work/$name.json" >>"$work/all.$name"
		done
	done
}

# row WHAT FIELD: the medians of the rounds, one column a server.
row() {
	printf '| %s |' "$1"
	for name in $PEERS; do
		printf ' %s |' "$(short "$(field "$2" "all.$name" | median)")"
	done
	echo
}

peers_table() {
	echo "| what | $PEERS |" | sed 's/\([a-z]\) \([a-z]\)/\1 | \2/g'
	echo "| --- | $PEERS |" | sed 's/[a-z]\{1,\} */--- | /g; s/| |$/|/'
	for n in 1000 "$MANY"; do
		rounds -n "$n" --window 2 --duration "$SECONDS_EACH"
		row "CPU µs a delivery, one event at a time, $n subscribers" cpu_us_per_delivery
		row "connects/s, $n" connects_per_second
		row "user-space bytes a subscriber, $n idle" rss_bytes_per_connection
		rounds -n "$n" --in-flight 8 --duration "$SECONDS_EACH"
		row "deliveries/s, 8 publishes in flight, $n" deliveries_per_second
		row "… a second of the server's CPU" deliveries_per_cpu_second
		rounds -n "$n" --burst 16 --in-flight 32 --window 128 --duration "$SECONDS_EACH"
		row "deliveries/s, bursts of 16, 32 in flight, $n" deliveries_per_second
		row "… a second of the server's CPU" deliveries_per_cpu_second
	done
}

peers_table | tee "$work/table"
write_between peers
