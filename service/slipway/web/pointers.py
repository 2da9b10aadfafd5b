"""Turns what msgspec says of a bad value into a sentence and a JSON pointer (RFC 6901). Pure.

msgspec writes `Expected `float`, got `str` - at `$.instances[3].trip_distance``; a row's own
checks write `trip_distance: must be …`. Neither quotes a value, and this adds none. A field's name
that a client made up is repeated only if it is short and printable: it may be a typing error.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

import msgspec

from slipway.errors import InvalidInput

MAX_NAME = 64

_AT = " - at `"
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)

Tokens = tuple[str, ...]


def pointer(tokens: Iterable[str]) -> str:
    """The JSON pointer of a path's tokens."""
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)


def explain(error: msgspec.ValidationError, names: Collection[str]) -> tuple[str, Tokens]:
    """A sentence and the tokens of the place that it speaks of.

    `names` are the names of a row's fields: only with them can a path be read whose names hold
    dots or brackets.
    """
    said, at, place = str(error).rpartition(_AT)
    if not at:
        said, place = place, ""
    tokens = _tokens(place.rpartition("`$")[2].rstrip("`").removeprefix("$"), names)
    if found := _MISSING.fullmatch(said):
        return f"{found[1]}: is missing", (*tokens, found[1])
    if found := _UNKNOWN.fullmatch(said):
        return _unknown(found[1], tokens)
    name, colon, rest = said.partition(": ")
    if colon and name in names:
        return f"{name}: {rest}", (*tokens, name)
    sentence = said.replace("`", "")
    if said.startswith("Invalid enum value"):
        sentence = "is none of the values that are allowed"
    if not tokens:
        return f"the body: {_lower(sentence)}", tokens
    where = f"row {tokens[-1]}" if tokens[-1].isdigit() else tokens[-1]
    return f"{where}: {_lower(sentence)}", tokens


def invalid(
    error: msgspec.ValidationError, names: Collection[str], before: Tokens = ()
) -> InvalidInput:
    """The same as an error of ours; `before` is where what was decoded stands in the body."""
    sentence, tokens = explain(error, names)
    return InvalidInput(sentence, pointer((*before, *tokens)))


def _unknown(name: str, tokens: Tokens) -> tuple[str, Tokens]:
    if len(name) > MAX_NAME or not name.isprintable():
        return "there is a field that the model's input does not have", tokens
    return f"{name}: the model's input has no such field", (*tokens, name)


def _tokens(path: str, names: Collection[str]) -> Tokens:
    """`.instances[3].x` -> ("instances", "3", "x"); `[...]` (any element) ends the path."""
    tokens: list[str] = []
    while path:
        if path[0] == "[":
            index, _, path = path[1:].partition("]")
            if not index.isdigit():
                break
            tokens.append(index)
            continue
        path = path.removeprefix(".")
        name = _longest(path, names) or re.split(r"[.\[]", path, maxsplit=1)[0]
        if not name:
            break
        tokens.append(name)
        path = path[len(name) :]
    return tuple(tokens)


def _longest(path: str, names: Collection[str]) -> str:
    fitting = [
        name
        for name in names
        if path.startswith(name) and (len(path) == len(name) or path[len(name)] in ".[")
    ]
    return max(fitting, key=len, default="")


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
