"""The rows at which a model fails are found, all of them, and told."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.batch.failures import LIMIT, Failures, failing
from slipway.errors import ModelFailed, ModelOutputInvalid


class Model:
    """Fails where one of the bad rows is among those asked for; counts the questions."""

    def __init__(self, bad: set[int]) -> None:
        self.bad, self.asked = bad, 0

    def __call__(self, start: int, stop: int) -> None:
        self.asked += 1
        if found := self.bad & set(range(start, stop)):
            raise ModelOutputInvalid(f"at {min(found)}")


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_all_rows_that_fail_alone_are_found_in_order_and_with_few_questions(
    given: tuple[int, set[int]],
) -> None:
    count, bad = given
    model = Model(bad)
    found, said = failing(model, count, LIMIT)
    assert found == sorted(bad)[:LIMIT]
    assert (said.message if said else None) == (f"at {min(bad)}" if bad else None)
    assert model.asked <= 1 + 2 * len(bad) * (1 + math.ceil(math.log2(count)))


def test_no_more_is_asked_than_the_limit_needs() -> None:
    everything = Model(set(range(65_536)))
    found, _ = failing(everything, 65_536, LIMIT)
    assert len(found) == LIMIT
    assert everything.asked < 3 * LIMIT


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({7}, "at 7; at one row, ride 7; nothing is written"),
        ({7, 9}, "at 7; at 2 rows, the first is ride 7; nothing is written"),
        (set(range(500)), "at 0; at 100 rows and more, the first is ride 0; nothing is written"),
    ],
)
def test_the_first_row_is_named_and_all_are_counted(bad: set[int], said: str) -> None:
    failures = Failures()
    failures.check()
    failures.add(ModelFailed("together"), Model(bad), 500, lambda row: f"ride {row}")
    assert failures
    assert failures.enough == (len(bad) > LIMIT)
    with pytest.raises(ModelOutputInvalid) as error:
        failures.check()
    assert error.value.message == said


def test_a_model_that_fails_at_many_rows_together_only_is_not_blamed_on_one_of_them() -> None:
    def greedy(start: int, stop: int) -> None:
        if stop - start > 10:
            raise ModelFailed("the model raised MemoryError")

    with pytest.raises(ModelFailed, match="MemoryError"):
        Failures().add(ModelFailed("the model raised MemoryError"), greedy, 500, str)
