"""What commands are made of where click's own parts would list or take something else."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any, TypeVar

import click

Member = TypeVar("Member", bound=StrEnum)


class Group(click.Group):
    """Lists its commands as they are written, not by the alphabet: `up` stands before `down`."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Their names."""
        return list(self.commands)


class OneOf(click.Choice[Member]):
    """A member of an enumeration by its value; click itself goes by the members' names."""

    def normalize_choice(self, choice: object, ctx: click.Context | None) -> str:  # noqa: ARG002
        """What users type for it."""
        return str(choice)


class WholeNumber(click.IntRange):
    """An integer between two limits; click would call what is none "no valid integer range"."""

    name = "integer"


class AtLeast(click.FloatRange):
    """A number from `least` on, infinity too; click would let NaN pass as well."""

    name = "float"

    def __init__(self, least: float) -> None:
        super().__init__(min=least)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number; anything else is a usage error."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not in the range x>={self.min}.", param, ctx)
        return number
