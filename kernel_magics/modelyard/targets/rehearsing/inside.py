"""The first thing that runs in a box: close the disk, leave loopback only, then become what is rehearsed.

Run by its path, in new namespaces (`unshare`), with the standard library alone. ``argv[1]`` is a JSON object:
``read_only``, ``writable`` (folders), ``kept`` (folders that must be seen, also beneath a writable one),
``loopback``, ``folder`` and ``argv``.
"""

import ctypes
import fcntl
import json
import os
import re
import socket
import struct
import sys

_RDONLY, _NOSUID, _NODEV, _NOEXEC, _NOATIME, _RELATIME = 1, 2, 4, 8, 1024, 1 << 21
_REMOUNT, _BIND, _REC, _PRIVATE = 32, 4096, 16384, 1 << 18
_KEPT_FLAGS = {
    "nosuid": _NOSUID, "nodev": _NODEV, "noexec": _NOEXEC, "noatime": _NOATIME, "relatime": _RELATIME,
}  # fmt: skip
_OF_THE_KERNEL = ("/proc", "/sys", "/dev/pts", "/dev/mqueue")
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1

_libc = ctypes.CDLL(None, use_errno=True)


def _mount(origin: str, at: str, kind: str, flags: int, data: str = "") -> None:
    if _libc.mount(origin.encode(), at.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()):
        number = ctypes.get_errno()
        raise OSError(number, f"{os.strerror(number)}: mount of {at}")


def _mounts() -> list[tuple[str, int]]:
    """Return where something is mounted, and with which flags."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        for line in lines:
            words = line.split()
            place = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), words[4])
            flags = sum(_KEPT_FLAGS.get(option, 0) for option in words[5].split(","))
            found.append((place, flags))
    return found


def close_disk(writable: list[str], kept: list[str]) -> None:
    """Make every file system read-only, and put an empty one in memory at each of `writable`."""
    _mount("none", "/", "", _REC | _PRIVATE)
    below = [path for path in kept if any(path.startswith(f"{place}/") for place in writable)]
    held = {path: os.open(path, os.O_PATH) for path in below}
    for place, flags in _mounts():
        if not place.startswith(_OF_THE_KERNEL):
            _mount("none", place, "", _BIND | _REMOUNT | _RDONLY | flags)
    for place in writable:
        _mount("tmpfs", place, "tmpfs", _NOSUID | _NODEV, "mode=1777")
    for path, descriptor in held.items():
        os.makedirs(path, exist_ok=True)
        _mount(f"/proc/self/fd/{descriptor}", path, "", _BIND)
        _mount("none", path, "", _BIND | _REMOUNT | _RDONLY | _NOSUID | _NODEV)
        os.close(descriptor)


def raise_loopback() -> None:
    """Make 127.0.0.1 answer in a network of one's own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sh14s", b"lo", 0, b"")
        flags = struct.unpack("16sh14s", fcntl.ioctl(any_socket, _GET_FLAGS, asked))[1]
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14s", b"lo", flags | _UP, b""))


def main() -> None:
    """Do it."""
    told = json.loads(sys.argv[1])
    if told["loopback"]:
        raise_loopback()
    if told["read_only"]:
        close_disk(told["writable"], told["kept"])
    os.chdir(told["folder"])
    os.execv(told["argv"][0], told["argv"])


if __name__ == "__main__":
    main()
