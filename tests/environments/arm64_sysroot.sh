#!/usr/bin/env bash
# Makes a folder $1 with Debian's python3 for arm64 and what a Raspberry Pi 4 says of itself: qemu-user runs its programs.
set -euo pipefail
root=$1
exec 9>"${TMPDIR:-/tmp}/modelyard-arm64-sysroot.lock"
flock 9 # of two that want it, one makes it
[ -e "$root/.done" ] && exit 0
mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -m1 '/debian/\?$' || echo https://deb.debian.org/debian)
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
rm -rf "$root"
mkdir -p "$root"
debootstrap --foreign --arch=arm64 --variant=minbase --include=python3-minimal,python3,python3-venv,libgomp1,libatomic1 "$release" "$root" "$mirror" >"$root.log" 2>&1 || {
  tail -20 "$root.log"
  exit 1
}
for package in "$root"/var/cache/apt/archives/*.deb; do dpkg -x "$package" "$root"; done
rm -rf "$root"/var/cache/apt "$root"/debootstrap "$root.log"
# what the packages do when they are installed: without it each start compiles the standard library
compiler=$(command -v "$(basename "$(ls "$root"/usr/bin/python3.*[0-9] | head -1)")" || true)
[ -n "$compiler" ] || compiler="qemu-aarch64-static -L $root $(ls "$root"/usr/bin/python3.*[0-9] | head -1)"
$compiler -m compileall -q -j 0 "$root"/usr/lib/python3* >/dev/null || true
# onnxruntime asks the system which processors there are; of another machine's it dies
mkdir -p "$root/proc" "$root/sys/devices/system/cpu"
for n in 0 1 2 3; do
  printf 'processor\t: %s\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n' "$n"
done >"$root/proc/cpuinfo"
printf 'Hardware\t: BCM2835\nRevision\t: c03114\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n' >>"$root/proc/cpuinfo"
echo 0-3 | tee "$root/sys/devices/system/cpu/possible" >"$root/sys/devices/system/cpu/present"
touch "$root/.done"
