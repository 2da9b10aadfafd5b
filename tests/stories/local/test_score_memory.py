"""E4: a month that is larger than the memory is scored by parts of it."""

from __future__ import annotations

import resource
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
from loadtest.bench.batch import BLOCK, write_rows
from tests.service_process import SLIPWAY

from slipway.examples.synthetic import Recipe, make_month

# What a process of Python with scikit-learn and pyarrow needs, and little more.
MEMORY = 512 << 20
ROWS = 8_000_000
FILE = "yellow_tripdata_2021-03.parquet"


def test_E4_a_month_larger_than_the_memory_is_scored(ride_model: Path, tmp_path: Path) -> None:
    month = tmp_path / FILE
    write_rows(month, ROWS)
    block = make_month(Recipe("yellow", 2021, 3, rows=BLOCK))
    assert block.nbytes / BLOCK * ROWS > 2 * MEMORY
    places = ["--input", str(month), "--output", str(tmp_path / "out")]
    scored = subprocess.run(
        [*SLIPWAY, "score", "yellow", "2021", "3", str(ride_model), *places],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY)),
    )
    assert scored.returncode == 0, scored.stderr
    [found] = (tmp_path / "out").rglob("*.parquet")
    assert pq.read_metadata(found).num_rows > 0.9 * ROWS
