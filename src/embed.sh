#!/bin/sh
# Prints the C file that carries every file of a folder inside the binary: see include/assets.h.
# The bytes come in by the assembler's .incbin, so that the compiler never parses them.
#
#	src/embed.sh static >build/assets.c
#
# Left out are hidden files and what no page asks for: package.json is for npm.
set -eu
export LC_ALL=C

root=${1:?the folder whose files to embed}
files=$(find "$root" -type f ! -path '*/.*' ! -name package.json | sort)

cat <<'HEAD'
/* Made by src/embed.sh. */
#include "assets.h"

HEAD

# The paths end up inside C strings and the loop below splits them at white space.
if printf '%s' "$files" | grep -q '[^A-Za-z0-9_./-]'; then
	echo "embed.sh: a file name below $root has characters other than A-Z a-z 0-9 _ . -" >&2
	exit 1
fi

number=0
for file in $files; do
	cat <<-BYTES
		__asm__(".pushsection .rodata, \"a\"\n"
			"asset_bytes_$number: .incbin \"$file\"\n"
			".byte 0\n"
			".popsection\n");
		extern const char asset_${number}[] __asm__("asset_bytes_$number");

	BYTES
	number=$((number + 1))
done

echo 'const struct asset assets[] = {'
number=0
for file in $files; do
	name=${file#"$root"/}
	size=$(wc -c <"$file")
	hash=$(sha256sum "$file" | cut -c 1-20)
	cat <<-ENTRY
		{
			.name = { "$name", sizeof("$name") - 1 },
			.bytes = { asset_$number, $((size)) },
			.etag = { "\"$hash\"", sizeof("\"$hash\"") - 1 },
		},
	ENTRY
	number=$((number + 1))
done
cat <<TAIL
	{ .name = { 0, 0 } }, /* so that the table is never empty; not counted */
};
const size_t asset_count = $number;
TAIL
