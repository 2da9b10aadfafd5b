"""A whole rollout in a moment: the shipped decision and gates against modelled traffic. Pure.

Everything but the traffic is as good as it can be: pods are ready at once, routers load at once,
nobody interferes. A tick is one look.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from msgspec.structs import replace

from slipway.rollout.collect import SLICE_SECONDS, Collector
from slipway.rollout.decide import Decision
from slipway.rollout.gates import judge
from slipway.rollout.measures import Earlier, Window
from slipway.rollout.plan import Measure
from slipway.rollout.policy import WHOLE, Policy
from slipway.rollout.simulated_place import SimulatedPlace
from slipway.rollout.state import State
from slipway.rollout.traffic import Stream, Traffic
from slipway.rollout.verdict import Verdict

End = Literal["promoted", "stopped", "returned", "timed out", "open"]


@dataclass(frozen=True)
class Look:
    """One look: when, in which step, the candidate's weight, and what the gates said."""

    seconds: float
    step: str
    weight: int
    verdicts: tuple[Verdict, ...]
    window: Window


@dataclass(frozen=True)
class Result:
    """How a rollout ended. `steps` has the seconds spent in each, `promoted_at` those until then.

    `cause` is the gate that stopped it, or the reason; `failed` counts requests that the candidate
    failed, `candidate_requests` those that it got from users or as copies.
    """

    end: End
    seconds: float
    promoted_at: float | None
    steps: dict[str, float]
    requests: int
    candidate_requests: int
    failed: int
    cause: str = ""
    ended_in: str = ""


def simulate(policy: Policy, traffic: Traffic, seed: int, *, horizon: float = 86_400.0) -> Result:
    """One rollout; `horizon` in seconds ends one that has no verdict."""
    rollout = Rollout(policy, traffic, seed)
    for _look in rollout.looks(horizon):
        pass
    return rollout.result()


class Rollout:
    """A rollout that can be followed look by look."""

    def __init__(self, policy: Policy, traffic: Traffic, seed: int, *, brief: bool = True) -> None:
        # An honest tick is a look here, and no counted second may be lost to the cap on a tick.
        self._policy = replace(policy, tick=policy.interval)
        self._brief = brief
        self._stream = Stream(traffic, np.random.default_rng(seed))
        self._place = SimulatedPlace(self._policy)
        self._earlier = _earlier(traffic)
        self._collector: Collector | None = None
        self._steps: dict[str, float] = {}
        self._requests = self._mine = self._failed = 0
        self.seconds = 0.0
        self._promoted_at: float | None = None
        self._ended: tuple[End, str, str] | None = None

    def looks(self, horizon: float) -> Iterator[Look]:
        """Every look until the rollout is over."""
        self._turn(0.0, ())
        while self._ended is None and self.seconds < horizon:
            if self._collector is None:
                self._pass_time()
                continue
            yield self._look(self._collector)

    def _look(self, collector: Collector) -> Look:
        state, step = self._place.state, step_name(self._place.state)
        mirrored = collector.measure.mirrored
        before = self.seconds
        self._steps.setdefault(step, 0.0)
        while not collector.add(
            increment := self._stream.slice(_share(state), mirrored=mirrored, age=self._steps[step])
        ):
            self._count(step, increment.counts.candidate, increment.counts.candidate_failed)
        self._count(step, increment.counts.candidate, increment.counts.candidate_failed)
        verdicts = judge(collector.window, state, brief=self._brief)
        self._turn(self.seconds - before, verdicts)
        return Look(self.seconds, step, state.weight, verdicts, collector.window)

    def _count(self, step: str, candidate: int, failed: int) -> None:
        self.seconds += SLICE_SECONDS
        self._steps[step] += SLICE_SECONDS
        self._mine += candidate
        self._failed += failed

    def _pass_time(self) -> None:
        """A phase in which nothing is compared."""
        self.seconds += self._policy.interval
        self._turn(self._policy.interval, ())

    def _turn(self, elapsed: float, verdicts: tuple[Verdict, ...]) -> None:
        """Decide on this look; when that moves anything, again until the place has followed."""
        window = self._collector.window if self._collector else None
        step = step_name(self._place.state)
        decision = self._place.tick(elapsed, window, verdicts)
        self._note(decision, verdicts, step)
        while self._ended is None and (decision.notes or decision.routing or decision.fills):
            decision = self._place.tick(0.0, None, ())
            self._note(decision, (), step)
        if self._collector is None or decision.measure != self._collector.measure:
            self._begin(decision.measure)

    def _begin(self, measure: Measure | None) -> None:
        self._collector = Collector(measure, self._earlier) if measure else None

    def _note(self, decision: Decision, verdicts: tuple[Verdict, ...], step: str) -> None:
        for note in decision.notes:
            if note.reason == "Promoted":
                self._promoted_at = self.seconds
            elif note.reason == "WatchEnded":
                self._ended = "promoted", "", ""
            elif note.reason in ("GateFailed", "NotReady", "InsufficientData"):
                end: End = "returned" if self._promoted_at is not None else "stopped"
                if note.reason == "InsufficientData":
                    end = "timed out"
                failing = [v.gate for v in verdicts if v.decides and v.outcome == "FAIL"]
                self._ended = end, "+".join(failing) or note.reason, step

    def result(self) -> Result:
        """How it has gone so far."""
        end, cause, where = self._ended or ("open", "", step_name(self._place.state))
        return Result(
            end=end,
            seconds=self.seconds,
            promoted_at=self._promoted_at,
            steps=dict(self._steps),
            requests=round(self.seconds * self._stream.traffic.rate),
            candidate_requests=self._mine,
            failed=self._failed,
            cause=cause,
            ended_in=where,
        )


def step_name(state: State) -> str:
    """`shadow`, `5 %`, ... or `watch`."""
    if state.phase == "canary":
        return f"{100 * state.weight / WHOLE:g} %"
    return "watch" if state.phase == "promoted" else state.phase


def _share(state: State) -> float:
    if state.phase == "canary":
        return state.weight / WHOLE
    shares = state.policy.watch if state.phase == "promoted" else state.policy.shadow
    return shares.share / 100


def _earlier(traffic: Traffic) -> Earlier:
    """Stable's ring is full when a rollout begins."""
    control = traffic.answers.control
    return Earlier(10_000, float(control.mean()), float(control.std()))
