"""Outcomes reach the server, if not at once; nobody waits for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest
from tests.unit.rollout.scene import release
from tests.waiting import until

from slipway.errors import AccessDenied, SlipwayError, Unavailable
from slipway.rollout import write_back
from slipway.rollout.outcomes import Outcome
from slipway.rollout.write_back import WriteBack


@dataclass
class FakeServer:
    """Keeps what it is told, unless it has an error to raise; `gate` holds it up."""

    errors: list[Exception] = field(default_factory=list)
    told: list[tuple[str | None, str | None, str]] = field(default_factory=list)
    asked: int = 0
    gate: threading.Event = field(default_factory=threading.Event)

    def tag(self, run_id: str | None, model_id: str | None, tags: Mapping[str, str]) -> None:
        self.asked += 1
        self.gate.wait(10)
        if self.errors:
            raise self.errors.pop(0)
        self.told.append((run_id, model_id, tags["outcome"]))


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def writing(server: FakeServer) -> Iterator[WriteBack]:
    made = WriteBack(lambda: server, retry=0.02)
    made.start()
    yield made
    server.gate.set()
    made.close()


def outcome(name: str, text: str) -> Outcome:
    return Outcome(release(name, model_id=f"m-{name}"), {"outcome": text})


def run_id(name: str) -> str | None:
    return release(name).run_id


def test_an_outcome_is_written_for_run_and_model(server: FakeServer, writing: WriteBack) -> None:
    server.gate.set()
    writing.take([outcome("a", "promoted"), outcome("b", "refused")])
    until(lambda: len(server.told) == 2, 10, "both to be written")
    assert server.told == [
        (run_id("a"), "m-a", "promoted"),
        (run_id("b"), "m-b", "refused"),
    ]


def test_while_the_server_is_away_it_is_tried_again_and_the_newest_counts(
    server: FakeServer, writing: WriteBack
) -> None:
    server.errors = [Unavailable("away"), Unavailable("away")]
    writing.take([outcome("a", "refused")])
    until(lambda: server.asked == 1, 10, "the first try")
    writing.take([outcome("a", "promoted")])
    server.gate.set()
    until(lambda: server.told, 10, "it to be written")
    assert server.told == [(run_id("a"), "m-a", "promoted")]


@pytest.mark.parametrize("error", [AccessDenied("no"), SlipwayError("odd"), ValueError("odder")])
def test_what_the_server_refuses_is_given_up_and_the_next_is_written(
    error: Exception, server: FakeServer, writing: WriteBack
) -> None:
    server.errors = [error]
    server.gate.set()
    writing.take([outcome("a", "promoted"), outcome("b", "promoted")])
    until(lambda: server.told, 10, "the other one to be written")
    assert server.told == [(run_id("b"), "m-b", "promoted")]


def test_a_server_that_hangs_holds_up_nobody_and_no_more_than_so_many_wait(
    server: FakeServer, writing: WriteBack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_back, "MOST_PENDING", 3)
    for name in "abcdefgh":
        writing.take([outcome(name, "promoted")])
    server.gate.set()
    until(lambda: (run_id("h"), "m-h", "promoted") in server.told, 10, "the last to be written")
    assert len(server.told) <= 4
