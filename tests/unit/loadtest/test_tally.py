"""Answers are counted by model version, slot and role."""

from __future__ import annotations

from loadtest.tally import Answerer, Tally

BLUE = {"X-Slipway-Run-Id": "a" * 32, "X-Slipway-Slot": "blue", "X-Slipway-Role": "stable"}
GREEN = {"X-Slipway-Run-Id": "b" * 32, "X-Slipway-Slot": "green", "X-Slipway-Role": "candidate"}


def test_R52_results_are_told_by_version_slot_and_role() -> None:
    tally = Tally()
    for milliseconds in (1.0, 2.0, 3.0):
        tally.add(Answerer.of(BLUE), milliseconds)
    tally.add(Answerer.of(GREEN), 10.0, "status 500")
    tally.add(Answerer.of(BLUE), 4.0, fallback=True)
    blue, green = tally.rows()
    assert (blue["model_version"], blue["slot"], blue["role"]) == ("a" * 32, "blue", "stable")
    assert (blue["requests"], blue["failed"], blue["fallbacks"], blue["p50"]) == (4, 0, 1, 2.0)
    assert (green["slot"], green["failed"], green["failures"]) == ("green", 1, {"status 500": 1})


def test_the_figures_are_over_all_groups() -> None:
    tally = Tally()
    tally.add(Answerer.of(BLUE), 1.0)
    tally.add(Answerer.of(GREEN), 9.0, "status 500")
    figures = tally.figures(asked=4)
    assert (figures.asked, figures.requests, figures.failed) == (4, 2, 1)
    assert (figures.p50, figures.p95) == (1.0, 9.0)


def test_an_answer_without_our_headers_is_nobodys() -> None:
    assert str(Answerer.of({})) == "- -/-"
    assert Answerer.of({"X-Slipway-Slot": ""}) == Answerer()


def test_nothing_counted_has_no_rows_and_no_figures() -> None:
    assert Tally().rows() == []
    assert Tally().figures(10).requests == 0


def test_who_answered_when_is_told_by_spells_of_the_same_versions() -> None:
    tally = Tally()
    for at, headers in ((0.1, BLUE), (7.0, BLUE), (12.0, BLUE), (13.0, GREEN), (21.0, GREEN)):
        tally.add(Answerer.of(headers), 1.0, at=at)
    old, new = "a" * 32, "b" * 32
    assert tally.spells() == [
        {"from": 0, "to": 10, "requests": {old: 2}},
        {"from": 10, "to": 15, "requests": {old: 1, new: 1}},
        {"from": 20, "to": 25, "requests": {new: 1}},
    ]
