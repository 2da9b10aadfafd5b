"""`slipway simulate`: what a policy needs, how long it takes and how often it is wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import click
import msgspec

from slipway.cli import picture, simulated
from slipway.cli.commands import AtLeast, WholeNumber
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


@click.command("simulate")
@click.option(
    "--policy",
    default="careful",
    help="A preset, a file of the chart's values, or their `rollout` alone.",
)
@click.option("--rate", type=AtLeast(0), default=50.0, help="Requests a second.")
@click.option("--runs", type=WholeNumber(1), default=200, help="Rollouts to simulate.")
@click.option("--seed", default=0, help="The first rollout's seed; the others follow.")
@click.option("--failing", default=0.001, help="Share that both versions fail.")
@click.option("--worse", default=0.0, help="Share that the candidate fails besides.")
@click.option("--slower", default=1.0, help="The candidate's latency over stable's.")
@click.option("--higher", default=1.0, help="The candidate's answers over stable's.")
@click.option("--noise", default=0.0, help="Deviation between the answers, in minutes.")
@click.option("--users", default=0, help="Users who keep their slot; 0 for none.")
@click.option("--hours", default=24.0, help="The longest that one rollout may take.")
@click.option("--figures", is_flag=True, help="Run the list of docs/gates.md instead.")
@click.option(
    "--only",
    default="",
    show_default=False,
    help="Of that list, what has this in its name or group.",
)
@click.option(
    "--rides",
    type=Path,
    multiple=True,
    help="Months of rides for the list's models [a synthetic month].",
)
@click.option("--jobs", type=WholeNumber(1), default=1, help="Processes.")
@click.option("--draw", type=Path, help="Draw one rollout into this PNG file.")
@click.option("--output", "-o", default="text", help="text or json.")
def simulate_rollouts(
    policy: str,
    rate: float,
    runs: int,
    seed: int,
    failing: float,
    worse: float,
    slower: float,
    higher: float,
    noise: float,
    users: int,
    hours: float,
    figures: bool,
    only: str,
    rides: Sequence[Path],
    jobs: int,
    draw: Path | None,
    output: str,
) -> None:
    """Simulate rollouts of a policy: the shipped decision and gates against modelled traffic.

    The answers look like ride durations. The exit code is 1 if a figure of the list is missed.
    """
    if output not in ("text", "json"):
        raise InvalidConfig("--output must be text or json")
    if figures:
        sys.exit(_run_figures(only, rides, runs, seed, jobs, output))
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


def _run_figures(
    only: str, rides: Sequence[Path], runs: int, seed: int, jobs: int, output: str
) -> int:
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


def _rides(files: Sequence[Path]) -> dict[str, Answers]:
    try:
        from slipway.examples.ride_answers import ride_answers as of_models
    except ImportError:
        # The image leaves the examples out: the list is then without real models.
        return {}
    return {name: Answers(*pair) for name, pair in of_models(files).items()}
