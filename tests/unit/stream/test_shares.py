"""Who reads which shard: all are read, by one each, in equal shares, parents first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from slipway.clients.checkpoints import Lease, Worker
from slipway.clients.streams import Shard
from slipway.stream.shares import Living, change, expired, is_read_out, open_leases

NAMES = st.sets(st.sampled_from("abcdef"), min_size=1)


@given(st.integers(0, 12), NAMES, st.data())
def test_after_a_few_rounds_all_shards_are_read_in_equal_shares(
    count: int, living: set[str], data: st.DataObject
) -> None:
    owners = st.sampled_from([*sorted(living), "", "dead"])
    held = {f"s{number:02}": data.draw(owners) for number in range(count)}
    for _ in range(3):
        for me in data.draw(st.permutations(sorted(living))):
            leases = [Lease(shard, owner, 1) for shard, owner in held.items()]
            done = change(leases, living, me)
            assert not (done.give and done.take)
            assert all(held[name] == me for name in done.give)
            assert all(lease.owner not in living for lease in done.take), "from the living nothing"
            held |= dict.fromkeys(done.give, "") | {lease.shard: me for lease in done.take}
    assert set(held.values()) <= living
    shares = [list(held.values()).count(name) for name in living]
    assert max(shares) - min(shares) <= 1


@given(st.integers(0, 12), NAMES)
def test_what_is_shared_out_equally_stays_as_it_is(count: int, living: set[str]) -> None:
    order = sorted(living)
    leases = [Lease(f"s{i}", order[i % len(order)], 1) for i in range(count)]
    for me in living:
        done = change(leases, living, me)
        assert not done.give
        assert not done.take


def test_E8_children_wait_for_their_parents() -> None:
    old, left, right = Shard("1", ending="9"), Shard("2", ("1",)), Shard("3", ("1",))
    merged = Shard("4", ("2", "3"))
    shards = [old, left, right, merged]

    def names(*leases: Lease) -> list[str]:
        return [lease.shard for lease in open_leases(shards, leases)]

    done = [Lease(name, epoch=1, finished=True) for name in "123"]
    assert names() == ["1"]
    assert names(Lease("1", "a", 1)) == ["1"]
    assert names(done[0]) == ["2", "3"]
    assert names(*done[:2]) == ["3"]
    assert names(*done) == ["4"]
    # The stream forgets a parent when all of its records are too old.
    assert [each.shard for each in open_leases([merged], [])] == ["4"]


def test_a_child_of_a_shard_that_was_read_begins_at_its_beginning() -> None:
    shards = [Shard("1", ending="9"), Shard("2", ("1",)), Shard("5")]
    first = open_leases(shards, [], since=100.0)
    assert {each.shard: each.since for each in first} == {"1": 100.0, "5": 100.0}
    later = open_leases(shards, [Lease("1", epoch=1, finished=True, since=100.0)], since=200.0)
    assert {each.shard: each.since for each in later} == {"2": 0.0, "5": 200.0}


def test_finished_shards_that_the_stream_has_no_more_are_expired() -> None:
    leases = [Lease("1", finished=True), Lease("2", finished=True), Lease("0")]
    assert expired([Shard("2")], leases) == [leases[0]]


def test_a_closed_shard_is_read_out_at_its_last_number() -> None:
    assert not is_read_out(None, "9")
    assert not is_read_out(Shard("1"), "9")
    assert not is_read_out(Shard("1", ending="10"), "9")
    assert is_read_out(Shard("1", ending="10"), "10")


def test_a_consumer_whose_beat_does_not_change_is_dead_after_a_while_and_may_come_back() -> None:
    living = Living(10.0)
    assert living.look([Worker("a", 1)], 0.0) == {"a"}
    assert living.look([Worker("a", 1)], 9.0) == {"a"}
    assert living.look([Worker("a", 1)], 10.0) == set()
    assert living.look([Worker("a", 2)], 11.0) == {"a"}
    assert living.look([Worker("a", 2), Worker("b", 1)], 21.0) == {"b"}
