"""One consumer: reads its shards one after the other, scores, puts, and only then checkpoints.

One thread, one batch at a time: what is read is put before anything else is read, so memory is one
batch whatever the stream does. Between its put and its checkpoint a consumer may die: then the
next one puts the same events again, with the same ids.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from slipway.clients.checkpoints import Checkpoints, Lease
from slipway.clients.streams import Position, Record, Shard, Stream
from slipway.errors import (
    Conflict,
    InputDataMissing,
    InvalidConfig,
    IteratorExpired,
    SlipwayError,
    Unavailable,
)
from slipway.metrics import StreamMetrics
from slipway.stream.patience import FIRST, LONGEST, Patience, Stopped
from slipway.stream.processor import Bad, Scored
from slipway.stream.scoring import CANDIDATE, Scoring
from slipway.stream.shares import Living, change, expired, is_read_out, open_leases
from slipway.stream.sink import Letters, put_all

log = structlog.get_logger(__name__)

# Seconds without a sign of the loop after which the process counts as hung.
HUNG = 120.0
# What may mend: the shard is read again after a pause.
_MENDS = (Unavailable, InputDataMissing)


@dataclass
class Held:
    """A shard that this consumer reads."""

    lease: Lease
    iterator: str = ""
    behind: float = 0.0
    due: float = 0.0
    pause: float = FIRST


@dataclass(frozen=True)
class Rules:
    """How the consumer goes about it, in the settings' words."""

    batch_records: int = 1000
    poll_seconds: float = 0.25
    silent_seconds: float = 15.0
    # Where an application begins that has no checkpoint: a time, or 0 for the beginning.
    since: float = 0.0


@dataclass(frozen=True)
class Places:
    """What a consumer reads from, puts to, and remembers by."""

    source: Stream
    output: Stream
    letters: Letters
    checkpoints: Checkpoints


class Consumer:
    """The consumer `me` of an application; `scoring` is asked once a batch, None means wait."""

    def __init__(
        self,
        me: str,
        places: Places,
        scoring: Callable[[], Scoring | None],
        patience: Patience,
        metrics: StreamMetrics,
        rules: Rules,
    ) -> None:
        self.me = me
        self.held: dict[str, Held] = {}
        self.trouble = "has not begun"
        self.seen = time.monotonic()
        self._source, self._output = places.source, places.output
        self._letters, self._checkpoints = places.letters, places.checkpoints
        self._scoring = scoring
        self._rules = rules
        self._metrics = metrics
        self._patience = patience
        self._living = Living(rules.silent_seconds)
        self._shards: dict[str, Shard] = {}
        self._made = ""
        self._beat, self._shared = 0, float("-inf")

    def run(self) -> None:
        """Until the patience's `stop` is set; then the shards are given back."""
        stop = self._patience.stop
        gone = threading.Event()
        beating = threading.Thread(target=self._go_on_beating, args=(gone,), daemon=True)
        beating.start()
        try:
            while not stop.is_set():
                if not self.turn():
                    stop.wait(self._pause())
        except Stopped as stopped:
            log.warning("stopped in the middle of a batch; it comes again", why=str(stopped))
        finally:
            gone.set()
            beating.join()
            self.leave()

    def turn(self) -> bool:
        """Look after the leases if it is time, then read each shard once; whether one had more."""
        self.alive()
        scoring = self._scoring()
        if scoring is None:
            # A replica that cannot load the model leaves the shards to those that can.
            return False
        if time.monotonic() - self._shared >= self._rules.silent_seconds / 3:
            self.share()
        self._metrics.scores_with(scoring.stable.release.label, scoring.stable.release.version)
        more = [
            self._guarded(held, scoring)
            for held in list(self.held.values())
            if time.monotonic() >= held.due and not self._patience.stop.is_set()
        ]
        behind = max((held.behind for held in self.held.values()), default=0.0)
        self._metrics.stands(behind, len(self.held))
        return any(more)

    def alive(self) -> None:
        """Note that the loop goes on."""
        self.seen = time.monotonic()

    def share(self) -> None:
        """Give back what is above this consumer's share, take what is free below it."""
        try:
            self._share()
            self.trouble = ""
        except InvalidConfig:
            raise
        except SlipwayError as error:
            if error.message != self.trouble:
                log.warning("the shards cannot be shared out", why=error.message)
            self.trouble = error.message
        self._shared = time.monotonic()

    def leave(self) -> None:
        """Give all back, so that others need not wait."""
        for held in list(self.held.values()):
            self._give(held)
        try:
            self._checkpoints.leave(self.me)
        except SlipwayError as error:
            log.warning("left without a word", why=error.message)

    def _share(self) -> None:
        self._check_that_it_is_the_same()
        shards = self._source.shards()
        self._shards = {shard.name: shard for shard in shards}
        leases, workers = self._checkpoints.rows()
        # Whoever takes a lease without having shown itself is dead to the others.
        self._show()
        living = self._living.look(workers, time.monotonic())
        wanted = open_leases(shards, leases, since=self._rules.since)
        for name in set(self.held) - {lease.shard for lease in wanted}:
            del self.held[name]
        done = change(wanted, living, self.me)
        for name in done.give:
            if name in self.held:
                self._give(self.held[name])
        # Ours by the table and not by us: taken in a request whose answer was lost.
        kept = {*self.held, *done.give}
        lost = [each for each in wanted if each.owner == self.me and each.shard not in kept]
        for lease in (*done.take, *lost):
            self._take(lease)
        for lease in expired(shards, leases):
            self._forget(lease)
        for worker in workers:
            if worker.name not in living and worker.name != self.me:
                self._checkpoints.leave(worker.name)

    def _show(self) -> None:
        self._beat += 1
        self._checkpoints.beat(self.me, self._beat)

    def _go_on_beating(self, gone: threading.Event) -> None:
        """On a thread of its own: a batch may take a model longer than silence is borne.

        A loop that hangs is not covered up for.
        """
        while not gone.wait(self._rules.silent_seconds / 5):
            if not self._beat or time.monotonic() - self.seen > HUNG:
                continue
            try:
                self._show()
            except SlipwayError as error:
                # The others will take its shards, and the epochs see to it that it then stops.
                log.debug("could not beat", why=error.message)

    def _check_that_it_is_the_same(self) -> None:
        made = self._source.made()
        if self._made not in ("", made):
            raise InvalidConfig(
                f"the stream {self._source.name} was made anew, so no checkpoint fits it any more; "
                "started again, the application begins with the new one"
            )
        self._made = made

    def _take(self, lease: Lease) -> None:
        try:
            taken = self._checkpoints.take(lease, self.me)
        except Conflict:
            return
        self.held[taken.shard] = Held(taken)
        log.info("took a shard", shard=taken.shard, epoch=taken.epoch, after=taken.sequence)

    def _give(self, held: Held) -> None:
        self.held.pop(held.lease.shard, None)
        try:
            self._checkpoints.save(held.lease, release=True)
            log.info("gave a shard back", shard=held.lease.shard)
        except SlipwayError as error:
            log.warning("a shard was not given back", shard=held.lease.shard, why=error.message)

    def _forget(self, lease: Lease) -> None:
        try:
            self._checkpoints.forget(self._checkpoints.take(lease, self.me))
        except Conflict:
            return

    def _guarded(self, held: Held, scoring: Scoring) -> bool:
        """One step of a shard; what goes wrong with it is between it and its next one."""
        try:
            more = self._step(held, scoring)
        except Conflict as error:
            log.warning("lost a shard", why=error.message)
            self.held.pop(held.lease.shard, None)
            return False
        except IteratorExpired:
            held.iterator = ""
            self._metrics.again(IteratorExpired.reason)
            return True
        except _MENDS as error:
            self._metrics.again(error.reason)
            if not self.trouble:
                log.warning("a shard cannot be read", shard=held.lease.shard, why=error.message)
            if isinstance(error, InputDataMissing):
                held.iterator, self.trouble = "", error.message
            held.due = time.monotonic() + held.pause
            held.pause = min(LONGEST, 2 * held.pause)
            return False
        held.pause = FIRST
        if not more:
            held.due = time.monotonic() + self._rules.poll_seconds
        return more

    def _step(self, held: Held, scoring: Scoring) -> bool:
        """Read, score, put, checkpoint; whether there is more at once."""
        shard = held.lease.shard
        if not held.iterator:
            position = Position(held.lease.sequence, held.lease.since)
            held.iterator = self._source.iterator(shard, position)
        batch = self._source.read(shard, held.iterator, self._rules.batch_records)
        lease = held.lease
        if batch.records:
            self._deliver(scoring, batch.records)
            lease = dataclasses.replace(lease, sequence=batch.records[-1].sequence)
        elif batch.following is None or is_read_out(self._shards.get(shard), lease.sequence):
            lease = dataclasses.replace(lease, finished=True)
        if lease != held.lease:
            self._patience.until_done(lambda: self._checkpoints.save(lease))
        held.lease, held.behind = lease, batch.behind
        held.iterator = batch.following or ""
        if lease.finished:
            log.info("read a shard to its end", shard=shard)
            del self.held[shard]
            # Its children can be read now.
            self._shared = float("-inf")
        return len(batch.records) == self._rules.batch_records

    def _deliver(self, scoring: Scoring, records: Sequence[Record]) -> None:
        outcomes = scoring.process(records)
        scored = [each for each in outcomes if isinstance(each, Scored)]
        bad = [each for each in outcomes if isinstance(each, Bad)]
        put_all(self._output, [each.entry for each in scored], self._patience)
        self._letters(bad)
        trial = scoring.trial.release.label if scoring.trial else ""
        for source, count in Counter(each.source for each in scored).items():
            label = trial if source == CANDIDATE else scoring.stable.release.label
            self._metrics.scored(label, source, count)
        for each in bad:
            self._metrics.bad(each.reason)
            log.warning(
                "a bad record was put aside",
                reason=each.reason,
                detail=each.detail,
                shard=each.record.shard,
                sequence=each.record.sequence,
            )
        if records[-1].arrived:
            self._metrics.aged(max(0.0, time.time() - records[-1].arrived))

    def _pause(self) -> float:
        due = min((held.due for held in self.held.values()), default=float("inf"))
        left = due - time.monotonic() if self._scoring() else self._rules.poll_seconds
        return min(max(left, 0.005), self._rules.poll_seconds, 1.0)
