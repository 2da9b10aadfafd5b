"""What the verbs write and wait for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

import pytest
from tests.controller_place import ControllerPlace
from tests.fakes import FakeCluster
from tests.unit.rollout.scene import release

from slipway.errors import (
    Conflict,
    InvalidConfig,
    NotInstalled,
    RolloutAborted,
    TimedOut,
    Unavailable,
    Unresolvable,
)
from slipway.rollout.admin import answers
from slipway.rollout.remote import (
    TRIES,
    Waiting,
    read_status,
    wait_for_rest,
    write_desired,
    write_request,
)
from slipway.rollout.snapshot import Request
from slipway.rollout.status import Status, outcome_of

RUN = "a" * 32


@pytest.fixture
def place() -> ControllerPlace:
    place = ControllerPlace()
    place.want("models:/ride/1")
    place.rest()
    return place


def live(place: ControllerPlace) -> object:
    """The controller's own word, through JSON as a verb gets it."""
    return json.loads(answers(place.loop, place.metrics, "pod")["/status"]("")[2])


def wait(place: ControllerPlace, seconds: float = 100.0) -> Status:
    """Wait as a verb does, while the controller works on."""
    return wait_for_rest(waiting(place, seconds))


def waiting(place: ControllerPlace, seconds: float = 100.0) -> Waiting:
    return Waiting(
        lambda: read_status(place.view(), place.clock.now(), live(place)),
        seconds,
        monotonic=place.clock.monotonic,
        sleep=lambda _: place.tick(),
    )


@pytest.mark.parametrize(
    ("reference", "data"),
    [
        (RUN, {"MODEL_RUN_ID": RUN, "MODEL_URI": ""}),
        (f"runs:/{RUN}/model", {"MODEL_RUN_ID": "", "MODEL_URI": f"runs:/{RUN}/model"}),
        ("models:/a@b", {"MODEL_RUN_ID": "", "MODEL_URI": "models:/a@b"}),
    ],
)
def test_the_reference_is_written_where_it_belongs_and_the_other_key_emptied(
    place: ControllerPlace, reference: str, data: dict[str, str]
) -> None:
    place.cluster.edit("model", {"MODEL_RUN_ID": "x", "MODEL_URI": "y", "mine": "kept"})
    desired = write_desired(place.view(), reference, place.clock.now())
    assert desired.reference == reference
    assert dict(place.store.documents["model"].data) == {**data, "mine": "kept"}


def test_the_same_reference_again_is_written_again(place: ControllerPlace) -> None:
    first = write_desired(place.view(), RUN, place.clock.now())
    place.clock.advance(0.001)
    second = write_desired(place.view(), RUN, place.clock.now())
    assert first.mark != second.mark


@pytest.mark.parametrize("reference", ["", "nonsense", "model.pkl", "models:/a@b@c"])
def test_what_is_no_reference_is_not_written(place: ControllerPlace, reference: str) -> None:
    before = place.store.documents["model"]
    with pytest.raises(InvalidConfig):
        write_desired(place.view(), reference, place.clock.now())
    assert place.store.documents["model"] == before


def test_annotations_of_the_chart_are_kept(place: ControllerPlace) -> None:
    place.cluster.edit("model", {"MODEL_URI": ""}, chart_model="models:/x/1")
    write_desired(place.view(), RUN, place.clock.now())
    annotations = place.store.documents["model"].annotations
    assert annotations["slipway.io/chart-model"] == "models:/x/1"
    assert "slipway.io/requested-at" in annotations


def test_somebody_else_writing_at_the_same_time_is_tried_again(place: ControllerPlace) -> None:
    view = place.view()
    view.fail("write", Conflict("meanwhile"), times=TRIES - 1)
    assert write_desired(view, RUN, place.clock.now()).reference == RUN
    view.fail("write", Conflict("meanwhile"), times=TRIES)
    with pytest.raises(Conflict):
        write_desired(view, RUN, place.clock.now())


def test_nothing_is_made_where_nothing_is_installed() -> None:
    cluster = FakeCluster()
    for act in (
        lambda: write_desired(cluster, RUN, cluster.clock.now()),
        lambda: read_status(cluster, cluster.clock.now()),
    ):
        with pytest.raises(NotInstalled):
            act()
    assert cluster.store.documents == {}


def test_a_request_is_written_and_the_next_one_replaces_it(place: ControllerPlace) -> None:
    view = place.view()
    write_request(view, Request(id="1", verb="pause", phase="canary", actor="me", reason="why"))
    written = json.loads(place.store.documents["control"].data["request.json"])
    assert written["expect"] == {"phase": "canary", "digest": ""}
    write_request(view, Request(id="2", verb="abort"))
    assert json.loads(place.store.documents["control"].data["request.json"])["id"] == "2"


def test_waiting_ends_when_the_wanted_model_has_all_traffic(place: ControllerPlace) -> None:
    place.want("models:/ride/2")
    status = wait(place)
    assert status.stable is not None
    assert status.stable.digest == release("b").digest
    assert place.serving() == {release("b").digest: 10_000}


def test_waiting_does_not_take_the_old_rollouts_end_for_the_new_ones(
    place: ControllerPlace,
) -> None:
    """The controller has not looked yet: its state still tells of the model before."""
    place.want("models:/ride/2")
    assert outcome_of(read_status(place.view(), place.clock.now())) == "waiting"


def test_waiting_for_a_rollout_that_is_aborted_says_why(place: ControllerPlace) -> None:
    def fail() -> None:
        workload = place.store.workloads["green"]
        place.store.workloads["green"] = dataclasses.replace(
            workload, failed=True, settled=True, why="ImagePullBackOff: no image"
        )

    place.cluster.settle = fail  # type: ignore[method-assign]
    place.want("models:/ride/2")
    with pytest.raises(RolloutAborted, match="ImagePullBackOff"):
        wait(place)


def test_waiting_for_what_leads_nowhere_ends_once_the_controller_has_tried(
    place: ControllerPlace,
) -> None:
    place.want("models:/ride/77")
    began = place.clock.monotonic()
    with pytest.raises(Unresolvable, match="nobody knows models:/ride/77"):
        wait(place)
    assert place.clock.monotonic() - began >= 10


def test_an_old_condition_does_not_end_the_wait_for_a_good_reference(
    place: ControllerPlace,
) -> None:
    place.want("models:/ride/77")
    place.tick(5)
    place.want("models:/ride/2")
    assert wait(place).condition is None


def test_waiting_has_an_end_and_all_traffic_means_that_the_routers_have_it(
    place: ControllerPlace,
) -> None:
    place.routers.stuck.add("10.0.3.1:9698")
    place.want("models:/ride/2")
    with pytest.raises(TimedOut, match="not within 30 s; the phase is"):
        wait(place, 30.0)


def test_a_cluster_that_is_away_for_a_while_is_waited_for(place: ControllerPlace) -> None:
    statuses: Iterator[Status | Exception] = iter(
        [Unavailable("away"), Unavailable("away"), read_status(place.view(), place.clock.now())]
    )

    def look() -> Status:
        found = next(statuses)
        if isinstance(found, Exception):
            raise found
        return found

    sleeps: list[float] = []
    told: list[Status] = []
    patient = Waiting(look, 60, told.append, monotonic=place.clock.monotonic, sleep=sleeps.append)
    assert wait_for_rest(patient).phase == "idle"
    assert (len(sleeps), len(told)) == (2, 1)


def test_a_state_from_a_newer_version_is_not_guessed_at(place: ControllerPlace) -> None:
    place.cluster.edit("state", {"state.json": '{"schema": 99}'})
    with pytest.raises(InvalidConfig, match="update this slipway"):
        read_status(place.view(), place.clock.now())


def test_before_the_controllers_first_tick_there_is_a_status_too() -> None:
    place = ControllerPlace()
    status = read_status(place.view(), place.clock.now())
    assert (status.phase, status.stable, outcome_of(status)) == ("idle", None, "done")


def test_what_the_controller_says_about_another_table_is_left_out(place: ControllerPlace) -> None:
    old = live(place)
    place.want("models:/ride/2")
    place.rest()
    assert read_status(place.view(), place.clock.now(), old).routers == ()
    assert read_status(place.view(), place.clock.now(), live(place)).routers
    documents: list[object] = [None, {}, {"rollout": 1}, []]
    for nonsense in documents:
        assert read_status(place.view(), place.clock.now(), nonsense).routers == ()
