"""Which disks are somebody else's: there SQLite's write-ahead log must not be used."""

from __future__ import annotations

from pathlib import Path

import psutil

_NETWORK = (
    "nfs",
    "cifs",
    "smb",
    "afs",
    "9p",
    "ceph",
    "lustre",
    "glusterfs",
    "fuse.sshfs",
    "fuse.s3fs",
    "webdav",
)


def on_network_disk(path: Path) -> bool:
    """Whether `path` lies on a file system that other machines may write to as well."""
    mounts = {Path(part.mountpoint): part.fstype.lower() for part in psutil.disk_partitions(all=True)}
    place = path.resolve()
    kind = next((mounts[folder] for folder in (place, *place.parents) if folder in mounts), "")
    return kind.startswith(_NETWORK)
