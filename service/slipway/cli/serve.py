"""`slipway serve`: what is given on the command line goes into the environment; then gunicorn."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from slipway.cli.become_gunicorn import become_gunicorn
from slipway.settings import ServeSettings
from slipway.variables import variable_of


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
    become_gunicorn()


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
