"""Brings a month's file in and puts the scored one out, to folders and S3-compatible stores.

Months may also come from a web server. A file is fetched whole before it is read: its digest and
its rows are then of the same bytes, which range reads of an object that somebody replaces could
not promise. What goes out appears by one rename or one put.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from slipway.clients.downloads import WebFiles, download
from slipway.clients.listing import is_pattern, local_files, stored_objects
from slipway.clients.objects import s3_client, s3_errors
from slipway.clients.uploads import upload
from slipway.errors import ArtifactMissing, InputDataMissing, InvalidConfig, Unavailable

CHUNK = 1 << 20
_NO_FILE = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


@dataclass(frozen=True)
class Source:
    """A month's file on the local disk, and what identifies its bytes."""

    path: Path
    name: str
    size: int
    sha256: str


class Store:
    """Folders and S3-compatible stores by URI; `seconds` are for fetching or putting one file."""

    def __init__(self, s3_endpoint: str = "", seconds: float = 900.0) -> None:
        self._endpoint = s3_endpoint
        self._seconds = seconds

    @cached_property
    def _client(self) -> Any:
        return s3_client(self._endpoint)

    def matching(self, uri: str) -> list[str]:
        """The files that a URI means: itself, or by a pattern one or more, sorted."""
        if is_web(uri) or not is_pattern(uri):
            return [uri]
        if is_s3(uri):
            bucket, pattern = _place(uri)
            with s3_errors(uri):
                keys = stored_objects(self._client, bucket, pattern)
            found = [f"s3://{bucket}/{key}" for key in keys]
        else:
            found = local_files(uri)
        if not found:
            raise InputDataMissing(f"there is no file that fits {uri}")
        return found

    def read(self, uri: str, scratch: Path) -> Source:
        """Fetch a file; a local one is read where it lies. Raises InputDataMissing."""
        # Of an address without what follows the path: that may be a signature.
        name = urlsplit(uri).path.rsplit("/", 1)[-1] if is_web(uri) else uri.rsplit("/", 1)[-1]
        path = Path(uri)
        if is_remote(uri):
            path = scratch
            self._download(uri, path, name)
        try:
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return Source(path, name, path.stat().st_size, digest)
        except _NO_FILE as error:
            raise InputDataMissing(f"there is no file {uri}") from error
        except OSError as error:
            raise Unavailable(f"{uri} cannot be read: {error.strerror}") from error

    def read_text(self, uri: str) -> str | None:
        """A small text, or None when there is none."""
        try:
            if not is_s3(uri):
                return Path(uri).read_bytes().decode()
            with tempfile.TemporaryDirectory(prefix="slipway-") as folder:
                target = Path(folder, "text")
                download(lambda: self._get(uri), target, self._seconds, uri.rsplit("/", 1)[-1])
                return target.read_bytes().decode()
        except (ArtifactMissing, UnicodeDecodeError, *_NO_FILE):
            return None
        except OSError as error:
            raise Unavailable(f"{uri} cannot be read: {error.strerror}") from error

    def exists(self, uri: str) -> bool:
        """Whether something lies there."""
        if not is_s3(uri):
            return Path(uri).is_file()
        bucket, key = _place(uri)
        try:
            with s3_errors(uri):
                self._client.head_object(Bucket=bucket, Key=key)
        except ArtifactMissing:
            return False
        return True

    def write(self, source: Path, uri: str) -> None:
        """Put a file out, whole or not at all."""
        with source.open("rb") as stream:
            if is_s3(uri):
                self._put(stream, uri)
            else:
                _write_local(stream, Path(uri))

    def write_text(self, text: str, uri: str) -> None:
        """Put a small text out, whole or not at all."""
        with tempfile.TemporaryFile() as stream:
            stream.write(text.encode())
            stream.seek(0)
            if is_s3(uri):
                self._put(stream, uri)
            else:
                _write_local(stream, Path(uri))

    def _put(self, stream: Any, uri: str) -> None:
        try:
            upload(self._client, stream, uri, self._seconds)
        except ArtifactMissing as error:
            raise InvalidConfig(f"there is no bucket {_place(uri)[0]}; make it first") from error

    @contextmanager
    def _get(self, uri: str) -> Iterator[Any]:
        bucket, key = _place(uri)
        with (
            s3_errors(uri),
            closing(self._client.get_object(Bucket=bucket, Key=key)["Body"]) as body,
        ):
            yield body

    def _download(self, uri: str, target: Path, name: str) -> None:
        try:
            if is_web(uri):
                download(lambda: WebFiles().open(uri), target, self._seconds, name)
            else:
                download(lambda: self._get(uri), target, self._seconds, name)
        except ArtifactMissing as error:
            said = f"there is no file {name}: {error.message}"
            if is_s3(uri):
                said = f"there is no object {uri}"
            raise InputDataMissing(said) from error


def is_s3(uri: str) -> bool:
    """Whether a URI names an object of a store."""
    return uri.startswith("s3://")


def is_web(uri: str) -> bool:
    """Whether a URI names a file of a web server."""
    return uri.startswith(("http://", "https://"))


def is_remote(uri: str) -> bool:
    """Whether a URI names something that is not in a folder."""
    return is_s3(uri) or is_web(uri)


def _place(uri: str) -> tuple[str, str]:
    # Not by urlsplit: a key may hold `?` and `#`, and a pattern does.
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def _write_local(stream: Any, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=target.parent, prefix=f".{target.name}.", delete=False
        ) as incoming:
            try:
                while chunk := stream.read(CHUNK):
                    incoming.write(chunk)
                incoming.flush()
                os.fsync(incoming.fileno())
                Path(incoming.name).chmod(0o644)
                Path(incoming.name).replace(target)
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(incoming.name).unlink()
                raise
    except OSError as error:
        raise Unavailable(f"{target} cannot be written: {error.strerror}") from error
