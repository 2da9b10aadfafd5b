"""The verdict of a load test, as tables."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loadtest.verdict import Figures, Limits, WrongLimits, missed, percentile, read_limits

LIMITS = Limits(50, 0.95, 0.0, 200, 500)
GOOD = Figures(asked=6000, requests=5990, failed=0, p50=3, p95=20, p99=60)
FILE = Path(__file__).parents[3] / "loadtest" / "limits.toml"


def test_the_shipped_limits_are_those_that_the_readers_know() -> None:
    assert read_limits(FILE.read_text()) == LIMITS


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, []),
        ({"p95": 200.0, "p99": 500.0, "requests": 5700}, []),
        ({"p95": 200.1}, ["p95 is 200.1 ms, the limit is 200 ms"]),
        ({"p99": 501.0}, ["p99 is 501.0 ms"]),
        ({"failed": 1}, ["1 of 5990 requests failed"]),
        ({"requests": 5699}, ["5699 of 6000 asked requests"]),
        ({"requests": 0}, ["no request was answered"]),
        ({"failed": 5990, "p95": 9e3, "p99": 9e3}, ["5990 of 5990", "p95 is 9000", "p99 is 9000"]),
    ],
)
def test_R52_each_missed_limit_is_a_sentence(change: dict[str, Any], words: list[str]) -> None:
    said = missed(replace(GOOD, **change), LIMITS)
    assert len(said) == len(words)
    for sentence, word in zip(said, words, strict=True):
        assert word in sentence


def test_a_share_of_failures_may_be_allowed() -> None:
    wide = replace(LIMITS, failed_share=0.01)
    assert not missed(replace(GOOD, failed=59), wide)
    assert missed(replace(GOOD, failed=60), wide)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("p95 = ", "no TOML"),
        ("p95 = 1", "requests_per_second is missing"),
        ("p50 = 1", "unknown limit 'p50'"),
        (FILE.read_text().replace("p95 = 200.0", "p95 = 'fast'"), "p95 must be a number"),
        (FILE.read_text().replace("p95 = 200.0", "p95 = nan"), "p95 must be a number"),
        (FILE.read_text().replace("p95 = 200.0", "p95 = true"), "p95 must be a number"),
        (FILE.read_text().replace("p95 = 200.0", "p95 = -1"), "p95 must be a number"),
        (FILE.read_text().replace("share = 0.95", "share = 95"), "answered_share is a share"),
    ],
)
def test_wrong_limits_are_refused_by_name(text: str, word: str) -> None:
    with pytest.raises(WrongLimits, match=word):
        read_limits(text)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1.0))
def test_a_percentile_is_the_smallest_value_that_bounds_its_share(
    values: list[float], share: float
) -> None:
    ordered = sorted(values)
    found = percentile(ordered, share)
    assert sum(value <= found for value in ordered) >= math.floor(share * len(ordered))
    assert sum(value < found for value in ordered) < share * len(ordered) + 1e-9
