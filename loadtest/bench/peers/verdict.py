"""From runs to ratios, and the goals that the ratios are judged by. Pure.

Every ratio is one of two runs of the same round; what is told of it is the median over the rounds
and the smallest and largest. The goals are those that the project set itself for its service.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

COURSE, FLOOR, SLIPWAY, ROUTER = "course", "floor", "slipway", "router"
AGAIN = f"{SLIPWAY} again"


@dataclass(frozen=True)
class Ratio:
    """The median over the rounds and how far they spread."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{number(self.median)} ({number(self.low)} to {number(self.high)})"


NOTHING = Ratio(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Goal:
    """A figure beside what it must be; `binding` ones decide the exit code."""

    name: str
    value: Ratio
    limit: float
    at_least: bool = False
    binding: bool = True

    @property
    def met(self) -> bool:
        """A value that is no number meets nothing."""
        if self.at_least:
            return self.value.median >= self.limit
        return self.value.median <= self.limit

    @property
    def wanted(self) -> str:
        """The limit in words."""
        return f"at {'least' if self.at_least else 'most'} {self.limit:g}"


def number(value: float) -> str:
    """Two digits that count, and no exponent."""
    if math.isnan(value):
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}" if value < 1 else f"{value:.1f}"


def spread(values: Sequence[float]) -> Ratio:
    """Of the values of the rounds; NOTHING of none."""
    if not values:
        return NOTHING
    return Ratio(statistics.median(values), min(values), max(values))


def ratio(rounds: Sequence[Mapping[str, Any]], figure: str, of: str, to: str) -> Ratio:
    """A figure of one system over that of another, round by round."""
    return spread(
        [
            each[of][figure] / each[to][figure]
            for each in rounds
            if of in each and to in each and each[to][figure]
        ]
    )


def start_ratio(document: Mapping[str, Any], of: str, to: str = COURSE) -> Ratio:
    """Seconds to the first good answer over those of another, turn by turn."""
    starts = document["starts"]
    return spread([a / b for a, b in zip(starts.get(of, []), starts[to], strict=False)])


def memory_ratio(document: Mapping[str, Any], of: str, to: str = COURSE) -> Ratio:
    """Memory of all processes over that of another; measured once, after all runs."""
    return spread([document["megabytes"][of] / document["megabytes"][to]])


def goals(measured: Mapping[str, Mapping[str, Any]]) -> list[Goal]:
    """What can be judged of `measured`: model -> system -> document."""
    found: list[Goal] = []
    linear = measured.get("linear", {}).get(SLIPWAY, {})
    if "driven" in linear:
        found += _of_linear(linear)
    if ROUTER in linear:
        found += _of_router(linear[ROUTER])
    trees = measured.get("trees", {}).get(SLIPWAY, {})
    if "driven" in trees:
        found += _of_trees(trees)
    return found


def _of_linear(document: Mapping[str, Any]) -> list[Goal]:
    driven = document["driven"]
    found = []
    for connections, least, more in (("1", 2.8, 5.0), ("16", 3.0, 5.0), ("64", 3.4, 4.5)):
        rounds = driven[connections]
        at = f"throughput, {connections} connections"
        course = ratio(rounds, "rate", SLIPWAY, COURSE)
        of_floor = ratio(rounds, "rate", SLIPWAY, FLOOR)
        found += [
            Goal(f"{at}, of the floor's", of_floor, 0.9, at_least=True),
            Goal(f"{at}, of the course's", course, least, at_least=True),
            Goal(f"{at}, of the course's (further)", course, more, at_least=True, binding=False),
        ]
    at_16 = driven["16"]
    difference = spread([document["differences"][SLIPWAY]])
    return [
        *found,
        Goal("CPU a request, of the course's", ratio(at_16, "cpu_ms", SLIPWAY, COURSE), 0.3),
        Goal("median latency, of the course's", ratio(at_16, "median_ms", SLIPWAY, COURSE), 0.33),
        Goal("p99 latency, of the course's", ratio(at_16, "p99_ms", SLIPWAY, COURSE), 0.6),
        Goal("memory, of the course's", memory_ratio(document, SLIPWAY), 0.25),
        Goal("first answer, known release, of the course's", start_ratio(document, AGAIN), 0.2),
        Goal("first answer, first time, of the course's", start_ratio(document, SLIPWAY), 0.6),
        Goal("linear answers, relative difference", difference, 1e-12),
    ]


def _of_router(document: Mapping[str, Any]) -> list[Goal]:
    found = []
    for figure, limit, name in (("median_ms", 0.5, "median"), ("p99_ms", 1.0, "p99")):
        added = [each[ROUTER][figure] - each[SLIPWAY][figure] for each in document["half"]]
        found.append(Goal(f"the router adds at half load, {name}, ms", spread(added), limit))
    return found


def _of_trees(document: Mapping[str, Any]) -> list[Goal]:
    found = []
    for connections in ("1", "16"):
        value = ratio(document["driven"][connections], "rate", SLIPWAY, COURSE)
        name = f"50 trees, throughput, {connections} connections, of the course's"
        found += [
            Goal(name, value, 7, at_least=True),
            Goal(f"{name} (further)", value, 12, at_least=True, binding=False),
        ]
    difference = spread([document["differences"][SLIPWAY]])
    return [*found, Goal("50 trees, answers, relative difference", difference, 1e-9)]
