"""How a rollout goes: every number that the decision uses, as values with presets. Pure.

Seconds are floats, shares of traffic are percent with at most two decimals, limits are fractions.
As a document the same names stand in camelCase (`keepWarm`), below `preset`, whose numbers they
replace one by one. `policy_document` reads it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Preset = Literal["careful", "fast", "manual", "test"]
WHOLE = 10_000


class _Values(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Unknown members are ignored here: a state may hold a newer Slipway's policy."""


class Shadow(_Values, frozen=True, kw_only=True):
    """Mirroring before the candidate answers anybody."""

    enabled: bool = True
    share: float = 100.0


class Watch(_Values, frozen=True, kw_only=True):
    """After promotion: how long the old stable goes on as the control, on which share."""

    seconds: float = 300.0
    share: float = 25.0


class Ready(_Values, frozen=True, kw_only=True):
    """When a candidate counts as not coming up; restarts and flaps are since it was filled."""

    deadline: float = 600.0
    restarts: int = 3
    flaps: int = 3


class Timeouts(_Values, frozen=True, kw_only=True):
    """The router's: for the candidate's attempt, and for the whole request."""

    candidate: float = 2.0
    total: float = 30.0


class Errors(_Values, frozen=True, kw_only=True):
    """Difference of failure shares. PASS limit = budget / next weight, at most the ceiling."""

    decides: bool = True
    limit: float = 0.01
    budget: float = 0.01
    ceiling: float = 0.05


class Latency(_Values, frozen=True, kw_only=True):
    """Ratio of quantiles, and beside it an absolute difference in seconds.

    The first `settle` seconds of a step do not count; FAIL needs `least_intervals` after them.
    """

    decides: bool = True
    limit: float = 1.5
    quantile: float = 0.95
    early_quantile: float = 0.90
    absolute: float = 0.010
    settle: float = 30.0
    least_intervals: int = 8


class Mean(_Values, frozen=True, kw_only=True):
    """Difference of mean answers over stable's mean, or over its deviation for answers around 0."""

    decides: bool = True
    shadow: float = 0.10
    early: float = 0.30
    limit: float = 0.15
    deviation: float = 0.20
    scale: Literal["auto", "mean", "deviation"] = "auto"


class Correlation(_Values, frozen=True, kw_only=True):
    """Correlation of the two answers to one request; below the limit is bad."""

    decides: bool = True
    limit: float = 0.70


class Distance(_Values, frozen=True, kw_only=True):
    """Largest distance of the two answers' distributions (Kolmogorov, Smirnov): a catastrophe."""

    decides: bool = True
    limit: float = 0.30


class Gates(_Values, frozen=True, kw_only=True):
    """The gates' limits, and the two levels that GATES.md explains.

    A canary step below `early_below` percent takes the early quantile and limit. The share of pairs
    that differ by more than `tolerance`, in the answer's unit, is shown and never judged.
    """

    errors: Errors = Errors()
    latency: Latency = Latency()
    mean: Mean = Mean()
    correlation: Correlation = Correlation()
    distance: Distance = Distance()
    pass_level: float = 0.05
    fail_level: float = 0.05
    early_below: float = 25.0
    least_pairs: int = 100
    key_cap: int = 5
    tolerance: float = 2.0


class Policy(_Values, frozen=True, kw_only=True):
    """A whole policy. `auto: false` asks a person for each step.

    `interval` is the time between two looks, `least_intervals` the least number of them in a step.
    `on_deadline: abort` ends a step that has no verdict after the larger of `deadline` and
    `deadline_factor` times the time that its data should have taken.
    """

    preset: Preset = "careful"
    shadow: Shadow = Shadow()
    steps: tuple[float, ...] = (5.0, 25.0, 50.0)
    auto: bool = True
    interval: float = 15.0
    least_intervals: int = 8
    tick: float = 2.0
    ready: Ready = Ready()
    watch: Watch = Watch()
    keep_warm: float = 3600.0
    keep_failed: float = 600.0
    on_deadline: Literal["hold", "abort"] = "hold"
    deadline: float = 1800.0
    deadline_factor: float = 3.0
    replicas: int = 2
    sample: float = 100.0
    timeouts: Timeouts = Timeouts()
    force_role: bool = False
    allow_input_change: bool = False
    gates: Gates = Gates()

    @property
    def weights(self) -> tuple[int, ...]:
        """The canary steps, of 10,000."""
        return tuple(of_whole(step) for step in self.steps)


def of_whole(percent: float) -> int:
    """A share in percent as the whole number of 10,000 that the router takes."""
    return round(percent * WHOLE / 100)


PRESETS: dict[str, Policy] = {
    "careful": Policy(),
    "manual": Policy(preset="manual", auto=False),
    "fast": Policy(preset="fast", shadow=Shadow(enabled=False), steps=(), watch=Watch(seconds=0.0)),
    # For tests and demos at 150 requests/s and more: a look every second.
    "test": Policy(
        preset="test",
        steps=(50.0,),
        interval=1.0,
        least_intervals=3,
        tick=0.5,
        ready=Ready(deadline=60.0),
        watch=Watch(seconds=5.0),
        keep_warm=60.0,
        keep_failed=10.0,
        gates=Gates(
            errors=Errors(limit=0.05, budget=0.05, ceiling=0.05),
            latency=Latency(quantile=0.90, settle=1.0, least_intervals=3),
            mean=Mean(limit=0.30),
        ),
    ),
}
