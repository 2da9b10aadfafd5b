"""Keeps verified artefacts: fetch to a temporary folder, verify, rename. Never deserialises.

Two processes at once end with one copy; a crash leaves nothing that looks whole; what is in the
cache needs neither the tracking server nor the store. Layout below the root:

    models/<64 hex>/…       an artefact, its name is its digest
    releases/<32 hex>.json  what a reference was resolved to
    tmp/…                   work in progress, swept after an hour
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from slipway.clients.objects import ObjectInfo, Objects
from slipway.errors import (
    DigestMismatch,
    InvalidConfig,
    SlipwayError,
    Unavailable,
    Untrusted,
)
from slipway.models.release import FileDigest, Release, digest_of, is_part, parse_release
from slipway.models.resolve import plain_uri
from slipway.models.transfer import Transfer

STALE_SECONDS = 3600.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class VerifiedArtifact:
    """A folder (or file) whose bytes were just found to have the digest: what `load` takes."""

    path: Path
    digest: str


def verify(path: Path, digest: str) -> VerifiedArtifact:
    """Hash what lies at `path`; raises DigestMismatch when it is not the digest's bytes."""
    root = path.parent if path.is_file() else path
    files = [path] if path.is_file() else [entry for entry in path.rglob("*") if entry.is_file()]
    names = [(file.relative_to(root).as_posix(), file) for file in files]
    try:
        found = digest_of(_hash_file(name, file) for name, file in names if is_part(name))
    except OSError as error:
        raise Unavailable(f"the artefact's files cannot be read: {error.strerror}") from error
    if found != digest:
        raise DigestMismatch(
            f"digest mismatch: the artefact is {found[:19]}…, the release lock says {digest[:19]}…"
        )
    return VerifiedArtifact(path, digest)


class ArtifactCache:
    """A folder of verified artefacts and of resolved references."""

    def __init__(self, root: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._root = root.expanduser()
        self._clock = clock

    def find(self, release: Release) -> VerifiedArtifact | None:
        """The artefact if it is here and whole; None when it is not here.

        Raises DigestMismatch when it is here and its bytes have changed.
        """
        folder = self._folder(release)
        return verify(folder, release.digest) if folder.is_dir() else None

    def fetch(
        self, release: Release, objects: Objects, entries: Sequence[ObjectInfo]
    ) -> VerifiedArtifact:
        """Bring the artefact in, whole or not at all; `entries` are its objects in the store.

        Raises Unavailable when the store or the disk gives out, DigestMismatch when the store
        holds other bytes than the lock says.
        """
        with self._workspace() as workspace:
            incoming = workspace / "artifact"
            self._download(release, objects, entries, incoming)
            verify(incoming, release.digest)
            self._publish(incoming, self._folder(release), release.digest)
        return VerifiedArtifact(self._folder(release), release.digest)

    def remember(self, key: str, release: Release) -> None:
        """Keep what `key` (a reference with its server) was resolved to."""
        with self._workspace() as workspace:
            document = workspace / "release.json"
            document.write_bytes(release.to_json())
            target = self._record(key)
            target.parent.mkdir(parents=True, exist_ok=True)
            document.replace(target)

    def remembered(self, key: str) -> Release | None:
        """What `key` was resolved to before, or None."""
        try:
            return parse_release(self._record(key).read_bytes())
        except OSError:
            return None
        except InvalidConfig as error:
            log.warning("a remembered release cannot be read and is ignored", why=error.message)
            return None

    def _folder(self, release: Release) -> Path:
        return self._root / "models" / release.digest.removeprefix("sha256:")

    def _record(self, key: str) -> Path:
        return self._root / "releases" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"

    @contextlib.contextmanager
    def _workspace(self) -> Iterator[Path]:
        workspaces = self._root / "tmp"
        try:
            workspaces.mkdir(parents=True, exist_ok=True)
            self._sweep(workspaces)
            with tempfile.TemporaryDirectory(dir=workspaces, ignore_cleanup_errors=True) as made:
                yield Path(made)
        except OSError as error:
            raise _of_disk(self._root, error) from error

    def _sweep(self, workspaces: Path) -> None:
        for left in workspaces.iterdir():
            with contextlib.suppress(OSError):
                # The file system's own clock wrote the time, so a wall clock must read it.
                if time.time() - left.stat().st_mtime > STALE_SECONDS:
                    shutil.rmtree(left, ignore_errors=True)

    def _download(
        self, release: Release, objects: Objects, entries: Sequence[ObjectInfo], folder: Path
    ) -> None:
        self._check_room(sum(entry.size for entry in entries))
        transfer = Transfer(objects, plain_uri(release.uri), release.size, self._clock)
        room = release.size
        for entry in entries:
            target = folder / entry.path
            if not target.resolve().is_relative_to(folder.resolve()):
                raise Untrusted("the artefact names a file outside of its own folder")
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as sink:
                for chunk in transfer.chunks(entry.path):
                    room -= len(chunk)
                    if room < 0:
                        raise DigestMismatch(
                            "digest mismatch: the store holds more bytes than the release lock says"
                        )
                    sink.write(chunk)
                sink.flush()
                os.fsync(sink.fileno())

    def _check_room(self, size: int) -> None:
        free = shutil.disk_usage(self._root).free
        if size > free:
            raise Unavailable(
                f"the cache's disk has {free} bytes free and the artefact needs {size}; "
                "give it a larger volume (SLIPWAY_CACHE_DIR)"
            )

    def _publish(self, incoming: Path, target: Path, digest: str) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            incoming.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            self._replace(incoming, target, digest)
        _sync_folder(target.parent)

    def _replace(self, incoming: Path, target: Path, digest: str) -> None:
        """Somebody else's copy is there: keep it when it is whole, else exchange it."""
        try:
            verify(target, digest)
        except SlipwayError:
            target.rename(incoming.parent / "damaged")
            incoming.rename(target)


def _hash_file(name: str, file: Path) -> FileDigest:
    with file.open("rb") as stream:
        hashed = hashlib.file_digest(stream, "sha256")
    return FileDigest(name, file.stat().st_size, hashed.hexdigest())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _of_disk(root: Path, error: OSError) -> SlipwayError:
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return InvalidConfig(
            f"the cache folder {root} cannot be written; set SLIPWAY_CACHE_DIR to one that can"
        )
    return Unavailable(f"the cache folder {root} cannot be used: {error.strerror}")
