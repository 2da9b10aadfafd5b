"""Measures the batch beside the course's way and beside reading and writing alone.

    python -m loadtest.bench.batch [--rows N ...] [--ways ...] [--model forest] [--flat N]

Each way is a process of its own; wall time and peak memory are that process's, and what counts is
their ratio to the course's way in the same run. `slipway first` is a run on a release that this
machine has not seen, `slipway` one on a release whose compiled form is kept, as after its first.
`--model forest` is with 50 trees; there `sparse predict` is the model itself, asked by columns, all
else being Slipway's. Exit code 1 if a goal is missed; what was not measured, as with fewer ways or
rows, is not judged.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from loadtest.bench.goals import Figure, told
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline, make_pipeline
from tests.artifacts import save_ride_model
from tests.service_process import SLIPWAY

from slipway.batch.plan import months
from slipway.examples.synthetic import Recipe, make_month, write_month
from slipway.models.trusted_types import TRUSTED_TYPES
from slipway.usecases.ride_columns import find_columns, read_rides

# A month is made of blocks of so many rides, so that a large one needs no more memory than this.
BLOCK = 500_000
ROWS = (60_000, 3_500_000)
# Beside the largest of ROWS: memory may not grow with them.
FLAT = 35_000_000
BACKFILL = 300_000
TRAINED_ON = 60_000
# What is over in seconds is measured so often, in turns, and the middle one counts.
TURNS, QUICK = 3, 500_000
FIRST, KNOWN, SPARSE = "slipway first", "slipway", "sparse predict"
WAYS = {
    "linear": ("course", FIRST, KNOWN, "read and write"),
    "forest": (SPARSE, FIRST, KNOWN),
}
MONTHS = ("12 months, one at a time", "12 months, two at a time")
SCRATCH = "SLIPWAY_SCRATCH_DIR"
HERE = Path(__file__).parent

# Ratios to the course's way, by rows: wall time, and where there is a goal peak memory.
MAX_SECONDS = {60_000: 0.15, 3_500_000: 0.11}
MAX_MEMORY = {3_500_000: 0.16}
MAX_OF_SPARSE = 0.5
MAX_GROWTH = 1.2
MAX_SIDE_BY_SIDE = 0.65


@dataclass(frozen=True)
class Measured:
    """One process: seconds from start to end, of computing, and its peak memory in MB."""

    way: str
    rows: int
    seconds: float
    cpu: float
    megabytes: float


def middle(found: Sequence[Measured]) -> Measured:
    """Of runs of one way the medians of what was measured."""
    seconds, cpu, megabytes = (
        statistics.median(getattr(each, name) for each in found)
        for name in ("seconds", "cpu", "megabytes")
    )
    return Measured(found[0].way, found[0].rows, seconds, cpu, megabytes)


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


def train(kind: str) -> Pipeline:
    """The course's pipeline on about ten thousand pairs of zones."""
    table = make_month(Recipe("yellow", 2021, 2, rows=TRAINED_ON)).combine_chunks()
    (batch,) = table.to_batches()
    rides = read_rides(batch, find_columns(table.column_names, "duration"))
    forest = RandomForestRegressor(50, min_samples_leaf=2, max_features=0.5, random_state=0)
    estimator = forest if kind == "forest" else LinearRegression()
    return make_pipeline(DictVectorizer(), estimator).fit(rides.features(), rides.actual)


def command_of(way: str, model: Path, month: Path, output: Path) -> list[str]:
    """The process that is measured."""
    places = [str(model), str(month), str(output)]
    if way.startswith("slipway"):
        score = [*SLIPWAY, "score", "yellow", "2021", "3", places[0], "--force"]
        return [*score, "--input", places[1], "--output", places[2]]
    script = {"course": "course_batch", "sparse predict": "sparse_predict"}.get(
        way, "read_and_write"
    )
    return [sys.executable, str(HERE / f"{script}.py"), *places]


def months_side_by_side(folder: Path, model: Path, rows: int) -> list[Measured]:
    """A year on this machine, a month at a time and two at a time."""
    text = "2021-01..2021-12"
    for shard in months(text, "yellow"):
        write_month(folder / shard.input_name, Recipe("yellow", shard.year, shard.month, rows=rows))
    found = []
    for parallel, way in enumerate(MONTHS, start=1):
        output = folder / f"out-{parallel}"
        command = [*SLIPWAY, "backfill", text, str(model), "--local", "--taxi-type", "yellow"]
        command += ["--input", str(folder), "--output", str(output), "--parallel", str(parallel)]
        found.append(measure(way, 12 * rows, command))
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


def figures(found: Sequence[Measured]) -> Iterator[Figure]:
    """What of it has a goal, beside it."""
    by_way = {(each.way, each.rows): each for each in found}
    for (way, rows), ours in by_way.items():
        sparse, course = by_way.get((SPARSE, rows)), by_way.get(("course", rows))
        if way == KNOWN and sparse:
            basis = f"the model itself {sparse.seconds:.2f} s, ours {ours.seconds:.2f} s"
            ratio = ours.seconds / sparse.seconds
            yield Figure(f"forest, {rows:,} rows", ratio, MAX_OF_SPARSE, "times", basis)
        if way != KNOWN or not course:
            continue
        if goal := MAX_SECONDS.get(rows):
            basis = f"the course's way {course.seconds:.2f} s, ours {ours.seconds:.2f} s"
            yield Figure(
                f"batch, {rows:,} rows", ours.seconds / course.seconds, goal, "times", basis
            )
        if goal := MAX_MEMORY.get(rows):
            basis = f"the course's way {course.megabytes:.0f} MB, ours {ours.megabytes:.0f} MB"
            ratio = ours.megabytes / course.megabytes
            yield Figure(f"its memory, {rows:,} rows", ratio, goal, "times", basis)
    sizes = sorted(rows for way, rows in by_way if way == "slipway")
    if FLAT in sizes and len(sizes) > 1:
        less, more = (by_way["slipway", rows] for rows in sizes[-2:])
        basis = f"{less.rows:,} rows {less.megabytes:.0f} MB, {more.rows:,} {more.megabytes:.0f} MB"
        yield Figure("memory by rows", more.megabytes / less.megabytes, MAX_GROWTH, "times", basis)
    months_found = [each for each in found if each.way in MONTHS]
    if len(months_found) == len(MONTHS):
        alone, beside = months_found
        basis = f"one at a time {alone.seconds:.1f} s, two {beside.seconds:.1f} s"
        ratio = beside.seconds / alone.seconds
        yield Figure("12 months", ratio, MAX_SIDE_BY_SIDE, "times", basis)


def by_turns(rows: int, ways: Sequence[str], model: Path, scratch: Path) -> list[Measured]:
    """The ways on a month of so many rows."""
    month = scratch / f"{rows}.parquet"
    write_rows(month, rows)
    runs: dict[str, list[Measured]] = {way: [] for way in ways}
    for _ in range(TURNS if rows <= QUICK else 1):
        for way in ways:
            output = scratch / f"{way.replace(' ', '-')}-{rows}.parquet"
            command = command_of(way, model, month, output)
            if way == FIRST:
                shutil.rmtree(os.environ[SCRATCH], ignore_errors=True)
            if way == KNOWN and not Path(os.environ[SCRATCH]).is_dir():
                measure(way, rows, command)
            runs[way].append(measure(way, rows, command))
            output.unlink()
    month.unlink()
    return [middle(each) for each in runs.values()]


def main() -> int:
    """Measure, print table and goals, write the figures as JSON if a file is named."""
    options = argparse.ArgumentParser(description="Measure the batch beside its peers.")
    options.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    every = sorted({way for ways in WAYS.values() for way in ways})
    options.add_argument("--ways", nargs="+", choices=every, help="[those of the model]")
    options.add_argument("--model", choices=tuple(WAYS), default="linear")
    options.add_argument("--flat", type=int, default=FLAT, metavar="ROWS",
                         help="ours alone on so many rows; 0: not")  # fmt: skip
    options.add_argument("--backfill", type=int, default=BACKFILL, metavar="ROWS",
                         help="a year of such months, one and two at a time; 0: not")  # fmt: skip
    options.add_argument("--report", type=Path)
    given = options.parse_args()
    ways = given.ways or WAYS[given.model]
    found: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as scratch:
        os.environ[SCRATCH] = f"{scratch}/compiled"
        pipeline = train(given.model)
        model = save_ride_model(
            Path(scratch, "model"), pipeline=pipeline, trusted=sorted(TRUSTED_TYPES)
        )
        for rows in given.rows:
            found += by_turns(rows, ways, model, Path(scratch))
        if given.flat:
            found += by_turns(given.flat, [KNOWN], model, Path(scratch))
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
    return 0 if told(figures(found)) else 1


if __name__ == "__main__":
    sys.exit(main())
