"""What controller, router agent and verbs need of their surroundings, and nothing more.

`kube` is a namespace of Kubernetes, `local` a folder with processes on one machine; the tests have
a third in memory, and one contract test runs over all of them. "Not there" is None (a fact);
everything else that goes wrong is an error (unknown).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

SlotName = Literal["blue", "green"]
SLOTS: tuple[SlotName, SlotName] = ("blue", "green")
# What has pods: the two slots and the router.
Part = Literal["blue", "green", "router"]
# The documents of the contract, without the installation's name in front.
DocumentName = Literal["model", "policy", "control", "state", "routing", "blue", "green"]


@dataclass(frozen=True)
class Document:
    """A ConfigMap's text, or a file's. `version` is opaque; an empty one means "not there yet"."""

    name: DocumentName
    data: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    version: str = ""


@dataclass(frozen=True)
class Pod:
    """One pod, or one process that stands for it.

    `address` is host:port of the API, `admin` that of the port for metrics, sample and status.
    `digest` is what its template says that it runs. `why` is what keeps it from being ready, with
    the process's own last words first, as in "DigestMismatch: ...". One that is being deleted is
    not ready, one that has ended is not there. `unheard`: it was ready when its node was last heard
    of, and is held for not ready since that says nothing any more.
    """

    name: str
    address: str
    admin: str
    digest: str = ""
    ready: bool = False
    restarts: int = 0
    why: str = ""
    unheard: bool = False


@dataclass(frozen=True)
class Workload:
    """A Deployment and its pods. `replicas` is what was asked for, by whomever.

    `settled` says that the newest template is the only one that runs; `failed` that Kubernetes has
    given up on it (its progress deadline), with the reason in `why`.
    """

    replicas: int
    digest: str = ""
    settled: bool = True
    failed: bool = False
    why: str = ""
    pods: tuple[Pod, ...] = ()


@dataclass(frozen=True)
class Filling:
    """What a slot is to run: a release lock's JSON with the three members that pods read."""

    lock: str
    run_id: str
    uri: str
    digest: str

    @property
    def data(self) -> dict[str, str]:
        """What the slot's document holds."""
        return {
            "MODEL_RUN_ID": self.run_id,
            "MODEL_URI": self.uri,
            "MODEL_DIGEST": self.digest,
            "release.json": self.lock,
        }


@dataclass(frozen=True)
class Event:
    """What happened, for people: a CamelCase reason and one sentence."""

    reason: str
    message: str
    warning: bool = False


class Cluster(Protocol):
    """Every call ends within a time-out of its own and raises Unavailable after it."""

    def read(self, name: DocumentName) -> Document | None:
        """The document as it is now, None if there is none."""

    def write(self, document: Document) -> Document:
        """Replace the document whose version this is; raises Conflict if it changed meanwhile."""

    def fill(self, slot: SlotName, filling: Filling | None, replicas: int | None) -> None:
        """Bring a slot to run this (None: leave what it runs) in that size (None: leave it).

        The slot's document is written before its template; what is so already is not written.
        """

    def workload(self, part: Part) -> Workload | None:
        """A slot's or the router's Deployment with its pods."""

    def hold_lease(self, holder: str, seconds: float) -> bool:
        """Take or renew the controller's lease; False while somebody else holds it.

        No seconds give back what `holder` holds, and are answered with False.
        """

    def record(self, event: Event) -> None:
        """Tell people; best effort, never raises for a cluster that does not take it."""


class Installation(Cluster, Protocol):
    """A Cluster that verbs talk to: they may ask the controller itself, too."""

    def live_status(self) -> dict[str, Any] | None:
        """What the controller itself says at this moment; None where it cannot be reached."""
