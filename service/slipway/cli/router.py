"""`slipway router`: checks the settings, then keeps nginx at the routing table."""

from __future__ import annotations

from pathlib import Path

import click

from slipway import logs
from slipway.cli.cluster_options import cluster_of, local_option
from slipway.router.agent import serve
from slipway.settings import RouterSettings, read_settings


@click.command()
@click.option("--port", type=int, help="The API's port [9696].")
@click.option("--admin-port", type=int, help="The port of /status, /metrics and the probes [9698].")
@click.option("--host", help="The address to listen on [all].")
@click.option("--dir", "folder", type=Path, help="Where nginx keeps its files and sockets.")
@local_option
@click.option("--log-level", help="debug, info, warning or error.")
def router(
    port: int | None,
    admin_port: int | None,
    host: str | None,
    folder: Path | None,
    local: Path | None,
    log_level: str | None,
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
