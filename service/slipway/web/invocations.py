"""The body of /invocations -> checked rows: MLflow's scoring protocol. Pure.

One of `dataframe_split` (columns and data), `dataframe_records` (a list of objects), `instances`
(a list of objects, or of lists for a tensor) and `inputs` (the same, or one list for each column).
The rows are checked as strictly as on /predict; MLflow's own server lets unknown columns through.
"""

from __future__ import annotations

from typing import Any

import msgspec

from slipway.errors import InvalidInput
from slipway.web.decode import Decode, Decoded, after, converted, field_names, guarded, limited
from slipway.web.pointers import Tokens, explain, invalid, pointer

SPLIT, RECORDS, INSTANCES, INPUTS = MEMBERS = (
    "dataframe_split",
    "dataframe_records",
    "instances",
    "inputs",
)
ONE_FORM = f"the body: must be an object with exactly one of {', '.join(MEMBERS)}"


class Split(msgspec.Struct):
    """A table as pandas writes it with `orient="split"`; its index is not looked at."""

    columns: list[str]
    data: list[list[Any]]


class Invocation(msgspec.Struct, forbid_unknown_fields=True):
    """The outer object; the rows are decoded once it is known which member holds them."""

    dataframe_split: Split | msgspec.UnsetType = msgspec.UNSET
    dataframe_records: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    instances: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    inputs: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    params: dict[str, Any] | None = None


def invocations_decoder(row_type: Any, max_rows: int) -> Decode:
    """The decoder of /invocations for rows of a type; at most `max_rows` rows."""
    return guarded(_Invocations(row_type, max_rows).decode)


class _Invocations:
    def __init__(self, row_type: Any, max_rows: int) -> None:
        self._row_type = row_type
        self._names = field_names(row_type)
        self._max_rows = max_rows
        self._outer = msgspec.json.Decoder(Invocation)
        self._rows = msgspec.json.Decoder(list[row_type])

    def decode(self, body: bytes) -> Decoded:
        try:
            given = self._outer.decode(body)
        except msgspec.ValidationError as error:
            sentence, tokens = explain(error, self._names)
            if not tokens or tokens[0] not in Invocation.__struct_fields__:
                # Another form altogether, such as a bare row.
                sentence, tokens = ONE_FORM, ()
            raise InvalidInput(sentence, pointer(tokens)) from error
        members = [name for name in MEMBERS if getattr(given, name) is not msgspec.UNSET]
        if len(members) != 1:
            raise InvalidInput(ONE_FORM)
        if given.params:
            raise InvalidInput("params: this service takes none; leave them out", "/params")
        value = getattr(given, members[0])
        if isinstance(value, Split):
            return self._split(value)
        if members[0] == INPUTS and bytes(value).lstrip()[:1] == b"{":
            return self._columns(value)
        return self._records(value, members[0])

    def _records(self, raw: msgspec.Raw, member: str) -> Decoded:
        try:
            rows = self._rows.decode(raw)
        except msgspec.ValidationError as error:
            raise invalid(error, self._names, (member,)) from error
        return Decoded(limited(rows, self._max_rows, (member,)), False, after(member))

    def _columns(self, raw: msgspec.Raw) -> Decoded:
        try:
            table = msgspec.json.decode(raw, type=dict[str, list[Any]])
        except msgspec.ValidationError as error:
            raise InvalidInput("inputs: must hold one list for each column", "/inputs") from error
        lengths = {len(column) for column in table.values()}
        if len(lengths) > 1:
            raise InvalidInput("inputs: all columns must have the same length", "/inputs")
        values = list(zip(*table.values(), strict=True))
        limited(values, self._max_rows, (INPUTS,))
        rows = [dict(zip(table, row, strict=True)) for row in values]
        known = set(table)

        def place(row: str, name: str) -> Tokens:
            return (INPUTS, name, row) if name in known else (INPUTS,)

        return Decoded(converted(rows, self._row_type, place), False, lambda _row: "/inputs")

    def _split(self, table: Split) -> Decoded:
        columns = table.columns
        limited(table.data, self._max_rows, (SPLIT, "data"))
        if len(set(columns)) != len(columns):
            raise InvalidInput("columns: one is named twice", f"/{SPLIT}/columns")
        for row, values in enumerate(table.data):
            if len(values) != len(columns):
                raise InvalidInput(
                    f"row {row}: must have one value for each column", f"/{SPLIT}/data/{row}"
                )
        rows = [dict(zip(columns, values, strict=True)) for values in table.data]

        def place(row: str, name: str) -> Tokens:
            if name in columns:
                return (SPLIT, "data", row, str(columns.index(name)))
            return (SPLIT, "columns")

        return Decoded(converted(rows, self._row_type, place), False, after(SPLIT, "data"))
