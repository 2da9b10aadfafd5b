"""What a consumer needs of a stream, and the plain data that goes to and fro."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it was read; `arrived` is in seconds since 1970, 0 where it is not known."""

    shard: str
    sequence: str
    key: str
    data: bytes
    arrived: float = 0.0


@dataclass(frozen=True)
class Entry:
    """One record to put: its partition key and its bytes."""

    key: str
    data: bytes


@dataclass(frozen=True)
class Shard:
    """A shard, whether records can still come (`ending` is empty), and what it was made of."""

    name: str
    parents: tuple[str, ...] = ()
    ending: str = ""


@dataclass(frozen=True)
class Position:
    """Where to begin in a shard: after a sequence number, else at a time, else at its beginning."""

    after: str = ""
    since: float = 0.0


@dataclass(frozen=True)
class Batch:
    """What one read gave. `following` is None at a closed shard's end; `behind` is in seconds."""

    records: tuple[Record, ...]
    following: str | None
    behind: float


class Stream(Protocol):
    """One stream. Every call ends within seconds.

    All raise Throttled, InputDataMissing where there is no such stream, and Unavailable.
    """

    name: str

    def made(self) -> str:
        """When it was made, as an opaque text: a stream that is made anew has another one."""

    def shards(self) -> list[Shard]:
        """All shards that still hold records or can get some."""

    def iterator(self, shard: str, position: Position) -> str:
        """A place to read from; it holds for some minutes."""

    def read(self, shard: str, iterator: str, limit: int) -> Batch:
        """Up to `limit` records; raises IteratorExpired."""

    def put(self, entries: Sequence[Entry]) -> list[int]:
        """Put up to 500 records; the indexes of those that were not taken."""
