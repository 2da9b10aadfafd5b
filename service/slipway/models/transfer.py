"""Reads an artefact's objects chunk by chunk and gives up on a store that only drips."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from slipway.clients.objects import Objects
from slipway.errors import Unavailable

# Small, because a time-out of the client counts from byte to byte: at one KiB a second, a chunk
# is what we wait for before the deadline below is looked at again.
CHUNK = 16 << 10
PATIENCE_SECONDS = 30.0
BYTES_PER_SECOND = 1 << 20


class Transfer:
    """One artefact's reading: `size` bytes may take PATIENCE_SECONDS and a second a MiB."""

    def __init__(
        self, objects: Objects, uri: str, size: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._objects = objects
        self._uri = uri
        self._clock = clock
        self._deadline = clock() + PATIENCE_SECONDS + size / BYTES_PER_SECOND

    def chunks(self, path: str) -> Iterator[bytes]:
        """One object's bytes; raises Unavailable when the whole transfer takes too long."""
        with self._objects.open(self._uri, path) as stream:
            while chunk := stream.read(CHUNK):
                if self._clock() > self._deadline:
                    raise Unavailable("the object store is too slow; the transfer was given up")
                yield chunk
