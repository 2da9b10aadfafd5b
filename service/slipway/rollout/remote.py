"""A rollout from outside: reads its documents, writes what people want, waits for what follows.

All verbs go through here. Nothing is done to slots or routes: that is the controller's.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from datetime import datetime

from slipway.cluster.protocol import SLOTS, Cluster, Document, DocumentName
from slipway.errors import (
    Conflict,
    InvalidConfig,
    NotInstalled,
    RolloutAborted,
    SlipwayError,
    TimedOut,
    Unavailable,
    Unresolvable,
)
from slipway.models.reference import RunModel, parse_reference
from slipway.rollout.snapshot import Desired, Newer, Request, SlotView, Snapshot
from slipway.rollout.state_document import read_state
from slipway.rollout.status import Status, outcome_of, status_of, with_live
from slipway.rollout.wishes import (
    REQUEST_KEY,
    REQUESTED_AT,
    RUN_ID,
    URI,
    read_desired,
    request_data,
)

TRIES = 5
POLL = 1.0
# The controller looks every 2 s; until then a condition is about what was wanted before.
GRACE = 10.0


def read_status(cluster: Cluster, now: datetime, live: object = None) -> Status:
    """The rollout as the documents and the slots' pods tell it; raises NotInstalled.

    `live` is the controller's own /status, if it was had.
    """
    state, model = cluster.read("state"), cluster.read("model")
    if state is None and model is None:
        raise _nothing_here()
    stored = read_state(state)
    if isinstance(stored, Newer):
        raise InvalidConfig(f"the state has the newer schema {stored.schema}; update this slipway")
    slots = {slot: SlotView(None, cluster.workload(slot)) for slot in SLOTS}
    snapshot = Snapshot(now=now, stored=stored, desired=read_desired(model), slots=slots)
    return with_live(status_of(snapshot), live)


def write_desired(cluster: Cluster, reference: str, now: datetime) -> Desired:
    """Name the model that is wanted; raises InvalidConfig for what is no reference.

    The same reference again counts as written again.
    """
    parsed = parse_reference(reference)
    is_run = isinstance(parsed, RunModel) and parsed.path is None
    key, other = (RUN_ID, URI) if is_run else (URI, RUN_ID)

    def change(found: Document | None) -> Document:
        if found is None:
            raise _nothing_here()
        changed = dataclasses.replace(
            found,
            data={**found.data, key: reference, other: ""},
            annotations={**found.annotations, REQUESTED_AT: now.isoformat()},
        )
        if problem := read_desired(changed).problem:
            raise InvalidConfig(problem.message)
        return changed

    return read_desired(_update(cluster, "model", change))


def write_request(cluster: Cluster, request: Request) -> None:
    """Ask the controller for something; what was asked before and not yet done is replaced."""
    text = json.dumps(request_data(request))

    def change(found: Document | None) -> Document:
        return dataclasses.replace(found or Document("control"), data={REQUEST_KEY: text})

    _update(cluster, "control", change)


def wait_for_rest(
    look: Callable[[], Status],
    seconds: float,
    tell: Callable[[Status], None],
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Status:
    """Until the desired reference has all traffic; `tell` sees each status.

    Raises RolloutAborted, Unresolvable if the reference cannot be taken up as it stands, TimedOut.
    A cluster that does not answer for a while is waited for as well.
    """
    began = monotonic()
    last: SlipwayError | None = None
    while True:
        waited = monotonic() - began
        try:
            status = look()
            last = None
            tell(status)
            if _is_over(status, waited):
                return status
        except Unavailable as error:
            last = error
        if waited >= seconds:
            raise TimedOut(_late(seconds, last, None if last else status))
        sleep(min(POLL, max(seconds - waited, 0.0)))


def _is_over(status: Status, waited: float) -> bool:
    outcome = outcome_of(status)
    why = status.condition.message if status.condition else status.desired.problem
    if outcome == "aborted":
        raise RolloutAborted(why or "the rollout was aborted")
    if outcome == "unusable" and (status.desired.problem or waited >= GRACE):
        raise Unresolvable(status.desired.problem or why)
    return outcome == "done"


def _late(seconds: float, error: SlipwayError | None, status: Status | None) -> str:
    if status is None:
        return f"not within {seconds:g} s; the last thing heard: {error.message if error else ''}"
    why = f": {status.condition.message}" if status.condition else ""
    return f"not within {seconds:g} s; the phase is {status.phase}{why}"


def _update(
    cluster: Cluster, name: DocumentName, change: Callable[[Document | None], Document]
) -> Document:
    for _ in range(TRIES - 1):
        try:
            return cluster.write(change(cluster.read(name)))
        except Conflict:
            continue
    return cluster.write(change(cluster.read(name)))


def _nothing_here() -> NotInstalled:
    return NotInstalled(
        "there is no such installation here; install the chart, or name it by --namespace, --name"
    )
