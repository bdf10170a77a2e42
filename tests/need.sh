#!/bin/sh
# Installs what the tests need beyond a compiler, where that is possible without asking anybody;
# else prints the one command that does it, and fails.
#
#	tests/need.sh [PACKAGE...]	more Debian packages
set -eu

missing=
for package in libcriterion-dev pkg-config curl "$@"; do
	# A package may be there under the name of another that provides it (pkgconf).
	case $package in
	pkg-config | curl | npm) command -v "$package" >/dev/null && continue ;;
	nodejs) command -v node >/dev/null && continue ;;
	libcriterion-dev) pkg-config --exists criterion 2>/dev/null && continue ;;
	*) dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^.i' && continue ;;
	esac
	missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
	as_root=
elif sudo -n true 2>/dev/null; then
	as_root='sudo -n'
else
	as_root=no
fi

if [ "$as_root" = no ] || ! command -v apt-get >/dev/null; then
	echo "The tests need packages that are not installed. Please run:"
	echo "	sudo apt-get install --no-install-recommends$missing"
	exit 1
fi

echo "Installing what the tests need:$missing"
# A machine that has just been started may be installing something itself: wait for that.
apt() {
	# The words are meant to be split.
	# shellcheck disable=SC2086
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" </dev/null
}
# shellcheck disable=SC2086
install() {
	apt install -y --no-install-recommends $missing
}
# The package lists may be missing or old: fetch them only then. A mirror may have a bad moment.
for pause_s in 0 10 60; do
	install >/dev/null 2>&1 && exit 0
	sleep "$pause_s"
	apt update || true
done
install
