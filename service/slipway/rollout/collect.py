"""Gathers increments into a Window, look by look. Pure: who calls it reads clocks and sockets.

Both the controller and the simulator measure by this class, so what is simulated is what runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from slipway.rollout.answers_seen import AnswerCounter
from slipway.rollout.groups import GroupCollector
from slipway.rollout.measures import (
    LATENCY_CELLS,
    MAX_INTERVALS,
    WORST_SLICES,
    Counts,
    Earlier,
    Floats,
    Interval,
    PairSums,
    Window,
)
from slipway.rollout.plan import Measure

# Failures are counted in slices, of which the worst are left out: at most a third of a look, else
# short looks would have nothing left.
SLICE_SECONDS = 5.0
SLICES = 3
PARTS = 24
# Enough for 24 quantiles; a longer shadow does not make them better.
_MOST_ANSWERS = 5_000
_NOTHING = np.empty(0)


@dataclass(frozen=True)
class Increment:
    """What came in since the last one, over `seconds`.

    `candidate_latency` and `control_latency` count requests by bucket. `pairs` are the two answers
    to the same requests (mirrored), `answers` and `keys` each side's own (canary); key 0 is none.
    `usable` is False when a series was missing, stale or impossible: the interval is then dropped
    for both sides.
    """

    seconds: float
    counts: Counts = field(default_factory=Counts)
    candidate_latency: Sequence[int] = ()
    control_latency: Sequence[int] = ()
    pairs: tuple[Floats, Floats] = (_NOTHING, _NOTHING)
    candidate_answers: Floats = field(default_factory=lambda: _NOTHING)
    control_answers: Floats = field(default_factory=lambda: _NOTHING)
    candidate_keys: Sequence[int] = ()
    control_keys: Sequence[int] = ()
    unmatched: int = 0
    usable: bool = True


class Collector:
    """The measurement of one `Measure`; throw it away when that changes."""

    def __init__(self, measure: Measure, earlier: Earlier | None = None) -> None:
        self.measure = measure
        self._earlier = earlier
        self._pending: list[Increment] = []
        self._seconds = 0.0
        self._looks = 0
        self._counts = Counts()
        self._slice = Counts()
        self._slice_seconds = 0.0
        self._slice_length = min(SLICE_SECONDS, measure.interval / SLICES)
        self._worst: list[Counts] = []
        self._latency: Interval | None = None
        self._intervals: list[Interval] = []
        self._pairs = PairSums()
        self._control_answers: list[Floats] = []
        self._quantiles: tuple[float, ...] | None = ()
        self._groups = GroupCollector(measure.edges, measure.key_cap)
        self._answers = AnswerCounter(measure.candidate.release.buckets)
        self._dropped = 0
        self._unmatched = 0
        self._window = self._look()

    @property
    def window(self) -> Window:
        """As of the last look: it changes when an interval is over, and not in between."""
        return self._window

    def add(self, increment: Increment) -> bool:
        """Take an increment; tells whether it completed an interval."""
        self._pending.append(increment)
        if sum(i.seconds for i in self._pending) < self.measure.interval - 1e-6:
            return False
        self._close()
        return True

    def _close(self) -> None:
        pending, self._pending = self._pending, []
        start = self._seconds
        self._seconds += sum(i.seconds for i in pending)
        self._looks += 1
        if all(_is_sound(i) for i in pending):
            for increment in pending:
                self._take(increment)
            self._keep(
                Interval(
                    start,
                    _summed(i.candidate_latency for i in pending),
                    _summed(i.control_latency for i in pending),
                )
            )
        else:
            self._dropped += 1
        self._window = self._look()

    def _take(self, increment: Increment) -> None:
        self._counts += increment.counts
        self._slice += increment.counts
        self._slice_seconds += increment.seconds
        if self._slice_seconds >= self._slice_length - 1e-6:
            self._end_slice()
        control, candidate = increment.pairs
        if len(control):
            self._pairs = self._pairs.plus(control, candidate, self.measure.tolerance)
            if sum(map(len, self._control_answers)) < _MOST_ANSWERS:
                self._control_answers.append(control)
                self._quantiles = None
        self._answers.add(control, candidate)
        self._answers.add(increment.control_answers, increment.candidate_answers)
        self._groups.add("candidate", increment.candidate_answers, increment.candidate_keys)
        self._groups.add("control", increment.control_answers, increment.control_keys)
        self._unmatched += increment.unmatched

    def _end_slice(self) -> None:
        if self._slice.candidate_failed:
            self._worst = sorted([*self._worst, self._slice], key=_failed)[-WORST_SLICES:]
        self._slice, self._slice_seconds = Counts(), 0.0

    def _keep(self, interval: Interval) -> None:
        # A cold start is no property of the model.
        if interval.start >= self.measure.settle:
            self._intervals = [*self._intervals, interval][-MAX_INTERVALS:]
            self._latency = _merged(self._latency, interval)

    def _look(self) -> Window:
        if self._quantiles is None:
            self._quantiles = quantiles_of(self._control_answers)
        # The running slice counts among the worst as far as it goes.
        worst = sorted([*self._worst, self._slice], key=_failed, reverse=True)[:WORST_SLICES]
        measure, mirrored = self.measure, self.measure.mirrored
        return Window(
            epoch=measure.epoch,
            candidate=measure.candidate.release.digest,
            control=measure.control.release.digest,
            seconds=self._seconds,
            looks=self._looks,
            counts=self._counts,
            worst=tuple(c for c in worst if c.candidate_failed),
            latency=self._latency,
            intervals=tuple(self._intervals),
            pairs=self._pairs if mirrored else None,
            groups=None if mirrored else self._groups.sums(),
            earlier=self._earlier,
            quantiles=self._quantiles,
            dropped=self._dropped,
            unmatched=self._unmatched,
            keyed=self._groups.keyed,
            answers=self._answers.seen(),
        )


def quantiles_of(answers: Sequence[Floats]) -> tuple[float, ...]:
    """The inner edges of PARTS equal parts, without repetitions; none for few answers."""
    values = np.concatenate(answers) if answers else _NOTHING
    if len(values) < 10 * PARTS:
        return ()
    edges = np.quantile(values, np.arange(1, PARTS) / PARTS)
    return tuple(sorted({float(f"{edge:.6g}") for edge in edges}))


def _is_sound(increment: Increment) -> bool:
    """Something missing or impossible is no zero: neither side's share of it counts."""
    lists = increment.candidate_latency, increment.control_latency
    return (
        increment.usable
        and increment.counts.sound
        and all(len(row) in (0, LATENCY_CELLS) and min(row, default=0) >= 0 for row in lists)
    )


def _failed(counts: Counts) -> int:
    return counts.candidate_failed


def _summed(rows: Iterable[Sequence[int]]) -> tuple[int, ...]:
    total = np.zeros(LATENCY_CELLS, dtype=np.int64)
    for row in rows:
        if len(row):
            total += np.asarray(row, dtype=np.int64)
    return tuple(total.tolist())


def _merged(total: Interval | None, interval: Interval) -> Interval:
    if total is None:
        return interval
    return Interval(
        total.start,
        _summed((total.candidate, interval.candidate)),
        _summed((total.control, interval.control)),
    )
