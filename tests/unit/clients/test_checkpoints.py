"""The checkpoint table (moto's DynamoDB): who may move a checkpoint, and who may not any more."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.kinesis_stand_in import Fault, StandIn, stand_in

from slipway.clients.checkpoints import DynamoCheckpoints, Lease, Worker
from slipway.errors import Conflict, Unavailable


@pytest.fixture
def server() -> Iterator[StandIn]:
    with stand_in() as found:
        yield found


@pytest.fixture
def table(server: StandIn) -> DynamoCheckpoints:
    found = DynamoCheckpoints(server.client("dynamodb"), "checkpoints", "app/rides/1")
    assert found.rows() == ([], []), "the first look makes the table"
    return found


def test_a_lease_is_taken_in_a_new_epoch_and_keeps_its_checkpoint(table: DynamoCheckpoints) -> None:
    first = table.take(Lease("s1", since=12.5), "a")
    assert first == Lease("s1", "a", 1, since=12.5)
    table.save(dataclasses.replace(first, sequence="42"))
    assert table.take(first, "b") == Lease("s1", "b", 2, "42", 12.5)


def test_E8_whoever_lost_a_lease_moves_no_checkpoint_any_more(table: DynamoCheckpoints) -> None:
    lost = table.take(Lease("s1"), "a")
    held = table.take(lost, "b")
    for call in (table.save, table.forget):
        with pytest.raises(Conflict):
            call(lost)
    table.save(dataclasses.replace(held, sequence="7"))
    assert table.rows()[0] == [dataclasses.replace(held, sequence="7")]


def test_E8_the_same_consumer_in_a_new_epoch_is_another_one(table: DynamoCheckpoints) -> None:
    old = table.take(Lease("s1"), "a")
    table.take(old, "a")
    with pytest.raises(Conflict):
        table.save(old)


def test_of_many_who_take_a_lease_at_once_one_gets_it(table: DynamoCheckpoints) -> None:
    def take(number: int) -> bool:
        try:
            table.take(Lease("s1"), f"worker-{number}")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(16))) == 1


def test_a_lease_that_is_given_back_has_no_owner(table: DynamoCheckpoints) -> None:
    held = table.take(Lease("s1"), "a")
    table.save(held, release=True)
    assert table.rows()[0] == [Lease("s1", "", 1)]
    table.forget(table.take(Lease("s1", "", 1), "a"))
    assert table.rows()[0] == []


def test_applications_see_their_own_rows_only(table: DynamoCheckpoints, server: StandIn) -> None:
    other = DynamoCheckpoints(server.client("dynamodb"), "checkpoints", "tip/rides/1")
    table.take(Lease("s1"), "a")
    table.beat("a", 3)
    assert other.rows() == ([], [])
    assert table.rows()[1] == [Worker("a", 3)]
    table.leave("a")
    assert table.rows()[1] == []


def test_a_table_that_is_throttled_is_unavailable(
    table: DynamoCheckpoints, server: StandIn
) -> None:
    server.faults.append(Fault("Query", "ProvisionedThroughputExceededException"))
    with pytest.raises(Unavailable, match="less often"):
        table.rows()
