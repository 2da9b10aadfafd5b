"""What a command takes and lists, where click by itself would do otherwise."""

from __future__ import annotations

import math
from enum import StrEnum

import click
import pytest
from click.testing import CliRunner

from slipway.cli.commands import AtLeast, Group, OneOf, WholeNumber
from slipway.cli.local import local
from slipway.cli.verbs import app


class Colour(StrEnum):
    RED = "dark-red"
    BLUE = "blue"


@click.command()
@click.option("--colour", type=OneOf(Colour), default=Colour.BLUE.value, show_default=True)
@click.option("--seconds", type=AtLeast(0.5), default=1.0)
@click.option("--count", type=WholeNumber(1, 5), default=1)
def paint(colour: Colour, seconds: float, count: int) -> None:
    click.echo(repr((colour, seconds, count)))


def painted(*arguments: str) -> str:
    found = CliRunner().invoke(paint, arguments)
    assert found.exit_code == 0, found.output
    return found.output.strip()


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ([], (Colour.BLUE, 1.0, 1)),
        (["--colour", "dark-red"], (Colour.RED, 1.0, 1)),
        (["--seconds", "inf", "--count", "5"], (Colour.BLUE, math.inf, 5)),
    ],
)
def test_what_is_allowed_arrives_as_what_it_means(
    arguments: list[str], given: tuple[Colour, float, int]
) -> None:
    assert painted(*arguments) == repr(given)


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--colour", "RED", "'RED' is not one of 'dark-red', 'blue'"),
        ("--colour", "DARK-RED", "'DARK-RED' is not one of 'dark-red', 'blue'"),
        ("--seconds", "0.4", "0.4 is not in the range x>=0.5"),
        ("--seconds", "nan", "nan is not in the range x>=0.5"),
        ("--seconds", "soon", "'soon' is not a valid float"),
        ("--count", "6", "6 is not in the range 1<=x<=5"),
        ("--count", "1.0", "'1.0' is not a valid integer"),
    ],
)
def test_anything_else_is_a_usage_error_that_names_the_option_and_what_is_allowed(
    option: str, value: str, told: str
) -> None:
    refused = CliRunner().invoke(paint, [option, value])
    assert refused.exit_code == 2
    assert f"Invalid value for '{option}': {told}" in refused.stderr


def test_the_help_names_values_and_their_default() -> None:
    assert "[dark-red|blue]" in painted("--help")
    assert "[default: blue]" in painted("--help")


def test_a_group_lists_its_commands_as_they_are_written() -> None:
    assert isinstance(local, Group)
    shown = CliRunner().invoke(app, ["local", "--help"]).output
    assert [line.split()[0] for line in shown.partition("Commands:\n")[2].splitlines()] == [
        "up",
        "down",
        "status",
    ]
