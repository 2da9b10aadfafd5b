"""No order of accidents loses a record: consumers, kills in any call, resharding, on fakes.

The consumers here take each other for dead at every look, so shards are torn from hand to hand far
more often than they ever are; what the epochs promise has to hold all the same.
"""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes import Killed
from tests.kinesis_stand_in import ride_record

from slipway.clients.checkpoints import Lease, Worker
from slipway.clients.streams import Batch, Entry, Position, Record, Shard
from slipway.errors import Conflict, Throttled
from slipway.metrics import StreamMetrics
from slipway.models.obtain import Loaded
from slipway.stream.consumer import Consumer, Places, Rules
from slipway.stream.patience import Patience
from slipway.stream.processor import Bad, Processor
from slipway.stream.scoring import Scoring

# A countdown that does not end.
NEVER = 1 << 40


class World:
    """A stream, its output and its checkpoint table, in memory; any call may be the last one.

    A caller is killed in its nth call: before that takes effect if `countdown` is 2n, after it if
    that is 2n - 1.
    """

    name = "rides"

    def __init__(self) -> None:
        self.lists: dict[str, list[tuple[str, bytes]]] = {"0": []}
        self.parents: dict[str, tuple[str, ...]] = {"0": ()}
        self.closed: set[str] = set()
        self.sent = 0
        self.events: list[dict[str, Any]] = []
        self.letters: list[str] = []
        self.leases: dict[str, Lease] = {}
        self.countdown = NEVER

    def send(self, count: int) -> None:
        """Rides to the open shards by turns; every seventh record is poison."""
        places = sorted(set(self.lists) - self.closed)
        for _ in range(count):
            self.sent += 1
            key, data = ride_record(self.sent)
            self.lists[places[self.sent % len(places)]].append(
                (key, b"{" if self.sent % 7 == 0 else data)
            )

    def split(self) -> None:
        """The oldest open shard becomes two."""
        old = min(set(self.lists) - self.closed, key=int)
        self.closed.add(old)
        for _ in range(2):
            new = str(len(self.lists))
            self.lists[new], self.parents[new] = [], (old,)

    def step(self) -> bool:
        """Whether this call is to be the last one, once it took effect."""
        self.countdown -= 2
        if self.countdown == 0:
            raise Killed
        return self.countdown == -1

    def made(self) -> str:
        return "1"

    def shards(self) -> list[Shard]:
        return [
            Shard(name, self.parents[name], str(len(kept)) if name in self.closed else "")
            for name, kept in self.lists.items()
        ]

    def iterator(self, _shard: str, position: Position) -> str:
        return position.after or "0"

    def read(self, shard: str, iterator: str, limit: int) -> Batch:
        first, kept = int(iterator), self.lists[shard]
        records = tuple(
            Record(shard, str(first + number + 1), key, data)
            for number, (key, data) in enumerate(kept[first : first + limit])
        )
        end = first + len(records)
        return Batch(records, None if shard in self.closed and end == len(kept) else str(end), 0.0)

    def put(self, entries: Sequence[Entry]) -> list[int]:
        last = self.step()
        self.events += [json.loads(entry.data) for entry in entries]
        if last:
            raise Killed
        return []

    def aside(self, bad: Sequence[Bad]) -> None:
        last = self.step()
        self.letters += [f"{each.record.shard}:{each.record.sequence}" for each in bad]
        if last:
            raise Killed

    def rows(self) -> tuple[list[Lease], list[Worker]]:
        return list(self.leases.values()), []

    def beat(self, worker: str, beat: int) -> None:
        """Nobody looks."""

    def leave(self, worker: str) -> None:
        """Nobody looks."""

    def take(self, lease: Lease, owner: str) -> Lease:
        last = self.step()
        known = self.leases.get(lease.shard, Lease(lease.shard))
        if known.epoch != lease.epoch:
            raise Conflict("taken")
        self.leases[lease.shard] = dataclasses.replace(known, owner=owner, epoch=lease.epoch + 1)
        if last:
            raise Killed
        return self.leases[lease.shard]

    def save(self, lease: Lease, *, release: bool = False) -> None:
        last = self.step()
        known = self.leases[lease.shard]
        if (known.owner, known.epoch) != (lease.owner, lease.epoch):
            raise Conflict("lost")
        assert int(known.sequence or 0) <= int(lease.sequence or 0), "a checkpoint went back"
        self.leases[lease.shard] = dataclasses.replace(lease, owner="") if release else lease
        if last:
            raise Killed

    def forget(self, _lease: Lease) -> None:
        raise AssertionError("no shard is ever gone here")


MOVES = st.one_of(
    st.tuples(st.just("turn"), st.integers(0, 3)),
    st.tuples(st.just("kill"), st.tuples(st.integers(0, 3), st.integers(1, 14))),
    st.tuples(st.just("leave"), st.integers(0, 3)),
    st.tuples(st.just("send"), st.integers(1, 9)),
    st.tuples(st.just("split"), st.none()),
)


class Accidents:
    """The consumers of a world, by numbers; one that has ended begins anew under another name."""

    def __init__(self, processor: Processor) -> None:
        self.world = World()
        self.processor = processor
        self.names = 0
        self.consumers: dict[int, Consumer] = {}

    def consumer(self, number: int) -> Consumer:
        if number not in self.consumers:
            self.names += 1
            world: Any = self.world
            scoring = Scoring(self.processor)
            self.consumers[number] = Consumer(
                f"c{self.names}",
                Places(world, world, self.world.aside, world),
                lambda: scoring,
                Patience(threading.Event()),
                StreamMetrics("app"),
                Rules(batch_records=3, poll_seconds=0.0, silent_seconds=0.0),
            )
        return self.consumers[number]

    def turn(self, number: int) -> None:
        self.consumer(number).turn()

    def kill(self, what: tuple[int, int]) -> None:
        number, self.world.countdown = what
        try:
            self.turn(number)
        except Killed:
            del self.consumers[number]
        self.world.countdown = NEVER

    def leave(self, number: int) -> None:
        self.consumer(number).leave()
        del self.consumers[number]

    def send(self, count: int) -> None:
        self.world.send(count)

    def split(self, _: None) -> None:
        if len(self.world.lists) < 9:
            self.world.split()


@settings(max_examples=300)
@given(st.lists(MOVES, max_size=60))
def test_E8_whatever_happens_each_good_ride_is_there_once_and_each_poison_is_aside(
    loaded_rides: Loaded, moves: list[tuple[str, Any]]
) -> None:
    place = Accidents(Processor(loaded_rides.scorer, loaded_rides.release, "rides"))
    place.send(10)
    for name, what in moves:
        getattr(place, name)(what)
    world = place.world
    # In the end one is left alone, and has all the time that it needs.
    for _ in range(20 + 2 * world.sent):
        place.turn(9)
    by_id = {event["event_id"]: event["prediction"]["ride_id"] for event in world.events}
    good = [number for number in range(1, world.sent + 1) if number % 7]
    assert sorted(by_id.values()) == good
    assert len(set(world.letters)) == world.sent - len(good)


def test_a_put_that_is_throttled_now_and_then_is_no_accident(loaded_rides: Loaded) -> None:
    place = Accidents(Processor(loaded_rides.scorer, loaded_rides.release, "rides"))
    place.send(50)
    put, refused = place.world.put, [1]

    def throttled(entries: Sequence[Entry]) -> list[int]:
        if refused:
            refused.clear()
            raise Throttled("slowly")
        return put(entries)

    place.world.put = throttled  # type: ignore[method-assign]
    for _ in range(30):
        place.turn(0)
    assert len(place.world.events) == 50 - 50 // 7
