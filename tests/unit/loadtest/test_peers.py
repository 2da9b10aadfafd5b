"""How the peers' runs become ratios, goals, a table and a plot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loadtest.bench.peers import environments
from loadtest.bench.peers.page import BEGIN, END, in_page, plot, told
from loadtest.bench.peers.rounds import Plan, each_group
from loadtest.bench.peers.systems import SYSTEMS, Rides
from loadtest.bench.peers.usage import cpu_seconds, descendants, megabytes
from loadtest.bench.peers.verdict import goals, ratio, spread

TITLES = {name: system.title for name, system in SYSTEMS.items()} | {"router": "through the router"}


def run(
    rate: float, *, cpu: float = 1.0, median: float = 1.0, p99: float = 2.0
) -> dict[str, float]:
    return {
        "rate": rate,
        "cpu_ms": cpu,
        "median_ms": median,
        "p99_ms": p99,
        "cores": 0.3,
        "broken": 0,
        "refused": 0,
    }


GOOD = {
    "course": run(1000),
    "floor": run(5600),
    "slipway": run(5500, cpu=0.2, median=0.2, p99=0.8),
}


def slipway(
    model: str, *, change: dict[str, float] | None = None, **members: Any
) -> dict[str, Any]:
    """A document in which every goal is met, but for what is changed of Slipway's runs."""
    runs = {**GOOD, "slipway": {**GOOD["slipway"], **(change or {})}}
    levels = ("1", "16", "64") if model == "linear" else ("1", "16")
    document: dict[str, Any] = {
        "how": "2026-11-28, 3 rounds",
        "driven": {level: [runs, runs, runs] for level in levels},
        "starts": {"course": [2.0], "floor": [0.1], "slipway": [1.0], "slipway again": [0.3]},
        "megabytes": {"course": 500.0, "floor": 80.0, "slipway": 100.0},
        "differences": {"course": 0.0, "slipway": 0.0},
        "imports": {"course": [1.5], "floor": [0.1], "slipway": [0.4]},
    }
    if model == "trees":
        document["driven"] = {
            level: [{**runs, "slipway": {**runs["slipway"], "rate": 1.3 * runs["slipway"]["rate"]}}]
            for level in levels
        }
    return {**document, **members}


def report(**documents: dict[str, Any]) -> dict[str, Any]:
    return {
        "machine": {"cpu": "C", "cores": 2, "memory_gb": 24, "kernel": "6.1", "python": "3.11.7"},
        "driver": "wrk 4",
        "titles": TITLES,
        "versions": {"course": {"mlflow": "3"}},
        "measured": documents,
    }


def missed(**measured: dict[str, Any]) -> list[str]:
    return [goal.name for goal in goals(measured) if goal.binding and not goal.met]


def test_a_good_run_misses_nothing() -> None:
    measured = {"linear": {"slipway": slipway("linear")}, "trees": {"slipway": slipway("trees")}}
    assert len(goals(measured)) == 21
    assert missed(**measured) == []


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"rate": 5000.0}, [f"throughput, {n} connections, of the floor's" for n in (1, 16, 64)]),
        ({"cpu_ms": 0.31}, ["CPU a request, of the course's"]),
        ({"median_ms": 0.34}, ["median latency, of the course's"]),
        ({"p99_ms": 1.3}, ["p99 latency, of the course's"]),
        ({"p99_ms": float("nan")}, ["p99 latency, of the course's"]),
    ],
)
def test_a_figure_beyond_its_goal_is_named(change: dict[str, float], names: list[str]) -> None:
    assert missed(linear={"slipway": slipway("linear", change=change)}) == names


@pytest.mark.parametrize(
    ("members", "name"),
    [
        (
            {"megabytes": {"course": 500.0, "floor": 1.0, "slipway": 126.0}},
            "memory, of the course's",
        ),
        (
            {"starts": {"course": [2.0], "slipway": [1.0], "slipway again": [0.41]}},
            "first answer, known release, of the course's",
        ),
        ({"differences": {"slipway": 2e-12}}, "linear answers, relative difference"),
    ],
)
def test_memory_start_and_answers_are_judged(members: dict[str, Any], name: str) -> None:
    assert missed(linear={"slipway": slipway("linear", **members)}) == [name]


def test_the_router_is_judged_by_what_it_adds() -> None:
    half = [{"slipway": run(1, median=1.0, p99=3.0), "router": run(1, median=1.6, p99=3.9)}]
    router = {"driven": slipway("linear")["driven"], "half": half, "megabytes": 150.0}
    measured = slipway("linear", router=router)
    assert missed(linear={"slipway": measured}) == ["the router adds at half load, median, ms"]


def test_nothing_measured_is_nothing_met() -> None:
    assert goals({}) == []
    assert goals({"linear": {"slipway": {"error": "it does not start"}}}) == []


@given(st.lists(st.floats(0.1, 1e6), min_size=1, max_size=9))
def test_the_median_lies_within_the_spread(values: list[float]) -> None:
    found = spread(values)
    assert found.low <= found.median <= found.high
    assert {found.low, found.high} <= set(values)


def test_a_ratio_is_of_neighbours_in_time() -> None:
    """A machine that gets slower from round to round changes no ratio."""
    rounds = [{"course": run(rate), "slipway": run(3 * rate)} for rate in (1000, 500, 100)]
    assert ratio(rounds, "rate", "slipway", "course") == spread([3.0])


def test_a_peer_that_cannot_be_measured_is_named_with_its_error() -> None:
    page = told(
        report(
            linear={
                "slipway": slipway("linear"),
                "mlserver": {"error": "no\n such wheel", "how": "1"},
            }
        ),
        {},
    )
    assert "**MLServer, MLflow runtime** could not be measured here: `no such wheel`" in page


def test_a_peer_that_cannot_be_installed_is_told_by_name_and_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("fastapi", "bentoml"):
        lock = f"--no-index\nabsent-{name}==1.0 --hash=sha256:{'0' * 64}\n"
        (tmp_path / f"{name}.lock").write_text(lock)
    monkeypatch.setattr(environments, "LOCKS", tmp_path)
    monkeypatch.setattr(environments, "CACHE", tmp_path / "cache")
    rides = Rides(tmp_path, "linear", [], [], [])
    said: list[str] = []
    wanted = [("fastapi",), ("bentoml",)]
    found = dict(each_group(wanted, rides, tmp_path / "runs", Plan(1, 1, 1), said.append))
    assert "absent-fastapi==1.0" in found["fastapi"]["error"]
    assert "absent-bentoml==1.0" in found["bentoml"]["error"]
    assert sum("cannot be measured" in line for line in said) == 2


def test_every_system_that_was_measured_has_a_row_and_bars() -> None:
    peer = {**slipway("linear"), "driven": {n: [{"course": run(1), "fastapi": run(2)}] for n in
                                            ("1", "16", "64")}}  # fmt: skip
    peer["megabytes"] = {"course": 2.0, "fastapi": 1.0}
    peer["starts"] = {"course": [2.0], "fastapi": [1.0]}
    made = report(linear={"fastapi": peer, "slipway": slipway("linear")})
    page = told(made, {"linear": "bench/linear.svg"})
    drawn = plot(made, "linear")
    ET.fromstring(drawn)  # noqa: S314 - our own
    for name in ("fastapi", "floor", "slipway"):
        assert f"| {TITLES[name]} |" in page
        assert TITLES[name].replace("'", "&#x27;") in drawn
    assert "bench/linear.svg" in page


def test_what_was_measured_at_another_time_is_told_apart() -> None:
    documents = {"slipway": slipway("linear"), "mlserver": {"error": "no", "how": "the day after"}}
    page = told(report(linear=documents), {})
    assert "2026-11-28, 3 rounds: slipway (linear); the day after: mlserver (linear)." in page
    assert "Python 3.11.7; 2026-11-28, 3 rounds." in told(
        report(linear={"slipway": slipway("linear")}), {}
    )


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert in_page(page, "new\n") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    with pytest.raises(ValueError, match="lacks"):
        in_page("nothing here", "new")


def test_a_system_is_all_its_processes() -> None:
    """A child counts, also in a session of its own; so does what a child that has ended used."""
    program = (
        "import subprocess, sys, time;"
        "subprocess.run([sys.executable, '-c', 'sum(range(6_000_000))']);"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], "
        "start_new_session=True); print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as leader:
        try:
            assert leader.stdout is not None
            leader.stdout.readline()
            assert len(descendants([leader.pid])) == 2
            assert cpu_seconds([leader.pid]) > 0
            assert megabytes([leader.pid]) > 1
        finally:
            for pid in descendants([leader.pid]):
                os.kill(pid, signal.SIGKILL)
    assert descendants([leader.pid]) == set()
