"""Puts together the two answers to a request that was copied to the shadow. Pure.

What both sides fail says nothing about either, so whoever compares them needs to know which of them
failed what alone, and that cannot be had from two counts.
"""

from __future__ import annotations

from typing import Literal

from slipway.router.access_log import Answer
from slipway.router.table import is_failure

Failed = Literal["none", "live", "shadow", "both"]

# Both lines of a request are written when the slower answer is there, so few of them wait here.
MAX_WAITING = 20_000
# The client went away: that says nothing about who was to answer it.
_GONE = "499"


class Pairs:
    """Waits for the other half of each pair, and forgets the oldest of too many."""

    def __init__(self, most: int = MAX_WAITING) -> None:
        self._most = most
        self._waiting: dict[str, Answer] = {}

    def add(self, pair: str, answer: Answer) -> tuple[str, str, Failed] | None:
        """Slot and release of the copy, and who failed, once both answers are there."""
        other = self._waiting.pop(pair, None)
        if other is None or (other.source == "shadow") == (answer.source == "shadow"):
            self._waiting[pair] = answer
            if len(self._waiting) > self._most:
                del self._waiting[next(iter(self._waiting))]
            return None
        copy, live = (other, answer) if other.source == "shadow" else (answer, other)
        if live.code == _GONE:
            return None
        return copy.slot, copy.release, _failed(live, copy)


def _failed(live: Answer, copy: Answer) -> Failed:
    if is_failure(live.code):
        return "both" if is_failure(copy.code) else "live"
    return "shadow" if is_failure(copy.code) else "none"
