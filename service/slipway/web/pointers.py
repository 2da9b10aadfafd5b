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
_UNKNOWN = "Object contains unknown field "
# A name with a backtick could pretend to be a path, so none is read.
_UNKNOWN_AT = re.compile(_UNKNOWN + r"`([^`]*)`(?: - at `\$([\w.]{0,64}(?:\[\d{1,9}\]){0,8})`)?")

Tokens = tuple[str, ...]


def pointer(tokens: Iterable[str]) -> str:
    """The JSON pointer of a path's tokens."""
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)


def explain(error: msgspec.ValidationError, names: Collection[str]) -> tuple[str, Tokens]:
    """A sentence and the tokens of the place that it speaks of.

    `names` are the names of a row's fields: only with them can a path be read whose names hold
    dots or brackets.
    """
    text = str(error)
    if text.startswith(_UNKNOWN):
        return _unknown(text, names)
    said, _, place = text.partition(_AT)
    path = place.removeprefix("key` in `").removesuffix("`").removeprefix("$")
    tokens = _tokens(path, names)
    if found := _MISSING.fullmatch(said):
        return f"{found[1]}: is missing", (*tokens, found[1])
    if name := max((n for n in names if said.startswith(f"{n}: ")), key=len, default=""):
        return said, (*tokens, name)
    sentence = said.replace("`", "")
    if said.startswith("Invalid enum value"):
        sentence = "is none of the values that are allowed"
    return f"{_subject(tokens, names)}: {_lower(sentence)}", tokens


def invalid(
    error: msgspec.ValidationError, names: Collection[str], before: Tokens = ()
) -> InvalidInput:
    """The same as an error of ours; `before` is where what was decoded stands in the body."""
    sentence, tokens = explain(error, names)
    return InvalidInput(sentence, pointer((*before, *tokens)))


def _unknown(text: str, names: Collection[str]) -> tuple[str, Tokens]:
    found = _UNKNOWN_AT.fullmatch(text)
    name, path = found.groups(default="") if found else ("", "")
    tokens = _tokens(path, names)
    if not name or len(name) > MAX_NAME or not name.isprintable():
        return "there is a field that the model's input does not have", tokens
    return f"{name}: the model's input has no such field", (*tokens, name)


def _subject(tokens: Tokens, names: Collection[str]) -> str:
    """What a place is called: a field by its name, anything within a list by its row."""
    if not tokens:
        return "the body"
    if tokens[-1] in names or not tokens[-1].isdigit():
        return tokens[-1]
    return f"row {next(token for token in tokens if token.isdigit())}"


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
