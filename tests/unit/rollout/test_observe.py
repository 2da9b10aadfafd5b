"""What is seen of an installation, and what follows when some of it cannot be seen."""

from __future__ import annotations

import dataclasses

import pytest
from tests.controller_place import ControllerPlace
from tests.fakes import pod_of
from tests.unit.rollout.scene import release

from slipway.errors import Unavailable
from slipway.rollout.observe import Seen
from slipway.rollout.snapshot import Newer, Problem
from slipway.rollout.state import State

A, B = release("a").digest, release("b").digest


@pytest.fixture
def place() -> ControllerPlace:
    """The first model serves."""
    place = ControllerPlace()
    place.want("models:/ride/1")
    place.rest()
    return place


def seen(place: ControllerPlace) -> Seen:
    return place.loop._observer.look(None, 0.0)


def test_a_snapshot_holds_what_is_there(place: ControllerPlace) -> None:
    found = seen(place).snapshot
    assert found.now == place.clock.now()
    assert isinstance(found.stored, State)
    assert found.desired.reference == "models:/ride/1"
    assert found.slots["blue"].release == release("a")
    assert found.slots["blue"].workload is not None
    assert found.slots["green"].release is None
    assert [(router.loaded_epoch, router.rejected) for router in found.routers] == [
        (place.table["epoch"], "")
    ]
    assert found.routing == place.table
    assert found.request is None


def test_an_empty_namespace_is_a_fact_and_no_error() -> None:
    place = ControllerPlace()
    place.store.documents.clear()
    place.store.workloads.clear()
    found = seen(place).snapshot
    assert (found.stored, found.routing, found.routers) == (None, None, ())
    assert found.desired.problem is not None
    place.loop.turn()
    assert not place.loop.report.error


@pytest.mark.parametrize("method", ["read", "workload"])
def test_D2_what_cannot_be_read_is_not_taken_for_missing(
    place: ControllerPlace, method: str
) -> None:
    effects = len(place.store.effects)
    for number in range(12):
        calls = [number]
        original = getattr(place.cluster, method)

        def call(name: str, original: object = original, calls: list[int] = calls) -> object:
            calls[0] -= 1
            if calls[0] == -1:
                raise Unavailable("time-out")
            return original(name)  # type: ignore[operator]

        setattr(place.cluster, method, call)
        place.tick()
        setattr(place.cluster, method, original)
    assert len(place.store.effects) == effects
    place.tick()
    assert not place.loop.report.error


def test_only_routers_in_the_service_are_asked(place: ControllerPlace) -> None:
    workload = place.store.workloads["router"]
    starting = pod_of("router", "", 7, ready=False)
    place.store.workloads["router"] = dataclasses.replace(workload, pods=(*workload.pods, starting))
    assert [router.name for router in seen(place).snapshot.routers] == ["router--0"]


def test_a_router_that_does_not_answer_is_one_whose_table_is_not_known(
    place: ControllerPlace,
) -> None:
    place.routers.silent.add("10.0.3.1:9698")
    assert [router.loaded_epoch for router in seen(place).snapshot.routers] == [None]
    place.want("models:/ride/2")
    place.tick(10)
    assert place.serving() == {A: 10_000}
    place.routers.silent.clear()
    place.rest()
    assert place.serving() == {B: 10_000}


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"loaded_epoch": "x"}', b"<html>"])
def test_a_status_that_is_none_is_as_no_answer(
    place: ControllerPlace, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr(place.routers, "get_all", lambda all_, _path: dict.fromkeys(all_, body))
    assert [router.loaded_epoch for router in seen(place).snapshot.routers] == [None]


def test_C5_what_nginx_refuses_is_told(place: ControllerPlace) -> None:
    place.routers.stuck.add("10.0.3.1:9698")
    place.routers.rejected["10.0.3.1:9698"] = "unknown directive"
    place.want("models:/ride/2")
    place.tick(6)
    condition = place.state.condition
    assert condition is not None
    assert condition.reason == "RouterRejected"
    assert "unknown directive" in condition.message


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000])
def test_a_routing_document_written_by_hand_is_put_back(place: ControllerPlace, text: str) -> None:
    """D16"""
    before = place.table
    place.cluster.edit("routing", {"routing.json": text})
    assert seen(place).snapshot.routing == {}
    place.rest()
    assert {**place.table, "epoch": 0} == {**before, "epoch": 0}
    assert place.table["epoch"] >= before["epoch"]


@pytest.mark.parametrize("text", ["", "{}", "nonsense"])
def test_a_slots_document_that_cannot_be_read_names_no_release(
    place: ControllerPlace, text: str
) -> None:
    place.cluster.edit("blue", {"release.json": text})
    assert seen(place).snapshot.slots["blue"].release is None
    place.tick(5)
    assert place.serving() == {A: 10_000}
    assert not place.loop.report.error


def test_D18_a_state_of_a_newer_schema_is_not_touched(place: ControllerPlace) -> None:
    place.cluster.edit("state", {"state.json": '{"schema": 99}'})
    assert isinstance(seen(place).snapshot.stored, Newer)
    effects = len(place.store.effects)
    place.want("models:/ride/2")
    place.tick(10)
    assert len(place.store.effects) == effects + 1
    assert [event.reason for event in place.store.events].count("NewerState") == 1


@pytest.mark.parametrize(
    "data", [{}, {"state.json": "x"}, {"state.json": '{"schema": 1, "phase": 1}'}]
)
def test_D18_a_lost_state_is_rebuilt_and_what_serves_is_not_touched(
    place: ControllerPlace, data: dict[str, str]
) -> None:
    place.cluster.edit("state", data)
    if data:
        assert isinstance(seen(place).snapshot.stored, Problem)
    effects = len(place.store.effects)
    place.rest()
    assert place.serving() == {A: 10_000}
    assert place.state.stable is not None
    assert place.state.stable.release == release("a")
    assert not [effect for effect in place.store.effects[effects:] if effect[0] == "fill"]
    assert [event.reason for event in place.store.events].count("Rebuilt") == 1


@pytest.mark.parametrize(
    ("policy", "named"),
    [
        ("preset: fast\nwiegth: 5", "wiegth"),
        ("preset: fast\nsteps: [50, 20]", "steps"),
        ("preset: fast\nsteps: [101]", "steps"),
        (":\n\t- x", "YAML"),
    ],
)
def test_B18_a_wrong_policy_stops_nothing_that_serves_and_is_named_once(
    place: ControllerPlace, policy: str, named: str
) -> None:
    place.cluster.edit("policy", {"policy.yaml": policy})
    place.tick(8)
    assert seen(place).policy is None
    assert place.serving() == {A: 10_000}
    condition = place.state.condition
    assert condition is not None
    assert condition.reason == "InvalidConfig"
    assert named in condition.message
    assert [event.reason for event in place.store.events].count("InvalidConfig") == 1
    place.cluster.edit("policy", {"policy.yaml": "preset: fast"})
    place.want("models:/ride/2")
    place.rest()
    assert place.serving() == {B: 10_000}
    assert place.state.condition is None


def test_B19_a_deleted_model_document_moves_nothing(place: ControllerPlace) -> None:
    del place.store.documents["model"]
    epoch = place.table["epoch"]
    place.tick(8)
    assert (place.serving(), place.table["epoch"]) == ({A: 10_000}, epoch)
    assert place.state.condition is not None
    place.cluster.edit("model", {"MODEL_URI": "models:/ride/2"})
    place.rest()
    assert place.serving() == {B: 10_000}


def test_B20_a_hundred_edits_start_one_rollout_and_the_last_one_wins(
    place: ControllerPlace,
) -> None:
    before = place.reasons().count("Started")
    for number in range(100):
        place.want(f"models:/ride/{1 + number % 3}")
    place.want("models:/ride/2")
    place.rest()
    assert place.serving() == {B: 10_000}
    assert place.reasons().count("Started") == before + 1


def test_without_web_neither_slots_nor_routers_are_looked_at() -> None:
    place = ControllerPlace(web=False)
    place.store.workloads.clear()
    place.want("models:/ride/1")
    place.rest()
    found = seen(place).snapshot
    assert (found.slots, found.routers) == ({}, ())
    assert place.state.stable is not None
    assert place.state.stable.release == release("a")
    assert '"digest"' in place.store.documents["state"].data["promoted"]
