"""Rollouts told tick by tick: what is decided, in which order, and what is said about it."""

from __future__ import annotations

from tests.unit.rollout.scene import Scene, release, serving

from slipway.rollout.policy import PRESETS


def test_the_first_version_is_filled_and_gets_all_traffic() -> None:
    scene = Scene(policy=PRESETS["fast"])
    scene.want(release("a"))
    scene.settle()
    assert scene.serving() == {release("a").digest: 10_000}
    assert scene.stored.phase == "idle"
    assert scene.slots["blue"].replicas == 2
    assert scene.slots["green"].replicas == 0


def test_fast_fills_the_other_slot_and_moves_all_traffic_when_it_is_ready() -> None:
    scene = serving("fast")
    scene.want(release("b"))
    scene.settle()
    assert scene.serving() == {release("b").digest: 10_000}
    assert scene.stored.warm is not None
    assert scene.stored.warm.release == release("a")
