"""Requests within Kinesis' limits, letters with all that is needed, and patience."""

from __future__ import annotations

import base64
import json
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.clients.streams import Entry, Record
from slipway.errors import Conflict, Throttled, Unavailable
from slipway.stream import patience as module
from slipway.stream.patience import Patience, Stopped
from slipway.stream.processor import Bad
from slipway.stream.sink import MAX_BYTES, MAX_ENTRIES, MAX_KEPT, chunks, letter

SIZES = st.lists(st.sampled_from([1, 100, 1_000_000, MAX_BYTES + 1]), max_size=30)


@given(SIZES, st.integers(0, 1200))
def test_all_entries_are_put_once_in_their_order_within_the_limits(
    sizes: list[int], more: int
) -> None:
    blob = b"x" * max(sizes, default=0)
    entries = [Entry(str(n), blob[:size]) for n, size in enumerate(sizes)]
    entries += [Entry(str(n), b"small") for n in range(more)]
    made = list(chunks(entries))
    assert [entry for chunk in made for entry in chunk] == entries
    for chunk in made:
        assert 1 <= len(chunk) <= MAX_ENTRIES
        weight = sum(len(entry.data) + len(entry.key) for entry in chunk)
        assert weight <= MAX_BYTES or len(chunk) == 1


def test_a_letter_holds_the_record_and_is_cut_where_that_is_enormous() -> None:
    record = Record("s1", "42", "key", b"\xff" * (MAX_KEPT + 1), 12.5)
    told = json.loads(letter(Bad(record, "TooLarge", "too many bytes"), "app", "rides"))
    data = base64.b64decode(told.pop("data"))
    assert data == b"\xff" * MAX_KEPT
    assert told == {
        "reason": "TooLarge",
        "detail": "too many bytes",
        "application": "app",
        "stream": "rides",
        "shard": "s1",
        "sequence_number": "42",
        "partition_key": "key",
        "arrived": 12.5,
        "tries": 1,
        "bytes": MAX_KEPT + 1,
        "cut": True,
    }


def failing(times: int, error: Exception) -> list[Exception]:
    return [error] * times


def test_what_fails_is_tried_again_and_each_try_shows_that_the_process_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "FIRST", 0.001)
    left = failing(4, Throttled("slowly"))
    alive: list[int] = []
    again: list[str] = []

    def call() -> str:
        if left:
            raise left.pop()
        return "done"

    patience = Patience(threading.Event(), lambda: alive.append(1), again.append)
    assert patience.until_done(call) == "done"
    assert len(alive) == 5
    assert again == ["Throttled"] * 4


def test_a_lost_lease_is_not_waited_for() -> None:
    def call() -> None:
        raise Conflict("another has it")

    with pytest.raises(Conflict):
        Patience(threading.Event()).until_done(call)


def test_who_is_to_stop_tries_once_and_waits_no_more() -> None:
    stop = threading.Event()
    calls: list[float] = []

    def call() -> None:
        calls.append(time.monotonic())
        stop.set()
        raise Unavailable("down")

    with pytest.raises(Stopped, match="down"):
        Patience(stop).until_done(call)
    assert len(calls) == 1
