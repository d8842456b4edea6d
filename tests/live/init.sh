#!/bin/sh
# PID 1 of a laboratory host: turns fresh namespaces into a machine of its own, says so on stdout, then waits.
#
# usage: init.sh DIRECTORY HOSTNAME nft|legacy [ROOT]
#
# Runs in new mount, network, UTS, IPC and PID namespaces. DIRECTORY/data becomes the engine's store and must not lie on
# an overlay. With ROOT, another Debian's root directory, the host has its files instead of the machine's; ROOT itself
# stays unchanged. Prints `ready PID` once the host can be entered, with its own process id as the outside counts.
set -eu
[ $$ -eq 1 ] || {
    echo "$0: only for PID 1 of a new host: elsewhere it would change the machine's own files" >&2
    exit 1
}
directory=$1 hostname=$2 backend=$3 root=${4:-}

# The old /proc is still mounted here, so this is the outer process id.
read -r outer_pid _ </proc/self/stat

mount --make-rprivate /

# An upper directory below its own lower directory is refused (ELOOP), hence the tmpfs.
mkdir "$directory/upper" "$directory/data"
mount -t tmpfs tmpfs "$directory/upper"

# The directory $1 at $2, with what is written there kept in the tmpfs.
overlay() {
    mkdir -p "$directory/upper/changed/$2" "$directory/upper/work/$2"
    mount -t overlay overlay -o "lowerdir=$1,upperdir=$directory/upper/changed/$2,workdir=$directory/upper/work/$2" "$2"
}

if [ -n "$root" ]; then
    mkdir "$directory/root"
    overlay "$root" "$directory/root"
    for machines in dev sys "${directory#/}/upper" "${directory#/}/data"; do
        mkdir -p "$directory/root/$machines"
        mount --rbind "/$machines" "$directory/root/$machines"
    done
    cd "$directory/root"
    pivot_root . mnt
else
    for tree in /etc /var/lib /var/log; do
        overlay "$tree" "$tree"
    done
fi

for engine in docker containers; do
    mkdir -p "$directory/data/$engine" "/var/lib/$engine"
    mount --bind "$directory/data/$engine" "/var/lib/$engine"
done

# The old sysfs shows the interfaces of the network namespace it was mounted in; dockerd needs the control groups back.
mkdir "$directory/upper/cgroup"
mount --rbind /sys/fs/cgroup "$directory/upper/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$directory/upper/cgroup" /sys/fs/cgroup
mount -t tracefs nodev /sys/kernel/tracing

mount -t proc proc /proc
[ -z "$root" ] || umount --lazy /mnt
for private in /run /tmp /root /usr/local; do
    mount -t tmpfs -o mode=0755 tmpfs "$private"
done
chmod 1777 /tmp
mkdir -p /run/lock /run/netns /usr/local/sbin /usr/local/bin

for tool in iptables ip6tables; do
    ln -sfn "/usr/sbin/$tool-$backend" "/etc/alternatives/$tool"
    ln -sfn "/usr/sbin/$tool-$backend-save" "/etc/alternatives/$tool-save"
    ln -sfn "/usr/sbin/$tool-$backend-restore" "/etc/alternatives/$tool-restore"
done

hostname "$hostname"
rm -f /etc/resolv.conf /etc/hosts /etc/hostname
echo "$hostname" >/etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$hostname" >/etc/hosts
# Nobody answers names there: a look-up is refused at once instead of leaving the laboratory or waiting.
echo 'nameserver 198.51.100.7' >/etc/resolv.conf

ip link set lo up
# A new network namespace may inherit the machine's value; dockerd sets FORWARD to DROP only when it finds 0 here.
echo 0 >/proc/sys/net/ipv4/ip_forward

cd /root
echo "ready $outer_pid"
exec tini -- sleep infinity </dev/null >/dev/null 2>&1
