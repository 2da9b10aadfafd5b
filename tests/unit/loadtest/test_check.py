"""What counts as a right answer."""

from __future__ import annotations

from typing import Any

import pytest
from loadtest.check import fault_of

EXPECTED = {"v1": [10.0, 20.0, 30.0]}


@pytest.mark.parametrize(
    ("document", "rides", "word"),
    [
        ({"duration": 20.0, "model_version": "v1"}, [1], None),
        ({"predictions": [10.0, 30.0], "model_version": "v1"}, [0, 2], None),
        ({"predictions": [30.0]}, [2], None),
        ({"duration": 20.0 * (1 + 1e-12), "model_version": "v1"}, [1], None),
        ({"duration": 20.1, "model_version": "v1"}, [1], "another prediction"),
        ({"predictions": [30.0, 10.0]}, [0, 2], "another prediction"),
        ({"duration": 20.0, "model_version": "v2"}, [1], "differ"),
        ({"predictions": [10.0]}, [0, 2], "no prediction for each ride"),
        ({"predictions": []}, [1], "no prediction"),
        ({"duration": None, "model_version": "v1"}, [1], "no prediction"),
        ({"duration": True, "model_version": "v1"}, [1], "no prediction"),
        ({"model_version": "v1"}, [1], "no prediction"),
        ([20.0], [1], "no prediction"),
    ],
)
def test_an_answer_is_compared_with_the_native_models(
    document: Any, rides: list[int], word: str | None
) -> None:
    fault = fault_of(document, "v1", rides, EXPECTED)
    assert (fault is None) if word is None else (fault and word in fault)


def test_a_version_without_a_reference_is_a_fault_only_where_references_were_given() -> None:
    document = {"duration": 99.0, "model_version": "v9"}
    assert fault_of(document, "v9", [1], None) is None
    assert "no --reference" in str(fault_of(document, "v9", [1], EXPECTED))
