"""What JSON Schema cannot say of a sound request, for schemathesis, which loads this module.

Columns of one length, a shape that counts its data, the rows of a CSV file: the descriptions in
/openapi.json say so in words. Requests that are to be refused are left as they are.
"""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import strategies as st

CSV = "text/csv"


@schemathesis.hook
def before_load_schema(_context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """CSV is the document's own example, with its row several times: a text says nothing of it."""
    content = raw_schema["paths"]["/invocations"]["post"]["requestBody"]["content"]
    if CSV not in content:
        return
    # Beside such a strategy schemathesis takes no examples but bytes.
    head, row = content[CSV].pop("example").splitlines()
    bodies = st.integers(1, 3).map(lambda rows: "\n".join([head, *[row] * rows]).encode())
    schemathesis.openapi.media_type(CSV, bodies)


@schemathesis.hook
def map_case(_context: schemathesis.HookContext, case: Any) -> Any:
    """Give the columns and tensors of a sound request one length."""
    if not (case.meta and case.meta.generation.mode.is_positive and isinstance(case.body, dict)):
        return case
    given = case.body.get("inputs")
    if isinstance(given, dict):
        rows = min(map(len, given.values()))
        case.body["inputs"] = {name: values[:rows] for name, values in given.items()}
    elif case.path.startswith("/v2/") and isinstance(given, list):
        rows = min(len(tensor["data"]) for tensor in given)
        for tensor in given:
            tensor["data"] = tensor["data"][:rows]
            tensor["shape"][0] = rows
    return case
