"""What stands beside the gates for people, and decides nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tests.unit.rollout.windows import cells, rides, seconds, state, window

from slipway.rollout.gates import judge
from slipway.rollout.measures import AnswersSeen, Window
from slipway.rollout.shown import Shown, shown_of


def figures(found: Window | None, tolerance: float = 2.0) -> dict[str, Shown]:
    return {each.name: each for each in shown_of(found, tolerance)}


def mirrored(factor: float) -> Window:
    answers = rides(1000)
    part = {
        "pairs": (answers, factor * answers),
        "candidate_latency": cells(2 * seconds(1000)),
        "control_latency": cells(seconds(1000)),
    }
    return window(state("shadow"), part, looks=4)


def test_before_anything_is_measured_nothing_is_shown() -> None:
    assert shown_of(None, 2.0) == ()
    assert shown_of(window(state("shadow")), 2.0) == ()


def test_the_ratio_of_the_p99_is_shown_in_whole_buckets() -> None:
    found = figures(mirrored(1.0))["p99"]
    assert found.value == pytest.approx(2.0, rel=0.15)
    assert "ms" in found.sentence


def test_the_share_of_answers_beyond_the_policys_tolerance_is_shown() -> None:
    answers = rides(1000)
    found = figures(mirrored(1.3))["tolerance"]
    assert found.value == pytest.approx(float((0.3 * answers > 2.0).mean()))
    assert found.sentence.endswith("differ by more than 2")
    assert figures(mirrored(1.0))["tolerance"].value == 0


def test_the_distance_to_the_models_reference_sample_is_shown_where_there_is_one() -> None:
    """Ten edges have eleven equal shares between them; here everything lies in the first two."""
    counts = (110, 110, *[0] * 9)
    found = dataclasses.replace(window(state("shadow")), answers=AnswersSeen(reference=counts))
    assert figures(found)["reference"].value == pytest.approx(1 - 2 / 11)
    few = dataclasses.replace(found, answers=AnswersSeen(reference=(110, 110)))
    assert "reference" not in figures(few)


def test_no_figure_that_is_shown_changes_a_verdict() -> None:
    of, found = state("shadow"), mirrored(1.0)
    other = dataclasses.replace(
        found,
        pairs=dataclasses.replace(found.pairs or pytest.fail("no pairs"), beyond=4000),
        answers=AnswersSeen(reference=(1000, *[0] * 10)),
    )
    assert judge(found, of) == judge(other, of)
    assert np.all([each.value >= 0 for each in shown_of(other, 2.0)])
