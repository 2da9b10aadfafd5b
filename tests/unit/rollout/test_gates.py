"""The gates: what they say about given data. Limits and figures: GATES."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.rollout.windows import cells, rides, seconds, state, window

from slipway.rollout.gates import expected_seconds, judge, missing
from slipway.rollout.measures import (
    LATENCY_CELLS,
    Counts,
    Earlier,
    Floats,
    Group,
    GroupSums,
    Interval,
    PairSums,
    Window,
)
from slipway.rollout.policy import PRESETS, Gates, Latency, Mean, Policy
from slipway.rollout.state import Phase, State
from slipway.rollout.verdict import GateName, Outcome, Verdict

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
SHADOW, FIRST, SECOND, LAST = (
    state("shadow"),
    state("canary", 0),
    state("canary", 1),
    state("canary", 2),
)
WATCH = state("promoted")


def said(gate: GateName, seen: Window | None, of: State) -> Verdict:
    return next(v for v in judge(seen, of) if v.gate == gate)


EVERY = [
    (gate, of)
    for of in (SHADOW, FIRST, SECOND, LAST, WATCH)
    for gate in ("errors", "latency", "mean", "distance" if of.phase == "canary" else "correlation")
]


@pytest.mark.parametrize(("gate", "of"), EVERY)
@pytest.mark.parametrize("empty", [True, False])
def test_without_data_every_gate_is_unknown_and_says_what_it_needs(
    gate: GateName, of: State, empty: bool
) -> None:
    """D10: zero traffic is "insufficient data (0/N)", neither PASS nor FAIL."""
    verdict = said(gate, window(of) if empty else None, of)
    assert verdict.outcome is UNKNOWN
    assert verdict.needed
    assert verdict.sentence == f"insufficient data (0/{verdict.needed})"


# --- errors


@pytest.mark.parametrize(
    ("of", "counts", "outcome"),
    [
        (SHADOW, Counts(100, 0, 100, 0), PASS),
        (SHADOW, Counts(70, 0, 70, 0), UNKNOWN),
        (SHADOW, Counts(200, 40, 200, 0), FAIL),
        (SHADOW, Counts(200, 40, 200, 40), UNKNOWN),
        (SHADOW, Counts(3000, 300, 3000, 300), PASS),
        (FIRST, Counts(105, 0, 1995, 0), PASS),
        (FIRST, Counts(90, 0, 1710, 0), UNKNOWN),
        (FIRST, Counts(100, 20, 1900, 0), FAIL),
        (SECOND, Counts(210, 0, 630, 0), PASS),
        (SECOND, Counts(105, 0, 315, 0), UNKNOWN),
        (LAST, Counts(410, 0, 410, 0), PASS),
        (LAST, Counts(210, 0, 210, 0), UNKNOWN),
        (LAST, Counts(0, 0, 100, 0), UNKNOWN),
        (LAST, Counts(5000, 100, 5000, 0), FAIL),
        (WATCH, Counts(300, 60, 300, 0), FAIL),
    ],
)
def test_errors_pass_by_the_risk_budget_and_fail_at_one_point(
    of: State, counts: Counts, outcome: Outcome
) -> None:
    assert said("errors", counted(of, counts), of).outcome is outcome


def counted(of: State, counts: Counts) -> Window:
    """Counts that came evenly, without a burst."""
    return dataclasses.replace(window(of), counts=counts)


def test_errors_need_no_least_number_to_fail() -> None:
    assert said("errors", counted(FIRST, Counts(20, 12, 380, 0)), FIRST).outcome is FAIL


def test_a_burst_of_five_seconds_does_not_stop_a_rollout_and_a_steady_fault_does() -> None:
    """From 150 candidate requests on the two worst slices are left out for FAIL (GATES 5)."""
    seen = window(LAST, {"counts": Counts(25, 0, 25, 0)}, looks=20)
    burst = Counts(25, 25, 25, 0)
    once = dataclasses.replace(seen, counts=seen.counts + burst, worst=(burst,))
    assert said("errors", once, LAST).outcome is UNKNOWN
    steady = dataclasses.replace(once, worst=(Counts(25, 2, 25, 0), Counts(25, 2, 25, 0)))
    assert said("errors", steady, LAST).outcome is FAIL


def test_counts_that_contradict_themselves_are_unknown() -> None:
    for counts in (Counts(10, 11, 10, 0), Counts(-1, 0, 10, 0), Counts(10, 0, 5, 6)):
        seen = dataclasses.replace(window(LAST), counts=counts)
        assert all(v.outcome is UNKNOWN for v in judge(seen, LAST))


def test_a_split_that_is_not_the_loaded_weight_is_unknown_unless_keys_make_it() -> None:
    seen = window(FIRST, {"counts": Counts(1000, 0, 1000, 0)})
    verdicts = judge(seen, FIRST)
    assert all(v.outcome is UNKNOWN and "split differs" in v.sentence for v in verdicts)
    keyed = dataclasses.replace(seen, keyed=True)
    assert said("errors", keyed, FIRST).outcome is PASS
    shadowed = window(SHADOW, {"counts": Counts(1000, 0, 1000, 0)})
    assert said("errors", shadowed, SHADOW).outcome is PASS


# --- latency


def timed(of: State, candidate: Floats, control: Floats, looks: int = 12) -> Window:
    """The latencies spread evenly over the looks, after the settling time."""
    warm = {"counts": Counts(0, 0, 0, 0)}
    parts: list[dict[str, Any]] = [warm, warm]
    for one, other in zip(
        np.array_split(candidate, looks), np.array_split(control, looks), strict=True
    ):
        parts.append({"candidate_latency": cells(one), "control_latency": cells(other)})
    return window(of, *parts)


@pytest.mark.parametrize("of", [SHADOW, FIRST, LAST, WATCH])
def test_latency_of_an_identical_model_passes(of: State) -> None:
    seen = timed(of, seconds(800, 1), seconds(8000, 2))
    assert said("latency", seen, of).outcome is PASS


@pytest.mark.parametrize("of", [SHADOW, FIRST, LAST, WATCH])
def test_a_model_three_times_slower_fails(of: State) -> None:
    seen = timed(of, seconds(800, 1) * 3, seconds(8000, 2))
    verdict = said("latency", seen, of)
    assert verdict.outcome is FAIL
    assert verdict.lower
    assert verdict.lower >= 1.5


def test_few_requests_have_no_verdict_and_the_number_that_is_needed() -> None:
    verdict = said("latency", timed(FIRST, seconds(60, 1), seconds(1000, 2)), FIRST)
    assert verdict.outcome is UNKNOWN
    assert verdict.needed
    assert 60 < verdict.needed < 1000
    assert "insufficient data (60/" in verdict.sentence


def test_three_times_slower_within_the_absolute_difference_passes() -> None:
    fast = timed(LAST, seconds(3000, 1, 0.001) * 3, seconds(3000, 2, 0.001))
    assert said("latency", fast, LAST).outcome is PASS


def test_a_slow_spell_of_the_candidate_alone_is_no_failure() -> None:
    """FAIL must hold on the better half of the intervals too."""
    latencies = seconds(1200, 1)
    latencies[:300] *= 6
    spell = timed(LAST, latencies, seconds(1200, 2))
    assert said("latency", spell, LAST).outcome is not FAIL
    assert (
        said("latency", timed(LAST, seconds(1200, 1) * 6, seconds(1200, 2)), LAST).outcome is FAIL
    )


def test_latency_fails_only_after_its_least_number_of_intervals() -> None:
    slow = seconds(700, 1) * 5
    assert said("latency", timed(LAST, slow, seconds(700, 2), 7), LAST).outcome is UNKNOWN
    assert said("latency", timed(LAST, slow, seconds(700, 2), 8), LAST).outcome is FAIL


def test_a_quantile_in_the_last_bucket_is_unknown() -> None:
    stuck = np.full(1000, 120.0)
    assert said("latency", timed(LAST, stuck, stuck), LAST).outcome is UNKNOWN


# --- answers, paired


def paired(of: State, candidate: Floats, control: Floats, earlier: Earlier | None = None) -> Window:
    return window(
        of, {"pairs": (control, candidate), "counts": Counts(500, 0, 500, 0)}, earlier=earlier
    )


S = rides(500)
NOISE = np.random.default_rng(8).normal(0, 1, 500)


@pytest.mark.parametrize("of", [SHADOW, WATCH])
@pytest.mark.parametrize(
    ("candidate", "mean", "correlation"),
    [
        (S, PASS, PASS),
        (S * 1.02, PASS, PASS),
        (S + 3 * NOISE, PASS, PASS),
        (S * 1.3, FAIL, PASS),
        (S + 5, FAIL, PASS),
        (np.full(500, S.mean()), PASS, FAIL),
        (np.random.default_rng(1).permutation(S), UNKNOWN, FAIL),
        (-S, FAIL, FAIL),
        (S * 1.10, UNKNOWN, PASS),
    ],
)
def test_D13_pairs_tell_a_wrong_model_from_another_good_one(
    of: State, candidate: Floats, mean: Outcome, correlation: Outcome
) -> None:
    seen = paired(of, candidate, S)
    assert said("mean", seen, of).outcome is mean
    assert said("correlation", seen, of).outcome is correlation


@pytest.mark.parametrize("longer", [0.3, 3.0])
@pytest.mark.parametrize("phase", ["shadow", "canary"])
def test_D15_rides_that_change_for_both_versions_blame_neither(phase: Phase, longer: float) -> None:
    """From one look to the next the rides get longer, or shorter, for whoever answers them."""
    of = state(phase, step=1 if phase == "canary" else 0)
    parts: list[dict[str, Any]] = []
    for number in range(12):
        now = rides(400, seed=number) * (1 + (longer - 1) * number / 11)
        if phase == "shadow":
            parts.append({"pairs": (now, 1.02 * now)})
        else:
            parts.append({"candidate_answers": 1.02 * now[:100], "control_answers": now[100:]})
    found = window(of, *parts)
    told = {name: said(name, found, of).outcome for name in ("mean", "correlation", "distance")
            if name in {v.gate for v in judge(found, of)}}  # fmt: skip
    assert Outcome.FAIL not in told.values()
    assert told["mean"] is Outcome.PASS


def test_a_hundred_pairs_are_enough_for_an_identical_model_and_ninety_nine_are_not() -> None:
    assert said("mean", paired(SHADOW, S[:100], S[:100]), SHADOW).outcome is PASS
    verdict = said("mean", paired(SHADOW, S[:99], S[:99]), SHADOW)
    assert verdict.outcome is UNKNOWN
    assert verdict.needed in (100, 101)


def test_answers_around_zero_are_measured_by_stables_earlier_deviation() -> None:
    around = (S - S.mean()) / S.std()
    earlier = Earlier(5000, 0.01, 1.0)
    good = paired(SHADOW, around + 0.02 * NOISE, around, earlier)
    biased = paired(SHADOW, around + 0.3, around, earlier)
    assert said("mean", good, SHADOW).outcome is PASS
    assert said("mean", biased, SHADOW).outcome is FAIL
    few = paired(SHADOW, around, around, Earlier(300, 0.01, 1.0))
    by_deviation = policy(mean=Mean(scale="deviation"))
    verdict = said("mean", few, state("shadow", policy=by_deviation))
    assert verdict.outcome is UNKNOWN
    assert "300 of 2000 earlier answers" in verdict.sentence


def policy(**gates: Any) -> Policy:
    return replace(PRESETS["careful"], gates=replace(Gates(), **gates))


def test_a_constant_stable_is_compared_by_unequal_answers() -> None:
    same, other = np.full(500, 3.0), np.full(500, 3.0)
    assert said("mean", paired(SHADOW, same, other), SHADOW).outcome is PASS
    changed = same.copy()
    changed[:100] = 4.0
    for gate in ("mean", "correlation"):
        assert said(gate, paired(SHADOW, changed, other), SHADOW).outcome is FAIL
    groups = {"candidate_answers": changed, "control_answers": other}
    assert said("mean", window(LAST, groups), LAST).outcome is FAIL
    assert said("distance", window(LAST, groups), LAST).outcome is FAIL


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e308, -1e308])
def test_D9_absurd_answers_never_pass(bad: float) -> None:
    absurd = S.copy()
    absurd[:10] = bad
    seen = paired(SHADOW, absurd, S)
    assert said("mean", seen, SHADOW).outcome is not PASS
    assert said("correlation", seen, SHADOW).outcome is not PASS


# --- answers, two groups


def grouped(of: State, candidate: Floats, control: Floats) -> Window:
    counts = Counts(round(of.weight / 10), 0, round(1000 - of.weight / 10), 0)
    return window(
        of, {"candidate_answers": candidate, "control_answers": control, "counts": counts}
    )


@pytest.mark.parametrize(("of", "count"), [(FIRST, 400), (SECOND, 900), (LAST, 1500)])
@pytest.mark.parametrize(
    ("factor", "shift", "mean", "distance"),
    [(1.0, 0.0, PASS, PASS), (2.0, 0.0, FAIL, None), (1.0, 20.0, FAIL, FAIL)],
)
def test_groups_pass_when_alike_and_fail_when_far_apart(
    of: State, count: int, factor: float, shift: float, mean: Outcome, distance: Outcome | None
) -> None:
    control = rides(round(count * (10_000 - of.weight) / of.weight), 5)
    seen = grouped(of, rides(count, 4) * factor + shift, control)
    assert said("mean", seen, of).outcome is mean
    if distance:
        assert said("distance", seen, of).outcome is distance


def test_the_first_small_step_takes_the_wider_limit() -> None:
    control = rides(8000, 5)
    higher = rides(1000, 4) * 1.2
    assert said("mean", grouped(FIRST, higher, control), FIRST).outcome is PASS
    assert said("mean", grouped(SECOND, higher, control), SECOND).outcome is not PASS


def test_answers_that_are_nearly_all_alike_have_no_distance() -> None:
    alike = np.where(np.arange(1000) % 50 == 0, 1.0, 0.0)
    seen = grouped(replace(LAST, edges=(0.5,)), alike, alike)
    verdict = said("distance", seen, LAST)
    assert verdict.outcome is UNKNOWN
    assert "gates.distance.decides" in verdict.sentence


def test_fewer_than_fifty_answers_in_a_group_have_no_verdict() -> None:
    assert said("mean", grouped(FIRST, rides(49), rides(5000)), FIRST).outcome is UNKNOWN
    assert said("distance", grouped(FIRST, rides(49), rides(5000)), FIRST).outcome is UNKNOWN


# --- all


def test_a_gate_that_only_shows_says_so() -> None:
    shown = policy(latency=Latency(decides=False))
    assert [v.gate for v in judge(None, state("shadow", policy=shown)) if not v.decides] == [
        "latency"
    ]


def test_a_verdict_has_estimate_interval_limit_samples_and_one_sentence() -> None:
    verdict = said("errors", counted(LAST, Counts(500, 1, 500, 0)), LAST)
    assert verdict.estimate == pytest.approx(0.002)
    assert verdict.upper
    assert verdict.upper > 0.01
    assert (verdict.limit, verdict.samples) == (0.01, 500)
    assert verdict.sentence.startswith("insufficient data (500/")


def test_the_expected_time_follows_the_rate_and_the_hungriest_gate() -> None:
    seen = dataclasses.replace(window(LAST, {"counts": Counts(100, 0, 100, 0)}), seconds=50.0)
    verdicts = judge(seen, LAST)
    unknown = [v for v in verdicts if v.outcome is UNKNOWN and v.needed]
    needed = max(v.needed or 0 for v in unknown)
    assert expected_seconds(verdicts, seen) == pytest.approx(needed / 2)
    assert expected_seconds(verdicts, None) is None
    assert "insufficient data" in missing(unknown)


anything = st.floats() | st.sampled_from([0.0, 1e308, -1e308, 1e-308])
count = st.integers(-2, 10_000)
sums = st.builds(
    PairSums,
    anything,
    st.sampled_from([1.0, 1e-300, 1e300]),
    st.tuples(*[st.tuples(*[anything] * 5)] * 5).map(
        lambda rows: ((float(rows[0][0] == rows[0][0]) * 500.0, *rows[0][1:]), *rows[1:])
    ),
    count,
)
group = st.builds(Group, count, anything, anything, st.tuples(count, count, count))
counts = st.builds(Counts, count, count, count, count)


def some_cells(seed: int) -> tuple[int, ...]:
    rng = np.random.default_rng(seed)
    row = rng.integers(0, 50, LATENCY_CELLS) * (rng.random(LATENCY_CELLS) < 0.1)
    return tuple((row - (seed % 5 == 0)).tolist())


cell_rows = st.integers(0, 1000).map(some_cells)
intervals = st.builds(Interval, st.floats(0, 1e9), cell_rows, cell_rows)
windows = st.builds(
    Window,
    st.just(5),
    st.just("c"),
    st.just("s"),
    anything,
    count,
    counts,
    st.lists(counts, max_size=2).map(tuple),
    st.none() | intervals,
    st.tuples(intervals, intervals).map(lambda two: two * 4),
    st.none() | sums,
    st.none() | st.builds(GroupSums, anything, anything, st.just((1.0, 2.0)), group, group, count),
    st.none() | st.builds(Earlier, count, anything, anything),
)


@settings(max_examples=150, deadline=None)
@given(windows, st.sampled_from([SHADOW, FIRST, SECOND, LAST, WATCH]))
def test_D9_any_numbers_at_all_make_a_verdict_and_never_an_exception(
    seen: Window, of: State
) -> None:
    for verdict in judge(seen, of):
        assert verdict.outcome in Outcome
        assert verdict.sentence
        for value in (verdict.estimate, verdict.lower, verdict.upper):
            assert value is None or math.isfinite(value)
