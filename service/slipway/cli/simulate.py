"""`slipway simulate`: what a policy needs, how long it takes and how often it is wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from slipway.cli import picture, simulated
from slipway.errors import InvalidConfig
from slipway.rollout import figures as known
from slipway.rollout.figures import Scenario
from slipway.rollout.policy import PRESETS, Policy
from slipway.rollout.policy_document import parse_values
from slipway.rollout.simulate import Result, simulate
from slipway.rollout.summary import Summary
from slipway.rollout.traffic import Answers, Keys, Traffic, ride_answers

_CHUNK = 20
_DAY = 86_400.0


def simulate_rollouts(
    policy: Annotated[
        str, typer.Option(help="A preset, a file of the chart's values, or their `rollout` alone.")
    ] = "careful",
    rate: Annotated[float, typer.Option(min=0, help="Requests a second.")] = 50.0,
    runs: Annotated[int, typer.Option(min=1, help="Rollouts to simulate.")] = 200,
    seed: Annotated[int, typer.Option(help="The first rollout's seed; the others follow.")] = 0,
    failing: Annotated[float, typer.Option(help="Share that both versions fail.")] = 0.001,
    worse: Annotated[float, typer.Option(help="Share that the candidate fails besides.")] = 0.0,
    slower: Annotated[float, typer.Option(help="The candidate's latency over stable's.")] = 1.0,
    higher: Annotated[float, typer.Option(help="The candidate's answers over stable's.")] = 1.0,
    noise: Annotated[float, typer.Option(help="Deviation between the answers, in minutes.")] = 0.0,
    users: Annotated[int, typer.Option(help="Users who keep their slot; 0 for none.")] = 0,
    hours: Annotated[float, typer.Option(help="The longest that one rollout may take.")] = 24.0,
    figures: Annotated[
        bool, typer.Option("--figures", help="Run the list of docs/gates.md instead.")
    ] = False,
    only: Annotated[
        str, typer.Option(help="Of that list, what has this in its name or group.")
    ] = "",
    rides: Annotated[
        list[Path] | None,
        typer.Option(help="Months of rides for the list's models [a synthetic month]."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    draw: Annotated[Path | None, typer.Option(help="Draw one rollout into this PNG file.")] = None,
    output: Annotated[str, typer.Option("--output", "-o", help="text or json.")] = "text",
) -> None:
    """Simulate rollouts of a policy: the shipped decision and gates against modelled traffic.

    The answers look like ride durations. The exit code is 1 if a figure of the list is missed.
    """
    if output not in ("text", "json"):
        raise InvalidConfig("--output must be text or json")
    if figures:
        sys.exit(_run_figures(only, rides or [], runs, seed, jobs, output))
    chosen = _policy(policy)
    answers = ride_answers(20_000, noise=noise)
    traffic = Traffic(
        rate,
        Answers(answers.control, answers.candidate * higher),
        failing=failing,
        worse=worse,
        slower=slower,
        keys=Keys(count=users) if users else None,
    )
    scenario = Scenario("yours", "yours", traffic, (), chosen, hours * 3600)
    summary = Summary(tuple(_results(scenario, runs, seed, jobs)))
    if output == "json":
        print(json.dumps([msgspec.to_builtins(r) for r in summary.results]))
        return
    simulated.show_policy(chosen, traffic, summary)
    looks = simulated.one_rollout(chosen, traffic, seed, hours * 3600)
    simulated.show_rollout(looks)
    if draw:
        draw.write_bytes(picture.draw(looks))


def _policy(text: str) -> Policy:
    if text in PRESETS:
        return PRESETS[text]
    try:
        return parse_values(Path(text).read_text())
    except OSError as error:
        raise InvalidConfig(
            f"there is no preset and no file {text}; presets are {', '.join(PRESETS)}"
        ) from error


def _results(scenario: Scenario, runs: int, seed: int, jobs: int) -> Iterator[Result]:
    chunks = [
        (scenario.policy, scenario.traffic, range(at, min(at + _CHUNK, seed + runs)),
         scenario.horizon)
        for at in range(seed, seed + runs, _CHUNK)
    ]  # fmt: skip
    if jobs == 1:
        for chunk in chunks:
            yield from _chunk(chunk)
        return
    with ProcessPoolExecutor(jobs) as pool:
        for found in pool.map(_chunk, chunks):
            yield from found


def _chunk(task: tuple[Policy, Traffic, range, float]) -> list[Result]:
    policy, traffic, seeds, horizon = task
    return [simulate(policy, traffic, seed, horizon=horizon) for seed in seeds]


def _run_figures(only: str, rides: list[Path], runs: int, seed: int, jobs: int, output: str) -> int:
    chosen = [s for s in known.scenarios(_rides(rides)) if only in s.name or only in s.group]
    if not chosen:
        raise InvalidConfig(f"no scenario has {only!r} in its name or group")
    missed = 0
    for scenario in chosen:
        count = max(round(runs * scenario.part), 1)
        summary = Summary(tuple(_results(scenario, count, seed, jobs)))
        rows = simulated.rows_of(scenario, summary)
        missed += sum(row.missed for row in rows)
        if output == "json":
            print(json.dumps([msgspec.to_builtins(row) for row in rows]), flush=True)
        else:
            simulated.show_rows(rows)
    return 1 if missed else 0


def _rides(files: list[Path]) -> dict[str, Answers]:
    try:
        from slipway.examples.ride_answers import ride_answers as of_models
    except ImportError:
        # The image leaves the examples out: the list is then without real models.
        return {}
    return {name: Answers(*pair) for name, pair in of_models(files).items()}
