#!/bin/sh
# Checks the layers of the rooms: each header compiles alone, each file includes only rooms of its
# own layer and of those below, no room includes itself by way of others, and the layout in README.md
# names every room.
set -eu

layers=$(
	cat <<-'ROOMS'
		0 str buf array log clock assets version
		1 pack http httpbody httpvalue staticmeta uri sse eventid json feed
		1 names uritemplate selector sha256 sha512 hmac base64url jwt grant form
		2 park loop sock systemd beneath
		3 trace ring selectors audience topic presences value options config stats peer secret
		2 sandbox
		3 rate
		4 hub conns conn anchor access mercure presence exchange own request reply route stream subscribe publish
		4 staticfile broadcast sweep ticker meter source listener
		1 ipnet forwarded proxyproto
		4 longpoll
		5 main daemon server upgrade handover drain pulse recovery
		5 confine ceiling
	ROOMS
)

layer_of() {
	echo "$layers" | awk -v room="$1" '{ for (i = 2; i <= NF; i++) if ($i == room) print $1 }'
}

result=0
complain() {
	echo "check-layers: $*" >&2
	result=1
}

for file in include/*.h src/*.c; do
	room=$(basename "${file%.[ch]}")
	own=$(layer_of "$room")
	if [ -z "$own" ]; then
		complain "$file: the table in tests/check-layers.sh does not name its layer"
		continue
	fi
	# Names of rooms are single words.
	# shellcheck disable=SC2013
	for other in $(sed -n 's/^#include "\(.*\)\.h"$/\1/p' "$file"); do
		its=$(layer_of "$other")
		if [ -z "$its" ]; then
			complain "$file includes $other.h, which is no room"
		elif [ "$its" -gt "$own" ]; then
			complain "$file (layer $own) includes $other.h (layer $its)"
		fi
	done
done

# Pairs of a room and one that includes it, in x.h or x.c. Sorting them has something to say only
# where they go in a circle.
circles=$(
	for file in include/*.h src/*.c; do
		room=$(basename "${file%.[ch]}")
		sed -n "/^#include \"$room\.h\"$/d; s/^#include \"\(.*\)\.h\"$/\1 $room/p" "$file"
	done | tsort 2>&1 >/dev/null || true
)
[ -z "$circles" ] || complain "rooms include each other in a circle:
$circles"

for header in include/*.h; do
	room=$(basename "${header%.h}")
	grep -q "^| .*\`$room\`" README.md || complain "the layout in README.md does not name $room"
	echo "#include \"${header#include/}\"" |
		${CC:-cc -std=c11 -D_GNU_SOURCE -Iinclude} -fsyntax-only -x c - ||
		complain "$header does not compile alone"
done
exit "$result"
