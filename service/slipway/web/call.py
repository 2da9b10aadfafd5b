"""Who asks and why: what a request's headers say of it, made safe to log, count and echo."""

from __future__ import annotations

import os
import time
from typing import NamedTuple, Protocol, TypeGuard

from slipway.metrics import SOURCES

MAX_ID = 128
MAX_KEY = 1024


class Headers(Protocol):
    """Headers of a request, by name; a dict will do when its names are written as here."""

    def get(self, name: str, /) -> str | None:
        """The header's value, or None."""


class Call(NamedTuple):
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
    request_id = headers.get("X-Request-Id")
    # The router's; a pod that is asked without a router makes one, never from the request id:
    # a client that always sends the same must not fill the sample with one pair.
    pair = headers.get("X-Slipway-Pair")
    if not (_sound(request_id) and _sound(pair)):
        # 128 random bits for each, in one call of the system.
        made = os.urandom(32).hex()
        request_id = request_id if _sound(request_id) else made[:32]
        pair = pair if _sound(pair) else made[32:]
    source = headers.get("X-Slipway-Source")
    if source not in SOURCES:
        source = "live"
    key = (headers.get("X-Slipway-Key") or "")[:MAX_KEY]
    return Call(method, path, request_id, source, pair, key, time.perf_counter())


def _sound(given: str | None) -> TypeGuard[str]:
    return (
        given is not None and 0 < len(given) <= MAX_ID and given.isascii() and given.isprintable()
    )
