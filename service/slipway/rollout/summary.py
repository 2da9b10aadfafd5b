"""Many simulated rollouts in a few figures. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from slipway.rollout.simulate import Result


@dataclass(frozen=True)
class Spread:
    """Median and 95th percentile."""

    median: float
    p95: float

    @staticmethod
    def of(values: Sequence[float]) -> Spread | None:
        """None for nothing."""
        if not values:
            return None
        found = np.quantile(values, (0.5, 0.95))
        return Spread(float(found[0]), float(found[1]))


@dataclass(frozen=True)
class Summary:
    """Figures over results; shares are of all runs."""

    results: tuple[Result, ...]

    def share(self, holds: Callable[[Result], bool]) -> float:
        """The share of the runs for which it holds."""
        return sum(map(holds, self.results)) / max(len(self.results), 1)

    @property
    def stopped(self) -> float:
        """Stopped by a gate, before promotion or in the watch after it."""
        return self.share(lambda r: r.end in ("stopped", "returned"))

    @property
    def promoted(self) -> float:
        """Promoted and still there after the watch."""
        return self.share(lambda r: r.end == "promoted")

    def promoted_within(self, seconds: float) -> float:
        """Promoted, for good, within so many seconds of the start."""
        return self.share(
            lambda r: r.end == "promoted" and r.promoted_at is not None and r.promoted_at <= seconds
        )

    def stopped_in(self, step: str, *, within: float = math.inf) -> float:
        """Stopped in this step, after at most so many seconds of it."""
        return self.share(lambda r: _stopped_in(r, step) and r.steps[step] <= within)

    def causes(self) -> Counter[str]:
        """Gate and step of those that were stopped."""
        return Counter(
            f"{r.cause} at {r.ended_in}" for r in self.results if r.end not in ("promoted", "open")
        )

    def time_to_promotion(self) -> Spread | None:
        """Seconds, of those that were promoted."""
        return Spread.of([r.promoted_at for r in self.results if r.promoted_at is not None])

    def requests_to_promotion(self, rate: float) -> Spread | None:
        """Requests of both sides until promotion."""
        return Spread.of([r.promoted_at * rate for r in self.results if r.promoted_at is not None])

    def step_times(self) -> dict[str, Spread]:
        """Seconds in each step, of those that went through it."""
        names = dict.fromkeys(name for r in self.results for name in r.steps)
        found = {}
        for name in names:
            spread = Spread.of(
                [r.steps[name] for r in self.results if name in r.steps and r.ended_in != name]
            )
            if spread:
                found[name] = spread
        return found

    def detection(self, step: str) -> Spread | None:
        """Seconds in a step of those that were stopped in it."""
        return Spread.of([r.steps[step] for r in self.results if _stopped_in(r, step)])


def _stopped_in(result: Result, step: str) -> bool:
    return result.end in ("stopped", "returned") and result.ended_in == step


def interval_of(share: float, runs: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    z, n = 1.96, max(runs, 1)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    width = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(middle - width, 0.0), min(middle + width, 1.0)
