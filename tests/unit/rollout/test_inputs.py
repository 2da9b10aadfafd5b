"""Which changes of a model's input break its clients (B8)."""

from __future__ import annotations

import dataclasses

import pytest
from tests.unit.rollout.scene import INPUTS, release

from slipway.rollout.inputs import input_changes
from slipway.usecases.protocol import InputField

EXTRA = InputField("passengers", "integer")


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (INPUTS, ""),
        (INPUTS[::-1], ""),
        ([*INPUTS, EXTRA], "passengers is new and required"),
        ([*INPUTS, dataclasses.replace(EXTRA, required=False)], ""),
        (INPUTS[:1], "trip_distance is gone"),
        (
            [INPUTS[0], InputField("distance", "number")],
            "distance is new and required; trip_distance is gone",
        ),
        (
            [INPUTS[0], InputField("trip_distance", "text")],
            "trip_distance changed from number to text",
        ),
    ],
)
def test_B8_a_change_that_breaks_clients_is_named(inputs: list[InputField], words: str) -> None:
    assert input_changes(release("a"), release("b", inputs=inputs)) == words


def test_B8_an_optional_input_that_becomes_required_is_named() -> None:
    optional = release("a", inputs=[dataclasses.replace(EXTRA, required=False)])
    assert "now required" in input_changes(optional, release("b", inputs=[EXTRA]))
    assert input_changes(release("b", inputs=[EXTRA]), optional) == ""


def test_B8_another_use_case_is_another_input() -> None:
    assert "use case" in input_changes(release("a"), release("b", use_case="tabular"))


def test_many_changes_are_a_short_sentence() -> None:
    many = [InputField(f"f{n}", "number") for n in range(40)]
    assert len(input_changes(release("a"), release("b", inputs=many))) < 300
