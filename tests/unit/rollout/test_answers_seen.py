"""Histograms that people can read, and the counts for the distance to the reference sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.rollout.windows import rides

from slipway.rollout.answers_seen import COLUMNS, FIRST, AnswerCounter, columns


def test_answers_wait_until_stable_has_given_enough_to_choose_columns_by() -> None:
    counter = AnswerCounter([])
    answers = rides(FIRST)
    counter.add(answers[:-1], answers[:40])
    assert counter.seen().edges == ()
    counter.add(answers[-1:], answers[40:45])
    seen = counter.seen()
    assert (sum(seen.control), sum(seen.candidate)) == (FIRST, 45)


def test_a_biased_version_lies_in_other_columns_than_stable() -> None:
    counter = AnswerCounter([])
    answers = rides(2000)
    counter.add(answers, answers + 10.0)
    seen = counter.seen()
    middle = np.searchsorted(seen.edges, 10.0) + 1
    assert sum(seen.control[:middle]) > 600
    assert sum(seen.candidate[:middle]) < 100


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=50))
def test_any_answers_have_a_few_rising_columns(answers: list[float]) -> None:
    edges = columns(np.asarray(answers))
    assert 1 <= len(edges) <= COLUMNS + 1
    assert np.all(np.diff(edges) > 0)


def test_columns_are_a_round_step_apart() -> None:
    edges = columns(rides(1000))
    assert np.diff(edges) == pytest.approx(np.full(len(edges) - 1, 5.0))


def test_the_candidates_answers_are_counted_between_its_own_releases_edges() -> None:
    counter = AnswerCounter([20.0, 10.0])
    counter.add(np.empty(0), np.asarray([5.0, 15.0, 16.0, 99.0]))
    assert counter.seen().reference == (1, 2, 1)
