"""The least data that a verdict takes, computed from the limits. Pure.

For an identical model without a failure: the best case, known before anything is measured. Where
a distribution is needed, it is named here; `slipway simulate` has the typical case.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from slipway.buckets import LATENCY_BUCKETS, LATENCY_GROWTH
from slipway.rollout.betting import Failures, is_below
from slipway.rollout.gate_answers import LEAST_GROUP
from slipway.rollout.limits import errors_limit, group_mean_limit, latency_quantile, levels_of
from slipway.rollout.mixture import half_width
from slipway.rollout.moments import harmonic
from slipway.rollout.policy import WHOLE
from slipway.rollout.quantiles import Tail, lower_edge, upper_edge
from slipway.rollout.state import State
from slipway.rollout.verdict import GateName

# Latencies: lognormal around 20 ms. Answers: deviation over mean of taxi ride durations.
LATENCY_MEDIAN, LATENCY_SIGMA = 0.020, 0.5
VARIATION = 0.63
_MOST = 10_000_000


def least_samples(gate: GateName, state: State) -> int | None:
    """The candidate's requests, or pairs, that a PASS of this gate takes at the least."""
    finder = _FINDERS.get(gate)
    return finder(state) if finder else None


def _errors(state: State) -> int | None:
    limit, level = errors_limit(state), levels_of(state.policy).passing
    return _first_errors(limit, level, _share(state))


@lru_cache(maxsize=256)
def _first_errors(limit: float, level: float, share: float) -> int | None:
    paired = share == 1

    def passes(n: int) -> bool:
        control = n if paired else n * (1 - share) / share
        return is_below(Failures(n, 0, control, 0, paired), limit, level)

    return _first(passes)


def _latency(state: State) -> int | None:
    power = round(math.log(state.policy.gates.latency.limit) / math.log(LATENCY_GROWTH))
    level = levels_of(state.policy).passing
    return _first_latency(latency_quantile(state), power, level, _share(state))


@lru_cache(maxsize=256)
def _first_latency(q: float, power: int, level: float, share: float) -> int | None:
    others = 1.0 if share == 1 else (1 - share) / share

    def passes(n: int) -> bool:
        candidate = upper_edge(_tail(n), q, level)
        control = lower_edge(_tail(n * others), q, level)
        return candidate is not None and control is not None and candidate - control <= power

    return _first(passes)


def _tail(count: float) -> Tail:
    return Tail(count, tuple(count * _beyond(edge) for edge in LATENCY_BUCKETS))


@lru_cache(maxsize=128)
def _beyond(seconds: float) -> float:
    z = math.log(seconds / LATENCY_MEDIAN) / LATENCY_SIGMA
    return math.erfc(z / math.sqrt(2)) / 2


def _mean(state: State) -> int | None:
    if state.phase != "canary":
        return state.policy.gates.least_pairs
    return _first_group(VARIATION, group_mean_limit(state), state)


def _pairs(state: State) -> int | None:
    return state.policy.gates.least_pairs


def _distance(state: State) -> int | None:
    return _first_group(0.5, state.policy.gates.distance.limit, state)


def _first_group(deviation: float, limit: float, state: State) -> int | None:
    share, level = _share(state), levels_of(state.policy).passing

    def passes(n: int) -> bool:
        others = n * (1 - share) / share
        width = half_width(deviation, harmonic(n, others), level)
        return min(n, others) >= LEAST_GROUP and width <= limit

    return _first(passes)


def _share(state: State) -> float:
    """The candidate's share of the requests; 1 where both sides answer each."""
    return state.weight / WHOLE if state.phase == "canary" and state.weight else 1.0


def _first(passes: Callable[[int], bool]) -> int | None:
    low, high = 1, _MOST
    if not passes(high):
        return None
    while low < high:
        middle = (low + high) // 2
        if passes(middle):
            high = middle
        else:
            low = middle + 1
    return low


_FINDERS: dict[GateName, Callable[[State], int | None]] = {
    "errors": _errors,
    "latency": _latency,
    "mean": _mean,
    "correlation": _pairs,
    "distance": _distance,
}
