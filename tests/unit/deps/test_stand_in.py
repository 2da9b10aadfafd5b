"""The stand-in for Kinesis is as Kinesis is, where moto is not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from k8s.deps.kinesis import stand_in as module
from tests.kinesis_stand_in import CREDENTIALS, StandIn, stand_in
from tests.service_process import bare_environment

from slipway.clients.kinesis import KinesisStream
from slipway.clients.streams import Entry, Position

FIRST, SECOND = "shardId-000000000000", "shardId-000000000001"


@pytest.fixture
def server() -> Iterator[StandIn]:
    with stand_in() as found:
        yield found


def put(server: StandIn, *keys: int) -> None:
    server.send("rides", [(str(key), b"x") for key in keys])


def by_shard(server: StandIn) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in server.records("rides"):
        found.setdefault(each["Shard"], []).append(each["PartitionKey"])
    return found


def test_after_a_split_old_records_stay_and_new_ones_go_to_the_children(server: StandIn) -> None:
    server.make("rides", shards=1)
    put(server, *range(20))
    old = by_shard(server)
    server.split("rides", FIRST)
    assert by_shard(server) == old
    put(server, *range(20, 60))
    found = by_shard(server)
    assert found.pop(FIRST) == old[FIRST]
    assert len(found) == 2
    assert sorted(int(key) for keys in found.values() for key in keys) == list(range(20, 60))


def test_after_a_merge_old_records_stay_and_new_ones_go_to_the_child(server: StandIn) -> None:
    server.make("rides", shards=2)
    put(server, *range(20))
    old = by_shard(server)
    server.client("kinesis").merge_shards(
        StreamName="rides", ShardToMerge=FIRST, AdjacentShardToMerge=SECOND
    )
    put(server, *range(20, 40))
    found = by_shard(server)
    assert {FIRST: found.pop(FIRST), SECOND: found.pop(SECOND)} == old
    assert list(found.values()) == [[str(key) for key in range(20, 40)]]


def test_a_closed_shard_that_is_read_to_its_end_has_no_next_iterator(server: StandIn) -> None:
    server.make("rides", shards=1)
    put(server, 1, 2)
    stream = KinesisStream(server.client("kinesis"), "rides")
    following: str | None = stream.iterator(FIRST, Position())
    for _ in range(2):
        assert following
        following = stream.read(FIRST, following, 10).following
    assert following, "an open one has always a next one"
    server.split("rides", FIRST)
    assert stream.read(FIRST, following, 10).following is None


def test_puts_at_the_same_time_take_different_numbers(server: StandIn) -> None:
    server.make("rides", shards=1)
    stream = KinesisStream(server.client("kinesis"), "rides")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: stream.put([Entry("k", b"x")] * 20), range(20)))
    assert len(server.records("rides")) == 400


def test_as_a_process_it_makes_the_streams_that_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, str(Path(module.__file__)), "--port", "0", "rides:2", "events"]
    with subprocess.Popen(
        command, env=bare_environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            client = StandIn(process.stdout.readline().strip()).client("kinesis")
            sizes = {
                name: len(KinesisStream(client, name).shards()) for name in ("rides", "events")
            }
        finally:
            process.terminate()
        assert process.wait(10) == 0
    assert sizes == {"rides": 2, "events": 1}
