"""The release lock: one resolved, immutable model, written once. Pure.

The digest says "the same bytes as when it was resolved", no more: whoever can write to the store
before that moment decides what those bytes are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from slipway.errors import InvalidConfig
from slipway.usecases.protocol import InputField

SCHEMA = 1
# MLflow's client adds this file on some ways to fetch, so it would give one model two digests.
NOT_PART = frozenset({"registered_model_meta"})

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class FileDigest:
    """One object of an artefact: path relative to the artefact's root, size in bytes, sha256."""

    path: str
    size: int
    sha256: str


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """The release lock as it stands in `release.json`; CONTRACT.md says what each member means."""

    schema: int = SCHEMA
    reference: str
    uri: str
    digest: str
    size: int = msgspec.field(name="bytes")
    flavor: str
    serialization: str
    use_case: str
    resolved_at: str
    run_id: str | None = None
    model_id: str | None = None
    requires: dict[str, str] = {}
    inputs: list[InputField] = []
    buckets: list[float] = []

    @property
    def label(self) -> str:
        """The first 12 hex digits of the digest: short enough for a metric's label."""
        return self.digest.removeprefix("sha256:")[:12]

    @property
    def version(self) -> str:
        """What answers and files call the model's version: the run id, else the label."""
        return self.run_id or self.label

    def to_json(self) -> bytes:
        """The document, indented, with a final newline."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def is_part(path: str) -> bool:
    """Whether an object counts as part of the artefact."""
    return path not in NOT_PART


def digest_of(files: Iterable[FileDigest]) -> str:
    """sha256 over the sorted lines `path size sha256`; the order of `files` does not matter."""
    lines = sorted(f"{file.path} {file.size} {file.sha256}\n" for file in files)
    return "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()


def parse_release(document: bytes) -> Release:
    """Read a release lock; raises InvalidConfig that names the member. Unknown ones are ignored.

    A document of a newer schema is refused: what it says may mean something else.
    """
    try:
        release = msgspec.json.decode(document, type=Release)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"the release lock cannot be read: {error}") from error
    if release.schema > SCHEMA:
        raise InvalidConfig(
            f"the release lock has schema {release.schema}, this Slipway knows {SCHEMA}; update it"
        )
    if not _DIGEST.fullmatch(release.digest):
        raise InvalidConfig("the release lock's digest must be sha256: and 64 hex digits")
    return release
