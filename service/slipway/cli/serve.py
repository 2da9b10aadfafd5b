"""`slipway serve`: checks the settings, then becomes gunicorn (its process id stays)."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from slipway import logs
from slipway.errors import InvalidConfig
from slipway.models.reference import parse_reference
from slipway.settings import ServeSettings, read_settings, variable_of
from slipway.web.termination import TERMINATION_VARIABLE, tell_why

CONFIG = "python:slipway.web.gunicorn_conf"
APPLICATION = "slipway.web.wsgi:application()"
METRICS_DIR = "PROMETHEUS_MULTIPROC_DIR"


def serve(
    model: Annotated[
        str | None,
        typer.Argument(
            help="Model reference; without it MODEL_RUN_ID or MODEL_URI.", metavar="MODEL"
        ),
    ] = None,
    port: Annotated[int | None, typer.Option(help="The API's port [9696].")] = None,
    admin_port: Annotated[
        int | None, typer.Option(help="The port of /metrics and the probes [9697]; -1 for none.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on [all].")] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of the worker [4].")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes [1].")] = None,
    slot: Annotated[str | None, typer.Option(help="The slot's name, as metrics show it.")] = None,
    release_file: Annotated[
        Path | None, typer.Option(help="Go by this release lock in place of a reference.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
) -> None:
    """Serve a model over HTTP: POST /predict, POST /invocations, GET /model.

    Everything else is set by the environment. Without a model the service is idle: it is ready,
    and answers 503.
    """
    given = {
        "port": port,
        "admin_port": admin_port,
        "host": host,
        "threads": threads,
        "workers": workers,
        "slot": slot,
        "release_file": release_file,
        "log_level": log_level,
    }
    os.environ.update({**_reference(model), **_variables(given)})
    logs.configure()
    try:
        prepare_metrics(_checked().workers)
    except InvalidConfig as error:
        tell_why(error, os.environ.get(TERMINATION_VARIABLE))
        raise
    sys.stdout.flush()
    # gunicorn's script, so that the process is called gunicorn wherever processes are listed.
    script = Path(sys.executable).with_name("gunicorn")
    start = [str(script)] if script.is_file() else [sys.executable, "-m", "gunicorn"]
    os.execvp(start[0], [*start, "--config", CONFIG, APPLICATION])  # noqa: S606


def _variables(given: Mapping[str, object]) -> dict[str, str]:
    return {
        variable_of(ServeSettings, field): str(value)
        for field, value in given.items()
        if value is not None
    }


def _reference(model: str | None) -> dict[str, str]:
    """A reference on the command line wins over every one of the environment, and its lock."""
    if model is None:
        return {}
    others = ("location", "file", "run_id", "release_file")
    return {variable_of(ServeSettings, name): "" for name in others} | {
        variable_of(ServeSettings, "uri"): model
    }


def _checked() -> ServeSettings:
    settings = read_settings(ServeSettings)
    lock = settings.release_file
    if settings.reference and not (lock and lock.is_file()):
        parse_reference(settings.reference)
    return settings


def prepare_metrics(workers: int) -> None:
    """Set METRICS_DIR as prometheus-client must find it when it is imported.

    For several workers it is a folder without the files of an earlier start: they would be counted
    again. One worker keeps its metrics in memory, whatever the environment says.
    """
    given = os.environ.pop(METRICS_DIR, None)
    if workers == 1:
        return
    try:
        folder = Path(given or tempfile.mkdtemp(prefix="slipway-metrics-"))
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.db"):
            left.unlink()
    except OSError as error:
        raise InvalidConfig(
            f"{METRICS_DIR}: its folder cannot be prepared ({error.strerror}); "
            "several workers need one that can be written"
        ) from error
    os.environ[METRICS_DIR] = str(folder)
