"""What a gate reads off its data, before it becomes a verdict. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from slipway.rollout.verdict import GateName, Outcome, Verdict

# Beyond a thousand times what has been seen no estimate is worth a figure.
_MOST = 1000.0


@dataclass(frozen=True)
class Levels:
    """How often, at most, a PASS and a FAIL may be wrong: the second for one statistic of many.

    `brief` leaves out what only people read, the interval's ends and the number that is needed.
    """

    passing: float
    failing: float
    brief: bool = False


@dataclass(frozen=True)
class Reading:
    """Estimate and interval against the limits, in the gate's own unit (`shown` writes a value).

    FAIL is judged against `fail_limit`, which is `limit` but for the errors gate.
    """

    passes: bool
    fails: bool
    estimate: float
    lower: float | None
    upper: float | None
    limit: float
    samples: int
    needed: int | None
    shown: Callable[[float], str]
    what: str
    hint: str = ""


def percent(value: float) -> str:
    """0.0123 -> 1.2 %."""
    return f"{100 * value:.2g} %"


def plain(value: float) -> str:
    """Three digits."""
    return f"{value:.3g}"


def unknown(
    gate: GateName, sentence: str, *, limit: float | None = None, samples: int = 0,
    needed: int | None = None, decides: bool = True,
) -> Verdict:  # fmt: skip
    """A verdict without an interval."""
    return Verdict(
        gate=gate,
        outcome=Outcome.UNKNOWN,
        sentence=sentence,
        limit=limit,
        samples=samples,
        needed=needed,
        decides=decides,
    )


def verdict_of(gate: GateName, reading: Reading, *, decides: bool) -> Verdict:
    """FAIL wins over PASS; neither is UNKNOWN, and the sentence says what is missing."""
    outcome = Outcome.FAIL if reading.fails else Outcome.PASS if reading.passes else Outcome.UNKNOWN
    ends = " to ".join(
        "?" if end is None or not math.isfinite(end) else reading.shown(end)
        for end in (reading.lower, reading.upper)
    )
    measured = f"{reading.what} {reading.shown(reading.estimate)} ({ends})"
    sentence = f"{measured}, limit {reading.shown(reading.limit)}"
    if outcome is Outcome.UNKNOWN:
        missing = reading.hint or _missing(reading)
        sentence = f"{missing}: {sentence}"
    return Verdict(
        gate=gate,
        outcome=outcome,
        sentence=sentence,
        estimate=_finite(reading.estimate),
        lower=_finite(reading.lower),
        upper=_finite(reading.upper),
        limit=reading.limit,
        samples=reading.samples,
        needed=reading.needed,
        decides=decides,
    )


def _missing(reading: Reading) -> str:
    if reading.needed is None:
        return "no verdict to be expected at this value"
    return f"insufficient data ({reading.samples}/{max(reading.needed, reading.samples + 1)})"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def needed_samples(
    samples: float, levels: Levels, passes_at: Callable[[float], bool]
) -> int | None:
    """How many samples a PASS takes if the shares stay as they are; None if it never comes.

    `passes_at(f)` says whether `f` times the present data would pass.
    """
    if levels.brief or samples <= 0 or not passes_at(_MOST):
        return None
    low, high = 0.0, math.log(_MOST)
    for _ in range(16):
        middle = (low + high) / 2
        if passes_at(math.exp(middle)):
            high = middle
        else:
            low = middle
    return math.ceil(samples * math.exp(high))
