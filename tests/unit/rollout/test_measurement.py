"""Looks at routers and pods become a window; what is missing counts for neither side."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest
from tests.unit.rollout.test_totals import CANARY, SHADOW, WATCH, A, B
from tests.unit.rollout.windows import cells

from slipway.metrics import PodMetrics, RouterMetrics
from slipway.rollout.measurement import Measurement
from slipway.rollout.measures import Counts, Window
from slipway.rollout.plan import Measure
from slipway.web.sample import SampleRing


def rings(*sides: str) -> dict[str, SampleRing]:
    measure = {"candidate": CANARY.candidate, "control": CANARY.control}
    return {
        f"{side[:-2]}-{side[-1]}": SampleRing(side, measure[side[:-2]].release.digest, 10_000)
        for side in sides
    }


@dataclass
class Bench:
    """Two routers and two pods a side, each asked every 5 s; an interval is 15 s."""

    measure: Measure
    now: float = 100.0
    silent: set[str] = field(default_factory=set)
    number: int = 0

    def __post_init__(self) -> None:
        self.measurement = Measurement(self.measure)
        self.routers = {"r1": RouterMetrics(), "r2": RouterMetrics()}
        self.started = dict.fromkeys(self.routers, b"0")
        self.pods = rings("candidate-1", "candidate-2", "control-1", "control-2")
        self.counters = {
            name: PodMetrics(slot=slot, release=of)
            for name, slot, of in (("candidate-1", "green", B), ("control-1", "blue", A))
        }
        for router in self.routers.values():
            router.loaded(7)

    def look(self) -> Window | None:
        """One look, 5 s later."""
        self.now += 5
        pods: dict[str, dict[str, bytes | None]] = {"candidate": {}, "control": {}}
        for name, ring in self.pods.items():
            page = ring.after(self.measurement.cursor(name))
            body = None if name in self.silent else msgspec.json.encode(page)
            pods[name.partition("-")[0]][name] = body
        routers = {n: None if n in self.silent else self.metrics(n) for n in self.routers}
        counters = {n.partition("-")[0]: {n: c.expose()} for n, c in self.counters.items()}
        self.measurement.look(self.now, routers, pods, counters)  # type: ignore[arg-type]
        return self.measurement.window

    def metrics(self, router: str) -> bytes:
        lines = self.routers[router].expose().splitlines()
        start = b"process_start_time_seconds"
        return b"\n".join(
            start + b" " + self.started[router] if line.startswith(start + b" ") else line
            for line in lines
        )

    def ask(self, side: str, source: str = "live", code: str = "200", value: float = 10.0) -> None:
        """One request that one side answers, by any router and pod."""
        self.number += 1
        slot, release = ("green", B) if side == "candidate" else ("blue", A)
        router = self.routers[f"r{1 + self.number % 2}"]
        router.answered(slot, release, code, source, 0.02)
        if code == "200":
            pod = self.pods[f"{side}-{1 + self.number // 2 % 2}"]
            pod.add(f"pair {self.number}", "", [value], source)

    def copy(self, live: str, value: float, copied: float) -> None:
        """One request that both sides answer."""
        other = "control" if live == "candidate" else "candidate"
        self.number += 1
        pair = f"pair {self.number}"
        router = self.routers[f"r{1 + self.number % 2}"]
        router.paired(*(("green", B) if other == "candidate" else ("blue", A)), "none")
        self.pods[f"{live}-1"].add(pair, "", [value], "live")
        self.pods[f"{other}-2"].add(pair, "", [copied], "shadow")

    def spend(self, side: str, source: str, seconds: float) -> None:
        """The time that a pod took for an answer, by its own clock."""
        self.counters[f"{side}-1"].answered(200, source, seconds)


def looked(bench: Bench, times: int = 1) -> Window:
    for _ in range(times):
        window = bench.look()
    assert window
    return window


def test_what_was_before_the_first_look_belongs_to_no_window() -> None:
    bench = Bench(CANARY)
    for _ in range(50):
        bench.ask("control", value=7.0)
        bench.ask("candidate")
    bench.look()
    for _ in range(4):
        bench.ask("candidate")
        bench.ask("control")
    window = looked(bench, 3)
    assert window.counts == Counts(4, 0, 4, 0)
    assert window.earlier
    assert (window.earlier.count, window.earlier.mean) == (50, 7.0)
    assert window.groups


def test_the_window_is_of_its_measure() -> None:
    window = looked(Bench(CANARY))
    assert (window.epoch, window.looks, window.seconds) == (7, 0, 0.0)
    assert window.candidate == CANARY.candidate.release.digest
    assert window.control == CANARY.control.release.digest


def test_in_canary_live_answers_of_both_groups_are_compared_and_no_others() -> None:
    bench = Bench(CANARY)
    bench.look()
    for _ in range(6):
        bench.ask("candidate")
        bench.ask("control")
        for source in ("fallback", "forced", "shadow"):
            bench.ask("control", source, value=500.0)
            bench.ask("candidate", source, value=500.0)
    window = looked(bench, 3)
    assert window.groups
    assert (window.groups.candidate.count, window.groups.control.count) == (6, 6)
    assert window.pairs is None
    assert window.latency is None


@pytest.mark.parametrize(("measure", "live"), [(SHADOW, "control"), (WATCH, "candidate")])
def test_mirrored_answers_are_joined_over_pods_and_looks(measure: Measure, live: str) -> None:
    """Whichever side is live, the first answer of a pair is the control's."""
    bench = Bench(measure)
    bench.look()
    for number in range(30):
        answers = {"control": 10.0 + number, "candidate": 2 * (10.0 + number)}
        other = "control" if live == "candidate" else "candidate"
        bench.copy(live, answers[live], answers[other])
        if number % 10 == 9:
            window = looked(bench)
    window = looked(bench, 3)
    assert window.pairs
    assert (window.pairs.pairs, window.unmatched) == (30, 0)
    powers = window.pairs.powers
    control = window.pairs.origin + window.pairs.unit * powers[1][0] / 30
    candidate = window.pairs.origin + window.pairs.unit * powers[0][1] / 30
    assert (control, candidate) == pytest.approx((24.5, 49.0))
    assert window.counts == Counts(30, 0, 30, 0)


def test_of_copies_the_pods_own_time_counts_and_not_the_routers_view() -> None:
    """A copy waits for a connection of its own, which says nothing about the model."""
    bench = Bench(SHADOW)
    looked(bench, 7)
    for _ in range(7):
        bench.ask("control")
        bench.spend("control", "live", 0.02)
        bench.routers["r1"].answered("green", B, "200", "shadow", 0.5)
        bench.spend("candidate", "shadow", 0.02)
    window = looked(bench, 6)
    assert window.latency
    assert window.latency.candidate == window.latency.control == cells(np.full(7, 0.02))


def test_in_canary_what_a_client_waits_for_counts() -> None:
    bench = Bench(CANARY)
    looked(bench, 7)
    for _ in range(7):
        bench.ask("candidate")
        bench.spend("candidate", "live", 0.5)
    window = looked(bench, 6)
    assert window.latency
    assert window.latency.candidate == cells(np.full(7, 0.02))


@pytest.mark.parametrize("silent", ["r1", "candidate-1", "control-2"])
def test_D9_an_interval_in_which_somebody_was_silent_counts_for_neither_side(silent: str) -> None:
    bench = Bench(CANARY)
    bench.look()
    for look in range(9):
        bench.silent = {silent} if look == 1 else set()
        bench.ask("candidate")
        bench.ask("control")
        window = looked(bench)
    assert (window.looks, window.dropped) == (3, 1)
    assert window.counts == Counts(6, 0, 6, 0)
    assert window.groups
    assert (window.groups.candidate.count, window.groups.control.count) == (6, 6)


def test_D9_what_came_while_somebody_was_silent_is_not_counted_later() -> None:
    """The last look of an interval fails, so the first one of the next has nothing to go by."""
    bench = Bench(CANARY)
    bench.look()
    for look in range(9):
        bench.silent = {"r2"} if look == 2 else set()
        bench.ask("candidate")
        bench.ask("control")
        window = looked(bench)
    assert (window.looks, window.dropped) == (3, 2)
    assert window.counts.total == 6


def test_nothing_begins_before_all_have_answered_once() -> None:
    bench = Bench(CANARY)
    bench.silent = {"control-1", "r2"}
    assert bench.look() is None
    assert bench.measurement.lacking == ["r2", "control-1"]
    bench.silent = set()
    assert bench.look() is not None
    assert bench.measurement.lacking == []


@pytest.mark.parametrize("side", ["candidate", "control"])
def test_D9_a_side_without_pods_is_no_side_without_answers(side: str) -> None:
    bench = Bench(CANARY)
    bench.look()
    bench.pods = {name: ring for name, ring in bench.pods.items() if not name.startswith(side)}
    window = looked(bench, 6)
    assert (window.looks, window.dropped) == (2, 2)
    assert bench.measurement.lacking == [side]


def begin(bench: Bench) -> None:
    """A look's worth of counts."""
    bench.look()
    bench.ask("candidate")
    bench.ask("control")
    assert looked(bench, 3).counts.total == 2


def restart(bench: Bench) -> None:
    bench.routers["r1"] = RouterMetrics()
    bench.routers["r1"].loaded(7)
    bench.started["r1"] = b"77"


def vanish(bench: Bench) -> None:
    del bench.routers["r2"]


def appear(bench: Bench) -> None:
    bench.routers["r3"] = RouterMetrics()
    bench.routers["r3"].loaded(7)
    bench.started["r3"] = b"0"


@pytest.mark.parametrize("change", [restart, vanish, appear])
def test_when_a_router_comes_goes_or_begins_anew_so_does_the_window(change: object) -> None:
    """GATES 1, DESIGN 5: losing data is allowed, bias is not."""
    bench = Bench(CANARY)
    begin(bench)
    change(bench)  # type: ignore[operator]
    window = looked(bench)
    assert (window.looks, window.counts.total, window.dropped) == (0, 0, 0)
    for router in bench.routers.values():
        router.answered("green", B, "200", "live", 0.01)
    assert looked(bench, 3).counts.candidate == len(bench.routers)


def test_a_router_that_begins_anew_while_another_is_silent_begins_the_window_anew() -> None:
    bench = Bench(CANARY)
    begin(bench)
    bench.silent = {"r2"}
    restart(bench)
    looked(bench)
    bench.silent = set()
    assert looked(bench).counts.total == 0


def test_a_router_with_another_table_is_as_silent() -> None:
    bench = Bench(CANARY)
    begin(bench)
    bench.routers["r1"].loaded(8)
    bench.ask("candidate")
    assert looked(bench, 3).dropped == 1
    assert looked(bench).counts.total == 2


def test_a_pods_replacement_is_read_from_its_first_look_on() -> None:
    bench = Bench(CANARY)
    bench.look()
    bench.pods |= rings("candidate-3")
    bench.pods["candidate-3"].add("early", "", [5.0], "live")
    looked(bench)
    bench.pods["candidate-3"].add("later", "", [5.0], "live")
    bench.ask("control")
    window = looked(bench, 2)
    assert window.groups
    assert (window.groups.candidate.count, window.dropped) == (1, 0)


def test_keys_go_with_their_answers() -> None:
    bench = Bench(dataclasses.replace(CANARY, key_cap=2))
    bench.look()
    for number in range(5):
        bench.pods["candidate-1"].add(f"p{number}", "heavy", [1.0], "live")
    bench.ask("control")
    window = looked(bench, 3)
    assert window.keyed
    assert window.groups
    assert window.groups.candidate.count == 2
