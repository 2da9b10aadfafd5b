"""The stand-in of `k8s/deps/kinesis` in this process, with faults that a test asks for."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from k8s.deps.kinesis.stand_in import WSGI, Quiet, application
from moto.dynamodb.models import dynamodb_backends
from moto.kinesis.models import kinesis_backends
from werkzeug.serving import make_server

from slipway.clients.kinesis import aws_client

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIDOFTHETEST", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}
ACCOUNT = "123456789012"
# The data of the course's test event.
COURSE = (
    "ewogICAgICAgICJyaWRlIjogewogICAgICAgICAgICAiUFVMb2NhdGlvbklEIjogMTMwLAogICAgICAgICAg"
    "ICAiRE9Mb2NhdGlvbklEIjogMjA1LAogICAgICAgICAgICAidHJpcF9kaXN0YW5jZSI6IDMuNjYKICAgICAg"
    "ICB9LCAKICAgICAgICAicmlkZV9pZCI6IDI1NgogICAgfQ=="
)


@dataclass
class Fault:
    """What the next `times` calls of `target` answer; for `Partial` half is not taken."""

    target: str
    error: str
    times: int = 1


@dataclass
class StandIn:
    """The server: its address, the calls that it had, and the faults still to come."""

    url: str = ""
    faults: list[Fault] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def client(self, service: str) -> Any:
        """A client of one of its services."""
        return aws_client(service, self.url)

    def make(self, *names: str, shards: int = 2) -> None:
        """Make streams."""
        for name in names:
            self.client("kinesis").create_stream(StreamName=name, ShardCount=shards)

    def send(self, name: str, records: Iterable[tuple[str, bytes]]) -> None:
        """Put records, 500 at a time."""
        kinesis, chunk = self.client("kinesis"), []
        for key, data in [*records]:
            chunk.append({"PartitionKey": key, "Data": data})
            if len(chunk) == 500:
                kinesis.put_records(StreamName=name, Records=chunk)
                chunk = []
        if chunk:
            kinesis.put_records(StreamName=name, Records=chunk)

    def records(self, name: str) -> list[dict[str, Any]]:
        """All records of a stream, shard by shard, without asking the server."""
        with self.lock:
            shards = kinesis_backends[ACCOUNT]["us-east-1"].streams[name].shards
            return [
                {
                    "Shard": shard.shard_id,
                    "SequenceNumber": str(record.sequence_number),
                    "PartitionKey": record.partition_key,
                    "Data": base64.b64decode(record.data),
                }
                for shard in shards.values()
                for record in shard.records.values()
            ]

    def size(self, name: str) -> int:
        """How many records a stream has; cheap, for those who wait while the server works."""
        with self.lock:
            shards = kinesis_backends[ACCOUNT]["us-east-1"].streams[name].shards
            return sum(len(shard.records) for shard in shards.values())

    def documents(self, name: str) -> list[dict[str, Any]]:
        """The JSON documents of a stream's records."""
        return [json.loads(record["Data"]) for record in self.records(name)]

    def split(self, name: str, shard: str) -> None:
        """Split a shard in its middle."""
        kinesis = self.client("kinesis")
        told = next(
            each
            for each in kinesis.list_shards(StreamName=name)["Shards"]
            if each["ShardId"] == shard
        )["HashKeyRange"]
        middle = (int(told["StartingHashKey"]) + int(told["EndingHashKey"])) // 2
        kinesis.split_shard(StreamName=name, ShardToSplit=shard, NewStartingHashKey=str(middle))

    def wrap(self, inner: WSGI) -> WSGI:
        """The server's application with faults."""

        def faulty(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            target = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
            with self.lock:
                self.calls.append(target)
                fault = next((each for each in self.faults if each.target == target), None)
                if fault is None:
                    return inner(environ, start)
                fault.times -= 1
                if not fault.times:
                    self.faults.remove(fault)
                if fault.error == "Partial":
                    return _half(inner, environ, start)
                body = json.dumps({"__type": fault.error, "message": "as the test wants it"})
                start("400 BAD REQUEST", [("Content-Type", "application/x-amz-json-1.1")])
                return [body.encode()]

        return faulty


def _half(inner: WSGI, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """Every second record of a PutRecords is taken; the others are throttled."""
    asked = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    taken = json.dumps({**asked, "Records": asked["Records"][::2]}).encode()
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(taken), str(len(taken))
    answer = json.loads(b"".join(inner(environ, lambda *_: None)))
    refused = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slowly"}
    told = [refused if index % 2 else answer["Records"][index // 2]
            for index in range(len(asked["Records"]))]  # fmt: skip
    body = json.dumps({"FailedRecordCount": len(told) // 2, "Records": told}).encode()
    start("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
    return [body]


@contextlib.contextmanager
def stand_in() -> Iterator[StandIn]:
    """A server for the length of a test, with credentials that it takes in this environment."""
    found = StandIn()
    # What an earlier server of this process held is held by the process.
    for kept in (kinesis_backends, dynamodb_backends):
        kept.reset()
    before = dict(os.environ)
    os.environ.update(CREDENTIALS)
    wsgi = found.wrap(application(found.lock))
    server = make_server("127.0.0.1", 0, wsgi, threaded=True, request_handler=Quiet)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        for name in CREDENTIALS:
            os.environ.pop(name, None)
        os.environ.update({name: before[name] for name in CREDENTIALS if name in before})
        server.shutdown()
        server.server_close()
        thread.join(5)


def ride_record(number: int, ride_id: int | str | None = None) -> tuple[str, bytes]:
    """A sound ride as a record: partition key and bytes."""
    ride = {
        "PULocationID": (10, 43, 130, 166)[number % 4],
        "DOLocationID": (50, 151, 205)[number % 3],
        "trip_distance": round(0.5 + number % 200 / 10, 2),
    }
    ride_id = number if ride_id is None else ride_id
    return str(ride_id), json.dumps({"ride": ride, "ride_id": ride_id}).encode()


def lambda_event(*datas: bytes) -> dict[str, Any]:
    """Records as Lambda gets them from Kinesis."""
    return {
        "Records": [
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": "1",
                    "sequenceNumber": str(number + 1),
                    "data": base64.b64encode(data).decode(),
                    "approximateArrivalTimestamp": time.time(),
                },
                "eventSource": "aws:kinesis",
                "eventID": f"shardId-000000000000:{number + 1}",
                "eventName": "aws:kinesis:record",
                "awsRegion": "us-east-1",
            }
            for number, data in enumerate(datas)
        ]
    }


def course_event() -> dict[str, Any]:
    """The course's test event: one record, its data as it stands there."""
    event = lambda_event(b"")
    event["Records"][0]["kinesis"]["data"] = COURSE
    return event
