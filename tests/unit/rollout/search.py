"""Breadth-first search over `world`: every place that some disturbances lead to, cheapest first."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.unit.rollout.properties import broken_move, broken_rest
from tests.unit.rollout.world import OUTCOMES, World, followed, key, moves, quiet, start

from slipway.rollout.verdict import Outcome

_MOST_TICKS = 60


class Violation(AssertionError):
    """A rule is broken; the message has the moves that lead there."""


@dataclass
class Search:
    """What was found. `came` says how each place was reached first."""

    worlds: dict[tuple[object, ...], World] = field(default_factory=dict)
    came: dict[tuple[object, ...], tuple[tuple[object, ...], str] | None] = field(
        default_factory=dict
    )
    edges: int = 0
    runs: int = 0
    longest: int = 0

    def explore(self, disturbances: int) -> None:
        """Visit all places within so many disturbances; raises Violation at the first fault."""
        first = start()
        self.came[key(first)] = None
        layers: list[list[World]] = [[first], *([] for _ in range(disturbances))]
        for spent, layer in enumerate(layers):
            while layer:
                world = layer.pop()
                name = key(world)
                if name in self.worlds:
                    continue
                self.worlds[name] = world
                self._expand(world, name, layers, spent, disturbances - spent)

    def _expand(
        self,
        world: World,
        name: tuple[object, ...],
        layers: list[list[World]],
        spent: int,
        budget: int,
    ) -> None:
        for step in moves(world, budget):
            self.edges += 1
            told = broken_move(world, step)
            if told:
                raise Violation(f"{told}: {self.trace(name)} -> {step.name}")
            after = key(step.after)
            if after not in self.worlds:
                self.came.setdefault(after, (name, step.name))
                layers[spent + step.cost].append(step.after)

    def trace(self, name: tuple[object, ...]) -> str:
        """The moves from the start to a place."""
        told: list[str] = []
        while came := self.came.get(name):
            name = came[0]
            told.append(came[1])
        return " -> ".join(reversed(told)) or "start"

    def settle(self) -> None:
        """From every place: left in peace, it comes to a rest that is right; L1, L2, L3, I5."""
        for outcome in OUTCOMES:
            rests: dict[tuple[object, ...], int] = {}
            for name, world in self.worlds.items():
                self.runs += 1
                self._run(name, world, outcome, rests)

    def _run(
        self,
        origin: tuple[object, ...],
        world: World,
        outcome: Outcome,
        rests: dict[tuple[object, ...], int],
    ) -> None:
        path: list[tuple[object, ...]] = []
        world = followed(world)
        name = key(world)
        while name not in rests:
            if name in path or len(path) > _MOST_TICKS:
                told = self.trace(origin)
                raise Violation(f"L1: no rest when every gate says {outcome}: {told}")
            path.append(name)
            step = quiet(world, outcome)
            if told := broken_move(world, step):
                raise Violation(f"{told}: {self.trace(origin)} -> left in peace")
            world = followed(step.after)
            after = key(world)
            if after == name:
                if told := broken_rest(world, outcome):
                    came = self.trace(origin)
                    raise Violation(f"{told} when every gate says {outcome}: {came}")
                rests[name] = 0
                break
            name = after
        ticks = rests[name]
        for passed in reversed(path):
            if passed not in rests:
                ticks += 1
                rests[passed] = ticks
        self.longest = max(self.longest, rests[path[0]] if path else ticks)
