"""What kubelet, the Deployments' controller and the routers do, by a test's own hands.

An API server alone runs nothing. Here pods are objects only, with addresses of this machine's own
loopback, where a router's status is really served.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.cluster_worlds import FULLNAME, KubeWorld, deployment

from slipway.cluster.protocol import SLOTS, SlotName
from slipway.status_server import Answer, StatusServer, document

# All routers have the same port, so each process of the tests needs an address of its own.
ROUTER = f"127.{100 + os.getpid() % 100}.{os.getpid() // 100 % 250}.7"
READY = {"type": "Ready", "status": "True"}


class Hands:
    """Keeps pods and routers up with what the controller has written, whenever it is called."""

    def __init__(self, world: KubeWorld) -> None:
        self._world = world
        self.broken: dict[str, str] = {}
        for part in (*SLOTS, "router"):
            body = deployment(part)
            world.server.ask("POST", f"{world.apps}/deployments", body)
        self._pod("router", 0, "", ROUTER, "")
        self.write("model", {"MODEL_RUN_ID": "", "MODEL_URI": ""})
        self.write("policy", {"policy.yaml": "preset: fast\ntick: 0.3"})
        self.loaded: dict[str, Any] = {"epoch": 0, "slots": {}}

    def __call__(self) -> None:
        """Bring pods and routers to where they should be."""
        for slot in SLOTS:
            self._settle(slot)
        routing = self.read("routing")
        if routing is not None:
            self.loaded = json.loads(routing["routing.json"])

    def read(self, name: str) -> dict[str, str] | None:
        """A document's data."""
        path = f"{self._world.core}/configmaps/{FULLNAME}-{name}"
        found = self._world.server.ask("GET", path)
        return None if found is None else found.get("data") or {}

    def write(self, name: str, data: dict[str, str]) -> None:
        """A document as a person makes it."""
        body = {"metadata": {"name": f"{FULLNAME}-{name}"}, "data": data}
        self._world.server.ask("POST", f"{self._world.core}/configmaps", body)

    def serving(self) -> dict[str, int]:
        """Digest -> weight, as the router has it."""
        return {
            row["digest"]: row["weight"] for row in self.loaded["slots"].values() if row["weight"]
        }

    def status(self, _query: str) -> Answer:
        """What the router answers."""
        return document(200, {"ready": True, "loaded_epoch": self.loaded["epoch"],
                              "checksum": "", "rejected": None,
                              "pods": {"blue": [], "green": []}})  # fmt: skip

    def _settle(self, slot: SlotName) -> None:
        server, world = self._world.server, self._world
        path = f"{world.apps}/deployments/{FULLNAME}-{slot}"
        found = server.ask("GET", path)
        size = found["spec"]["replicas"]
        annotations = found["spec"]["template"]["metadata"].get("annotations") or {}
        digest = annotations.get("slipway.io/digest", "")
        names = {self._name(slot, number, digest) for number in range(size)}
        pods = server.ask("GET", f"{world.core}/pods?labelSelector=slipway.io/slot={slot}")["items"]
        there = {pod["metadata"]["name"] for pod in pods}
        for name in there - names:
            server.ask("DELETE", f"{world.core}/pods/{name}?gracePeriodSeconds=0")
        for number in range(size):
            if self._name(slot, number, digest) not in there:
                host = f"127.0.{1 + SLOTS.index(slot)}.{1 + number}"
                self._pod(slot, number, digest, host, self.broken.get(digest, ""))
        generation = found["metadata"]["generation"]
        world.set_status(
            slot,
            {"observedGeneration": generation, "replicas": size, "updatedReplicas": size},
        )

    def _name(self, part: str, number: int, digest: str) -> str:
        return f"{part}-{digest.removeprefix('sha256:')[:10] or 'none'}-{number}"

    def _pod(self, part: Any, number: int, digest: str, host: str, trouble: str) -> None:
        status: dict[str, Any] = {"phase": "Running", "podIP": host, "conditions": [READY]}
        if trouble:
            state = {"waiting": {"reason": "CrashLoopBackOff", "message": trouble}}
            failing = {"name": "slipway", "image": "x", "imageID": "x", "ready": False,
                       "restartCount": 9, "state": state}  # fmt: skip
            status = {"phase": "Running", "podIP": host, "containerStatuses": [failing]}
        self._world.add_pod(part, self._name(part, number, digest), digest, status)


@contextmanager
def hands_on(world: KubeWorld) -> Iterator[Hands]:
    """A namespace with the chart's objects, and a router that answers."""
    hands = Hands(world)
    server = StatusServer(ROUTER, 9698, {"/status": hands.status}, "router")
    server.start()
    try:
        yield hands
    finally:
        server.close()
