#!/bin/sh
# A function fits a screen: checks that none has more than 70 lines, its braces included. In the
# house's style a function's braces, and nothing else's, stand alone in the first column.
set -eu

find src tests -name '*.[ch]' -exec awk '
	/^{$/ { begin = FNR }
	/^}$/ && begin {
		if (FNR - begin + 1 > 70) {
			printf "check-functions: %s:%d: %d lines\n", FILENAME, begin, FNR - begin + 1
			failed = 1
		}
		begin = 0
	}
	END { exit failed }
' {} + >&2
