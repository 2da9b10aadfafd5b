"""`lambda_handler(event, context)`, with the course's event and with bad ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.kinesis_stand_in import StandIn, course_event, lambda_event, ride_record

from slipway.errors import InvalidConfig, InvalidInput, Unavailable
from slipway.models.obtain import Loaded
from slipway.settings import LambdaSettings, read_settings
from slipway.stream import lambda_handler as module
from slipway.stream.lambda_handler import handler_of, lambda_handler


def settings(model: Path, kinesis: StandIn | None = None, **given: object) -> LambdaSettings:
    endpoint = kinesis.url if kinesis else ""
    return read_settings(LambdaSettings, location=str(model), kinesis_endpoint=endpoint, **given)


def test_R22_R23_the_courses_event_by_the_courses_names(
    ride_model: Path, loaded_rides: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_LOCATION", str(ride_model))
    monkeypatch.setenv("TEST_RUN", "True")
    module._handler.cache_clear()
    [prediction] = lambda_handler(course_event(), None)["predictions"]
    module._handler.cache_clear()
    assert prediction["model"] == "ride_duration_prediction_model"
    assert prediction["version"] == loaded_rides.release.version
    assert prediction["prediction"]["ride_id"] == 256
    assert isinstance(prediction["prediction"]["ride_duration"], float)


def test_R21_R24_R26_the_event_is_put_with_the_rides_id_as_its_key(
    ride_model: Path, kinesis: StandIn
) -> None:
    kinesis.make("ride_predictions")
    answer = handler_of(settings(ride_model, kinesis))(lambda_event(ride_record(1, 256)[1]))
    [record] = kinesis.records("ride_predictions")
    assert record["PartitionKey"] == "256"
    assert [json.loads(record["Data"])] == answer["predictions"]


def test_R23_a_test_run_puts_nothing(ride_model: Path, kinesis: StandIn) -> None:
    kinesis.make("ride_predictions")
    handler = handler_of(settings(ride_model, kinesis, test_run=True))
    assert len(handler(lambda_event(ride_record(1)[1]))["predictions"]) == 1
    assert kinesis.records("ride_predictions") == []


def test_bad_records_are_named_where_the_event_source_asks(
    ride_model: Path, kinesis: StandIn
) -> None:
    kinesis.make("ride_predictions")
    handler = handler_of(settings(ride_model, kinesis, partial_responses=True))
    event = lambda_event(ride_record(1)[1], b"{", ride_record(2)[1], b"")
    event["Records"][3]["kinesis"]["data"] = "no base64!"
    answer = handler(event)
    assert answer["batchItemFailures"] == [{"itemIdentifier": "2"}, {"itemIdentifier": "4"}]
    assert len(answer["predictions"]) == 2
    assert handler(lambda_event(ride_record(1)[1]))["batchItemFailures"] == []


def test_bad_records_fail_the_call_where_nobody_else_takes_them(
    ride_model: Path, kinesis: StandIn
) -> None:
    kinesis.make("ride_predictions")
    handler = handler_of(settings(ride_model, kinesis))
    with pytest.raises(InvalidInput, match="1 records are bad, the first: Malformed"):
        handler(lambda_event(ride_record(1)[1], b"{"))


def test_bad_records_go_to_the_dead_letters_and_fail_nothing(
    ride_model: Path, kinesis: StandIn
) -> None:
    kinesis.make("ride_predictions", "dead")
    handler = handler_of(settings(ride_model, kinesis, dead_letters="dead"))
    event = lambda_event(b"{", ride_record(1)[1], b"")
    event["Records"][2]["kinesis"]["data"] = "no base64!"
    assert len(handler(event)["predictions"]) == 1
    letters = {each["sequence_number"]: each["reason"] for each in kinesis.documents("dead")}
    assert letters == {"1": "Malformed", "3": "BadBase64"}


def test_E9_an_output_that_does_not_take_them_fails_the_records(
    ride_model: Path, kinesis: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.3)
    event = lambda_event(ride_record(1)[1], ride_record(2)[1])
    answer = handler_of(settings(ride_model, kinesis, partial_responses=True))(event)
    assert [each["itemIdentifier"] for each in answer["batchItemFailures"]] == ["1", "2"]
    with pytest.raises(Unavailable, match="ride_predictions is not there"):
        handler_of(settings(ride_model, kinesis))(event)


@pytest.mark.parametrize("event", [{}, [], {"Records": 1}, {"Records": [{"s3": {}}]}])
def test_an_event_of_another_source_is_refused(ride_model: Path, event: object) -> None:
    with pytest.raises(InvalidInput, match="must be a Kinesis event"):
        handler_of(settings(ride_model, test_run=True))(event)  # type: ignore[arg-type]


def test_without_a_model_it_says_which_variable_is_missing() -> None:
    with pytest.raises(InvalidConfig, match="MODEL_RUN_ID"):
        handler_of(read_settings(LambdaSettings))
