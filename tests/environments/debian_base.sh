#!/usr/bin/env bash
# Makes a base image of Debian with python3, from Debian's own packages, and calls it $1: no registry of images is asked.
set -euo pipefail
image=$1
engine=${2:-podman}
exec 9>"${TMPDIR:-/tmp}/modelyard-debian-base.lock"
flock 9 # of two that want it, one makes it
"$engine" image inspect "$image" >/dev/null 2>&1 && exit 0
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -m1 '/debian/\?$' || echo https://deb.debian.org/debian)
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase --include=python3-minimal,python3,ca-certificates "$release" "$root" "$mirror" >"$root.log" 2>&1 || {
  tail -20 "$root.log"
  exit 1
}
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root.log"
tar -C "$root" -c . | "$engine" import - "$image" >/dev/null
