"""Measures the stream: scoring, a whole consumer, and memory, each beside something bare.

    python -m loadtest.bench.stream [--records N] [--flat N]

- the processor beside the course's way, one record at a time through MLflow's pyfunc;
- a consumer beside a loop that only reads and writes, on the same stand-in for Kinesis, in turns;
- a consumer's memory after N records beside that after a tenth of them, on a stream that is made up
  as it is read.

What counts are ratios of one run; nothing is judged.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow.pyfunc
from tests.artifacts import save_ride_model
from tests.kinesis_stand_in import CREDENTIALS, ride_record

from slipway.clients.checkpoints import DynamoCheckpoints, Lease, Worker
from slipway.clients.kinesis import KinesisStream, aws_client
from slipway.clients.streams import Batch, Entry, Position, Record, Shard, Stream
from slipway.logs import configure_cli
from slipway.metrics import StreamMetrics
from slipway.models.obtain import obtain
from slipway.settings import ModelSettings, read_settings
from slipway.stream.consumer import Consumer, Places, Rules
from slipway.stream.patience import Patience
from slipway.stream.processor import Processor
from slipway.stream.scoring import Scoring

RECORDS, FLAT, ONE_BY_ONE, TURNS = 10_000, 1_000_000, 2_000, 3
BATCH = 500


def course(loaded: Any, records: Sequence[Record]) -> float:
    """Seconds a record: decode, features, pyfunc, event; written from the course's description."""
    began = time.perf_counter()
    for record in records:
        told = json.loads(record.data)
        ride = told["ride"]
        features = {
            "PU_DO": f"{ride['PULocationID']}_{ride['DOLocationID']}",
            "trip_distance": ride["trip_distance"],
        }
        prediction = float(loaded.predict([features])[0])
        json.dumps({"prediction": {"ride_duration": prediction, "ride_id": told["ride_id"]}})
    return (time.perf_counter() - began) / len(records)


def slipway(processor: Processor, records: Sequence[Record]) -> float:
    """Seconds a record by the processor, in batches."""
    began = time.perf_counter()
    for start in range(0, len(records), BATCH):
        for outcome in processor.process(records[start : start + BATCH]):
            outcome.entry  # type: ignore[union-attr]  # noqa: B018 - its bytes are made by asking
    return (time.perf_counter() - began) / len(records)


def bare(kinesis: Any, source: str, target: str, count: int) -> float:
    """Seconds of reading all records and putting each of them out again, unseen."""
    began, seen = time.perf_counter(), 0
    for shard in kinesis.list_shards(StreamName=source)["Shards"]:
        place = kinesis.get_shard_iterator(
            StreamName=source, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while page := kinesis.get_records(ShardIterator=place, Limit=BATCH):
            if not page["Records"]:
                break
            records = [
                {"Data": each["Data"], "PartitionKey": each["PartitionKey"]}
                for each in page["Records"]
            ]
            kinesis.put_records(StreamName=target, Records=records)
            seen += len(records)
            place = page["NextShardIterator"]
    if seen != count:
        raise SystemExit(f"{seen} of {count} records were read")
    return time.perf_counter() - began


def consumed(places: Places, processor: Processor, output: Counting, count: int) -> float:
    """Seconds of a consumer from its first turn to its last put."""
    scoring = Scoring(processor)
    consumer = Consumer(
        "bench",
        places,
        lambda: scoring,
        Patience(threading.Event()),
        StreamMetrics("bench"),
        Rules(batch_records=BATCH),
    )
    began = time.perf_counter()
    while output.count < count:
        if not consumer.turn():
            time.sleep(0.001)
    return time.perf_counter() - began


class Counting(KinesisStream):
    """A stream of Kinesis that counts what was put."""

    count = 0

    def put(self, entries: Sequence[Entry]) -> list[int]:
        """As Kinesis does."""
        failed = super().put(entries)
        self.count += len(entries) - len(failed)
        return failed


class MadeUp:
    """A stream whose records are made as they are read, and that swallows what is put."""

    name = "made_up"

    def __init__(self) -> None:
        self.count = 0

    def made(self) -> str:
        """Always the same."""
        return "1"

    def shards(self) -> list[Shard]:
        """One."""
        return [Shard("s")]

    def iterator(self, shard: str, position: Position) -> str:  # noqa: ARG002
        """The number of the next record."""
        return str(int(position.after or -1) + 1)

    def read(self, shard: str, iterator: str, limit: int) -> Batch:
        """The next ones; there are always more."""
        first = int(iterator)
        records = tuple(
            Record(shard, str(number), *ride_record(number))
            for number in range(first, first + limit)
        )
        return Batch(records, str(first + limit), 0.0)

    def put(self, entries: Sequence[Entry]) -> list[int]:
        """Takes all."""
        self.count += len(entries)
        return []


class Remembered:
    """Checkpoints in memory, for one consumer."""

    def __init__(self) -> None:
        self.lease = Lease("s")

    def rows(self) -> tuple[list[Lease], list[Worker]]:
        """The one lease."""
        return ([self.lease] if self.lease.epoch else []), []

    def beat(self, worker: str, beat: int) -> None:
        """Nobody else looks."""

    def leave(self, worker: str) -> None:
        """Nobody else looks."""

    def take(self, lease: Lease, owner: str) -> Lease:
        """Always there."""
        self.lease = Lease(lease.shard, owner, lease.epoch + 1, lease.sequence)
        return self.lease

    def save(self, lease: Lease, *, release: bool = False) -> None:  # noqa: ARG002
        """Keep it."""
        self.lease = lease

    def forget(self, lease: Lease) -> None:
        """Nothing is finished here."""


def flat(processor: Processor, count: int) -> tuple[float, float]:
    """A consumer's resident megabytes after a tenth of the records, and after all."""
    stream: Stream = (made := MadeUp())
    scoring = Scoring(processor)
    consumer = Consumer(
        "bench",
        Places(stream, stream, lambda _bad: None, Remembered()),
        lambda: scoring,
        Patience(threading.Event()),
        StreamMetrics("bench"),
        Rules(),
    )
    found = []
    for until in (count // 10, count):
        while made.count < until:
            consumer.turn()
        found.append(resident())
    return found[0], found[1]


def resident() -> float:
    """This process's memory, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def server() -> Iterator[str]:
    """The address of a stand-in in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "k8s.deps.kinesis.stand_in", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield (process.stdout or sys.stdin).readline().strip()
    finally:
        process.terminate()
        process.wait(10)


def side_by_side(url: str, processor: Processor, count: int) -> Iterator[tuple[float, float]]:
    """Seconds of the bare loop and of a consumer, in turns."""
    kinesis, dynamo = aws_client("kinesis", url), aws_client("dynamodb", url)
    kinesis.create_stream(StreamName="ride_events", ShardCount=1)
    for start in range(0, count, BATCH):
        records = [
            {"PartitionKey": key, "Data": data}
            for key, data in map(ride_record, range(start, min(count, start + BATCH)))
        ]
        kinesis.put_records(StreamName="ride_events", Records=records)
    for turn in range(TURNS):
        output, copied = f"events-{turn}", f"copied-{turn}"
        for name in (output, copied):
            kinesis.create_stream(StreamName=name, ShardCount=1)
        counting = Counting(kinesis, output)
        table = DynamoCheckpoints(dynamo, "checkpoints", output)
        places = Places(KinesisStream(kinesis, "ride_events"), counting, lambda _: None, table)
        ways: list[Callable[[], float]] = [
            lambda copied=copied: bare(kinesis, "ride_events", copied, count),  # type: ignore[misc]
            lambda places=places, counting=counting: consumed(  # type: ignore[misc]
                places, processor, counting, count
            ),
        ]
        first = turn % 2
        taken = {number: ways[number]() for number in (first, 1 - first)}
        yield taken[0], taken[1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--flat", type=int, default=FLAT)
    asked = parser.parse_args()
    configure_cli("warning")
    os.environ.update(CREDENTIALS)
    with tempfile.TemporaryDirectory() as folder:
        model = save_ride_model(Path(folder) / "model")
        loaded = obtain(read_settings(ModelSettings, location=str(model)))
        if loaded is None:
            raise SystemExit("the model that was just saved is not there")
        processor = Processor(loaded.scorer, loaded.release, "ride_events")
        records = [Record("s", str(n), *ride_record(n)) for n in range(asked.records)]
        pyfunc = mlflow.pyfunc.load_model(str(model))
        # In turns, so that what the machine does meanwhile falls on both alike.
        scored = [
            (course(pyfunc, some), slipway(processor, some))
            for start in range(0, min(ONE_BY_ONE, len(records)), BATCH)
            for some in [records[start : start + BATCH]]
        ]
        slow, quick = sorted(scored, key=lambda pair: pair[0] / pair[1])[len(scored) // 2]
        print(
            f"scoring    {1e6 * slow:8.1f} us a record by the course's way, {1e6 * quick:.1f} us "
            f"by the processor: {slow / quick:.0f} times as fast",
            flush=True,
        )
        with server() as url:
            pairs = list(side_by_side(url, processor, asked.records))
        ratio = sorted(ours / theirs for theirs, ours in pairs)[len(pairs) // 2]
        theirs, ours = min(pairs)
        print(
            f"consuming  {asked.records / theirs:8.0f} records a second read and written, "
            f"{asked.records / ours:.0f} consumed: {ratio:.2f} times as long",
            flush=True,
        )
        tenth, whole = flat(processor, asked.flat)
        print(
            f"memory     {tenth:8.1f} MB after {asked.flat // 10:,} records, {whole:.1f} MB after "
            f"{asked.flat:,}: {whole / tenth:.3f} times as much"
        )


if __name__ == "__main__":
    main()
