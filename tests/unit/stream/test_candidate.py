"""A candidate in a process of its own: what happens to it happens to nobody else."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.kinesis_stand_in import ride_record
from tests.waiting import until

from slipway.clients.streams import Record
from slipway.errors import ModelFailed
from slipway.models.obtain import Loaded
from slipway.settings import ModelSettings, read_settings
from slipway.stream import candidate as module
from slipway.stream.candidate import Candidate, Loading
from slipway.stream.processor import Bad, Processor, Scored, in_share
from slipway.stream.scoring import Scoring

RECORDS = [Record("s", str(n), str(n), ride_record(n)[1]) for n in range(40)]


class Broken(Loading):
    """A child that ends while it loads, hangs, or answers too little, as the file says."""

    def __call__(self) -> Processor:
        what = Path(str(self._stream)).read_text()
        if what == "refuses":
            raise ModelFailed("it is broken")
        if what == "dies":
            os._exit(3)
        return {"hangs": Hanging, "short": Short}[what]()  # type: ignore[return-value]


class Hanging:
    """Never answers."""

    def process(self, _records: list[Record]) -> list[Bad]:
        time.sleep(60)
        return []


class Short:
    """Answers for fewer records than it was asked for."""

    def process(self, _records: list[Record]) -> list[Bad]:
        return []


@pytest.fixture
def candidate(loaded_rides: Loaded, ride_model: Path) -> Iterator[Candidate]:
    settings = read_settings(ModelSettings)
    loading = Loading(settings, loaded_rides.release, "ride_events", 1000)
    found = Candidate(loaded_rides.release, loading)
    yield found
    found.close()


def answered(candidate: Candidate) -> list[object]:
    """The first answer of a candidate that is loaded."""

    def look() -> list[object] | None:
        events = candidate.ask(RECORDS)
        return list(events) if any(events) else None

    return until(look, 40, "the candidate to answer")


def test_it_answers_with_the_events_that_stable_would_make(
    candidate: Candidate, processor: Processor
) -> None:
    expected = [each.event for each in processor.process(RECORDS) if isinstance(each, Scored)]
    assert answered(candidate) == expected


def test_until_it_is_loaded_and_after_a_crash_it_scores_nothing_and_is_started_again(
    candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REST_SECONDS", 0.1)
    assert candidate.ask(RECORDS) == [None] * len(RECORDS)
    answered(candidate)
    assert candidate.pid
    os.kill(candidate.pid, signal.SIGKILL)
    assert candidate.ask(RECORDS) == [None] * len(RECORDS)
    answered(candidate)


@pytest.mark.parametrize("what", ["refuses", "dies", "hangs", "short"])
def test_one_that_cannot_answer_is_given_up_after_three_starts(
    loaded_rides: Loaded, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REST_SECONDS", 0.0)
    place = tmp_path / "what"
    place.write_text(what)
    loading = Broken(read_settings(ModelSettings), loaded_rides.release, str(place), 1000)
    candidate = Candidate(loaded_rides.release, loading, answer_seconds=0.1)

    def given_up() -> bool:
        assert candidate.ask(RECORDS) == [None] * len(RECORDS)
        return candidate._starts == 3 and candidate.pid is None

    until(given_up, 60, "it to be given up")


def test_one_that_is_closed_is_not_started_again(candidate: Candidate) -> None:
    answered(candidate)
    candidate.close()
    assert candidate.ask(RECORDS) == [None] * len(RECORDS)
    assert candidate.pid is None


class Picky:
    """A candidate that leaves the odd rides out."""

    def __init__(self, processor: Processor) -> None:
        self.release = processor.release

    def ask(self, records: Sequence[Record]) -> list[dict[str, Any] | None]:
        return [{"by": "candidate"} if int(each.key) % 2 == 0 else None for each in records]


def test_stable_scores_what_the_candidate_leaves_out_and_the_sources_say_so(
    processor: Processor,
) -> None:
    bad = Record("s", "99", "99", b"{")
    scoring = Scoring(processor, Picky(processor), 5000)
    outcomes = scoring.process([*RECORDS, bad])
    assert [each.record for each in outcomes] == [*RECORDS, bad]
    assert isinstance(outcomes[-1], Bad)
    for number, each in enumerate(outcomes[:-1]):
        assert isinstance(each, Scored)
        chosen = in_share(number, 5000)
        expected = ("candidate" if number % 2 == 0 else "fallback") if chosen else "stable"
        assert each.source == expected
        assert (each.event == {"by": "candidate"}) == (expected == "candidate")
