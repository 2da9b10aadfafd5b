"""Rows become what differs from nought, by rows and by columns alike."""

from __future__ import annotations

import struct
import warnings

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from slipway.scoring.encoding import UNKNOWN, Categories, Encoding, Number

ENCODING = Encoding(
    [Categories("zone", {"10": 2, "43": 0}), Number("far", 1), Categories("size", {4: 3, 6: 4})],
    5,
    single=True,
)
ROWS = [
    {"zone": "43", "far": 0.1, "size": 4},
    {"zone": "11", "far": 2.0, "size": 5},
    {"zone": "10", "far": 1e300, "size": 6},
]


def test_rows_become_columns_and_rounded_numbers() -> None:
    zones, far, sizes = ENCODING.rows(ROWS).terms
    assert zones.tolist() == [0, UNKNOWN, 2]
    assert far.tolist() == [float(np.float32(0.1)), 2.0, np.inf]
    assert sizes.tolist() == [3, UNKNOWN, 4]


@given(st.floats() | st.integers(-(2**63), 2**63 - 1) | st.none())
@example(3.4028234663852886e38)
@example(3.4028235677973366e38)
@example(1e300)
@example(1e-50)
def test_one_number_is_rounded_to_the_bits_that_many_are(number: float | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = ENCODING.rounded_one(number)
        (many,) = ENCODING.rounded(np.array([number], dtype=float)).tolist()
    assert struct.pack("d", one) == struct.pack("d", many)


def test_columns_give_what_rows_give() -> None:
    by_columns = ENCODING.columns(
        {
            "zone": (np.array([0, 1, 2]), ["43", "11", "10"]),
            "size": (np.array([0, 1, 2]), [4, 5, 6]),
        },
        {"far": np.array([row["far"] for row in ROWS])},
        3,
    )
    for one, other in zip(by_columns.terms, ENCODING.rows(ROWS).terms, strict=True):
        assert one.tolist() == other.tolist()


def test_what_is_written_is_read_again() -> None:
    again = Encoding.from_arrays(ENCODING.to_arrays())
    assert again.terms == ENCODING.terms
    assert (again.width, again.single) == (5, True)


def test_a_strict_category_refuses_what_it_does_not_know() -> None:
    strict = Categories("zone", {"10": 0}, strict=True)
    again = Encoding.from_arrays(Encoding([strict], 1, single=False).to_arrays())
    with pytest.raises(ValueError, match="knows no such value of zone"):
        again.rows([{"zone": "11"}])
