"""Shows what `slipway simulate` found: tables, a rollout in the terminal, a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from slipway.rollout.figures import Scenario
from slipway.rollout.limits import gates_of
from slipway.rollout.needs import least_samples
from slipway.rollout.policy import Policy
from slipway.rollout.simulate import Look, Rollout
from slipway.rollout.state import State
from slipway.rollout.summary import Spread, Summary, interval_of
from slipway.rollout.traffic import Traffic

_OUT = Console(highlight=False)


@dataclass(frozen=True)
class Row:
    """One figure as it was reached; `limit` in words, empty if there is none."""

    scenario: str
    figure: str
    value: float | None
    low: float | None
    high: float | None
    runs: int
    limit: str
    missed: bool


def rows_of(scenario: Scenario, summary: Summary) -> list[Row]:
    """All figures of a scenario."""
    runs = len(summary.results)
    rows = []
    for figure in scenario.figures:
        value = figure.read(summary)
        share = not figure.words.startswith("minutes")
        low, high = interval_of(value, runs) if share else (None, None)
        limit = ""
        if math.isfinite(figure.most):
            limit = f"at most {_percent(figure.most)}"
        if math.isfinite(figure.least):
            limit = f"at least {_percent(figure.least)}"
        missed = not math.isnan(value) and (value > figure.most or value < figure.least)
        shown = None if math.isnan(value) else value
        rows.append(Row(scenario.name, figure.words, shown, low, high, runs, limit, missed))
    for cause, count in summary.causes().most_common(3):
        low, high = interval_of(count / runs, runs)
        rows.append(
            Row(scenario.name, f"  by {cause}", count / runs, low, high, runs, "", missed=False)
        )
    return rows


def show_rows(rows: Sequence[Row]) -> None:
    """As lines of a Markdown table, so that the docs can keep them."""
    for row in rows:
        share = row.low is not None and row.high is not None
        value = "-" if row.value is None else _percent(row.value) if share else f"{row.value:.1f}"
        between = ""
        if share and row.low is not None and row.high is not None:
            between = f"{_percent(row.low)} to {_percent(row.high)}"
        mark = " **missed**" if row.missed else ""
        cells = (row.scenario, row.figure, value, between, str(row.runs), row.limit + mark)
        _OUT.print("| " + " | ".join(cells) + " |", soft_wrap=True)


def show_policy(policy: Policy, traffic: Traffic, summary: Summary) -> None:
    """What the policy needs, and how often it was wrong."""
    _OUT.print(needs_sentence(traffic, summary))
    table = Table(box=None, pad_edge=False)
    for name in ("step", "least requests", "median", "p95"):
        table.add_column(name, justify="left" if name == "step" else "right")
    times = summary.step_times()
    for name, least in least_by_step(policy).items():
        spread = times.get(name)
        shown = (_time(spread.median), _time(spread.p95)) if spread else ("", "")
        table.add_row(name, str(least or ""), *shown)
    _OUT.print(table)
    runs = len(summary.results)
    for word, share in (("promoted", summary.promoted), ("stopped", summary.stopped)):
        low, high = interval_of(share, runs)
        _OUT.print(f"{word} {_percent(share)} of {runs} ({_percent(low)} to {_percent(high)})")
    for cause, count in summary.causes().most_common():
        _OUT.print(f"  {count} by {cause}")


def needs_sentence(traffic: Traffic, summary: Summary) -> str:
    """`this policy needs N requests, about T at R/s`."""
    spread = summary.time_to_promotion()
    if spread is None:
        return f"at {traffic.rate:g} requests/s none of these rollouts reached 100 %"
    requests = Spread(spread.median * traffic.rate, spread.p95 * traffic.rate)
    return (
        f"this policy needs about {requests.median:,.0f} requests to 100 % (95 of 100: "
        f"{requests.p95:,.0f}), {_time(spread.median)} at {traffic.rate:g} requests/s "
        f"(95 of 100: {_time(spread.p95)})"
    )


def least_by_step(policy: Policy) -> dict[str, int]:
    """Step -> the candidate's requests or pairs that its hungriest gate takes at the least."""
    states = {"shadow": State(phase="shadow", policy=policy)} if policy.shadow.enabled else {}
    for step, percent in enumerate(policy.steps):
        states[f"{percent:g} %"] = State(
            phase="canary", step=step, weight=policy.weights[step], policy=policy
        )
    found = {}
    for name, state in states.items():
        found[name] = max(least_samples(gate, state) or 0 for gate in gates_of(state))
    if policy.watch.seconds:
        found["watch"] = 0
    return found


def one_rollout(policy: Policy, traffic: Traffic, seed: int, horizon: float) -> list[Look]:
    """All looks of one rollout, with the intervals."""
    return list(Rollout(policy, traffic, seed, brief=False).looks(horizon))


def show_rollout(looks: Sequence[Look], lines: int = 24) -> None:
    """Weight and verdicts over time, at most so many lines."""
    if not looks:
        return
    _OUT.print("\none of them:")
    every = max(math.ceil(len(looks) / lines), 1)
    for at, look in enumerate(looks):
        changed = at == 0 or look.step != looks[at - 1].step
        if at % every and not changed and at < len(looks) - 1:
            continue
        bar = "#" * round(look.weight / 500)
        said = "  ".join(f"{v.gate} {_mark(v.outcome)}" for v in look.verdicts)
        _OUT.print(f"{_time(look.seconds):>8}  {look.step:<7} {bar:<20} {said}", soft_wrap=True)


def _mark(outcome: str) -> str:
    return {"PASS": "+", "FAIL": "FAIL", "UNKNOWN": "?"}[outcome]


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"


def _time(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"
