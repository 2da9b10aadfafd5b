"""Reads a class of settings from the environment: all its faults at once, in sentences.

pydantic-settings does as much and more. It takes a quarter of a second of a process's time and
20 MB of its memory, which every pod would pay twice: before it becomes gunicorn, and in it.

    class Example(Settings):
        port: int = setting(80, ge=0, le=65535)     # SLIPWAY_PORT
        place: str = setting("", "PLACE", "WHERE")  # PLACE, else WHERE, else SLIPWAY_PLACE
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from types import NoneType
from typing import Any, Literal, NamedTuple, Self, get_args, get_origin, get_type_hints

from slipway.errors import InvalidConfig

PREFIX = "SLIPWAY_"
_WHOLE = re.compile(r"[+-]?[0-9]+(_[0-9]+)*(\.0+)?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TRUTH = {
    **dict.fromkeys(("1", "on", "t", "true", "y", "yes"), True),
    **dict.fromkeys(("0", "off", "f", "false", "n", "no"), False),
}


class Setting(NamedTuple):
    """What a field is when nothing is given, which variables set it, and what it may be."""

    default: Any
    variables: tuple[str, ...] = ()
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    pattern: str = ""
    # Said in place of the pattern.
    sentence: str = ""


def setting(default: Any, *variables: str, **bounds: Any) -> Any:
    """A field. Without `variables` its own one sets it; of several the first that has a value.

    `bounds` are Setting's: of a number `ge`, `gt` and `le`, of a text a `pattern` for all of it.
    """
    return Setting(default, variables, **bounds)


class Settings:
    """Values that were read once and stay as they are."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)

    def __setattr__(self, name: str, _value: Any) -> None:
        raise AttributeError(f"settings are frozen: {name} stays as it was read")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"settings are frozen: {name} stays as it was read")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash(tuple(vars(self).values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"

    def fault(self) -> str:
        """What is wrong with values that are each right; empty when nothing is."""
        return ""

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """Settings from the environment; what is in `given`, by the field's name, wins over it.

        A variable that is empty counts as not set; case does not matter in its name. Raises
        InvalidConfig that names every bad variable at once.
        """
        environment = {name.lower(): text for name, text in os.environ.items() if text}
        values, faults = {}, []
        for name, (kind, about) in _described(cls).items():
            raw = given[name] if name in given else _text(environment, name, about)
            if raw is None:
                values[name] = about.default
                continue
            try:
                values[name] = _checked(_value(raw, kind), about)
            except ValueError as error:
                faults.append(f"{variable_of(cls, name)}: {error}")
        if faults:
            raise InvalidConfig("; ".join(faults))
        settings = cls(values)
        if fault := settings.fault():
            raise InvalidConfig(fault)
        return settings


def fields_of(kind: type[Settings]) -> dict[str, Setting]:
    """Name -> field, those of its bases first."""
    return {name: about for name, (_, about) in _described(kind).items()}


def variable_of(kind: type[Settings], field: str) -> str:
    """The environment variable that sets a field; the first of several."""
    variables = _setting(kind, field).variables
    return variables[0] if variables else f"{PREFIX}{field}".upper()


def _described(kind: type[Settings]) -> dict[str, tuple[Any, Setting]]:
    """Name -> its type and field."""
    return {name: (hint, _setting(kind, name)) for name, hint in get_type_hints(kind).items()}


def _setting(kind: type[Settings], field: str) -> Setting:
    """A field; a plain default is one without bounds."""
    found = getattr(kind, field)
    return found if isinstance(found, Setting) else Setting(found)


def _text(environment: Mapping[str, str], field: str, about: Setting) -> str | None:
    for variable in (*about.variables, PREFIX + field):
        if text := environment.get(variable.lower()):
            return text
    return None


def _value(raw: Any, kind: Any) -> Any:
    """Raises ValueError with a sentence. What is no text was given by code, in its own type."""
    if get_origin(kind) is Literal:
        return _choice(raw, get_args(kind))
    if get_origin(kind) is tuple:
        return _texts(raw)
    wanted = next((each for each in get_args(kind) if each is not NoneType), kind)
    if isinstance(raw, str):
        return _READ[wanted](raw)
    if wanted is float and type(raw) is int:
        return float(raw)
    if type(raw) is not wanted and not (wanted is Path and isinstance(raw, Path)):
        raise ValueError(f"Input should be of type {wanted.__name__}")
    return raw


def _checked(value: Any, about: Setting) -> Any:
    # Written so that what is no number at all (nan) is outside of every bound.
    if about.le is not None and not value <= about.le:
        raise ValueError(f"Input should be less than or equal to {about.le}")
    if about.ge is not None and not value >= about.ge:
        raise ValueError(f"Input should be greater than or equal to {about.ge}")
    if about.gt is not None and not value > about.gt:
        raise ValueError(f"Input should be greater than {about.gt}")
    if about.pattern and not re.fullmatch(about.pattern, value):
        raise ValueError(about.sentence or f"String should match pattern '{about.pattern}'")
    return value


def _whole(text: str) -> int:
    stripped = text.strip()
    if not _WHOLE.fullmatch(stripped):
        raise ValueError("Input should be a valid integer, unable to parse string as an integer")
    return int(stripped.partition(".")[0])


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(
            "Input should be a valid number, unable to parse string as a number"
        ) from None


def _truth(text: str) -> bool:
    if text.lower() not in _TRUTH:
        raise ValueError("Input should be a valid boolean, unable to interpret input")
    return _TRUTH[text.lower()]


def _day(text: str) -> date:
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"Input should be a valid date, {error}") from None
    raise ValueError("Input should be a valid date as 2021-04-02")


def _choice(raw: Any, choices: tuple[str, ...]) -> str:
    for choice in choices:
        if raw == choice:
            return choice
    *others, last = map(repr, choices)
    raise ValueError(f"Input should be {', '.join(others)} or {last}")


def _texts(raw: Any) -> tuple[str, ...]:
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except ValueError:
            raise ValueError('Input should be a list of texts, as ["a", "b"]') from None
    if not (isinstance(raw, list | tuple) and all(isinstance(each, str) for each in raw)):
        raise ValueError('Input should be a list of texts, as ["a", "b"]')
    return tuple(raw)


_READ: dict[Any, Callable[[str], Any]] = {
    str: str,
    int: _whole,
    float: _number,
    bool: _truth,
    date: _day,
    Path: Path,
}
