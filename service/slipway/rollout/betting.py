"""Confidence bounds for a difference of failure shares that hold at every look. Pure.

Capital of a gambler who bets against the hypothesis "the true difference is d" on outcomes
weighted by the inverse of how often each side is asked (after Waudby-Smith and Ramdas, "Estimating
means of bounded random variables by betting", JRSS B 2024): 1/w for a failure of the candidate,
-1/(1-w) for one of the control, 0 for all else. Under the hypothesis the capital exceeds 1/a with
probability a at most, ever (Ville), so a hypothesis against which it did is rejected. The mean
over several constant bets is such a capital too, and it hangs on the counts alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# Shares of the largest bet that cannot go bankrupt: large ones are quick against what is far off.
UPPER_BETS = (0.95, 0.85, 0.7, 0.5, 0.3)
LOWER_BETS = tuple(0.01 * 90 ** (k / 7) for k in range(8))
_STEPS = 40


@dataclass(frozen=True)
class Failures:
    """Counts of both sides; they need not be whole. `paired`: both sides answer each request."""

    candidate: float
    candidate_failed: float
    control: float
    control_failed: float
    paired: bool

    @property
    def total(self) -> float:
        """Outcomes: requests, or pairs."""
        return self.candidate if self.paired else self.candidate + self.control

    @property
    def prices(self) -> tuple[float, float]:
        """What one failure of each side counts: 1/w and 1/(1-w), 1 for pairs."""
        if self.paired:
            return 1.0, 1.0
        return self.total / self.candidate, self.total / self.control

    @property
    def estimate(self) -> float:
        """The difference of the shares."""
        plus, minus = self.prices
        return (self.candidate_failed * plus - self.control_failed * minus) / self.total

    @property
    def usable(self) -> bool:
        """Whether both sides were asked at all."""
        return self.candidate > 0 and self.control > 0

    def scaled(self, factor: float) -> Failures:
        """The same shares among `factor` times as many requests."""
        return Failures(
            self.candidate * factor,
            self.candidate_failed * factor,
            self.control * factor,
            self.control_failed * factor,
            self.paired,
        )


def log_capital_above(failures: Failures, d: float) -> float:
    """Log capital of betting that the difference is below d; rises with d."""
    plus, minus = failures.prices
    return _mean_of_exp(
        [
            _log_capital(
                failures,
                1 + bet / plus * d,
                1 + bet / plus * (d - plus),
                1 + bet / plus * (d + minus),
            )
            for bet in UPPER_BETS
        ]
    )


def log_capital_below(failures: Failures, d: float) -> float:
    """Log capital of betting that the difference is above d >= 0; falls with d."""
    plus, minus = failures.prices
    most = 1 / (d + minus)
    return _mean_of_exp(
        [
            _log_capital(
                failures,
                1 - bet * most * d,
                1 + bet * most * (plus - d),
                1 - bet * most * (d + minus),
            )
            for bet in LOWER_BETS
        ]
    )


def _log_capital(failures: Failures, none: float, candidate: float, control: float) -> float:
    calm = failures.total - failures.candidate_failed - failures.control_failed
    counts = (
        (calm, none),
        (failures.candidate_failed, candidate),
        (failures.control_failed, control),
    )
    total = 0.0
    for count, factor in counts:
        if count > 0:
            if factor <= 0:
                return -math.inf
            total += count * math.log(factor)
    return total


def _mean_of_exp(logs: list[float]) -> float:
    """log(mean(exp(x))) without overflow."""
    most = max(logs)
    if most == -math.inf:
        return most
    return most + math.log(sum(math.exp(x - most) for x in logs) / len(logs))


def is_below(failures: Failures, d: float, level: float) -> bool:
    """Whether the difference is below d, at this level."""
    return failures.usable and log_capital_above(failures, d) >= -math.log(level)


def is_above(failures: Failures, d: float, level: float) -> bool:
    """Whether the difference is above d >= 0, at this level."""
    return failures.usable and log_capital_below(failures, d) >= -math.log(level)


def upper_bound(failures: Failures, level: float) -> float:
    """The smallest d that the difference is below, 1 at most."""
    low, high = -1.0, 1.0
    if not is_below(failures, high, level):
        return high
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if is_below(failures, middle, level):
            high = middle
        else:
            low = middle
    return high


def lower_bound(failures: Failures, level: float) -> float:
    """The largest d >= 0 that the difference is above; -1 if it is not known to be above 0."""
    low, high = 0.0, 1.0
    if not is_above(failures, low, level):
        return -1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if is_above(failures, middle, level):
            low = middle
        else:
            high = middle
    return low
