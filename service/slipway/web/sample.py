"""Keeps the last predictions, so that the controller can compare two releases on one request.

Whether a request is kept hangs on its pair id alone, by a hash that is the same in every process:
both slots then keep the same requests, and the answers can be joined. Ids and keys leave the pod
as hashes of 53 bits, which a JSON number holds exactly.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Sequence
from hashlib import blake2b
from itertools import islice
from typing import Any

import msgspec

from slipway.errors import Malformed

CAPACITY = 10_000
WHOLE = 10_000
_BITS = 53
_MAX_CURSOR = 64


class Page(msgspec.Struct, frozen=True):
    """An answer of /sample; a row is [pair hash, row, key hash or 0, prediction, source].

    `next` is the cursor of the next page. `lost` counts the rows that were made after the cursor
    and fell out of the ring before they were read.
    """

    pod: str
    digest: str
    next: str
    lost: int
    rows: list[tuple[int, int, int, Any, str]]


class SampleRing:
    """The last `capacity` predictions of `share` (of 10,000) of the requests. Thread-safe."""

    def __init__(self, pod: str, digest: str, share: int, capacity: int = CAPACITY) -> None:
        self._pod = pod
        self._digest = digest
        self._share = share
        # A process that starts anew counts from 0 again; its name in the cursor tells them apart.
        self._process = secrets.token_hex(6)
        self._rows: deque[tuple[int, int, int, Any, str]] = deque(maxlen=capacity)
        self._made = 0
        self._lock = threading.Lock()

    def add(self, pair: str, key: str, predictions: Sequence[Any], source: str) -> None:
        """Keep a request's predictions if its pair id falls into the share."""
        pair_hash = hash53(pair)
        if pair_hash % WHOLE >= self._share:
            return
        key_hash = hash53(key) or 1 if key else 0
        with self._lock:
            for row, value in enumerate(predictions):
                self._rows.append((pair_hash, row, key_hash, value, source))
            self._made += len(predictions)

    def after(self, cursor: str = "") -> Page:
        """The rows made after the cursor; all that are left for an empty or foreign one.

        A cursor of this pod's earlier process is foreign: what that process kept is gone, and
        only this one's losses can be counted. Raises Malformed for what is no cursor at all.
        """
        process, count = _parse(cursor)
        with self._lock:
            seen = min(count, self._made) if process == self._process else 0
            oldest = self._made - len(self._rows)
            rows = list(islice(self._rows, max(0, seen - oldest), None))
            return Page(
                pod=self._pod,
                digest=self._digest,
                next=f"{self._process}.{self._made}",
                lost=max(0, oldest - seen),
                rows=rows,
            )


def hash53(text: str) -> int:
    """A hash of 53 bits, the same in every process."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - _BITS)


def _parse(cursor: str) -> tuple[str, int]:
    if not cursor:
        return "", 0
    process, dot, count = cursor.partition(".")
    sound = dot and process.isalnum() and count.isascii() and count.isdigit()
    if not sound or len(cursor) > _MAX_CURSOR:
        raise Malformed("this is no cursor; use the `next` of an earlier answer, or none")
    return process, int(count)
