"""Who asks and why: what a request's headers say of it, made safe to log, count and echo."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Protocol

from slipway.metrics import SOURCES

MAX_ID = 128
MAX_KEY = 1024


class Headers(Protocol):
    """Headers of a request, by name; a dict will do when its names are written as here."""

    def get(self, name: str, /) -> str | None:
        """The header's value, or None."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request; `started` is a time of the monotonic clock in seconds."""

    method: str
    path: str
    request_id: str
    source: str
    pair: str
    key: str
    started: float


def read_call(method: str, path: str, headers: Headers) -> Call:
    """What the headers say, with something of our own in place of what is missing or unsound."""
    source = headers.get("X-Slipway-Source") or "live"
    return Call(
        method=method,
        path=path,
        request_id=_id(headers.get("X-Request-Id")),
        source=source if source in SOURCES else "live",
        # The router's; a pod that is asked without a router makes one, never from the request id:
        # a client that always sends the same must not fill the sample with one pair.
        pair=_id(headers.get("X-Slipway-Pair")),
        key=(headers.get("X-Slipway-Key") or "")[:MAX_KEY],
        started=time.perf_counter(),
    )


def _id(given: str | None) -> str:
    if given and len(given) <= MAX_ID and given.isascii() and given.isprintable():
        return given
    return uuid.uuid4().hex
