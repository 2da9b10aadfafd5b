"""How the load moves over time: steady, ramp, spike. Pure.

A user sends one request a second, so a stage's rate is its number of users.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RAMP_STEPS = 5
SPIKE_FACTOR = 3


@dataclass(frozen=True)
class Stage:
    """So many requests per second for so many seconds."""

    seconds: float
    rate: int


def steady(rate: int, seconds: float) -> list[Stage]:
    """The same rate all the time."""
    return [Stage(seconds, rate)]


def ramp(rate: int, seconds: float) -> list[Stage]:
    """Up to the rate in equal steps over the first half, then steady."""
    step = seconds / 2 / RAMP_STEPS
    up = [Stage(step, max(1, rate * k // RAMP_STEPS)) for k in range(1, RAMP_STEPS + 1)]
    return [*up, Stage(seconds / 2, rate)]


def spike(rate: int, seconds: float) -> list[Stage]:
    """The rate, three times as much for the middle tenth, and the rate again."""
    around = seconds * 0.45
    return [Stage(around, rate), Stage(seconds / 10, rate * SPIKE_FACTOR), Stage(around, rate)]


SHAPES = {"steady": steady, "ramp": ramp, "spike": spike}


def rate_at(stages: Sequence[Stage], elapsed: float) -> int | None:
    """The rate after so many seconds; None when the last stage is over."""
    for stage in stages:
        if elapsed < stage.seconds:
            return stage.rate
        elapsed -= stage.seconds
    return None


def asked(stages: Sequence[Stage], elapsed: float) -> float:
    """How many requests the stages mean to send in their first so many seconds."""
    total = 0.0
    for stage in stages:
        total += stage.rate * max(0.0, min(stage.seconds, elapsed))
        elapsed -= stage.seconds
    return total
