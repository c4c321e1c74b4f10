"""Finds the filesystem type of a folder, because SQLite is unsafe on network filesystems."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["NETWORK_FILESYSTEMS", "filesystem_of"]

MOUNTS = Path("/proc/self/mounts")
NETWORK_FILESYSTEMS = frozenset(
    "afs beegfs ceph cifs davfs fuse.davfs2 fuse.gcsfuse fuse.glusterfs fuse.rclone fuse.s3fs fuse.sshfs glusterfs "
    "gpfs lustre ncpfs nfs nfs4 smb3 smbfs".split()
)


def filesystem_of(folder: Path, mounts: Path | None = None) -> str | None:
    """Returns the filesystem type of a folder, for example "ext4"; None if the mount table can't be read.

    Args:
        folder: The folder.
        mounts: The mount table; default: ``/proc/self/mounts``.
    """
    try:
        lines = (mounts or MOUNTS).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    folder = folder.resolve()
    best: tuple[int, str] | None = None
    for _, escaped, filesystem, *_ in (line.split(" ") for line in lines if line.count(" ") >= 3):  # noqa: PLR2004
        mount_point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), escaped))
        depth = len(mount_point.parts)
        if folder.is_relative_to(mount_point) and (best is None or depth >= best[0]):
            best = depth, filesystem
    return None if best is None else best[1]
