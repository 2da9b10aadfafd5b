"""Consumers as processes on a stream: accidents, resharding, replicas, a canary, a promotion."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.artifacts import ride_pipeline, save_ride_model
from tests.consumer_process import Consumers, consumers
from tests.kinesis_stand_in import StandIn, ride_record, stand_in
from tests.waiting import until

from slipway.clients.streams import Record
from slipway.cluster.local import LocalCluster
from slipway.cluster.protocol import Document
from slipway.models.obtain import Loaded, obtain, release_of
from slipway.settings import ModelSettings, read_settings
from slipway.stream.processor import Processor, Scored, in_share

GOOD, POISON = 9_990, 10
FIRST = "shardId-000000000000"


@pytest.fixture
def kinesis() -> Iterator[StandIn]:
    with stand_in() as found:
        found.make("ride_events", shards=3)
        found.make("duration_out", "duration_dead", "tip_out", "tip_dead")
        yield found


@pytest.fixture
def running(kinesis: StandIn) -> Iterator[Consumers]:
    with consumers(kinesis) as found:
        yield found


@pytest.fixture(scope="module")
def tip_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    known = {"use_case": "rides", "answer": "tip", "buckets": [1.0, 2.0]}
    folder = tmp_path_factory.mktemp("tip") / "model"
    return save_ride_model(folder, pipeline=ride_pipeline(0.2, seed=3), metadata=known)


@pytest.fixture(scope="module")
def new_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("new") / "model"
    return save_ride_model(folder, pipeline=ride_pipeline(1.01, seed=8))


def loaded_from(model: Path) -> Loaded:
    found = obtain(read_settings(ModelSettings, location=str(model)))
    assert found
    return found


def lock_of(model: Path) -> str:
    found = release_of(read_settings(ModelSettings, location=str(model)))
    assert found
    return found.to_json().decode()


def rides(numbers: range) -> list[tuple[str, bytes]]:
    """Rides, and every thousandth a poison record in their midst."""
    found = []
    for number in numbers:
        found.append(ride_record(number))
        if number % 999 == 500:
            found.append((f"poison-{number}", b'{"ride": "poison"}'))
    return found


def without_accident(kinesis: StandIn, model: Path) -> set[bytes]:
    """The events of all records of the stream, by the model itself."""
    loaded = loaded_from(model)
    processor = Processor(loaded.scorer, loaded.release, "ride_events")
    records = [
        Record(each["Shard"], each["SequenceNumber"], each["PartitionKey"], each["Data"])
        for each in kinesis.records("ride_events")
    ]
    outcomes = processor.process(records)
    return {each.entry.data for each in outcomes if isinstance(each, Scored)}


def put_out(kinesis: StandIn, name: str) -> list[bytes]:
    return [each["Data"] for each in kinesis.records(name)]


def test_R1_R5_R6_E8_row_12_every_good_ride_once_whatever_happens_to_the_consumers(
    kinesis: StandIn, running: Consumers, ride_model: Path, tip_model: Path
) -> None:
    """10,000 records, 10 of them poison; a kill, a replica more, one less, and a resharding."""
    kinesis.send("ride_events", rides(range(4_000)))
    duration = {"MODEL_LOCATION": str(ride_model)}
    killed, removed = running.start("duration", **duration), running.start("duration", **duration)
    tip = running.start("tip", MODEL_LOCATION=str(tip_model))
    until(lambda: kinesis.size("duration_out") > 500, 60, running.told())
    killed.stop(signal.SIGKILL)
    kinesis.send("ride_events", rides(range(4_000, 7_000)))
    added = running.start("duration", **duration)
    kinesis.split("ride_events", FIRST)
    kinesis.send("ride_events", rides(range(7_000, GOOD)))
    added.wait_ready()
    until(lambda: added.status()["shards"], 30, running.told())
    assert removed.stop() == 0, removed.told()

    def done(name: str) -> bool:
        # Comparing ten thousand events at every look would take the server's own time.
        if kinesis.size(f"{name}_out") < GOOD or kinesis.size(f"{name}_dead") < POISON:
            return False
        letters = kinesis.documents(f"{name}_dead")
        aside = {(each["shard"], each["sequence_number"]) for each in letters}
        return len(set(put_out(kinesis, f"{name}_out"))) >= GOOD and len(aside) >= POISON

    until(lambda: done("duration") and done("tip"), 60, "all rides to come out")
    for name, model in (("duration", ride_model), ("tip", tip_model)):
        events = put_out(kinesis, f"{name}_out")
        # At least once, and once after equal ids are removed; the same bytes as without accident.
        assert set(events) == without_accident(kinesis, model)
        by_id = {json.loads(event)["event_id"]: json.loads(event) for event in events}
        assert len(by_id) == GOOD
        assert {each["prediction"]["ride_id"] for each in by_id.values()} == set(range(GOOD))
        letters = kinesis.documents(f"{name}_dead")
        there = {
            (each["Shard"], each["SequenceNumber"])
            for each in kinesis.records("ride_events")
            if each["PartitionKey"].startswith("poison")
        }
        assert len(there) == POISON
        assert {(each["shard"], each["sequence_number"]) for each in letters} == there
        assert {each["reason"] for each in letters} == {"InvalidInput"}
    # Nothing happened to the one of tips, so nothing is there twice.
    assert len(put_out(kinesis, "tip_out")) == GOOD
    assert tip.stop() == 0
    assert added.stop() == 0


def ids(kinesis: StandIn) -> set[Any]:
    return {event["prediction"]["ride_id"] for event in kinesis.documents("duration_out")}


class Installation:
    """What the controller would write of a rollout, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.cluster = LocalCluster(folder)

    def says(self, promoted: str, trial: str = "", weight: int = 0) -> None:
        known = self.cluster.read("state")
        data = {"promoted": promoted, "trial": trial, "weight": str(weight)}
        self.cluster.write(Document("state", data, {}, known.version if known else ""))


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path / "i")


def test_row_5_the_next_batch_after_a_promotion_names_the_new_release(
    kinesis: StandIn, running: Consumers, installation: Installation, ride_model: Path,
    new_model: Path,
) -> None:  # fmt: skip
    consumer = running.start("duration", LOCAL=str(installation.folder))
    kinesis.send("ride_events", map(ride_record, range(50)))
    # Ready and idle, as a slot without a model is: an installation without one comes up.
    consumer.wait_ready()
    assert consumer.status()["trouble"] == "no model is promoted yet"
    assert put_out(kinesis, "duration_out") == []
    installation.says(lock_of(ride_model))
    until(lambda: len(put_out(kinesis, "duration_out")) == 50, 40, consumer.told())
    installation.says(lock_of(new_model))
    new = loaded_from(new_model).release.version
    until(lambda: consumer.status()["model_version"] == new, 20, consumer.told())
    kinesis.send("ride_events", map(ride_record, range(50, 80)))
    until(lambda: len(put_out(kinesis, "duration_out")) == 80, 20, consumer.told())
    versions = {
        event["prediction"]["ride_id"]: event["version"]
        for event in kinesis.documents("duration_out")
    }
    assert {versions[number] for number in range(50, 80)} == {new}
    assert {versions[number] for number in range(50)} == {loaded_from(ride_model).release.version}


def test_row_12_in_a_canary_the_candidate_scores_its_keys_and_after_its_crash_stable_does(
    kinesis: StandIn, running: Consumers, installation: Installation, ride_model: Path,
    new_model: Path,
) -> None:  # fmt: skip
    installation.says(lock_of(ride_model), lock_of(new_model), 2500)
    consumer = running.start("duration", LOCAL=str(installation.folder))
    stable, candidate = (loaded_from(each).release.version for each in (ride_model, new_model))
    consumer.wait_ready()

    def versions(numbers: range) -> dict[Any, Any]:
        wanted = set(numbers)
        until(
            lambda: kinesis.size("duration_out") >= len(numbers) and wanted <= ids(kinesis),
            40,
            consumer.told(),
        )
        return {
            event["prediction"]["ride_id"]: event["version"]
            for event in kinesis.documents("duration_out")
            if event["prediction"]["ride_id"] in wanted
        }

    # The candidate is loaded when it is first needed; until then stable scores in its place.
    begun = 0
    while candidate not in versions(range(begun, begun + 100)).values() if begun else True:
        begun += 100
        assert begun < 20_000, consumer.told()
        kinesis.send("ride_events", map(ride_record, range(begun, begun + 100)))
    numbers = range(100_000, 110_000)
    kinesis.send("ride_events", map(ride_record, numbers))
    found = versions(numbers)
    share = sum(version == candidate for version in found.values())
    assert abs(share - 2_500) <= 100
    assert all((found[n] == candidate) == in_share(n, 2500) for n in numbers)
    metrics = consumer.answer("/metrics")[1].decode()
    assert 'source="candidate"' in metrics
    # A candidate whose artefact cannot be loaded any more ends its process, and takes nobody along.
    broken = json.loads(lock_of(new_model)) | {"digest": "sha256:" + "0" * 64}
    installation.says(lock_of(ride_model), json.dumps(broken), 5000)
    until(lambda: consumer.status()["weight"] == 5000, 20, consumer.told())
    more = range(200_000, 200_300)
    kinesis.send("ride_events", map(ride_record, more))
    assert set(versions(more).values()) == {stable}
    assert 'source="fallback"' in consumer.answer("/metrics")[1].decode()
    assert consumer.stop() == 0


def test_a_stopped_consumer_leaves_its_shards_to_the_next_at_once(
    kinesis: StandIn, running: Consumers, ride_model: Path
) -> None:
    slow = {"MODEL_LOCATION": str(ride_model), "SLIPWAY_SILENT_SECONDS": "300"}
    first = running.start("duration", **slow)
    first.wait_ready()
    until(lambda: len(first.status()["shards"]) == 3, 20, first.told())
    assert first.stop() == 0
    second = running.start("duration", **slow)
    second.wait_ready()
    until(lambda: len(second.status()["shards"]) == 3, 20, second.told())


def test_E8_a_stream_that_is_deleted_is_waited_for_and_one_made_anew_is_begun_anew(
    kinesis: StandIn, running: Consumers, ride_model: Path
) -> None:
    kinesis.send("ride_events", map(ride_record, range(50)))
    consumer = running.start("duration", MODEL_LOCATION=str(ride_model))
    until(lambda: len(put_out(kinesis, "duration_out")) == 50, 40, consumer.told())
    kinesis.client("kinesis").delete_stream(StreamName="ride_events")
    until(lambda: b"ride_events is not there" in consumer.answer("/readyz")[1], 20, "it to say so")
    assert consumer.answer("/livez")[0] == 200
    kinesis.make("ride_events")
    kinesis.send("ride_events", map(ride_record, range(50, 80)))
    assert consumer.process.wait(20) == 2
    assert "was made anew" in consumer.told()
    # As Kubernetes starts it again.
    running.start("duration", MODEL_LOCATION=str(ride_model))
    until(lambda: len(put_out(kinesis, "duration_out")) == 80, 40, running.told())
    assert ids(kinesis) == set(range(80))
