"""Columns of a file become the frame that requests with the same values become."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.errors import InputDataInvalid, InvalidConfig
from slipway.usecases.protocol import InputField
from slipway.usecases.tabular import MAX_TEXT, Tabular
from slipway.usecases.tabular_columns import Rows, TableColumns

VALUES: dict[str, tuple[pa.DataType, Any]] = {
    "boolean": (pa.bool_(), st.booleans()),
    "integer": (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    "long": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "float": (pa.float32(), st.floats(width=32, allow_nan=False, allow_infinity=False)),
    "double": (pa.float64(), st.floats(allow_nan=False, allow_infinity=False)),
    "string": (pa.string(), st.text(st.characters(codec="utf-8"), max_size=9)),
    "datetime": (
        pa.timestamp("us"),
        st.datetimes(datetime(1678, 1, 1), datetime(2261, 12, 31)),
    ),
}


def read(fields: list[InputField], table: pa.Table, **renamed: str) -> Rows:
    (batch,) = table.combine_chunks().to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]
    return TableColumns(Tabular(fields), table.column_names, renamed).read(batch)


def column(word: str, values: Any, *, required: bool = True) -> Rows:
    array = values if isinstance(values, pa.Array) else pa.array(values)
    return read([InputField("x", word, required)], pa.table({"x": array}))


@st.composite
def tables(draw: Any) -> tuple[list[InputField], dict[str, list[Any]]]:
    words = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=6))
    count = draw(st.integers(1, 5))
    fields, columns = [], {}
    for number, word in enumerate(words):
        # Whole numbers have no value for "missing"; of the others some may be left out.
        required = word in ("integer", "long") or draw(st.booleans())
        values = VALUES[word][1] if required else st.none() | VALUES[word][1]
        fields.append(InputField(f"c{number}", word, required))
        columns[f"c{number}"] = draw(st.lists(values, min_size=count, max_size=count))
    return fields, columns


@given(tables())
def test_R47_a_table_is_the_frame_of_requests_with_its_values(
    given: tuple[list[InputField], dict[str, list[Any]]],
) -> None:
    fields, columns = given
    tabular = Tabular(fields)
    rows = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    expected = tabular.features(
        [msgspec.convert(row, tabular.row_type(), strict=False) for row in rows]
    )
    table = pa.table({f.name: pa.array(columns[f.name], VALUES[f.type][0]) for f in fields})
    found = read(fields, table)
    assert found.positions.tolist() == list(range(len(rows)))
    pd.testing.assert_frame_equal(found.frame(0, len(rows)), expected)


@pytest.mark.parametrize(
    ("word", "values", "expected"),
    [
        ("long", pa.array([1.0, 2.0]), [1, 2]),
        ("integer", pa.array([7, 8], pa.uint64()), [7, 8]),
        ("long", pa.array([3, 4]).dictionary_encode(), [3, 4]),
        ("double", pa.array([1, 2], pa.int8()), [1.0, 2.0]),
        ("double", pa.array([Decimal("1.5")]), [1.5]),
        ("string", pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        ("string", pa.array(["a"], pa.large_string()), ["a"]),
        ("datetime", pa.array([date(2021, 3, 1)]), [pd.Timestamp("2021-03-01")]),
        (
            "datetime",
            pa.array([datetime(2021, 3, 1, 10, tzinfo=UTC)], pa.timestamp("ms", "Europe/Paris")),
            [pd.Timestamp("2021-03-01 10:00")],
        ),
    ],
)
def test_other_forms_of_a_type_are_taken(word: str, values: pa.Array, expected: Any) -> None:
    assert column(word, values).frame(0, len(values))["x"].tolist() == expected


@pytest.mark.parametrize(
    ("word", "values", "reason"),
    [
        ("long", pa.array([1, None]), "x_missing"),
        ("long", pa.array([1.0, float("nan")]), "x_missing"),
        ("long", pa.array([1.0, 1.5]), "x_invalid"),
        ("long", pa.array([1.0, 2.0**60]), "x_invalid"),
        ("long", pa.array([1, 2**63], pa.uint64()), "x_invalid"),
        ("integer", pa.array([1, 2**31]), "x_invalid"),
        ("double", pa.array([1.0, None]), "x_missing"),
        ("double", pa.array([1.0, float("nan")]), "x_missing"),
        ("double", pa.array([1.0, float("-inf")]), "x_invalid"),
        ("float", pa.array([1.0, 1e39]), "x_invalid"),
        ("boolean", pa.array([True, None]), "x_missing"),
        ("string", pa.array(["a", None]), "x_missing"),
        ("string", pa.array(["a", "b" * (MAX_TEXT + 1)]), "x_invalid"),
        ("datetime", pa.array([datetime(2021, 3, 1, tzinfo=UTC), None]), "x_missing"),
        (
            "datetime",
            pa.array([datetime(2021, 3, 1, tzinfo=UTC), datetime(2300, 1, 1, tzinfo=UTC)]),
            "x_invalid",
        ),
    ],
)
def test_a_row_that_no_request_could_be_is_left_out_under_its_reason(
    word: str, values: pa.Array, reason: str
) -> None:
    rows = column(word, values)
    assert rows.positions.tolist() == [0]
    assert {name: count for name, count in rows.dropped.items() if count} == {reason: 1}
    assert len(rows.frame(0, 1)) == 1


def test_what_may_be_missing_is_and_whole_numbers_are_not() -> None:
    """As for requests: a column of whole numbers is there in all rows, or in none."""
    assert np.isnan(column("double", [1.0, None], required=False).frame(0, 2)["x"][1])
    assert column("string", ["a", None], required=False).positions.tolist() == [0, 1]
    assert column("long", [1, None], required=False).dropped["x_missing"] == 1
    assert "x" not in column("long", pa.nulls(2), required=False).frame(0, 2)
    fields = [InputField("y", "long"), InputField("x", "double", False)]
    assert np.isnan(read(fields, pa.table({"y": [1]})).frame(0, 1)["x"][0])


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("double", ["1.5"]),
        ("long", [True]),
        ("boolean", [1]),
        ("string", [1]),
        ("datetime", [1]),
        ("datetime", ["2021-03-01"]),
    ],
)
def test_E3_a_column_of_the_wrong_type_is_named(word: str, values: Any) -> None:
    with pytest.raises(InputDataInvalid, match="input x holds no"):
        column(word, values)


def test_the_file_may_call_its_columns_otherwise() -> None:
    fields = [InputField("distance", "double"), InputField("size", "long")]
    table = pa.table({"size": [1], "distance": [9.0], "Miles": [2.0]})
    assert read(fields, table, distance="Miles").frame(0, 1).to_dict("list") == {
        "distance": [2.0],
        "size": [1],
    }


def test_E3_what_is_missing_or_not_known_is_named() -> None:
    case = Tabular([InputField("x", "double"), InputField("y", "double", False)])
    with pytest.raises(InputDataInvalid, match="no column x; say"):
        TableColumns(case, ["y"])
    with pytest.raises(InputDataInvalid, match="no column why"):
        TableColumns(case, ["x"], {"y": "why"})
    with pytest.raises(InputDataInvalid, match="column x more than once"):
        TableColumns(case, ["x", "x"])
    with pytest.raises(InvalidConfig, match="no input z; it takes x, y"):
        TableColumns(case, ["x"], {"z": "x"})
    with pytest.raises(InvalidConfig, match="takes a tensor"):
        TableColumns(Tabular((), ("float64", (-1, 4))), ["x"])
