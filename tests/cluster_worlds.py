"""Worlds for the contract of Cluster: places in which a test does what others do in real life."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Protocol

from tests.fakes import FakeClock, FakeCluster, FakeStore
from tests.kind_server import KindServer
from tests.kube_apiserver import ApiServer

from slipway.cluster.kube import KubeCluster
from slipway.cluster.kube_api import Place, connect
from slipway.cluster.local import LocalCluster, install
from slipway.cluster.local_files import LocalFolder
from slipway.cluster.protocol import SLOTS, Cluster, DocumentName, Part, SlotName

FULLNAME = "shop-slipway"


class World(Protocol):
    """What a contract test needs besides the Cluster itself."""

    clock: FakeClock

    def view(self) -> Cluster:
        """A client with a memory of its own, as another process has it."""

    def install(self) -> None:
        """Make the Deployments of the chart, without a release and of size 0."""

    def delete(self, name: DocumentName) -> None:
        """Delete a document, as a person may."""

    def give_lease(self, holder: str | None) -> None:
        """Give the lease to somebody else, or (None) delete it."""

    def events(self) -> list[tuple[str, str, str]]:
        """Type, reason and message of all events."""


class FakeWorld:
    """In memory."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = FakeStore()

    def view(self) -> FakeCluster:
        return FakeCluster(self.store, self.clock)

    def install(self) -> None:
        self.view().install("blue", "green")

    def delete(self, name: DocumentName) -> None:
        del self.store.documents[name]

    def give_lease(self, holder: str | None) -> None:
        lease = self.store.lease
        version = str(next(self.store.versions))
        changed = dataclasses.replace(lease, holder=holder or "", version=version)
        self.store.lease = changed

    def events(self) -> list[tuple[str, str, str]]:
        return [
            ("Warning" if event.warning else "Normal", event.reason, event.message)
            for event in self.store.events
        ]


class LocalWorld:
    """A folder, as `slipway local up` makes it, without the processes."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.folder = LocalFolder(folder)

    def view(self) -> LocalCluster:
        return LocalCluster(self.folder.root, monotonic=self.clock.monotonic)

    def install(self) -> None:
        install(self.folder)

    def delete(self, name: DocumentName) -> None:
        self.folder.document(name).unlink()

    def give_lease(self, holder: str | None) -> None:
        if holder is None:
            self.folder.lease.unlink()
        else:
            lease = json.loads(self.folder.lease.read_text())
            self.folder.lease.write_text(json.dumps(lease | {"holder": holder, "renewed": "now"}))

    def events(self) -> list[tuple[str, str, str]]:
        lines = map(json.loads, self.folder.events.read_text().splitlines())
        return [(line["type"], line["reason"], line["message"]) for line in lines]


class KubeWorld:
    """A namespace of an API server. `ask` is the administrator, `view` only an editor of it."""

    def __init__(self, server: ApiServer | KindServer, namespace: str) -> None:
        self.server = server
        self.namespace = namespace
        self.clock = FakeClock()
        self.core = f"/api/v1/namespaces/{namespace}"
        self.apps = f"/apis/apps/v1/namespaces/{namespace}"
        self.lease = (
            f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{FULLNAME}-controller"
        )
        server.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        self.may_edit()

    def may_edit(self) -> None:
        """Give `somebody` the role `edit` of this namespace, and nothing else."""
        for role in self.server.editor_roles:
            self.bind(role)

    def bind(self, role: str, kind: str = "ClusterRole") -> None:
        """Give a role to `somebody`, in this namespace."""
        group = "rbac.authorization.k8s.io"
        self.server.ask(
            "POST",
            f"/apis/{group}/v1/namespaces/{self.namespace}/rolebindings",
            {
                "metadata": {"name": role.replace(":", "-")},
                "roleRef": {"apiGroup": group, "kind": kind, "name": role},
                "subjects": [self.server.subject(self.namespace)],
            },
        )

    def unbind(self) -> None:
        """Take all roles from `somebody`, in this namespace."""
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{self.namespace}/rolebindings"
        self.server.ask("DELETE", path)

    def remove(self) -> None:
        """Delete the namespace and all that is in it."""
        self.server.ask("DELETE", f"/api/v1/namespaces/{self.namespace}")

    def view(self) -> KubeCluster:
        place = Place(kubeconfig=str(self.server.kubeconfig("somebody", self.namespace)))
        return KubeCluster(connect(place, timeout=2.0), FULLNAME, monotonic=self.clock.monotonic)

    def install(self) -> None:
        for slot in SLOTS:
            self.server.ask("POST", f"{self.apps}/deployments", deployment(slot))

    def delete(self, name: DocumentName) -> None:
        self.server.ask("DELETE", f"{self.core}/configmaps/{FULLNAME}-{name}")

    def give_lease(self, holder: str | None) -> None:
        if holder is None:
            self.server.ask("DELETE", self.lease)
        else:
            self.server.ask(
                "PATCH", self.lease, {"spec": {"holderIdentity": holder}}, "merge-patch+json"
            )

    def events(self) -> list[tuple[str, str, str]]:
        found = self.server.ask("GET", f"{self.core}/events")["items"]
        return [(each["type"], each["reason"], each["message"]) for each in found]

    def add_pod(self, slot: SlotName, name: str, digest: str, status: dict[str, Any]) -> None:
        """A pod as a ReplicaSet and a kubelet would leave it."""
        body = deployment(slot)["spec"]["template"]
        body["metadata"] |= {"name": name, "annotations": {"slipway.io/digest": digest}}
        self.server.ask("POST", f"{self.core}/pods", body)
        path = f"{self.core}/pods/{name}/status"
        self.server.ask("PATCH", path, {"status": status}, "merge-patch+json")

    def set_status(self, slot: SlotName, status: dict[str, Any]) -> None:
        """What the Deployment's controller would say."""
        path = f"{self.apps}/deployments/{FULLNAME}-{slot}/status"
        self.server.ask("PATCH", path, {"status": status}, "merge-patch+json")


def deployment(part: Part) -> dict[str, Any]:
    """A Deployment such as the chart makes; its image can nowhere be had."""
    labels = {"app.kubernetes.io/instance": "shop", "slipway.io/slot": part}
    container = {"name": "slipway", "image": "slipway.invalid/none:1"}
    return {
        "metadata": {"name": f"{FULLNAME}-{part}"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
