"""`slipway score` as its user runs it: a process, files, an S3 store, and accidents."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer
from tests.artifacts import RIDE, save_ride_model
from tests.waiting import until
from tests.web_files import web_server

from slipway.batch.job import Job, run
from slipway.batch.shards import Shard
from slipway.clients.objects import s3_client
from slipway.clients.tables import Store
from slipway.errors import InputDataInvalid, InputDataMissing, SlipwayError
from slipway.examples.synthetic import Recipe, write_month
from slipway.models.obtain import Loaded, obtain
from slipway.settings import ModelSettings, read_settings
from slipway.usecases.rides import Ride

MARCH = Shard("green", 2021, 3)
RECIPE = Recipe("green", 2021, 3, rows=3_000, seed=1, null_zones=0.01)
# Of how many batches the month is, with 50 rides in one.
BATCHES = RECIPE.rows // 50


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("months")
    write_month(folder / RECIPE.file_name, RECIPE)
    return folder


def load(folder: Path) -> Loaded:
    loaded = obtain(read_settings(ModelSettings, location=str(folder)))
    assert loaded is not None
    return loaded


def command(model: Path, months: Path, output: Path, *more: str) -> list[str]:
    return [
        *(sys.executable, "-m", "slipway", "score", "green", "2021", "3", str(model)),
        *("--input", str(months), "--output", str(output), *more),
    ]


def call(*arguments: Any, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(argument) for argument in arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env=os.environ | environment,
    )


def files_below(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_R32_R33_a_month_becomes_one_file_with_its_summary(
    ride_model: Path, months: Path, tmp_path: Path
) -> None:
    scored = call(*command(ride_model, months, tmp_path / "out"))
    assert scored.returncode == 0, scored.stderr
    version = load(ride_model).release.version
    key = f"taxi_type=green/year=2021/month=03/{version}"
    assert set(files_below(tmp_path / "out")) == {f"{key}.parquet", f"{key}.summary.json"}
    table = pq.read_table(tmp_path / "out" / f"{key}.parquet", partitioning=None)
    assert table.schema.names == [
        "ride_id",
        "pickup_datetime",
        "PULocationID",
        "DOLocationID",
        "actual_duration",
        "predicted_duration",
        "diff",
        "model_version",
    ]
    columns = table.to_pydict()
    assert set(columns["model_version"]) == {version}
    differences = np.subtract(columns["actual_duration"], columns["predicted_duration"])
    assert differences.tolist() == columns["diff"]
    assert len(set(columns["ride_id"])) == table.num_rows
    summary = json.loads((tmp_path / "out" / f"{key}.summary.json").read_text())
    assert summary["rows"] == RECIPE.rows
    assert summary["scored"] == table.num_rows == RECIPE.rows - sum(summary["dropped"].values())
    assert summary["dropped"]["zone_missing"] > 0
    assert summary["mean_predicted"] == pytest.approx(np.mean(columns["predicted_duration"]))
    assert f"predicted mean duration: {summary['mean_predicted']}" in scored.stdout


def test_R29_an_id_names_the_row_of_the_source(
    ride_model: Path, months: Path, tmp_path: Path
) -> None:
    outcome = run(Job(MARCH, str(months), str(tmp_path)), load(ride_model), Store())
    scored = pq.read_table(outcome.uri, partitioning=None).to_pylist()
    source = pq.read_table(months / RECIPE.file_name).to_pylist()
    for ride in random.Random(3).sample(scored, 50):
        row = source[int(ride["ride_id"].rsplit("-", 1)[1])]
        assert row["lpep_pickup_datetime"] == ride["pickup_datetime"]
        assert str(row["PULocationID"]) == ride["PULocationID"]


def test_row_13_E1_two_runs_are_byte_for_byte_the_same(
    ride_model: Path, months: Path, tmp_path: Path
) -> None:
    loaded = load(ride_model)
    for output in ("one", "two"):
        run(Job(MARCH, str(months), str(tmp_path / output)), loaded, Store())
    assert files_below(tmp_path / "one") == files_below(tmp_path / "two")


@pytest.fixture
def _many_batches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("slipway.batch.tables.BATCH_ROWS", 50)
    threads = pa.cpu_count()
    yield
    pa.set_cpu_count(threads)


@pytest.mark.usefixtures("_many_batches")
def test_E1_whoever_writes_the_bytes_are_the_same(
    ride_model: Path, months: Path, tmp_path: Path
) -> None:
    """Where pyarrow may use more threads than one, a batch is written while the next is scored."""
    loaded = load(ride_model)
    for threads in (1, 2):
        pa.set_cpu_count(threads)
        output = str(tmp_path / str(threads))
        run(Job(MARCH, str(months), output, keep_dropped=True), loaded, Store())
    assert files_below(tmp_path / "1") == files_below(tmp_path / "2")


@pytest.mark.usefixtures("_many_batches")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("fails", [1, 2, BATCHES], ids=["first", "second", "last"])
def test_a_batch_that_cannot_be_written_ends_the_run_and_leaves_nothing(
    ride_model: Path,
    months: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fails: int,
    threads: int,
) -> None:
    pa.set_cpu_count(threads)
    loaded, written, left = load(ride_model), pq.ParquetWriter.write_batch, fails

    def write(self: pq.ParquetWriter, batch: pa.RecordBatch) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise OSError(28, "No space left on device")
        written(self, batch)

    monkeypatch.setattr(pq.ParquetWriter, "write_batch", write)
    with pytest.raises(OSError, match="No space left"):
        run(Job(MARCH, str(months), str(tmp_path)), loaded, Store())
    assert files_below(tmp_path) == {}


def test_E2_what_is_there_already_is_left_alone_until_forced(
    ride_model: Path, months: Path, tmp_path: Path
) -> None:
    loaded = load(ride_model)
    job = Job(MARCH, str(months), str(tmp_path))
    first = run(job, loaded, Store())
    assert not first.already_there
    Path(first.uri).write_bytes(b"kept")
    again = run(job, loaded, Store())
    assert again.already_there
    assert again.summary == first.summary
    assert Path(first.uri).read_bytes() == b"kept"
    run(Job(MARCH, str(months), str(tmp_path), replace=True), loaded, Store())
    assert Path(first.uri).read_bytes() != b"kept"


def test_E2_what_is_there_already_needs_no_model_but_its_release(
    ride_model: Path, months: Path, tmp_path: Path
) -> None:
    """A backfill that is repeated loads nothing for the months that are there."""
    places = ["--input", months, "--output", tmp_path / "out", "-o", "json"]
    lock = tmp_path / "release.json"
    lock.write_bytes(load(ride_model).release.to_json())
    again = ["score", "green", "2021", "3", "--release-file", lock, *places]
    first = call(*(sys.executable, "-m", "slipway"), *again)
    assert first.returncode == 0, first.stderr
    moved = json.loads(lock.read_text()) | {"uri": str(tmp_path / "gone")}
    lock.write_text(json.dumps(moved))
    skipped = call(*(sys.executable, "-m", "slipway"), *again)
    assert (skipped.returncode, skipped.stdout) == (0, first.stdout), skipped.stderr
    assert call(*(sys.executable, "-m", "slipway"), *again, "--force").returncode != 0


def test_other_input_bytes_are_scored_anew(ride_model: Path, tmp_path: Path) -> None:
    loaded, job = load(ride_model), Job(MARCH, str(tmp_path / "in"), str(tmp_path / "out"))
    for seed in (1, 2):
        write_month(
            tmp_path / "in" / RECIPE.file_name, Recipe("green", 2021, 3, rows=200, seed=seed)
        )
        assert not run(job, loaded, Store()).already_there


@pytest.mark.timeout(400)
def test_E1_killed_at_any_moment_it_leaves_no_half_file_and_runs_again(
    ride_model: Path, months: Path, tmp_path: Path
) -> None:
    """kill -9 at 20 moments of the process's life, then once to the end."""
    whole = tmp_path / "whole"
    began = time.monotonic()
    assert call(*command(ride_model, months, whole)).returncode == 0
    lasts = time.monotonic() - began
    chance = random.Random(7)
    output = tmp_path / "out"
    for _ in range(20):
        with subprocess.Popen(
            command(ride_model, months, output),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                process.wait(chance.uniform(0.3, 1.0) * lasts)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
        seen = {name: data for name, data in files_below(output).items() if not _is_hidden(name)}
        assert seen.items() <= files_below(whole).items()
    assert call(*command(ride_model, months, output)).returncode == 0
    final = {name: data for name, data in files_below(output).items() if not _is_hidden(name)}
    assert final == files_below(whole)


def test_E1_told_to_end_it_ends_at_once_and_leaves_no_scratch(
    ride_model: Path, tmp_path: Path
) -> None:
    """As a pod that is deleted: exit code 143, by which a Job tries again."""
    recipe = Recipe("green", 2021, 3, rows=400_000)
    months = tmp_path / "in"
    write_month(months / recipe.file_name, recipe)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with subprocess.Popen(
        command(ride_model, months, tmp_path / "out"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(scratch)},
    ) as process:
        until(lambda: list(scratch.glob("*/output.parquet")), 60, "it to be at work")
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, said
    assert b"Traceback" not in said
    assert not list(scratch.iterdir())
    assert not (tmp_path / "out").exists()


def _is_hidden(name: str) -> bool:
    return name.rsplit("/", 1)[-1].startswith(".")


def test_E2_two_processes_at_once_end_with_one_whole_output(
    ride_model: Path, months: Path, tmp_path: Path
) -> None:
    processes = [
        subprocess.Popen(command(ride_model, months, tmp_path / "out"), stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [process.wait(100) for process in processes] == [0, 0]
    run(Job(MARCH, str(months), str(tmp_path / "alone")), load(ride_model), Store())
    assert files_below(tmp_path / "out") == files_below(tmp_path / "alone")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["blue", "2021", "3"], 2),
        (["green", "2021", "march"], 2),
        (["green", "2021"], 2),
        (["green", "2021", "13"], 2),
        ([], 2),
        (["green", "2021", "3"], 3),
    ],
)
def test_R28_bad_arguments_end_with_their_exit_code(
    ride_model: Path, tmp_path: Path, arguments: list[str], code: int
) -> None:
    """Exit code 2 for usage, 3 for a month that is not there; always a sentence on stderr."""
    scored = call(
        *(sys.executable, "-m", "slipway", "score", *arguments),
        MODEL_LOCATION=str(ride_model),
        SLIPWAY_INPUT=str(tmp_path),
    )
    assert scored.returncode == code
    assert scored.stderr.strip()
    assert "Traceback" not in scored.stderr


def test_R34_without_a_month_it_is_the_one_before_the_run_date(
    ride_model: Path, months: Path, tmp_path: Path
) -> None:
    arguments = ["score", "green", "--run-date", "2021-04-02", "-o", "json"]
    scored = call(
        *(sys.executable, "-m", "slipway", *arguments),
        MODEL_LOCATION=str(ride_model),
        SLIPWAY_INPUT=str(months),
        SLIPWAY_OUTPUT=str(tmp_path),
    )
    assert scored.returncode == 0, scored.stderr
    assert json.loads(scored.stdout)["month"] == 3


def test_R3_two_runs_of_the_schedule_make_two_partitions_that_share_no_ride(
    ride_model: Path, tmp_path: Path
) -> None:
    """Whatever is in the files: each run takes the rides of its own month's file, by their ids."""
    ids: list[set[str]] = []
    for run_date, month in (("2021-03-02", 2), ("2021-04-02", 3)):
        recipe = Recipe("green", 2021, month, rows=500)
        write_month(tmp_path / "months" / recipe.file_name, recipe)
        places = ["--input", tmp_path / "months", "--output", tmp_path / "out"]
        scored = call(
            *(sys.executable, "-m", "slipway", "score", "green", "--run-date", run_date),
            *places,
            MODEL_LOCATION=str(ride_model),
        )
        assert scored.returncode == 0, scored.stderr
        [found] = (tmp_path / "out").glob(f"taxi_type=green/year=2021/month={month:02}/*.parquet")
        ids.append(set(pq.read_table(found)["ride_id"].to_pylist()))
    assert len(ids[0]) > 400 < len(ids[1])
    assert not ids[0] & ids[1]


def test_R36_a_backfills_month_wins_over_the_one_that_its_cronjob_names(
    ride_model: Path, months: Path, tmp_path: Path
) -> None:
    """Else each index would score that one month, and say that all are there."""
    scored = call(
        *(sys.executable, "-m", "slipway", "score", "green", "--year=2020", "--month=1"),
        *("-o", "json", "--input", months, "--output", tmp_path),
        MODEL_LOCATION=str(ride_model),
        SLIPWAY_MONTHS="2021-02..2021-03",
        SLIPWAY_INDEX="1",
    )
    assert scored.returncode == 0, scored.stderr
    found = json.loads(scored.stdout)
    assert (found["year"], found["month"]) == (2021, 3)


def cast(table: pa.Table, kind: pa.DataType, *names: str) -> pa.Table:
    """The table with some of its columns of another type."""
    for name in names:
        column = table[name]
        if pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type).dictionary_encode()
        table = table.set_column(table.column_names.index(name), name, column.cast(kind))
    return table


ZONES = ("PULocationID", "DOLocationID")
TIMES = ("lpep_pickup_datetime", "lpep_dropoff_datetime")
# How the TLC's files of 2019 to 2025, and what people make of them, differ from the recipe's.
FORMS: dict[str, Callable[[pa.Table], pa.Table]] = {
    "ids are int32": lambda table: cast(table, pa.int32(), *ZONES),
    "ids are double": lambda table: cast(table, pa.float64(), *ZONES),
    "ids are dictionaries": lambda table: cast(
        table, pa.dictionary(pa.int32(), pa.int64()), *ZONES
    ),
    "ids are texts": lambda table: cast(table, pa.large_string(), *ZONES),
    "times in ns": lambda table: cast(table, pa.timestamp("ns"), *TIMES),
    "times in ms": lambda table: cast(table, pa.timestamp("ms"), *TIMES),
    "times as text": lambda table: cast(table, pa.string(), *TIMES),
    "Airport_fee without values": lambda table: table.append_column(
        "Airport_fee", pa.nulls(table.num_rows)
    ).append_column("airport_fee", pa.nulls(table.num_rows)),
    "another order": lambda table: table.select(table.column_names[::-1]),
    "other letters": lambda table: table.rename_columns(
        [name.replace("Location", "location") for name in table.column_names]
    ),
    "yellow's names": lambda table: table.rename_columns(
        [name.replace("lpep", "tpep") for name in table.column_names]
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_month_is_scored_the_same_in_whatever_form_it_comes(
    form: str, ride_model: Path, months: Path, tmp_path: Path
) -> None:
    loaded = load(ride_model)
    table = pq.read_table(months / RECIPE.file_name)
    other = tmp_path / RECIPE.file_name
    with pq.ParquetWriter(other, FORMS[form](table).schema) as writer:
        for part in (table.slice(0, 0), table.slice(0, 1_000), table.slice(1_000)):
            writer.write_table(FORMS[form](part))
    tables = [
        pq.read_table(run(Job(MARCH, str(place), str(tmp_path / f"{n}")), loaded, Store()).uri,
                      partitioning=None)
        for n, place in enumerate((months, other))
    ]  # fmt: skip
    assert tables[0].equals(tables[1])
    assert tables[0].num_rows > 2_000


def test_a_month_in_several_files_is_the_same_month(
    ride_model: Path, months: Path, tmp_path: Path
) -> None:
    """By a pattern, in the order of the names; ids go on from one file to the next."""
    loaded = load(ride_model)
    whole = pq.read_table(months / RECIPE.file_name)
    for number, part in enumerate((whole.slice(0, 700), whole.slice(700, 0), whole.slice(700))):
        (tmp_path / "in").mkdir(exist_ok=True)
        pq.write_table(part, tmp_path / "in" / f"part-{number}.parquet")
    single = run(Job(MARCH, str(months), str(tmp_path / "one")), loaded, Store())
    several = run(
        Job(MARCH, f"{tmp_path}/in/part-*.parquet", f"{tmp_path}/{{year}}/three.parquet"),
        loaded,
        Store(),
    )
    assert several.uri == f"{tmp_path}/2021/three.parquet"
    assert several.summary["input"]["files"] == 3
    tables = [pq.read_table(found.uri, partitioning=None) for found in (single, several)]
    assert tables[0].equals(tables[1])


def test_a_month_is_scored_from_a_web_server(
    ride_model: Path, months: Path, tmp_path: Path
) -> None:
    loaded, data = load(ride_model), (months / RECIPE.file_name).read_bytes()
    with web_server({f"/d/{RECIPE.file_name}": data}) as web:
        remote = run(Job(MARCH, f"{web.url}/d", str(tmp_path / "a")), loaded, Store())
        again = run(Job(MARCH, f"{web.url}/d", str(tmp_path / "a")), loaded, Store())
    local = run(Job(MARCH, str(months), str(tmp_path / "b")), loaded, Store())
    assert again.already_there
    assert Path(remote.uri).read_bytes() == Path(local.uri).read_bytes()


@pytest.mark.real_rides
@pytest.mark.parametrize("taxi", ["green", "yellow"])
def test_R31_real_rides_are_scored_or_counted(
    taxi: str, real_rides: Path, ride_model: Path, tmp_path: Path
) -> None:
    job = Job(Shard(taxi, 2019, 3), str(real_rides), str(tmp_path))
    summary = run(job, load(ride_model), Store()).summary
    rows = {"green": (750, 712), "yellow": (4_125, 4_047)}[taxi]
    assert (summary["rows"], summary["scored"]) == rows
    assert summary["rows"] == summary["scored"] + sum(summary["dropped"].values())


def damaged(kind: str, source: Path, target: Path) -> None:
    data = source.read_bytes()
    if kind == "truncated":
        target.write_bytes(data[: len(data) // 2])
    elif kind == "not Parquet":
        target.write_text("VendorID,PULocationID\n1,2\n")
    elif kind == "flipped":
        target.write_bytes(
            data[:2_000] + bytes(byte ^ 0xFF for byte in data[2_000:9_000]) + data[9_000:]
        )
    elif kind == "empty":
        pq.write_table(pq.read_table(source).slice(0, 0), target)
    else:
        pq.write_table(pq.read_table(source).drop_columns(["trip_distance"]), target)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("truncated", "cut off"),
        ("not Parquet", "no Parquet file"),
        ("flipped", "damaged"),
        ("empty", "no rides"),
        ("without a column", "trip_distance"),
    ],
)
def test_E3_a_bad_file_is_called_what_it_is_and_leaves_nothing(
    ride_model: Path, months: Path, tmp_path: Path, kind: str, said: str
) -> None:
    bad = tmp_path / RECIPE.file_name
    damaged(kind, months / RECIPE.file_name, bad)
    with pytest.raises(InputDataInvalid, match=said):
        run(Job(MARCH, str(bad), str(tmp_path / "out")), load(ride_model), Store())
    assert not (tmp_path / "out").exists()


def test_E3_a_month_that_is_not_there_is_named(ride_model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputDataMissing, match="green_tripdata_2021-03"):
        run(Job(MARCH, str(tmp_path), str(tmp_path)), load(ride_model), Store())


@pytest.fixture(scope="module")
def bucket(months: Path) -> Iterator[str]:
    """A store with the month in `months/`; gives its endpoint."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        client = s3_client(endpoint)
        client.create_bucket(Bucket="rides")
        with (months / RECIPE.file_name).open("rb") as body:
            client.put_object(Bucket="rides", Key=f"months/{RECIPE.file_name}", Body=body)
        yield endpoint
    server.stop()


@pytest.fixture
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


@pytest.mark.usefixtures("_keys")
def test_R33_R45_from_a_store_to_a_store_it_is_the_same_bytes(
    ride_model: Path, months: Path, tmp_path: Path, bucket: str
) -> None:
    loaded = load(ride_model)
    remote = run(Job(MARCH, "s3://rides/months", "s3://rides/out"), loaded, Store(bucket))
    local = run(Job(MARCH, str(months), str(tmp_path)), loaded, Store())
    assert remote.summary == local.summary
    key = remote.uri.removeprefix("s3://rides/")
    body = s3_client(bucket).get_object(Bucket="rides", Key=key)["Body"].read()
    assert body == Path(local.uri).read_bytes()
    assert run(
        Job(MARCH, "s3://rides/months", "s3://rides/out"), loaded, Store(bucket)
    ).already_there


@pytest.mark.usefixtures("_keys")
@pytest.mark.parametrize(
    ("job", "said"),
    [
        (Job(MARCH, "s3://rides/nothing", "s3://rides/out"), "no object"),
        (Job(MARCH, "s3://rides/months", "s3://no-bucket/out"), "no bucket no-bucket"),
    ],
)
def test_what_a_store_has_not_is_said(ride_model: Path, bucket: str, job: Job, said: str) -> None:
    with pytest.raises(SlipwayError, match=said):
        run(job, load(ride_model), Store(bucket))


@pytest.mark.usefixtures("_keys")
def test_a_store_that_is_down_ends_with_try_again(ride_model: Path) -> None:
    scored = call(
        *(sys.executable, "-m", "slipway", "score", "green", "2021", "3"),
        MODEL_LOCATION=str(ride_model),
        SLIPWAY_INPUT="s3://rides/months",
        AWS_ENDPOINT_URL="http://127.0.0.1:9",
    )
    assert scored.returncode == 75
    assert "slipway: Unavailable" in scored.stderr


def test_E7_every_row_names_the_release_that_was_loaded(tmp_path: Path, months: Path) -> None:
    run_id = "0123456789abcdef0123456789abcdef"
    folder = save_ride_model(tmp_path / "model")
    from tests.artifacts import edit_mlmodel

    edit_mlmodel(folder, {"run_id": run_id})
    outcome = run(Job(MARCH, str(months), str(tmp_path / "out")), load(folder), Store())
    assert outcome.uri.endswith(f"/{run_id}.parquet")
    versions = pq.read_table(outcome.uri, columns=["model_version"], partitioning=None)
    assert versions.column(0).unique().to_pylist() == [run_id]


def test_R30_scoring_fits_nothing(
    ride_model: Path, months: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LinearRegression

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("fitted")

    for kind in (DictVectorizer, LinearRegression):
        for name in ("fit", "fit_transform"):
            monkeypatch.setattr(kind, name, refuse, raising=False)
    outcome = run(Job(MARCH, str(months), str(tmp_path)), load(ride_model), Store())
    assert outcome.summary["scored"] > 0


def test_R47_a_ride_scored_in_a_month_and_alone_has_the_same_bits(
    ride_model: Path, months: Path, tmp_path: Path
) -> None:
    loaded = load(ride_model)
    outcome = run(Job(MARCH, str(months), str(tmp_path)), loaded, Store())
    source = pq.read_table(months / RECIPE.file_name, columns=list(RIDE)).to_pylist()
    for ride in pq.read_table(outcome.uri, partitioning=None).to_pylist()[:300]:
        row = source[int(ride["ride_id"].rsplit("-", 1)[1])]
        assert loaded.scorer.score([Ride(**row)])[0] == ride["predicted_duration"]
