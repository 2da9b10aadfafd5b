"""Counted seconds: no clock that jumps, stops or goes back shortens a wait (D8, I9)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.rollout.scene import PASS, UNKNOWN, Scene, release, serving
from tests.unit.rollout.test_decide import rolling

from slipway.rollout.decide import decide

B = release("b")


def watching() -> Scene:
    scene = serving("careful")
    scene.want(B)
    scene.outcome = PASS
    while scene.phase() != "promoted":
        scene.tick()
    scene.outcome = UNKNOWN
    scene.tick()
    return scene


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.one_of(st.floats(max_value=0), st.just(float("nan")), st.just(float("-inf"))),
        max_size=10,
    ),
    st.floats(allow_infinity=True),
)
def test_D8_I9_time_that_goes_back_or_jumps_never_shortens_the_watch(
    back: list[float], jump: float
) -> None:
    scene = watching()
    scene.now -= timedelta(hours=1)
    for elapsed in (*back, jump):
        scene.obey(decide(scene.snapshot(elapsed), scene.policy))
    assert scene.phase() == "promoted"
    assert scene.memory
    assert 0 <= scene.memory.clock.phase <= 20


def test_a_restarted_controller_goes_on_from_the_last_minute() -> None:
    scene = watching()
    scene.tick(100)
    scene.memory = None
    scene.tick()
    assert scene.last
    assert 120 <= scene.last.memory.clock.phase <= 202
    scene.tick(95)
    assert scene.phase() == "idle"


def test_a_write_that_was_applied_unseen_does_not_bring_the_old_phases_time_along() -> None:
    """The state moved to the next phase, the process still has the memory of the one before."""
    scene = rolling(to="canary")
    scene.tick(300)
    memory = scene.memory
    scene.outcome = PASS
    while scene.phase() != "promoted":
        scene.tick()
    scene.memory = memory
    scene.outcome = UNKNOWN
    scene.tick()
    assert scene.phase() == "promoted"
    assert scene.memory
    assert scene.memory.clock.phase <= 10


@pytest.mark.parametrize("held", ["pause", "router", "image"])
def test_time_stands_still_while_nothing_may_move(held: str) -> None:
    scene = watching()
    if held == "pause":
        scene.ask("pause")
    elif held == "router":
        scene.loaded["router-1"] = 0
        scene.stuck.add("router-1")
    else:
        scene.slots["green"].settled = False
    scene.tick()
    assert scene.memory
    before = scene.memory.clock.phase
    scene.tick(100)
    assert scene.phase() == "promoted"
    assert scene.memory.clock.phase == before


def test_the_stored_clock_is_a_whole_lot_coarser_than_the_counted_one() -> None:
    scene = watching()
    stored = scene.stored.clock
    scene.tick(20)
    assert scene.stored.clock == stored
    assert scene.memory
    assert scene.memory.clock.phase > stored.phase + 30
