"""The report says who answered, what was measured and how it was judged."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from loadtest.report import lines, report
from loadtest.tally import Answerer, Tally
from loadtest.verdict import Limits

BEGAN = datetime(2026, 11, 27, 12, 59, 50, tzinfo=UTC)
LIMITS = Limits(50, 0.95, 0.0, 200, 500)


def some_answers(*, failure: str | None = None) -> Tally:
    tally = Tally()
    for number in range(98):
        tally.add(Answerer("a" * 32, "blue", "stable"), float(number), fallback=number < 2)
    for _ in range(2):
        tally.add(Answerer("b" * 32, "green", "candidate"), 3.0, failure)
    return tally


def test_R52_a_met_report_names_every_answerer_and_ends_with_passed() -> None:
    result = report(some_answers(), 100, LIMITS, checked=False, began=BEGAN)
    assert json.loads(json.dumps(result)) == result
    assert result["passed"]
    blue, green, _, verdict = lines(result)
    assert blue.split()[:5] == ["a" * 12, "blue", "stable", "98", "requests"]
    assert "2 fallbacks" in " ".join(blue.split())
    assert green.split()[:3] == ["b" * 12, "green", "candidate"]
    assert verdict == "passed: all limits are met"


def test_R52_a_missed_report_says_what_failed_where_and_which_limit() -> None:
    result = report(some_answers(failure="status 500"), 100, LIMITS, checked=False, began=BEGAN)
    assert not result["passed"]
    said = lines(result)
    assert "failed 2 times (green): status 500" in said
    assert said[-1].startswith("MISSED: 2 of 100 requests failed")
    assert not any(line.startswith("passed") for line in said)


def test_it_says_whether_predictions_were_compared() -> None:
    for checked in (True, False):
        said = " ".join(lines(report(some_answers(), 100, LIMITS, checked=checked, began=BEGAN)))
        assert ("compared with the native model's" in said) is checked


def test_versions_over_time_are_told_in_the_times_of_the_history_where_they_change() -> None:
    tally = some_answers()
    assert not any(
        "13:00" in line for line in lines(report(tally, 100, LIMITS, checked=False, began=BEGAN))
    )
    tally.add(Answerer("b" * 32, "green", "stable"), 3.0, at=11.0)
    said = lines(report(tally, 101, LIMITS, checked=False, began=BEGAN))
    assert f"12:59:50 to 12:59:55  {'a' * 12} 98, {'b' * 12} 2" in said
    assert f"13:00:00 to 13:00:05  {'b' * 12} 1" in said
