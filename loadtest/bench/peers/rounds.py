"""Runs in turns: in each round every system of a group is driven once, the course's way first.

So what the machine does meanwhile falls on all alike, and a ratio is one of neighbours in time.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loadtest.bench.peers.driver import Driven, DriverFailed, drive
from loadtest.bench.peers.environments import NotMade
from loadtest.bench.peers.systems import (
    COURSE,
    FLOOR,
    ROUTER,
    SLIPWAY_NAME,
    SYSTEMS,
    NotStarted,
    Rides,
    Running,
    routed,
    running,
    worst_difference,
)
from loadtest.bench.peers.usage import cpu_seconds, megabytes

CONNECTIONS = {"linear": (1, 16, 64), "trees": (1, 16)}
# Of the throughput that the router lets through at so many connections, when it is half loaded.
HALF_LOAD_CONNECTIONS = 16
WARM_UP = 1.0

Told = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How long and how often; `seconds` a run, whole."""

    seconds: int
    rounds: int
    starts: int

    def __str__(self) -> str:
        return f"{self.rounds} rounds of {self.seconds} s a cell, {self.starts} starts"


def groups(only: Sequence[str]) -> list[tuple[str, ...]]:
    """Who is driven in turns: each peer beside the course's way, Slipway beside its floor too."""
    named = {SLIPWAY_NAME: (COURSE, FLOOR, SLIPWAY_NAME)}
    peers = [name for name in SYSTEMS if name not in (COURSE, FLOOR)]
    return [named.get(name, (COURSE, name)) for name in peers if not only or name in only]


def measure(group: Sequence[str], rides: Rides, folder: Path, plan: Plan, tell: Told) -> Any:
    """Everything of one group with one model, as a document.

    Raises NotMade, NotStarted, DriverFailed, OSError: what stands in the way of the whole group.
    """
    began = time.monotonic()
    started = starts(group, rides, folder, plan)
    with contextlib.ExitStack() as stack:
        # The scratch that the starts left: Slipway's pods start again on a release they know.
        up = {
            name: stack.enter_context(running(name, rides, folder / f"{name}-kept"))
            for name in group
        }
        differences = {
            name: worst_difference(each, rides)
            for name, each in up.items()
            if not each.system.constant
        }
        for each in up.values():
            drive(each.target, HALF_LOAD_CONNECTIONS, WARM_UP)
        driven = {
            str(connections): in_turns(up, connections, plan, tell)
            for connections in CONNECTIONS[rides.model]
        }
        document: dict[str, Any] = {
            "model": rides.model,
            "starts": started,
            "driven": driven,
            "megabytes": {name: megabytes(each.leaders) for name, each in up.items()},
            "differences": differences,
        }
        if SLIPWAY_NAME in group and rides.model == "linear":
            document[ROUTER] = through_router(up[COURSE], up[SLIPWAY_NAME], plan, tell)
    document["took_seconds"] = time.monotonic() - began
    return document


def starts(group: Sequence[str], rides: Rides, folder: Path, plan: Plan) -> dict[str, list[float]]:
    """Seconds to the first good answer, in turns.

    Slipway's are told twice: with an empty scratch, and again with what that start left there.
    """
    found: dict[str, list[float]] = {name: [] for name in group}
    known = f"{SLIPWAY_NAME} again"
    if SLIPWAY_NAME in group:
        found[known] = []
    for turn in range(plan.starts):
        kept = turn == plan.starts - 1
        for name in group:
            scratch = folder / (f"{name}-kept" if kept else f"{name}-{turn}")
            with running(name, rides, scratch) as first:
                found[name].append(first.first_answer)
            if name == SLIPWAY_NAME:
                with running(name, rides, scratch) as again:
                    found[known].append(again.first_answer)
    return found


def in_turns(
    up: dict[str, Running], connections: int, plan: Plan, tell: Told
) -> list[dict[str, Any]]:
    """One document a round: system -> its run, with the CPU milliseconds of a request."""
    rounds = []
    for _ in range(plan.rounds):
        rounds.append({name: one(each, connections, plan.seconds) for name, each in up.items()})
        rates = ", ".join(f"{name} {run['rate']:.0f}/s" for name, run in rounds[-1].items())
        tell(f"  {connections} connections: {rates}")
    return rounds


def one(target: Running, connections: int, seconds: int, pause_ms: int = 0) -> dict[str, Any]:
    """A run of a system as a document.

    Raises NotStarted when an answer is no 2xx: it would be quick and worth nothing.
    """
    before = cpu_seconds(target.leaders)
    driven: Driven = drive(target.target, connections, seconds, pause_ms)
    used = cpu_seconds(target.leaders) - before
    if driven.refused:
        raise NotStarted(f"{driven.refused} of {driven.requests} answers under load are no 2xx")
    return asdict(driven) | {"cpu_ms": 1000 * used / max(1, driven.requests)}


def through_router(course: Running, pods: Running, plan: Plan, tell: Told) -> dict[str, Any]:
    """The pods asked through the router: at full load beside the course's way, and at half load
    beside the pods asked themselves."""
    with routed(pods) as router:
        drive(router.target, HALF_LOAD_CONNECTIONS, WARM_UP)
        up = {COURSE: course, SLIPWAY_NAME: pods, ROUTER: router}
        full = {
            str(connections): in_turns(up, connections, plan, tell)
            for connections in CONNECTIONS["linear"]
        }
        at = full[str(HALF_LOAD_CONNECTIONS)]
        most = statistics.median(run[ROUTER]["rate"] for run in at)
        alone = statistics.median(run[ROUTER]["median_ms"] for run in full["1"])
        # Milliseconds between two requests of a connection, less those that the answer takes.
        pause = max(1, round(1000 * HALF_LOAD_CONNECTIONS / (most / 2) - alone))
        half = []
        for _ in range(plan.rounds):
            pair = (SLIPWAY_NAME, pods), (ROUTER, router)
            half.append(
                {name: one(each, HALF_LOAD_CONNECTIONS, plan.seconds, pause) for name, each in pair}
            )
            added = half[-1][ROUTER]["median_ms"] - half[-1][SLIPWAY_NAME]["median_ms"]
            tell(f"  half load ({half[-1][ROUTER]['rate']:.0f}/s): the router adds {added:.2f} ms")
        return {"driven": full, "half": half, "megabytes": megabytes(router.leaders)}


def import_seconds(name: str, times: int) -> list[float]:
    """Wall seconds of an interpreter that imports what the system's serving process imports."""
    system = SYSTEMS[name]
    command = [str(system.python()), "-c", f"import {system.imports}"]
    found = []
    for _ in range(times):
        began = time.monotonic()
        subprocess.run(command, check=True, capture_output=True)
        found.append(time.monotonic() - began)
    return found


def each_group(
    wanted: Sequence[tuple[str, ...]],
    rides: Rides,
    folder: Path,
    plan: Plan,
    tell: Told,
) -> Iterator[tuple[str, Any]]:
    """(system, its document), or (system, {"error": why}) for one that cannot be measured."""
    for group in wanted:
        name = group[-1]
        tell(f"{rides.model}: {SYSTEMS[name].title}")
        try:
            yield name, measure(group, rides, folder / rides.model / name, plan, tell)
        except (NotMade, NotStarted, DriverFailed, OSError, subprocess.SubprocessError) as error:
            tell(f"  cannot be measured: {error}")
            yield name, {"model": rides.model, "error": str(error)}
