"""CPU and memory of a system: of all its processes, as the kernel counts them (Linux' /proc)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

_PROC = Path("/proc")
_TICK = os.sysconf("SC_CLK_TCK")


def descendants(leaders: Iterable[int]) -> set[int]:
    """The leaders, the processes of their sessions, and whatever descends from any of them."""
    told = {int(entry.name): _stat(int(entry.name)) for entry in _PROC.glob("[0-9]*")}
    # pid (name) state ppid pgrp session …
    found = set(leaders)
    found |= {pid for pid, stat in told.items() if stat and int(stat[3]) in found}
    while new := {p for p, stat in told.items() if stat and int(stat[1]) in found} - found:
        found |= new
    return {pid for pid in found if told.get(pid)}


def cpu_seconds(leaders: Iterable[int]) -> float:
    """User and system time so far, that of children that have ended included."""
    stats = [_stat(pid) for pid in descendants(leaders)]
    # … utime stime cutime cstime are the fields 14 to 17, of which the first two are cut off.
    return sum(sum(map(int, stat[11:15])) for stat in stats if stat) / _TICK


def megabytes(leaders: Iterable[int]) -> float:
    """Proportional set size: a page that several processes share is counted once, in shares.

    What a process outside shares with them makes the figure smaller, so the measuring process
    imports none of the numeric libraries.
    """
    kilobytes = 0
    for pid in descendants(leaders):
        with contextlib.suppress(OSError):
            lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
            kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes / 1024


def _stat(pid: int) -> list[str]:
    """What the kernel says of a process after its name; empty for one that is gone."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
