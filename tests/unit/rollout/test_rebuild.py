"""A state that is gone, garbage or newer (D18)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.rollout.scene import FAIL, PASS, Scene, release, serving
from tests.unit.rollout.test_decide import rolling

from slipway.cluster.protocol import Document
from slipway.rollout.decide import decide
from slipway.rollout.state_document import KEY, read_state

A, B, C = release("a"), release("b"), release("c")


@pytest.mark.parametrize("lost", [None, {KEY: "{"}, {KEY: '{"schema": 1, "phase": "upside"}'}])
@pytest.mark.parametrize("phase", ["preparing", "shadow", "canary"])
def test_D18_a_lost_state_is_rebuilt_with_stable_untouched_and_the_candidate_at_zero(
    phase: str, lost: dict[str, str] | None
) -> None:
    scene = rolling(to=phase)
    epoch = scene.stored.epoch
    scene.state = lost
    scene.tick()
    assert scene.events[-1] == "Rebuilt"
    assert scene.serving() == {A.digest: 10_000}
    assert scene.stored.epoch > epoch
    assert scene.slots["blue"].digest == A.digest
    scene.outcome = PASS
    scene.tick(400)
    assert scene.serving() == {B.digest: 10_000}
    assert scene.events.count("Rebuilt") == 1


def test_D18_the_warm_version_survives_a_lost_state() -> None:
    scene = serving("fast")
    scene.want(B)
    scene.settle()
    scene.state = None
    scene.tick()
    assert scene.stored.warm
    assert scene.stored.warm.release == A
    scene.ask("rollback")
    assert scene.serving() == {A.digest: 10_000}


def test_D18_with_the_routing_lost_too_the_slot_that_is_ready_is_stable() -> None:
    scene = serving("fast")
    scene.want(B)
    scene.settle()
    scene.slots["blue"].ready = 1
    scene.state = scene.routing = None
    decision = decide(scene.snapshot(), scene.policy)
    assert decision.state
    assert decision.state.stable
    assert decision.state.stable.release == B
    assert decision.state.epoch > max(scene.loaded.values())


def test_D18_a_lost_state_with_an_unreadable_slot_touches_nothing() -> None:
    scene = serving("fast")
    scene.state = None
    scene.slots["blue"].release = None
    decision = scene.tick()
    assert decision.state is None
    assert not decision.fills
    assert decision.routing is None
    assert scene.events[-1] == "InvalidConfig"
    scene.tick(10)
    assert scene.events.count("InvalidConfig") == 1


def test_D18_a_newer_schema_is_not_acted_upon_and_said_once() -> None:
    scene = rolling(to="canary")
    scene.outcome = FAIL
    newer = {KEY: '{"schema": 2, "shape": "unknown"}'}
    scene.state = dict(newer)
    weights = scene.serving()
    for _ in range(20):
        decision = scene.tick()
        assert decision.state is None
        assert decision.routing is None
        assert not decision.fills
    assert scene.state == newer
    assert scene.serving() == weights
    assert scene.events.count("NewerState") == 1


def test_nothing_at_all_is_a_new_place_and_no_loss() -> None:
    scene = Scene()
    scene.tick()
    assert scene.events == []
    assert scene.state


def test_a_new_install_adopts_what_an_earlier_one_left() -> None:
    """After `helm uninstall` state, routing and slots' documents stay; the Deployments are new."""
    scene = serving("fast")
    scene.slots["blue"].digest, scene.slots["blue"].replicas = "", 0
    scene.slots["blue"].ready = 0
    scene.settle()
    assert scene.slots["blue"].digest == A.digest
    assert scene.slots["blue"].replicas == 2
    assert scene.stored.phase == "idle"


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_D18_any_text_for_a_state_never_raises_and_never_touches_stable(text: str) -> None:
    scene = serving("fast")
    scene.state = {KEY: text}
    decision = decide(scene.snapshot(), scene.policy)
    if decision.state is not None:
        assert decision.state.stable
        assert decision.state.stable.release == A
    assert not any(fill.slot == "blue" for fill in decision.fills)


@settings(max_examples=200, deadline=None)
@given(json_values)
def test_D16_any_json_for_a_routing_table_never_raises_and_is_put_back(table: Any) -> None:
    scene = serving("fast")
    scene.routing = table if isinstance(table, dict) else {}
    scene.tick(3)
    assert scene.serving() == {A.digest: 10_000}


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["slots", "epoch", "shadow", "schema"]), json_values))
def test_D18_state_lost_and_any_table_never_raises(table: dict[str, Any]) -> None:
    scene = serving("fast")
    scene.state, scene.routing = None, table
    decision = decide(scene.snapshot(), scene.policy)
    assert decision.state is None or decision.state.epoch > 0


def test_a_state_read_back_is_the_state_that_was_written() -> None:
    scene = rolling(to="canary")
    assert scene.state
    assert read_state(Document("state", scene.state)) == scene.last_state()
