"""What a worker has left behind: living processes of its group, shared memory under its mark. Linux only."""

from __future__ import annotations

from pathlib import Path

__all__ = ["processes", "segments"]


def processes(group: int) -> list[int]:
    """Living processes of a process group, by number."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:  # it has just ended
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return sorted(found)


def segments(mark: str) -> list[str]:
    """Shared memory whose name begins with a worker's mark."""
    return sorted(path.name for path in Path("/dev/shm").glob(f"{mark}*"))
