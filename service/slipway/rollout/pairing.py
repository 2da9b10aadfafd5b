"""Joins the two answers to one request, whichever comes first, by the router's pair id. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from slipway.rollout.measures import Floats

# An answer waits so long for the other one: longer than any copy may take.
PATIENCE = 30.0
MOST_WAITING = 50_000

Key = tuple[int, int]


@dataclass(frozen=True)
class Joined:
    """Answers to the same requests, and how many copies had no live answer beside them."""

    live: Floats
    copied: Floats
    unmatched: int


class Pairing:
    """Holds the answers whose other half is not there yet.

    Where not every request is copied a live answer without a copy is no loss, so only copies
    without a live answer count as unmatched. An answer that comes twice counts once.
    """

    def __init__(self, patience: float = PATIENCE, most: int = MOST_WAITING) -> None:
        self._patience = patience
        self._most = most
        self._live: dict[Key, tuple[float, float]] = {}
        self._copied: dict[Key, tuple[float, float]] = {}

    def join(
        self,
        now: float,
        live: Iterable[tuple[Key, float]],
        copied: Iterable[tuple[Key, float]],
    ) -> Joined:
        """Take what came in by `now` (seconds), give what is complete."""
        for waiting, came in ((self._live, live), (self._copied, copied)):
            for key, value in came:
                waiting.setdefault(key, (now, value))
        both = [key for key in self._copied if key in self._live]
        found = [(self._live.pop(key)[1], self._copied.pop(key)[1]) for key in both]
        self._forget(self._live, now)
        unmatched = self._forget(self._copied, now)
        pairs = np.asarray(found, dtype=np.float64).reshape(-1, 2)
        return Joined(pairs[:, 0], pairs[:, 1], unmatched)

    def _forget(self, waiting: dict[Key, tuple[float, float]], now: float) -> int:
        """Drop the oldest that waited too long or are too many."""
        old = 0
        for came, _ in waiting.values():
            if now - came <= self._patience and len(waiting) - old <= self._most:
                break
            old += 1
        for key in list(waiting)[:old]:
            del waiting[key]
        return old
