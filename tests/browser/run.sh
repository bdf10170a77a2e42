#!/bin/sh
# Runs the tests that need a browser, one file after the other.
#
#	tests/browser/run.sh BUILD [FILE...]
#
# What npm installs goes to the folder BUILD, where screenshots are left, too.
set -eu

here=$(dirname "$0")
export BROWSER_BUILD="${1:?the folder for what is installed and made}"
shift
[ $# -gt 0 ] || set -- "$here"/*.test.js

work=$(sh tests/scratch.sh "$BROWSER_BUILD")
trap 'rm -rf "$work"' EXIT
job=
trap '[ -z "$job" ] || { kill "$job" && wait "$job"; }; exit 1' INT TERM HUP
export TMPDIR="$work"

mkdir -p "$BROWSER_BUILD"
if ! cmp -s "$here/package-lock.json" "$BROWSER_BUILD/installed.json"; then
	cp "$here/package.json" "$here/package-lock.json" "$BROWSER_BUILD"
	npm ci --prefix "$BROWSER_BUILD" --cache "$BROWSER_BUILD/npm" --no-audit --no-fund --loglevel=error
	cp "$here/package-lock.json" "$BROWSER_BUILD/installed.json"
fi

# Browsers want a home; that of a build machine may be missing.
export HOME="$work"
result=0
for file in "$@"; do
	# A script that hangs in a browser would keep a test for ever.
	timeout -k 10 600 node --test --test-reporter=tap "$file" >"$work/log" 2>&1 &
	job=$!
	wait "$job" || {
		result=1
		cat "$work/log"
	}
	echo "$(basename "$file"): $(sed -n 's/^# pass //p' "$work/log") passed," \
		"$(sed -n 's/^# fail //p' "$work/log") failed"
done
exit "$result"
