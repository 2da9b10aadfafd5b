"""What the kernel says of processes (Linux' /proc); elsewhere nothing is known of any."""

from __future__ import annotations

from pathlib import Path

_PROC = Path("/proc")
# States of one that has ended: its parent has not looked yet, or is looking.
_DEAD = frozenset("ZXx")


def title(pid: int) -> str:
    """The command line, or what the process calls itself; empty for one that is gone or dead."""
    try:
        raw = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode("utf-8", "replace").strip()


def group(leader: int) -> dict[int, str]:
    """The living processes of a group, by process id, with their titles.

    One that has only just started its program may have no title yet.
    """
    found = [int(entry.name) for entry in _PROC.glob("[0-9]*")]
    return {pid: title(pid) for pid in found if _living_in(leader, pid)}


def _living_in(leader: int, pid: int) -> bool:
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return False
    # pid (name) state ppid pgrp …; the name may hold anything.
    state, _, its_leader = stat.rpartition(")")[2].split()[:3]
    return int(its_leader) == leader and state not in _DEAD
