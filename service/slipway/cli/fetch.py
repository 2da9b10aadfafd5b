"""`slipway fetch`: resolve a reference and bring its artefact into the cache; never load it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from slipway.errors import InvalidConfig
from slipway.logs import configure_cli
from slipway.models import obtain
from slipway.settings import ModelSettings, read_settings


@click.command()
@click.argument(
    "model", required=False, help="Model reference; without it MODEL_RUN_ID or MODEL_URI."
)
@click.option("--cache-dir", type=Path, help="Where artefacts are kept.")
@click.option("--release-file", type=Path, help="Go by this release lock in place of a reference.")
@click.option("--if-any", is_flag=True, help="Without a reference do nothing and exit 0.")
def fetch(
    model: str | None, cache_dir: Path | None, release_file: Path | None, if_any: bool
) -> None:
    """Resolve a model reference, fetch the artefact, check it; never load it.

    Prints the release lock as JSON. Needs neither the tracking server nor the store when both
    the lock and the artefact are in the cache already.
    """
    configure_cli()
    settings = read_settings(
        ModelSettings, cache_dir=cache_dir, **reference_of(model, release_file)
    )
    release = obtain.release_of(settings)
    if release is None:
        if if_any:
            return
        raise InvalidConfig("no model is named: give a reference, MODEL_RUN_ID or MODEL_URI")
    obtain.fetch(settings, release)
    click.echo(release.to_json(), nl=False)


def reference_of(model: str | None, release_file: Path | None = None) -> dict[str, Any]:
    """A reference on the command line wins over those of the environment, and over its lock."""
    if model is None:
        return {"release_file": release_file}
    # An empty path names no file: the environment's lock is not gone by.
    lock = release_file or Path()
    return {"location": "", "file": "", "run_id": "", "uri": model, "release_file": lock}
