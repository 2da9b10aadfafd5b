"""A rollout as sentences, as a picture on a terminal, as a list of what happened."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.console import Console
from tests.controller_place import ControllerPlace
from tests.unit.cli.test_status import status
from tests.unit.rollout.scene import release

from slipway.cli.explain import explained
from slipway.cli.history import written
from slipway.cli.status import Output
from slipway.cli.watch import histogram, interval, measured, picture
from slipway.rollout.admin import answers
from slipway.rollout.remote import read_snapshot, read_status
from slipway.rollout.status import HistogramStatus, Status, WindowStatus
from slipway.rollout.verdict import Outcome, Verdict
from slipway.rollout.way_back import way_back


@pytest.fixture
def place() -> ControllerPlace:
    """The second model in its first canary step."""
    place = ControllerPlace("preset: manual\nsteps: [5, 50]")
    for number in (1, 2):
        place.want(f"models:/ride/{number}")
        place.rest()
    place.ask("promote", force=True, actor="ada")
    place.rest()
    return place


def live(place: ControllerPlace) -> Status:
    body = json.loads(answers(place.loop, place.metrics, "pod")["/status"]("")[2])
    return read_status(place.view(), place.clock.now(), body)


def sentences(place: ControllerPlace) -> str:
    back = way_back(read_snapshot(place.view(), place.clock.now()))
    return "\n".join(explained(live(place), back))


def test_explain_says_who_has_what_and_why_it_waits_and_what_can_be_done(
    place: ControllerPlace,
) -> None:
    said = sentences(place)
    assert "The phase is canary." in said
    assert f"Stable is {release('a').run_id} (models:/ride/a) in slot blue, with 95 %" in said
    assert (
        f"The candidate is {release('b').run_id} (models:/ride/b) in slot green, with 5 %" in said
    )
    assert "errors" in said
    assert "slipway promote" in said
    assert "slipway abort" in said
    assert "slipway rollback" not in said


def test_explain_names_a_router_that_is_behind_and_a_reference_that_leads_nowhere(
    place: ControllerPlace,
) -> None:
    place.routers.stuck.add("10.0.3.1:9698")
    place.ask("abort")
    place.want("models:/ride/77")
    place.tick(3)
    said = sentences(place)
    assert "has not loaded table" in said
    assert "models:/ride/77 is wanted, and not taken up yet." in said
    assert "Unresolvable: nobody knows models:/ride/77" in said


def test_watch_shows_weights_gates_and_what_happened(place: ControllerPlace) -> None:
    console = Console(file=io.StringIO(), width=140)
    console.print(picture(live(place)))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "canary, step 1 of 2" in shown
    assert "95 %" in shown
    assert "2/2 ready" in shown
    assert "UNKNOWN" in shown
    assert "StepStarted" in shown


def test_what_was_measured_is_told_in_one_line() -> None:
    window = WindowStatus(
        seconds=30.0,
        looks=2,
        dropped=1,
        candidate=400,
        candidate_failed=3,
        control=390,
        control_failed=0,
        both_failed=0,
        candidate_answers=380,
        control_answers=370,
        unmatched=0,
    )
    assert measured(window) == (
        "30 s in 2 looks, 1 not counted; candidate 3 of 400 failed, stable 0 of 390; "
        "answers compared: 380 with 370"
    )


def test_watch_draws_the_answers_of_both_versions_beside_each_other() -> None:
    found = HistogramStatus(edges=(10.0, 20.0), stable=(30, 60, 10), candidate=(0, 50, 50))
    console = Console(file=io.StringIO(), width=140)
    console.print(histogram(found))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0].split() == ["answers", "stable", "candidate"]
    assert [line.split("  ")[0] for line in lines[1:]] == ["up to 10", "10 to 20", "over 20"]
    # The fullest column has the longest bar, and all are of one scale.
    assert [line.count("█") for line in lines[1:]] == [10, 20 + 17, 3 + 17]
    assert re.findall(r"[0-9.]+ %", lines[1]) == ["30.0 %", "0.0 %"]


def test_watch_draws_before_there_is_any_model() -> None:
    place = ControllerPlace()
    place.tick(2)
    console = Console(file=io.StringIO(), width=140)
    console.print(picture(status(place)))
    assert "no model is named yet" in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("lower", "upper", "estimate", "limit", "drawn"),
    [
        (0.3, 0.7, 0.5, 1.0, "···━━●━━··┃"),
        (-1.0, 1.0, 0.0, 0.5, "━━━━━●━━┃━━"),
        (None, 0.5, None, 1.0, "━━━━━━····┃"),
        (None, None, None, None, " " * 11),
        (None, None, 2.0, 0.0, "┃·········●"),
    ],
)
def test_an_interval_is_drawn_against_its_limit(
    lower: float | None,
    upper: float | None,
    estimate: float | None,
    limit: float | None,
    drawn: str,
) -> None:
    gate = Verdict(
        gate="errors",
        outcome=Outcome.PASS,
        sentence="",
        lower=lower,
        upper=upper,
        estimate=estimate,
        limit=limit,
    )
    assert interval(gate, 11) == drawn


def test_the_history_says_who_did_what_and_with_which_figures(place: ControllerPlace) -> None:
    entries = place.state.history
    text = written(entries, Output.TEXT)
    assert "(ada)" in text
    assert len(text.splitlines()) == len(entries)
    wide = written(entries, Output.WIDE)
    assert release("b").digest in wide
    assert "limit" in wide
    assert [each["reason"] for each in json.loads(written(entries, Output.JSON))] == place.reasons()
