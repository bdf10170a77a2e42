#!/bin/sh
# A real systemd as PID 1 of namespaces of its own, on an overlay of this machine's root: what
# happens in there stays in there. The network is the machine's, so that clients are outside.
#
#	box.sh start FOLDER	boots it; the folder is its own from now on
#	box.sh run FOLDER COMMAND...	runs a command inside
#	box.sh root FOLDER	prints where its root can be seen from outside
#	box.sh stop FOLDER	ends it and leaves nothing behind
set -eu

action=$1
work=$2
shift 2

# The unified hierarchy, wherever it is mounted.
groups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
group=$groups/$(basename "$work")

# Runs as PID 1 until it becomes systemd.
inside() {
	mount --make-rprivate /
	mount -t overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" overlay "$work/root"
	cd "$work/root"
	mount -t proc proc proc
	# Settings of the kernel are the machine's: nobody in here may change them.
	mount --bind proc/sys proc/sys
	mount -o remount,bind,ro proc/sys
	mount -t sysfs -o ro sysfs sys
	mount -t cgroup2 cgroup2 sys/fs/cgroup
	mount -t tmpfs -o mode=755 tmpfs dev
	for name in null zero full random urandom tty; do
		: >dev/$name
		mount --bind /dev/$name dev/$name
	done
	mkdir dev/pts dev/shm
	mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
	ln -s pts/ptmx dev/ptmx
	ln -s /proc/self/fd dev/fd
	for i in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${i%:*}" "dev/${i#*:}"; done
	mount -t tmpfs tmpfs dev/shm
	mount -t tmpfs -o mode=755 tmpfs run
	mount -t tmpfs -o mode=1777 tmpfs tmp
	# Nothing of what the machine starts by itself, and no first boot, which would start it all.
	rm -rf etc/systemd/system/*.wants etc/systemd/system/*.requires
	: >etc/fstab
	tr -d - <proc/sys/kernel/random/uuid >etc/machine-id
	for unit in systemd-sysctl systemd-firstboot systemd-udevd systemd-udev-trigger \
		systemd-modules-load systemd-remount-fs systemd-update-utmp systemd-binfmt; do
		ln -sf /dev/null "etc/systemd/system/$unit.service"
	done
	for unit in systemd-udevd-kernel.socket systemd-udevd-control.socket \
		systemd-journald-audit.socket dev-hugepages.mount dev-mqueue.mount \
		sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount; do
		ln -sf /dev/null "etc/systemd/system/$unit"
	done
	mkdir outside
	pivot_root . outside
	umount -l /outside
	rmdir /outside
	exec env -i container=box PATH=/usr/sbin:/usr/bin:/sbin:/bin \
		/lib/systemd/systemd --system --unit=basic.target --log-target=console \
		--log-level=notice --show-status=0
}

leader() {
	cat "$work/leader"
}

state() {
	nsenter -t "$1" -m -p -u -i -C systemctl is-system-running 2>/dev/null || true
}

start() {
	mkdir -p "$work"
	mount -t tmpfs -o mode=755 box "$work"
	mkdir "$work/upper" "$work/work" "$work/root" "$group"
	(
		sh -c 'echo $$ >"$1"/cgroup.procs; shift; exec "$@"' in "$group" \
			setsid unshare --pid --mount --uts --ipc --cgroup --fork --kill-child \
			sh "$0" inside "$work" >"$work/console" 2>&1 </dev/null &
		echo $! >"$work/outer"
	)
	for _ in $(seq 300); do
		pid=$(pgrep -P "$(cat "$work/outer")" 2>/dev/null | head -1) || pid=
		if [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = systemd ]; then
			echo "$pid" >"$work/leader"
			case $(state "$pid") in running | degraded) return 0 ;; esac
		fi
		sleep 0.05
	done
	cat "$work/console" >&2
	echo "box: systemd did not come up" >&2
	return 1
}

stop() {
	if [ -s "$work/leader" ]; then
		kill -KILL "$(leader)" 2>/dev/null || true
		for _ in $(seq 100); do
			[ -e "/proc/$(leader)" ] || break
			sleep 0.05
		done
	elif [ -s "$work/outer" ]; then
		kill -KILL "$(cat "$work/outer")" 2>/dev/null || true
	fi
	# The last process leaves its group a moment after it is gone.
	for _ in $(seq 100); do
		find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
		[ -e "$group" ] || break
		sleep 0.05
	done
	umount "$work" 2>/dev/null || umount -l "$work"
	rmdir "$work"
}

case $action in
start) start ;;
inside) inside ;;
run) exec nsenter -t "$(leader)" -m -p -u -i -C --wd=/ -- "$@" ;;
root) echo "/proc/$(leader)/root" ;;
stop) stop ;;
esac
