#!/bin/sh
# Runs the tests with clients of the Mercure protocol that people use.
#
#	tests/mercure/run.sh BUILD
#
# What npm installs goes to the folder BUILD.
set -eu

here=$(dirname "$0")
export MERCURE_BUILD="${1:?the folder for what is installed}"

work=$(sh tests/scratch.sh "$MERCURE_BUILD")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
export TMPDIR="$work"

mkdir -p "$MERCURE_BUILD"
if ! cmp -s "$here/package-lock.json" "$MERCURE_BUILD/installed.json"; then
	cp "$here/package.json" "$here/package-lock.json" "$MERCURE_BUILD"
	npm ci --prefix "$MERCURE_BUILD" --cache "$MERCURE_BUILD/npm" --no-audit --no-fund --loglevel=error
	cp "$here/package-lock.json" "$MERCURE_BUILD/installed.json"
fi

result=0
for file in clients json; do
	node --test --test-reporter=tap "$here/$file.test.js" >"$work/log" 2>&1 || {
		result=1
		cat "$work/log"
	}
	echo "$file.test.js: $(sed -n 's/^# pass //p' "$work/log") passed," \
		"$(sed -n 's/^# fail //p' "$work/log") failed"
done
exit "$result"
