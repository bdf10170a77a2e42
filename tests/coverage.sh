#!/bin/sh
# Says for each room how much of it has been run by a build with SANITIZE=coverage: lines, and
# branches taken at least once. Fails where the rooms that read hostile bytes, or keep all events,
# have less than 95 % of their lines or 90 % of their branches.
#
#	tests/coverage.sh BUILD
set -eu

build=$1
for object in "$build"/src/*.gcda; do
	room=$(basename "$object" .gcda)
	${GCOV:-gcov} --branch-probabilities --no-output --object-directory "$build/src" "src/$room.c" 2>/dev/null |
		awk -v room="$room" '
			/^File / { ours = index($0, "src/" room ".c") }
			ours && /^Lines executed/ { split($2, l, ":"); lines = l[2] + 0 }
			ours && /^Taken at least once/ { split($4, b, ":"); branches = b[2] + 0 }
			ours && /^No branches/ { branches = 100 }
			/^$/ { ours = 0 }
			END { printf "%-12s %6.2f %% of lines %6.2f %% of branches\n", room, lines, branches }
		'
done | tee "$build/coverage.txt"
awk '
	$1 ~ /^(http|httpbody|httpvalue|sse|ring)$/ && ($2 < 95 || $6 < 90) {
		print "coverage: " $1 " should have 95 % of lines and 90 % of branches"
		failed = 1
	}
	END { exit failed }
' "$build/coverage.txt" >&2
