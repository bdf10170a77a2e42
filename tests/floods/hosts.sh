#!/bin/sh
# Runs a command on a host of its own that has a second one, of the attackers, on a wire: two
# network namespaces and a veth pair, which are gone when the command is.
#
#	10.66.0.1  this host, where the command runs; it has 127.0.0.1, too
#	10.66.0.2  the attackers', which owns all of 10.128.0.0/16: clients connect from any
#	           address there. Nobody answers what is sent to 10.129.0.0/16.
#
# $ATTACKERS is the file of the attackers' namespace, for setns().
#
#	tests/floods/hosts.sh COMMAND [ARGUMENT...]
set -eu

if [ "$1" != --inside ]; then
	user=
	[ "$(id -u)" = 0 ] || user=--map-root-user
	exec unshare --net --mount --pid --fork --mount-proc --kill-child $user sh "$0" --inside "$@"
fi
shift

# The attackers' host lasts as long as this reader of a pipe that nobody writes to.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkfifo "$work/life"
unshare --net cat "$work/life" &
there=$!
exec 9>"$work/life"
ATTACKERS=/proc/$there/ns/net
export ATTACKERS

ip link set lo up
ip link add wire type veth peer name wire netns "$there"
ip addr add 10.66.0.1/30 dev wire
ip link set wire up
# What is sent to them is received by a processor of theirs, not by the sender's.
nsenter --net="$ATTACKERS" unshare --mount sh -eu <<'THERE'
	ip link set lo up
	ip addr add 10.66.0.2/30 dev wire
	ip link set wire up
	ip route add default via 10.66.0.1
	ip route add local 10.128.0.0/16 dev lo
	mount -t sysfs none /sys
	[ "$(nproc)" = 1 ] || echo 2 >/sys/class/net/wire/queues/rx-0/rps_cpus
THERE
ip route add 10.128.0.0/15 via 10.66.0.2

result=0
"$@" 9>&- || result=$?
exit "$result"
