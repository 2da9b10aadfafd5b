"""Tensors: each datatype as JSON and as bytes, and what is wrong with one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.errors import InvalidInput
from slipway.web.tensors import (
    DATATYPES,
    Tensor,
    datatype_of_dtype,
    datatype_of_values,
    to_bytes,
    values_of,
)

AT = ("inputs", "1")
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
OF_DATATYPE: dict[str, st.SearchStrategy[Any]] = {
    "BOOL": st.booleans(),
    "BYTES": texts,
    **{f"INT{n}": st.integers(-(2 ** (n - 1)), 2 ** (n - 1) - 1) for n in (8, 16, 32, 64)},
    **{f"UINT{n}": st.integers(0, 2**n - 1) for n in (8, 16, 32, 64)},
    "FP16": st.floats(width=16, allow_nan=False, allow_infinity=False),
    "FP32": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "FP64": st.floats(allow_nan=False, allow_infinity=False),
}


def test_every_datatype_is_tried() -> None:
    assert set(OF_DATATYPE) == set(DATATYPES)


@pytest.mark.parametrize("datatype", DATATYPES)
@given(st.data())
def test_json_and_bytes_hold_the_same_values(datatype: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(OF_DATATYPE[datatype], min_size=1, max_size=4))
    flat = Tensor("x", [len(values)], datatype, values)
    nested = Tensor("x", [len(values), 1], datatype, [[value] for value in values])
    binary = Tensor("x", [len(values)], datatype)
    assert values_of(flat, None, AT) == values_of(nested, None, AT) == values
    assert values_of(binary, to_bytes(values, datatype), AT) == values


def tensor(datatype: str, data: Any, *shape: int) -> Tensor:
    return Tensor("x", list(shape or (2,)), datatype, data)


@pytest.mark.parametrize(
    ("wrong", "pointer", "said"),
    [
        (tensor("FP128", [1, 2]), "/datatype", "x: datatype must be one of BOOL, INT8"),
        (tensor("FP64", [1]), "/data", "x: data must hold as many values as shape says"),
        (tensor("FP64", [1, 2], 2, 2), "/data", "x: data must hold as many"),
        (tensor("FP64", [[1], [2, 3]], 2, 1), "/data", "x: data must be flat, or nested"),
        (tensor("FP64", [[1], 2], 2, 1), "/data", "x: data must be flat, or nested"),
        (tensor("FP64", [1, "2"]), "/data/1", "x: row 1: expected int | float, got str"),
        (tensor("FP64", [1, None]), "/data/1", "x: row 1: expected int | float, got null"),
        (tensor("INT8", [1, 128]), "/data/1", "x: row 1: expected int <= 127"),
        (tensor("UINT8", [-1, 1]), "/data/0", "x: row 0: expected int >= 0"),
        (tensor("INT64", [1, 1.5]), "/data/1", "x: row 1: expected int, got float"),
        (tensor("BOOL", [True, 1]), "/data/1", "x: row 1: expected bool, got int"),
        (tensor("BYTES", ["a", 1]), "/data/1", "x: row 1: expected str, got int"),
        (Tensor("x", [1], "FP64"), "/data", "x: data is missing"),
    ],
)
def test_F15_what_a_tensor_does_not_hold_is_said_at_its_place(
    wrong: Tensor, pointer: str, said: str
) -> None:
    with pytest.raises(InvalidInput) as error:
        values_of(wrong, None, AT)
    assert error.value.pointer == f"/inputs/1{pointer}"
    assert error.value.message[: len(said)] == said


@pytest.mark.parametrize(
    ("datatype", "raw"),
    [
        ("FP64", b"\0" * 15),
        ("FP64", np.array([1.0, math.nan]).tobytes()),
        ("FP32", np.array([math.inf, 1.0], np.float32).tobytes()),
        ("BYTES", b""),
        ("BYTES", b"\1\0\0\0a\1\0\0"),
        ("BYTES", b"\1\0\0\0a\2\0\0\0b"),
        ("BYTES", b"\1\0\0\0a\1\0\0\0\xff"),
        ("BYTES", b"\1\0\0\0a\1\0\0\0b\1\0\0\0c"),
        ("BYTES", b"\xff\xff\xff\xff" * 2),
    ],
)
def test_bytes_that_do_not_fit_are_refused(datatype: str, raw: bytes) -> None:
    with pytest.raises(InvalidInput) as error:
        values_of(Tensor("x", [2], datatype), raw, AT)
    assert error.value.pointer == "/inputs/1"


@pytest.mark.parametrize(
    ("values", "datatype"),
    [
        ([1.5, 2.0], "FP64"),
        ([1, 2.0], "FP64"),
        ([1, 2], "INT64"),
        ([1, 2**64 - 1], "UINT64"),
        ([True, False], "BOOL"),
        (["a", "b"], "BYTES"),
        (["a", 1.5], "BYTES"),
    ],
)
def test_predictions_have_the_datatype_that_holds_them(values: list[Any], datatype: str) -> None:
    assert datatype_of_values(values) == datatype


@pytest.mark.parametrize(
    ("dtype", "datatype"),
    [("float64", "FP64"), ("float32", "FP32"), ("uint64", "UINT64"), ("bool", "BOOL")],
)
def test_a_signatures_dtype_has_its_word(dtype: str, datatype: str) -> None:
    assert datatype_of_dtype(dtype) == datatype
