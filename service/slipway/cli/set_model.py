"""`slipway set-model`: writes the desired reference; the controller does the rest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Unpack

import click

from slipway.cli.cluster_options import (
    Where,
    find_installation,
    installation_options,
    waiting_options,
)
from slipway.cli.status import wait_and_tell
from slipway.logs import configure_cli
from slipway.rollout.remote import write_desired


@click.command()
@click.argument("model", help="A run id, models:/NAME/VERSION, models:/NAME@ALIAS or a URI.")
@installation_options
@waiting_options()
def set_model(model: str, wait: bool, timeout: float, **where: Unpack[Where]) -> None:
    """Name the model that is wanted from now on.

    The controller resolves it and rolls it out by the policy. The same name again asks for it
    again, also if it was refused before. With --wait the exit code says how it went: 0 it has all
    traffic, 3 it leads nowhere, 4 not in time, 5 aborted.
    """
    configure_cli()
    cluster, called = find_installation(**where)
    desired = write_desired(cluster, model, datetime.now(UTC))
    click.echo(f"{called}: {desired.reference} is wanted", err=True)
    if wait:
        wait_and_tell(cluster, timeout)
