"""What a load test measured, against its limits. Pure: no clock, file or socket.

Percentiles are of every answered request, by nearest rank, over exact times: a rounded percentile
would let a limit be missed by the rounding.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields


class WrongLimits(ValueError):
    """The limits cannot be read; the sentence names the key."""


@dataclass(frozen=True)
class Limits:
    """The limits of `limits.toml`; shares are 0 to 1, p95 and p99 milliseconds."""

    requests_per_second: float
    answered_share: float
    failed_share: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Figures:
    """What was measured. `asked` is how many requests the shape meant to send."""

    asked: float
    requests: int
    failed: int
    p50: float
    p95: float
    p99: float


def read_limits(text: str) -> Limits:
    """Limits from TOML; raises WrongLimits for a key that is missing, unknown or no number."""
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WrongLimits(f"the limits are no TOML: {error}") from error
    known = [field.name for field in fields(Limits)]
    for name in given:
        if name not in known:
            raise WrongLimits(f"unknown limit {name!r}; known are {', '.join(known)}")
    values = {name: _number(name, given.get(name)) for name in known}
    for name in ("answered_share", "failed_share"):
        if values[name] > 1:
            raise WrongLimits(f"{name} is a share, so it is at most 1")
    return Limits(**values)


def missed(figures: Figures, limits: Limits) -> list[str]:
    """A sentence for each limit that is missed; none means passed."""
    if not figures.requests:
        return ["no request was answered, so nothing is shown"]
    answered = figures.requests / figures.asked if figures.asked else 1.0
    failed = figures.failed / figures.requests
    sentences = []
    if answered < limits.answered_share:
        sentences.append(
            f"{figures.requests} of {figures.asked:.0f} asked requests were sent and answered "
            f"({answered:.1%}), the limit is {limits.answered_share:.1%}"
        )
    if failed > limits.failed_share:
        sentences.append(
            f"{figures.failed} of {figures.requests} requests failed ({failed:.3%}), "
            f"the limit is {limits.failed_share:.3%}"
        )
    for name in ("p95", "p99"):
        measured, limit = getattr(figures, name), getattr(limits, name)
        if measured > limit:
            sentences.append(f"{name} is {measured:.1f} ms, the limit is {limit:g} ms")
    return sentences


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the sorted values do not exceed; 0 for none."""
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _number(name: str, value: object) -> float:
    if value is None:
        raise WrongLimits(f"the limit {name} is missing")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise WrongLimits(f"the limit {name} must be a number from 0 up")
    return float(value)
