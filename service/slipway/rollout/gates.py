"""The gates: what the window says about the candidate, each as a verdict. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from slipway.rollout.measures import Window
from slipway.rollout.state import State
from slipway.rollout.verdict import GateName, Outcome, Verdict

_MIRRORED: tuple[GateName, ...] = ("errors", "latency", "mean", "correlation")
_SPLIT: tuple[GateName, ...] = ("errors", "latency", "mean", "distance")


def judge(_window: Window | None, state: State) -> tuple[Verdict, ...]:
    """All verdicts of the state's phase; without a usable window every one is UNKNOWN."""
    names = _SPLIT if state.phase == "canary" else _MIRRORED
    return tuple(
        Verdict(gate=name, outcome=Outcome.UNKNOWN, sentence="nothing measured yet")
        for name in names
    )


def missing(unknown: Sequence[Verdict]) -> str:
    """What the gates that know too little lack, as one sentence part."""
    first = unknown[0]
    return f"{first.gate} says UNKNOWN: {first.sentence}"


def expected_seconds(verdicts: Sequence[Verdict], window: Window | None) -> float | None:
    """How long a step's data takes at the rate seen so far, None where that cannot be said."""
    needed = [v.needed for v in verdicts if v.decides and v.needed is not None]
    if window is None or not needed or window.seconds <= 0 or window.counts.candidate <= 0:
        return None
    return max(needed) * window.seconds / window.counts.candidate
