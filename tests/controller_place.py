"""A whole installation in memory in which real controllers run: cluster, routers, models."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from tests.fakes import FakeClock, FakeCluster, FakeStore
from tests.unit.rollout.scene import release

from slipway.clients.registry import ModelPlace
from slipway.cluster.leader import LedCluster
from slipway.cluster.protocol import Document
from slipway.errors import SlipwayError, Unresolvable
from slipway.metrics import ControllerMetrics
from slipway.models.release import Release
from slipway.rollout.loop import Loop
from slipway.rollout.measuring import Measuring
from slipway.rollout.observe import ROUTING_KEY, Observer
from slipway.rollout.remote import write_desired, write_request
from slipway.rollout.resolving import Resolving
from slipway.rollout.snapshot import Request, Verb
from slipway.rollout.state import State
from slipway.rollout.state_document import read_state
from slipway.router.table import parse_table

TICK = 2.0


class FakeModels:
    """What the tracking server and the store know: references, and what they lead to."""

    def __init__(self) -> None:
        self.known: dict[str, Release | SlipwayError | Callable[[], Release]] = {}
        self.hashed: list[str] = []
        for number, name in enumerate("abc", 1):
            self.known[f"models:/ride/{number}"] = release(name)

    def locate(self, text: str) -> ModelPlace:
        """Where it lies."""
        return ModelPlace(self._find(text).uri)

    def resolve(self, text: str, use_case: str = "") -> Release:
        """The release; counts as one reading of all its bytes."""
        assert not use_case
        found = self._find(text)
        self.hashed.append(text)
        return found

    def _find(self, text: str) -> Release:
        found = self.known.get(text, Unresolvable(f"nobody knows {text}"))
        if isinstance(found, SlipwayError):
            raise found
        return found if isinstance(found, Release) else found()


class FakeRouters:
    """The routers' agents, as their /status tells: each follows the document unless it is stuck."""

    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self.loaded: dict[str, dict[str, Any]] = {}
        self.stuck: set[str] = set()
        self.silent: set[str] = set()
        self.rejected: dict[str, str] = {}
        # In how many turns somebody wanted to know what was measured.
        self.measured = 0

    def follow(self) -> None:
        """Load the present table."""
        document = self._store.documents.get("routing")
        workload = self._store.workloads.get("router")
        for pod in workload.pods if workload else ():
            self.loaded.setdefault(pod.admin, {"epoch": 0, "slots": {}})
            if document and pod.admin not in self.stuck:
                text = document.data[ROUTING_KEY]
                # A router would refuse what does not add up.
                parse_table(text.encode())
                self.loaded[pod.admin] = json.loads(text)

    def get_all(self, addresses: list[str], path: str) -> Mapping[str, bytes]:
        """Their statuses."""
        assert path == "/status"
        return {
            address: json.dumps(self._status(address)).encode()
            for address in addresses
            if address not in self.silent
        }

    def get_each(self, places: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], bytes]:
        """Nobody tells what was measured: gates stay without data."""
        self.measured += bool(places)
        return {}

    def weights(self, slot: str) -> set[int]:
        """What the slot gets in the tables that are loaded, mirrored copies included."""
        tables = list(self.loaded.values())
        weights = {table["slots"].get(slot, {}).get("weight", 0) for table in tables}
        shadows = {(table.get("shadow") or {}).get("slot") for table in tables}
        return weights | ({1} if slot in shadows else set())

    def _status(self, address: str) -> dict[str, Any]:
        return {
            "ready": True,
            "loaded_epoch": self.loaded.get(address, {"epoch": 0})["epoch"],
            "checksum": "0",
            "rejected": self.rejected.get(address),
            "pods": {"blue": [], "green": []},
        }


class ControllerPlace:
    """Time goes by in `tick`; between ticks everything else keeps up at once."""

    def __init__(self, policy: str = "preset: fast", *, web: bool = True) -> None:
        self.clock = FakeClock()
        self.cluster = FakeCluster(clock=self.clock)
        self.store = self.cluster.store
        self.models = FakeModels()
        self.routers = FakeRouters(self.store)
        self.web = web
        self.cluster.install()
        self.cluster.edit("model", {"MODEL_RUN_ID": "", "MODEL_URI": ""})
        self.cluster.edit("policy", {"policy.yaml": policy})
        self.routers.follow()
        self.metrics = ControllerMetrics()
        # Called after each turn.
        self.between: Callable[[], None] = lambda: None
        self.loop = self.controller()

    def controller(
        self, name: str = "one", cluster: FakeCluster | None = None, *, lease: float = 15.0
    ) -> Loop:
        """A controller process; it begins to act with its first turn."""
        led = LedCluster(cluster or self.cluster, name, lease, self.clock.monotonic)
        resolving = Resolving(self.models, monotonic=self.clock.monotonic, spawn=lambda job: job())
        measuring = Measuring(self.routers, self.clock.monotonic)
        observer = Observer(
            led, self.routers, resolving, measuring, web=self.web, now=self.clock.now
        )
        return Loop(led, observer, self.metrics, self.clock.monotonic)

    def view(self) -> FakeCluster:
        """Another client of the same cluster."""
        return FakeCluster(self.store, self.clock)

    def want(self, reference: str) -> None:
        """What `slipway set-model` does."""
        write_desired(self.view(), reference, self.clock.now())

    def ask(self, verb: Verb, **members: Any) -> None:
        """What the other verbs do."""
        key = f"{verb}-{self.clock.monotonic():g}"
        write_request(self.view(), Request(id=key, verb=verb, **members))

    def tick(self, times: int = 1, *loops: Loop) -> None:
        """Turn the controllers (by default the one), let the rest follow, let time go by."""
        for _ in range(times):
            for loop in loops or (self.loop,):
                loop.turn()
            self.between()
            self.follow()
            self.clock.advance(TICK)

    def follow(self) -> None:
        """Pods come up and routers load."""
        self.cluster.settle()
        self.routers.follow()

    def rest(self, *loops: Loop, most: int = 60) -> None:
        """Tick until nothing changes for some ticks."""
        quiet = 0
        for _ in range(most):
            before = len(self.store.effects)
            self.tick(1, *loops)
            quiet = quiet + 1 if len(self.store.effects) == before else 0
            if quiet == 4:
                return
        raise AssertionError(f"it does not come to rest: {self.store.effects[-10:]}")

    @property
    def state(self) -> State:
        """The stored state, which must be sound."""
        found = read_state(self.store.documents.get("state"))
        assert isinstance(found, State), found
        return found

    @property
    def table(self) -> dict[str, Any]:
        """The routing document."""
        document: Document = self.store.documents["routing"]
        found: dict[str, Any] = json.loads(document.data[ROUTING_KEY])
        return found

    def serving(self) -> dict[str, int]:
        """Digest -> weight."""
        return {
            row["digest"]: row["weight"] for row in self.table["slots"].values() if row["weight"]
        }

    def reasons(self) -> list[str]:
        """What happened, in the words of the history."""
        return [entry.reason for entry in self.state.history]
