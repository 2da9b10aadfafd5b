"""`slipway controller`: follows the desired model, fills slots, moves traffic."""

from __future__ import annotations

import functools
import signal
import socket
import threading
import uuid
from datetime import UTC, datetime
from pathlib import Path

import click
import structlog

from slipway import logs
from slipway.cli.cluster_options import cluster_of, installation_options
from slipway.clients.registry import Registry
from slipway.clients.scrape import Scraper
from slipway.cluster.leader import LedCluster
from slipway.cluster.protocol import Cluster
from slipway.metrics import ControllerMetrics
from slipway.models.resolve import resolver_for
from slipway.rollout.admin import answers
from slipway.rollout.decide import Decision
from slipway.rollout.loop import Loop
from slipway.rollout.measuring import Measuring
from slipway.rollout.observe import Observer, Seen
from slipway.rollout.outcomes import outcomes_of
from slipway.rollout.resolving import Resolving
from slipway.rollout.write_back import WriteBack
from slipway.settings import ControllerSettings, read_settings
from slipway.status_server import StatusServer

log = structlog.get_logger(__name__)


@click.command()
@installation_options
@click.option("--port", type=int, help="The port of /status and /metrics [9699].")
def controller(
    namespace: str | None,
    name: str | None,
    context: str | None,
    kubeconfig: str | None,
    local: Path | None,
    port: int | None,
) -> None:
    """Follow the desired model: resolve it, fill a slot, move traffic, say why.

    Runs until it is told to stop. Several may run: one leads, by a Lease.
    """
    settings = read_settings(
        ControllerSettings, namespace=namespace, fullname=name, controller_port=port
    )
    logs.configure(settings.log_level)
    cluster = cluster_of(settings, context, kubeconfig, local)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(settings, cluster, stop)


def run(settings: ControllerSettings, cluster: Cluster, stop: threading.Event) -> None:
    """The controller in any cluster, until `stop` is set; raises InvalidConfig for a taken port."""
    pod = settings.pod or socket.gethostname()
    # A process of its own: whoever leads must be one, not all that share a host's name.
    led = LedCluster(cluster, f"{pod}_{uuid.uuid4().hex[:8]}", settings.lease_seconds)
    scraper, metrics = Scraper(), ControllerMetrics()
    resolving = Resolving(
        resolver_for(settings),
        use_case=settings.use_case,
        deadline=settings.resolve_seconds,
        alias_every=settings.alias_seconds,
    )
    observer = Observer(
        led,
        scraper,
        resolving,
        Measuring(scraper),
        web=settings.web,
        now=lambda: datetime.now(UTC),
    )
    write_back = _write_back(settings)
    place = f"{settings.namespace}/{settings.fullname}".strip("/")

    def decided(seen: Seen, decision: Decision) -> None:
        if write_back:
            snapshot = seen.snapshot
            write_back.take(outcomes_of(snapshot.stored, decision, place, snapshot.now))

    loop = Loop(led, observer, metrics, decided=decided)
    server = StatusServer(
        settings.controller_host,
        settings.controller_port,
        answers(loop, metrics, pod),
        "SLIPWAY_CONTROLLER_PORT",
    )
    server.start()
    if write_back:
        write_back.start()
    log.info("controlling", installation=settings.fullname, port=server.port)
    try:
        loop.run(stop)
    finally:
        server.close()
        scraper.close()
        if write_back:
            write_back.close()
    log.info("stopped")


def _write_back(settings: ControllerSettings) -> WriteBack | None:
    if not (settings.write_tags and settings.tracking_uri):
        return None
    return WriteBack(
        functools.cache(lambda: Registry(settings.tracking_uri, settings.http_timeout))
    )
