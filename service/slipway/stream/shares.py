"""Which shards may be read, and who among an application's consumers reads them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from slipway.clients.checkpoints import Lease, Worker
from slipway.clients.streams import Shard


@dataclass
class Living:
    """Which consumers live, by beats that change on the clock of whoever looks.

    One that is seen for the first time lives: it gets a whole `seconds` to beat again.
    """

    seconds: float
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)

    def look(self, workers: Sequence[Worker], now: float) -> set[str]:
        """The names of those that live; the others have been silent for `seconds`."""
        seen = {}
        for worker in workers:
            beat, since = self._seen.get(worker.name, (None, now))
            seen[worker.name] = (worker.beat, since if beat == worker.beat else now)
        self._seen = seen
        return {name for name, (_, since) in seen.items() if now - since < self.seconds}


def open_leases(
    shards: Sequence[Shard], leases: Sequence[Lease], *, since: float = 0.0
) -> list[Lease]:
    """What can be read now: not finished, and all parents that the stream still has are.

    A shard that nobody has begun starts at `since`, and at its beginning where it has parents that
    were read: what they were followed by is not to be missed.
    """
    known = {lease.shard: lease for lease in leases}
    there = {shard.name for shard in shards}
    found = []
    for shard in sorted(shards, key=lambda shard: shard.name):
        lease = known.get(shard.name) or Lease(
            shard.name, since=0.0 if any(name in known for name in shard.parents) else since
        )
        parents = [known.get(name) for name in shard.parents if name in there]
        if not lease.finished and all(parent and parent.finished for parent in parents):
            found.append(lease)
    return found


def expired(shards: Sequence[Shard], leases: Sequence[Lease]) -> list[Lease]:
    """Finished shards that the stream has no more."""
    there = {shard.name for shard in shards}
    return [lease for lease in leases if lease.finished and lease.shard not in there]


@dataclass(frozen=True)
class Change:
    """What one consumer should do: leases to give back, and leases to take."""

    give: tuple[str, ...] = ()
    take: tuple[Lease, ...] = ()


def change(leases: Sequence[Lease], living: Collection[str], me: str) -> Change:
    """Towards equal shares: consumers sorted by name, the first ones get what is left over.

    What is held by nobody alive is taken; nothing is taken from the living, who give back what is
    above their share, after their checkpoint. So a planned move repeats no record.
    """
    order = sorted({*living, me})
    mine = sorted(lease.shard for lease in leases if lease.owner == me)
    share = _share(len(leases), len(order), order.index(me))
    if len(mine) > share:
        return Change(give=tuple(mine[share:]))
    free = [lease for lease in leases if lease.owner not in order]
    return Change(take=tuple(free[: share - len(mine)]))


def is_read_out(shard: Shard | None, sequence: str) -> bool:
    """Whether a closed shard's last record has been read, as the list of shards tells it."""
    if shard is None or not shard.ending:
        return False
    return int(sequence or 0) >= int(shard.ending)


def _share(count: int, consumers: int, rank: int) -> int:
    return count // consumers + (rank < count % consumers)
