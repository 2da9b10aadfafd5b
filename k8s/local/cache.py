"""Keeps what was built, outside the repository: made under another name, then renamed.

An artefact's name ends with a key of all it was made from, so a change makes it anew and an old
one is never taken for it. A build that breaks off leaves nothing that looks whole.

    bin/<program>               the newest of each program, as a link
    programs/ rootfs/ images/   artefacts: <name>-<key><suffix>
    work/                       folders that builds may reuse
    engine/                     of a Docker engine that we started: log, pid, runtime
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

KEY_LENGTH = 12
PARTIAL = ".partial"
KEPT = 2


def key_of(facts: Iterable[str], files: Iterable[Path] = ()) -> str:
    """A short key of some facts, in their order, and of files (names and contents)."""
    digest = hashlib.sha256()
    for fact in facts:
        digest.update(f"{len(fact)}:{fact}\n".encode())
    for file in files:
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.name}:{content}\n".encode())
    return digest.hexdigest()[:KEY_LENGTH]


def files_below(folder: Path) -> list[Path]:
    """All files below a folder, in an order that is the same everywhere."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


class Cache:
    """The folder of artefacts; one setup at a time may write into it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / "bin"

    def path(self, kind: str, name: str, key: str, suffix: str = "") -> Path:
        """Where the artefact lies, whether it is there or not."""
        return self.root / kind / f"{name}-{key}{suffix}"

    def work(self, name: str) -> Path:
        """A folder that later builds may find as this one left it."""
        folder = self.root / "work" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextlib.contextmanager
    def making(self, target: Path) -> Iterator[Path]:
        """A name to build under; it becomes `target` at the end, or is removed on failure."""
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + PARTIAL)
        _remove(partial)
        try:
            yield partial
            partial.replace(target)
        finally:
            _remove(partial)

    def link(self, program: Path, name: str) -> None:
        """Make `bin/<name>` lead to a built program, in one step."""
        self.bin.mkdir(parents=True, exist_ok=True)
        new = self.bin / f"{name}{PARTIAL}"
        new.unlink(missing_ok=True)
        new.symlink_to(os.path.relpath(program, self.bin))
        new.replace(self.bin / name)

    def prune(self, artefact: Path, name: str, suffix: str = "") -> None:
        """Of one artefact keep it and the newest other one, so that two checkouts can share."""
        artefact.touch()
        pattern = f"{name}-{'?' * KEY_LENGTH}{suffix}"
        found = sorted(artefact.parent.glob(pattern), key=lambda path: -path.stat().st_mtime)
        for old in found[KEPT:]:
            _remove(old)

    @contextlib.contextmanager
    def alone(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold the cache against other setups; `waiting` is called if this one must wait."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(lock, fcntl.LOCK_EX)
            self._sweep()
            yield

    def _sweep(self) -> None:
        """Remove what an interrupted build left; nobody else builds while we hold the lock."""
        for partial in self.root.glob(f"*/*{PARTIAL}"):
            _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
