"""The files of an installation on one machine: where they lie, and how they are changed.

A file is replaced as a whole, by a rename, so whoever reads one sees all of it or the one before.
Those who read, change and write take a lock first; the kernel gives it back when they are killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from slipway.cluster.protocol import DocumentName, Part, Pod
from slipway.errors import Unavailable

# Seconds to wait for a lock that somebody holds; nobody holds one for longer than a write takes.
PATIENCE = 5.0
_STEP = 0.005

Found = TypeVar("Found")


class Asked(msgspec.Struct, frozen=True):
    """What a part is to run and in which size; each change of it is a new generation."""

    replicas: int = 0
    digest: str = ""
    generation: int = 1


class Observed(msgspec.Struct, frozen=True):
    """What the supervisor made of a generation."""

    generation: int = 0
    pods: tuple[Pod, ...] = ()


class LocalFolder:
    """The paths below an installation's folder."""

    def __init__(self, folder: Path) -> None:
        self.root = folder.absolute()
        self.lease = self.root / "lease.json"
        self.events = self.root / "events.jsonl"
        self.ports = self.root / "ports.json"
        self.processes = self.root / "processes.json"
        self.supervisor_lock = self.root / "supervisor.lock"
        self.logs = self.root / "logs"

    def document(self, name: DocumentName) -> Path:
        """A document's file, which a person may edit."""
        return self.root / "documents" / f"{name}.json"

    def asked(self, part: Part) -> Path:
        """What the controller wants of a part."""
        return self.root / "workloads" / f"{part}.json"

    def observed(self, part: str) -> Path:
        """What the supervisor says of a part, the controller included."""
        return self.root / "workloads" / f"{part}.observed.json"

    def pod(self, name: str) -> Path:
        """A pod's own folder: its release lock and its last words."""
        return self.root / "pods" / name

    def pods(self) -> list[Path]:
        """The pods' folders that there are."""
        return list((self.root / "pods").glob("*"))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Alone among all who write here; raises Unavailable when that takes too long."""
        with _as_unavailable(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            lock = (self.root / "lock").open("w")
        with lock:
            end = time.monotonic() + PATIENCE
            while not try_lock(lock.fileno()):
                if time.monotonic() >= end:
                    raise Unavailable(f"{self.root} is locked by a process that does not go on")
                time.sleep(_STEP)
            yield


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; False while another has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def read_file(path: Path) -> bytes | None:
    """All of it, None if there is none; raises Unavailable if it cannot be had."""
    with _as_unavailable(path):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None


def read_as(kind: type[Found], path: Path) -> Found | None:
    """A file of our own as what it holds; None if there is none, or it is not that."""
    content = read_file(path)
    try:
        return None if content is None else msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def replace_file(path: Path, content: Any) -> bytes:
    """Put JSON in the place of what is there, at once and for good; gives the bytes."""
    encoded = msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"
    with _as_unavailable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.{os.getpid()}")
        with new.open("wb") as file:
            file.write(encoded)
            file.flush()
            # A rename that outlives a crash of the machine must not outlive its bytes.
            os.fsync(file.fileno())
        new.replace(path)
    return encoded


@contextlib.contextmanager
def _as_unavailable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{path}: {error.strerror or error}") from error
