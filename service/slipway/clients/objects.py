"""Reads artefacts where they lie: S3-compatible stores, MLflow's artefact proxy, folders.

Nothing here deserialises; every call is bounded in time by its client's own limits. The clients'
libraries are imported where they are used: a folder needs neither, and they take long.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import urlsplit

from slipway.errors import AccessDenied, ArtifactMissing, SlipwayError, Unavailable

_DENIED = frozenset(
    [
        "403",
        "AccessDenied",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
    ]
)
_MISSING = frozenset(["404", "NoSuchBucket", "NoSuchKey", "NotFound"])


@dataclass(frozen=True)
class ObjectInfo:
    """An object's path relative to the URI that was listed, and its size in bytes."""

    path: str
    size: int


class Readable(Protocol):
    """The one method that streams of all stores share."""

    def read(self, amount: int = ..., /) -> bytes:
        """Up to `amount` bytes; empty at the end."""


class Objects(Protocol):
    """A place with objects in it."""

    def list(self, uri: str) -> list[ObjectInfo]:
        """All objects below the URI; empty when there is nothing."""

    def open(self, uri: str, path: str) -> Any:
        """A context manager that gives a Readable; raises ArtifactMissing when it is not there."""


def objects_for(uri: str, *, s3_endpoint: str = "", tracking_uri: str = "") -> Objects:
    """The client for a URI's scheme; a text without one is a folder."""
    scheme = urlsplit(uri).scheme if not uri.startswith("/") else ""
    if scheme == "s3":
        return S3Objects(s3_client(s3_endpoint))
    if scheme == "mlflow-artifacts":
        return ProxiedObjects(tracking_uri)
    return FolderObjects()


def s3_client(endpoint: str = "") -> Any:
    """A boto3 client that gives up within seconds, by the environment's own credentials."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=2,
        read_timeout=10,
        retries={"mode": "standard", "total_max_attempts": 3},
        # Stores that are not AWS seldom have a DNS name for each bucket.
        s3={"addressing_style": "path" if endpoint else "auto"},
    )
    session = boto3.session.Session()
    region = session.region_name or "us-east-1"
    return session.client("s3", endpoint_url=endpoint or None, region_name=region, config=config)


class FolderObjects:
    """Objects that are files below a folder; a file itself is a place with one object."""

    def list(self, uri: str) -> list[ObjectInfo]:
        """All files below the folder."""
        root = Path(uri)
        if root.is_file():
            return [ObjectInfo(root.name, root.stat().st_size)]
        files = [path for path in root.rglob("*") if path.is_file()]
        return sorted(
            (ObjectInfo(path.relative_to(root).as_posix(), path.stat().st_size) for path in files),
            key=lambda entry: entry.path,
        )

    @contextmanager
    def open(self, uri: str, path: str) -> Iterator[BinaryIO]:
        """One file's bytes."""
        root = Path(uri)
        try:
            with (root if root.is_file() else root / path).open("rb") as stream:
                yield stream
        except FileNotFoundError as error:
            raise ArtifactMissing(f"artifact missing: {path}") from error
        except PermissionError as error:
            raise AccessDenied(f"the file {path} of the artefact may not be read") from error


class S3Objects:
    """Objects in an S3-compatible store."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def list(self, uri: str) -> list[ObjectInfo]:
        """All keys below the URI's prefix, sorted."""
        bucket, prefix = _bucket_and_prefix(uri)
        found: list[ObjectInfo] = []
        with s3_errors(uri):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=bucket, Prefix=prefix):
                for entry in page.get("Contents", []):
                    path = entry["Key"][len(prefix) :]
                    if path and not path.endswith("/"):
                        found.append(ObjectInfo(path, entry["Size"]))
        return sorted(found, key=lambda entry: entry.path)

    @contextmanager
    def open(self, uri: str, path: str) -> Iterator[Readable]:
        """One object's bytes, streamed."""
        bucket, prefix = _bucket_and_prefix(uri)
        with s3_errors(uri):
            body = self._client.get_object(Bucket=bucket, Key=prefix + path)["Body"]
            with closing(body):
                yield body


class ProxiedObjects:
    """Objects behind an MLflow server that serves artefacts itself (`mlflow-artifacts:`).

    MLflow's own client knows the server's protocol and credentials; it writes files, so each
    object passes through a temporary one.
    """

    def __init__(self, tracking_uri: str) -> None:
        self._tracking_uri = tracking_uri

    def list(self, uri: str) -> list[ObjectInfo]:
        """All files below the URI."""
        with _mlflow_errors():
            return sorted(self._walk(self._repository(uri), ""), key=lambda entry: entry.path)

    @contextmanager
    def open(self, uri: str, path: str) -> Iterator[BinaryIO]:
        """One file's bytes."""
        with tempfile.TemporaryDirectory(prefix="slipway-") as folder:
            with _mlflow_errors():
                target = self._repository(uri).download_artifacts(path, folder)
            with Path(target).open("rb") as stream:
                yield stream

    def _repository(self, uri: str) -> Any:
        from mlflow.store.artifact import artifact_repository_registry as repositories

        return repositories.get_artifact_repository(uri, tracking_uri=self._tracking_uri)

    def _walk(self, repository: Any, folder: str) -> Iterator[ObjectInfo]:
        for entry in repository.list_artifacts(folder or None):
            if entry.is_dir:
                yield from self._walk(repository, entry.path)
            else:
                yield ObjectInfo(entry.path, entry.file_size or 0)


def _bucket_and_prefix(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri)
    path = parts.path.strip("/")
    return parts.netloc, f"{path}/" if path else ""


@contextmanager
def s3_errors(uri: str) -> Iterator[None]:
    """Turns what boto3 raises within the block into our own errors."""
    import urllib3.exceptions
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    place = f"the object store (bucket {urlsplit(uri).netloc})"
    try:
        yield
    except NoCredentialsError as error:
        raise AccessDenied(
            "no credentials for the object store: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from error
    except ClientError as error:
        raise _of_code(place, error.response.get("Error", {}).get("Code", "")) from error
    except (BotoCoreError, urllib3.exceptions.HTTPError, OSError) as error:
        raise Unavailable(
            f"{place} does not answer or broke off: {type(error).__name__}"
        ) from error


def _of_code(place: str, code: str) -> SlipwayError:
    if code in _DENIED:
        return AccessDenied(f"{place} refuses the credentials ({code}): check the key and secret")
    if code in _MISSING:
        return ArtifactMissing(f"artifact missing: {place} answers {code}")
    return Unavailable(f"{place} answers {code or 'an error'}")


@contextmanager
def _mlflow_errors() -> Iterator[None]:
    import requests.exceptions
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, requests.exceptions.RequestException) as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status == 404:
            raise ArtifactMissing("artifact missing behind the tracking server's proxy") from error
        if status in (401, 403):
            raise AccessDenied("the tracking server refuses the credentials") from error
        raise Unavailable(
            f"the tracking server's artefact proxy does not answer: {type(error).__name__}"
        ) from error
