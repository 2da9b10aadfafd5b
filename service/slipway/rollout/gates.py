"""The gates: what the window says about the candidate, each as a verdict with its interval. Pure.

PASS if the upper bound at the pass level is within the limit, FAIL if the lower bound at the fail
level is beyond it, else UNKNOWN. Each step needs all gates, so a bad model must fool the very one
that it violates and the pass level is not split; any FAIL stops, so the fail level is split over
all statistics of the policy that can FAIL (Berger 1982).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from slipway.rollout import gate_answers as answers
from slipway.rollout.gate_errors import read_errors
from slipway.rollout.gate_latency import read_latency
from slipway.rollout.limits import (
    decides,
    errors_limit,
    gates_of,
    group_mean_limit,
    latency_quantile,
    levels_of,
)
from slipway.rollout.measures import Window
from slipway.rollout.mixture import split_differs
from slipway.rollout.needs import least_samples
from slipway.rollout.policy import WHOLE
from slipway.rollout.readings import Levels, Reading, unknown, verdict_of
from slipway.rollout.state import State
from slipway.rollout.verdict import GateName, Outcome, Verdict

# How often, at most, a right split of the requests is taken for a wrong one.
_SPLIT_LEVEL = 0.001


def judge(window: Window | None, state: State, *, brief: bool = False) -> tuple[Verdict, ...]:
    """All verdicts of the state's phase; without a usable window every one is UNKNOWN.

    Brief verdicts are the same without the interval's ends and the number that is needed.
    """
    levels = levels_of(state.policy, brief=brief)
    return tuple(_judged(name, window, state, levels) for name in gates_of(state))


def _judged(name: GateName, window: Window | None, state: State, levels: Levels) -> Verdict:
    matters = decides(state.policy, name)
    if window is None:
        return _nothing_yet(name, state, matters)
    if not window.counts.sound:
        return unknown(name, "the counts contradict themselves", decides=matters)
    if _splits_wrong(window, state):
        samples = window.counts.candidate
        words = f"split differs: {samples} of {window.counts.total} requests are the candidate's"
        return unknown(name, words, samples=samples, decides=matters)
    reading = _READERS[name](window, state, levels)
    if reading is None:
        return _nothing_yet(name, state, matters)
    return verdict_of(name, reading, decides=matters)


def _nothing_yet(name: GateName, state: State, matters: bool) -> Verdict:
    needed = least_samples(name, state)
    words = f"insufficient data (0/{needed})" if needed else "nothing measured yet"
    return unknown(name, words, needed=needed, decides=matters)


def _splits_wrong(window: Window, state: State) -> bool:
    """Users who keep their slot by a key make the split uneven by right."""
    counts = window.counts
    if state.phase != "canary" or window.keyed or not counts.total:
        return False
    return split_differs(counts.candidate, counts.total, state.weight / WHOLE, _SPLIT_LEVEL)


def _errors(window: Window, state: State, levels: Levels) -> Reading | None:
    return read_errors(
        window.counts,
        window.worst,
        (errors_limit(state), state.policy.gates.errors.limit),
        levels,
        paired=state.phase != "canary",
    )


def _latency(window: Window, state: State, levels: Levels) -> Reading | None:
    return read_latency(window, state.policy.gates.latency, latency_quantile(state), levels)


def _mean(window: Window, state: State, levels: Levels) -> Reading | None:
    gates = state.policy.gates
    if state.phase != "canary":
        if window.pairs is None or not window.pairs.pairs:
            return None
        if answers.is_constant(window.pairs):
            return answers.read_unequal(window.pairs.unequal, window.pairs.pairs, levels)
        return answers.read_pair_mean(
            window.pairs, window.earlier, gates.mean, gates.least_pairs, levels
        )
    if window.groups is None or not window.groups.candidate.count:
        return None
    if answers.is_constant(window.groups):
        return _unequal_groups(window, levels)
    return answers.read_group_mean(window.groups, group_mean_limit(state), levels)


def _unequal_groups(window: Window, levels: Levels) -> Reading | None:
    groups = window.groups
    return answers.read_unequal(groups.unequal, groups.candidate.count, levels) if groups else None


def _correlation(window: Window, state: State, levels: Levels) -> Reading | None:
    gates = state.policy.gates
    if window.pairs is None or not window.pairs.pairs:
        return None
    if answers.is_constant(window.pairs):
        return answers.read_unequal(window.pairs.unequal, window.pairs.pairs, levels)
    return answers.read_correlation(
        window.pairs, gates.correlation.limit, gates.least_pairs, levels
    )


def _distance(window: Window, state: State, levels: Levels) -> Reading | None:
    if window.groups is None or not window.groups.candidate.count:
        return None
    if answers.is_constant(window.groups):
        return _unequal_groups(window, levels)
    return answers.read_distance(window.groups, state.policy.gates.distance.limit, levels)


_READERS: Mapping[GateName, Callable[[Window, State, Levels], Reading | None]] = {
    "errors": _errors,
    "latency": _latency,
    "mean": _mean,
    "correlation": _correlation,
    "distance": _distance,
}


def missing(verdicts: Sequence[Verdict]) -> str:
    """What the gates that know too little lack, as one sentence part."""
    first = max(verdicts, key=lambda v: (v.needed is None, v.needed or 0))
    return f"{first.gate}: {first.sentence}"


def expected_seconds(verdicts: Sequence[Verdict], window: Window | None) -> float | None:
    """How long a step's data takes at the rate seen so far, None where that cannot be said."""
    needed = [
        v.needed
        for v in verdicts
        if v.decides and v.needed is not None and v.outcome is Outcome.UNKNOWN
    ]
    if window is None or not needed or window.seconds <= 0 or window.counts.candidate <= 0:
        return None
    return max(needed) * window.seconds / window.counts.candidate
