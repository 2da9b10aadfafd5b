"""The document F-state: plain keys for people and `kubectl wait`, and `state.json`. Pure.

Members that have come since a state was written take their defaults; members that this version
does not know are kept and written back, so a chart can be rolled back and forth.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from slipway.cluster.protocol import Document
from slipway.rollout.plan import routing_of
from slipway.rollout.policy import WHOLE
from slipway.rollout.snapshot import Newer, Problem
from slipway.rollout.state import Placement, State

SCHEMA = 1
KEY = "state.json"
MAX_BYTES = 60 * 1024
_OWN = frozenset(State.__struct_fields__) - {"extra"}


def read_state(document: Document | None) -> State | Newer | Problem | None:
    """The stored state: None if there is none, a Problem if it cannot be read."""
    if document is None or KEY not in document.data:
        return None
    return parse_state(document.data[KEY])


def parse_state(text: str) -> State | Newer | Problem:
    """Read `state.json`; never raises."""
    try:
        tree = msgspec.json.decode(text.encode("utf-8", "surrogatepass"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Problem("InvalidConfig", f"{KEY} is no JSON")
    schema = tree.get("schema") if isinstance(tree, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        return Problem("InvalidConfig", f"{KEY} does not say its schema")
    if schema > SCHEMA:
        return Newer(schema)
    known = {name: value for name, value in tree.items() if name in _OWN}
    extra = {name: value for name, value in tree.items() if name not in _OWN | {"schema"}}
    try:
        state = msgspec.convert({**known, "extra": extra}, State)
    except msgspec.ValidationError as error:
        return Problem("InvalidConfig", f"{KEY}: {error}"[:300])
    return _sound(state)


def _sound(state: State) -> State | Problem:
    """Refuse what no move leads to: written by hand, it would be acted upon."""
    faults = {
        "two releases share a slot": state.stable and state.spare and state.spare.slot
        and state.stable.slot == state.spare.slot,
        "stable has another role": state.stable and state.stable.role != "stable",
        "the spare is stable": state.spare and state.spare.role == "stable",
        "the spare has no slot": state.spare and state.spare.slot is None,
        "a weight without a canary": state.weight and (
            state.phase != "canary" or not state.candidate or not state.base
        ),
        "a weight out of range": not 0 <= state.weight <= WHOLE,
        "a phase without its candidate": state.phase in ("preparing", "shadow", "canary")
        and not state.candidate,
        "a mirror without stable": state.phase in ("shadow", "canary") and not state.base,
        "a candidate outside a rollout": state.candidate
        and state.phase not in ("preparing", "shadow", "canary"),
        "a step that the policy lacks": state.phase == "canary"
        and not 0 <= state.step < len(state.policy.steps),
        "a negative epoch": state.epoch < 0,
    }  # fmt: skip
    for words, found in faults.items():
        if found:
            return Problem("InvalidConfig", f"{KEY} contradicts itself: {words}")
    return state


def state_json(state: State) -> str:
    """`state.json`, below MAX_BYTES: the oldest history goes first, then unknown members."""
    text = _encoded(state)
    while len(text.encode()) > MAX_BYTES and (state.history or state.extra):
        if state.history:
            state = replace(state, history=state.history[len(state.history) // 2 + 1 :])
        else:
            state = replace(state, extra={})
        text = _encoded(state)
    return text


def _encoded(state: State) -> str:
    tree: dict[str, Any] = msgspec.to_builtins(state)
    extra: Mapping[str, Any] = tree.pop("extra")
    return json.dumps({"schema": SCHEMA, **extra, **tree}, separators=(",", ":"))


def state_data(state: State) -> dict[str, str]:
    """All keys of the document; run ids where there are some, else the digest's first digits."""
    trial = state.candidate if state.weight else None
    return {
        "phase": state.phase,
        "stable": _version(state.stable),
        "candidate": _version(state.candidate),
        "weight": str(state.weight),
        "promoted": _lock(state.stable),
        "trial": _lock(trial),
        KEY: state_json(state),
    }


def routing_json(state: State) -> str:
    """The routing document of a state."""
    return json.dumps(routing_of(state), indent=1)


def _version(placement: Placement | None) -> str:
    return placement.release.version if placement else ""


def _lock(placement: Placement | None) -> str:
    return placement.release.to_json().decode() if placement else ""
