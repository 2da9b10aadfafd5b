"""The gates on answers: mean and correlation of pairs, mean and distance of two groups. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable

from slipway.rollout.betting import Failures, is_above, is_below, lower_bound, upper_bound
from slipway.rollout.measures import Earlier, GroupSums, PairSums
from slipway.rollout.mixture import half_width
from slipway.rollout.moments import (
    Estimate,
    control_spread,
    control_variance,
    correlation,
    edge_distances,
    group_means,
    harmonic,
    mean_over_deviation,
    mean_over_mean,
)
from slipway.rollout.policy import Mean
from slipway.rollout.readings import Levels, Reading, needed_samples, percent, plain

# Answers of which at most this share may differ where the control always answers the same.
UNEQUAL_LIMIT = 0.05
# The control's earlier answers are a scale from so many on: fewer would add their own noise.
LEAST_EARLIER = 2000
# Asymptotic bounds for groups are not asked before each has so many.
LEAST_GROUP = 50
_ONE_BUCKET = 0.9
_ROUNDING = 1e-18
# A model that lies exactly on the limit, without any noise, gets no verdict by rounding.
_EXACT = 1e-9


def read_pair_mean(
    pairs: PairSums, earlier: Earlier | None, policy: Mean, least: int, levels: Levels
) -> Reading:
    """Mean difference over the control's mean, or over its deviation for answers around 0."""
    known = earlier is not None and earlier.count >= LEAST_EARLIER
    around_zero = known and earlier is not None and abs(earlier.mean) < earlier.deviation
    if policy.scale == "deviation" or (policy.scale == "auto" and around_zero):
        if not known or earlier is None:
            seen = earlier.count if earlier else 0
            hint = f"stable has {seen} of {LEAST_EARLIER} earlier answers to be measured by"
            return _mean_reading(None, pairs, policy.deviation, least, levels, hint)
        found = mean_over_deviation(pairs, earlier)
        return _mean_reading(found, pairs, policy.deviation, least, levels)
    return _mean_reading(mean_over_mean(pairs), pairs, policy.shadow, least, levels)


def _mean_reading(
    found: Estimate | None, pairs: PairSums, limit: float, least: int, levels: Levels,
    hint: str = "",
) -> Reading:  # fmt: skip
    if found is None and not hint:
        hint = "stable's mean answer is 0; set gates.mean.scale to deviation"
    return _two_sided(
        found or Estimate(math.nan, math.nan, 0),
        limit,
        levels,
        samples=pairs.pairs,
        per_sample=1.0,
        least=least,
        hint=hint,
    )


def read_group_mean(groups: GroupSums, limit: float, levels: Levels) -> Reading:
    """Difference of the means of two groups over the control's."""
    found = group_means(groups)
    least = min(groups.candidate.count, groups.control.count)
    return _two_sided(
        found or Estimate(math.nan, math.nan, 0),
        limit,
        levels,
        samples=groups.candidate.count,
        per_sample=_worth_per_candidate(groups),
        least=math.ceil(LEAST_GROUP * _worth_per_candidate(groups)),
        hint="" if found or least < 2 else "stable's mean answer is 0; set gates.mean.decides off",
    )


def _worth_per_candidate(groups: GroupSums) -> float:
    candidate, control = groups.candidate.count, groups.control.count
    return harmonic(candidate, control) / candidate if candidate and control else 1.0


def _two_sided(
    found: Estimate, limit: float, levels: Levels, *, samples: int, per_sample: float, least: int,
    hint: str = "",
) -> Reading:  # fmt: skip
    """|value| against a limit; nothing is said before `least` pairs' worth."""
    value = abs(found.value)
    enough = found.sound and found.count >= least

    def width(count: float, level: float) -> float:
        return half_width(found.deviation, count, level)

    def passes_at(factor: float) -> bool:
        count = found.count * factor
        return count >= least and value + width(count, levels.passing) <= limit * (1 - _EXACT)

    passes = enough and passes_at(1.0)
    fails = enough and value - width(found.count, levels.failing) > limit * (1 + _EXACT)
    needed = (
        samples
        if passes or fails
        else _needed(found, levels, samples, least, passes_at, per_sample)
    )
    inner = width(found.count, levels.passing) if found.sound else math.nan
    return Reading(
        passes=passes,
        fails=fails,
        estimate=found.value,
        lower=found.value - inner,
        upper=found.value + inner,
        limit=limit,
        samples=samples,
        needed=needed,
        shown=percent,
        what="mean answer differs by",
        hint=hint,
    )


def _needed(
    found: Estimate, levels: Levels, samples: int, least: int,
    passes_at: Callable[[float], bool], per_sample: float = 1.0,
) -> int | None:  # fmt: skip
    if not found.sound or samples <= 0:
        return math.ceil(least / per_sample)
    return needed_samples(samples, levels, passes_at)


def read_correlation(pairs: PairSums, limit: float, least: int, levels: Levels) -> Reading:
    """Correlation of both answers to one request: PASS above the limit."""
    found = correlation(pairs)
    enough = found.sound and found.count >= least

    def passes_at(factor: float) -> bool:
        count = found.count * factor
        return count >= least and (
            found.value - half_width(found.deviation, count, levels.passing) > limit
        )

    passes = enough and passes_at(1.0)
    fails = enough and (
        found.value + half_width(found.deviation, found.count, levels.failing) < limit
    )
    needed = (
        pairs.pairs if passes or fails else _needed(found, levels, pairs.pairs, least, passes_at)
    )
    inner = half_width(found.deviation, found.count, levels.passing)
    return Reading(
        passes=passes,
        fails=fails,
        estimate=found.value,
        lower=max(found.value - inner, -1.0),
        upper=min(found.value + inner, 1.0),
        limit=limit,
        samples=pairs.pairs,
        needed=needed,
        shown=plain,
        what="correlation",
    )


def read_distance(groups: GroupSums, limit: float, levels: Levels) -> Reading | None:
    """Largest distance of the two distributions at the edges; None without edges or answers.

    One edge beyond the limit breaks the null hypothesis, so PASS needs no correction over the
    edges; FAIL at one of many does.
    """
    found = edge_distances(groups)
    if not found:
        return None
    level = levels.failing / len(found)
    worth, samples = found[0].count, groups.candidate.count
    least = min(groups.candidate.count, groups.control.count)

    def upper(factor: float) -> float:
        return max(
            e.value + half_width(e.deviation, e.count * factor, levels.passing) for e in found
        )

    lower = max(e.value - half_width(e.deviation, worth, level) for e in found)
    # With nearly all of stable's answers in one bucket the distance says nothing.
    says = max(groups.control.bins) <= _ONE_BUCKET * groups.control.count
    passes = says and least >= LEAST_GROUP and upper(1.0) <= limit
    fails = says and least >= LEAST_GROUP and lower > limit
    needed = (
        samples if passes or fails else needed_samples(samples, levels, lambda f: upper(f) <= limit)
    )
    hint = "" if says else (
        "nearly all of stable's answers are alike; set gates.distance.decides to false"
    )  # fmt: skip
    return Reading(
        passes=passes,
        fails=fails,
        estimate=max(e.value for e in found),
        lower=max(lower, 0.0),
        upper=min(upper(1.0), 1.0),
        limit=limit,
        samples=samples,
        needed=needed,
        shown=plain,
        what="largest distance",
        hint=hint,
    )


def read_unequal(unequal: int, count: int, levels: Levels) -> Reading | None:
    """Where stable always answers the same: the share of answers that are another one."""
    if not count:
        return None
    failures = Failures(count, unequal, count, 0, paired=True)
    passes = is_below(failures, UNEQUAL_LIMIT, levels.passing)
    fails = is_above(failures, UNEQUAL_LIMIT, levels.failing)
    return Reading(
        passes=passes,
        fails=fails,
        estimate=unequal / count,
        lower=None if levels.brief else lower_bound(failures, levels.failing),
        upper=None if levels.brief else upper_bound(failures, levels.passing),
        limit=UNEQUAL_LIMIT,
        samples=count,
        needed=count if passes or fails else needed_samples(
            count, levels, lambda f: is_below(failures.scaled(f), UNEQUAL_LIMIT, levels.passing)
        ),
        shown=percent,
        what="stable always answers the same, other answers",
    )  # fmt: skip


def is_constant(pairs_or_groups: PairSums | GroupSums) -> bool:
    """Whether the control has given one answer only."""
    if isinstance(pairs_or_groups, PairSums):
        # In units of the first pairs' spread; equal answers may differ by a rounding.
        return pairs_or_groups.pairs > 1 and control_variance(pairs_or_groups) <= _ROUNDING
    mean, deviation = control_spread(pairs_or_groups)
    return pairs_or_groups.control.count > 1 and deviation <= 1e-12 * abs(mean)
