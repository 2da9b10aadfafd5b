"""Predicts once before the first request does: a model that cannot is never Ready. Pure.

Libraries load lazily and caches fill on the first call, so it also keeps the first user from
waiting for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import inspect

from slipway.scoring.scorer import Scorer

TIMES = 3


def warm_up(scorer: Scorer, example: Sequence[Any] = ()) -> None:
    """Score the model's input example, or a made row when there is none.

    Raises ModelFailed when the model cannot predict it.
    """
    rows = list(example) or [made_row(scorer.use_case.row_type())]
    for _ in range(TIMES):
        scorer.score(rows)


def made_row(row_type: Any) -> Any:
    """A row that the type allows: ones, `true`, a short text, a date."""
    return msgspec.convert(_made(inspect.type_info(row_type)), row_type)


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
