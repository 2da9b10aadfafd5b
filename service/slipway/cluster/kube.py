"""A namespace of Kubernetes as a Cluster.

No request is repeated here: the next tick is the repetition. Nothing is asked for that a
namespace's `edit` role does not grant.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from slipway.cluster.kube_api import Json, KubeApi, annotations_of
from slipway.cluster.lease import Record, Watcher
from slipway.cluster.protocol import (
    Document,
    DocumentName,
    Event,
    Filling,
    Part,
    SlotName,
    Workload,
)
from slipway.cluster.workloads import (
    DIGEST,
    RUN_ID,
    selector_of,
    template_annotations,
    workload_of,
)
from slipway.errors import Conflict, SlipwayError, Unavailable

API_PORT = 9696
ADMIN_PORTS: Mapping[Part, int] = {"blue": 9697, "green": 9697, "router": 9698}
CONTROLLER_PORT = 9699
# Seconds for what is for people only: it must not hold up what it tells of.
SOON = 2.0


def wall_clock() -> datetime:
    """The time as events and leases show it to people; nothing is decided by it."""
    return datetime.now(UTC)


class KubeCluster:
    """The Cluster of the installation `fullname` in the API's namespace."""

    def __init__(
        self,
        api: KubeApi,
        fullname: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = wall_clock,
    ) -> None:
        self._api = api
        self._fullname = fullname
        self._monotonic = monotonic
        self._now = now
        self._lease = Watcher()
        self._events: dict[str, int] = {}
        self._model_uid = ""

    def read(self, name: DocumentName) -> Document | None:
        """The ConfigMap, None if there is none."""
        found = self._api.get("configmaps", self._named(name))
        return None if found is None else self._document(name, found)

    def write(self, document: Document) -> Document:
        """Replace data and annotations, and nothing else: labels and owners are not ours."""
        name = self._named(document.name)
        if not document.version:
            body = {
                "metadata": {
                    "name": name,
                    "labels": self._labels(),
                    "annotations": dict(document.annotations),
                },
                "data": dict(document.data),
            }
            return self._document(document.name, self._api.create("configmaps", body))
        changes: list[Json] = [
            # With the version in it, the API server takes the patch only if it still holds.
            _set("/metadata/resourceVersion", document.version),
            _set("/metadata/annotations", dict(document.annotations)),
            _set("/data", dict(document.data)),
        ]
        return self._document(document.name, self._api.patch("configmaps", name, changes))

    def fill(self, slot: SlotName, filling: Filling | None, replicas: int | None) -> None:
        """The slot's ConfigMap first, then one patch of the Deployment's template and size."""
        if filling is not None:
            self._fill_document(slot, filling)
        name = self._named(slot)
        found = self._api.get("deployments", name)
        if found is None:
            raise Unavailable(f"there is no Deployment {name}; is the chart installed?")
        spec: Json = {}
        if filling is not None:
            wanted = {RUN_ID: filling.run_id, DIGEST: filling.digest}
            if not wanted.items() <= template_annotations(found).items():
                spec["template"] = {"metadata": {"annotations": wanted}}
        if replicas is not None and (found.get("spec") or {}).get("replicas") != replicas:
            spec["replicas"] = replicas
        if spec:
            self._api.patch("deployments", name, {"spec": spec})

    def workload(self, part: Part) -> Workload | None:
        """The Deployment, with the pods that its own selector finds."""
        found = self._api.get("deployments", self._named(part))
        if found is None:
            return None
        pods = self._api.select("pods", selector_of(found))
        return workload_of(found, pods, API_PORT, ADMIN_PORTS[part])

    def hold_lease(self, holder: str, seconds: float) -> bool:
        """Take, renew or (no seconds) give back the Lease; whoever is second gets False."""
        name = self._named("controller")
        found = self._api.get("leases", name)
        record = _record(found) if found else Record()
        wanted = self._lease.wanted(record, holder, seconds, self._monotonic())
        if wanted is None:
            return False
        try:
            if found is None:
                self._api.create("leases", self._lease_body(name, {}, wanted, record))
            else:
                self._api.update("leases", name, self._lease_body(name, found, wanted, record))
        except Conflict:
            return False
        return bool(wanted.holder)

    def record(self, event: Event) -> None:
        """A core v1 Event on the model's ConfigMap; the same one again raises its count."""
        try:
            self._record(event)
        except SlipwayError:
            return

    def live_status(self) -> Json | None:
        """What the controller itself says at this moment; None where it cannot be reached."""
        path = f"{self._named('controller')}:{CONTROLLER_PORT}/proxy/status"
        try:
            return self._api.get("services", path, timeout=SOON)
        except SlipwayError:
            return None

    def _named(self, part: str) -> str:
        return f"{self._fullname}-{part}"

    def _labels(self) -> dict[str, str]:
        return {
            "app.kubernetes.io/managed-by": "slipway",
            "app.kubernetes.io/part-of": self._fullname,
        }

    def _document(self, name: DocumentName, found: Json) -> Document:
        metadata = found.get("metadata") or {}
        if name == "model":
            self._model_uid = metadata.get("uid") or ""
        return Document(
            name, dict(found.get("data") or {}), annotations_of(found), metadata["resourceVersion"]
        )

    def _fill_document(self, slot: SlotName, filling: Filling) -> None:
        known = self.read(slot) or Document(slot)
        if dict(known.data) != filling.data:
            self.write(Document(slot, filling.data, known.annotations, known.version))

    def _lease_body(self, name: str, found: Json, wanted: Record, record: Record) -> Json:
        now = self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        acquired = (found.get("spec") or {}).get("acquireTime") or now
        return {
            "metadata": found.get("metadata") or {"name": name, "labels": self._labels()},
            "spec": {
                "holderIdentity": wanted.holder,
                "leaseDurationSeconds": max(1, math.ceil(wanted.seconds)),
                "acquireTime": acquired if wanted.holder == record.holder else now,
                "renewTime": now,
                "leaseTransitions": wanted.transitions,
            },
        }

    def _record(self, event: Event) -> None:
        kind = "Warning" if event.warning else "Normal"
        text = f"{self._model_uid} {kind} {event.reason} {event.message}"
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        name = f"{self._named('model')}.{key}"
        now = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
        count = self._events.get(name, 0) + 1
        body = {
            "metadata": {"name": name, "namespace": self._api.namespace},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "namespace": self._api.namespace,
                "name": self._named("model"),
                "uid": self._model_uid,
            },
            "reason": event.reason,
            "message": event.message[:1024],
            "type": kind,
            "source": {"component": "slipway-controller"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": count,
        }
        try:
            self._api.create("events", body, timeout=SOON)
        except Conflict:
            # It happened before: in this process, or in one that we know nothing of.
            count = max(2, count)
            again = {"lastTimestamp": now, "count": count}
            self._api.patch("events", name, again, timeout=SOON)
        self._events[name] = count


def _record(found: Mapping[str, Any]) -> Record:
    spec = found.get("spec") or {}
    return Record(
        spec.get("holderIdentity") or "",
        float(spec.get("leaseDurationSeconds") or 0),
        int(spec.get("leaseTransitions") or 0),
        found["metadata"]["resourceVersion"],
    )


def _set(path: str, value: Any) -> Json:
    return {"op": "add", "path": path, "value": value}
