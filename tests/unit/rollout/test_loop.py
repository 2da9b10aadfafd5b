"""The loop turns for ever: only its leader looks, and no error ends it."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from tests.controller_place import ControllerPlace
from tests.unit.rollout.scene import release
from tests.waiting import until

from slipway.cluster.lease import Record
from slipway.errors import Unavailable
from slipway.rollout.admin import STUCK, answers

A = release("a").digest


@pytest.fixture
def place() -> ControllerPlace:
    place = ControllerPlace()
    place.want("models:/ride/1")
    place.rest()
    return place


def ask(place: ControllerPlace, path: str) -> tuple[int, Any]:
    code, _, body = answers(place.loop, place.metrics, "pod-1", place.clock.monotonic)[path]("")
    return code, body.decode() if path == "/metrics" else json.loads(body)


def elapsed(place: ControllerPlace) -> float:
    assert place.loop.report.seen is not None
    return place.loop.report.seen.snapshot.elapsed


def test_who_does_not_lead_looks_at_nothing(place: ControllerPlace) -> None:
    view = place.view()
    other = place.controller("two", view)
    view.fail("read", AssertionError("it reads"), times=100)
    view.fail("workload", AssertionError("it reads"), times=100)
    place.tick(5, place.loop, other)
    assert not other.report.leads
    assert not other.report.error


def test_an_error_that_nobody_foresaw_does_not_end_the_loop(place: ControllerPlace) -> None:
    place.cluster.fail("read", ZeroDivisionError())
    place.tick()
    assert "ZeroDivisionError" in place.loop.report.error
    place.tick()
    assert not place.loop.report.error


def test_what_the_last_decision_wants_measured_is_measured_in_the_next_turn() -> None:
    """While it leads without a break: what it did not watch belongs to no window."""
    place = ControllerPlace("preset: careful")
    place.want("models:/ride/1")
    place.rest()
    place.want("models:/ride/2")
    place.rest()
    assert place.state.phase == "shadow"
    before = place.routers.measured
    place.tick(3)
    assert place.routers.measured == before + 3
    held = place.store.lease
    place.store.lease = Record("other", 15.0, 1, "x")
    place.tick(3)
    assert place.routers.measured == before + 3
    place.store.lease = held
    place.tick(20)
    assert place.loop.report.leads
    assert place.routers.measured > before + 3
    assert place.state.phase == "shadow"
    # It was stopped for a minute and nobody else led: what went by is measured by nobody.
    before = place.routers.measured
    place.clock.advance(60)
    place.tick()
    assert (place.loop.report.leads, place.routers.measured) == (True, before)
    place.tick()
    assert place.routers.measured == before + 1


def test_D8_what_is_remembered_ends_with_leadership(place: ControllerPlace) -> None:
    """Bias is not allowed: who was away cannot count the time in between."""
    place.store.lease = Record("other", 15.0, 1, "x")
    place.tick()
    assert ask(place, "/status")[1]["leads"] is False
    place.clock.advance(60)
    place.tick()
    assert ask(place, "/status")[1]["leads"] is True
    assert elapsed(place) == 0.0
    place.tick()
    assert elapsed(place) == 2.0


def test_D8_elapsed_time_does_not_know_the_time_of_day(place: ControllerPlace) -> None:
    place.tick()
    place.clock.wall = place.clock.wall.replace(year=2036)
    place.tick()
    assert elapsed(place) == 2.0


def test_it_turns_until_it_is_stopped_and_gives_the_lease_back() -> None:
    place = ControllerPlace("preset: fast\ntick: 0.1")
    place.want("models:/ride/1")
    stop = threading.Event()
    thread = threading.Thread(target=place.loop.run, args=(stop,))
    thread.start()
    until(lambda: "state" in place.store.documents, 20, "the first turns")
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
    assert place.store.lease.holder == ""


def test_the_status_tells_what_serves_and_why_it_waits(place: ControllerPlace) -> None:
    place.want("models:/ride/77")
    place.tick(4)
    code, status = ask(place, "/status")
    assert (code, status["pod"], status["leads"], status["error"]) == (200, "pod-1", True, "")
    rollout = status["rollout"]
    assert rollout["stable"]["digest"] == A
    assert rollout["desired"] == {
        "reference": "models:/ride/77",
        "taken_up": False,
        "refused": False,
        "problem": "",
    }
    assert rollout["condition"]["reason"] == "Unresolvable"
    assert rollout["slots"]["blue"] == {
        "digest": A,
        "replicas": 2,
        "ready": 2,
        "restarts": 0,
        "why": "",
    }


def test_a_controller_that_cannot_look_is_alive_and_not_ready(place: ControllerPlace) -> None:
    assert (ask(place, "/livez")[0], ask(place, "/readyz")[0]) == (200, 200)
    place.cluster.fail("hold_lease", Unavailable("the API server is away"), times=3)
    place.tick()
    assert (ask(place, "/livez")[0], ask(place, "/readyz")[0]) == (200, 503)
    assert "the API server is away" in ask(place, "/status")[1]["error"]
    place.tick(3)
    assert ask(place, "/readyz")[0] == 200


def test_a_loop_that_hangs_is_dead(place: ControllerPlace) -> None:
    place.clock.advance(STUCK + 1)
    assert (ask(place, "/livez")[0], ask(place, "/readyz")[0]) == (503, 503)


def test_the_gauges_are_those_of_the_present_state(place: ControllerPlace) -> None:
    place.cluster.edit("policy", {"policy.yaml": "preset: manual\nsteps: [5]"})
    place.want("models:/ride/2")
    place.rest()
    shadow = ask(place, "/metrics")[1]
    assert 'slipway_rollout_phase{phase="shadow"} 1.0' in shadow
    assert "slipway_rollout_weight 0.0" in shadow
    assert 'slipway_gate_samples{gate="errors"}' in shadow
    place.ask("promote", force=True)
    place.rest()
    canary = ask(place, "/metrics")[1]
    assert "slipway_rollout_weight 500.0" in canary
    assert 'phase="shadow"' not in canary
    assert 'slipway_decisions_total{reason="StepStarted",verb="promote"} 1.0' in canary


def test_who_does_not_lead_shows_no_gauges(place: ControllerPlace) -> None:
    place.store.lease = Record("other", 15.0, 1, "x")
    place.tick()
    assert "slipway_rollout_weight" not in ask(place, "/metrics")[1]
