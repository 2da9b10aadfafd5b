"""A whole rollout as processes on 127.0.0.1: router, two slots' pods, and the real loop.

    with rolling() as place:
        place.given("steady", "x 1.3")
        with place.load():
            place.want_candidate()
            until(lambda: place.state.phase == "aborted")

The slots' pods run from the beginning, so that a story tells of the rollout alone, and story after
story on the same processes: each begins with whatever the last one left as stable. What a pod's
model does is named in a file. The cluster is the fake one, whose documents the router follows in
its folder.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import threading
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
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
from slipway.rollout.state import Entry, State
from slipway.rollout.state_document import read_state
from slipway.rollout.status import Status, status_of

# More than any story needs; it only ends a load that a failing test would not.
MOST_REQUESTS = 60_000
SLOT_OF: dict[str, SlotName] = {"a": "blue", "b": "green"}
# The warm version is let go soon, so that the next story can want it by the gates again.
POLICY = "preset: test\nreplicas: 1\nkeepWarm: 1\n"
SHORT_WATCH = "watch: {seconds: 2}"
# A second; a shadow as fast as the machine allows would measure the queue before it.
RATE = 150.0


def varied(number: int, *headers: str) -> bytes:
    """A ride of its own for each number: 0.5 to 20 miles, half a minute to 40 to answer."""
    distance = round(0.5 + 19.5 * (number * 0.6180339887 % 1.0), 3)
    body = {"PULocationID": 10, "DOLocationID": 50, "trip_distance": distance}
    return ride(number, *headers, body=json.dumps(body).encode())


class RolloutPlace:
    """Two releases, a in blue and b in green: one is stable, the other can be wanted."""

    def __init__(self, kinds: Path, router: RouterProcess, pods: dict[str, ServiceProcess]) -> None:
        self.router = router
        self._kinds = kinds
        self._pods = pods
        self.stable, self.candidate = "b", "a"
        # The last entry of the history from before this story.
        self._before: Entry | None = None
        self.cluster = FakeCluster()
        self.cluster.install("blue", "green")
        self.cluster.edit("model", {"MODEL_RUN_ID": "", "MODEL_URI": ""})
        self.cluster.edit("policy", {"policy.yaml": POLICY})
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

    def given(self, stable: str, candidate: str, policy: str = SHORT_WATCH) -> None:
        """At rest, with these models in place of whatever they were, and these policy values."""
        until(lambda: self.state.phase in ("idle", "aborted") and not self.state.warm, 30, "rest")
        serving = self.state.stable
        assert serving
        self.stable = "ab"[serving.release.digest == release("b").digest]
        self.candidate = "ba"[self.stable == "b"]
        self.does(self.stable, stable)
        self.does(self.candidate, candidate)
        self.cluster.edit("policy", {"policy.yaml": POLICY + policy})
        # A rollout begins with the policy that the controller has read by then.
        self.turned()
        self._before = self.state.history[-1]

    def does(self, name: str, kind: str) -> None:
        """Let a release behave so from now on."""
        new = self._kinds / f"{name}.new"
        new.write_text(kind)
        new.replace(self._kinds / name)

    def turned(self) -> None:
        """Until the controller has looked once more, and decided."""
        before = self.loop.report.turned
        until(lambda: self.loop.report.turned > before + 0.1 and not self.loop.report.error)

    def want_candidate(self) -> None:
        """What `slipway set-model` does."""
        self.want(self.candidate)

    def want(self, name: str) -> None:
        """Ask for a or b."""
        write_desired(self.cluster, f"models:/ride/{'ab'.index(name) + 1}", datetime.now(UTC))

    @property
    def slots(self) -> dict[str, SlotName]:
        """Where stable and candidate are, as this story found them."""
        return {"stable": SLOT_OF[self.stable], "candidate": SLOT_OF[self.candidate]}

    def ask(self, verb: Verb, **members: Any) -> None:
        """What the other verbs do."""
        write_request(self.cluster, Request(id=uuid.uuid4().hex, verb=verb, **members))

    def wait(self, reason: str, seconds: float = 30.0) -> None:
        """Until the history of this story says so; fails with all that is known."""
        try:
            until(lambda: reason in self.reasons(), seconds)
        except AssertionError:
            raise AssertionError(f"no {reason} in {seconds} s: {self.told()}") from None

    def told(self) -> str:
        """What a failing assertion should show."""
        history = [f"{e.reason}: {e.message}" for e in self.history()]
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
        """Pairs of the watch: of the promoted candidate and the warm former stable."""
        window = self.window
        sides = release(self.candidate).digest, release(self.stable).digest
        mine = window is not None and (window.candidate, window.control) == sides
        promoted = self.state.phase == "promoted"
        return window.pairs.pairs if mine and promoted and window and window.pairs else 0

    def reasons(self) -> list[str]:
        """What happened in this story, in the words of the history."""
        return [entry.reason for entry in self.history()]

    def history(self) -> Sequence[Entry]:
        """The entries of this story."""
        entries = self.state.history
        return entries[entries.index(self._before) + 1 :] if self._before in entries else entries

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
def rolling() -> Iterator[RolloutPlace]:
    """Both releases' pods, a router and the controller; release a serves, and nobody asks yet."""
    with contextlib.ExitStack() as stack:
        kinds = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pods = {}
        for name, slot in SLOT_OF.items():
            digest = release(name).digest
            (kinds / name).write_text("steady")
            pods[digest] = stack.enter_context(
                serving(
                    command=stub(f"@{kinds / name}", digest),
                    environment={"SLIPWAY_SLOT": slot, "SLIPWAY_THREADS": "64"},
                    ready=False,
                )
            )
        router = stack.enter_context(routing(ready=False))
        for pod in pods.values():
            pod.wait_ready(60)
        router.wait_answering(60)
        place = RolloutPlace(kinds, router, pods)
        stack.enter_context(place.running())
        place.want("a")
        until(lambda: place.reasons()[-1:] == ["WatchEnded"], 30)
        yield place
