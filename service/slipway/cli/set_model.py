"""`slipway set-model`: writes the desired reference; the controller does the rest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from slipway.cli.cluster_options import (
    Context,
    Kubeconfig,
    Local,
    Name,
    Namespace,
    Timeout,
    Wait,
    find_installation,
)
from slipway.cli.status import wait_and_tell
from slipway.logs import configure_cli
from slipway.rollout.remote import write_desired


def set_model(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A run id, models:/NAME/VERSION, models:/NAME@ALIAS or a URI."
        ),
    ],
    namespace: Namespace = None,
    name: Name = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    local: Local = None,
    wait: Wait = False,
    timeout: Timeout = 600.0,
) -> None:
    """Name the model that is wanted from now on.

    The controller resolves it and rolls it out by the policy. The same name again asks for it
    again, also if it was refused before. With --wait the exit code says how it went: 0 it has all
    traffic, 3 it leads nowhere, 4 not in time, 5 aborted.
    """
    configure_cli()
    cluster, called = find_installation(namespace, name, context, kubeconfig, local)
    desired = write_desired(cluster, model, datetime.now(UTC))
    typer.echo(f"{called}: {desired.reference} is wanted", err=True)
    if wait:
        wait_and_tell(cluster, timeout)
