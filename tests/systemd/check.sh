#!/bin/sh
# The installed unit under a real systemd, in a box of its own, with clients outside that compare
# every byte. Needs root, for the namespaces; says so and passes where there is none.
#
#	tests/systemd/check.sh BUILD-FOLDER
set -eu

build=$1
here=$(dirname "$0")
streams=${STREAMS:-2000}
slow=100
kills=${KILLS:-30}
unit=/usr/local/lib/systemd/system/ssecastd.service

skip() {
	echo "check-systemd: skipped: $*"
	exit 0
}

[ "$(id -u)" = 0 ] || skip "it takes root to make namespaces"
[ -x /lib/systemd/systemd ] || skip "systemd is not installed"
grep -q ' cgroup2 ' /proc/mounts || skip "the unified hierarchy of cgroups is not mounted"
unshare --pid --mount --uts --ipc --cgroup --fork true 2>/dev/null ||
	skip "namespaces are not allowed here"

# What is installed is for everybody, also in the box.
umask 022
work=$(mktemp -d)
box=$(mktemp -d)
failures=0

cleanup() {
	exec 3>&- || true
	sh "$here/box.sh" stop "$box" || true
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

inside() {
	sh "$here/box.sh" run "$box" "$@" </dev/null
}

expect() { # WHAT COMMAND...
	what=$1
	shift
	if "$@"; then
		echo "ok: $what"
	else
		echo "FAILED: $what"
		inside journalctl -u ssecastd --no-pager -o cat -n 30 || true
		failures=$((failures + 1))
	fi
}

until_true() { # COMMAND...: for ten seconds or so
	for _ in $(seq 200); do
		"$@" && return 0
		sleep 0.05
	done
	return 1
}

metric() {
	curl -s --max-time 5 --unix-socket "$root/run/ssecastd/control.sock" http://localhost/metrics |
		awk -v name="$1" '$1 == name { print $2 }'
}

metric_is() {
	[ "$(metric "$1")" = "$2" ]
}

is_active() {
	[ "$(inside systemctl show -P ActiveState ssecastd)" = active ]
}

main_pid() {
	inside systemctl show -P MainPID ssecastd
}

# --- the clients outside ---

# Asks the watcher whether all streams have all events; its answer must have no fault in it.
watch_check() { # WHAT
	echo check >&3
	read -r answer <&4 || answer="the watcher has ended"
	case $answer in
	"streams=$streams disconnects=0 wrong=0 "*) echo "ok: $1: $answer" ;;
	*)
		echo "FAILED: $1: $answer"
		cat "$work/watcher"
		inside journalctl -u ssecastd --no-pager -o cat -n 30 || true
		failures=$((failures + 1))
		watch_end
		watch_begin
		;;
	esac
}

watch_begin() {
	mkfifo "$work/commands" "$work/answers"
	"$build/watcher" "$port" "$root/run/ssecastd/control.sock" "$streams" "$slow" \
		<"$work/commands" >"$work/answers" 2>"$work/watcher" &
	watcher=$!
	exec 3>"$work/commands"
	exec 4<"$work/answers"
	rm "$work/commands" "$work/answers"
}

watch_end() {
	exec 3>&-
	wait "$watcher" || true
	exec 4<&-
}

# --- what is tested ---

configure() { # MORE-LINES
	cat >"$root/etc/ssecastd/ssecastd.conf" <<-CONF
		listen 127.0.0.1:$port
		control unix:/run/ssecastd/control.sock
		welcome ""
		tick-interval 0
		sndbuf 16K
		$1
	CONF
	mkdir -p "$root/etc/systemd/system/ssecastd.service.d"
	printf '[Service]\nWatchdogSec=3s\n' >"$root/etc/systemd/system/ssecastd.service.d/test.conf"
}

install_binary() { # FILE
	install -m 755 "$1" "$root/usr/local/bin/.new"
	mv "$root/usr/local/bin/.new" "$root/usr/local/bin/ssecastd"
}

reload_refused() { # WHAT
	refused=$(metric ssecast_upgrades_refused_total)
	inside systemctl reload ssecastd
	expect "$1: it is refused" \
		until_true metric_is ssecast_upgrades_refused_total $((refused + 1))
	watch_check "$1: the old one goes on"
}

check_unit() {
	complaints=$(inside systemd-analyze verify --man=no "$unit" \
		/usr/local/lib/systemd/system/ssecastd.socket 2>&1 || echo failed)
	expect "systemd-analyze verify has nothing to say${complaints:+: $complaints}" [ -z "$complaints" ]
	expect "the unit's exposure is 1.0 at most" \
		inside sh -c "systemd-analyze security --offline=true --threshold=10 $unit >/dev/null"
}

check_start() {
	inside systemctl daemon-reload
	expect "systemctl enable --now" inside systemctl -q enable --now ssecastd
	expect "it is active" is_active
}

check_reload() {
	for i in 1 2 3 4 5 6 7 8 9 10; do
		[ "$i" = 6 ] && install_binary "$build/ssecastd-next"
		inside systemctl reload ssecastd
		expect "reload $i" until_true metric_is ssecast_upgrades_total "$i"
		sleep 0.3
	done
	watch_check "ten reloads, five with the same and five with another version"
	expect "the process is the same" [ "$(main_pid)" = "$pid" ]
}

check_refusals() {
	install_binary "$build/ssecastd"
	reload_refused "an older binary that cannot read the state"
	install_binary "$build/ssecastd-next"
	configure "nonsense 1"
	reload_refused "a broken configuration"
	configure ""
	printf '#!/nowhere\n' >"$work/none"
	chmod 755 "$work/none"
	install_binary "$work/none"
	reload_refused "a binary that cannot be run"
	install_binary "$build/ssecastd"
}

is_recovered() { # STREAMS
	[ "$(metric ssecast_streams_recovered_total)" = "$1" ]
}

crash() { # SIGNAL
	before=$(main_pid)
	inside kill "-$1" "$before"
	until_true is_another "$before" || expect "it is started again after SIG$1" false
}

is_another() { # PID
	now=$(main_pid)
	[ "$now" != 0 ] && [ "$now" != "$1" ] && is_active
}

check_crashes() {
	for i in $(seq "$kills"); do
		# A moment of its own each time, and the third one not within ten seconds.
		sleep "5.$(($(od -An -N2 -tu2 /dev/urandom) % 800 + 100))"
		crash KILL
	done
	expect "after $kills SIGKILLs the streams are there" until_true is_recovered "$streams"
	watch_check "$kills SIGKILLs at random moments"
	sleep 5.1
	crash SEGV
	watch_check "a SIGSEGV"
	sleep 5.1
	before=$(main_pid)
	inside kill -STOP "$before"
	expect "a hang is caught by the watchdog" until_true is_another "$before"
	watch_check "a hang"
	sleep 5.1
	inside systemctl restart ssecastd
	expect "after a restart the streams are there" until_true is_recovered "$streams"
	watch_check "systemctl restart"
	inside systemctl reload ssecastd
	expect "a reload after a crash" until_true metric_is ssecast_upgrades_total 1
	sleep 5.1
	crash KILL
	watch_check "a crash after a reload"
}

# The third crash within ten seconds is taken for a fault of what was kept.
check_repeated() {
	watch_end
	# The manager itself gives up at the fifth start within ten seconds.
	sleep 10
	crash KILL
	crash KILL
	crash KILL
	expect "after three crashes it begins anew" until_true metric_is ssecast_connections 1
	watch_begin
	watch_check "new streams after that"
}

check_stop() {
	begun=$(date +%s%N)
	expect "systemctl stop" inside systemctl stop ssecastd
	took_ms=$((($(date +%s%N) - begun) / 1000000))
	expect "no SIGKILL was needed, in $took_ms ms" \
		[ "$(inside systemctl show -P Result ssecastd)" = success ]
	expect "the streams ended over most of --drain" [ "$took_ms" -gt 2500 ]
}

check_activation() {
	sed -i "s/^ListenStream=.*/ListenStream=127.0.0.1:$port/" \
		"$root/usr/local/lib/systemd/system/ssecastd.socket"
	inside systemctl daemon-reload
	inside systemctl start ssecastd.socket
	expect "the socket alone starts no daemon" [ "$(main_pid)" = 0 ]
	watch_begin
	watch_check "the first client starts it"
}

# The unit's walls, seen by a program in the daemon's place.
check_walls() {
	install -m 755 "$build/prisoner" "$root/usr/local/bin/prisoner"
	sed -e 's|/usr/local/bin/ssecastd --config.*|/usr/local/bin/prisoner|' \
		-e 's|/usr/local/bin/ssecastd |/usr/local/bin/prisoner |' \
		-e 's|^Type=notify|Type=exec|' -e '/^WatchdogSec/d' -e '/^Restart/d' \
		"$root$unit" >"$root/run/systemd/system/prisoner.service"
	mkdir -p "$root/home/somebody" "$root/var/lib/other"
	echo secret >"$root/home/somebody/file"
	echo secret >"$root/var/lib/other/file"
	chmod 600 "$root/var/lib/other/file"
	inside systemctl daemon-reload
	inside systemctl start prisoner
	until_true [ "$(inside systemctl show -P ActiveState prisoner)" != active ]
	inside journalctl -u prisoner --no-pager -o cat -t prisoner >"$work/prisoner"
	for wall in "home: refused" "file of another: refused" "writing: refused" \
		"foreign address: refused" "own address: open" "executable memory: refused" \
		"other program: refused" "namespace: refused"; do
		expect "inside the unit, $wall" grep -q "^$wall" "$work/prisoner"
	done
}

sh "$here/box.sh" start "$box"
root=$(sh "$here/box.sh" root "$box")
make -s install BUILD="$build" DESTDIR="$root"
# A port that is free now: the network is the machine's.
port=$("$build/watcher" free-port)
configure ""

check_unit
check_start
pid=$(main_pid)
watch_begin
watch_check "streams are open"
check_reload
check_refusals
check_walls
check_crashes
check_repeated
check_stop
watch_end
check_activation
inside systemctl stop ssecastd.socket ssecastd
watch_end

if [ "$failures" -gt 0 ]; then
	echo "check-systemd: $failures failures"
	exit 1
fi
echo "check-systemd: all is well"
