"""`slipway score`: one month of rides, or any table, in; one Parquet file with predictions out."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path

import click
import structlog

from slipway.batch.forms import HOMEWORK, OWN
from slipway.batch.job import Job, Outcome, check, run
from slipway.batch.plan import months
from slipway.batch.shards import Part, Shard, Table, month_before
from slipway.cli.commands import OneOf
from slipway.cli.fetch import reference_of
from slipway.cli.scored import progress, show, show_check
from slipway.clients.tables import Store
from slipway.errors import InputDataMissing, InvalidConfig
from slipway.logs import configure_cli
from slipway.metrics import BatchMetrics
from slipway.models.obtain import obtain_release, release_of
from slipway.models.release import Release
from slipway.scoring.scorer import Scorer
from slipway.settings import ModelSettings, ScoreSettings, read_settings

log = structlog.get_logger(__name__)


class TaxiType(StrEnum):
    """The kinds of taxi."""

    GREEN = "green"
    YELLOW = "yellow"


class Ids(StrEnum):
    """How rides are named: by their row, or by a UUID of that name."""

    ROW = "row"
    UUID5 = "uuid5"


class OutputFormat(StrEnum):
    """The output's columns: the project's own, or those of the course's homework."""

    SLIPWAY = "slipway"
    HOMEWORK = "homework"


class Output(StrEnum):
    """How the summary is written to stdout."""

    TABLE = "table"
    JSON = "json"


@click.command()
@click.argument(
    "taxi", type=OneOf(TaxiType), required=False, metavar="[TAXI_TYPE]", help="green or yellow"
)
@click.argument("in_year", type=int, required=False, metavar="[YEAR]")
@click.argument("in_month", type=int, required=False, metavar="[MONTH]")
@click.argument(
    "in_model",
    required=False,
    metavar="[MODEL]",
    help="Model reference; without it the environment's.",
)
@click.option("--taxi-type", type=OneOf(TaxiType), help="As the first argument.")
@click.option("--year", type=int, help="As the second argument.")
@click.option("--month", type=int, help="As the third argument.")
@click.option("--model", help="As the fourth argument.")
@click.option(
    "--candidate", metavar="MODEL", help="A second model, to be written beside and compared."
)
@click.option("--table", help="Score a table of this name, not rides of a month.")
@click.option(
    "--period",
    help="Which part of the table.  [default: the month before the run date]",
)
@click.option(
    "--column",
    multiple=True,
    metavar="INPUT=COLUMN",
    help="What the table calls a model's input; often.",
)
@click.option(
    "--keep", multiple=True, metavar="COLUMN", help="A table's column to write beside; often."
)
@click.option(
    "--run-date",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="Score the month before this day.  [default: today]",
)
@click.option(
    "--input",
    help="Folder, s3://bucket/prefix or address of months; or a file or pattern.",
)
@click.option("--output", help="Folder or s3://bucket/prefix for predictions; or a file.")
@click.option(
    "--output-format",
    type=OneOf(OutputFormat),
    default=OutputFormat.SLIPWAY.value,
    help="The columns.",
)
@click.option("--ids", type=OneOf(Ids), default=Ids.ROW.value, help="How rides are named.")
@click.option("--force", is_flag=True, help="Score again what is there.")
@click.option(
    "--release-file",
    type=Path,
    help="Go by this release lock, as `slipway fetch` prints it.",
)
@click.option(
    "--max-dropped", type=float, help="Share of rides that may be left out.  [default: 1]"
)
@click.option("--keep-dropped", is_flag=True, help="Write the ids of rides left out, with reasons.")
@click.option(
    "--check", "check_only", is_flag=True, help="Read and judge the month; no model, no output."
)
@click.option("--metrics-file", type=Path, help="Write the run's metrics into this file (*.prom).")
@click.option("--push-gateway", help="Send the run's metrics to this Pushgateway.")
@click.option(
    "-o", "form", type=OneOf(Output), default=Output.TABLE.value, help="The summary on stdout."
)
def score(
    taxi: TaxiType | None,
    in_year: int | None,
    in_month: int | None,
    in_model: str | None,
    taxi_type: TaxiType | None,
    year: int | None,
    month: int | None,
    model: str | None,
    candidate: str | None,
    table: str | None,
    period: str | None,
    column: tuple[str, ...],
    keep: tuple[str, ...],
    run_date: datetime | None,
    input: str | None,  # noqa: A002 - the option's name
    output: str | None,
    output_format: OutputFormat,
    ids: Ids,
    force: bool,
    release_file: Path | None,
    max_dropped: float | None,
    keep_dropped: bool,
    check_only: bool,
    metrics_file: Path | None,
    push_gateway: str | None,
    form: Output,
) -> None:
    """Score one month of rides, or one period of any other table, into a Parquet file.

    Without year and month, or period, it is the month before the run date.
    """
    configure_cli()
    # So that an orchestrator's, or a pod's, "end now" leaves no scratch; the output is whole or
    # not there in any case. The first process of a container has no other answer to it at all.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    settings = read_settings(
        ScoreSettings,
        taxi_type=taxi_type or taxi,
        year=_first(year, in_year),
        month=_first(month, in_month),
        table=table,
        period=period,
        run_date=run_date.date() if run_date else None,
        candidate=candidate,
        input=input,
        output=output,
        max_dropped=max_dropped,
        metrics_file=metrics_file,
        push_gateway=push_gateway,
        **reference_of(model or in_model, release_file),
    )
    job = Job(
        _part(settings),
        settings.input,
        settings.output,
        uuids=ids is Ids.UUID5,
        replace=force,
        form=HOMEWORK if output_format is OutputFormat.HOMEWORK else OWN,
        max_dropped=settings.max_dropped,
        keep_dropped=keep_dropped,
        columns=_columns(column),
        keep=keep,
    )
    store = Store(settings.s3_endpoint, settings.transfer_seconds)
    if check_only:
        found = check(job, store)
        click.echo(json.dumps(found, indent=2)) if form is Output.JSON else show_check(found)
        return
    began = time.monotonic()
    with _measured(settings, job.part) as measured:
        outcome = _score(settings, job, store)
        measured.scored(outcome.summary, outcome.summary["model_digest"][7:19])
    if form is Output.JSON:
        click.echo(json.dumps(outcome.summary, indent=2))
    else:
        show(outcome, time.monotonic() - began)


def _first(option: int | None, argument: int | None) -> int | None:
    return argument if option is None else option


def _columns(given: Sequence[str]) -> dict[str, str]:
    """Input -> column."""
    pairs = [each.partition("=") for each in given]
    if wrong := [whole for whole, pair in zip(given, pairs, strict=True) if not all(pair)]:
        raise InvalidConfig(f"--column {wrong[0]}: write INPUT=COLUMN")
    return {name: column for name, _, column in pairs}


def _part(settings: ScoreSettings) -> Part:
    if not settings.table:
        if settings.period:
            raise InvalidConfig("a period is one of a table: name it, as --table meters")
        return _shard(settings)
    before = month_before(settings.run_date or datetime.now(UTC).date())
    return Table(settings.table, settings.period or "{:04d}-{:02d}".format(*before))


def _shard(settings: ScoreSettings) -> Shard:
    if not settings.taxi_type:
        raise InvalidConfig("say which taxi: slipway score green 2021 3 [MODEL]")
    year, month = settings.year, settings.month
    if (year is None) != (month is None):
        raise InvalidConfig("give both year and month, or neither")
    today = datetime.now(UTC).date()
    if settings.months:
        # A backfill's Job says so in pods whose CronJob may name a month of its own.
        shard = _of_range(settings)
    elif year is not None and month is not None:
        shard = Shard(settings.taxi_type, year, month)
    else:
        shard = Shard(settings.taxi_type, *month_before(settings.run_date or today))
    if (shard.year, shard.month) > (today.year, today.month):
        raise InputDataMissing(f"the month {shard} lies in the future")
    return shard


def _metrics(part: Part) -> BatchMetrics:
    if isinstance(part, Shard):
        begins = datetime(part.year, part.month, 1, tzinfo=UTC)
        return BatchMetrics("taxi_type", part.taxi_type, begins.timestamp())
    # What a period is called is its owner's: when it begins is known of the usual form only.
    with suppress(ValueError):
        begins = datetime.strptime(str(part.fields["period"]), "%Y-%m").replace(tzinfo=UTC)
        return BatchMetrics("table", str(part.fields["table"]), begins.timestamp())
    return BatchMetrics("table", str(part.fields["table"]))


def _of_range(settings: ScoreSettings) -> Shard:
    shards = months(settings.months, settings.taxi_type)
    if settings.index >= len(shards):
        raise InvalidConfig(f"SLIPWAY_INDEX: {settings.months} has {len(shards)} months only")
    return shards[settings.index]


def _score(settings: ScoreSettings, job: Job, store: Store) -> Outcome:
    release = release_of(settings)
    if release is None:
        raise InvalidConfig("no model is named: give a reference, MODEL_RUN_ID or MODEL_URI")
    with progress(job.part) as report:
        return run(job, _Named(settings, release), store, report, _candidate(settings))


def _candidate(settings: ScoreSettings) -> _Named | None:
    """The second model; the digest that a pod expects is the first one's."""
    if not settings.candidate:
        return None
    named = read_settings(ModelSettings, expected_digest="", **reference_of(settings.candidate))
    release = release_of(named)
    return _Named(named, release) if release else None


@dataclass(frozen=True)
class _Named:
    """A model that is fetched and loaded when it is asked for: not for a month that is there."""

    settings: ModelSettings
    release: Release

    @cached_property
    def scorer(self) -> Scorer:
        return obtain_release(self.settings, self.release).scorer


@contextmanager
def _measured(settings: ScoreSettings, part: Part) -> Iterator[BatchMetrics]:
    """Tells the run's metrics however it ends; a place that does not take them fails no run."""
    metrics = _metrics(part)
    began, success = time.monotonic(), False
    try:
        yield metrics
        success = True
    finally:
        metrics.ended(time.time(), time.monotonic() - began, success=success)
        try:
            if settings.metrics_file:
                metrics.write(settings.metrics_file)
            if settings.push_gateway:
                metrics.push(settings.push_gateway)
        except (OSError, ValueError) as error:
            log.warning("the run's metrics could not be told", why=str(error))
