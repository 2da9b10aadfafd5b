"""What it takes to decode and check a wide row: 600 columns, as MLflow's signature has them.

MLflow's own enforcement of the same signature, on the frame that its server would make of the same
body, is measured beside it in the same process, in turns.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator

import msgspec
import numpy as np
import pandas as pd
from loadtest.bench.goals import Figure
from mlflow.models.utils import _enforce_schema
from mlflow.types.schema import ColSpec, Schema

from slipway.usecases.protocol import InputField
from slipway.usecases.tabular import Tabular
from slipway.web.decode import predict_decoder

COLUMNS = 600
ROUNDS = 300
# Milliseconds at the median.
MAX_VALIDATION = 1.0


def figures() -> Iterator[Figure]:
    """The median over ROUNDS of one row's validation, from bytes to a checked row."""
    names = [f"column_{number}" for number in range(COLUMNS)]
    values = np.random.default_rng(1).normal(size=COLUMNS).tolist()
    body = msgspec.json.encode(dict(zip(names, values, strict=True)))
    split = msgspec.json.encode({"columns": names, "data": [values]}).decode()
    use_case = Tabular([InputField(name, "double") for name in names])
    decode = predict_decoder(use_case.row_type(), 1)
    schema = Schema([ColSpec("double", name) for name in names])

    def mlflow() -> None:
        frame = pd.read_json(io.StringIO(split), orient="split", dtype=False)
        _enforce_schema(frame, schema)

    ours, theirs = _in_turns(lambda: decode(body), mlflow)
    yield Figure(
        "600-column row",
        ours,
        MAX_VALIDATION,
        "ms",
        f"decoded and checked; by MLflow's own {theirs:.1f} ms",
    )


def _in_turns(first: Callable[[], object], second: Callable[[], object]) -> tuple[float, float]:
    """Median milliseconds of both."""
    taken = np.empty((ROUNDS, 2))
    for number in range(ROUNDS):
        for column, work in enumerate((first, second)):
            began = time.perf_counter()
            work()
            taken[number, column] = (time.perf_counter() - began) * 1000
    ours, theirs = np.median(taken, axis=0)
    return float(ours), float(theirs)
