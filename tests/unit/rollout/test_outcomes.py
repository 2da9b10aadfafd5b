"""Which decisions are told to the tracking server, and in which words."""

from __future__ import annotations

from tests.unit.rollout.scene import FAIL, PASS, START, Scene, release, serving

from slipway.rollout.outcomes import AT, BECAUSE, MAX_TEXT, OUTCOME, PLACE, Outcome, outcomes_of
from slipway.rollout.snapshot import Problem
from slipway.rollout.state import State

A, B = release("a"), release("b")


def told(scene: Scene, ticks: int = 60) -> list[Outcome]:
    """All outcomes of so many ticks."""
    found: list[Outcome] = []
    for _ in range(ticks):
        before, now = scene.snapshot().stored, scene.now
        found += outcomes_of(before, scene.tick(), "ml/shop", now)
    return found


def test_a_promotion_is_told_once_with_time_and_place() -> None:
    scene = serving("fast")
    scene.want(B)
    now = scene.now
    [outcome] = told(scene)
    assert outcome.release == B
    assert outcome.tags[OUTCOME] == "promoted"
    assert (outcome.tags[PLACE], outcome.tags[BECAUSE]) == ("ml/shop", "")
    assert outcome.tags[AT] >= now.isoformat(timespec="seconds")


def test_row_4_a_version_that_a_gate_stopped_is_told_with_that_gate() -> None:
    scene = serving("careful")
    scene.want(B)
    scene.outcome = FAIL
    [outcome] = told(scene)
    assert outcome.release == B
    assert outcome.tags[OUTCOME] == "refused"
    assert outcome.tags[BECAUSE].startswith("GateFailed: errors: ")


def test_one_that_does_not_come_up_is_told_with_what_its_pod_says() -> None:
    scene = serving("careful")
    scene.broken[B.digest] = "DigestMismatch: " + "x" * 900
    scene.want(B)
    outcomes = told(scene, 1000)
    assert [outcome.release for outcome in outcomes] == [B]
    because = outcomes[0].tags[BECAUSE]
    assert because.startswith("DigestMismatch: ")
    assert len(because) <= MAX_TEXT


def test_what_a_person_rolled_back_is_refused_and_what_it_went_back_to_is_not_promoted_anew() -> (
    None
):
    scene = serving("fast")
    scene.want(B)
    assert [outcome.tags[OUTCOME] for outcome in told(scene)] == ["promoted"]
    before, now = scene.stored, scene.now
    scene.ask("rollback", reason="it was slow")
    assert scene.last
    [outcome] = outcomes_of(before, scene.last, "ml/shop", now)
    assert (outcome.release, outcome.tags[OUTCOME]) == (B, "refused")
    assert "it was slow" in outcome.tags[BECAUSE]


def test_nothing_is_told_while_nothing_ends() -> None:
    scene = serving("careful")
    scene.want(B)
    assert told(scene) == []
    scene.want(A)
    assert told(scene) == []


def test_a_state_that_was_lost_is_no_promotion() -> None:
    scene = serving("fast")
    scene.want(B)
    scene.outcome = PASS
    told(scene)
    assert scene.last
    for before in (None, Problem("InvalidConfig", "it cannot be read"), State()):
        assert list(outcomes_of(before, scene.last, "ml/shop", START)) == []
