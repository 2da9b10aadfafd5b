"""What the kernel says of processes (Linux' /proc); elsewhere nothing is known of any."""

from __future__ import annotations

from pathlib import Path

_PROC = Path("/proc")


def title(pid: int) -> str:
    """The command line, or what the process calls itself; empty for one that is gone or dead."""
    try:
        raw = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode("utf-8", "replace").strip()


def group(leader: int) -> dict[int, str]:
    """The living processes of a group, by process id, with their titles."""
    members = {}
    for entry in _PROC.glob("[0-9]*"):
        pid = int(entry.name)
        if _group_of(pid) == leader and (name := title(pid)):
            members[pid] = name
    return members


def _group_of(pid: int) -> int | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # pid (name) state ppid pgrp …; the name may hold anything.
    return int(stat.rpartition(")")[2].split()[2])
