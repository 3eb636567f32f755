"""A small file system of its own in memory, which can be filled and freed again."""

import contextlib
import os
import subprocess

BALLAST_BLOCK = b"\0" * (1 << 16)


class SmallDisk:
    """What is mounted at `path`, if it could be."""

    def __init__(self, path, is_mounted):
        self.path = path
        self.ballast = path / "ballast"
        self.is_mounted = is_mounted

    def fill(self):
        """Leaves no byte. What was freed since the last call is taken by the next."""
        with open(self.ballast, "ab", buffering=0) as ballast:
            size = len(BALLAST_BLOCK)
            while size:
                try:
                    ballast.write(BALLAST_BLOCK[:size])
                except OSError:
                    size //= 2

    def fill_but(self, left):
        """Leaves that many bytes, or fewer by a block."""
        status = os.statvfs(self.path)
        with open(self.ballast, "ab", buffering=0) as ballast:
            for _ in range((status.f_bavail * status.f_frsize - left) // len(BALLAST_BLOCK) + 1):
                ballast.write(BALLAST_BLOCK)

    def free(self):
        self.ballast.unlink()


@contextlib.contextmanager
def mounted(path, mebibytes):
    """A disk of that size, where this process may mount one: in a namespace of its own, or as root."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "none", path]
    is_mounted = subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield SmallDisk(path, is_mounted)
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", path], check=True)
