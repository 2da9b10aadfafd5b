"""The errors gate: the candidate's failure share minus the control's, in points. Pure."""

from __future__ import annotations

from slipway.rollout.betting import Failures, is_above, is_below, lower_bound, upper_bound
from slipway.rollout.measures import Counts
from slipway.rollout.readings import Levels, Reading, needed_samples, percent

# A burst of failures in one slot is one thing that happened: from so many candidate requests on a
# FAIL must hold without the worst slices of 5 s (GATES 5).
_SLICES_LEFT_OUT = ((150, 2), (100, 1))


def read_errors(
    counts: Counts, worst: tuple[Counts, ...], limits: tuple[float, float], levels: Levels,
    *, paired: bool,
) -> Reading | None:  # fmt: skip
    """`limits` are those of PASS and of FAIL. None while a side was not asked."""
    limit, fail_limit = limits
    failures = failures_of(counts, paired=paired)
    if not failures.usable:
        return None
    passes = is_below(failures, limit, levels.passing)
    fails = is_above(failures, fail_limit, levels.failing) and _without_bursts(
        counts, worst, fail_limit, levels, paired=paired
    )
    needed = counts.candidate if passes or fails else needed_samples(
        failures.candidate, levels, lambda f: is_below(failures.scaled(f), limit, levels.passing)
    )  # fmt: skip
    return Reading(
        passes=passes,
        fails=fails,
        estimate=failures.estimate,
        lower=None if levels.brief else lower_bound(failures, levels.failing),
        upper=None if levels.brief else upper_bound(failures, levels.passing),
        limit=fail_limit if fails else limit,
        samples=counts.candidate,
        needed=needed,
        shown=percent,
        what="fails more often by",
    )


def failures_of(counts: Counts, *, paired: bool) -> Failures:
    """The counts as the bounds take them: pairs that both sides fail count for neither."""
    both = max(counts.candidate_failed + counts.control_failed - counts.candidate, 0)
    excess = both if paired else 0
    return Failures(
        counts.candidate,
        counts.candidate_failed - excess,
        counts.control,
        counts.control_failed - excess,
        paired,
    )


def _without_bursts(
    counts: Counts, worst: tuple[Counts, ...], limit: float, levels: Levels, *, paired: bool
) -> bool:
    """Whether it is above the limit without the worst slices, and beside stable's own failures.

    A place that fails now and then fails both sides, each for itself: the candidate's failures
    that stable answers would be blamed on the release, so all failures are compared as well.
    """
    out = next((n for least, n in _SLICES_LEFT_OUT if counts.candidate >= least), 0)
    for burst in worst[:out]:
        counts -= burst
    if not counts.sound or not is_above(failures_of(counts, paired=paired), limit, levels.failing):
        return False
    every = Failures(
        counts.candidate,
        counts.candidate_failed + counts.both_failed,
        counts.control,
        counts.control_own,
        paired,
    )
    return paired or is_above(every, limit, levels.failing)
