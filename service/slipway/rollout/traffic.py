"""Modelled traffic: requests, failures, latencies and answers of two slots. Pure.

Randomness comes from the generator that is passed in, so a seed gives the same rollout again.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from slipway.buckets import LATENCY_BUCKETS
from slipway.rollout.collect import SLICE_SECONDS, Increment
from slipway.rollout.measures import LATENCY_CELLS, Counts, Floats

# A shift of the latencies is rounded to this many steps of a bucket, so that shares can be kept.
_FINENESS = 8
_SIDES = ("candidate", "control")


@dataclass(frozen=True)
class Spells:
    """Times in which a slot is slow, or fails: `share` of the time, `seconds` each.

    `both` strikes both slots at once, otherwise each has its own. While one lasts, latencies are
    `slower` times as long and `failing` of the requests fail.
    """

    share: float
    seconds: float
    both: bool = False
    slower: float = 1.0
    failing: float = 0.0
    candidate_only: bool = False


@dataclass(frozen=True)
class Keys:
    """Users that keep their slot: `count` of them, as often as Zipf's law with `exponent` says.

    `variance` is the part of the answers' variance that is the user's own, `latency` the standard
    deviation of the logarithm of the user's own latency.
    """

    count: int = 10_000
    exponent: float = 1.1
    variance: float = 0.5
    latency: float = 0.0


@dataclass(frozen=True)
class Answers:
    """Pairs of answers to draw from: `control[i]` and `candidate[i]` answer the same request."""

    control: Floats
    candidate: Floats

    def __post_init__(self) -> None:
        if self.control.shape != self.candidate.shape or not len(self.control):
            raise ValueError("answers come in pairs, at least one")


@dataclass(frozen=True)
class Traffic:
    """What comes in and how both releases do.

    `rate` is requests per second; `failing` the share that each slot fails by itself, `worse` the
    candidate's additional share; `slower` the candidate's factor on latencies, `tail` a share of
    requests that take `tail_factor` times as long; `cold` a factor that decays within 20 s from
    each step's begin.
    """

    rate: float
    answers: Answers
    failing: float = 0.001
    worse: float = 0.0
    median: float = 0.020
    sigma: float = 0.5
    slower: float = 1.0
    tail: float = 0.0
    tail_factor: float = 8.0
    cold: float = 1.0
    spells: Spells | None = None
    keys: Keys | None = None


@dataclass
class Stream:
    """The traffic as it goes by. `scale` shifts all latencies by where the edges fall."""

    traffic: Traffic
    random: Generator
    scale: float = field(init=False)

    def __post_init__(self) -> None:
        self.scale = float(self.random.uniform(0.8, 1.25))
        self._until = dict.fromkeys(_SIDES, 0.0)
        self._next = {side: self._pause() for side in _SIDES}
        self._now = 0.0
        self._keys = _KeyedUsers(self.traffic.keys, self.random) if self.traffic.keys else None

    def slice(self, share: float, *, mirrored: bool, age: float) -> Increment:
        """The next 5 s. `share` is the candidate's, or the mirrored one; `age` the step's."""
        self._now += SLICE_SECONDS
        struck = {side: self._struck(side) for side in _SIDES}
        total = int(self.random.poisson(self.traffic.rate * SLICE_SECONDS))
        if mirrored:
            return self._mirrored(int(self.random.binomial(total, share)), struck, age)
        if self._keys:
            return self._keyed(self._keys, total, share, struck, age)
        candidate = int(self.random.binomial(total, share))
        return self._split(candidate, total - candidate, struck, age)

    def _mirrored(self, pairs: int, struck: dict[str, bool], age: float) -> Increment:
        drawn = self.random.integers(0, len(self.traffic.answers.control), pairs)
        answers = self.traffic.answers
        failed = self._failed("candidate", pairs, struck)
        both = self._failed("control", failed, struck)
        alone = self._failed("control", pairs - failed, struck)
        counts = Counts(pairs, failed - both, pairs, alone)
        return Increment(
            SLICE_SECONDS,
            counts,
            self._latency("candidate", pairs, struck, age),
            self._latency("control", pairs, struck, age),
            pairs=(answers.control[drawn], answers.candidate[drawn]),
        )

    def _split(
        self, candidate: int, control: int, struck: dict[str, bool], age: float
    ) -> Increment:
        answers, size = self.traffic.answers, len(self.traffic.answers.control)
        failed = self._failed("candidate", candidate, struck)
        # Stable is asked again for what the candidate failed, and may fail as well.
        both = self._failed("control", failed, struck)
        own = self._failed("control", control, struck)
        return Increment(
            SLICE_SECONDS,
            Counts(candidate, failed - both, control, 0, both, own),
            self._latency("candidate", candidate, struck, age),
            self._latency("control", control, struck, age),
            candidate_answers=answers.candidate[self.random.integers(0, size, candidate)],
            control_answers=answers.control[self.random.integers(0, size, control)],
        )

    def _keyed(
        self, keys: _KeyedUsers, total: int, share: float, struck: dict[str, bool], age: float
    ) -> Increment:
        who = keys.draw(total)
        mine = keys.place[who] < share
        candidate = int(mine.sum())
        made = self._split(candidate, total - candidate, struck, age)
        values, stretch = keys.answers(self.traffic.answers.control, who), keys.stretch[who]
        return dataclasses.replace(
            made,
            candidate_latency=self._stretched(stretch[mine]) or made.candidate_latency,
            control_latency=self._stretched(stretch[~mine]) or made.control_latency,
            candidate_answers=values[mine],
            control_answers=values[~mine],
            candidate_keys=(who[mine] + 1).tolist(),
            control_keys=(who[~mine] + 1).tolist(),
        )

    def _stretched(self, stretch: Floats) -> tuple[int, ...]:
        """Latencies of users who differ, by bucket; none where they do not."""
        if not self.traffic.keys or not self.traffic.keys.latency or not len(stretch):
            return ()
        noise = np.exp(self.traffic.sigma * self.random.standard_normal(len(stretch)))
        seconds = self.traffic.median * self.scale * stretch * noise
        at = np.searchsorted(LATENCY_BUCKETS, seconds, side="left")
        return tuple(np.bincount(at, minlength=LATENCY_CELLS).tolist())

    def _failed(self, side: str, count: int, struck: dict[str, bool]) -> int:
        traffic = self.traffic
        share = traffic.failing + (traffic.worse if side == "candidate" else 0.0)
        if struck[side] and traffic.spells:
            share = max(share, traffic.spells.failing)
        return int(self.random.binomial(count, min(share, 1.0)))

    def _latency(
        self, side: str, count: int, struck: dict[str, bool], age: float
    ) -> tuple[int, ...]:
        if not count:
            return ()
        traffic, factor = self.traffic, self.scale
        if struck[side] and traffic.spells:
            factor *= traffic.spells.slower
        if side == "candidate":
            factor *= traffic.slower * max(1.0, traffic.cold ** (1 - age / 20))
        tail = (traffic.tail, traffic.tail_factor)
        shares = _shares(traffic.median, traffic.sigma, tail, _steps_of(factor))
        return tuple(self.random.multinomial(count, shares).tolist())

    def _pause(self) -> float:
        spells = self.traffic.spells
        if not spells:
            return math.inf
        between = spells.seconds * (1 - spells.share) / spells.share
        return float(self.random.exponential(between))

    def _struck(self, side: str) -> bool:
        spells = self.traffic.spells
        if not spells or (spells.candidate_only and side != "candidate"):
            return False
        own = "candidate" if spells.both else side
        if side == own and self._now >= self._next[own]:
            self._until[own] = self._now + spells.seconds
            self._next[own] = self._until[own] + self._pause()
        return self._now <= self._until[own]


class _KeyedUsers:
    """Who asks, where each user's slot lies, and what is the user's own."""

    def __init__(self, keys: Keys, random: Generator) -> None:
        self._random, self._keys = random, keys
        weights = np.arange(1, keys.count + 1, dtype=np.float64) ** -keys.exponent
        self._cumulative = np.cumsum(weights / weights.sum())
        self.place = random.random(keys.count)
        self.stretch = np.exp(keys.latency * random.standard_normal(keys.count))
        self._own = random.standard_normal(keys.count)

    def draw(self, count: int) -> NDArray[np.int64]:
        """Users, by how often they come."""
        found = np.searchsorted(self._cumulative, self._random.random(count))
        return np.minimum(found, self._keys.count - 1)

    def answers(self, like: Floats, who: NDArray[np.int64]) -> Floats:
        """Answers with the mean and deviation of `like`, partly the user's own."""
        part = math.sqrt(self._keys.variance), math.sqrt(1 - self._keys.variance)
        noise = self._random.standard_normal(len(who))
        found: Floats = like.mean() + like.std() * (part[0] * self._own[who] + part[1] * noise)
        return found


def _steps_of(factor: float) -> int:
    bucket = math.log(LATENCY_BUCKETS[1] / LATENCY_BUCKETS[0])
    return round(math.log(factor) / bucket * _FINENESS)


@lru_cache(maxsize=4096)
def _shares(median: float, sigma: float, tail: tuple[float, float], steps: int) -> Floats:
    """The share of each latency bucket for a lognormal, shifted by parts of a bucket."""
    bucket = math.log(LATENCY_BUCKETS[1] / LATENCY_BUCKETS[0])
    centre = math.log(median) + steps * bucket / _FINENESS
    below = (1 - tail[0]) * _below(centre, sigma)
    if tail[0]:
        below = below + tail[0] * _below(centre + math.log(tail[1]), sigma)
    shares = np.diff(np.concatenate([[0.0], below, [1.0]]))
    found: Floats = np.maximum(shares, 0.0) / shares.clip(0).sum()
    return found


def _below(centre: float, sigma: float) -> Floats:
    z = (np.log(LATENCY_BUCKETS) - centre) / sigma
    return np.array([(1 + math.erf(v / math.sqrt(2))) / 2 for v in z])


def ride_answers(count: int, seed: int = 0, *, noise: float = 0.0) -> Answers:
    """Answers like predicted ride durations: mean 13.9, deviation 8.8 minutes.

    `noise` is the deviation, in minutes, by which the candidate's answers differ from stable's.
    """
    random = np.random.default_rng(seed)
    control = random.gamma(2.5, 5.56, count)
    return Answers(control, control + noise * random.standard_normal(count))
