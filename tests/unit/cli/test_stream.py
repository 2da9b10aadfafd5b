"""`slipway stream`, `slipway consume` and `slipway lambda` as a person runs them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.consumer_process import consumers
from tests.kinesis_stand_in import (
    CREDENTIALS,
    Fault,
    StandIn,
    lambda_event,
    ride_record,
    stand_in,
)
from tests.service_process import HOST, SLIPWAY, bare_environment, free_port, post
from tests.waiting import until

from slipway.cli.stream import _tail
from slipway.clients.kinesis import KinesisStream
from slipway.clients.streams import Position
from slipway.stream.lambda_runtime import INVOCATIONS


@pytest.fixture
def kinesis() -> Iterator[StandIn]:
    with stand_in() as found:
        found.make("ride_events", "ride_predictions")
        yield found


def slipway(kinesis: StandIn, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    endpoint = {"KINESIS_ENDPOINT_URL": kinesis.url}
    return subprocess.run(
        [*SLIPWAY, *arguments],
        env={**bare_environment(), **CREDENTIALS, **endpoint},
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_is_sent_is_read_and_the_lag_tells_who_is_how_far(
    kinesis: StandIn, ride_model: Path
) -> None:
    lines = "".join(ride_record(number)[1].decode() + "\n" for number in range(20))
    sent = slipway(kinesis, "stream", "send", text=lines)
    assert sent.returncode == 0, sent.stderr
    assert "sent 20 records to ride_events" in sent.stderr
    keys = {each["PartitionKey"] for each in kinesis.records("ride_events")}
    assert keys == {str(number) for number in range(20)}
    told = slipway(kinesis, "stream", "lag", "mine", "-o", "json")
    assert kinesis.client("dynamodb").list_tables()["TableNames"] == []
    assert "no consumer mine has begun with ride_events" in told.stderr
    before = json.loads(told.stdout)
    assert {each["state"] for each in before} == {"not begun"}
    assert max(each["behind"] for each in before) > 0
    with consumers(kinesis) as running:
        consumer = running.start(
            "mine",
            MODEL_LOCATION=str(ride_model),
            PREDICTIONS_STREAM_NAME="ride_predictions",
            SLIPWAY_DEAD_LETTERS="",
        )
        until(lambda: len(kinesis.records("ride_predictions")) == 20, 40, consumer.told())
        me = consumer.status()["consumer"]
        after = json.loads(slipway(kinesis, "stream", "lag", "mine", "-o", "json").stdout)
    assert {(each["state"], each["owner"], each["behind"]) for each in after} == {
        ("reading", me, 0.0)
    }
    shown = slipway(kinesis, "stream", "read", "--limit", "20")
    read = [json.loads(line)["prediction"]["ride_id"] for line in shown.stdout.splitlines()]
    assert sorted(read) == list(range(20))


def test_read_ends_when_nothing_more_comes(kinesis: StandIn) -> None:
    done = slipway(kinesis, "stream", "read", "--seconds", "0")
    assert (done.returncode, done.stdout) == (0, "")


def sent(kinesis: StandIn, numbers: range) -> None:
    kinesis.send("ride_predictions", [(str(number), str(number).encode()) for number in numbers])


def test_read_goes_on_after_an_expired_iterator_and_repeats_nothing(kinesis: StandIn) -> None:
    sent(kinesis, range(20))
    source = KinesisStream(kinesis.client("kinesis"), "ride_predictions")
    shown = _tail(source, Position(), deadline=0.0)
    found = [next(shown)]
    # The first shard's once it has shown all, and the second one's before it has shown any.
    kinesis.faults.append(Fault("GetRecords", "ExpiredIteratorException", times=2))
    found += shown
    assert sorted(map(int, found)) == list(range(20))


def test_read_follows_a_resharding_from_where_it_is(kinesis: StandIn) -> None:
    sent(kinesis, range(20))
    source = KinesisStream(kinesis.client("kinesis"), "ride_predictions")
    shown = _tail(source, Position(), deadline=0.0)
    found = [next(shown)]
    kinesis.split("ride_predictions", "shardId-000000000000")
    sent(kinesis, range(20, 40))
    found += shown
    assert sorted(map(int, found)) == list(range(40))


def test_a_throttled_stream_is_sent_to_and_read_more_slowly(kinesis: StandIn) -> None:
    slowly = "ProvisionedThroughputExceededException"
    kinesis.faults += [Fault("PutRecords", slowly), Fault("PutRecords", "Partial", times=2)]
    lines = "".join(ride_record(number)[1].decode() + "\n" for number in range(9))
    assert slipway(kinesis, "stream", "send", text=lines).returncode == 0
    assert len(kinesis.records("ride_events")) == 9
    kinesis.faults.append(Fault("GetRecords", slowly, times=3))
    read = slipway(kinesis, "stream", "read", "--stream", "ride_events", "--limit", "9")
    assert len(read.stdout.splitlines()) == 9, read.stderr
    kinesis.faults += [Fault("GetRecords", slowly), Fault("GetShardIterator", slowly)]
    lag = slipway(kinesis, "stream", "lag", "mine", "-o", "json")
    assert len(json.loads(lag.stdout)) == 2, lag.stderr
    assert not kinesis.faults


@pytest.mark.parametrize(
    ("arguments", "text", "code", "said"),
    [
        (("stream", "send"), "{", 1, "line 1 is no JSON"),
        (("stream", "send", "--stream", "none"), "{}", 3, "the stream none is not there"),
        (("stream", "send"), '"' + "x" * (1 << 20) + '"', 2, "the stream ride_events refuses"),
        (("stream", "lag", "mine", "--stream", "none"), "", 3, "the stream none is not there"),
        (("stream", "lag"), "", 2, "SLIPWAY_APPLICATION"),
        (("stream", "read", "--stream", "no/name"), "", 2, "PREDICTIONS_STREAM_NAME"),
        (("consume", "models:/a/1"), "", 2, "SLIPWAY_APPLICATION"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    kinesis: StandIn, arguments: tuple[str, ...], text: str, code: int, said: str
) -> None:
    done = slipway(kinesis, *arguments, text=text)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_consumer_waits_for_a_stream_that_is_not_there_yet_and_says_so(
    kinesis: StandIn, ride_model: Path
) -> None:
    """Alive, so that nothing restarts it, and not ready."""
    with consumers(kinesis) as running:
        consumer = running.start(
            "early",
            MODEL_LOCATION=str(ride_model),
            SLIPWAY_STREAM_NAME="later",
            PREDICTIONS_STREAM_NAME="ride_predictions",
            SLIPWAY_DEAD_LETTERS="",
        )
        until(lambda: consumer.answer("/readyz")[0] == 503, 40, consumer.told())
        assert (
            b"the stream later does not answer, or is not there yet"
            in consumer.answer("/readyz")[1]
        )
        assert consumer.answer("/livez")[0] == 200
        assert consumer.status()["trouble"].startswith("the stream later")
        kinesis.make("later")
        consumer.wait_ready()
        kinesis.send("later", [ride_record(1)])
        until(lambda: len(kinesis.records("ride_predictions")) == 1, 40, consumer.told())


def test_R27_the_function_answers_at_the_emulators_address(
    kinesis: StandIn, ride_model: Path
) -> None:
    port = free_port()
    process = subprocess.Popen(
        [*SLIPWAY, "lambda", "--port", str(port)],
        env={
            **bare_environment(),
            **CREDENTIALS,
            "KINESIS_ENDPOINT_URL": kinesis.url,
            "MODEL_LOCATION": str(ride_model),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://{HOST}:{port}{INVOCATIONS}"

    def answer() -> dict[str, object] | None:
        assert process.poll() is None
        try:
            return dict(post(url, lambda_event(ride_record(1, 256)[1]))[1])
        except OSError:
            return None

    try:
        predictions = until(answer, 40)["predictions"]
    finally:
        process.terminate()
        assert process.wait(10) == 0
    assert kinesis.documents("ride_predictions") == predictions


def test_R27_a_function_that_cannot_start_says_why() -> None:
    done = subprocess.run(
        [*SLIPWAY, "lambda"],
        env={**bare_environment(), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "MODEL_RUN_ID" in done.stderr
