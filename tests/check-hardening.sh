#!/bin/sh
# Checks what the compiler and the linker were told to harden: the binary is position-independent, its
# tables are read-only once it runs, no stack is executable, nothing is writable and executable, stacks
# and libc's copies are guarded.
#
#	tests/check-hardening.sh BINARY
set -eu

binary=$1
result=0

expect() {
	what=$1
	shift
	if ! "$@" >/dev/null; then
		echo "check-hardening: $binary is not hardened: $what" >&2
		result=1
	fi
}

headers=$(readelf --wide --file-header --program-headers --dynamic "$binary")
symbols=$(readelf --wide --dyn-syms "$binary")

# Called by expect.
# shellcheck disable=SC2317
has() {
	echo "$1" | grep -Eq "$2"
}

# shellcheck disable=SC2317
has_not() {
	! has "$1" "$2"
}

expect 'position-independent' has "$headers" 'Type:.*DYN'
expect 'relocations read-only' has "$headers" 'GNU_RELRO'
expect 'symbols bound at the start' has "$headers" 'BIND_NOW|FLAGS.*NOW'
expect 'stack not executable' has "$headers" 'GNU_STACK.* RW '
expect 'nothing writable and executable' has_not "$headers" ' RWE '
expect 'stack protector' has "$symbols" '__stack_chk_fail'
expect 'fortified libc calls' has "$symbols" '__[a-z]*_chk'
exit "$result"
