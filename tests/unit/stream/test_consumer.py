"""A consumer on moto's Kinesis and DynamoDB: what it delivers whatever happens to it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.kinesis_stand_in import Fault, StandIn, ride_record
from tests.waiting import until

from slipway.clients.checkpoints import DynamoCheckpoints
from slipway.clients.kinesis import KinesisStream
from slipway.clients.streams import Position
from slipway.clients.tables import Store
from slipway.errors import InvalidConfig
from slipway.metrics import StreamMetrics
from slipway.stream.consumer import Consumer, Places, Rules
from slipway.stream.patience import Patience
from slipway.stream.processor import Processor
from slipway.stream.scoring import Scoring
from slipway.stream.sink import letters_to_store, letters_to_stream

RULES = Rules(batch_records=50, poll_seconds=0.01, silent_seconds=1.0)


class Place:
    """One stream with consumers on it."""

    def __init__(self, kinesis: StandIn, processor: Processor) -> None:
        self.kinesis = kinesis
        self.processor = processor
        self.stop = threading.Event()
        self.metrics = StreamMetrics("app")
        kinesis.make("ride_events", "ride_predictions", "dead")

    def consumer(self, me: str = "a", application: str = "app", rules: Rules = RULES) -> Consumer:
        """A consumer; it does nothing by itself."""
        client = self.kinesis.client("kinesis")
        source = KinesisStream(client, "ride_events")
        patience = Patience(self.stop, again=self.metrics.again)
        dead = letters_to_stream(KinesisStream(client, "dead"), application, source.name, patience)
        table = DynamoCheckpoints(self.kinesis.client("dynamodb"), "checkpoints", application)
        places = Places(source, KinesisStream(client, "ride_predictions"), dead, table)
        scoring = Scoring(self.processor)
        return Consumer(me, places, lambda: scoring, patience, self.metrics, rules)

    def send(self, numbers: range) -> None:
        """Rides by their numbers."""
        self.kinesis.send("ride_events", map(ride_record, numbers))

    def rides(self) -> list[int]:
        """Ids of the rides that came out, once for each `event_id`."""
        events = {each["event_id"]: each for each in self.kinesis.documents("ride_predictions")}
        return sorted(each["prediction"]["ride_id"] for each in events.values())


@pytest.fixture
def place(kinesis: StandIn, processor: Processor) -> Place:
    return Place(kinesis, processor)


def turns(consumer: Consumer, done: Callable[[], bool], seconds: float = 20.0) -> None:
    """Let it go on until something holds."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        if not consumer.turn():
            time.sleep(0.01)


def behind(place: Place) -> float:
    """Seconds behind, as the metrics tell it."""
    [line] = [
        each for each in place.metrics.expose().decode().splitlines()
        if each.startswith("slipway_stream_behind_seconds{")
    ]  # fmt: skip
    return float(line.rpartition(" ")[2])


def test_R21_all_rides_come_out_once_and_the_checkpoint_is_behind_the_last(place: Place) -> None:
    place.send(range(300))
    consumer = place.consumer()
    turns(consumer, lambda: len(place.rides()) == 300)
    assert len(place.kinesis.records("ride_predictions")) == 300
    again = place.consumer("b")
    consumer.leave()
    again.turn()
    again.turn()
    assert len(place.kinesis.records("ride_predictions")) == 300


def test_E8_bad_records_are_in_the_dead_letters_with_their_numbers(place: Place) -> None:
    poison = [b"{", b"[]", b'{"ride": {}, "ride_id": 1}', b"x" * 70_000]
    place.kinesis.send("ride_events", [("poison", data) for data in poison])
    place.send(range(20))
    consumer = place.consumer()
    turns(consumer, lambda: len(place.rides()) == 20)
    letters = place.kinesis.documents("dead")
    assert sorted(each["reason"] for each in letters) == [
        "InvalidInput", "InvalidInput", "Malformed", "TooLarge",
    ]  # fmt: skip
    there = {(r["SequenceNumber"], r["Data"]) for r in place.kinesis.records("ride_events")}
    for each in letters:
        data = next(data for number, data in there if number == each["sequence_number"]
                    and data in poison)  # fmt: skip
        assert each["bytes"] == len(data)
    assert b'reason="TooLarge"} 1.0' in place.metrics.expose()


def test_dead_letters_may_be_objects_and_a_repeat_replaces_them(
    place: Place, tmp_path: Path
) -> None:
    send = letters_to_store(Store(), str(tmp_path), "app", "ride_events", Patience(place.stop))
    place.kinesis.send("ride_events", [("k", b"{")])
    source = KinesisStream(place.kinesis.client("kinesis"), "ride_events")
    bad = []
    for shard in source.shards():
        batch = source.read(shard.name, source.iterator(shard.name, Position()), 10)
        bad += place.processor.process(batch.records)
    for _ in range(2):
        send(bad)  # type: ignore[arg-type]
    [letter] = tmp_path.rglob("*.json")
    assert json.loads(letter.read_text())["reason"] == "Malformed"
    assert letter.parent.parent == tmp_path / "app" / "ride_events"


def test_E8_only_what_was_not_taken_is_put_again(place: Place) -> None:
    place.send(range(40))
    place.kinesis.faults.append(Fault("PutRecords", "Partial", times=3))
    turns(place.consumer(), lambda: len(place.rides()) == 40)
    assert len(place.kinesis.records("ride_predictions")) == 40
    assert b'slipway_stream_retries_total{application="app",reason="Throttled"} 3.0' in (
        place.metrics.expose()
    )


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("GetRecords", "ExpiredIteratorException"),
        ("GetRecords", "ProvisionedThroughputExceededException"),
        ("GetShardIterator", "ProvisionedThroughputExceededException"),
        ("PutRecords", "ProvisionedThroughputExceededException"),
        ("PutRecords", "InternalFailure"),
        ("PutRecords", "ResourceNotFoundException"),
        ("ListShards", "LimitExceededException"),
        ("PutItem", "ProvisionedThroughputExceededException"),
        ("UpdateItem", "InternalServerError"),
        ("Query", "InternalServerError"),
    ],
)
def test_E8_a_failing_call_loses_and_doubles_nothing(place: Place, target: str, error: str) -> None:
    place.send(range(120))
    place.kinesis.faults.append(Fault(target, error, times=2))
    turns(place.consumer(), lambda: len(place.rides()) == 120)
    assert not place.kinesis.faults
    assert len(place.kinesis.records("ride_predictions")) == 120


def test_E8_a_consumer_that_dies_before_its_checkpoint_doubles_nothing_by_event_id(
    place: Place,
) -> None:
    place.send(range(100))
    dying = place.consumer("a")
    dying.share()
    # The put is done, the checkpoint is not: as if it were killed in between.
    for held in dying.held.values():
        shard = held.lease.shard
        source = dying._source
        batch = source.read(shard, source.iterator(shard, Position()), 30)
        dying._deliver(Scoring(place.processor), batch.records)
    assert place.rides()
    turns(place.consumer("b"), lambda: len(place.rides()) == 100)
    assert len(place.kinesis.records("ride_predictions")) > 100
    assert place.rides() == list(range(100))


def test_E8_a_consumer_that_was_paused_past_its_time_moves_no_checkpoint(place: Place) -> None:
    place.send(range(100))
    paused = place.consumer("a")
    paused.share()
    held = dict(paused.held)
    assert len(held) == 2
    other = place.consumer("b")
    turns(other, lambda: len(other.held) == 2)
    turns(other, lambda: len(place.rides()) == 100)
    for each in held.values():
        paused._guarded(each, Scoring(place.processor))
    assert paused.held == {}
    checkpoints, _ = other._checkpoints.rows()
    assert {each.owner for each in checkpoints} == {"b"}
    assert place.rides() == list(range(100))


def test_replicas_share_the_shards_and_take_over_what_is_given_back(place: Place) -> None:
    first, second = place.consumer("a"), place.consumer("b")
    turns(first, lambda: len(first.held) == 2)
    second.share()
    first.share()
    second.share()
    assert [len(first.held), len(second.held)] == [1, 1]
    first.leave()
    second.share()
    assert len(second.held) == 2


def test_B9_a_replica_that_has_no_model_yet_leaves_the_shards_to_those_that_have(
    place: Place,
) -> None:
    first, second = place.consumer("a"), place.consumer("b")
    loaded, first._scoring = first._scoring, lambda: None
    first.turn()
    second.turn()
    assert [len(first.held), len(second.held)] == [0, 2]
    place.send(range(50))
    turns(second, lambda: len(place.rides()) == 50)
    first._scoring = loaded
    first.turn()
    second.share()
    first.share()
    assert [len(first.held), len(second.held)] == [1, 1]


def test_E8_a_resharding_is_followed_parents_first(place: Place) -> None:
    place.send(range(100))
    consumer = place.consumer()
    consumer.turn()
    place.kinesis.split("ride_events", "shardId-000000000000")
    place.send(range(100, 200))
    turns(consumer, lambda: len(place.rides()) == 200)
    assert place.rides() == list(range(200))
    turns(consumer, lambda: len(consumer.held) == 3)


def test_R5_R6_two_applications_each_see_all_records(place: Place) -> None:
    place.send(range(50))
    for number, application in enumerate(("duration", "tip"), 1):
        consumer = place.consumer("a", application)
        turns(
            consumer,
            lambda all_of=50 * number: len(place.kinesis.records("ride_predictions")) == all_of,  # type: ignore[misc]
        )


def test_an_application_that_begins_with_the_newest_leaves_the_old_ones_out(place: Place) -> None:
    place.send(range(30))
    time.sleep(0.01)
    rules = Rules(50, 0.01, 1.0, since=time.time())
    consumer = place.consumer("a", rules=rules)
    consumer.turn()
    place.send(range(30, 50))
    turns(consumer, lambda: len(place.rides()) >= 20)
    assert place.rides() == list(range(30, 50))


@pytest.mark.parametrize("fault", ["InternalFailure", "ResourceNotFoundException"])
def test_E9_while_the_output_is_down_or_not_there_nothing_is_read(place: Place, fault: str) -> None:
    consumer = place.consumer()
    consumer.turn()
    assert behind(place) < 1
    place.send(range(500))
    place.kinesis.calls.clear()
    place.kinesis.faults.append(Fault("PutRecords", fault, times=10_000))
    thread = threading.Thread(target=consumer.run)
    thread.start()
    deadline = time.monotonic() + 10
    while place.kinesis.calls.count("PutRecords") < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert place.kinesis.calls.count("GetRecords") == 1
    until(lambda: behind(place) > 1, 10, "the lag to grow")
    place.stop.set()
    thread.join(10)
    assert not thread.is_alive()
    checkpoints, workers = consumer._checkpoints.rows()
    assert {(each.owner, each.sequence) for each in checkpoints} == {("", "")}
    assert workers == []


def test_a_deleted_stream_is_waited_for_and_a_new_one_is_not_taken_for_it(place: Place) -> None:
    place.send(range(10))
    consumer = place.consumer()
    turns(consumer, lambda: len(place.rides()) == 10)
    client = place.kinesis.client("kinesis")
    client.delete_stream(StreamName="ride_events")
    consumer.share()
    assert "ride_events is not there" in consumer.trouble
    consumer.turn()
    time.sleep(1.1)
    place.kinesis.make("ride_events")
    with pytest.raises(InvalidConfig, match="was made anew"):
        consumer.share()


def test_row_5_a_batch_that_began_before_a_promotion_ends_on_the_old_release(
    place: Place,
) -> None:
    place.kinesis.send("ride_events", [("key", ride_record(n)[1]) for n in range(80)])
    old = place.processor.release
    new = msgspec.structs.replace(old, run_id="f" * 32)
    consumer = place.consumer()
    promoted = Processor(place.processor._scorer, new, "ride_events")

    class Promoting(Processor):
        def process(self, records: Any) -> Any:
            half = super().process(records[:25])
            consumer._scoring = lambda: Scoring(promoted)
            return half + super().process(records[25:])

    consumer._scoring = lambda: Scoring(Promoting(place.processor._scorer, old, "ride_events"))
    turns(consumer, lambda: len(place.rides()) == 80)
    events = place.kinesis.documents("ride_predictions")
    by_ride = {each["prediction"]["ride_id"]: each["version"] for each in events}
    assert by_ride == {n: old.version if n < 50 else new.version for n in range(80)}


def test_a_batch_that_takes_longer_than_silence_is_borne_stays_with_its_consumer(
    place: Place,
) -> None:
    """Else two consumers would take a slow model's shards from each other for ever."""
    place.send(range(40))
    scoring = Scoring(place.processor)
    begun = threading.Event()

    class Slow:
        stable = place.processor
        trial = None

        def process(self, records: Any) -> Any:
            begun.set()
            time.sleep(3 * RULES.silent_seconds)
            return scoring.process(records)

    slow = place.consumer("a")
    slow._scoring = Slow  # type: ignore[assignment]
    thread = threading.Thread(target=slow.run)
    thread.start()
    assert begun.wait(10)
    other = place.consumer("b")
    deadline = time.monotonic() + 2.5 * RULES.silent_seconds
    while time.monotonic() < deadline:
        other.share()
        time.sleep(0.05)
    assert other.held == {}
    turns(other, lambda: len(place.rides()) == 40)
    place.stop.set()
    thread.join(20)
    assert len(place.kinesis.records("ride_predictions")) == 40
