"""Follows a file that nginx appends to, and keeps it small: it lies in memory.

Rotation loses nothing: the file's name is removed, nginx is told to open a new one, and the old
one is read on for a while, as a worker may still have a line for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

# A second at some thousand requests a second is about half a megabyte.
MAX_BYTES = 4 << 20
# Seconds that the old file is still read; a worker opens the new one within milliseconds.
GRACE = 10.0


class Tail:
    """The new lines of a file, whenever asked for; `reopen` makes nginx open its logs anew."""

    def __init__(
        self,
        path: Path,
        reopen: Callable[[], None],
        *,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._reopen = reopen
        self._max_bytes = max_bytes
        self._clock = clock
        self._old: _Reader | None = None
        self._old_until = 0.0
        # What was there before is counted by nobody: it may have been counted already.
        self._new = _Reader.opened(path, at_end=True)

    def lines(self) -> list[str]:
        """The lines that were finished since the last call."""
        found = []
        if self._old:
            found += self._old.lines()
            if self._clock() >= self._old_until:
                self._old.close()
                self._old = None
        if self._new is None:
            self._new = _Reader.opened(self._path)
        if self._new:
            found += self._new.lines()
            if self._new.position > self._max_bytes and self._old is None:
                self._rotate(self._new)
        return found

    def close(self) -> None:
        """Let go of the files."""
        for reader in (self._old, self._new):
            if reader:
                reader.close()
        self._old = self._new = None

    def _rotate(self, current: _Reader) -> None:
        self._path.unlink(missing_ok=True)
        self._old, self._new = current, None
        self._old_until = self._clock() + GRACE
        self._reopen()


class _Reader:
    """One open file and the line in it that is not finished yet."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rest = b""

    @classmethod
    def opened(cls, path: Path, *, at_end: bool = False) -> _Reader | None:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return None
        if at_end:
            file.seek(0, 2)
        return cls(file)

    @property
    def position(self) -> int:
        return self._file.tell()

    def lines(self) -> list[str]:
        *whole, self._rest = (self._rest + self._file.read()).split(b"\n")
        return [line.decode("utf-8", "replace") for line in whole]

    def close(self) -> None:
        self._file.close()
