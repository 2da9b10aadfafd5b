"""A table in columns: the batch's half of the use case `tabular`. Vectorised over a record batch.

The model gets the frame that a web request with the same values would give it. What such a request
would be refused for leaves a row out, under the name of the column:

    X_missing    null or NaN where the signature demands a value; also in a column of whole numbers
                 that it does not demand, as those have no value for "missing"
    X_invalid    infinite, beyond the type, a fraction in a column of whole numbers, a text that is
                 too long, a time that nanoseconds do not reach

A column of a type that cannot hold what it should is a fault of the file, not of its rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from slipway.errors import InputDataInvalid, InvalidConfig
from slipway.usecases.protocol import InputField
from slipway.usecases.tabular import DTYPES, FIRST_YEAR, INTEGERS, LAST_YEAR, MAX_TEXT, Tabular

Mask = npt.NDArray[np.bool_]

# Doubles hold every integer up to here exactly; a larger one may have been another.
_EXACT = 2.0**53


@dataclass(frozen=True)
class Rows:
    """The rows of a batch that can be scored.

    `values` are the model's inputs, each with one value for each of `positions`, which are places
    within the batch. `reasons` has an entry for each row of the batch: its place in `names`, or -1
    for a row that can be scored.
    """

    case: Tabular
    values: Mapping[str, npt.NDArray[Any]]
    positions: npt.NDArray[np.int64]
    reasons: npt.NDArray[np.int32]
    names: tuple[str, ...]

    @property
    def dropped(self) -> dict[str, int]:
        """How many rows were left out, by reason."""
        counts = np.bincount(self.reasons[self.reasons >= 0], minlength=len(self.names))
        return dict(zip(self.names, counts.tolist(), strict=True))

    def frame(self, start: int, stop: int) -> Any:
        """What the model takes: the rows from one place to another, without the latter."""
        values = {name: each[start:stop] for name, each in self.values.items()}
        return self.case.frame(values, stop - start)

    def category(self, name: str, start: int, stop: int) -> tuple[npt.NDArray[Any], list[Any]]:
        """The place of each row's value among the distinct values, and these."""
        found = pa.array(self.values[name][start:stop]).dictionary_encode()
        return found.indices.to_numpy(), found.dictionary.to_pylist()

    def number(self, name: str, start: int, stop: int) -> npt.NDArray[np.float64]:
        """An input of numbers, as a compiled form takes it: NaN where there is none."""
        if name not in self.values:
            return np.full(stop - start, np.nan)
        return self.values[name][start:stop].astype(np.float64)


class TableColumns:
    """The columns of a file that a model takes; `renamed` says what the file calls an input.

    Raises InvalidConfig for a name that is no input and for a model that takes a tensor, and
    InputDataInvalid for a column that is not there, or there twice.
    """

    def __init__(
        self, case: Tabular, names: Sequence[str], renamed: Mapping[str, str] | None = None
    ) -> None:
        if not case.inputs:
            raise InvalidConfig(
                "the model takes a tensor, whose values have no names by which columns could be "
                "found; log it with a signature of columns"
            )
        given = dict(renamed or {})
        if unknown := sorted(set(given) - {field.name for field in case.inputs}):
            raise InvalidConfig(
                f"the model has no input {', '.join(unknown)}; it takes "
                + ", ".join(field.name for field in case.inputs)
            )
        self._case = case
        self._found = {
            field.name: given.get(field.name, field.name)
            for field in case.inputs
            if given.get(field.name, field.name) in names
        }
        missing = [
            given.get(field.name, field.name)
            for field in case.inputs
            if field.name not in self._found and (field.required or field.name in given)
        ]
        if missing:
            raise InputDataInvalid(
                f"the file has no column {', '.join(missing)}; say what it calls a model's input "
                "with --column INPUT=COLUMN"
            )
        if double := sorted(name for name in self.names if list(names).count(name) > 1):
            raise InputDataInvalid(f"the file has the column {', '.join(double)} more than once")
        self.reasons = tuple(
            f"{field.name}_{fault}" for field in case.inputs for fault in ("missing", "invalid")
        )

    @property
    def names(self) -> list[str]:
        """All columns to read."""
        return list(dict.fromkeys(self._found.values()))

    def read(self, batch: pa.RecordBatch) -> Rows:
        """Judge every row of a batch and prepare those that can be scored.

        Raises InputDataInvalid for a column of a type that cannot hold what it should.
        """
        reasons = np.full(batch.num_rows, -1, dtype=np.int32)
        columns: dict[str, npt.NDArray[Any]] = {}
        for place, field in enumerate(self._case.inputs):
            column = _plain(batch, self._found.get(field.name))
            if column is None and not field.required:
                if field.type not in INTEGERS:
                    columns[field.name] = _absent(field, batch.num_rows)
                continue
            if column is None:
                column = pa.nulls(batch.num_rows, _ARROW[field.type])
            values, missing, invalid = _READERS[field.type](column, field)
            columns[field.name] = values
            if field.required or field.type in INTEGERS:
                reasons[(reasons < 0) & missing] = 2 * place
            reasons[(reasons < 0) & invalid & ~missing] = 2 * place + 1
        kept = np.flatnonzero(reasons < 0)
        sound = {name: values[kept] for name, values in columns.items()}
        return Rows(self._case, sound, kept, reasons, self.reasons)


def _plain(batch: pa.RecordBatch, name: str | None) -> pa.Array | None:
    """A column without its dictionary; None where there is no value at all."""
    if name is None:
        return None
    column = batch.column(name)
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    return None if pa.types.is_null(column.type) else column


def _absent(field: InputField, rows: int) -> npt.NDArray[Any]:
    if field.type in ("float", "double"):
        return np.full(rows, np.nan, dtype=DTYPES[field.type])
    if field.type == "datetime":
        return np.full(rows, "NaT", dtype=DTYPES[field.type])
    return np.full(rows, None, dtype=object)


Read = tuple[npt.NDArray[Any], Mask, Mask]


def _whole(column: pa.Array, field: InputField) -> Read:
    missing = _nulls(column)
    limits = np.iinfo(DTYPES[field.type])
    if pa.types.is_integer(column.type):
        numbers = pc.fill_null(column, 0).to_numpy(zero_copy_only=False)
        invalid = (numbers < limits.min) | (numbers > limits.max)
    else:
        numbers = _floats(column, field)
        missing |= np.isnan(numbers)
        with np.errstate(invalid="ignore"):
            widest = min(_EXACT, float(limits.max))
            invalid = ~((np.abs(numbers) <= widest) & (numbers == np.floor(numbers)))
    sound = np.where(missing | invalid, 0, numbers)
    return sound.astype(DTYPES[field.type]), missing, invalid


def _real(column: pa.Array, field: InputField) -> Read:
    numbers = _floats(column, field)
    missing = np.isnan(numbers)
    widest = np.finfo(DTYPES[field.type]).max
    invalid = np.abs(numbers) > widest
    return np.where(invalid, np.nan, numbers).astype(DTYPES[field.type]), missing, invalid


def _floats(column: pa.Array, field: InputField) -> npt.NDArray[np.float64]:
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise _wrong(field, "numbers")
    numbers = pc.fill_null(column.cast(pa.float64(), safe=False), np.nan)
    found: npt.NDArray[np.float64] = numbers.to_numpy(zero_copy_only=False)
    return found


def _truth(column: pa.Array, field: InputField) -> Read:
    if not pa.types.is_boolean(column.type):
        raise _wrong(field, "truth values")
    missing = _nulls(column)
    values = column.to_numpy(zero_copy_only=False)
    if not missing.any() or field.required:
        values = pc.fill_null(column, False).to_numpy(zero_copy_only=False)
    return values, missing, np.zeros(len(column), dtype=bool)


def _text(column: pa.Array, field: InputField) -> Read:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise _wrong(field, "texts")
    lengths = pc.fill_null(pc.utf8_length(column), 0).to_numpy(zero_copy_only=False)
    values = np.array(column.to_pylist(), dtype=object)
    return values, _nulls(column), lengths > MAX_TEXT


def _time(column: pa.Array, field: InputField) -> Read:
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s"), safe=False)
    if not pa.types.is_timestamp(column.type):
        raise _wrong(field, "times")
    # Without its zone: what is stored is UTC.
    column = column.cast(pa.timestamp(column.type.unit), safe=False)
    seconds = column.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
    first, last = (int(datetime(y, 1, 1, tzinfo=UTC).timestamp())
                   for y in (FIRST_YEAR, LAST_YEAR + 1))  # fmt: skip
    at = pc.fill_null(seconds, first).to_numpy(zero_copy_only=False)
    invalid = (at < first) | (at >= last)
    sound = pc.if_else(pa.array(~invalid), column, pa.scalar(None, column.type))
    return sound.cast(pa.timestamp("ns")).to_numpy(zero_copy_only=False), _nulls(column), invalid


def _nulls(column: pa.Array) -> Mask:
    found: Mask = column.is_null().to_numpy(zero_copy_only=False)
    return found.copy()


def _wrong(field: InputField, what: str) -> InputDataInvalid:
    return InputDataInvalid(f"the column for the model's input {field.name} holds no {what}")


_READERS = {
    "boolean": _truth,
    "integer": _whole,
    "long": _whole,
    "float": _real,
    "double": _real,
    "string": _text,
    "datetime": _time,
}
_ARROW = {
    "boolean": pa.bool_(),
    "integer": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "datetime": pa.timestamp("us"),
}
