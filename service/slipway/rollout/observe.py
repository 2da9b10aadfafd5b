"""Brings together what one decision may look at: documents, slots, routers, the resolution.

It reads and never judges. Whatever cannot be read raises, and there is no decision in that tick:
"unknown" must never look like "not there".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import msgspec

from slipway.cluster.protocol import SLOTS, Cluster, Document, DocumentName, Pod, SlotName
from slipway.errors import InvalidConfig
from slipway.models.release import Release, parse_release
from slipway.rollout.measuring import Measuring
from slipway.rollout.plan import Measure
from slipway.rollout.policy import Policy
from slipway.rollout.policy_document import read_policy
from slipway.rollout.resolving import Resolving
from slipway.rollout.snapshot import Memory, RouterView, SlotView, Snapshot
from slipway.rollout.state import State
from slipway.rollout.state_document import read_state
from slipway.rollout.wishes import read_desired, read_request

ROUTING_KEY = "routing.json"
RELEASE_KEY = "release.json"


class Scrapes(Protocol):
    """What `clients.scrape.Scraper` does."""

    def get_all(self, addresses: list[str], path: str) -> Mapping[str, bytes]:
        """The bodies by address, of those that answered in time."""


@dataclass(frozen=True)
class Seen:
    """A snapshot, the policy to decide by, and the two documents that may be written, as read."""

    snapshot: Snapshot
    policy: Policy | None
    state: Document
    routing: Document


class _RouterStatus(msgspec.Struct):
    loaded_epoch: int
    rejected: str | None = None


class Observer:
    """Looks at one installation; `web` says whether it has slots and a router."""

    def __init__(
        self,
        cluster: Cluster,
        scraper: Scrapes,
        resolving: Resolving,
        measuring: Measuring,
        *,
        web: bool,
        now: Callable[[], datetime],
    ) -> None:
        self._cluster = cluster
        self._scraper = scraper
        self._resolving = resolving
        self._measuring = measuring
        self._web = web
        self._now = now

    def look(self, memory: Memory | None, elapsed: float, measure: Measure | None = None) -> Seen:
        """One tick's facts; raises Unavailable if any of them cannot be had.

        `measure` is what the last decision wants measured.
        """
        # The state first: all else is then at least as new as what it says.
        state = self._document("state")
        stored = read_state(state)
        desired = read_desired(self._cluster.read("model"))
        policy, problem = self._policy()
        routing = self._document("routing")
        slots = {slot: self._slot(slot) for slot in SLOTS} if self._web else {}
        pods = self._router_pods() if self._web else []
        # Measured after the routers have told their tables: none of it is older than those.
        routers = self._routers(pods)
        snapshot = Snapshot(
            now=self._now(),
            elapsed=elapsed,
            stored=stored,
            memory=memory,
            desired=desired,
            resolution=self._resolving.look(desired, stored if isinstance(stored, State) else None),
            slots=slots,
            routers=routers,
            routing=_table(routing),
            request=read_request(self._cluster.read("control")),
            window=self._measuring.look(measure, pods, slots),
            policy_problem=problem,
            web=self._web,
        )
        return Seen(snapshot, policy, state, routing)

    def _document(self, name: DocumentName) -> Document:
        return self._cluster.read(name) or Document(name)

    def _policy(self) -> tuple[Policy | None, str]:
        document = self._cluster.read("policy")
        try:
            return read_policy(document), ""
        except InvalidConfig as error:
            return None, error.message

    def _slot(self, slot: SlotName) -> SlotView:
        return SlotView(_release(self._cluster.read(slot)), self._cluster.workload(slot))

    def _router_pods(self) -> list[Pod]:
        """Those in the Service: a router that is not ready gets no requests."""
        workload = self._cluster.workload("router")
        return [pod for pod in workload.pods if pod.ready] if workload else []

    def _routers(self, pods: Sequence[Pod]) -> tuple[RouterView, ...]:
        bodies = self._scraper.get_all([pod.admin for pod in pods], "/status")
        return tuple(_router(pod.name, bodies.get(pod.admin)) for pod in pods)


def _release(document: Document | None) -> Release | None:
    try:
        return parse_release(document.data[RELEASE_KEY].encode()) if document else None
    except (InvalidConfig, KeyError):
        return None


def _table(document: Document) -> Mapping[str, Any] | None:
    if not document.version:
        return None
    try:
        found = json.loads(document.data.get(ROUTING_KEY, ""))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _router(name: str, body: bytes | None) -> RouterView:
    try:
        status = msgspec.json.decode(body or b"", type=_RouterStatus)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return RouterView(name, None)
    return RouterView(name, status.loaded_epoch, status.rejected or "")
