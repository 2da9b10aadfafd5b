"""Who is asked what in each look, and which measurement the answers are added to."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

import msgspec
import numpy as np
from tests.unit.rollout.test_totals import CANARY, SHADOW, A, B
from tests.unit.rollout.windows import cells

from slipway.cluster.protocol import Pod, SlotName, Workload
from slipway.metrics import PodMetrics, RouterMetrics
from slipway.rollout.measures import Window
from slipway.rollout.measuring import Measuring, Place
from slipway.rollout.plan import Measure
from slipway.rollout.snapshot import SlotView
from slipway.web.sample import SampleRing

DIGESTS = {
    "green": CANARY.candidate.release.digest,
    "blue": CANARY.control.release.digest,
}
ROUTERS = [Pod("router-0", "r:9696", "r:9698", ready=True)]


class Bench:
    """A router and a pod for each slot; `asked` keeps what was asked in the last look."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.router = RouterMetrics()
        self.router.loaded(7)
        self.rings = {
            f"{slot}:9697": SampleRing(slot, digest, 10_000) for slot, digest in DIGESTS.items()
        }
        self.counters = {
            "green:9697": PodMetrics(slot="green", release=B),
            "blue:9697": PodMetrics(slot="blue", release=A),
        }
        self.slots: dict[SlotName, SlotView] = {}
        for slot, digest in DIGESTS.items():
            pod = Pod(f"{slot}-0", f"{slot}:9696", f"{slot}:9697", digest, ready=True)
            self.slots[slot] = SlotView(None, Workload(1, digest, pods=(pod,)))  # type: ignore[index]
        self.measuring = Measuring(self, lambda: self.now)

    def get_each(self, places: Collection[Place]) -> Mapping[Place, bytes]:
        self.asked += [f"{address}{path}" for address, path in places]
        return {(address, path): self.get(address, path) for address, path in places}

    def get(self, address: str, path: str) -> bytes:
        if address not in self.rings:
            return self.router.expose()
        if path == "/metrics":
            return self.counters[address].expose()
        page = self.rings[address].after(path.removeprefix("/sample?after="))
        return msgspec.json.encode(page)

    def look(self, measure: Measure | None = CANARY) -> Window | None:
        """15 s later, which is an interval."""
        self.now += 15
        self.asked = []
        self.router.answered("green", B, "200", "live", 0.01)
        self.router.answered("blue", A, "200", "live", 0.01)
        return self.measuring.look(measure, ROUTERS, self.slots)

    def add(self, slot: SlotName, name: str, *, digest: str, ready: bool) -> None:
        view = self.slots[slot]
        assert view.workload
        pod = Pod(name, f"{name}:9696", f"{name}:9697", digest, ready=ready)
        pods = (*view.workload.pods, pod)
        self.slots[slot] = SlotView(None, dataclasses.replace(view.workload, pods=pods))


def counted(window: Window | None) -> int:
    assert window
    return window.counts.total


def test_nobody_is_asked_while_there_is_nothing_to_compare() -> None:
    bench = Bench()
    assert bench.look(None) is None
    assert bench.asked == []


def test_routers_are_asked_for_counters_and_pods_for_what_is_new() -> None:
    bench = Bench()
    bench.look()
    assert sorted(bench.asked) == [
        "blue:9697/sample?after=",
        "green:9697/sample?after=",
        "r:9698/metrics",
    ]
    for number in range(3):
        bench.rings["blue:9697"].add(f"p{number}", "", [1.0], "live")
    assert counted(bench.look()) == 2
    bench.look()
    assert any(a.startswith("blue:9697/") and a.endswith(".3") for a in bench.asked)


def test_in_shadow_pods_are_asked_for_their_latencies_too() -> None:
    """After the settling time of 30 s; the router has another view of it."""
    bench = Bench()
    for _ in range(4):
        bench.look(SHADOW)
    bench.counters["green:9697"].answered(200, "shadow", 0.02)
    bench.counters["blue:9697"].answered(200, "live", 0.02)
    window = bench.look(SHADOW)
    assert window
    assert window.latency
    assert window.latency.candidate == window.latency.control == cells(np.full(1, 0.02))


def test_pods_that_get_no_requests_are_not_asked() -> None:
    bench = Bench()
    bench.add("green", "starting", digest=DIGESTS["green"], ready=False)
    bench.add("green", "old", digest="sha256:" + "00" * 32, ready=True)
    bench.look()
    assert {asked.partition("/")[0] for asked in bench.asked} == {
        "r:9698",
        "green:9697",
        "blue:9697",
    }


def test_counts_begin_anew_with_another_measure_and_after_none() -> None:
    bench = Bench()
    bench.look()
    assert counted(bench.look()) == 2
    assert counted(bench.look()) == 4
    assert counted(bench.look(SHADOW)) == 0
    assert counted(bench.look()) == 0
    assert counted(bench.look()) == 2
    assert bench.look(None) is None
    assert counted(bench.look()) == 0
