"""A month scored by the model itself, fed by columns as a sparse matrix: MODEL INPUT OUTPUT.

All else is Slipway's, so that what is measured beside `slipway score` is the compiled form alone.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import skops.io

from slipway.batch.job import Job, run
from slipway.batch.shards import Shard
from slipway.clients.tables import Store
from slipway.models.obtain import obtain
from slipway.models.trusted_types import TRUSTED_TYPES
from slipway.scoring.scorer import Scorer
from slipway.settings import ModelSettings, read_settings
from slipway.usecases.rides import Rides


def main(model: str, source: str, target: str) -> None:
    """Read, filter, predict, write."""
    loaded = obtain(read_settings(ModelSettings, location=model))
    if loaded is None:
        raise SystemExit("no model")
    pipeline = skops.io.load(Path(model, "model.skops"), trusted=sorted(TRUSTED_TYPES))
    native = replace(loaded, scorer=Scorer(Rides(), pipeline.predict))
    run(Job(Shard("yellow", 2021, 3), source, target, replace=True), native, Store())


if __name__ == "__main__":
    main(*sys.argv[1:])
