#!/bin/sh
# Makes the root of a laboratory host from a Debian suite, for engines that this machine's own Debian does not have.
#
# usage: make-root.sh SUITE DIRECTORY PACKAGE...
#
# Needs root, debootstrap, and a mirror of Debian: the one that this machine's apt uses, or $NETDIAG_MIRROR. DIRECTORY appears
# only when it is complete.
set -eu
suite=$1 directory=$2
shift 2

uris=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' || true)
mirror=${NETDIAG_MIRROR:-$(printf '%s\n' "$uris" | grep -m1 '/debian/$')}
partial=$directory.partial.$$
trap 'rm -rf "$partial"' EXIT

mkdir -p "$(dirname "$directory")"
debootstrap --variant=minbase "$suite" "$partial" "$mirror"
# No service may start while packages are unpacked: the root is not a machine yet.
printf '#!/bin/sh\nexit 101\n' >"$partial/usr/sbin/policy-rc.d"
chmod +x "$partial/usr/sbin/policy-rc.d"
DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
    chroot "$partial" apt-get install -y --no-install-recommends "$@"
chroot "$partial" apt-get clean
mv "$partial" "$directory"
trap - EXIT
