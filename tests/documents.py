"""What the docs say that the code knows: the JSON schemas and the README's table of settings.

`python -m tests.documents` writes both anew; the tests compare.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import re
from pathlib import Path
from typing import Any

import msgspec

from slipway import settings
from slipway.batch.forms import HOMEWORK, OWN
from slipway.batch.shards import TAXI_TYPES
from slipway.models.release import Release
from slipway.rollout import state_document
from slipway.rollout.state import State
from slipway.rollout.status import ControllerStatus
from slipway.rollout.wishes import _Control
from slipway.router.table import Table
from slipway.settings import (
    ConsumeSettings,
    ControllerSettings,
    LambdaSettings,
    ModelSettings,
    RouterSettings,
    ScoreSettings,
    ServeSettings,
)
from slipway.usecases.ride_columns import REASONS
from slipway.usecases.tabular import Tabular
from slipway.variables import Settings, fields_of, variable_of
from slipway.web.sample import Page

ROOT = Path(__file__).parent.parent
SCHEMAS = ROOT / "docs" / "schemas"
KINDS: dict[str, type[Settings]] = {
    "serve": ServeSettings,
    "score": ScoreSettings,
    "controller": ControllerSettings,
    "router": RouterSettings,
    "consume": ConsumeSettings,
    "lambda": LambdaSettings,
}
TABLE = re.compile(r"(?<=<!-- settings -->\n).*?(?=<!-- /settings -->)", re.DOTALL)


def schemas() -> dict[str, Any]:
    """File name -> JSON Schema."""
    number, count = {"type": ["number", "null"]}, {"type": "integer", "minimum": 0}
    text = {"type": "string"}
    made_from = {
        "model_version": text,
        "model_digest": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
        "ids": {"enum": ["row", "uuid5"]},
        "input": {
            "type": "object",
            "properties": {"name": text, "files": count, "bytes": count, "sha256": text},
            "required": ["name", "files", "bytes", "sha256"],
        },
    }
    figures = {"rows": count, "scored": count, "mean_predicted": number, "std_predicted": number}
    rides = {
        **made_from,
        "answer": {"enum": ["duration", "tip"]},
        "form": {"enum": [OWN.name, HOMEWORK.name]},
        **figures,
        "dropped": {
            "type": "object",
            "properties": dict.fromkeys(REASONS, count),
            "additionalProperties": False,
        },
        "mean_actual": number,
        "mean_absolute_error": number,
        "share_beyond_10": number,
    }
    table = {
        **made_from,
        "answer": {"const": Tabular.answer},
        "columns": {"type": "object", "additionalProperties": text},
        "keep": {"type": "array", "items": text},
        **figures,
        "dropped": {
            "type": "object",
            "patternProperties": {"_(missing|invalid)$": count},
            "additionalProperties": False,
        },
    }
    return {
        "release.json": msgspec.json.schema(Release),
        "request.json": msgspec.json.schema(_Control),
        "routing.json": msgspec.json.schema(Table),
        "sample.json": msgspec.json.schema(Page),
        "state.json": _state(),
        "status.json": msgspec.json.schema(ControllerStatus),
        "summary.json": _summary(rides, ("mean_absolute_error", "share_beyond_10")),
        "table_summary.json": _summary(table, ()),
    }


def _summary(own: dict[str, Any], judged: tuple[str, ...]) -> dict[str, Any]:
    """A batch's summary, of a month of taxis or of a table's period; a candidate's is all or none.

    `judged` are the figures that need what really was.
    """
    count, text = {"type": "integer", "minimum": 0}, {"type": "string"}
    same = ("version", "digest", "mean_predicted", "std_predicted", *judged)
    candidate = {f"candidate_{name}": own.get(name) or own[f"model_{name}"] for name in same} | {
        "candidate_mean_absolute_difference": own["mean_predicted"]
    }
    month = {"taxi_type": {"enum": list(TAXI_TYPES)}, "year": count, "month": count}
    period = {"table": text, "period": text}
    return {
        "type": "object",
        "properties": month | period | own | candidate,
        "required": list(own),
        "dependentRequired": {name: list(candidate) for name in candidate},
        "oneOf": [{"required": list(month)}, {"required": list(period)}],
        "additionalProperties": False,
    }


def _state() -> dict[str, Any]:
    """The stored state: its members lie beside those that this version does not know."""
    schema = msgspec.json.schema(State)
    members = schema["$defs"]["State"]
    del members["properties"]["extra"]
    members["properties"] = {"schema": {"const": state_document.SCHEMA}} | members["properties"]
    members["required"] = ["schema"]
    return schema


def settings_table() -> str:
    """The README's table: every variable once, with default and its docstring."""
    rows = ["| variable | default | |", "|---|---|---|"]
    seen = set()
    for verb, kind in KINDS.items():
        for field, told in _docstrings(kind).items():
            variable = variable_of(kind, field)
            if variable in seen:
                continue
            seen.add(variable)
            only = "" if field in fields_of(ModelSettings) else f"({verb}) "
            default = fields_of(kind)[field].default
            shown = "" if default in ("", None, ()) else f"`{default}`".lower()
            rows.append(f"| `{variable}` | {shown} | {only}{told} |")
    return "\n".join(rows) + "\n"


def _docstrings(kind: type[Any]) -> dict[str, str]:
    """Field -> the text below it, in the order of the class and its bases."""
    tree = ast.parse(inspect.getsource(settings))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    found = {}
    for base in reversed(kind.__mro__):
        body = classes[base.__name__].body if base.__name__ in classes else []
        for node, below in itertools.pairwise(body):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                assert isinstance(below, ast.Expr), f"{node.target.id} has no docstring"
                assert isinstance(below.value, ast.Constant)
                found[node.target.id] = " ".join(str(below.value.value).split())
    return found


def main() -> None:
    """Write the schemas and the table."""
    for name, schema in schemas().items():
        (SCHEMAS / name).write_text(json.dumps(schema, indent=2) + "\n")
    readme = ROOT / "README.md"
    readme.write_text(TABLE.sub(lambda _: settings_table(), readme.read_text()))


if __name__ == "__main__":
    main()
