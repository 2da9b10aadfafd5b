"""Trees unfolded into steps: small ones by hand, odd ones refused, random ones walked both ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.scoring import steps
from slipway.scoring.encoding import Categories, Encoding, Number
from slipway.scoring.steps import FEW, NotUnfoldable, Steps, unfold
from slipway.scoring.trees import LEAF, Ensemble, Trees

# Columns 0 to 2 are the values of one category, 3 to 5 of another, 6 is the number, 7 is nobody's.
ENCODING = Encoding(
    [
        Categories("from", {"a": 0, "b": 1, "c": 2}),
        Categories("to", {"a": 3, "b": 4, "c": 5}),
        Number("far", 6),
    ],
    8,
    single=False,
)
NUMBER = 6

# A tree: a leaf's value, or (column, threshold, left, right).
Tree = Any


def ensemble(trees: Sequence[Tree], start: float = 0.0, divide: float = 1.0) -> Ensemble:
    rows: list[list[float]] = []
    roots = []

    def add(tree: Tree) -> int:
        place = len(rows)
        if isinstance(tree, int | float):
            rows.append([LEAF, 0.0, 0, 0, float(tree)])
            return place
        column, threshold, left, right = tree
        row = [column, threshold, 0, 0, 0.0]
        rows.append(row)
        row[2], row[3] = add(left), add(right)
        return place

    for tree in trees:
        roots.append(len(rows))
        add(tree)
    table = np.array(rows)
    feature, left, right = (table[:, place].astype(np.int64) for place in (0, 2, 3))
    return Ensemble(
        roots=np.array(roots, dtype=np.int64),
        feature=feature,
        threshold=table[:, 1],
        left=left,
        right=right,
        missing_left=np.zeros(len(rows), dtype=bool),
        value=table[:, 4],
        start=start,
        divide=divide,
        missing=False,
    )


def ride(start: str, end: str, far: float) -> dict[str, Any]:
    return {"from": start, "to": end, "far": far}


def answer(tree: Tree, row: dict[str, Any]) -> float:
    """What the tree says, asked one question after the other."""
    while not isinstance(tree, int | float):
        column, threshold, left, right = tree
        value = row["far"] if column == NUMBER else 0.0
        for category in ENCODING.categories:
            if category.columns.get(row[category.name]) == column:
                value = 1.0
        tree = left if value <= threshold else right
    return float(tree)


@st.composite
def trees_of(draw: Any, depth: int = 5, asked: frozenset[int] = frozenset()) -> Tree:
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        return draw(st.integers(-99, 99))
    if draw(st.booleans()):
        threshold = draw(st.sampled_from([0.5, 1.0, 2.5, 2.6, 7.0]))
        halves = [draw(trees_of(depth - 1, asked)) for _ in range(2)]
        return NUMBER, threshold, *halves
    left = sorted({0, 1, 2, 3, 4, 5, 7} - asked)
    if not left:
        return draw(st.integers(-99, 99))
    column = draw(st.sampled_from(left))
    threshold = draw(st.sampled_from([-0.5, 0.0, 0.3, 0.5, 0.999, 1.0, 3.0]))
    halves = [draw(trees_of(depth - 1, asked | {column})) for _ in range(2)]
    return column, threshold, *halves


ROWS = [
    ride(start, end, far)
    for start in ("a", "b", "c", "?")
    for end in ("a", "b", "c", "?")
    for far in (0.0, 0.5, 0.6, 1.0, 2.5, 2.55, 2.6, 3.0, 7.0, 7.5)
]


@given(st.lists(trees_of(), min_size=1, max_size=4), st.floats(-9, 9))
def test_F14_any_trees_of_two_categories_and_a_number_have_their_answers(
    trees: list[Tree], start: float
) -> None:
    """Detours on detours too, thresholds outside of 0 to 1, and columns that no row has."""
    whole = ensemble(trees, start=start, divide=float(len(trees)))
    expected = []
    for row in ROWS:
        total = start
        for tree in trees:
            total += answer(tree, row)
        expected.append(total / len(trees))
    for form in (unfold(ENCODING, whole), Trees(ENCODING, whole)):
        assert form(ROWS).tolist() == expected
        assert [form([row])[0] for row in ROWS] == expected
        some = [form(ROWS[start : start + FEW]) for start in range(0, len(ROWS), FEW)]
        assert np.concatenate(some).tolist() == expected


def test_a_tree_is_kept_as_steps_and_detours() -> None:
    """One value's detour between two numbers, and one on it."""
    tree = (NUMBER, 1.0, 10, (0, 0.5, (NUMBER, 2.0, 20, 30), (4, 0.5, 40, 50)))
    form = unfold(ENCODING, ensemble([tree]))
    assert [form([ride(*row)])[0] for row in (
        ("b", "c", 1.0), ("b", "c", 1.1), ("b", "b", 2.1), ("a", "c", 1.1), ("a", "b", 9.0),
        ("a", "b", 1.0), ("?", "?", 2.0),
    )] == [10, 20, 30, 40, 50, 10, 20]  # fmt: skip
    arrays = form.to_arrays()
    assert (len(arrays["ends"]), len(arrays["leaf_ends"])) == (2, 5)


def test_no_form_is_larger_than_its_trees() -> None:
    random = np.random.default_rng(0)

    def grown(depth: int) -> Tree:
        if depth == 0:
            return float(random.normal())
        column = int(random.integers(0, 7))
        threshold = float(random.uniform(0, 9)) if column == NUMBER else 0.5
        return column, threshold, grown(depth - 1), grown(depth - 1)

    whole = ensemble([(NUMBER, place + 0.5, grown(1), grown(1)) for place in range(50)])
    form = unfold(ENCODING, whole)
    arrays = form.to_arrays()
    assert len(arrays["leaf_ends"]) + len(arrays["ends"]) <= len(whole.feature)


def test_trees_that_cannot_be_unfolded_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = (0, 0.5, (NUMBER, 1.0, (0, 0.5, 1, 2), 3), 4)
    with pytest.raises(NotUnfoldable, match="same value twice"):
        unfold(ENCODING, ensemble([twice]))
    two_numbers = Encoding([Number("far", 0), Number("long", 1)], 2, single=False)
    with pytest.raises(NotUnfoldable, match="more than one number"):
        unfold(two_numbers, ensemble([1.0]))
    monkeypatch.setattr(steps, "_LARGEST", 10)
    with pytest.raises(NotUnfoldable, match="too large"):
        unfold(ENCODING, ensemble([(NUMBER, 1.0, 1, 2)]))


def test_the_flat_form_answers_where_there_are_no_steps() -> None:
    """A value asked for twice: only the first time can matter."""
    twice = (0, 0.5, (NUMBER, 1.0, (0, 0.5, 1, 2), 3), 4)
    form = Trees(ENCODING, ensemble([twice]))
    assert form(ROWS).tolist() == [answer(twice, row) for row in ROWS]


def test_no_rows_have_no_answers() -> None:
    whole = ensemble([(NUMBER, 1.0, 1, 2)])
    for form in (unfold(ENCODING, whole), Trees(ENCODING, whole)):
        assert form([]).shape == (0,)
        assert isinstance(form, Steps | Trees)


@pytest.mark.parametrize(
    ("name", "value"), [("left", 0), ("left", -1), ("right", 3), ("feature", -2), ("roots", 3)]
)
def test_trees_that_lead_nowhere_are_refused(name: str, value: int) -> None:
    sound = ensemble([(NUMBER, 1.0, 1, 2)])
    broken = getattr(sound, name).copy()
    broken[0] = value
    with pytest.raises(ValueError, match=r"nodes do not follow|begins nowhere"):
        replace(sound, **{name: broken})
