#!/bin/sh
# Runs a Criterion binary with the given arguments, and fails also where a sanitizer had something
# to say: a leak alone does not fail a Criterion test, and the daemon that a test started is another
# process.
#
#	tests/run.sh BINARY [ARGUMENT...]
set -eu

work=$(sh "$(dirname "$0")/scratch.sh" "$(dirname "$1")")
job=
# The runner makes a group of processes of its own: whoever ends ours means it, too. It leaves a
# socket then.
trap 'rm -rf "$work" "/tmp/criterion_$job.sock"' EXIT
trap '[ -z "$job" ] || { kill "$job" && wait "$job"; }; exit 1' INT TERM HUP
reports=$work/reports
mkdir "$reports" "$work/tmp"
export TMPDIR="$work/tmp"

export ASAN_OPTIONS="log_path=$reports/asan:detect_stack_use_after_return=1"
export UBSAN_OPTIONS="log_path=$reports/ubsan:print_stacktrace=1"
export LC_ALL=C

# Some tests have thousands of sockets, and a login usually begins with 1,024 files.
# shellcheck disable=SC3045
ulimit -S -n 20000 2>/dev/null || ulimit -S -n "$(ulimit -H -n)"

result=0
"$@" --timeout 120 &
job=$!
wait "$job" || result=$?
for report in "$reports"/*; do
	[ -s "$report" ] || continue
	cat "$report" >&2
	result=1
done
exit "$result"
