"""A figure beside its goal, and how a run of them is told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A measured value that is to be at most `goal`, both in `unit`; `basis` says how it came."""

    name: str
    value: float
    goal: float
    unit: str
    basis: str

    @property
    def met(self) -> bool:
        """A value that is no number meets nothing."""
        return self.value <= self.goal

    def __str__(self) -> str:
        """One line for the terminal."""
        verdict = "" if self.met else "   MISSED"
        goal = f"at most {self.goal:g}"
        return (
            f"{self.name:<20} {self.value:7.2f} {self.unit:<6} {goal:<14} ({self.basis}){verdict}"
        )


def told(figures: Iterable[Figure]) -> bool:
    """Print each as it comes; whether all were met."""
    met = True
    for figure in figures:
        print(figure, flush=True)
        met = met and figure.met
    return met
