"""A CSV body -> checked rows, as MLflow's scoring server takes one on /invocations. Pure.

The first line names the columns, in any order; a first column without a name is the index that
pandas writes, and is not looked at. An empty cell is a missing value. Pointers are `/row/column`,
with the rows after the first line counted from 0.
"""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from slipway.errors import InvalidInput, Malformed, UnsupportedMedia
from slipway.usecases.protocol import UseCase
from slipway.web.decode import Decode, Decoded, after, converted, limited
from slipway.web.pointers import Tokens, pointer

# Type words whose cells are texts; all others are numbers and truth values.
_TEXTS = frozenset({"string", "datetime", "zone"})
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_TRUTHS = {"true": True, "false": False}
# Longer ones fit into no integer type, and Python refuses to read very long ones.
_MOST_DIGITS = 20


def csv_decoder(use_case: UseCase, max_rows: int) -> Decode:
    """The decoder of CSV for rows of a use case; at most `max_rows` rows.

    It raises Malformed for what is no CSV in UTF-8, InvalidInput for rows that do not fit, and
    UnsupportedMedia for every body if the model takes a tensor, which CSV cannot hold.
    """
    row_type = use_case.row_type()
    words = {field.name: field.type for field in use_case.inputs}

    def decode(body: bytes) -> Decoded:
        if not words:
            raise UnsupportedMedia("this model takes a tensor; send it as JSON")
        names, table = _table(body, max_rows)
        rows = [
            {
                name: _value(cell, words.get(name, ""))
                for name, cell in zip(names, cells, strict=True)
                if cell and name
            }
            for cells in table
        ]

        def place(row: str, name: str) -> Tokens:
            return (row, name) if name else (row,)

        try:
            return Decoded(converted(rows, row_type, place), False, after())
        except InvalidInput as error:
            row = error.pointer.split("/")[1]
            raise InvalidInput(f"row {row}: {error.message}", error.pointer) from error

    return decode


def _table(body: bytes, max_rows: int) -> tuple[list[str], list[list[str]]]:
    """The names of the columns, and the cells of each row, as many as there are names."""
    try:
        # Excel begins a file with a byte-order mark.
        reader = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        names = next(reader, [])
        table = [cells for cells in reader if cells]
    except (csv.Error, UnicodeDecodeError) as error:
        raise Malformed("the body is not CSV in UTF-8") from error
    if not names:
        raise Malformed("the body is empty; the first line must name the columns")
    if "" in names[1:]:
        raise InvalidInput("the first line: only the first column may have no name")
    if len(set(names)) != len(names):
        raise InvalidInput("the first line names a column twice")
    limited(table, max_rows, ())
    for row, cells in enumerate(table):
        if len(cells) != len(names):
            raise InvalidInput(
                f"row {row}: must have one value for each column", pointer((str(row),))
            )
    return names, table


def _value(cell: str, word: str) -> Any:
    """A cell as JSON would have held it; what cannot be read so stays a text, to be refused."""
    if word in _TEXTS:
        return cell
    text = cell.strip()
    if word == "boolean":
        return _TRUTHS.get(text.lower(), cell)
    if not _NUMBER.fullmatch(text):
        return cell
    whole = text.lstrip("+-").isdigit() and len(text) <= _MOST_DIGITS
    return int(text) if whole else float(text)
