#!/bin/sh
# Fuzzes each target of tests/fuzz for some seconds with clang's libFuzzer, ASan and UBSan, from the
# kept inputs and from what earlier runs have found ($BUILD/corpus). Prints for each target how many
# inputs it ran, how many edges of the code they reached, and how large the corpus is. An input that
# breaks something is left in $BUILD: put it into tests/fuzz/corpus/TARGET, where make check replays
# it.
#
#	BUILD=FOLDER tests/fuzz/run.sh SECONDS [TARGET...]
set -eu

seconds=$1
shift
cc=${FUZZ_CC:-clang}
flags='-std=c11 -D_GNU_SOURCE -DFUZZ_ENGINE -Iinclude -O1 -g -fno-omit-frame-pointer'
sanitize='-fsanitize=address,undefined -fno-sanitize-recover=all'
targets=${*:-$(sed -n 's/^.*FUZZ_TARGETS(X)//p; s/^[[:space:]]*X(/X(/p' tests/fuzz/fuzz.h |
	grep -o 'X([a-z]*)' | sed 's/X(\(.*\))/\1/')}

if ! echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
	$cc -fsanitize=fuzzer -x c - -o /dev/null 2>/dev/null; then
	sh tests/need.sh "libclang-rt-$($cc -dumpversion | cut -d. -f1)-dev"
fi

mkdir -p "$BUILD"
[ -e "$BUILD/assets.c" ] || sh src/embed.sh static >"$BUILD/assets.c"

# All of the daemon and the house, once.
for source in src/*.c tests/unit/house.c "$BUILD/assets.c"; do
	[ "$source" != src/main.c ] || continue
	object=$BUILD/$(basename "$source" .c).o
	echo "$source $object"
done >"$BUILD/sources"
# The flags are meant to be split.
# shellcheck disable=SC2086
xargs -P "$(nproc)" -n 2 sh -c "$cc $flags $sanitize -fsanitize=fuzzer-no-link -c \"\$0\" -o \"\$1\"" \
	<"$BUILD/sources"

result=0
for target in $targets; do
	corpus=$BUILD/corpus/$target
	dictionary=tests/fuzz/$target.dict
	mkdir -p "$corpus"
	# shellcheck disable=SC2046,SC2086
	$cc $flags $sanitize -fsanitize=fuzzer -Wl,--wrap=clock_gettime,--wrap=sock_send,--wrap=hub_is_late \
		"tests/fuzz/fuzz_$target.c" $(cut -d' ' -f2 "$BUILD/sources") -o "$BUILD/fuzz_$target"
	set -- -max_total_time="$seconds" -print_final_stats=1 -max_len=20000 -timeout=25 \
		-artifact_prefix="$BUILD/crash-$target-" "$corpus" "tests/fuzz/corpus/$target"
	[ ! -e "$dictionary" ] || set -- -dict="$dictionary" "$@"
	if ! "$BUILD/fuzz_$target" "$@" >"$BUILD/$target.log" 2>&1; then
		tail -n 40 "$BUILD/$target.log"
		echo "fuzz: $target is broken by an input: $BUILD/crash-$target-*"
		result=1
	fi
	edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$BUILD/$target.log" | tail -n 1)
	runs=$(sed -n 's/^stat::number_of_executed_units: //p' "$BUILD/$target.log")
	kept=$(find "$corpus" -type f | wc -l)
	printf 'fuzz: %-13s %10s inputs %6s edges reached %6s in the corpus\n' "$target" \
		"${runs:-?}" "${edges:-?}" "$kept"
done
exit "$result"
