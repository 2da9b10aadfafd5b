"""One process on this machine that is surely the one that we mean (Linux: /proc and pidfd).

A process id alone says nothing once its process has ended: the kernel gives it to another. With the
time at which the process began, and the boot that this is counted from, it is the same one or none.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

_PROC = Path("/proc")


class Identity(msgspec.Struct, frozen=True):
    """A process id, and when its process began, in clock ticks since the boot of that id."""

    pid: int
    began: int
    boot: str


def identity_of(pid: int) -> Identity | None:
    """Who has this process id now; None for nobody, or one that has ended and is not reaped."""
    try:
        state, identity = _look_up(pid)
    except OSError:
        return None
    return None if state in "ZX" else identity


def _look_up(pid: int) -> tuple[str, Identity]:
    stat = (_PROC / str(pid) / "stat").read_text()
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    # pid (name) state ppid ...; the name may hold anything. The 22nd member is the start.
    members = stat.rpartition(")")[2].split()
    return members[0], Identity(pid, int(members[19]), boot)


class Process:
    """A process that we started, or that one before us did; it leads a group of its own."""

    def __init__(self, identity: Identity, child: subprocess.Popen[bytes] | None = None) -> None:
        self.identity = identity
        self._child = child

    @classmethod
    def start(cls, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Process:
        """Start it, its output at the log's end.

        Signals to our group do not reach it, and it outlives us. Raises OSError.
        """
        with log.open("ab") as output:
            child = subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        # It may have ended already; its entry stays until we reap it.
        return cls(_look_up(child.pid)[1], child)

    def is_alive(self) -> bool:
        """Whether it runs; one of ours that has ended is reaped."""
        if self._child is not None:
            return self._child.poll() is None
        return identity_of(self.identity.pid) == self.identity

    @property
    def exit_code(self) -> int | None:
        """How it ended, minus the signal's number if by one; only known of a child of ours."""
        return self._child.poll() if self._child is not None else None

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and its group at once."""
        if self.is_alive():
            # Its id is taken as long as it lives, so the group is its own.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.identity.pid, signal.SIGKILL)
        if self._child is not None:
            self._child.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(self.identity.pid)
            try:
                # The descriptor is of one process for good: if that is the one, it stays it.
                if identity_of(self.identity.pid) == self.identity:
                    signal.pidfd_send_signal(descriptor, number)
            finally:
                os.close(descriptor)
