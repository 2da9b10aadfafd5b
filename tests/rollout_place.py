"""A whole rollout as processes on 127.0.0.1: router, two slots' pods, and the real loop.

    with rolling("good", "x 1.3") as place, place.load():
        place.want("b")
        until(lambda: place.state.phase == "aborted")

The slots' pods run from the beginning, so that a story tells of the rollout alone; the cluster is
the fake one, whose documents the router follows in its folder.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from tests.controller_place import FakeModels
from tests.fakes import FakeCluster
from tests.load import Load, ride
from tests.router_process import RouterProcess, routing
from tests.service_process import HOST, ServiceProcess, serving, stub
from tests.unit.rollout.scene import release
from tests.waiting import until

from slipway.clients.scrape import Scraper
from slipway.cluster.leader import LedCluster
from slipway.cluster.protocol import SLOTS, Pod, SlotName, Workload
from slipway.metrics import ControllerMetrics
from slipway.rollout.loop import Loop
from slipway.rollout.measures import Window
from slipway.rollout.measuring import Measuring
from slipway.rollout.observe import ROUTING_KEY, Observer
from slipway.rollout.remote import write_desired, write_request
from slipway.rollout.resolving import Resolving
from slipway.rollout.snapshot import Request, Verb
from slipway.rollout.state import State
from slipway.rollout.state_document import read_state
from slipway.rollout.status import Status, status_of

# More than any story needs; it only ends a load that a failing test would not.
MOST_REQUESTS = 60_000
# A second; a shadow as fast as the machine allows would measure the queue before it.
RATE = 150.0


def varied(number: int, *headers: str) -> bytes:
    """A ride of its own for each number: 0.5 to 20 miles, half a minute to 40 to answer."""
    distance = round(0.5 + 19.5 * (number * 0.6180339887 % 1.0), 3)
    body = {"PULocationID": 10, "DOLocationID": 50, "trip_distance": distance}
    return ride(number, *headers, body=json.dumps(body).encode())


class RolloutPlace:
    """The first model serves in blue; `want("b")` asks for the second, which green can run."""

    def __init__(self, policy: str, router: RouterProcess, pods: dict[str, ServiceProcess]) -> None:
        self.router = router
        self._pods = pods
        # Entries of the history that are about the first release.
        self.known = 0
        self.cluster = FakeCluster()
        self.cluster.install("blue", "green")
        self.cluster.edit("model", {"MODEL_RUN_ID": "", "MODEL_URI": ""})
        self.cluster.edit("policy", {"policy.yaml": policy})
        router_pod = Pod(
            "router-0", f"{HOST}:{router.port}", f"{HOST}:{router.admin_port}", ready=True
        )
        self.cluster.store.workloads["router"] = Workload(1, pods=(router_pod,))
        self.cluster.after_effect = self._follow
        self._scraper = Scraper()
        led = LedCluster(self.cluster, "one", 15.0)
        observer = Observer(
            led,
            self._scraper,
            Resolving(FakeModels()),
            Measuring(self._scraper),
            web=True,
            now=lambda: datetime.now(UTC),
        )
        self.loop = Loop(led, observer, ControllerMetrics())

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """The controller, for the length of a block."""
        stop = threading.Event()
        thread = threading.Thread(target=self.loop.run, args=(stop,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(20)
            self._scraper.close()

    def load(self, **options: Any) -> Load:
        """Rides of many distances through the router."""
        options = {"rate": RATE, "clients": 16} | options
        return Load(self.router.port, limit=MOST_REQUESTS, request=varied, **options)

    def want(self, name: str) -> None:
        """What `slipway set-model` does; `name` is a or b."""
        write_desired(self.cluster, f"models:/ride/{'ab'.index(name) + 1}", datetime.now(UTC))

    def ask(self, verb: Verb, **members: Any) -> None:
        """What the other verbs do."""
        write_request(self.cluster, Request(id=f"{verb}-1", verb=verb, **members))

    def wait(self, reason: str, seconds: float = 30.0) -> None:
        """Until the history says this of the second release; fails with all that is known."""
        try:
            until(lambda: reason in self.reasons(), seconds)
        except AssertionError:
            raise AssertionError(f"no {reason} in {seconds} s: {self.told()}") from None

    def told(self) -> str:
        """What a failing assertion should show."""
        history = [f"{e.reason}: {e.message}" for e in self.state.history]
        gates = [f"{v.gate} {v.outcome}: {v.sentence}" for v in self.status.gates]
        return "\n".join([self.loop.report.error, self.status.why, *gates, *history])

    @property
    def state(self) -> State:
        """The stored state."""
        found = read_state(self.cluster.store.documents.get("state"))
        return found if isinstance(found, State) else State()

    @property
    def status(self) -> Status:
        """As /status tells it."""
        report = self.loop.report
        assert report.seen is not None
        return status_of(report.seen.snapshot, report.decision)

    @property
    def window(self) -> Window | None:
        """What the last decision looked at."""
        seen = self.loop.report.seen
        return seen.snapshot.window if seen else None

    def reversed_pairs(self) -> int:
        """Pairs of the watch: of the promoted second release and the warm first one."""
        window = self.window
        sides = release("b").digest, release("a").digest
        mine = window is not None and (window.candidate, window.control) == sides
        promoted = self.state.phase == "promoted"
        return window.pairs.pairs if mine and promoted and window and window.pairs else 0

    def reasons(self) -> list[str]:
        """What happened to the second release, in the words of the history."""
        return [entry.reason for entry in self.state.history[self.known :]]

    def _follow(self) -> None:
        """What Kubernetes and a ConfigMap volume do."""
        workloads = self.cluster.store.workloads
        for slot in SLOTS:
            there = workloads[slot].replicas and workloads[slot].digest in self._pods
            pods = (self._pod(slot, workloads[slot].digest),) if there else ()
            workloads[slot] = Workload(workloads[slot].replicas, workloads[slot].digest, pods=pods)
        self.router.pods({slot: workloads[slot].pods for slot in SLOTS})
        if document := self.cluster.store.documents.get("routing"):
            self.router.route(document.data[ROUTING_KEY])

    def _pod(self, slot: SlotName, digest: str) -> Pod:
        process = self._pods[digest]
        return Pod(
            f"{slot}-{digest[-56:-48]}",
            f"{HOST}:{process.port}",
            f"{HOST}:{process.admin_port}",
            digest,
            ready=True,
        )


@contextlib.contextmanager
def rolling(stable: str, candidate: str, policy: str = "preset: test") -> Iterator[RolloutPlace]:
    """Stub models `stable` (release a, serving) and `candidate` (release b, ready to be asked)."""
    with contextlib.ExitStack() as stack:
        pods = {}
        for slot, name, kind in (("blue", "a", stable), ("green", "b", candidate)):
            digest = release(name).digest
            pods[digest] = stack.enter_context(
                serving(
                    command=stub(kind, digest),
                    environment={"SLIPWAY_SLOT": slot, "SLIPWAY_THREADS": "64"},
                    ready=False,
                )
            )
        router = stack.enter_context(routing(ready=False))
        for pod in pods.values():
            pod.wait_ready(60)
        until(router.status, 60, "the router to answer")
        place = RolloutPlace(f"{policy}\nreplicas: 1", router, pods)
        stack.enter_context(place.running())
        place.want("a")
        until(lambda: place.reasons()[-1:] == ["WatchEnded"], 30)
        place.known = len(place.state.history)
        yield place
