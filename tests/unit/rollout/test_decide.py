"""Rollouts told tick by tick: what is decided, in which order, and what is said about it."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.rollout.scene import FAIL, PASS, UNKNOWN, Scene, release, serving

from slipway.rollout.decide import decide
from slipway.rollout.policy import PRESETS, Policy
from slipway.rollout.snapshot import Problem
from slipway.rollout.verdict import Outcome, Verdict

A, B, C = release("a"), release("b"), release("c")


def rolling(policy: str = "careful", to: str = "shadow") -> Scene:
    """A scene in which b is on its way, in this phase, and no gate knows anything yet."""
    scene = serving(policy)
    scene.want(B)
    scene.outcome = UNKNOWN
    for _ in range(40):
        scene.tick()
        if scene.phase() == to:
            scene.outcome = UNKNOWN
            if to != "preparing":
                scene.tick()
            return scene
        scene.outcome = PASS if scene.phase() != "preparing" else UNKNOWN
    raise AssertionError(f"{to} is not reached, but {scene.phase()}")


def weights(scene: Scene, ticks: int) -> list[int]:
    """The candidate's weight after each tick, without repetitions."""
    seen: list[int] = []
    for _ in range(ticks):
        scene.tick()
        share = scene.serving().get(B.digest, 0)
        if not seen or seen[-1] != share:
            seen.append(share)
    return seen


def test_the_first_version_is_filled_and_gets_all_traffic() -> None:
    scene = Scene(policy=PRESETS["careful"])
    scene.want(A)
    scene.settle()
    assert scene.serving() == {A.digest: 10_000}
    assert scene.phase() == "idle"
    assert (scene.slots["blue"].replicas, scene.slots["green"].replicas) == (2, 0)


def test_the_table_says_waiting_from_the_naming_of_a_model_until_one_serves() -> None:
    scene = Scene(loaded={})
    decision = scene.tick()
    assert decision.routing
    assert (decision.routing["waiting"], decision.routing["slots"]) == (False, {})
    scene.want(None)
    scene.tick()
    assert scene.routing
    assert (scene.routing["waiting"], scene.phase()) == (True, "resolving")
    scene.want(A)
    scene.settle()
    assert scene.routing["waiting"] is False
    assert scene.routing["slots"]["blue"]["weight"] == 10_000


def test_fast_fills_the_other_slot_and_moves_all_traffic_when_it_is_ready() -> None:
    scene = serving("fast")
    scene.want(B)
    scene.settle()
    assert scene.serving() == {B.digest: 10_000}
    assert scene.stored.warm is not None
    assert scene.stored.warm.release == A
    assert scene.reasons()[-3:] == ["Started", "Promoted", "WatchEnded"]


def test_careful_goes_up_by_its_steps_while_every_gate_passes() -> None:
    scene = serving("careful")
    scene.want(B)
    scene.outcome = PASS
    assert weights(scene, 30) == [0, 500, 2500, 5000, 10_000]
    reasons = ["Started", "ShadowStarted", *["StepStarted"] * 3, "Promoted"]
    assert scene.reasons()[-6:] == reasons
    assert scene.phase() == "promoted"


def test_in_shadow_the_candidate_gets_copies_and_no_user_sees_it() -> None:
    scene = rolling(to="shadow")
    assert scene.routing
    assert scene.routing["shadow"] == {"slot": "green", "share": 10_000}
    assert scene.routing["slots"]["green"] == {
        "role": "candidate", "digest": B.digest, "weight": 0,
    }  # fmt: skip


def test_unknown_holds_a_step_for_ever_and_never_promotes() -> None:
    scene = rolling(to="canary")
    scene.outcome = UNKNOWN
    scene.tick(2000, elapsed=10.0)
    assert (scene.phase(), scene.stored.weight) == ("canary", 500)
    assert scene.stored.condition
    assert scene.stored.condition.reason == "InsufficientData"


def test_a_holding_step_writes_nothing_but_its_clock_once_a_minute() -> None:
    """I8: quiet means no writes; a warm or tested release's clock is kept to the minute."""
    scene = rolling(to="canary")
    scene.outcome = UNKNOWN
    scene.tick(5)
    written = 0
    for _ in range(300):
        decision = scene.tick()
        assert decision.routing is None
        assert not decision.fills
        assert not decision.events
        written += decision.write
    assert written in (9, 10)
    resting = serving("fast")
    assert not any(resting.tick().write for _ in range(300))


@pytest.mark.parametrize("phase", ["shadow", "canary"])
def test_a_gate_that_fails_takes_the_candidate_to_zero_within_one_tick(phase: str) -> None:
    scene = rolling(to=phase)
    scene.outcome = FAIL
    scene.tick()
    assert scene.serving() == {A.digest: 10_000}
    assert scene.routing
    assert scene.routing["shadow"] is None
    state = scene.stored
    assert (state.phase, state.cause and state.cause.reason) == ("aborted", "GateFailed")
    assert state.refused == (B.digest,)
    assert state.history[-1].verdicts


def test_a_failed_candidate_is_kept_for_a_look_and_then_sized_to_zero() -> None:
    """I5."""
    scene = rolling(to="canary")
    scene.outcome = FAIL
    scene.tick(2)
    assert scene.slots["green"].replicas == 2
    scene.tick(330)
    assert scene.slots["green"].replicas == 0
    assert scene.phase() == "aborted"
    assert scene.slots["blue"].replicas == 2


def test_a_shown_gate_that_does_not_decide_neither_stops_nor_holds() -> None:
    scene = rolling(to="canary")
    shown = Verdict(gate="mean", outcome=Outcome.FAIL, sentence="", decides=False)
    scene.outcome = (*PASS, shown)
    scene.tick(2)
    assert scene.stored.weight > 500 or scene.phase() == "promoted"


def test_a_step_takes_its_least_number_of_looks_even_when_all_gates_pass() -> None:
    scene = rolling(to="canary")
    scene.outcome, scene.looks = PASS, 7
    scene.tick(50)
    assert scene.stored.weight == 500
    scene.looks = 8
    scene.tick()
    assert scene.stored.weight == 2500


def test_C7_no_step_and_no_scaling_while_one_router_is_behind() -> None:
    scene = rolling(to="canary")
    scene.loaded["router-1"] = scene.stored.epoch
    scene.stuck.add("router-1")
    scene.outcome = PASS
    scene.tick()
    assert scene.stored.weight == 2500
    scene.tick(100)
    assert scene.stored.weight == 2500
    scene.outcome = FAIL
    scene.ask("abort")
    scene.tick(2000)
    assert scene.slots["green"].replicas == 2
    scene.stuck.clear()
    scene.settle()
    assert scene.slots["green"].replicas == 0


def test_D9_a_silent_router_holds_every_rise_and_ends_no_measurement() -> None:
    """What it counted comes with its table; what could not be had is dropped for both sides."""
    scene = rolling(to="canary")
    measured = scene.last and scene.last.measure
    scene.silent.add("router-0")
    scene.outcome = PASS
    decision = scene.tick(50)
    assert decision.measure == measured
    assert scene.stored.weight == 500
    assert decision.why == "router-0 does not say which table it has loaded"
    scene.silent.clear()
    scene.tick()
    assert scene.stored.weight == 2500


def test_a_gate_that_fails_stops_a_candidate_though_a_router_is_silent() -> None:
    scene = rolling(to="canary")
    scene.silent.add("router-0")
    scene.outcome = FAIL
    scene.tick()
    assert scene.serving() == {A.digest: 10_000}


def test_nothing_is_measured_under_a_table_that_a_router_is_known_not_to_have() -> None:
    scene = rolling(to="canary")
    scene.loaded["router-1"] = scene.stored.epoch - 1
    scene.stuck.add("router-1")
    scene.outcome = FAIL
    assert scene.tick().measure is None
    scene.tick()
    assert scene.stored.weight == 500


def test_C5_a_table_that_nginx_refuses_holds_and_is_said() -> None:
    scene = rolling(to="canary")
    scene.stuck.add("router-0")
    scene.outcome, scene.rejected = PASS, "unknown directive"
    scene.tick(3)
    assert scene.stored.weight == 2500
    assert scene.stored.condition
    assert scene.stored.condition.reason == "RouterRejected"
    assert "unknown directive" in scene.stored.condition.message


def test_C7_a_slot_is_not_filled_before_every_router_has_let_go_of_it() -> None:
    """T1, I3: a superseding release goes into the slot only when its weight 0 is acknowledged."""
    scene = rolling(to="canary")
    scene.stuck.add("router-0")
    scene.want(C)
    scene.tick(20)
    assert scene.stored.candidate
    assert scene.stored.candidate.release == C
    assert scene.serving() == {A.digest: 10_000}
    assert scene.slots["green"].digest == B.digest
    scene.stuck.clear()
    scene.tick(2)
    assert scene.slots["green"].digest == C.digest


@pytest.mark.parametrize("phase", ["preparing", "shadow", "canary"])
def test_a_third_release_supersedes_and_the_second_is_not_refused(phase: str) -> None:
    scene = rolling(to=phase)
    scene.want(C)
    scene.tick()
    assert scene.stored.history[-2].reason == "Superseded"
    assert scene.stored.refused == ()
    scene.outcome = PASS
    scene.tick(400)
    assert scene.serving() == {C.digest: 10_000}


def test_back_to_stable_in_mid_rollout_cancels_without_blame() -> None:
    scene = rolling(to="canary")
    scene.want(A)
    scene.settle()
    assert scene.serving() == {A.digest: 10_000}
    assert (scene.phase(), scene.stored.refused) == ("idle", ())
    assert scene.slots["green"].replicas == 0


def test_a_third_release_waits_for_the_watch_that_guards_the_second() -> None:
    scene = serving("careful")
    scene.want(B)
    scene.outcome = PASS
    scene.tick(12)
    assert scene.phase() == "promoted"
    scene.want(C)
    scene.tick(5)
    assert scene.phase() == "promoted"
    assert scene.stored.condition
    assert scene.stored.condition.reason == "WaitsForWatch"
    scene.tick(160)
    assert scene.stored.candidate or scene.stored.base
    scene.tick(200)
    assert scene.serving() == {C.digest: 10_000}


def test_the_watch_mirrors_to_the_old_stable_and_ends_by_counted_time() -> None:
    scene = serving("careful")
    scene.want(B)
    scene.outcome = PASS
    while scene.phase() != "promoted":
        scene.tick()
    assert scene.routing
    assert scene.routing["shadow"] == {"slot": "blue", "share": 2500}
    assert scene.routing["slots"]["blue"]["role"] == "warm"
    scene.outcome = UNKNOWN
    scene.tick(149)
    assert scene.phase() == "promoted"
    scene.tick(3)
    assert scene.phase() == "idle"
    assert scene.routing["shadow"] is None


def test_a_gate_that_fails_in_the_watch_goes_back_to_the_warm_version_by_itself() -> None:
    scene = serving("careful")
    scene.want(B)
    scene.outcome = PASS
    while scene.phase() != "promoted":
        scene.tick()
    scene.outcome = FAIL
    scene.tick(2)
    assert scene.serving() == {A.digest: 10_000}
    assert scene.stored.refused == (B.digest,)
    assert scene.reasons()[-2:] == ["GateFailed", "ReturnToWarm"]
    scene.tick(10)
    assert scene.serving() == {A.digest: 10_000}


def test_the_warm_version_is_let_go_after_its_time() -> None:
    scene = serving("fast")
    scene.want(B)
    scene.settle()
    assert scene.slots["blue"].replicas == 2
    scene.tick(370, elapsed=10.0)
    assert scene.slots["blue"].replicas == 0
    assert scene.stored.warm is None
    assert scene.stored.previous == A


def test_writing_the_warm_version_again_is_a_ready_gate_and_one_step() -> None:
    scene = serving("careful")
    scene.want(B)
    scene.outcome = PASS
    scene.tick(200)
    assert scene.phase() == "idle"
    scene.want(A, "again")
    scene.outcome = UNKNOWN
    scene.settle()
    assert scene.serving() == {A.digest: 10_000}
    assert "ReturnToWarm" in scene.reasons()


def test_D11_a_candidate_that_does_not_come_up_is_given_up_with_its_pods_reason() -> None:
    scene = serving("careful")
    scene.broken[B.digest] = "VersionMismatch: the model needs scikit-learn 1.2"
    scene.want(B)
    scene.tick(310)
    state = scene.stored
    assert state.phase == "aborted"
    assert state.cause
    assert state.cause.reason == "VersionMismatch"
    assert "scikit-learn 1.2" in state.cause.message
    assert scene.serving() == {A.digest: 10_000}
    scene.tick(320)
    assert scene.slots["green"].replicas == 0


def test_the_first_version_may_take_its_time_to_come_up() -> None:
    scene = Scene()
    scene.broken[A.digest] = "the store does not answer"
    scene.want(A)
    scene.tick(1000)
    assert scene.phase() == "preparing"
    assert scene.stored.condition
    assert "the store does not answer" in scene.stored.condition.message
    scene.broken.clear()
    scene.settle()
    assert scene.serving() == {A.digest: 10_000}


def test_D12_a_candidate_that_restarts_again_and_again_is_stopped() -> None:
    scene = rolling(to="shadow")
    scene.slots["green"].restarts = 2
    scene.tick()
    assert scene.phase() == "shadow"
    scene.slots["green"].restarts = 3
    scene.tick()
    assert scene.phase() == "aborted"


def test_D12_a_candidate_that_flaps_is_stopped() -> None:
    scene = rolling(to="shadow")
    for _ in range(3):
        scene.slots["green"].ready = 1
        assert scene.phase() == "shadow"
        decision = decide(scene.snapshot(), scene.policy)
        scene.obey(decision)
        scene.tick()
    assert scene.phase() == "aborted"
    assert scene.stored.cause
    assert scene.stored.cause.reason == "NotReady"


def test_C1_T2_traffic_leaves_a_candidate_without_ready_pods_in_the_next_tick() -> None:
    scene = rolling(to="canary")
    scene.slots["green"].ready = 0
    scene.obey(decide(scene.snapshot(), scene.policy))
    assert scene.serving() == {A.digest: 10_000}
    assert scene.stored.cause
    assert scene.stored.cause.reason == "NotReady"


def test_F1_where_no_side_has_a_ready_pod_nothing_moves() -> None:
    scene = rolling(to="canary")
    for slot in scene.slots.values():
        slot.ready = 0
    scene.obey(decide(scene.snapshot(), scene.policy))
    assert scene.phase() == "canary"


def test_an_image_upgrade_freezes_time_and_throws_the_window_away() -> None:
    scene = rolling(to="canary")
    scene.slots["blue"].settled = False
    scene.outcome = FAIL
    scene.tick(500, elapsed=10.0)
    assert scene.phase() == "canary"
    assert scene.last
    assert scene.last.measure is None
    scene.slots["blue"].settled = True
    scene.outcome = PASS
    scene.tick(2)
    assert scene.stored.weight == 2500


def test_a_wrong_reference_leaves_the_old_version_serving_and_says_why() -> None:
    scene = serving("fast")
    scene.want(Problem("Unresolvable", "there is no run 123"))
    scene.settle()
    assert scene.serving() == {A.digest: 10_000}
    assert scene.stored.condition
    assert (scene.phase(), scene.stored.condition.reason) == ("idle", "Unresolvable")
    assert scene.events.count("Unresolvable") == 1
    scene.want(B)
    scene.settle()
    assert scene.serving() == {B.digest: 10_000}
    assert scene.stored.condition is None


def test_B10_an_alias_that_cannot_be_asked_stays_what_it_was_and_status_says_so() -> None:
    scene = serving("fast")
    assert scene.found
    down = Problem("Unresolvable", "the tracking server does not answer")
    scene.found = dataclasses.replace(scene.found, problem=down)
    scene.settle()
    assert scene.serving() == {A.digest: 10_000}
    assert scene.stored.condition
    assert "stays what it was" in scene.stored.condition.message
    assert down.message in scene.stored.condition.message
    assert scene.events.count("Unresolvable") == 1
    scene.found = dataclasses.replace(scene.found, problem=None)
    scene.settle()
    assert scene.stored.condition is None


def test_B10_in_a_rollout_what_it_waits_for_is_said_and_not_the_alias() -> None:
    scene = rolling(to="canary")
    assert scene.found
    down = Problem("Unresolvable", "the tracking server does not answer")
    scene.found = dataclasses.replace(scene.found, problem=down)
    scene.tick(3)
    assert scene.stored.condition
    assert scene.stored.condition.reason == "InsufficientData"


def test_B18_a_malformed_reference_lets_the_running_rollout_go_on_and_is_said_once() -> None:
    scene = rolling(to="shadow")
    scene.desired = dataclasses.replace(
        scene.desired, reference="", mark="x", problem=Problem("InvalidConfig", "both are set")
    )
    scene.outcome = PASS
    scene.tick(20)
    assert scene.phase() == "promoted"
    assert scene.events.count("InvalidConfig") == 1


def test_a_reference_that_is_not_resolved_yet_holds_the_running_rollout() -> None:
    scene = rolling(to="canary")
    scene.want(None)
    scene.outcome = PASS
    scene.tick(10)
    assert (scene.phase(), scene.stored.weight) == ("canary", 500)


def test_B18_a_wrong_policy_lets_the_running_rollout_go_on_and_starts_none() -> None:
    scene = rolling(to="shadow")
    scene.policy, scene.problem = None, "steps must rise"
    scene.outcome = PASS
    scene.tick(200)
    assert scene.serving() == {B.digest: 10_000}
    assert scene.events.count("InvalidConfig") == 1
    scene.want(C)
    scene.tick(200)
    assert scene.serving() == {B.digest: 10_000}
    scene.policy, scene.problem = PRESETS["fast"], ""
    scene.settle()
    assert scene.serving() == {C.digest: 10_000}


def test_a_rollout_keeps_the_policy_it_began_with() -> None:
    scene = rolling("careful", to="canary")
    scene.policy = PRESETS["fast"]
    scene.outcome = PASS
    scene.tick()
    assert scene.stored.weight == 2500
    scene.tick(250)
    assert scene.stored.policy == PRESETS["fast"]


def test_B8_a_changed_input_is_refused_before_any_traffic_with_the_difference() -> None:
    scene = serving("careful")
    changed = release("b", inputs=[*A.inputs, replace_field("passenger_count")])
    scene.want(changed)
    scene.settle()
    assert scene.stored.cause
    assert scene.stored.cause.reason == "SchemaMismatch"
    assert "passenger_count is new and required" in scene.stored.cause.message
    assert scene.slots["green"].replicas == 0
    scene.policy = replace(PRESETS["fast"], allow_input_change=True)
    scene.want(changed, "again")
    scene.settle()
    assert scene.serving() == {changed.digest: 10_000}


def replace_field(name: str) -> object:
    return dataclasses.replace(A.inputs[0], name=name)


def test_a_refused_version_is_not_tried_again_until_it_is_written_again() -> None:
    scene = rolling(to="shadow")
    scene.outcome = FAIL
    scene.tick(5)
    scene.outcome = PASS
    scene.tick(100)
    assert scene.serving() == {A.digest: 10_000}
    scene.want(B, "written again")
    scene.tick(100)
    assert scene.serving() == {B.digest: 10_000}


def test_an_alias_that_moves_back_to_a_refused_version_is_said_and_not_followed() -> None:
    scene = rolling(to="shadow")
    scene.outcome = FAIL
    scene.tick(3)
    mark = scene.desired.mark
    scene.want(release("a", reference=B.reference), mark)
    scene.tick(5)
    scene.want(B, mark)
    scene.outcome = PASS
    scene.tick(50)
    assert scene.serving() == {A.digest: 10_000}
    assert scene.stored.condition
    assert scene.stored.condition.reason == "Refused"


def test_an_alias_that_moves_starts_a_rollout_without_anything_written() -> None:
    scene = serving("fast")
    scene.want(release("b", reference=A.reference), scene.desired.mark)
    scene.settle()
    assert scene.serving() == {B.digest: 10_000}


def test_a_deadline_that_the_policy_sets_ends_a_step_without_blame() -> None:
    scene = serving("careful")
    scene.policy = replace(PRESETS["careful"], on_deadline="abort")
    scene.want(B)
    scene.outcome = UNKNOWN
    scene.tick(1000)
    assert scene.stored.cause
    assert scene.stored.cause.reason == "InsufficientData"
    assert scene.stored.refused == ()
    scene.tick(50)
    assert scene.phase() == "aborted"


def test_D16_a_table_edited_by_hand_is_put_back_with_a_higher_epoch() -> None:
    scene = rolling(to="canary")
    assert scene.routing
    epoch = scene.stored.epoch
    blue = {**scene.routing["slots"]["blue"], "weight": 0}
    scene.routing = {**scene.routing, "slots": {**scene.routing["slots"], "blue": blue}}
    scene.tick()
    assert scene.routing["slots"]["blue"]["weight"] == 9500
    assert scene.stored.epoch == epoch + 1
    assert scene.events[-1] == "RoutingRestored"
    scene.routing = {**scene.routing, "epoch": 1000}
    scene.tick()
    assert scene.stored.epoch == 1001
    scene.routing = None
    scene.tick()
    assert scene.routing == scene.last_table()


outcomes = st.lists(st.sampled_from(list(Outcome)), min_size=2, max_size=2)


@settings(max_examples=100, deadline=None)
@given(outcomes, st.sampled_from(["shadow", "canary"]), st.integers(1, 4))
def test_I10_no_gate_that_is_not_passing_lets_a_weight_rise(
    said: list[Outcome], phase: str, ready: int
) -> None:
    scene = rolling(to=phase)
    scene.slots["green"].replicas = 4
    scene.slots["green"].ready = ready
    scene.outcome = (
        Verdict(gate="errors", outcome=said[0], sentence=""),
        Verdict(gate="mean", outcome=said[1], sentence=""),
    )
    before = scene.stored.weight
    decision = decide(scene.snapshot(), scene.policy)
    assert decision.state
    risen = decision.state.weight > before or decision.state.phase == "promoted"
    assert risen == (said == [Outcome.PASS] * 2 and ready == 4)


def test_two_ticks_on_the_same_facts_decide_the_same() -> None:
    scene = rolling(to="canary")
    snapshot = scene.snapshot()
    assert decide(snapshot, scene.policy) == decide(snapshot, scene.policy)


def test_without_the_web_the_resolved_version_is_promoted_at_once() -> None:
    scene = Scene(web=False, slots={}, loaded={})
    scene.want(A)
    scene.settle()
    assert scene.state
    assert A.digest in scene.state["promoted"]
    assert scene.state["stable"] == A.version
    scene.want(B)
    scene.settle()
    assert B.digest in scene.state["promoted"]


def test_the_web_switched_on_later_serves_what_was_promoted() -> None:
    scene = Scene(web=False)
    scene.want(A)
    scene.settle()
    scene.web = True
    scene.settle()
    assert scene.serving() == {A.digest: 10_000}
    scene.web = False
    scene.settle()
    assert scene.state
    assert A.digest in scene.state["promoted"]


def test_manual_waits_for_a_person_at_each_step() -> None:
    scene = serving("manual")
    scene.want(B)
    scene.outcome = PASS
    scene.tick(100)
    assert scene.phase() == "shadow"
    assert scene.stored.condition
    assert scene.stored.condition.reason == "WaitsForPromote"
    for weight in (500, 2500, 5000, 0):
        scene.tick(2)
        scene.ask("promote", actor="ada")
        assert scene.stored.weight == weight
        assert scene.stored.history[-1].actor == "ada"
    assert scene.serving() == {B.digest: 10_000}


def test_no_policy_at_all_is_the_careful_one() -> None:
    assert Policy() == PRESETS["careful"]
