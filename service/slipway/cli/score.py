"""`slipway score`: one month of rides in, one Parquet file with predictions out."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from slipway.batch.job import Job, Outcome, run
from slipway.batch.job import Progress as Report
from slipway.batch.shards import Shard, month_before
from slipway.cli.fetch import reference_of
from slipway.clients.tables import Store
from slipway.errors import InvalidConfig
from slipway.logs import configure_cli
from slipway.models.obtain import obtain
from slipway.settings import ScoreSettings, read_settings


class TaxiType(StrEnum):
    """The kinds of taxi."""

    GREEN = "green"
    YELLOW = "yellow"


class Ids(StrEnum):
    """How rides are named: by their row, or by a UUID of that name."""

    ROW = "row"
    UUID5 = "uuid5"


class Output(StrEnum):
    """How the summary is written to stdout."""

    TABLE = "table"
    JSON = "json"


def score(
    taxi: Annotated[
        TaxiType | None, typer.Argument(metavar="TAXI_TYPE", help="green or yellow")
    ] = None,
    in_year: Annotated[int | None, typer.Argument(metavar="YEAR")] = None,
    in_month: Annotated[int | None, typer.Argument(metavar="MONTH")] = None,
    model: Annotated[
        str | None, typer.Argument(help="Model reference; without it the environment's.")
    ] = None,
    taxi_type: Annotated[TaxiType | None, typer.Option(help="As the first argument.")] = None,
    year: Annotated[int | None, typer.Option(help="As the second argument.")] = None,
    month: Annotated[int | None, typer.Option(help="As the third argument.")] = None,
    run_date: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="Score the month before this day.  [default: today]"
        ),
    ] = None,
    input: Annotated[  # noqa: A002 - the option's name
        str | None,
        typer.Option(help="Folder, s3://bucket/prefix or address of months; or a file or pattern."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(help="Folder or s3://bucket/prefix for the predictions, or a file."),
    ] = None,
    ids: Annotated[Ids, typer.Option(help="How rides are named.")] = Ids.ROW,
    force: Annotated[bool, typer.Option("--force", help="Score again what is there.")] = False,
    form: Annotated[Output, typer.Option("-o", help="The summary on stdout.")] = Output.TABLE,
) -> None:
    """Score one month of rides into a Parquet file.

    Without year and month it is the month before the run date.
    """
    configure_cli()
    settings = read_settings(ScoreSettings, input=input, output=output, **reference_of(model))
    shard = _shard(taxi_type or taxi, year or in_year, month or in_month, run_date)
    began = time.monotonic()
    loaded = obtain(settings)
    if loaded is None:
        raise InvalidConfig("no model is named: give a reference, MODEL_RUN_ID or MODEL_URI")
    job = Job(shard, settings.input, settings.output, uuids=ids is Ids.UUID5, replace=force)
    store = Store(settings.s3_endpoint, settings.transfer_seconds)
    with _progress(shard) as report:
        outcome = run(job, loaded, store, report)
    if form is Output.JSON:
        typer.echo(json.dumps(outcome.summary, indent=2))
    else:
        _show(outcome, time.monotonic() - began)


def _shard(
    taxi_type: TaxiType | None, year: int | None, month: int | None, run_date: datetime | None
) -> Shard:
    if taxi_type is None:
        raise InvalidConfig("say which taxi: slipway score green 2021 3 [MODEL]")
    if (year is None) != (month is None):
        raise InvalidConfig("give both year and month, or neither")
    if year is None or month is None:
        day: date = run_date.date() if run_date else datetime.now(UTC).date()
        year, month = month_before(day)
    return Shard(str(taxi_type), year, month)


@contextmanager
def _progress(shard: Shard) -> Iterator[Report]:
    """A bar where a person watches, silence elsewhere; what is said goes to stderr."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("scoring {task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task(f"{shard.taxi_type} {shard.year}-{shard.month:02d}", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _show(outcome: Outcome, seconds: float) -> None:
    summary = outcome.summary
    unit = "minutes" if summary["answer"] == "duration" else "dollars"
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in _lines(summary, unit):
        table.add_row(name, value)
    console = Console()
    console.print(table)
    said = "was there already, made from just this" if outcome.already_there else "written"
    console.print(f"{outcome.uri}\n{said}, {seconds:.1f} s", soft_wrap=True, highlight=False)
    typer.echo(f"predicted mean {summary['answer']}: {summary['mean_predicted']}")


def _lines(summary: dict[str, Any], unit: str) -> Iterator[tuple[str, str]]:
    yield "rides", f"{summary['rows']:,}"
    yield "scored", f"{summary['scored']:,}"
    for reason, count in summary["dropped"].items():
        yield f"  left out: {reason.replace('_', ' ')}", f"{count:,}"
    yield "mean predicted", f"{summary['mean_predicted']:.2f} {unit}"
    yield "mean actual", f"{summary['mean_actual']:.2f} {unit}"
    yield "mean absolute error", f"{summary['mean_absolute_error']:.2f} {unit}"
    yield f"off by more than 10 {unit}", f"{summary['share_beyond_10']:.1%}"
    yield "model", summary["model_version"]
