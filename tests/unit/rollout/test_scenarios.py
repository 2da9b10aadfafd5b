"""FAULTS 1.2, as far as no other test tells it: what people do while a rollout goes on."""

from __future__ import annotations

import pytest
from tests.unit.rollout.scene import FAIL, PASS, UNKNOWN, Scene, release, serving
from tests.unit.rollout.test_decide import rolling

A, B, C, D = (release(name) for name in "abcd")


def test_bad_then_another_bad_one_then_a_good_one() -> None:
    scene = serving("careful")
    for bad in (B, C):
        scene.want(bad)
        scene.outcome = FAIL
        scene.tick(10)
        assert scene.phase() == "aborted"
        assert scene.serving() == {A.digest: 10_000}
    scene.want(D)
    scene.outcome = PASS
    scene.tick(40)
    assert scene.serving() == {D.digest: 10_000}


@pytest.mark.parametrize("paused", [False, True], ids=["moving", "paused"])
def test_stable_scaled_in_mid_rollout_stays_as_it_was_scaled(paused: bool) -> None:
    scene = rolling(to="canary")
    if paused:
        scene.ask("pause")
    scene.slots["blue"].replicas = 5
    scene.tick(20)
    assert (scene.slots["blue"].replicas, scene.slots["green"].replicas) == (5, 2)
    assert scene.stored.weight == 500
    if paused:
        scene.ask("resume")
    scene.outcome = PASS
    scene.tick(40)
    assert scene.serving() == {B.digest: 10_000}
    assert scene.slots["green"].replicas == 2, "what was tested is what serves"


def test_a_new_version_and_a_new_size_at_once_are_both_followed() -> None:
    scene = serving("careful")
    scene.want(B)
    scene.slots["blue"].replicas = 5
    scene.outcome = UNKNOWN
    scene.tick(10)
    assert (scene.slots["blue"].replicas, scene.slots["green"].replicas) == (5, 5)


def edited(scene: Scene, slot: str) -> None:
    """Somebody lets the slot's Deployment run something else."""
    scene.slots[slot].digest = D.digest  # type: ignore[index]


def test_D16_a_candidates_deployment_edited_by_hand_loses_its_traffic_in_the_next_tick() -> None:
    scene = rolling(to="canary")
    edited(scene, "green")
    scene.tick()
    assert scene.serving() == {A.digest: 10_000}
    assert scene.phase() == "aborted"
    cause = scene.stored.cause
    assert cause
    assert "none of its pods is ready any more" in cause.message


def test_D16_stables_deployment_edited_by_hand_is_put_back_once() -> None:
    scene = serving("careful")
    edited(scene, "blue")
    decision = scene.tick()
    assert [(fill.slot, fill.filling and fill.filling.digest) for fill in decision.fills] == [
        ("blue", A.digest)
    ]
    assert scene.slots["blue"].digest == A.digest
    assert scene.tick(3).fills == ()
