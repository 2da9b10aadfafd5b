"""A rollout from outside: reads its documents, writes what people want, waits for what follows.

All verbs go through here. Nothing is done to slots or routes: that is the controller's.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from slipway.cluster.protocol import SLOTS, Cluster, Document, DocumentName
from slipway.errors import (
    Conflict,
    InvalidConfig,
    NotInstalled,
    RequestRefused,
    RolloutAborted,
    SlipwayError,
    TimedOut,
    Unavailable,
    Unresolvable,
)
from slipway.models.reference import RunModel, parse_reference
from slipway.rollout.snapshot import Desired, Newer, Request, SlotView, Snapshot
from slipway.rollout.state import Answered
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
REFUSED = "the wanted version is refused; `slipway retry` or `set-model` asks for it again"


def read_status(cluster: Cluster, now: datetime, live: object = None) -> Status:
    """The rollout as the documents and the slots' pods tell it; raises NotInstalled.

    `live` is the controller's own /status, if it was had.
    """
    return with_live(status_of(read_snapshot(cluster, now)), live)


def read_snapshot(cluster: Cluster, now: datetime) -> Snapshot:
    """What the documents and the slots' pods tell; raises NotInstalled, and InvalidConfig for a
    state that only a newer Slipway can read.
    """
    state, model = cluster.read("state"), cluster.read("model")
    if state is None and model is None:
        raise _nothing_here()
    stored = read_state(state)
    if isinstance(stored, Newer):
        raise InvalidConfig(f"the state has the newer schema {stored.schema}; update this slipway")
    slots = {slot: SlotView(None, cluster.workload(slot)) for slot in SLOTS}
    return Snapshot(now=now, stored=stored, desired=read_desired(model), slots=slots)


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


@dataclass(frozen=True)
class Waiting:
    """Looks at a rollout again and again, for `seconds` at most; `tell` sees each status."""

    look: Callable[[], Status]
    seconds: float
    tell: Callable[[Status], None] = lambda _: None
    poll: float = POLL
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def wait_for_rest(waiting: Waiting) -> Status:
    """Until the desired reference has all traffic.

    Raises RolloutAborted, Unresolvable if the reference cannot be taken up as it stands, TimedOut.
    A cluster that does not answer for a while is waited for as well.
    """
    return _wait(waiting, _is_over)


def wait_for_answer(waiting: Waiting, request: Request) -> Answered:
    """What the controller says of a request; raises RequestRefused with its sentence, TimedOut."""

    def is_answered(status: Status, _waited: float) -> bool:
        return status.answered is not None and status.answered.id == request.id

    answered = _wait(waiting, is_answered, "no controller has answered; does one run?").answered
    if answered is None or not answered.accepted:
        raise RequestRefused(answered.message if answered else "it is gone")
    return answered


def wait_for_release(waiting: Waiting, digest: str) -> Status:
    """Until this release has all traffic in every router; raises TimedOut."""

    def has_all(status: Status, _waited: float) -> bool:
        behind = any(router.loaded_epoch != status.epoch for router in status.routers)
        serves = status.stable is not None and status.stable.digest == digest
        return serves and not status.weight and not behind

    return _wait(waiting, has_all)


def _wait(waiting: Waiting, is_over: Callable[[Status, float], bool], late: str = "") -> Status:
    began = waiting.monotonic()
    last: SlipwayError | None = None
    while True:
        waited = waiting.monotonic() - began
        try:
            status = waiting.look()
            last = None
            waiting.tell(status)
            if is_over(status, waited):
                return status
        except Unavailable as error:
            last = error
        if waited >= waiting.seconds:
            raise TimedOut(late or _late(waiting.seconds, last, None if last else status))
        waiting.sleep(min(waiting.poll, max(waiting.seconds - waited, 0.0)))


def _is_over(status: Status, waited: float) -> bool:
    outcome = outcome_of(status)
    why = status.condition.message if status.condition else status.desired.problem
    if outcome == "aborted":
        raise RolloutAborted(why or REFUSED)
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
        "there is no such installation here; install the chart, or name it by --namespace, --name, "
        "or --local"
    )
