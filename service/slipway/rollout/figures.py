"""The simulations that say how often the gates are wrong, and how long a rollout takes. Pure.

One list: what is simulated, which figures are read off, and what they must be at least or at most.
`slipway simulate --figures` prints it; docs/gates.md keeps the figures that were reached.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from slipway.rollout.limits import statistics
from slipway.rollout.policy import PRESETS, Policy, Shadow
from slipway.rollout.summary import Summary
from slipway.rollout.traffic import Answers, Keys, Spells, Traffic, ride_answers

MINUTE = 60.0
CAREFUL = PRESETS["careful"]
NO_SHADOW = replace(CAREFUL, shadow=Shadow(enabled=False))
_SAME = ride_answers(20_000)


@dataclass(frozen=True)
class Figure:
    """One figure read off a scenario; `least` and `most` are what it must be, or nothing."""

    words: str
    read: Callable[[Summary], float]
    least: float = -math.inf
    most: float = math.inf


@dataclass(frozen=True)
class Scenario:
    """What is simulated, and how long one rollout may take before it counts as open."""

    name: str
    group: str
    traffic: Traffic
    figures: Sequence[Figure]
    policy: Policy = field(default_factory=lambda: CAREFUL)
    horizon: float = 86_400.0
    # Of the runs that are asked for; slow scenarios take fewer.
    part: float = 1.0


def scenarios(rides: Mapping[str, Answers]) -> list[Scenario]:
    """All of them. `rides` has answers of real models by name (`examples/ride_answers.py`)."""
    return [
        *_identical(),
        *_noises(),
        *_failing(),
        *_slow(),
        *_on_the_limits(),
        *_users(),
        *_empty(),
        *_models(rides),
    ]


def stopped(most: float = math.inf) -> Figure:
    """Share that was stopped."""
    return Figure("stopped", lambda s: s.stopped, most=most)


def promoted(least: float = -math.inf) -> Figure:
    """Share that was promoted for good."""
    return Figure("promoted", lambda s: s.promoted, least=least)


def _minutes(quantile: str) -> Figure:
    def read(summary: Summary) -> float:
        spread = summary.time_to_promotion()
        return getattr(spread, quantile) / MINUTE if spread else math.nan

    return Figure(f"minutes to 100 %, {quantile}", read)


def _within(minutes: float, least: float = -math.inf) -> Figure:
    return Figure(
        f"promoted within {minutes:g} min", lambda s: s.promoted_within(minutes * MINUTE), least
    )


# Twice the medians of the study that the statistics were chosen by, in minutes by requests/s.
TWICE = {200: 20, 50: 20, 10: 38, 1: 316}


def _identical() -> list[Scenario]:
    found = []
    for rate, minutes in TWICE.items():
        figures = [stopped(0.01), _within(minutes, 0.95), _minutes("median"), _minutes("p95")]
        if rate == 1:
            figures += [_beyond(30), _beyond(60), _beyond(120), _beyond(360)]
        found.append(
            Scenario(f"same-{rate}", "same model", Traffic(rate, _SAME), figures, horizon=172_800)
        )
    return found


def _beyond(minutes: float) -> Figure:
    def late(summary: Summary) -> float:
        return summary.share(lambda r: max(r.steps.values(), default=0) > minutes * MINUTE)

    return Figure(f"a step takes over {minutes:g} min", late)


def _noises() -> list[Scenario]:
    def at_50(name: str, most: float, **traffic: Any) -> Scenario:
        figures = [stopped(most), _within(20), _within(40), promoted()]
        noisy = Traffic(50, _SAME, **traffic)
        return Scenario(name, "same model, noise", noisy, figures, horizon=14_400)

    # A burst of 5 s every 20 minutes.
    rare = 5 / 1200
    return [
        at_50("slow-both", 0.01, spells=Spells(0.10, 20.0, slower=4.0, both=True)),
        at_50("slow-one-2", 0.04, spells=Spells(0.02, 20.0, slower=4.0)),
        at_50("slow-one-10", 0.09, spells=Spells(0.10, 20.0, slower=4.0)),
        at_50("cold", 0.01, cold=4.0),
        at_50("bursts-20", 0.05, spells=Spells(rare, 5.0, failing=0.2)),
        at_50("bursts-all", math.inf, spells=Spells(rare, 5.0, failing=1.0)),
        at_50("outage-3", 0.01, spells=Spells(0.1, 120.0, both=True, failing=0.03)),
        at_50("outage-30", 0.01, spells=Spells(0.05, 60.0, both=True, failing=0.3)),
        at_50("outage-all", 0.01, spells=Spells(0.025, 30.0, both=True, failing=1.0)),
    ]


def _failing() -> list[Scenario]:
    first = "5 %"
    two, six = 2 * CAREFUL.interval, 6 * CAREFUL.interval
    found = []
    for rate in (200, 50, 30, 20, 10):
        least = 0.99 if rate >= 50 else -math.inf
        figures = [
            Figure("at 0 % within 2 looks", lambda s: s.stopped_in(first, within=two), least),
            Figure("at 0 % within 6 looks", lambda s: s.stopped_in(first, within=six)),
            Figure("promoted", lambda s: s.promoted, most=0.0),
        ]
        found.append(
            Scenario(
                f"errors-20-{rate}",
                "20 % errors, no shadow",
                Traffic(rate, _SAME, worse=0.2),
                figures,
                NO_SHADOW,
            )
        )
    shadow = Figure("stopped in shadow", lambda s: s.stopped_in("shadow"), least=0.99)
    found.append(
        Scenario("errors-20-shadow", "20 % errors", Traffic(50, _SAME, worse=0.2), [shadow])
    )
    found.extend(
        Scenario(
            f"errors-5-{rate}",
            "5 % errors, no shadow",
            Traffic(rate, _SAME, worse=0.05),
            [Figure("stopped", lambda s: s.stopped), *_detection(first)],
            NO_SHADOW,
        )
        for rate in (50, 10)
    )
    return found


def _detection(step: str) -> list[Figure]:
    def read(quantile: str) -> Callable[[Summary], float]:
        def found(summary: Summary) -> float:
            spread = summary.detection(step)
            return getattr(spread, quantile) / MINUTE if spread else math.nan

        return found

    return [Figure(f"minutes in {step}, {q}", read(q)) for q in ("median", "p95")]


def _slow() -> list[Scenario]:
    return [
        Scenario(
            f"slower-{factor}-{rate}",
            "slower model, no shadow",
            Traffic(rate, _SAME, slower=float(factor)),
            [stopped(), promoted(), *_detection("5 %")],
            NO_SHADOW,
            horizon=14_400,
            part=part,
        )
        for factor, rate, part in ((3, 50, 1.0), (3, 10, 0.5), (2, 200, 0.5), (2, 50, 0.5))
    ]


def _on_the_limits() -> list[Scenario]:
    """A defect of exactly the size of the limit: whatever passes it, or stops it, is wrong."""
    one = _one_step(50.0)
    wrong = [
        Figure("false PASS", lambda s: s.share(lambda r: r.promoted_at is not None), most=0.05),
        Figure("false FAIL", lambda s: s.share(lambda r: r.end == "stopped"), most=0.0031),
    ]
    first = [
        Figure("false PASS of step 5", lambda s: s.share(lambda r: len(r.steps) > 1), most=0.05),
        Figure("right FAIL at 1 point", lambda s: s.stopped_in("5 %")),
    ]
    shadow = [
        Figure("false PASS", lambda s: s.share(lambda r: len(r.steps) > 1), most=0.05),
        Figure("false FAIL", lambda s: s.stopped_in("shadow"), most=0.0031),
    ]
    worse = Traffic(50, _SAME, failing=0.0, worse=0.01)
    noise = ride_answers(20_000, noise=2.0)
    tenth = Answers(noise.control, noise.control * 1.10)
    noisy = Answers(noise.control, noise.candidate - noise.control + tenth.candidate)
    higher = Answers(_SAME.control, _SAME.control * 1.15)
    first_traffic = Traffic(50, _SAME, failing=0.0, worse=0.04)
    return [
        _limit("errors", worse, wrong, one),
        _limit("errors-base", Traffic(50, _SAME, worse=0.01), wrong, one),
        _limit("errors-first", first_traffic, first, replace(NO_SHADOW, steps=(5.0, 25.0))),
        _limit("latency", Traffic(50, _SAME, slower=1.5), wrong, one),
        _limit("shift", Traffic(50, higher), wrong, one),
        _limit("shadow-exact", Traffic(50, tenth), shadow, CAREFUL),
        _limit("shadow-noise", Traffic(50, noisy), shadow, CAREFUL),
    ]


def _limit(name: str, traffic: Traffic, figures: Sequence[Figure], policy: Policy) -> Scenario:
    return Scenario(f"limit-{name}", "on a limit", traffic, figures, policy, 1800.0)


def _one_step(step: float) -> Policy:
    """One step with the fail level that a statistic of `careful` has."""
    policy = replace(NO_SHADOW, steps=(step,))
    level = CAREFUL.gates.fail_level * statistics(policy) / statistics(CAREFUL)
    return replace(policy, gates=replace(policy.gates, fail_level=level))


def _users() -> list[Scenario]:
    def by_answers(summary: Summary) -> float:
        gates = {"mean", "distance", "correlation"}
        return summary.share(lambda r: bool(gates & set(r.cause.split("+"))))

    uncapped = replace(CAREFUL, gates=replace(CAREFUL.gates, key_cap=10_000))
    normal = Traffic(50, _SAME, keys=Keys())
    return [
        Scenario("users-capped", "heavy users", normal, [
            Figure("stopped by answers", by_answers, most=0.05), stopped(), promoted(),
        ], horizon=28_800, part=0.5),
        Scenario("users-uncapped", "heavy users", normal, [
            Figure("stopped by answers", by_answers), stopped(), promoted(),
        ], uncapped, horizon=28_800, part=0.5),
        Scenario("users-latency", "heavy users", Traffic(50, _SAME, keys=Keys(latency=0.5)), [
            stopped(), promoted(),
        ], horizon=28_800, part=0.5),
    ]  # fmt: skip


def _empty() -> list[Scenario]:
    held = [
        Figure("promoted", lambda s: s.promoted, most=0.0),
        stopped(0.0),
        Figure("held", lambda s: s.share(lambda r: r.end == "open"), least=1.0),
    ]
    return [Scenario("zero", "no traffic", Traffic(0.0, _SAME), held, horizon=43_200, part=0.01)]


GOOD = ("retrain", "ridge", "forest", "boosting", "2 % higher")
BAD = ("x 1.3", "+ 5 min", "km for miles", "constant", "permuted")


def _models(rides: Mapping[str, Answers]) -> list[Scenario]:
    in_shadow = Figure("stopped in shadow", lambda s: s.stopped_in("shadow"), least=0.99)
    found = []
    for name, answers in rides.items():
        figures = [stopped(), promoted(0.95), _minutes("median"), _minutes("p95")]
        if name in BAD:
            figures = [in_shadow, *_detection("shadow")]
        elif name not in GOOD:
            figures = [stopped(), promoted()]
        traffic = Traffic(50, answers)
        found.append(Scenario(f"rides {name}", "models of rides", traffic, figures, horizon=14_400))
    better = Traffic(50, Answers(_SAME.control, _SAME.control * 1.02), slower=1.1)
    figures = [stopped(), promoted(0.95), _minutes("median"), _minutes("p95")]
    return [*found, Scenario("slower-1.1", "models of rides", better, figures, horizon=14_400)]
