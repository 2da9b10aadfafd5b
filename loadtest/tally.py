"""Counts answers by who gave them: model version, slot and role. Pure."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtest.verdict import Figures, percentile

NOBODY = "-"
# Seconds: finer than this nobody reads who answered when.
WINDOW = 5


@dataclass(frozen=True, order=True)
class Answerer:
    """Who answered, as the answer's headers tell; `-` where they don't."""

    version: str = NOBODY
    slot: str = NOBODY
    role: str = NOBODY

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Answerer:
        """The answerer by the headers of an answer."""
        return cls(
            headers.get("X-Slipway-Run-Id") or NOBODY,
            headers.get("X-Slipway-Slot") or NOBODY,
            headers.get("X-Slipway-Role") or NOBODY,
        )

    def __str__(self) -> str:
        return f"{self.version[:12]} {self.slot}/{self.role}"


@dataclass
class _Group:
    milliseconds: array[float] = field(default_factory=lambda: array("d"))
    failures: Counter[str] = field(default_factory=Counter)
    fallbacks: int = 0


class Tally:
    """What came back so far."""

    def __init__(self) -> None:
        self._groups: dict[Answerer, _Group] = {}
        self._windows: dict[int, Counter[str]] = {}

    def add(
        self,
        who: Answerer,
        milliseconds: float,
        failure: str | None = None,
        *,
        fallback: bool = False,
        at: float = 0.0,
    ) -> None:
        """Count one request: how long it took, and why it failed if it did.

        `at` is when it was answered, in seconds since the beginning.
        """
        self._windows.setdefault(int(at // WINDOW), Counter())[who.version] += 1
        group = self._groups.setdefault(who, _Group())
        group.milliseconds.append(milliseconds)
        group.fallbacks += fallback
        if failure is not None:
            group.failures[failure] += 1

    def figures(self, asked: float) -> Figures:
        """All groups together."""
        times = sorted(time for group in self._groups.values() for time in group.milliseconds)
        failed = sum(group.failures.total() for group in self._groups.values())
        p50, p95, p99 = (percentile(times, share) for share in (0.5, 0.95, 0.99))
        return Figures(asked, len(times), failed, p50, p95, p99)

    def spells(self) -> list[dict[str, Any]]:
        """Who answered when: from and to in seconds, requests by model version.

        A spell lasts as long as the same versions answer, in windows of WINDOW seconds.
        """
        found: list[dict[str, Any]] = []
        for window, counts in sorted(self._windows.items()):
            begin = window * WINDOW
            if found and found[-1]["requests"].keys() == counts.keys():
                found[-1]["to"] = begin + WINDOW
                for version, count in counts.items():
                    found[-1]["requests"][version] += count
            else:
                found.append({"from": begin, "to": begin + WINDOW, "requests": dict(counts)})
        return found

    def rows(self) -> list[dict[str, Any]]:
        """A row for each answerer, in a fixed order."""
        return [_row(who, group) for who, group in sorted(self._groups.items())]


def _row(who: Answerer, group: _Group) -> dict[str, Any]:
    times = sorted(group.milliseconds)
    return {
        "model_version": who.version,
        "slot": who.slot,
        "role": who.role,
        "requests": len(times),
        "failed": group.failures.total(),
        "failures": dict(sorted(group.failures.items())),
        "fallbacks": group.fallbacks,
        "p50": percentile(times, 0.5),
        "p95": percentile(times, 0.95),
        "p99": percentile(times, 0.99),
    }
