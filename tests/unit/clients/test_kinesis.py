"""Kinesis' client against moto's server: what is read, what is put, and what errors become."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.kinesis_stand_in import Fault, StandIn, stand_in

from slipway.clients.kinesis import KinesisStream, aws_client
from slipway.clients.streams import Entry, Position
from slipway.errors import InputDataMissing, IteratorExpired, SlipwayError, Throttled, Unavailable

SHARD = "shardId-000000000000"


@pytest.fixture
def server() -> Iterator[StandIn]:
    with stand_in() as found:
        found.make("rides", shards=1)
        yield found


@pytest.fixture
def stream(server: StandIn) -> KinesisStream:
    return KinesisStream(server.client("kinesis"), "rides")


def test_records_are_read_from_the_beginning_or_after_a_checkpoint(stream: KinesisStream) -> None:
    assert stream.put([Entry("a", b"1"), Entry("b", b"2"), Entry("c", b"3")]) == []
    batch = stream.read(SHARD, stream.iterator(SHARD, Position()), 2)
    assert [(each.key, each.data) for each in batch.records] == [("a", b"1"), ("b", b"2")]
    assert batch.records[0].arrived > 1e9
    after = Position(batch.records[0].sequence)
    rest = stream.read(SHARD, stream.iterator(SHARD, after), 10)
    assert [each.data for each in rest.records] == [b"2", b"3"]


def test_records_are_read_from_a_time_on(stream: KinesisStream) -> None:
    stream.put([Entry("a", b"1")])
    later = stream.iterator(SHARD, Position(since=4e9))
    assert stream.read(SHARD, later, 10).records == ()


def test_shards_tell_their_parents_and_whether_they_are_closed(
    stream: KinesisStream, server: StandIn
) -> None:
    stream.put([Entry("a", b"1")])
    assert [(each.name, each.ending) for each in stream.shards()] == [(SHARD, "")]
    server.split("rides", SHARD)
    old, *new = stream.shards()
    assert old.ending == "1"
    assert [each.parents for each in new] == [(SHARD,), (SHARD,)]


def test_E8_what_was_not_taken_is_told_by_its_index(stream: KinesisStream, server: StandIn) -> None:
    server.faults.append(Fault("PutRecords", "Partial"))
    assert stream.put([Entry(str(i), b"x") for i in range(5)]) == [1, 3]
    assert len(server.records("rides")) == 3


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ProvisionedThroughputExceededException", Throttled),
        ("ExpiredIteratorException", IteratorExpired),
        ("ResourceNotFoundException", InputDataMissing),
        ("InternalFailure", Unavailable),
    ],
)
def test_E8_errors_have_a_name_of_ours(
    stream: KinesisStream, server: StandIn, code: str, error: type[SlipwayError]
) -> None:
    iterator = stream.iterator(SHARD, Position())
    server.faults.append(Fault("GetRecords", code))
    with pytest.raises(error):
        stream.read(SHARD, iterator, 1)
    assert server.calls.count("GetRecords") == 1, "nothing is repeated in the client"


def test_a_stream_that_is_not_there_is_named(server: StandIn) -> None:
    with pytest.raises(InputDataMissing, match="the stream none is not there"):
        KinesisStream(server.client("kinesis"), "none").shards()


def test_a_server_that_is_not_there_is_unavailable(server: StandIn) -> None:
    stream = KinesisStream(aws_client("kinesis", "http://127.0.0.1:9"), "rides")
    with pytest.raises(Unavailable, match=r"rides does not answer at http://127\.0\.0\.1:9"):
        stream.made()
