"""What every Cluster promises: in memory, in a folder, over a real API server, on kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.cluster_worlds import FakeWorld, LocalWorld, World
from tests.kind_server import KindServer

from slipway.cluster.leader import LedCluster
from slipway.cluster.protocol import SLOTS, Cluster, Document, Event, Filling
from slipway.errors import Conflict, SlipwayError, Unavailable

DIGEST = "sha256:" + "a" * 64
FILLING = Filling(lock='{"schema": 1}', run_id="b" * 32, uri="s3://bucket/1", digest=DIGEST)


@pytest.fixture(
    params=[
        "memory",
        "local",
        pytest.param("api-server", marks=pytest.mark.platform),
        pytest.param("kind", marks=[pytest.mark.platform, pytest.mark.kind]),
    ]
)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "memory":
        yield FakeWorld()
    elif request.param == "local":
        yield LocalWorld(request.getfixturevalue("tmp_path"))
    elif request.param == "api-server":
        yield request.getfixturevalue("kube_world")
    else:
        yield request.getfixturevalue("kind_world")


@pytest.fixture
def cluster(world: World) -> Cluster:
    return world.view()


def test_a_document_that_is_not_there_is_none(cluster: Cluster) -> None:
    assert cluster.read("state") is None


def test_a_document_is_made_once(cluster: Cluster) -> None:
    written = cluster.write(Document("state", {"phase": "idle"}, {"slipway.io/x": "1"}))
    assert written.version
    assert cluster.read("state") == written
    with pytest.raises(Conflict):
        cluster.write(Document("state", {"phase": "shadow"}))
    assert cluster.read("state") == written


def test_a_document_is_replaced_as_a_whole(cluster: Cluster) -> None:
    first = cluster.write(Document("state", {"phase": "idle", "old": "1"}, {"slipway.io/x": "1"}))
    second = cluster.write(Document("state", {"phase": "shadow"}, {}, first.version))
    assert second.version != first.version
    read = cluster.read("state")
    assert read == second
    assert (dict(second.data), dict(second.annotations)) == ({"phase": "shadow"}, {})


def test_D4_D6_only_the_present_version_can_be_replaced(world: World, cluster: Cluster) -> None:
    first = cluster.write(Document("state", {"epoch": "1"}))
    second = world.view().write(Document("state", {"epoch": "2"}, {}, first.version))
    with pytest.raises(Conflict):
        cluster.write(Document("state", {"epoch": "1b"}, {}, first.version))
    assert cluster.read("state") == second


def test_D18_a_document_that_was_deleted_is_not_written_by_its_old_version(
    world: World, cluster: Cluster
) -> None:
    first = cluster.write(Document("state", {"epoch": "1"}))
    world.delete("state")
    with pytest.raises(Conflict):
        cluster.write(Document("state", {"epoch": "2"}, {}, first.version))
    assert cluster.read("state") is None
    assert cluster.write(Document("state", {"epoch": "2"})).version != first.version


def test_the_same_again_is_no_change(cluster: Cluster) -> None:
    first = cluster.write(Document("routing", {"routing.json": "{}"}))
    assert cluster.write(first).version == first.version


def test_there_is_no_workload_without_a_chart(cluster: Cluster) -> None:
    assert [cluster.workload(part) for part in (*SLOTS, "router")] == [None] * 3
    with pytest.raises(Unavailable, match=r"is the chart installed|`slipway local up` makes it"):
        cluster.fill("blue", FILLING, 1)


def test_a_slot_is_filled_and_sized(world: World, cluster: Cluster) -> None:
    world.install()
    cluster.fill("blue", FILLING, 2)
    blue, green = cluster.workload("blue"), cluster.workload("green")
    assert blue is not None
    assert (blue.digest, blue.replicas, blue.failed) == (DIGEST, 2, False)
    assert green is not None
    assert (green.digest, green.replicas) == ("", 0)
    document = cluster.read("blue")
    assert document is not None
    assert dict(document.data) == {
        "MODEL_RUN_ID": FILLING.run_id,
        "MODEL_URI": FILLING.uri,
        "MODEL_DIGEST": DIGEST,
        "release.json": FILLING.lock,
    }
    assert cluster.read("green") is None


def test_a_slot_that_was_just_changed_is_not_settled(world: World, cluster: Cluster) -> None:
    if isinstance(getattr(world, "server", None), KindServer):
        pytest.skip("a real cluster may have settled it before one looks")
    world.install()
    cluster.fill("blue", FILLING, 1)
    workload = cluster.workload("blue")
    assert workload is not None
    assert not workload.settled


def test_what_a_slot_runs_and_its_size_are_changed_apart(world: World, cluster: Cluster) -> None:
    world.install()
    cluster.fill("green", FILLING, None)
    cluster.fill("green", None, 3)
    workload = cluster.workload("green")
    assert workload is not None
    assert (workload.digest, workload.replicas) == (DIGEST, 3)


def test_filling_a_slot_twice_changes_nothing(world: World, cluster: Cluster) -> None:
    world.install()
    cluster.fill("blue", FILLING, 1)
    before = cluster.read("blue")
    world.view().fill("blue", FILLING, 1)
    assert cluster.read("blue") == before


def test_D7_one_of_two_holds_the_lease(world: World, cluster: Cluster) -> None:
    other = world.view()
    assert cluster.hold_lease("a", 15)
    assert not other.hold_lease("b", 15)
    world.clock.advance(10)
    assert cluster.hold_lease("a", 15)
    world.clock.advance(10)
    assert not other.hold_lease("b", 15)
    assert cluster.hold_lease("a", 15)


def test_a_lease_that_is_not_renewed_goes_to_the_next(world: World, cluster: Cluster) -> None:
    other = world.view()
    assert cluster.hold_lease("a", 15)
    assert not other.hold_lease("b", 15)
    world.clock.advance(15.5)
    assert other.hold_lease("b", 15)
    assert not cluster.hold_lease("a", 15)


def test_a_lease_is_not_taken_by_one_who_has_not_watched_it_expire(
    world: World, cluster: Cluster
) -> None:
    """D8: how old a lease is, is never told by comparing clocks of two machines."""
    assert cluster.hold_lease("a", 15)
    world.clock.advance(3600)
    assert not world.view().hold_lease("b", 15)


def test_a_lease_that_is_given_back_is_free_at_once(world: World, cluster: Cluster) -> None:
    other = world.view()
    assert cluster.hold_lease("a", 15)
    assert not other.hold_lease("b", 15)
    assert not cluster.hold_lease("a", 0)
    assert other.hold_lease("b", 15)
    assert not cluster.hold_lease("a", 0)
    assert other.hold_lease("b", 15)


def test_D5_a_stolen_lease_stops_its_holder(world: World, cluster: Cluster) -> None:
    led = LedCluster(cluster, "a", 15, world.clock.monotonic)
    assert led.lead()
    world.give_lease("thief")
    assert not led.lead()
    with pytest.raises(Conflict, match="the lease was lost"):
        led.write(Document("state", {}))
    assert cluster.read("state") is None


def test_D5_a_deleted_lease_is_taken_anew(world: World, cluster: Cluster) -> None:
    assert cluster.hold_lease("a", 15)
    world.give_lease(None)
    assert world.view().hold_lease("b", 15)
    assert not cluster.hold_lease("a", 15)


def test_an_event_tells_people(world: World, cluster: Cluster) -> None:
    cluster.write(Document("model", {"MODEL_URI": ""}))
    cluster.record(Event("Promoted", "abc is stable"))
    cluster.record(Event("GateFailed", "errors", warning=True))
    told = {("Normal", "Promoted", "abc is stable"), ("Warning", "GateFailed", "errors")}
    assert set(world.events()) == told


def test_every_error_is_one_of_slipways(world: World, cluster: Cluster) -> None:
    first = cluster.write(Document("state", {}))
    world.delete("state")
    with pytest.raises(SlipwayError):
        cluster.write(first)
