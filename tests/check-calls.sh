#!/bin/sh
# Checks that the fault tests know every call that the daemon makes: each function that its objects
# import is either one that tests/faults/calls.c lets fail, or stands below with the reason why it
# cannot fail, or why that does not matter.
#
#	tests/check-calls.sh OBJECT...
set -eu

spared=$(
	cat <<-'TABLE'
		computes in memory that is there | memchr memcmp memcpy memmem memmove memrchr memset
		computes in memory that is there | strchr strcmp strcspn strlen strrchr strtod qsort
		computes in memory that is there | strcat strcpy strncmp strncasecmp tolower bcmp
		computes in memory that is there | snprintf vsnprintf strftime inet_ntop inet_pton
		computes in memory that is there | sigaddset sigemptyset
		gives memory or names back | free freeaddrinfo munmap
		reads what the process has | getenv getpid geteuid sysconf time clock_gettime
		fails for no clock, signal or mask that the daemon names | signal umask
		makes a text, of the number at the worst | strerror
		the time of now has a year that fits; without its zone's file it is UTC | localtime_r tzset
		says whether, and no is an answer | isatty
		removes a name that is there or not | unsetenv
		ends our own child, which nobody else has waited for | kill
		talks to whoever started the program, before and after anybody is served | printf fprintf
		talks to whoever started the program, before and after anybody is served | vfprintf dprintf
		talks to whoever started the program, before and after anybody is served | puts fputs fputc
		talks to whoever started the program, before and after anybody is served | putchar fwrite
		gives a number to --print-limits, or none | fscanf
		follows an fopen() that has not failed, and an fread() that has or not | fclose ferror
		reaches the kernel by a number that the wrap tells apart | syscall
		ends the process | _exit exit abort __assert_fail __assert __stack_chk_fail
		no functions | __errno_location stdout stderr in6addr_any _GLOBAL_OFFSET_TABLE_
	TABLE
)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

# What FORTIFY and versions of the C standard make of a name is the same call.
nm -u "$@" | sed -n 's/^ *[Uw] //p' |
	sed 's/^__isoc[0-9]*_//; s/^__\(.*\)_chk$/\1/; s/^__\(open.*\)_2$/\1/' |
	sort -u >"$work/imported"
nm "$@" | sed -n 's/^[0-9a-f]* [A-Z] //p' | sort -u >"$work/ours"
{
	sed -n 's/^	{ "\([a-z0-9_]*\)", .*/\1/p' tests/faults/calls.c
	echo "$spared" | sed 's/.*| //' | tr ' ' '\n'
} | sort -u >"$work/known"

unknown=$(comm -23 "$work/imported" "$work/ours" | comm -23 - "$work/known")
[ -z "$unknown" ] && exit 0
for name in $unknown; do
	echo "check-calls: what if $name() fails? Neither tests/faults/calls.c nor $0 says." >&2
done
exit 1
