"""Predicts once before the first request does: a model that cannot is never Ready. Pure.

Libraries load lazily and caches fill on the first call, so it also keeps the first user from
waiting for them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from slipway.errors import InvalidInput, ModelFailed
from slipway.scoring.scorer import Scorer
from slipway.web.invocations import invocations_decoder

TIMES = 3
# An example may be all that the model was trained with; its beginning will do.
MAX_ROWS = 10


class Example(NamedTuple):
    """A row that /predict takes, as plain JSON values, and what the model predicts for it."""

    row: Any
    prediction: Any


def warm_up(scorer: Scorer, example: bytes = b"") -> Example:
    """Predict the model's own input example, as MLflow writes it for serving, or a made row.

    Raises ModelFailed when the model cannot predict it.
    """
    use_case = scorer.use_case
    made = made_row(use_case.row_type())
    rows = _rows_of(example, use_case.row_type())
    features: list[Any] = []
    # Only then: features may be a DataFrame, and a compiled model needs no pandas.
    if example and not rows and isinstance(use_case.features([made]), list):
        features = _features_of(example)
    shown = rows[0] if rows else made
    which = "its own input example" if rows or features else "a row of its own schema"
    try:
        for _ in range(TIMES):
            if features:
                scorer.score_features(features, len(features))
            else:
                scorer.score(rows or [made])
        which = which if rows else "a row of its own schema"
        (prediction,) = scorer.score([shown]).tolist()
    except ModelFailed as error:
        raise type(error)(f"the model cannot predict {which}: {error.message}") from error
    return Example(msgspec.to_builtins(shown), prediction)


def made_row(row_type: Any) -> Any:
    """A row that the type allows: ones, `true`, a short text, a date."""
    return msgspec.convert(_made(inspect.type_info(row_type)), row_type)


def _rows_of(example: bytes, row_type: Any) -> Sequence[Any]:
    """The example as checked rows; none if it is not what a request may hold."""
    try:
        return invocations_decoder(row_type, sys.maxsize)(example).rows[:MAX_ROWS]
    except InvalidInput:
        return []


def _features_of(example: bytes) -> list[Any]:
    """The example as features, of a model that takes dicts; none if it is something else.

    A model that is logged with a DictVectorizer has the vectoriser's dicts as its example, which
    are no rows of a request.
    """
    try:
        inputs = msgspec.json.decode(example, type=_Features).inputs
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    return inputs[:MAX_ROWS] if isinstance(inputs, list) else [inputs]


class _Features(msgspec.Struct):
    inputs: dict[str, str | float] | list[dict[str, str | float]]


def _made(kind: inspect.Type) -> Any:
    if isinstance(kind, inspect.Metadata):
        return _made(kind.type)
    if isinstance(kind, inspect.UnionType):
        return _made(next(t for t in kind.types if not isinstance(t, inspect.NoneType)))
    if isinstance(kind, inspect.StructType):
        return {field.encode_name: _made(field.type) for field in kind.fields}
    if isinstance(kind, inspect.ListType):
        return [_made(kind.item_type) for _ in range(kind.min_length or 1)]
    plain: dict[type[inspect.Type], Any] = {
        inspect.BoolType: True,
        inspect.IntType: 1,
        inspect.FloatType: 1.0,
        inspect.StrType: "1",
        inspect.DateTimeType: "2020-01-01T00:00:00Z",
    }
    return plain[type(kind)]
