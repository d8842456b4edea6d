#!/bin/sh
# Takes captures on another kernel than this machine's: see second_kernel.py, which it runs in a virtual machine.
#
# usage: second-kernel.sh PACKAGE DIRECTORY [CAPTURE...]
#
# PACKAGE is a kernel as Debian packs it (`apt-get download linux-image-6.1.0-53-amd64`). Needs root, QEMU, trace-cmd,
# virtme-ng (https://pypi.org/project/virtme-ng), and what live tests need, but no hardware support. The virtual machine
# has the machine's files and changes none. Bundles, truths and a log come to DIRECTORY, within 20 minutes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

# Runs a command as root of the virtual machine, for which virtme-ng has mounted the machine's files as its root.
in_machine() {
    kernel=/run/files$1
    shift
    mkdir /run/changes
    mount -t tmpfs -o size=50% tmpfs /run/changes
    # Nothing in a network namespace can load them when they are needed.
    for module in overlay br_netfilter veth nf_conntrack_netlink nft_compat nft_chain_nat sch_tbf \
        xt_nat xt_MASQUERADE xt_addrtype xt_conntrack xt_comment xt_tcpudp; do
        modprobe --dirname "$kernel" "$module"
    done
    cd /run/changes
    mkdir upper work root
    mount -t overlay overlay -o lowerdir=/run/files,upperdir=upper,workdir=work root
    cd root
    for tree in dev sys proc mnt; do
        mount --rbind "/$tree" "$tree"
    done
    mount --bind "$kernel/lib/modules" usr/lib/modules
    for tree in run var/tmp; do
        mount -t tmpfs tmpfs "$tree"
    done
    mkdir old
    pivot_root . old
    umount --lazy old
    NETDIAG_PATIENCE=10 exec "$@"
}

if [ "$1" = --in-machine ]; then
    shift
    in_machine "$@"
fi

package=$1 directory=$(cd "$2" && pwd)
shift 2
kernel=$(mktemp -d /var/tmp/netdiag-kernel-XXXXXX)
trap 'rm -rf "$kernel"' EXIT
dpkg-deb -x "$package" "$kernel"
depmod -b "$kernel" "$(ls "$kernel/lib/modules")"

# The root that virtme-ng gives reads a file anew each time, and has a /tmp of its own: this one keeps what was read.
in_machine="mkdir /run/files
    mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=512000 files /run/files
    exec unshare --mount --propagation private sh /run/files$here/second-kernel.sh --in-machine $kernel"
vng --disable-kvm --force-9p --rw --cpus 1 --memory 5G --user root --run "$kernel"/boot/vmlinuz-* \
    --rwdir "/mnt=$directory" \
    --qemu-opts="-virtfs local,path=/,mount_tag=files,security_model=none,readonly=on,multidevs=remap" -- \
    "$in_machine /usr/bin/python3 $here/second_kernel.py /mnt $* >/mnt/log 2>&1" </dev/null
