"""Records in, an outcome for each out; the same records make the same bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kinesis_stand_in import ride_record

from slipway.clients.streams import Record
from slipway.errors import ModelFailed
from slipway.models.obtain import Loaded
from slipway.scoring.scorer import Scorer
from slipway.stream.processor import Bad, Processor, Scored, in_share


@pytest.fixture
def processor(loaded_rides: Loaded) -> Processor:
    return Processor(loaded_rides.scorer, loaded_rides.release, "ride_events", max_bytes=1000)


def record(data: bytes, sequence: int = 1) -> Record:
    return Record("shardId-000000000000", str(sequence), "1", data)


def test_R21_R25_R26_a_ride_becomes_an_event_with_version_and_key(
    processor: Processor, loaded_rides: Loaded
) -> None:
    ride = {"PULocationID": 130, "DOLocationID": 205, "trip_distance": 3.66}
    data = json.dumps({"ride": ride, "ride_id": 256}).encode()
    [outcome] = processor.process([record(data)])
    assert isinstance(outcome, Scored)
    assert outcome.event["model"] == "ride_duration_prediction_model"
    assert outcome.event["version"] == loaded_rides.release.version
    row = loaded_rides.scorer.use_case.row_type()(**ride)
    assert outcome.event["prediction"] == {
        "ride_duration": loaded_rides.scorer.score([row])[0],
        "ride_id": 256,
    }
    assert outcome.entry.key == "256"
    assert json.loads(outcome.entry.data) == outcome.event


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"{", "Malformed"),
        (b"\xff\xfe", "Malformed"),
        (b"[" * 2000, "TooLarge"),
        (b'{"ride_id": 1}', "InvalidInput"),
        (b'{"ride": {"PULocationID": 1}, "ride_id": 1}', "InvalidInput"),
        (ride_record(1)[1].replace(b"PULocationID", b"PULocation"), "InvalidInput"),
        (ride_record(1, "")[1], "InvalidInput"),
        (ride_record(1, "x" * 257)[1], "InvalidInput"),
        (b" " * 1001, "TooLarge"),
    ],
)
def test_E8_a_bad_record_has_a_reason_and_its_neighbours_are_scored(
    processor: Processor, data: bytes, reason: str
) -> None:
    good = ride_record(3)[1]
    before, bad, after = processor.process([record(good, 1), record(data, 2), record(good, 3)])
    assert isinstance(bad, Bad)
    assert (bad.reason, bad.record.sequence) == (reason, "2")
    assert isinstance(before, Scored)
    assert isinstance(after, Scored)


def test_a_bad_records_reason_does_not_quote_it(processor: Processor) -> None:
    data = b'{"ride": {"my secret": 1}, "ride_id": 1}'
    [outcome] = processor.process([record(data)])
    assert isinstance(outcome, Bad)
    assert "secret" not in outcome.detail


def test_members_beside_ride_and_id_are_the_producers_own(processor: Processor) -> None:
    document = json.loads(ride_record(1)[1]) | {"sent_at": "2021-03-01"}
    [outcome] = processor.process([record(json.dumps(document).encode())])
    assert isinstance(outcome, Scored)


@pytest.mark.parametrize("cursed", [[0], [5], [9], [0, 1, 2], [3, 4, 8], list(range(10))])
def test_E8_a_ride_at_which_the_model_fails_is_bad_alone(
    loaded_rides: Loaded, cursed: list[int]
) -> None:
    curse = {float(number) for number in cursed}

    def predict(features: list[dict[str, float]]) -> list[float]:
        if curse & {each["trip_distance"] for each in features}:
            raise ValueError("cursed")
        return [each["trip_distance"] for each in features]

    scorer = Scorer(loaded_rides.scorer.use_case, predict)
    processor = Processor(scorer, loaded_rides.release, "s", tries=2)
    ride = {"PULocationID": 1, "DOLocationID": 2}
    records = [
        record(json.dumps({"ride": ride | {"trip_distance": i}, "ride_id": i}).encode(), i)
        for i in range(10)
    ]
    outcomes = processor.process(records)
    assert [each.record for each in outcomes] == records
    bad = [each for each in outcomes if isinstance(each, Bad)]
    assert [int(each.record.sequence) for each in bad] == cursed
    assert all((each.reason, each.tries) == ("ModelFailed", 2) for each in bad)
    for each in outcomes:
        if isinstance(each, Scored):
            assert each.event["prediction"]["ride_duration"] == each.ride_id


def test_a_model_that_fails_once_is_tried_again(loaded_rides: Loaded) -> None:
    calls = []

    def predict(features: list[dict[str, float]]) -> list[float]:
        calls.append(len(features))
        if len(calls) < 3:
            raise ModelFailed("not yet")
        return [1.0] * len(features)

    processor = Processor(
        Scorer(loaded_rides.scorer.use_case, predict), loaded_rides.release, "s", tries=3
    )
    [outcome] = processor.process([record(ride_record(1)[1])])
    assert isinstance(outcome, Scored)


@given(st.lists(st.integers(0, 500), min_size=1, max_size=40), st.integers(0, 40))
def test_E8_events_are_the_same_bytes_however_the_records_are_cut_into_batches(
    loaded_rides: Loaded, numbers: list[int], cut: int
) -> None:
    processor = Processor(loaded_rides.scorer, loaded_rides.release, "ride_events")
    records = [record(ride_record(number)[1], index) for index, number in enumerate(numbers)]
    whole = [each.entry for each in processor.process(records) if isinstance(each, Scored)]
    parts = [*processor.process(records[:cut]), *processor.process(records[cut:])]
    assert [each.entry for each in parts if isinstance(each, Scored)] == whole
    ids = [json.loads(entry.data)["event_id"] for entry in whole]
    assert len(set(ids)) == len(numbers)


@given(st.one_of(st.integers(), st.text()), st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_key_that_is_in_a_share_stays_in_a_larger_one(
    key: int | str, first: int, second: int
) -> None:
    low, high = sorted((first, second))
    assert not (in_share(key, low) and not in_share(key, high))
    assert not in_share(key, 0)
    assert in_share(key, 10_000)


@pytest.mark.parametrize("weight", [500, 2500, 5000])
def test_the_share_of_ten_thousand_keys_is_the_weight(weight: int) -> None:
    chosen = sum(in_share(number, weight) for number in range(10_000))
    assert abs(chosen - weight) <= 100
