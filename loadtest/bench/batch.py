"""Measures the batch beside the course's way and beside reading and writing alone.

    python -m loadtest.bench.batch [--rows N ...] [--ways ...] [--backfill]

Each way is a process of its own; wall time and peak memory are that process's, and what counts is
their ratio to the course's way in the same run. The goals stand in the issue; nothing is judged.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline, make_pipeline
from tests.artifacts import save_ride_model
from tests.service_process import SLIPWAY

from slipway.batch.plan import months
from slipway.examples.synthetic import Recipe, make_month, write_month
from slipway.usecases.ride_columns import find_columns, read_rides

# A month is made of blocks of so many rides, so that a large one needs no more memory than this.
BLOCK = 500_000
ROWS = (60_000, 3_500_000)
TRAINED_ON = 60_000
WAYS = ("course", "slipway", "read and write")
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Measured:
    """One process: seconds from start to end, of computing, and its peak memory in MB."""

    way: str
    rows: int
    seconds: float
    cpu: float
    megabytes: float


# A process's peak begins with that of who starts it, so a small one starts it.
LAUNCH = """
import json, os, sys, time
began = time.monotonic()
quiet = [(os.POSIX_SPAWN_DUP2, 2, 1)]
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, used = os.wait4(pid, 0)
seconds = time.monotonic() - began
print(json.dumps([status, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""


def measure(way: str, rows: int, command: Sequence[str]) -> Measured:
    """Run a command to its end; raises SystemExit if that is a failure."""
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-c", LAUNCH, *command], capture_output=True, check=True
    )
    status, seconds, cpu, megabytes = json.loads(done.stdout)
    if status:
        raise SystemExit(f"{way} failed: {done.stderr.decode()[-2000:]}")
    return Measured(way, rows, seconds, cpu, megabytes)


def write_rows(path: Path, rows: int) -> None:
    """A month of yellow rides; beyond BLOCK rides they repeat."""
    block = make_month(Recipe("yellow", 2021, 3, rows=min(rows, BLOCK)))
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, block.schema) as writer:
        for start in range(0, rows, BLOCK):
            writer.write_table(block.slice(0, min(BLOCK, rows - start)), row_group_size=BLOCK)


def train() -> Pipeline:
    """The course's pipeline on about ten thousand pairs of zones."""
    table = make_month(Recipe("yellow", 2021, 2, rows=TRAINED_ON)).combine_chunks()
    (batch,) = table.to_batches()
    rides = read_rides(batch, find_columns(table.column_names, "duration"))
    return make_pipeline(DictVectorizer(), LinearRegression()).fit(rides.features(), rides.actual)


def command_of(way: str, model: Path, month: Path, output: Path) -> list[str]:
    """The process that is measured."""
    places = [str(model), str(month), str(output)]
    if way == "slipway":
        score = [*SLIPWAY, "score", "yellow", "2021", "3", places[0], "--force"]
        return [*score, "--input", places[1], "--output", places[2]]
    script = "course_batch.py" if way == "course" else "read_and_write.py"
    return [sys.executable, str(HERE / script), *places]


def months_side_by_side(folder: Path, model: Path, rows: int) -> list[Measured]:
    """A year on this machine, a month at a time and two at a time."""
    text = "2021-01..2021-12"
    for shard in months(text, "yellow"):
        write_month(folder / shard.input_name, Recipe("yellow", shard.year, shard.month, rows=rows))
    found = []
    for parallel in (1, 2):
        output = folder / f"out-{parallel}"
        command = [*SLIPWAY, "backfill", text, str(model), "--local", "--taxi-type", "yellow"]
        command += ["--input", str(folder), "--output", str(output), "--parallel", str(parallel)]
        found.append(measure(f"12 months, --parallel {parallel}", 12 * rows, command))
    return found


def table(found: Sequence[Measured]) -> str:
    """The figures as text; ratios are to the first way of the same rows."""
    lines = [
        f"{'way':<26}{'rows':>12}{'s':>9}{'ratio':>8}{'CPU s':>8}{'ratio':>8}{'MB':>8}{'ratio':>8}"
    ]
    for each in found:
        first = next(other for other in found if other.rows == each.rows)
        lines.append(
            f"{each.way:<26}{each.rows:>12,}{each.seconds:>9.2f}"
            f"{each.seconds / first.seconds:>8.3f}"
            f"{each.cpu:>8.1f}{each.cpu / first.cpu:>8.3f}{each.megabytes:>8.0f}"
            f"{each.megabytes / first.megabytes:>8.3f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, and the figures as JSON if a file is named."""
    options = argparse.ArgumentParser(description="Measure the batch beside its peers.")
    options.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    options.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    options.add_argument("--backfill", type=int, default=0, metavar="ROWS",
                         help="also 12 months of so many rides, one and two at a time")  # fmt: skip
    options.add_argument("--report", type=Path)
    given = options.parse_args()
    found: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as scratch:
        model = save_ride_model(Path(scratch, "model"), pipeline=train())
        for rows in given.rows:
            month = Path(scratch, f"{rows}.parquet")
            write_rows(month, rows)
            for way in given.ways:
                output = Path(scratch, f"{way}-{rows}.parquet")
                found.append(measure(way, rows, command_of(way, model, month, output)))
                output.unlink()
            month.unlink()
        if given.backfill:
            found += months_side_by_side(Path(scratch, "year"), model, given.backfill)
    sys.stdout.write(table(found) + "\n")
    if given.report:
        document: dict[str, Any] = {
            "pyarrow": pa.__version__,
            "cores": os.cpu_count(),
            "measured": [asdict(each) for each in found],
        }
        given.report.parent.mkdir(parents=True, exist_ok=True)
        given.report.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
