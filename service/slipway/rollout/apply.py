"""Writes what was decided, in the one order that a kill after any line forgives. Decides nothing.

State first, by the version that the decision saw: whoever decided on something older fails there
and has changed nothing. A slot has no version to go by, so the state's is looked at again before
one is filled. Everything after it is derived from the state anew in the next tick. People are told
last, of what has been written.
"""

from __future__ import annotations

import dataclasses
import json

from slipway.cluster.protocol import Cluster, Document
from slipway.errors import Conflict
from slipway.rollout.decide import Decision
from slipway.rollout.observe import ROUTING_KEY, Seen
from slipway.rollout.state_document import state_data


def apply(decision: Decision, seen: Seen, cluster: Cluster) -> None:
    """Bring the decision into the cluster.

    Raises the first error and leaves the rest undone: Conflict if somebody else wrote meanwhile,
    Unavailable if the cluster does not answer.
    """
    if decision.state is not None:
        state = seen.state
        if decision.write:
            state = cluster.write(dataclasses.replace(state, data=state_data(decision.state)))
        if decision.routing is not None:
            data = {ROUTING_KEY: json.dumps(decision.routing, indent=1)}
            cluster.write(dataclasses.replace(seen.routing, data=data))
        for fill in decision.fills:
            _require_unchanged(state, cluster)
            cluster.fill(fill.slot, fill.filling, fill.replicas)
    for event in decision.events:
        cluster.record(event)


def _require_unchanged(state: Document, cluster: Cluster) -> None:
    """Raises Conflict if another controller has written the state since this decision."""
    now = cluster.read("state")
    if now is None or now.version != state.version:
        raise Conflict("state was changed by somebody else before a slot was filled")
