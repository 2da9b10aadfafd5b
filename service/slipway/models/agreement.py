"""Compares a compiled form with the native model, before the form may answer.

The rows: the model's input example, and a sample made of the form's own tables: known values of
each category and one that is not known; numbers just below, at and just above thresholds, in
double and in single precision, and others of all sizes. All thresholds, as long as MOST rows hold
them; beyond that as many of them, evenly spread.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from slipway.errors import SlipwayError
from slipway.scoring.encoding import Categories, Floats
from slipway.scoring.forms import Form
from slipway.scoring.linear import Linear
from slipway.scoring.scorer import Predict, check_output
from slipway.usecases.protocol import OPTIONAL, TEXT, WHOLE, UseCase
from slipway.usecases.rides import Rides

Rows = list[dict[str, Any]]

MOST = 8_192
# Rows that are also asked one at a time: that is another way through a form.
ALONE = 32
# A dense matrix of the native model's has no more cells than this at a time: 32 MB.
CELLS = 1 << 22
# How far the two may be apart, relative to the native answer.
LINEAR, TREES = 1e-12, 1e-9
UNKNOWN_TEXT = "\N{WHITE QUESTION MARK ORNAMENT}"


class Disagreement(Exception):
    """The form answers otherwise than the model; the message says by how much."""


def compare(form: Form, native: Predict, use_case: UseCase, example: bytes | None = None) -> int:
    """How many rows the form and the model agreed on; raises Disagreement where they do not."""
    rows = [*_example_rows(example, use_case), *sample(form, use_case)]
    limit = LINEAR if isinstance(form, Linear) else TREES
    step = max(1, CELLS // max(1, form.encoding.width))
    for start in range(0, len(rows), step):
        _compare(form, native, use_case, rows[start : start + step], limit)
    named = _forms_of(use_case, rows[:: max(1, len(rows) // ALONE)])[1]
    together = form.predict(form.encoding.rows(named))
    alone = np.concatenate([form([row]) for row in named])
    if not np.array_equal(together, alone):
        raise Disagreement("one row alone is answered otherwise than among others")
    return len(rows)


def sample(form: Form, use_case: UseCase, most: int = MOST, seed: int = 0) -> Rows:
    """Made rows, at most `most`, by the names of the features; the same whenever it is called."""
    random = np.random.default_rng(seed)
    kinds = use_case.kinds() or {}
    terms = {term.name: term for term in form.encoding.terms}
    columns: dict[str, list[Any]] = {}
    for name, kind in kinds.items():
        term = terms.get(name)
        if isinstance(term, Categories):
            columns[name] = _known_and_not(term, most)
        elif kind == TEXT:
            columns[name] = [UNKNOWN_TEXT]
        else:
            columns[name] = _numbers(form, name, kind, most, random)
    count = min(most, max((len(values) for values in columns.values()), default=0))
    for name, values in columns.items():
        turns = -(-count // len(values))
        places = np.concatenate([random.permutation(len(values)) for _ in range(turns)])
        columns[name] = [values[place] for place in places[:count].tolist()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _known_and_not(term: Categories, most: int) -> list[Any]:
    known = _spread(list(term.columns), most - 1)
    if term.strict or not known:
        return known or [UNKNOWN_TEXT]
    return [*known, UNKNOWN_TEXT if isinstance(known[0], str) else max(known) + 1]


def _numbers(
    form: Form, name: str, kind: str, most: int, random: np.random.Generator
) -> list[float] | list[int]:
    around = np.array(_spread(form.thresholds(name).tolist(), most // 5))
    around = around[np.isfinite(around)]
    single = around.astype(np.float32)
    some = np.concatenate([
        [0.0, 1.0, -1.0, 0.1, 1e4], np.exp(random.uniform(-7, 9, 200)), random.uniform(0, 30, 800),
        around, np.nextafter(around, -np.inf), np.nextafter(around, np.inf),
        np.nextafter(single, np.float32(-np.inf)).astype(np.float64),
        np.nextafter(single, np.float32(np.inf)).astype(np.float64),
    ])  # fmt: skip
    if kind == WHOLE:
        whole = np.concatenate([np.floor(some), np.ceil(some)])
        whole = np.unique(np.clip(whole, -(2**31), 2**31 - 1))
        return [int(number) for number in whole.tolist()]
    missing = [math.nan] * 50 if kind == OPTIONAL and form.takes_missing else []
    return [*some.tolist(), *missing]


def _spread(values: Sequence[Any], most: int) -> list[Any]:
    """At most `most` of the values, evenly spread, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[place] for place in np.linspace(0, len(values) - 1, most).astype(int).tolist()]


def _compare(form: Form, native: Predict, use_case: UseCase, rows: Rows, limit: float) -> None:
    features, named = _forms_of(use_case, rows)
    try:
        expected = check_output(native(features), len(rows))
    except SlipwayError as error:
        raise Disagreement(f"the model's own answer is none: {error.message}") from error
    # The native model is foreign code: whatever it raises, there is nothing to compare with.
    except Exception as error:
        raise Disagreement(f"the model raised {type(error).__name__} at a made row") from error
    try:
        found = form(named)
    except ValueError as error:
        raise Disagreement(f"the compiled form refuses a row: {error}") from error
    apart = np.abs(found - expected)
    if not (apart <= limit * np.abs(expected)).all():
        raise Disagreement(f"it is off by {_worst(apart, expected):.2g} (relative)")


def _worst(apart: Floats, expected: Floats) -> float:
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.max(np.nan_to_num(apart / np.abs(expected), nan=0.0, posinf=np.inf)))


def _forms_of(use_case: UseCase, rows: Rows) -> tuple[Any, Rows]:
    """Rows by name as what the native model takes and as what a form takes."""
    if isinstance(use_case, Rides):
        return rows, rows
    given = [
        {name: None if isinstance(value, float) and math.isnan(value) else value
         for name, value in row.items()}
        for row in rows
    ]  # fmt: skip
    checked = msgspec.convert(given, list[use_case.row_type()])  # type: ignore[misc]
    return use_case.features(checked), use_case.named(checked)


class _Split(msgspec.Struct):
    columns: list[str]
    data: list[list[Any]]


class _Example(msgspec.Struct):
    """The forms in which MLflow keeps an input example for serving."""

    inputs: dict[str, Any] | list[dict[str, Any]] | None = None
    dataframe_split: _Split | None = None
    dataframe_records: list[dict[str, Any]] | None = None


def _example_rows(example: bytes | None, use_case: UseCase) -> Rows:
    """The example's rows; none where it has no names, or other ones than the model's features."""
    try:
        given = msgspec.json.decode(example or b"{}", type=_Example)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    rows = given.dataframe_records or []
    if given.dataframe_split:
        split = given.dataframe_split
        rows = [dict(zip(split.columns, row, strict=False)) for row in split.data]
    elif given.inputs:
        rows = given.inputs if isinstance(given.inputs, list) else [given.inputs]
    rows, kinds = rows[:MOST], use_case.kinds() or {}
    return rows if all(_fits(row, kinds) for row in rows) else []


def _fits(row: Mapping[str, Any], kinds: Mapping[str, str]) -> bool:
    def fits(value: Any, kind: str) -> bool:
        if kind == TEXT:
            return isinstance(value, str)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number or (kind == OPTIONAL and value is None)

    return row.keys() == kinds.keys() and all(fits(row[name], kinds[name]) for name in kinds)
