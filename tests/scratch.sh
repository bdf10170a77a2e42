#!/bin/sh
# Makes a fresh folder for tests and prints its name. It lies where temporary files belong ($TMPDIR),
# unless its name is too long there for the path of a socket, or nothing can be executed: then it
# lies in the folder of the build.
#
#	tests/scratch.sh BUILD
set -eu

path_max=60 # of the 107 bytes that the path of a unix socket has
folder=$(mktemp -d)
printf '#!/bin/sh\n' >"$folder/program"
chmod 700 "$folder/program"
if [ ${#folder} -gt $path_max ] || ! "$folder/program" 2>/dev/null; then
	rm -r "$folder"
	mkdir -p "$1"
	folder=$(mktemp -d "$1/tmp.XXXXXX")
fi
rm -f "$folder/program"
echo "$folder"
