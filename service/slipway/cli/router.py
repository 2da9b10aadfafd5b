"""`slipway router`: checks the settings, then keeps nginx at the routing table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slipway import logs
from slipway.cli.cluster_options import Local, cluster_of
from slipway.router.agent import serve
from slipway.settings import RouterSettings, read_settings


def router(
    port: Annotated[int | None, typer.Option(help="The API's port [9696].")] = None,
    admin_port: Annotated[
        int | None, typer.Option(help="The port of /status, /metrics and the probes [9698].")
    ] = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on [all].")] = None,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Where nginx keeps its files and sockets.")
    ] = None,
    local: Local = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
) -> None:
    """Route requests to the slots by the routing table; needs nginx."""
    settings = read_settings(
        RouterSettings,
        router_port=port,
        router_admin_port=admin_port,
        router_host=host,
        router_dir=folder,
        log_level=log_level,
    )
    logs.configure(settings.log_level)
    serve(settings, cluster_of(settings, local=local))
