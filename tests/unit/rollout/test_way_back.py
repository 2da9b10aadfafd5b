"""What `rollback` says before it acts is what the controller then does."""

from __future__ import annotations

import pytest
from tests.controller_place import ControllerPlace
from tests.unit.rollout.scene import release

from slipway.errors import RequestRefused
from slipway.rollout.remote import Waiting, read_snapshot, read_status, wait_for_answer
from slipway.rollout.snapshot import Request
from slipway.rollout.way_back import WayBack, way_back

A, B = release("a"), release("b")


def told(place: ControllerPlace) -> WayBack | None:
    return way_back(read_snapshot(place.view(), place.clock.now()))


def rolled_out(policy: str, *references: int) -> ControllerPlace:
    place = ControllerPlace(policy)
    for number in references:
        place.want(f"models:/ride/{number}")
        place.rest()
    return place


def test_with_nothing_before_there_is_no_way_back_and_the_verb_is_refused() -> None:
    place = rolled_out("preset: fast", 1)
    assert told(place) is None
    place.ask("rollback")
    place.rest()
    assert "RequestRefused" in place.reasons()
    assert place.serving() == {A.digest: 10_000}


@pytest.mark.parametrize(
    ("heat", "policy"),
    [
        ("warm", "preset: fast"),
        ("cold", "preset: fast\nkeepWarm: 0"),
        ("running", "preset: manual\nsteps: [5, 50]"),
    ],
)
def test_the_way_back_is_told_and_taken(heat: str, policy: str) -> None:
    place = rolled_out(policy, 1, 2)
    assert told(place) == WayBack(A, heat)  # type: ignore[arg-type]
    fills = [effect for effect in place.store.effects if effect[0] == "fill"]
    place.ask("rollback")
    place.rest()
    assert place.serving() == {A.digest: 10_000}
    started = [e for e in place.store.effects if e[0] == "fill"][len(fills) :]
    assert any(effect[2] == A.digest and effect[3] for effect in started) is (heat == "cold")


def test_a_warm_version_whose_pods_died_is_cold() -> None:
    place = rolled_out("preset: fast", 1, 2)
    place.cluster.fill("blue", None, 0)
    place.follow()
    found = told(place)
    assert found
    assert (found.release, found.heat) == (A, "cold")


def waiting(place: ControllerPlace) -> Waiting:
    return Waiting(
        lambda: read_status(place.view(), place.clock.now()),
        30.0,
        monotonic=place.clock.monotonic,
        sleep=lambda _: place.tick(),
    )


def test_the_controllers_sentence_is_the_answer_to_a_request() -> None:
    place = rolled_out("preset: fast", 1, 2)
    place.ask("rollback", actor="ada", reason="looks odd")
    key = f"rollback-{place.clock.monotonic():g}"
    answered = wait_for_answer(waiting(place), Request(id=key, verb="rollback"))
    assert "ada" in answered.message
    place.ask("resume")
    key = f"resume-{place.clock.monotonic():g}"
    with pytest.raises(RequestRefused, match="it is not paused"):
        wait_for_answer(waiting(place), Request(id=key, verb="resume"))
