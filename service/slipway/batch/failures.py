"""Which rows a model fails at, told when there are any.

A month with such a row is not written: half of it would look like all of it. But whoever has to
mend the model, or the data, needs to know where to look, so the rest of the month is asked too.
"""

from __future__ import annotations

from collections.abc import Callable

from slipway.errors import ModelFailed

# A model that fails at more rows than these is not looked at further.
LIMIT = 100

# Asks the model for the rows from one place to another, without the latter.
Ask = Callable[[int, int], object]


def failing(ask: Ask, count: int, limit: int) -> tuple[list[int], ModelFailed | None]:
    """The rows of `count` at which the model fails alone, sorted, and what it said at the first.

    By halving: of n rows with k such ones about k log2(n) questions; after `limit` rows it ends.
    None at all means that the model fails at these rows together only.
    """
    found: list[int] = []
    said: ModelFailed | None = None
    parts = [(0, count)]
    while parts and len(found) < limit:
        start, stop = parts.pop()
        try:
            ask(start, stop)
        except ModelFailed as error:
            if stop - start > 1:
                middle = (start + stop) // 2
                parts += [(middle, stop), (start, middle)]
                continue
            said = said or error
            found.append(start)
    return found, said


class Failures:
    """The rows of a month at which the model failed so far."""

    def __init__(self) -> None:
        self._count = 0
        self._first: tuple[ModelFailed, str] | None = None

    def __bool__(self) -> bool:
        """Whether there are any."""
        return self._first is not None

    @property
    def enough(self) -> bool:
        """Whether no more are looked for."""
        return self._count >= LIMIT

    def add(
        self,
        error: ModelFailed,
        ask: Ask,
        count: int,
        name: Callable[[int], str],
        called: str = "",
    ) -> None:
        """Look for them among `count` rows at which the model failed; `name` names one of them.

        `called` names the model, if there is another one beside it. Raises the error where no row
        fails alone.
        """
        found, alone = failing(ask, count, LIMIT - self._count)
        if alone is None:
            raise _named(error, called)
        self._count += len(found)
        self._first = self._first or (_named(alone, called), name(found[0]))

    def check(self) -> None:
        """Raise what the model said at the first row, with how many there are."""
        if self._first is None:
            return
        error, first = self._first
        if self._count == 1:
            where = f"at one row, {first}"
        else:
            many = f"{LIMIT} rows and more" if self.enough else f"{self._count} rows"
            where = f"at {many}, the first is {first}"
        raise type(error)(f"{error.message}; {where}; nothing is written") from error


def _named(error: ModelFailed, called: str) -> ModelFailed:
    if not called:
        return error
    named = type(error)(f"{called}: {error.message}")
    named.__cause__ = error
    return named
