"""The batch's figures are judged by their goals, and a missed one is said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from loadtest.bench.batch import FLAT, MONTHS, Measured, figures, middle
from loadtest.bench.goals import told

GOOD = [
    Measured("course", 60_000, 10.0, 9.0, 300),
    Measured("slipway", 60_000, 1.5, 1.4, 150),
    Measured("course", 3_500_000, 100.0, 99.0, 2_000),
    Measured("slipway", 3_500_000, 11.0, 9.0, 320),
    Measured("read and write", 3_500_000, 3.0, 3.0, 200),
    Measured("slipway", FLAT, 110.0, 90.0, 384),
    Measured(MONTHS[0], 1_200_000, 100.0, 90.0, 300),
    Measured(MONTHS[1], 1_200_000, 65.0, 90.0, 300),
]


def test_all_goals_met_is_said_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(figures(GOOD))
    assert len(capsys.readouterr().out.splitlines()) == 5


@pytest.mark.parametrize(
    ("place", "change", "named"),
    [
        (1, {"seconds": 1.51}, "batch, 60,000 rows"),
        (3, {"seconds": 11.1}, "batch, 3,500,000 rows"),
        (3, {"megabytes": 321.0}, "its memory, 3,500,000 rows"),
        (5, {"megabytes": 385.0}, "memory by rows"),
        (7, {"seconds": 65.1}, "12 months"),
    ],
)
def test_each_goal_can_be_missed_alone(
    place: int, change: dict[str, float], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [replace(each, **change) if n == place else each for n, each in enumerate(GOOD)]  # type: ignore[arg-type]
    assert not told(figures(found))
    (missed,) = [line for line in capsys.readouterr().out.splitlines() if "MISSED" in line]
    assert missed.startswith(named)


def test_what_was_not_measured_is_not_judged() -> None:
    assert not list(figures([GOOD[1], GOOD[4], GOOD[6]]))


def test_of_several_runs_the_middle_counts() -> None:
    runs = [replace(GOOD[1], seconds=each) for each in (3.0, 1.0, 2.0)]
    assert middle(runs).seconds == 2.0
