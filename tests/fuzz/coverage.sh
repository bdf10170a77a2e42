#!/bin/sh
# Says for each fuzz target how much of its rooms its inputs reach, as clang counts it: lines, and
# branches. The inputs are the kept ones, and those that make fuzz has found ($BUILD/corpus).
#
#	BUILD=FOLDER tests/fuzz/coverage.sh [TARGET...]
set -eu

cc=${FUZZ_CC:-clang}
flags='-std=c11 -D_GNU_SOURCE -Iinclude -O0 -g -fprofile-instr-generate -fcoverage-mapping'
made=$BUILD/coverage

# Target and rooms.
table='
head: http
body: httpbody
value: httpvalue
uri: uri
sse: sse
ndjson: feed json
id: eventid
template: uritemplate selector
token: jwt grant form base64url
config: config value options
ring: ring
adopt: ring
handover: handover pack exchange
proxy: proxyproto ipnet forwarded
conversation: access audience broadcast conn drain exchange longpoll mercure meter names own peer
	presence publish reply request route selectors staticfile stream subscribe sweep topic
'
targets=${*:-$(echo "$table" | sed -n 's/^\([a-z]*\):.*/\1/p')}

rooms_of() {
	echo "$table" | awk -v target="$1:" '
		/:/ { ours = $1 == target }
		ours { for (i = 1; i <= NF; i++) if ($i !~ /:/) print "src/" $i ".c" }'
}

mkdir -p "$made"
sh src/embed.sh static >"$made/assets.c"
for source in src/*.c tests/unit/house.c tests/fuzz/*.c "$made/assets.c"; do
	[ "$source" != src/main.c ] || continue
	echo "$source $made/$(basename "$source" .c).o"
done >"$made/sources"
xargs -P "$(nproc)" -n 2 sh -c "$cc $flags -c \"\$0\" -o \"\$1\"" <"$made/sources"
# The flags and the objects are meant to be split.
# shellcheck disable=SC2046,SC2086
$cc $flags -Wl,--wrap=clock_gettime,--wrap=sock_send $(cut -d' ' -f2 "$made/sources") -o "$made/replay"

for target in $targets; do
	set -- "tests/fuzz/corpus/$target"
	[ ! -d "$BUILD/corpus/$target" ] || set -- "$@" "$BUILD/corpus/$target"
	LLVM_PROFILE_FILE=$made/profile "$made/replay" "$@" >"$made/said"
	llvm-profdata merge -o "$made/merged" "$made/profile"
	# shellcheck disable=SC2046
	llvm-cov report "$made/replay" -instr-profile="$made/merged" $(rooms_of "$target") |
		awk -v target="$target" -v inputs="$(sed 's/[^0-9]*\([0-9]*\).*/\1/' "$made/said")" '
			$1 == "TOTAL" {
				printf "fuzz: %-13s %6d inputs reach %6s of lines, %6s of branches\n",
					target, inputs, $10, $13
			}'
done
