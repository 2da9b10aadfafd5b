"""What people may ask for, when, and what they are told when it cannot be done."""

from __future__ import annotations

import pytest
from tests.unit.rollout.scene import FAIL, PASS, UNKNOWN, Scene, release, serving
from tests.unit.rollout.test_decide import rolling

from slipway.rollout.snapshot import BadRequest
from slipway.rollout.state import Phase

A, B, C = release("a"), release("b"), release("c")


def promoted(policy: str = "fast") -> Scene:
    """A scene in which b has replaced a, which is warm."""
    scene = serving(policy)
    scene.want(B)
    scene.outcome = PASS
    scene.tick(200)
    assert scene.phase() == "idle"
    return scene


def refused(scene: Scene) -> bool:
    answered = scene.stored.answered
    assert answered
    return not answered.accepted


@pytest.mark.parametrize("phase", ["preparing", "shadow", "canary"])
@pytest.mark.parametrize("verb", ["abort", "rollback"])
def test_abort_wins_over_everything_within_one_tick(phase: str, verb: str) -> None:
    """I6: also over gates that pass, a new reference and a pause."""
    scene = rolling(to=phase)
    scene.outcome = PASS
    scene.want(C)
    scene.ask("abort" if verb == "abort" else "rollback", actor="ada", reason="looks odd")
    assert scene.phase() == "aborted"
    assert scene.serving() == {A.digest: 10_000}
    assert B.digest in scene.stored.refused
    assert scene.stored.cause
    assert "ada" in scene.stored.cause.message
    assert "looks odd" in scene.stored.cause.message


def test_a_request_is_done_once_whatever_happens_afterwards() -> None:
    scene = rolling(to="canary")
    scene.ask("abort")
    assert scene.reasons().count("Aborted") == 1
    scene.tick(10)
    scene.want(B, "written again")
    scene.tick(5)
    assert scene.phase() == "shadow"
    assert scene.reasons().count("Aborted") == 1


@pytest.mark.parametrize(("phase", "digest"), [("shadow", ""), ("", A.digest), ("idle", B.digest)])
def test_a_request_that_expected_something_else_is_refused(phase: Phase, digest: str) -> None:
    scene = rolling(to="canary")
    told = scene.ask("abort", phase=phase, digest=digest)
    assert refused(scene)
    assert "look at the status again" in told
    assert scene.phase() == "canary"


def test_a_request_with_the_right_expectation_is_done() -> None:
    scene = rolling(to="canary")
    scene.ask("abort", phase="canary", digest=B.digest)
    assert scene.phase() == "aborted"


def test_a_request_that_cannot_be_read_is_refused_once() -> None:
    scene = serving()
    snapshot_request = BadRequest("unreadable-1", "it cannot be read")
    scene.request = snapshot_request  # type: ignore[assignment]
    scene.tick(5)
    assert refused(scene)
    assert scene.events.count("RequestRefused") == 1


@pytest.mark.parametrize("verb", ["abort", "pause", "promote"])
def test_where_nothing_rolls_out_the_verbs_of_a_rollout_are_refused(verb: str) -> None:
    scene = serving()
    before = scene.serving()
    scene.ask(verb)  # type: ignore[arg-type]
    assert refused(scene)
    assert scene.serving() == before


# --- pause


@pytest.mark.parametrize("phase", ["preparing", "shadow", "canary"])
def test_a_pause_holds_for_ever_and_longer_than_any_deadline(phase: str) -> None:
    scene = rolling(to=phase)
    if phase == "preparing":
        scene.broken[B.digest] = "no room"
    scene.ask("pause")
    scene.outcome = PASS
    scene.tick(1000, elapsed=10)
    assert scene.phase() == phase
    assert scene.stored.condition
    assert scene.stored.condition.reason == "Paused"
    scene.broken.clear()
    scene.ask("resume")
    scene.tick(200)
    assert scene.serving() == {B.digest: 10_000}


def test_a_pause_does_not_keep_a_failing_candidate_in_traffic() -> None:
    scene = rolling(to="canary")
    scene.ask("pause")
    scene.outcome = FAIL
    scene.tick()
    assert scene.serving() == {A.digest: 10_000}


def test_a_new_version_ends_a_pause() -> None:
    scene = rolling(to="canary")
    scene.ask("pause")
    scene.want(C)
    scene.outcome = PASS
    scene.tick(200)
    assert scene.serving() == {C.digest: 10_000}


def test_pausing_twice_and_resuming_what_runs_are_refused() -> None:
    scene = rolling(to="canary")
    scene.ask("resume")
    assert refused(scene)
    scene.ask("pause")
    assert not refused(scene)
    scene.ask("pause")
    assert refused(scene)


# --- promote


def test_promote_by_hand_while_paused_goes_one_step_and_stays_paused() -> None:
    scene = rolling(to="canary")
    scene.ask("pause")
    scene.outcome = PASS
    scene.tick()
    scene.ask("promote")
    assert (scene.stored.weight, scene.stored.paused) == (2500, True)
    scene.tick(20)
    assert scene.stored.weight == 2500


def test_promote_over_unknown_needs_force_and_over_fail_never_goes() -> None:
    scene = rolling(to="canary")
    told = scene.ask("promote")
    assert refused(scene)
    assert "--force" in told
    scene.ask("promote", force=True)
    assert scene.stored.weight == 2500
    scene.outcome = FAIL
    scene.tick(2)
    assert scene.phase() == "aborted"


def test_a_gate_that_fails_refuses_a_forced_promotion() -> None:
    scene = rolling(to="canary")
    scene.outcome = FAIL
    told = scene.ask("promote", force=True, full=True)
    assert refused(scene)
    assert "FAIL" in told
    assert scene.serving()[A.digest] >= 9500


def test_promote_full_goes_to_all_traffic_at_once() -> None:
    scene = rolling(to="shadow")
    scene.outcome = PASS
    scene.ask("promote", full=True)
    assert scene.serving() == {B.digest: 10_000}
    assert scene.phase() == "promoted"


def test_promote_needs_a_candidate_that_is_ready_and_a_table_that_is_loaded() -> None:
    scene = rolling(to="preparing")
    scene.broken[B.digest] = "no room"
    scene.ask("promote", force=True)
    assert refused(scene)
    late = rolling(to="canary")
    late.stuck.add("router-0")
    late.outcome = PASS
    late.tick()
    told = late.ask("promote", force=True)
    assert refused(late)
    assert "not loaded" in told


# --- rollback and retry


def test_rollback_to_the_warm_version_is_one_weight_change_in_the_same_tick() -> None:
    scene = promoted()
    scene.ask("rollback", actor="ada")
    assert scene.serving() == {A.digest: 10_000}
    assert scene.stored.warm
    assert scene.stored.warm.release == B
    scene.tick(50)
    assert scene.serving() == {A.digest: 10_000}
    scene.ask("retry")
    scene.settle()
    assert scene.serving() == {B.digest: 10_000}
    assert "ReturnToWarm" in scene.reasons()


def test_rollback_twice_goes_there_and_back() -> None:
    scene = promoted()
    scene.ask("rollback")
    scene.tick()
    scene.ask("rollback")
    assert scene.serving() == {B.digest: 10_000}


def test_rollback_to_a_cold_version_fills_its_slot_and_moves_all_traffic_when_ready() -> None:
    scene = promoted()
    scene.tick(400, elapsed=10)
    assert scene.stored.warm is None
    scene.outcome = UNKNOWN
    scene.ask("rollback")
    assert scene.serving() == {B.digest: 10_000}
    scene.settle()
    assert scene.serving() == {A.digest: 10_000}
    assert B.digest in scene.stored.refused


def test_rollback_to_a_warm_version_without_ready_pods_brings_it_up_first() -> None:
    scene = promoted()
    scene.broken[A.digest] = "evicted"
    scene.tick()
    scene.ask("rollback")
    assert scene.serving() == {B.digest: 10_000}
    assert scene.phase() == "preparing"
    scene.broken.clear()
    scene.settle()
    assert scene.serving() == {A.digest: 10_000}


def test_rollback_of_the_first_version_is_refused() -> None:
    scene = serving()
    told = scene.ask("rollback")
    assert refused(scene)
    assert "no version before" in told


@pytest.mark.parametrize("verb", ["abort", "rollback"])
def test_in_the_watch_abort_and_rollback_go_back_to_the_warm_version(verb: str) -> None:
    scene = serving("careful")
    scene.want(B)
    scene.outcome = PASS
    while scene.phase() != "promoted":
        scene.tick()
    scene.ask(verb)  # type: ignore[arg-type]
    assert scene.serving() == {A.digest: 10_000}
    assert B.digest in scene.stored.refused


def test_promote_in_the_watch_ends_it() -> None:
    scene = serving("careful")
    scene.want(B)
    scene.outcome = PASS
    while scene.phase() != "promoted":
        scene.tick()
    scene.tick()
    scene.ask("promote")
    assert scene.phase() == "idle"
    assert scene.serving() == {B.digest: 10_000}


def test_abort_then_retry_then_promoted() -> None:
    scene = rolling(to="canary")
    scene.ask("abort")
    scene.tick(20)
    scene.ask("retry")
    scene.outcome = PASS
    scene.tick(200)
    assert scene.serving() == {B.digest: 10_000}


def test_retry_is_refused_while_a_rollout_runs_and_where_nothing_is_named() -> None:
    scene = rolling(to="canary")
    scene.ask("retry")
    assert refused(scene)
    empty = Scene()
    empty.tick()
    empty.ask("retry")
    assert refused(empty)
