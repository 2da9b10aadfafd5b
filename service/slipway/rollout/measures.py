"""What was measured since a table was loaded: the counts and sums that the gates read. Pure.

The release under test is the *candidate*, what it is compared with the *control*: stable in shadow
and canary, the warm old stable in the watch after promotion (the shadow is reversed then).
Everything is cumulative since the window began, but for the latency intervals and worst slices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from slipway.buckets import LATENCY_BUCKETS

# One more than edges: what took longer than the last of them.
LATENCY_CELLS = len(LATENCY_BUCKETS) + 1
MAX_INTERVALS = 240
WORST_SLICES = 2
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """Requests and failures of both sides.

    In canary `candidate_failed` are failures that stable then answered, and `control_failed` is 0;
    beside them stand the candidate's failures that stable failed too (`both_failed`) and stable's
    failures of its own requests (`control_own`), which tell a place that fails from a release
    that does. In shadow and watch both sides count pairs, and failures are pairs that one side
    alone failed.
    """

    candidate: int = 0
    candidate_failed: int = 0
    control: int = 0
    control_failed: int = 0
    both_failed: int = 0
    control_own: int = 0

    @property
    def total(self) -> int:
        """All requests."""
        return self.candidate + self.control

    @property
    def sound(self) -> bool:
        """No count is negative and none fails more often than it is asked."""
        counts = self.candidate_failed, self.both_failed, self.control_failed, self.control_own
        return (
            min(counts) >= 0
            and self.candidate_failed + self.both_failed <= self.candidate
            and max(self.control_failed, self.control_own) <= self.control
        )

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.candidate + other.candidate,
            self.candidate_failed + other.candidate_failed,
            self.control + other.control,
            self.control_failed + other.control_failed,
            self.both_failed + other.both_failed,
            self.control_own + other.control_own,
        )

    def __sub__(self, other: Counts) -> Counts:
        return Counts(
            self.candidate - other.candidate,
            self.candidate_failed - other.candidate_failed,
            self.control - other.control,
            self.control_failed - other.control_failed,
            self.both_failed - other.both_failed,
            self.control_own - other.control_own,
        )


@dataclass(frozen=True)
class Interval:
    """Latencies between two looks: requests by bucket, LATENCY_CELLS of them for each side.

    `start` is in seconds since the window began.
    """

    start: float
    candidate: tuple[int, ...]
    control: tuple[int, ...]


@dataclass(frozen=True)
class PairSums:
    """Power sums of pairs (control's answer s, candidate's answer c), as (x - origin) / unit.

    `powers[i][j]` is the sum of s^i c^j for i + j <= 4, so `powers[0][0]` counts the pairs.
    `unequal` counts the pairs that differ at all, `beyond` those that differ by more than a
    tolerance.
    """

    origin: float = 0.0
    unit: float = 1.0
    powers: tuple[tuple[float, ...], ...] = ((0.0,) * 5,) * 5
    unequal: int = 0
    beyond: int = 0

    @property
    def pairs(self) -> int:
        """How many pairs went in."""
        return int(self.powers[0][0])

    @cached_property
    def means(self) -> Floats:
        """The powers over the number of pairs, shape (5, 5)."""
        return np.asarray(self.powers) / max(self.pairs, 1)

    def plus(self, control: Floats, candidate: Floats, tolerance: float = math.inf) -> PairSums:
        """With more pairs; both arrays are finite and of one length."""
        if not len(control):
            return self
        # Absurd answers make infinities, and those make no verdict.
        with np.errstate(all="ignore"):
            start = self
            if not self.pairs:
                spread = float(control.std())
                start = PairSums(float(control.mean()), spread if 0 < spread < np.inf else 1.0)
            return start._summed(control, candidate, tolerance)

    def _summed(self, control: Floats, candidate: Floats, tolerance: float) -> PairSums:
        s = (control - self.origin) / self.unit
        c = (candidate - self.origin) / self.unit
        powers_s, powers_c = np.vander(s, 5, increasing=True), np.vander(c, 5, increasing=True)
        sums = np.asarray(self.powers) + powers_s.T @ powers_c
        return PairSums(
            self.origin,
            self.unit,
            tuple(tuple(row) for row in sums.tolist()),
            self.unequal + int((control != candidate).sum()),
            self.beyond + int((np.abs(candidate - control) > tolerance).sum()),
        )


@dataclass(frozen=True)
class Group:
    """One side's answers in canary: count, sums of (x - origin) / unit and its square, and bins.

    `bins` counts the answers between the window's edges, one more than edges.
    """

    count: int = 0
    first: float = 0.0
    second: float = 0.0
    bins: tuple[int, ...] = ()


@dataclass(frozen=True)
class GroupSums:
    """The answers of both groups, each key counted a few times only.

    `unequal` counts candidate's answers that differ from `origin`, for a control that is constant.
    """

    origin: float = 0.0
    unit: float = 1.0
    edges: tuple[float, ...] = ()
    candidate: Group = Group()
    control: Group = Group()
    unequal: int = 0


@dataclass(frozen=True)
class Earlier:
    """The control's answers from before the window: a scale that owes nothing to its pairs."""

    count: int
    mean: float
    deviation: float


@dataclass(frozen=True)
class AnswersSeen:
    """Both sides' answers for people: counts between common `edges`, one more than edges.

    `reference` counts the candidate's between its own release's edges (see answers_seen).
    """

    edges: tuple[float, ...] = ()
    control: tuple[int, ...] = ()
    candidate: tuple[int, ...] = ()
    reference: tuple[int, ...] = ()


@dataclass(frozen=True)
class Window:
    """All that was measured since every serving router had loaded `epoch`.

    `seconds` and `looks` count time that was observed. `latency` sums all intervals from the
    policy's settling time on, `intervals` are the last MAX_INTERVALS of those. `dropped` counts
    intervals thrown away for both sides because a series was missing or impossible, `unmatched`
    copies whose live answer was not found. `quantiles` are the inner edges of 24 equal parts of the
    control's answers here, for the steps to come. `keyed`: requests keep their slot by a key, so
    the split of the requests follows the users. `answers` are shown and not judged.
    """

    epoch: int
    candidate: str
    control: str
    seconds: float = 0.0
    looks: int = 0
    counts: Counts = Counts()
    worst: tuple[Counts, ...] = ()
    latency: Interval | None = None
    intervals: tuple[Interval, ...] = ()
    pairs: PairSums | None = None
    groups: GroupSums | None = None
    earlier: Earlier | None = None
    quantiles: tuple[float, ...] = ()
    dropped: int = 0
    unmatched: int = 0
    keyed: bool = False
    answers: AnswersSeen = AnswersSeen()
