"""One measurement: from what routers and pods say at each look to the Window of one Measure. Pure.

Losing data is allowed and bias is not. What cannot be had, or does not fit together, is dropped for
both sides; where a router came, went or began anew, the measurement begins anew too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from slipway.rollout.collect import Collector, Increment
from slipway.rollout.measures import Earlier, Floats, Window
from slipway.rollout.pairing import Key, Pairing
from slipway.rollout.plan import Measure
from slipway.rollout.samples import Page, Reader, Row, earlier_of, is_number, page_of
from slipway.rollout.totals import (
    Cells,
    Gain,
    PodLatency,
    Totals,
    copied,
    gained,
    is_new,
    read_totals,
)

Side = Literal["candidate", "control"]
# By name or address; None where it did not answer.
Bodies = Mapping[str, bytes | None]
Rows = Mapping[Side, Sequence[Row]]


class Measurement:
    """Measures from its first complete look on; `now` is in seconds of a monotonic clock."""

    def __init__(self, measure: Measure) -> None:
        self.measure = measure
        self._copied: Side = "candidate" if copied(measure) == measure.candidate else "control"
        self._collector: Collector | None = None
        self._earlier: Earlier | None = None
        self._totals: Mapping[str, Totals] | None = None
        # The last ones that were whole: a router may begin anew while somebody is silent.
        self._whole: Mapping[str, Totals] = {}
        self._readers: dict[str, Reader] = {}
        self._latency: Mapping[Side, PodLatency] = {
            "candidate": PodLatency(measure, measure.candidate),
            "control": PodLatency(measure, measure.control),
        }
        self._pairing = Pairing()
        self._at = 0.0
        # Who was silent in the last look, or told of something else; a side without pods.
        self.lacking: list[str] = []

    @property
    def window(self) -> Window | None:
        """What was measured, None before the beginning."""
        return self._collector.window if self._collector else None

    def cursor(self, pod: str) -> str:
        """Where to read on in a pod's ring."""
        return self._readers[pod].cursor if pod in self._readers else ""

    def look(
        self,
        now: float,
        routers: Bodies,
        pods: Mapping[Side, Bodies],
        counters: Mapping[Side, Bodies],
    ) -> None:
        """Take one look: the routers' /metrics and, of each side, its pods' /sample.

        `counters` are the pods' /metrics; only a mirrored measure reads them.
        """
        told = {name: read_totals(body or b"", self.measure) for name, body in routers.items()}
        self.lacking = [name for name, each in told.items() if each is None]
        totals = _complete(told)
        rows = self._rows(pods)
        latency = self._latencies(counters)
        seconds, self._at = now - self._at, now
        complete = rows is not None and latency is not None
        before, self._totals = self._totals, totals if complete else None
        if totals:
            if self._whole and is_new(self._whole, totals):
                self._collector = None
            self._whole = totals
        if self._totals is None or rows is None or latency is None:
            self._drop(seconds)
        elif self._collector is None:
            self._begin()
        elif before is None:
            # Compared with nothing: counted from here on.
            self._drop(seconds)
        else:
            gain = gained(before, self._totals)
            if self.measure.mirrored:
                gain = Gain(gain.counts, latency["candidate"], latency["control"])
            self._collector.add(self._increment(seconds, gain, rows))

    def _begin(self) -> None:
        self._collector = Collector(self.measure, self._earlier)
        self._pairing = Pairing()

    def _drop(self, seconds: float) -> None:
        if self._collector:
            self._collector.add(Increment(seconds, usable=False))

    def _latencies(self, counters: Mapping[Side, Bodies]) -> Mapping[Side, Cells] | None:
        """By the pods' own clocks, if both sides are asked the same; None if any was not had."""
        if not self.measure.mirrored:
            return {}
        gains = {side: self._latency[side].gained(bodies) for side, bodies in counters.items()}
        found = {side: cells for side, cells in gains.items() if cells is not None}
        return found if len(found) == len(gains) else None

    def _rows(self, pods: Mapping[Side, Bodies]) -> Rows | None:
        """The new rows; None if any pod's were not had, or a side has no pods at all."""
        sides = {"candidate": self.measure.candidate, "control": self.measure.control}
        found: dict[Side, list[Row]] = {}
        lacking: list[str] = []
        known = self._readers
        self._readers = {pod: known.get(pod) or Reader() for all_ in pods.values() for pod in all_}
        for side, bodies in pods.items():
            digest = sides[side].release.digest
            pages = {pod: page_of(body or b"", digest) for pod, body in bodies.items()}
            lacking += [pod for pod, page in pages.items() if page is None] if pages else [side]
            found[side] = self._read(side, pages)
        self.lacking += lacking
        return None if lacking else found

    def _read(self, side: Side, pages: Mapping[str, Page | None]) -> list[Row]:
        before: list[Row] = []
        new: list[Row] = []
        for pod, page in pages.items():
            if page:
                earlier, rows = self._readers[pod].read(page)
                before += earlier
                new += rows
        if side == "control" and self._earlier is None:
            self._earlier = earlier_of(before)
        return new

    def _increment(self, seconds: float, gain: Gain, rows: Rows) -> Increment:
        if self.measure.mirrored:
            pairs, unmatched = self._pairs(rows)
            return Increment(
                seconds,
                gain.counts,
                gain.candidate,
                gain.control,
                pairs=pairs,
                unmatched=unmatched,
            )
        candidate, control = (_of(rows[side], "live") for side in ("candidate", "control"))
        return Increment(
            seconds,
            gain.counts,
            gain.candidate,
            gain.control,
            candidate_answers=_values(candidate),
            control_answers=_values(control),
            candidate_keys=[row.key for row in candidate],
            control_keys=[row.key for row in control],
        )

    def _pairs(self, rows: Rows) -> tuple[tuple[Floats, Floats], int]:
        """Control's and candidate's answers to the same requests."""
        live: Side = "control" if self._copied == "candidate" else "candidate"
        joined = self._pairing.join(
            self._at, _keyed(_of(rows[live], "live")), _keyed(_of(rows[self._copied], "shadow"))
        )
        pairs = joined.live, joined.copied
        return (pairs if live == "control" else pairs[::-1]), joined.unmatched


def _complete(totals: Mapping[str, Totals | None]) -> Mapping[str, Totals] | None:
    found = {name: each for name, each in totals.items() if each}
    return found if totals and len(found) == len(totals) else None


def _of(rows: Sequence[Row], source: str) -> list[Row]:
    return [row for row in rows if row.source == source and is_number(row.value)]


def _keyed(rows: Sequence[Row]) -> list[tuple[Key, float]]:
    return [((row.pair, row.row), float(row.value)) for row in rows]


def _values(rows: Sequence[Row]) -> Floats:
    return np.asarray([float(row.value) for row in rows], dtype=np.float64)
