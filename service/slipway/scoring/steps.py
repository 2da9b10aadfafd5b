"""Trees over categories and one number, unfolded into steps of the number. Pure.

With a row's categories given, a tree is a step function of the one number that is left. To have it
for every combination of categories would be far too much; but two combinations differ only where
one of their values is asked for. So each tree is kept as the steps of a row that has none of the
values ever asked for, and as *detours*: "a row with this value, and the number between these two,
goes on in that part of the tree", which again is steps and detours. Every node of the trees is in
one place only, so the form is never larger than the trees.

Numbers are replaced by their rank among all thresholds, so that a part, a column and a rank make
one integer, and both look-ups are bisections in sorted integers: a ride's prediction by fifty
trees is two calls of numpy, and a month's is two for each tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from slipway.scoring.encoding import Arrays, Categories, Encoded, Encoding, Floats, Number
from slipway.scoring.trees import LEAF, Ensemble, Ints, added, check_numbers

# Up to so many rows all trees are asked at once: more would not fit into the processor's caches.
FEW = 32
_LARGEST = 2**62
# Below this a number is one in single precision too.
_ORDINARY = 1e38
_NEVER, _DEEPEST = np.iinfo(np.int64).max, np.iinfo(np.int32).max


class NotUnfoldable(ValueError):
    """The ensemble has no such form; the message says why."""


@dataclass(frozen=True)
class Unfolded:
    """Parts 0 to `trees` - 1 are the trees themselves, the detour at place p leads to part
    `trees` + p.

    A row of rank r and column c is on a detour of part j when a pair of `begins` and `ends` holds
    `(j * (width + 1) + c + 1) * ranks + r`; of several, that of the least depth comes first. The
    value of part j at rank r is the first one whose entry in `leaf_ends` is not below
    `j * ranks + r`. `ranks` is one more than there are thresholds.
    """

    trees: int
    width: int
    thresholds: Floats
    begins: Ints
    ends: Ints
    depths: npt.NDArray[np.int32]
    leaf_ends: Ints
    leaf_values: Floats
    start: float
    divide: float

    @property
    def ranks(self) -> int:
        """How many ranks a number may have."""
        return len(self.thresholds) + 1

    @property
    def nested(self) -> bool:
        """Whether a detour begins on another one."""
        first = self.trees * (self.width + 1) * self.ranks
        return bool(len(self.ends) and self.ends[-1] >= first)


class Steps:
    """An ensemble whose encoding has at most one number, as steps; NaN is refused."""

    name = "steps"
    takes_missing = False

    def __init__(self, encoding: Encoding, unfolded: Unfolded) -> None:
        self.encoding = encoding
        self._unfolded = unfolded
        self._ranks = unfolded.ranks
        self._columns = (unfolded.width + 1) * unfolded.ranks
        self._nested = unfolded.nested
        trees = np.arange(unfolded.trees, dtype=np.int64)
        # Where the trees' own detours and leaves begin and end.
        self._detours = np.searchsorted(unfolded.ends, [*trees * self._columns, _NEVER])
        self._detours[-1] = np.searchsorted(unfolded.ends, unfolded.trees * self._columns)
        self._own = np.searchsorted(unfolded.leaf_ends, [*trees * self._ranks, _NEVER])
        self._own[-1] = np.searchsorted(unfolded.leaf_ends, unfolded.trees * self._ranks)
        # A place beyond the last detour is none.
        self._begins = np.append(unfolded.begins, _NEVER)
        self._depths = np.append(unfolded.depths, np.int32(_DEEPEST))
        self._none = len(unfolded.ends)
        self._trees = trees
        self._terms = [
            (term.name, term if isinstance(term, Categories) else None) for term in encoding.terms
        ]

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> Floats:
        """Predictions for rows as mappings of names to values, shape (len(rows),)."""
        if len(rows) != 1:
            return self.predict(self.encoding.rows(rows))
        rank, columns = 0, []
        for name, category in self._terms:
            if category:
                columns.append(category.place(rows[0][name]))
            else:
                number = rows[0][name]
                if not abs(number) < _ORDINARY:
                    return self.predict(self.encoding.rows(rows))
                if self.encoding.single:
                    number = float(np.float32(number))
                rank = int(self._unfolded.thresholds.searchsorted(number))
        return self._few([(column + 1) * self._ranks + rank for column in columns], rank)

    def predict(self, encoded: Encoded) -> Floats:
        """Predictions for encoded rows."""
        ranks = np.zeros(encoded.count, dtype=np.int64)
        columns: list[Ints] = []
        for term, values in zip(self.encoding.terms, encoded.terms, strict=True):
            if isinstance(term, Number):
                check_numbers(values, missing=False)
                ranks = np.searchsorted(self._unfolded.thresholds, values)
            else:
                columns.append(values)
        if encoded.count > FEW:
            return self._many(columns, ranks)
        asked = [((column + 1) * self._ranks + ranks)[:, None] for column in columns]
        return self._few(asked, ranks[:, None])

    def _few(self, asked: Sequence[Any], ranks: Any) -> Floats:
        """For one row or some, all trees at once; `asked` has an integer or a column of them."""
        unfolded = self._unfolded
        part = self._trees
        while asked:
            place = self._detour(part, asked)
            taken = place < self._none
            part = np.where(taken, place + unfolded.trees, part)
            if not (self._nested and taken.any()):
                break
        found = unfolded.leaf_ends.searchsorted(part * self._ranks + ranks)
        values = unfolded.leaf_values[found]
        return added(values.reshape(-1, unfolded.trees), unfolded.start, unfolded.divide)

    def _detour(self, part: Ints, asked: Sequence[Any]) -> Ints:
        """The place of the detour to take, or one beyond the last; `asked` has a category each."""
        wanted = part * self._columns + asked[0]
        best = self._place(wanted)
        for column_and_rank in asked[1:]:
            place = self._place(part * self._columns + column_and_rank)
            best = np.where(self._depths[place] < self._depths[best], place, best)
        return best

    def _place(self, wanted: Ints) -> Ints:
        place = self._unfolded.ends.searchsorted(wanted)
        return np.where(self._begins[place] <= wanted, place, self._none)

    def _many(self, columns: list[Ints], ranks: Ints) -> Floats:
        """As `_few`, tree by tree; rows in order of their columns, so that bisections stay near."""
        order = np.lexsort((ranks, *reversed(columns)))
        columns, ranks = [column[order] for column in columns], ranks[order]
        first = np.ones(len(ranks), dtype=bool)
        first[1:] = ranks[1:] != ranks[:-1]
        for column in columns:
            first[1:] |= column[1:] != column[:-1]
        columns, ranks = [column[first] for column in columns], ranks[first]
        distinct, place = np.unique(ranks, return_inverse=True)
        asked = [(column + 1) * self._ranks + ranks for column in columns]
        total = np.full(len(ranks), self._unfolded.start)
        for tree in range(self._unfolded.trees):
            total += self._tree(tree, asked, ranks, distinct, place)
        result = np.empty(len(order))
        result[order] = (total / self._unfolded.divide)[np.cumsum(first) - 1]
        return result

    def _tree(
        self, tree: int, asked: list[Ints], ranks: Ints, distinct: Ints, place: Ints
    ) -> Floats:
        unfolded = self._unfolded
        low, high = self._own[tree], self._own[tree + 1]
        own = np.searchsorted(unfolded.leaf_ends[low:high], tree * self._ranks + distinct) + low
        values: Floats = unfolded.leaf_values[own][place]
        rows, detour = self._taken(tree, asked)
        while rows.size:
            part = detour + unfolded.trees
            found = np.searchsorted(unfolded.leaf_ends, part * self._ranks + ranks[rows])
            values[rows] = unfolded.leaf_values[found]
            if not self._nested:
                break
            detour = self._detour(part, [each[rows] for each in asked])
            taken = detour < self._none
            rows, detour = rows[taken], detour[taken]
        return values

    def _taken(self, tree: int, asked: list[Ints]) -> tuple[Ints, Ints]:
        """The rows that take a detour of a tree's own, and its place."""
        unfolded = self._unfolded
        low, high = self._detours[tree], self._detours[tree + 1]
        ends, begins = unfolded.ends[low:high], self._begins[low : high + 1]
        if low == high:
            nothing = np.empty(0, dtype=np.int64)
            return nothing, nothing
        best: Ints | None = None
        for column_and_rank in asked:
            wanted = column_and_rank + tree * self._columns
            place = np.searchsorted(ends, wanted)
            # Beyond the tree's own there may be another tree's, which begins later.
            place = np.where(begins[place] <= wanted, place + low, self._none)
            if best is None:
                best = place
            else:
                best = np.where(self._depths[place] < self._depths[best], place, best)
        if best is None:
            nothing = np.empty(0, dtype=np.int64)
            return nothing, nothing
        rows = np.flatnonzero(best < self._none)
        return rows, best[rows]

    def thresholds(self, name: str) -> Floats:
        """Of the one number, sorted; none for any other name."""
        known = any(term.name == name for term in self.encoding.numbers)
        return self._unfolded.thresholds if known else np.empty(0)

    def to_arrays(self) -> Arrays:
        """The form as arrays; `from_arrays` reads them."""
        unfolded = self._unfolded
        return {
            "shape": np.array([unfolded.trees, unfolded.width], dtype=np.int64),
            "thresholds": unfolded.thresholds,
            "begins": unfolded.begins,
            "ends": unfolded.ends,
            "depths": unfolded.depths,
            "leaf_ends": unfolded.leaf_ends,
            "leaf_values": unfolded.leaf_values,
            "sum": np.array([unfolded.start, unfolded.divide]),
        }

    @classmethod
    def from_arrays(cls, encoding: Encoding, arrays: Mapping[str, npt.NDArray[Any]]) -> Steps:
        """What `to_arrays` wrote."""
        trees, width = arrays["shape"].tolist()
        start, divide = arrays["sum"].tolist()
        names = ("thresholds", "begins", "ends", "depths", "leaf_ends", "leaf_values")
        found = {name: arrays[name] for name in names}
        return cls(encoding, Unfolded(trees, width, **found, start=start, divide=divide))


@dataclass
class _Frontier:
    """Nodes of one depth: the part each is in, and the first and last rank that come to it."""

    node: Ints
    part: Ints
    low: Ints
    high: Ints

    def take(self, chosen: npt.NDArray[Any]) -> _Frontier:
        return _Frontier(self.node[chosen], self.part[chosen], self.low[chosen], self.high[chosen])

    @staticmethod
    def joined(several: Sequence[_Frontier]) -> _Frontier:
        whole = (
            np.concatenate([getattr(each, name) for each in several])
            for name in ("node", "part", "low", "high")
        )
        return _Frontier(*whole)


def unfold(encoding: Encoding, ensemble: Ensemble) -> Steps:
    """The steps of an ensemble; raises NotUnfoldable where there are none.

    Memory is that of the trees: 16 bytes for each leaf and 20 for each question for a value.
    """
    if len(encoding.numbers) > 1:
        raise NotUnfoldable("the trees take more than one number")
    return Steps(encoding, _Unfolding(encoding, ensemble).run())


class _Unfolding:
    """Goes down all trees at once, a depth at a time."""

    def __init__(self, encoding: Encoding, ensemble: Ensemble) -> None:
        self._ensemble = ensemble
        self._width = encoding.width
        # The last entry is for leaves, whose feature is none.
        number, category = np.zeros((2, encoding.width + 1), dtype=bool)
        for term in encoding.terms:
            if isinstance(term, Categories):
                category[list(term.columns.values())] = True
            else:
                number[term.column] = True
        self._is_number = number[ensemble.feature]
        self._is_category = category[ensemble.feature]
        self._thresholds = np.unique(ensemble.threshold[self._is_number])
        self._rank = np.searchsorted(self._thresholds, ensemble.threshold)
        self._parts = len(ensemble.roots)
        # One array for each depth.
        self._detours: list[tuple[Ints, Ints, Ints, Ints, npt.NDArray[np.int32]]] = []
        self._leaves: list[tuple[Ints, Ints, Floats]] = []

    def run(self) -> Unfolded:
        trees, ranks = len(self._ensemble.roots), len(self._thresholds)
        every = np.arange(trees, dtype=np.int64)
        here = _Frontier(
            self._ensemble.roots.astype(np.int64),
            every,
            np.zeros(trees, dtype=np.int64),
            np.full(trees, ranks, dtype=np.int64),
        )
        depth = 0
        while here.node.size:
            here = _Frontier.joined(list(self._below(here, depth)))
            depth += 1
        return self._numbered()

    def _below(self, here: _Frontier, depth: int) -> Iterator[_Frontier]:
        trees = self._ensemble
        leaf = trees.feature[here.node] == LEAF
        found = here.take(leaf)
        self._leaves.append((found.part, found.high, trees.value[found.node]))
        here = here.take(~leaf)
        of_number = self._is_number[here.node]
        yield from self._split(here.take(of_number))
        yield from self._asked(here.take(~of_number), depth)

    def _split(self, here: _Frontier) -> Iterator[_Frontier]:
        rank = self._rank[here.node]
        left = _Frontier(
            self._ensemble.left[here.node], here.part, here.low, np.minimum(here.high, rank)
        )
        right = _Frontier(
            self._ensemble.right[here.node], here.part, np.maximum(here.low, rank + 1), here.high
        )
        for side in (left, right):
            yield side.take(side.low <= side.high)

    def _asked(self, here: _Frontier, depth: int) -> Iterator[_Frontier]:
        """A category's column, or one that is nought in every row."""
        trees = self._ensemble
        threshold = trees.threshold[here.node]
        left, right = trees.left[here.node], trees.right[here.node]
        without = np.where(threshold >= 0, left, right)
        with_it = np.where(threshold >= 1, left, right)
        yield _Frontier(without, here.part, here.low, here.high)
        apart = self._is_category[here.node] & (with_it != without)
        detour = here.take(apart)
        new = self._parts + np.arange(len(detour.node), dtype=np.int64)
        self._parts += len(new)
        column = trees.feature[detour.node]
        depths = np.full(len(new), depth, dtype=np.int32)
        self._detours.append((detour.part, column, detour.low, detour.high, depths))
        yield _Frontier(with_it[apart], new, detour.low, detour.high)

    def _numbered(self) -> Unfolded:
        """Sort what was found, and number the parts in the order of the detours to them."""
        trees, ranks, width = len(self._ensemble.roots), len(self._thresholds) + 1, self._width
        if self._parts * (width + 1) * ranks > _LARGEST:
            raise NotUnfoldable("the trees are too large to number their parts")
        # Detours were found in the order of the parts' first numbers.
        part, column, low, high, depth = (
            np.concatenate(arrays) for arrays in zip(*self._detours, strict=True)
        )
        number = self._numbers(part, column, low)
        part = number[part]
        order = np.lexsort((low, column, part))
        key = (part * (width + 1) + column + 1) * ranks
        begins, ends = (key + low)[order], (key + high)[order]
        if (begins[1:] <= ends[:-1]).any():
            raise NotUnfoldable("a tree asks for the same value twice")
        owner, last, value = (np.concatenate(arrays) for arrays in zip(*self._leaves, strict=True))
        leaf_ends = number[owner] * ranks + last
        by_end = np.argsort(leaf_ends)
        return Unfolded(
            trees=trees,
            width=width,
            thresholds=self._thresholds,
            begins=begins,
            ends=ends,
            depths=depth[order],
            leaf_ends=leaf_ends[by_end],
            leaf_values=value[by_end],
            start=self._ensemble.start,
            divide=self._ensemble.divide,
        )

    def _numbers(self, part: Ints, column: Ints, low: Ints) -> Ints:
        """Each part's new number: detours sorted by the number of the part they are on."""
        trees = len(self._ensemble.roots)
        number = np.full(self._parts, -1, dtype=np.int64)
        number[:trees] = np.arange(trees)
        done, level = trees, np.flatnonzero(part < trees)
        while level.size:
            order = level[np.lexsort((low[level], column[level], number[part[level]]))]
            # The detour at a place leads to the part of the same place after the trees.
            number[trees + order] = done + np.arange(len(order))
            done += len(order)
            on_these = np.zeros(self._parts, dtype=bool)
            on_these[trees + order] = True
            level = np.flatnonzero(on_these[part])
        return number
