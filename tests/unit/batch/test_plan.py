"""Ranges of months, Kubernetes' sets of indexes, exit codes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.batch.plan import Ended, exit_code, indexes, months
from slipway.batch.shards import Shard
from slipway.errors import InvalidConfig


def test_R36_a_range_has_both_its_ends() -> None:
    found = months("2021-03..2022-04", "green")
    assert len(found) == 14
    assert (found[0], found[-1]) == (Shard("green", 2021, 3), Shard("green", 2022, 4))
    assert Shard("green", 2021, 12) in found
    assert months("2021-3", "green") == [Shard("green", 2021, 3)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2022-04..2021-03", "after the last"),
        ("2021-13", "2021-03..2022-04"),
        ("2021..2022", "2021-03..2022-04"),
        ("2021-01..", "2021-03..2022-04"),
        ("", "2021-03..2022-04"),
        ("2010-01..2099-01", "more than"),
    ],
)
def test_what_is_no_range_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidConfig, match=said):
        months(text, "green")


def _written(numbers: set[int]) -> str:
    """A set as the Job controller writes it: runs of two and more with a dash."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)


@given(st.sets(st.integers(0, 300)))
def test_a_set_of_indexes_is_read_as_it_was_meant(numbers: set[int]) -> None:
    assert indexes(_written(numbers)) == sorted(numbers)


@pytest.mark.parametrize(
    ("codes", "code"), [([0, 0], 0), ([0, 75, 75], 75), ([3, 0], 3), ([3, 75], 1), ([1], 1)]
)
def test_the_exit_code_is_that_of_all_failures_or_1(codes: list[int], code: int) -> None:
    shard = Shard("green", 2021, 3)
    assert exit_code(Ended(shard, each) for each in codes) == code
