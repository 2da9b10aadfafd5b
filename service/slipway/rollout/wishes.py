"""What people write, read into values: the documents F-model and F-control. Pure."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from slipway.cluster.protocol import Document
from slipway.errors import InvalidConfig
from slipway.models.reference import PickleFile, RunModel, parse_reference
from slipway.rollout.snapshot import BadRequest, Desired, Problem, Request, Verb

RUN_ID, URI = "MODEL_RUN_ID", "MODEL_URI"
REQUESTED_AT = "slipway.io/requested-at"
REQUEST_KEY = "request.json"
_MAX_ID = 100


def read_desired(document: Document | None) -> Desired:
    """The desired reference. Nothing wanted is no problem; both references, or a wrong one, is."""
    if document is None:
        return Desired(problem=Problem("InvalidConfig", "the model's ConfigMap is gone; "
                                       "what serves goes on"))  # fmt: skip
    run_id, uri = (document.data.get(name, "").strip() for name in (RUN_ID, URI))
    mark = _mark(run_id, uri, document.annotations.get(REQUESTED_AT, ""))
    if run_id and uri:
        message = f"both {RUN_ID} and {URI} are set; remove one of them"
        return Desired(mark=mark, problem=Problem("InvalidConfig", message))
    reference = run_id or uri
    if not reference:
        return Desired(mark=mark)
    try:
        parsed = parse_reference(reference)
    except InvalidConfig as error:
        name = RUN_ID if run_id else URI
        return Desired(mark=mark, problem=Problem("InvalidConfig", f"{name}: {error.message}"))
    message = ""
    if isinstance(parsed, PickleFile):
        message = "a pickle file cannot be rolled out; log the model to MLflow"
    elif run_id and not isinstance(parsed, RunModel):
        message = f"{RUN_ID} must be a run id; other references belong into {URI}"
    if message:
        return Desired(mark=mark, problem=Problem("InvalidConfig", message))
    return Desired(reference=reference, mark=mark)


def _mark(*parts: str) -> str:
    return blake2b("\n".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


class _Expectation(msgspec.Struct, frozen=True):
    phase: str = ""
    digest: str = ""


class _Control(msgspec.Struct, frozen=True):
    id: str
    verb: Verb
    expect: _Expectation = _Expectation()
    actor: str = ""
    reason: str = ""
    full: bool = False
    force: bool = False


def read_request(document: Document | None) -> Request | BadRequest | None:
    """The control request, if there is one; one that cannot be read carries an id all the same."""
    text = document.data.get(REQUEST_KEY, "").strip() if document else ""
    if not text:
        return None
    try:
        found = msgspec.json.decode(text.encode("utf-8", "surrogatepass"), type=_Control)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return BadRequest(f"unreadable-{_mark(text)}", f"it cannot be read: {error}"[:300])
    if not 0 < len(found.id) <= _MAX_ID:
        return BadRequest(f"unreadable-{_mark(text)}", f"its id must have 1 to {_MAX_ID} letters")
    return Request(
        id=found.id,
        verb=found.verb,
        phase=found.expect.phase,
        digest=found.expect.digest,
        actor=found.actor[:100],
        reason=found.reason[:200],
        full=found.full,
        force=found.force,
    )


def request_data(request: Request) -> dict[str, Any]:
    """The control document's JSON members for a request, as a verb writes them."""
    control = _Control(
        id=request.id,
        verb=request.verb,
        expect=_Expectation(request.phase, request.digest),
        actor=request.actor,
        reason=request.reason,
        full=request.full,
        force=request.force,
    )
    found: dict[str, Any] = msgspec.to_builtins(control)
    return found
