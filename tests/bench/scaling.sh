#!/bin/sh
# What an idle stream costs, by part: opens N of them (10,000) to a daemon of its own, and prints the
# bytes for each as a table, and what a million need.
#
#	tests/bench/scaling.sh [N]		as root: /proc/slabinfo is for root alone
#
# Client and server are on one machine and hold one socket each, with the same kernel objects: what
# the kernel's caches have grown by is divided by two.
set -eu

build=${BUILD:-build}
here=$(dirname "$0")
work=$(mktemp -d)
n=${1:-10000}
SSECASTD_OPTIONS=
# shellcheck source=servers.sh
. "$here/servers.sh"
load=
trap 'kill $load 2>/dev/null || true; stop_server; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# Bytes in use in each of the kernel's caches; what the daemon itself has; buffers of sockets.
snapshot() {
	awk 'NR > 2 { print $1, $2 * $4 }' /proc/slabinfo
	awk '/^VmRSS/ { print "user-space", $2 * 1024 }' "/proc/$pid/status"
	awk '/^TCP:/ { print "TCP-buffers", $NF * 4096 }' /proc/net/sockstat
}

start_ssecastd
snapshot >"$work/before"
"$build/bench/ssebench" "$url" -n "$n" --quiet --duration 1000 >"$work/load" &
load=$!
until [ "$(curl -s "${publish%/publish}/metrics" |
	awk '$1 == "ssecast_clients{state=\"live\"}" { print $2 }')" -ge "$n" ]; do
	sleep 0.1
done
sleep 1
snapshot >"$work/after"

echo '| part | bytes a stream | MiB for a million |'
echo '| --- | --- | --- |'
awk -v n="$n" '
	FILENAME == ARGV[1] { before[$1] = $2; next }
	# What belongs to a socket; other caches grow for other reasons.
	/^(TCP|TCP-buffers|sock_inode_cache|dentry|filp|eventpoll_.*|ep_head|lsm_.*|user-space) / {
		each = ($2 - before[$1]) / n / ($1 == "user-space" ? 1 : 2)
		if (each < 8)
			next
		printf "| `%s` | %.0f | %.0f |\n", $1, each, each * 1e6 / 1048576 | "sort -t\\| -k3 -rn"
		sum += each
	}
	END {
		close("sort -t\\| -k3 -rn")
		printf "| together | %.0f | %.0f |\n", sum, sum * 1e6 / 1048576
	}' "$work/before" "$work/after"
