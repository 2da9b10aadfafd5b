"""`slipway serve`: what is given on the command line goes into the environment; then gunicorn."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import click

from slipway.cli.become_gunicorn import become_gunicorn
from slipway.settings import ServeSettings
from slipway.variables import variable_of


@click.command()
@click.argument(
    "model", required=False, help="Model reference; without it MODEL_RUN_ID or MODEL_URI."
)
@click.option("--port", type=int, help="The API's port [9696].")
@click.option(
    "--admin-port", type=int, help="The port of /metrics and the probes [9697]; -1 for none."
)
@click.option("--host", help="The address to listen on [all].")
@click.option("--threads", type=int, help="Threads of the worker [4].")
@click.option("--workers", type=int, help="Worker processes [1].")
@click.option("--slot", help="The slot's name, as metrics show it.")
@click.option("--release-file", type=Path, help="Go by this release lock in place of a reference.")
@click.option("--log-level", help="debug, info, warning or error.")
def serve(model: str | None, **given: object) -> None:
    """Serve a model over HTTP: POST /predict, POST /invocations, GET /model.

    Everything else is set by the environment. Without a model the service is idle: it is ready,
    and answers 503.
    """
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
