"""Rollouts by the shipped decision and gates; the small, seeded form of the figures in the docs."""

from __future__ import annotations

import dataclasses

import pytest
from msgspec.structs import replace

from slipway.rollout.policy import PRESETS, Policy, Shadow
from slipway.rollout.simulate import Result, Rollout, simulate
from slipway.rollout.summary import Summary
from slipway.rollout.traffic import Answers, Spells, Traffic, ride_answers

SAME = ride_answers(5000)
CAREFUL = PRESETS["careful"]
NO_SHADOW = replace(CAREFUL, shadow=Shadow(enabled=False))


def many(
    traffic: Traffic, runs: int = 30, policy: Policy = CAREFUL, horizon: float = 14_400
) -> Summary:
    found = (simulate(policy, traffic, seed, horizon=horizon) for seed in range(runs))
    return Summary(tuple(found))


def times(candidate: float, other: float = 0.0) -> Answers:
    return Answers(SAME.control, SAME.control * candidate + other)


def test_a_seed_gives_the_same_rollout_again() -> None:
    traffic = Traffic(20, SAME)
    assert simulate(CAREFUL, traffic, 7) == simulate(CAREFUL, traffic, 7)
    assert simulate(CAREFUL, traffic, 7) != simulate(CAREFUL, traffic, 8)


@pytest.mark.parametrize(("rate", "minutes"), [(200, 20), (50, 20), (10, 38)])
def test_D14_an_identical_model_is_promoted_in_time_and_not_stopped_by_chance(
    rate: float, minutes: float
) -> None:
    found = many(Traffic(rate, SAME), 20)
    assert found.stopped == 0
    assert found.promoted_within(minutes * 60) >= 0.95


def test_a_rollout_goes_through_every_step_and_never_faster_than_the_policy() -> None:
    found = simulate(CAREFUL, Traffic(200, SAME), 1)
    assert list(found.steps) == ["shadow", "5 %", "25 %", "50 %", "watch"]
    assert all(seconds >= 120 for seconds in found.steps.values())
    assert found.steps["watch"] == pytest.approx(300)
    assert found.promoted_at == pytest.approx(480)


def test_D13_a_biased_model_is_stopped_in_shadow_before_any_user_sees_it() -> None:
    """Row 2 of what none has: + 30 %, no errors, same latency."""
    for answers in (times(1.3), times(1.0, 5.0), times(-1.0)):
        found = many(Traffic(50, answers), 20)
        assert found.stopped_in("shadow") == 1.0
        assert all(list(r.steps) == ["shadow"] for r in found.results)


def test_twenty_percent_errors_at_the_first_step_are_gone_within_two_looks() -> None:
    found = many(Traffic(50, SAME, worse=0.2), 60, NO_SHADOW)
    assert found.stopped_in("5 %", within=30) >= 0.95
    assert found.promoted == 0


def test_errors_are_stopped_in_shadow() -> None:
    assert many(Traffic(50, SAME, worse=0.2), 20).stopped_in("shadow") == 1.0


def test_A11_a_model_three_times_slower_is_stopped() -> None:
    found = many(Traffic(50, SAME, slower=3.0), 20, NO_SHADOW)
    assert found.stopped == 1.0
    assert found.promoted == 0


def test_D15_what_fails_on_both_sides_is_not_the_candidates() -> None:
    storm = Spells(0.1, 60.0, both=True, failing=0.3)
    found = many(Traffic(50, SAME, spells=storm), 20, horizon=1800)
    assert found.stopped == 0
    alone = many(Traffic(50, SAME, spells=replace_both(storm)), 20, horizon=1800)
    assert alone.stopped > 0.2


def replace_both(spells: Spells) -> Spells:
    return dataclasses.replace(spells, both=False, candidate_only=True)


def test_D10_zero_traffic_holds_and_goes_nowhere() -> None:
    found = simulate(CAREFUL, Traffic(0.0, SAME), 1, horizon=7200)
    assert (found.end, found.promoted_at) == ("open", None)
    assert list(found.steps) == ["shadow"]


def test_a_deadline_ends_a_rollout_without_data() -> None:
    policy = replace(CAREFUL, on_deadline="abort")
    found = simulate(policy, Traffic(0.0, SAME), 1, horizon=7200)
    assert found.end == "timed out"
    assert 1800 <= found.seconds <= 1900


def test_a_defect_that_grows_after_promotion_returns_to_the_warm_version() -> None:
    """A direct look at the watch: a policy without steps promotes blind, the watch finds out."""
    blind = replace(CAREFUL, shadow=Shadow(enabled=False), steps=())
    found = many(Traffic(50, SAME, worse=0.2), 10, blind)
    assert {r.end for r in found.results} == {"returned"}
    assert {r.ended_in for r in found.results} == {"watch"}


def test_the_fast_policy_asks_no_gate() -> None:
    found = simulate(PRESETS["fast"], Traffic(0.0, SAME), 1)
    assert (found.end, found.promoted_at) == ("promoted", 0.0)


def test_looks_can_be_followed_with_their_intervals() -> None:
    looks = list(Rollout(CAREFUL, Traffic(50, SAME), 3, brief=False).looks(86_400))
    assert [look.step for look in looks[:8]] == ["shadow"] * 8
    last = looks[7].verdicts
    assert {v.gate for v in last} == {"errors", "latency", "mean", "correlation"}
    assert all(v.upper is not None for v in last)
    assert looks[-1].step == "watch"


def test_brief_verdicts_are_the_same_verdicts() -> None:
    brief = Rollout(CAREFUL, Traffic(20, SAME), 5)
    whole = Rollout(CAREFUL, Traffic(20, SAME), 5, brief=False)
    for one, other in zip(brief.looks(7200), whole.looks(7200), strict=True):
        assert [v.outcome for v in one.verdicts] == [v.outcome for v in other.verdicts]
    assert brief.result() == whole.result()


def test_the_requests_that_a_candidate_failed_are_counted() -> None:
    found: Result = simulate(NO_SHADOW, Traffic(50, SAME, worse=0.5), 1)
    assert 0 < found.failed <= found.candidate_requests < found.requests
