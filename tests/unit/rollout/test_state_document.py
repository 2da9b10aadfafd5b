"""F-state: keys for people, and `state.json` that survives versions and stays small."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.rollout.scene import PASS, release, serving
from tests.unit.rollout.test_decide import rolling
from tests.unit.rollout.windows import state

from slipway.cluster.protocol import Document
from slipway.models.release import parse_release
from slipway.rollout.history import with_notes
from slipway.rollout.moves import Note
from slipway.rollout.snapshot import Newer, Problem
from slipway.rollout.start import MAX_LOCK
from slipway.rollout.state import State
from slipway.rollout.state_document import KEY, parse_state, read_state, state_data, state_json

NOW = datetime(2026, 11, 23, tzinfo=UTC)
A, B = release("a"), release("b")


def test_the_plain_keys_are_for_people_and_kubectl_wait() -> None:
    scene = rolling(to="canary")
    data = scene.state
    assert data
    assert data["phase"] == "canary"
    assert (data["stable"], data["candidate"], data["weight"]) == (A.run_id, B.run_id, "500")
    assert parse_release(data["promoted"].encode()) == A
    assert parse_release(data["trial"].encode()) == B


def test_a_candidate_without_weight_is_no_trial() -> None:
    scene = rolling(to="shadow")
    assert scene.state
    assert scene.state["trial"] == ""
    assert scene.state["candidate"] == B.run_id


@pytest.mark.parametrize("phase", ["shadow", "canary", "promoted"])
def test_a_state_survives_its_document(phase: str) -> None:
    before = state(phase)  # type: ignore[arg-type]
    assert parse_state(state_json(before)) == before


def test_members_of_a_newer_slipway_are_kept_and_written_back() -> None:
    tree = json.loads(state_json(state("canary")))
    tree["moon"] = {"phase": "full"}
    tree["policy"]["lunar"] = True
    found = parse_state(json.dumps(tree))
    assert isinstance(found, State)
    assert json.loads(state_json(found))["moon"] == {"phase": "full"}


def test_members_that_came_later_take_their_defaults() -> None:
    found = parse_state('{"schema": 1, "phase": "idle"}')
    assert found == State()


def test_a_newer_schema_is_told_from_garbage() -> None:
    assert parse_state('{"schema": 2}') == Newer(2)
    for text in ("", "[]", "{}", '{"schema": true}', '{"schema": 0}', '{"schema": "1"}', "\ud800"):
        assert isinstance(parse_state(text), Problem)
    assert read_state(None) is None
    assert read_state(Document("state", {"phase": "idle"})) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"weight": 500, "phase": "shadow"},
        {"weight": 10_001},
        {"spare": None},
        {"stable": None},
        {"step": 3},
        {"step": -1},
        {"epoch": -1},
        {"phase": "idle", "weight": 0},
    ],
)
def test_a_state_that_contradicts_itself_is_not_acted_upon(changes: dict[str, object]) -> None:
    broken = replace(state("canary"), **changes)
    assert isinstance(parse_state(state_json(broken)), Problem)


def test_two_releases_in_one_slot_are_no_state() -> None:
    canary = state("canary")
    assert canary.spare
    shared = replace(canary, spare=replace(canary.spare, slot="blue"))
    assert isinstance(parse_state(state_json(shared)), Problem)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
# Bytes that are no UTF-8, within what would be a text of JSON.
@example(b'"\x80"')
@example(b'{"a":"\x80"}')
def test_D18_any_bytes_never_raise(data: bytes) -> None:
    parse_state(data.decode("utf-8", "surrogateescape"))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 120), st.integers(0, 2000), st.integers(0, 100_000))
def test_B21_the_document_stays_below_its_limit(entries: int, length: int, extra: int) -> None:
    big = release("a", inputs=[*A.inputs] * 99)
    assert MAX_LOCK - 1000 < len(msgspec.json.encode(big)) <= MAX_LOCK
    grown = state("canary")
    assert grown.stable
    assert grown.spare
    grown = replace(
        grown,
        stable=replace(grown.stable, release=big),
        spare=replace(grown.spare, release=big),
        previous=big,
        extra={"more": "x" * extra},
        refused=tuple(f"sha256:{n:064x}" for n in range(50)),
    )
    for n in range(entries):
        grown = with_notes(grown, [Note("Started", f"{n}" + "ä" * length, big)], NOW)
    text = state_json(grown)
    assert len(text.encode()) < 64 * 1024
    found = parse_state(text)
    assert isinstance(found, State)
    assert found.stable == grown.stable


def test_the_history_keeps_the_newest_with_what_the_gates_said() -> None:
    scene = serving("careful")
    scene.outcome = PASS
    for name in "bcdefghijkl":
        scene.want(release(name))
        scene.tick(220)
    history = scene.stored.history
    assert history[-1].reason == "WatchEnded"
    assert history[-1].digest == release("l").digest
    assert any(entry.verdicts for entry in history)
    assert all(entry.at for entry in history)
    assert len(state_data(scene.stored)[KEY].encode()) < 64 * 1024
