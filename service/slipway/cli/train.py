"""`slipway train`: trains the example models and registers them. Not in the serving image (R30)."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from slipway.cli.commands import OneOf, WholeNumber
from slipway.errors import InvalidConfig
from slipway.models.reference import parse_reference
from slipway.settings import StoreSettings, read_settings

if TYPE_CHECKING:
    from slipway.examples.log_model import Logged

EXAMPLES = "slipway.examples"
# A run id and the names beside it need this much; a narrower terminal wraps them itself.
WIDTH = 160


class ModelKind(StrEnum):
    """The estimators of `examples/ride_models.py`, which must not be imported for a help text."""

    LINEAR = "linear"
    RIDGE = "ridge"
    FOREST = "forest"
    BOOSTING = "boosting"


class Target(StrEnum):
    """What is predicted."""

    DURATION = "duration"
    TIP = "tip"


class Output(StrEnum):
    """How the result is written."""

    TABLE = "table"
    JSON = "json"


@click.command()
@click.option(
    "--model", type=OneOf(ModelKind), default=ModelKind.LINEAR.value, help="The estimator."
)
@click.option(
    "--target",
    type=OneOf(Target),
    default=Target.DURATION.value,
    help="Predict minutes (duration) or dollars (tip).",
)
@click.option(
    "--data",
    type=Path,
    multiple=True,
    help="A month of rides as the TLC's Parquet file; may be given repeatedly.",
)
@click.option(
    "--rows",
    type=WholeNumber(1),
    help="Rides to take from --data at most (all), or to make (20000).",
)
@click.option("--seed", type=WholeNumber(0), default=0, help="For all that is left to chance.")
@click.option(
    "--name",
    default="",
    show_default=False,
    help="The registered model; by default ride-duration or ride-tip.",
)
@click.option("--alias", default="champion", help="Move this alias to the new version.")
@click.option("--no-alias", is_flag=True, help="Move no alias.")
@click.option(
    "--twin/--no-twin",
    default=True,
    help="Also log the same model in columns, as NAME-onehot.",
)
@click.option("--tracking-uri", help="The MLflow server; by default MLFLOW_TRACKING_URI.")
@click.option(
    "-o",
    "--output",
    type=OneOf(Output),
    default=Output.TABLE.value,
    help="How the result is written to stdout.",
)
def train(
    model: ModelKind,
    target: Target,
    data: tuple[Path, ...],
    rows: int | None,
    seed: int,
    name: str,
    alias: str,
    no_alias: bool,
    twin: bool,
    tracking_uri: str | None,
    output: Output,
) -> None:
    """Train an example ride model, log it with MLflow and register it.

    Without --data the rides are synthetic, the same ones for the same seed.
    """
    settings = read_settings(StoreSettings, tracking_uri=tracking_uri)
    name = name or f"ride-{target}"
    alias = "" if no_alias else alias
    _check_names(name, alias)
    if find_spec(EXAMPLES) is None:
        raise InvalidConfig(
            "this installation only applies models and has no training code; "
            "run `slipway train` from a checkout"
        )
    # MLflow tells its makers of each logged model unless it is told not to; the user may insist.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from slipway.examples.training import Plan, run

    # Plain text from here on: MLflow's YAML knows no enumerations.
    plan = Plan(name, model.value, target.value, data, rows, seed, alias, twin)
    logged = run(plan, settings.tracking_uri, settings.http_timeout, _step)
    _show(logged, output)


def _check_names(name: str, alias: str) -> None:
    """Refuse what could not be written as a model reference afterwards."""
    try:
        parse_reference(f"models:/{name}@{alias or 'none'}")
    except InvalidConfig as error:
        raise InvalidConfig(
            "--name takes no slash, colon or at sign, --alias letters, digits, '_', '.' and '-'"
        ) from error


@contextlib.contextmanager
def _step(doing: str) -> Iterator[list[str]]:
    """One step on stderr: a spinner on a terminal, a line with the time it took everywhere."""
    # By its file, because MLflow's talk is kept away by exchanging sys.stderr for a while.
    console = Console(file=sys.stderr, highlight=False)
    said: list[str] = []
    began = time.monotonic()
    with console.status(f"{doing} …"):
        yield said
    took = f"[dim]({time.monotonic() - began:.1f} s)[/dim]"
    outcome = f": {', '.join(said)}" if said else ""
    console.print(f"{doing}{outcome} {took}", soft_wrap=True)


def _show(logged: list[Logged], output: Output) -> None:
    if output is Output.JSON:
        click.echo(json.dumps({"models": [asdict(model) for model in logged]}, indent=2))
    else:
        _show_table(logged)
    click.echo(f"serve it: MODEL_RUN_ID={logged[0].run_id} slipway serve", err=True)


def _show_table(logged: list[Logged]) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("MODEL", "VERSION", "ALIAS", "RMSE", "MAE", "RUN ID"):
        table.add_column(column, justify="right" if column in ("RMSE", "MAE") else "left")
    for model in logged:
        numbers = (f"{model.rmse:.3f}", f"{model.mae:.3f}")
        table.add_row(model.name, model.version, model.alias or "-", *numbers, model.run_id)
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)
    console.print(table)
