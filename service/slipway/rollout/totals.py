"""What routers and pods have counted of both sides, and what came in between two looks. Pure.

Counters only rise while the process lives, so a scrape of another process, or of a router with
another table, is compared with nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from slipway.buckets import LATENCY_BUCKETS
from slipway.metrics import (
    PROCESS_START,
    ROUTER_FALLBACKS,
    ROUTER_LOADED_EPOCH,
    ROUTER_PAIRS,
    ROUTER_REQUESTS,
    ROUTER_SECONDS,
    SECONDS,
)
from slipway.rollout.measures import LATENCY_CELLS, Counts
from slipway.rollout.plan import Measure
from slipway.rollout.state import Placement
from slipway.router.table import is_failure

_NAMES = "|".join(
    (
        f"{ROUTER_REQUESTS}_total",
        f"{ROUTER_FALLBACKS}_total",
        f"{ROUTER_PAIRS}_total",
        f"{ROUTER_SECONDS}_bucket",
        f"{SECONDS}_bucket",
        ROUTER_LOADED_EPOCH,
        PROCESS_START,
    )
)
# Our own labels come from closed sets, so no value has anything to escape.
_LINE = re.compile(rf"^({_NAMES})(?:\{{([^}}]*)\}})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'([a-z]+)="([^"]*)"')
_CELLS = {edge: index for index, edge in enumerate((*LATENCY_BUCKETS, math.inf))}

Labels = Mapping[str, str]
# Requests by latency bucket.
Cells = tuple[int, ...]


@dataclass(frozen=True)
class Totals:
    """One router's counts since its process began at `started`.

    Latencies are by bucket, and empty for a mirrored measure: see PodLatency.
    """

    started: float
    counts: Counts
    candidate: Cells
    control: Cells


@dataclass(frozen=True)
class Gain:
    """What all routers counted between two looks."""

    counts: Counts
    candidate: Cells
    control: Cells


class PodLatency:
    """What the pods of one side of a mirrored measure counted, by latency bucket, look by look.

    The router's latencies would not do there: copies open a connection each, and no client waits
    for them before it asks again, so on a busy machine they queue where live requests do not. The
    pods' own time, from the whole body to the answer, is of the model.
    """

    def __init__(self, measure: Measure, side: Placement) -> None:
        self._side = side
        self._source = "shadow" if side == copied(measure) else "live"
        self._before: Mapping[str, Cells] = {}

    def gained(self, bodies: Mapping[str, bytes | None]) -> Cells | None:
        """What came in since the last look, from each pod's /metrics; None if one has none.

        A pod that is new or began anew is counted from here on.
        """
        told = {pod: self._read(body or b"") for pod, body in bodies.items()}
        now = {pod: cells for pod, cells in told.items() if cells is not None}
        before, self._before = self._before, now
        if len(now) != len(told):
            return None
        gains = [
            [n - earlier for n, earlier in zip(cells, before[pod], strict=True)]
            for pod, cells in now.items()
            if pod in before
        ]
        sound = [gain for gain in gains if min(gain) >= 0]
        return tuple(map(sum, zip(*sound, strict=True))) if sound else (0,) * LATENCY_CELLS

    def _read(self, body: bytes) -> Cells | None:
        try:
            lines = list(_lines(body))
            return _latency(lines, f"{SECONDS}_bucket", self._side, self._source) if lines else None
        except (KeyError, ValueError):
            return None


def read_totals(body: bytes, measure: Measure) -> Totals | None:
    """What a scrape says of the two sides.

    None if it cannot be read, or is of a router with another table: another table's requests
    are no part of this measure.
    """
    try:
        lines = list(_lines(body))
        values = {name: value for name, labels, value in lines if not labels}
        if values[ROUTER_LOADED_EPOCH] != measure.epoch:
            return None
        read = _mirrored if measure.mirrored else _split
        return Totals(
            values[PROCESS_START],
            read(lines, measure),
            *(
                ()
                if measure.mirrored
                else _latency(lines, f"{ROUTER_SECONDS}_bucket", side, "live")
                for side in (measure.candidate, measure.control)
            ),
        )
    except (KeyError, ValueError):
        return None


def is_new(before: Mapping[str, Totals], now: Mapping[str, Totals]) -> bool:
    """Whether a router came, went or began anew in between."""
    return before.keys() != now.keys() or any(
        before[name].started != totals.started for name, totals in now.items()
    )


def gained(before: Mapping[str, Totals], now: Mapping[str, Totals]) -> Gain:
    """What came in, over the same routers; a counter that fell makes a negative count."""
    counts = Counts()
    for name, totals in now.items():
        counts += totals.counts - before[name].counts
    return Gain(
        counts,
        _risen([t.candidate for t in before.values()], [t.candidate for t in now.values()]),
        _risen([t.control for t in before.values()], [t.control for t in now.values()]),
    )


def copied(measure: Measure) -> Placement:
    """The side that gets the copies: whichever is not stable."""
    return measure.control if measure.candidate.role == "stable" else measure.candidate


def _lines(body: bytes) -> Iterator[tuple[str, Labels, float]]:
    for found in _LINE.finditer(body.decode("utf-8", "replace")):
        name, labels, value = found.groups()
        yield name, dict(_LABEL.findall(labels or "")), float(value)


def _of(side: Placement, labels: Labels) -> bool:
    release = side.release.digest.removeprefix("sha256:")[:12]
    return (labels["slot"], labels["release"]) == (side.slot, release)


def _split(lines: list[tuple[str, Labels, float]], measure: Measure) -> Counts:
    """Of requests that one of both sides was asked."""
    asked = {"candidate": 0, "control": 0, "own": 0}
    outcomes = {"answered": 0, "failed": 0}
    for name, labels, value in lines:
        if name == f"{ROUTER_FALLBACKS}_total":
            outcomes[labels["outcome"]] += _whole(value)
        elif name == f"{ROUTER_REQUESTS}_total" and labels["source"] == "live":
            if _of(measure.candidate, labels):
                asked["candidate"] += _whole(value)
            elif _of(measure.control, labels):
                asked["control"] += _whole(value)
                asked["own"] += _whole(value) if is_failure(labels["code"]) else 0
    return Counts(
        candidate=asked["candidate"],
        candidate_failed=outcomes["answered"],
        control=asked["control"],
        both_failed=outcomes["failed"],
        control_own=asked["own"],
    )


def _mirrored(lines: list[tuple[str, Labels, float]], measure: Measure) -> Counts:
    """Of requests that both sides were asked; failures are those of one side alone."""
    copy = copied(measure)
    pairs = {"none": 0, "live": 0, "shadow": 0, "both": 0}
    for name, labels, value in lines:
        if name == f"{ROUTER_PAIRS}_total" and _of(copy, labels):
            pairs[labels["failed"]] += _whole(value)
    total = sum(pairs.values())
    candidate, control = ("shadow", "live") if copy == measure.candidate else ("live", "shadow")
    return Counts(
        candidate=total,
        candidate_failed=pairs[candidate],
        control=total,
        control_failed=pairs[control],
        both_failed=pairs["both"],
    )


def _seen(lines: list[tuple[str, Labels, float]], measure: Measure, side: Placement) -> Cells:
    """As clients saw it."""
    return () if measure.mirrored else _latency(lines, f"{ROUTER_SECONDS}_bucket", side, "live")


def _latency(
    lines: list[tuple[str, Labels, float]], bucket: str, side: Placement, source: str
) -> Cells:
    upto = [0] * LATENCY_CELLS
    for name, labels, value in lines:
        if name == bucket and labels["source"] == source and _of(side, labels):
            upto[_CELLS[float(labels["le"])]] = _whole(value)
    return tuple(n - before for n, before in zip(upto, [0, *upto], strict=False))


def _risen(before: list[Cells], now: list[Cells]) -> Cells:
    return tuple(
        sum(new) - sum(old)
        for new, old in zip(zip(*now, strict=True), zip(*before, strict=True), strict=True)
    )


def _whole(value: float) -> int:
    if not (math.isfinite(value) and value >= 0 and value == int(value)):
        raise ValueError(f"{value} is no count")
    return int(value)
