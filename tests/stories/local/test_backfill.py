"""`slipway backfill --local`: real processes, accidents, and the same bytes whatever happened."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.service_process import SLIPWAY
from tests.waiting import until

from slipway.batch.plan import months
from slipway.examples.synthetic import Recipe, write_month

RANGE = "2021-11..2022-02"
COUNT = 4


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("months")
    for shard in months(RANGE, "green"):
        recipe = Recipe("green", shard.year, shard.month, rows=400)
        write_month(folder / recipe.file_name, recipe)
    return folder


def command(model: Path, source: Path, output: Path, *more: str) -> list[str]:
    return [
        *(*SLIPWAY, "backfill", RANGE, str(model), "--local", "--taxi-type", "green"),
        *("--input", str(source), "--output", str(output), *more),
    ]


def backfill(*arguments: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=200, check=False
    )


def outputs(root: Path) -> dict[str, bytes]:
    """Path -> bytes of what is visible below the root."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.fixture(scope="module")
def whole(ride_model: Path, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a backfill that nothing happened to."""
    output = tmp_path_factory.mktemp("whole")
    done = backfill(ride_model, source, output, "--parallel", "2")
    assert done.returncode == 0, done.stderr
    assert f"{COUNT} of {COUNT} months are there" in done.stdout
    return output


@pytest.mark.timeout(300)
def test_R36_each_month_is_a_partition_by_the_one_release(whole: Path) -> None:
    partitions = {path.rsplit("/", 1)[0] for path in outputs(whole)}
    assert partitions == {
        f"taxi_type=green/year={shard.year}/month={shard.month:02d}"
        for shard in months(RANGE, "green")
    }
    assert len({path.rsplit("/", 1)[1] for path in outputs(whole)}) == 2


@pytest.mark.timeout(400)
def test_R36_E1_ended_in_the_middle_it_is_resumed(
    ride_model: Path, source: Path, whole: Path, tmp_path: Path
) -> None:
    """kill -9 of all its processes after the first month; what is there is not made again."""
    with subprocess.Popen(
        command(ride_model, source, tmp_path, "--parallel", "1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        until(lambda: any(tmp_path.rglob("*.summary.json")), 100, "the first month")
        os.killpg(process.pid, signal.SIGKILL)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    assert 0 < len(before) < COUNT
    assert outputs(tmp_path).items() <= outputs(whole).items()
    assert backfill(ride_model, source, tmp_path).returncode == 0
    assert outputs(tmp_path) == outputs(whole)
    complete = [path for path in before if path.with_suffix(".summary.json").exists()]
    assert complete
    assert {path: path.stat().st_mtime_ns for path in complete} == {
        path: before[path] for path in complete
    }


@pytest.mark.timeout(300)
def test_R36_what_is_there_is_skipped_and_made_again_by_force(
    source: Path, ride_model: Path, whole: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole, tmp_path / "out")
    before = stamps(tmp_path / "out")
    assert backfill(ride_model, source, tmp_path / "out").returncode == 0
    assert stamps(tmp_path / "out") == before
    assert backfill(ride_model, source, tmp_path / "out", "--force").returncode == 0
    assert not set(stamps(tmp_path / "out").items()) & set(before.items())
    assert outputs(tmp_path / "out") == outputs(whole)


def stamps(root: Path) -> dict[Path, int]:
    """When each file was written."""
    return {path: path.stat().st_mtime_ns for path in root.rglob("*.parquet")}


@pytest.mark.timeout(300)
def test_a_backfill_that_is_told_to_end_takes_its_processes_with_it(
    ride_model: Path, source: Path, tmp_path: Path
) -> None:
    with subprocess.Popen(
        command(ride_model, source, tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        # Threads start the children, so they stand below each thread.
        tasks = children.parent.parent

        def running() -> list[str]:
            return [pid for each in tasks.glob("*/children") for pid in each.read_text().split()]

        until(running, 100, "a process for a month")
        started = running()
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
        assert not [pid for pid in started if Path("/proc", pid).exists()]


@pytest.mark.timeout(300)
def test_E3_a_month_that_fails_stops_no_other_and_is_named(
    ride_model: Path, source: Path, whole: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "in"
    broken.mkdir()
    for path in source.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    (broken / "green_tripdata_2021-12.parquet").unlink()
    done = backfill(ride_model, broken, tmp_path / "out", "-o", "json")
    assert done.returncode == 3
    told = json.loads(done.stdout)["months"]
    assert [each["exit_code"] for each in told] == [0, 3, 0, 0]
    assert "green_tripdata_2021-12.parquet" in told[1]["said"]
    assert "green 2021-12: failed (3)" in done.stderr
    expected = {path: data for path, data in outputs(whole).items() if "month=12" not in path}
    assert outputs(tmp_path / "out") == expected
