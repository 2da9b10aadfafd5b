"""The use case of any MLflow model with a signature: the row type is built from the signature.

MLflow's own enforcement refuses JSON's `4` for a double, lets infinity and unknown columns
through, and quotes the user's data in its errors. So requests are checked here, strictly, and the
model gets a frame of exactly the signature's dtypes, with which that enforcement is content.

    by columns   one row is an object; features are a pandas DataFrame, columns in order
    by tensor    one row is a (nested) list of numbers; features are a numpy array
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import GenericAlias
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from slipway.errors import InvalidConfig, InvalidInput
from slipway.usecases.protocol import NUMBER, OPTIONAL, TEXT, WHOLE, InputField

MAX_TEXT = 65_536
# What fits into datetime64[ns], in whole years.
FIRST_YEAR, LAST_YEAR = 1678, 2261

_DOUBLE = float(np.finfo(np.float64).max)

# MLflow's type word -> the numpy dtype that MLflow's enforcement expects.
DTYPES = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "string": "object",  # pandas makes its own text type of it, as it does in training
    "datetime": "datetime64[ns]",
}
# These have no value for "missing".
INTEGERS = ("integer", "long")


class Tabular:
    """The use case `tabular`: `inputs` are the signature's columns, or `tensor` is its tensor.

    `tensor` is (dtype, shape) with -1 as the first size. Raises InvalidConfig for a signature
    with types or shapes that are not served here.
    """

    name = "tabular"
    answer = "prediction"

    def __init__(
        self,
        inputs: Sequence[InputField],
        tensor: tuple[str, tuple[int, ...]] | None = None,
    ) -> None:
        self.inputs = tuple(inputs)
        self.tensor = tensor
        self._names = [field.name for field in self.inputs]
        self._row_type = _columns_type(self.inputs) if tensor is None else _tensor_type(*tensor)

    def row_type(self) -> type[Any]:
        """The request's schema: a Struct, or for a tensor a list with its size."""
        kind: type[Any] = self._row_type
        return kind

    def features(self, rows: Sequence[Any]) -> Any:
        """Rows -> a DataFrame of shape (len(rows), columns), or an array of the tensor's shape.

        Raises InvalidInput when an integer column, which has no value for "missing", is given in
        some of the rows only.
        """
        if self.tensor is not None:
            dtype, shape = self.tensor
            return np.array(list(rows), dtype=dtype).reshape(len(rows), *shape[1:])
        return self._frame([msgspec.structs.astuple(row) for row in rows])

    def kinds(self) -> dict[str, str] | None:
        """The columns' kinds; None for a tensor, for times and truth values, and what may lack."""
        kinds = {field.name: _kind(field) for field in self.inputs}
        return None if self.tensor is not None or "" in kinds.values() else kinds

    def named(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """Rows as their columns by name; a `float` has the value that single precision gives it."""
        single = {field.name for field in self.inputs if field.type == "float"}
        table = [dict(zip(self._names, msgspec.structs.astuple(row), strict=True)) for row in rows]
        for row in table:
            for name, value in row.items():
                if value is None:
                    row[name] = math.nan
                elif name in single:
                    row[name] = float(np.float32(value))
        return table

    def frame(self, columns: Mapping[str, npt.NDArray[Any]], count: int) -> Any:
        """Columns of `count` values, of the dtypes of DTYPES -> the DataFrame of `features`."""
        blocks = []
        for word in self._words():
            names = [
                field.name for field in self.inputs if field.type == word and field.name in columns
            ]
            block = [columns[name] for name in names]
            blocks.append((names, np.stack(block, axis=1) if block else np.empty((count, 0))))
        return self._joined(blocks)

    def _frame(self, table: list[tuple[Any, ...]]) -> Any:
        blocks = []
        for word in self._words():
            places = self._places(word, table)
            names = [self.inputs[place].name for place in places]
            block = _block(word, [[row[place] for place in places] for row in table])
            blocks.append((names, block.reshape(len(table), len(places))))
        return self._joined(blocks)

    def _words(self) -> list[str]:
        return list(dict.fromkeys(field.type for field in self.inputs))

    def _joined(self, blocks: Sequence[tuple[list[str], npt.NDArray[Any]]]) -> Any:
        import pandas as pd

        # One block a type: a frame made of hundreds of single columns takes tens of milliseconds.
        frames = [pd.DataFrame(block, columns=names) for names, block in blocks]
        if len(frames) == 1:
            return frames[0]
        frame = pd.concat(frames, axis=1)
        return frame[[name for name in self._names if name in frame.columns]]

    def _places(self, word: str, table: list[tuple[Any, ...]]) -> list[int]:
        """Where a type's columns stand in a row; whole numbers given in no row are left out."""
        places = [place for place, field in enumerate(self.inputs) if field.type == word]
        if word not in INTEGERS:
            return places
        return [place for place in places if _is_given(self.inputs[place], place, table)]


def _columns_type(inputs: tuple[InputField, ...]) -> type[msgspec.Struct]:
    names = [field.name for field in inputs]
    if len(set(names)) != len(names):
        raise InvalidConfig("the signature names a column twice; log the model with a sound one")
    fields: list[Any] = []
    for index, field in enumerate(inputs):
        kind = _json_type(field)
        fields.append((f"f{index}", kind) if field.required else (f"f{index}", kind | None, None))
    times = [field for field in inputs if field.type == "datetime"]
    try:
        return msgspec.defstruct(
            "Row",
            fields,
            # Columns may have nearly any name, and identifiers may not.
            rename={f"f{index}": name for index, name in enumerate(names)},
            namespace={"__post_init__": _time_check(inputs)} if times else {},
            frozen=True,
            kw_only=True,
            forbid_unknown_fields=True,
        )
    except ValueError as error:
        raise InvalidConfig(
            "the signature names a column with a quote, a backslash or a control character; "
            "log the model with another name"
        ) from error


def _kind(field: InputField) -> str:
    """The kind of feature that a column is, or an empty text."""
    if field.type in ("double", "float"):
        return NUMBER if field.required else OPTIONAL
    kinds = {"string": TEXT, "integer": WHOLE, "long": WHOLE}
    return kinds.get(field.type, "") if field.required else ""


def _json_type(field: InputField) -> Any:
    if field.type == "string":
        return Annotated[str, Meta(max_length=MAX_TEXT)]
    if field.type == "datetime":
        return datetime
    if field.type not in DTYPES:
        raise InvalidConfig(
            f"the signature's column {field.name!r} has type {field.type}; "
            f"served are {', '.join(DTYPES)}"
        )
    return _number(DTYPES[field.type])


def _between(kind: type[Any], low: float, high: float) -> Any:
    return Annotated[kind, Meta(ge=low, le=high)]


def _number(dtype: str) -> Any:
    """The msgspec type of JSON numbers that fit a numpy dtype; never NaN or infinite."""
    kind = np.dtype(dtype).kind
    if kind == "b":
        return bool
    if kind == "f":
        widest = min(float(np.finfo(dtype).max), _DOUBLE)
        return _between(float, -widest, widest)
    if kind in "iu":
        limits = np.iinfo(dtype)
        # msgspec's own bounds are of 64 bits with a sign.
        return _between(int, int(limits.min), min(int(limits.max), 2**63 - 1))
    raise InvalidConfig(
        f"the signature's tensor has dtype {dtype}; numbers and booleans are served"
    )


def _tensor_type(dtype: str, shape: tuple[int, ...]) -> Any:
    if not shape or shape[0] != -1 or min(shape[1:], default=1) < 1:
        raise InvalidConfig(
            f"the signature's tensor has shape {shape}; served are shapes like (-1, 4)"
        )
    try:
        kind: Any = _number(dtype)
    except TypeError as error:
        raise InvalidConfig(
            "the signature's tensor has a dtype that numpy does not know"
        ) from error
    for size in reversed(shape[1:]):
        kind = Annotated[GenericAlias(list, (kind,)), Meta(min_length=size, max_length=size)]
    return kind


def _time_check(inputs: tuple[InputField, ...]) -> Any:
    places = [(f"f{index}", f.name) for index, f in enumerate(inputs) if f.type == "datetime"]

    def check(row: Any) -> None:
        for attribute, name in places:
            value = getattr(row, attribute)
            if value is not None and not FIRST_YEAR <= value.year <= LAST_YEAR:
                raise ValueError(f"{name}: the year must be from {FIRST_YEAR} to {LAST_YEAR}")

    return check


def _is_given(field: InputField, place: int, table: list[tuple[Any, ...]]) -> bool:
    missing = sum(row[place] is None for row in table)
    if 0 < missing < len(table):
        raise InvalidInput(
            f"the column {field.name!r} holds integers, which cannot be missing in some rows only; "
            "give it in all rows or in none"
        )
    return missing == 0


def _block(word: str, values: list[list[Any]]) -> npt.NDArray[Any]:
    """Rows of one type as an array; what is missing becomes NaN, NaT or None."""
    if word == "datetime":
        values = [[_utc(value) for value in row] for row in values]
    if word == "boolean" and any(None in row for row in values):
        return np.array(values, dtype=object)
    return np.array(values, dtype=DTYPES[word])


def _utc(value: datetime | None) -> datetime | None:
    """The time without its zone, in UTC: MLflow's datetime knows no zones."""
    if value is None or value.tzinfo is None:
        return value
    offset = value.utcoffset()
    naive = value.replace(tzinfo=None)
    return naive - offset if offset else naive
