"""`slipway consume`: one consumer of an application, until it is told to stop."""

from __future__ import annotations

import functools
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import click
import structlog
from prometheus_client import CONTENT_TYPE_LATEST

from slipway import logs
from slipway.cli.cluster_options import cluster_of, installation_options
from slipway.clients.checkpoints import DynamoCheckpoints, group_of
from slipway.clients.kinesis import KinesisStream, aws_client
from slipway.cluster.protocol import Cluster
from slipway.errors import InvalidConfig
from slipway.metrics import StreamMetrics
from slipway.models.obtain import obtain
from slipway.settings import ConsumeSettings, read_settings
from slipway.status_server import Answer, Answers, StatusServer, document
from slipway.stream.consumer import HUNG, Consumer, Held, Places, Rules
from slipway.stream.following import Following, candidate_of, processor_of
from slipway.stream.patience import Patience, Stopped
from slipway.stream.processor import Processor
from slipway.stream.scoring import Scoring
from slipway.stream.sink import Letters, letters_to

log = structlog.get_logger(__name__)


@click.command()
@click.argument(
    "model",
    required=False,
    help="Model reference; without one the consumer follows what is promoted.",
)
@click.option("--application", help="The consumer's name; its checkpoints go by it.")
@click.option("--from", "source", help="The stream of rides.")
@click.option("--to", "output", help="The stream of events.")
@click.option("--dead-letters", help="A stream or s3://bucket/prefix for bad records.")
@click.option("--port", type=int, help="The port of /metrics and the probes [9695]; -1 for none.")
@installation_options
def consume(
    model: str | None,
    application: str | None,
    source: str | None,
    output: str | None,
    dead_letters: str | None,
    port: int | None,
    namespace: str | None,
    name: str | None,
    context: str | None,
    kubeconfig: str | None,
    local: Path | None,
) -> None:
    """Consume a stream of rides: score each one, put an event for it, remember how far it is.

    Any number of applications see all records, each by itself; processes of one application share
    its shards.
    """
    given: dict[str, object] = {}
    if model is not None:
        # A reference on the command line wins over every one of the environment, and its lock.
        given = {"location": "", "file": "", "run_id": "", "uri": model}
        os.environ.pop("SLIPWAY_RELEASE_FILE", None)
    settings = read_settings(
        ConsumeSettings,
        application=application,
        stream_name=source,
        output_stream=output,
        dead_letters=dead_letters,
        consume_port=port,
        namespace=namespace,
        fullname=name,
        **given,
    )
    if not settings.application:
        raise InvalidConfig("SLIPWAY_APPLICATION: the consumer needs a name; give --application")
    logs.configure(settings.log_level)
    pinned = settings.reference or settings.release_file
    cluster = None if pinned else cluster_of(settings, context, kubeconfig, local)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(settings, cluster, stop)


class _Waiting:
    """In the consumer's place until its stream is there: it lives, and says what is missing."""

    def __init__(self, stream: str) -> None:
        self.me = ""
        self.held: dict[str, Held] = {}
        self.trouble = f"the stream {stream} does not answer, or is not there yet"
        self.alive()

    def alive(self) -> None:
        """Note that somebody still asks for it."""
        self.seen = time.monotonic()


def run(settings: ConsumeSettings, cluster: Cluster | None, stop: threading.Event) -> None:
    """Consume until `stop` is set; without a cluster with the model that the settings name."""
    metrics = StreamMetrics(settings.application)
    at: list[Consumer | _Waiting] = [_Waiting(settings.stream_name)]

    def alive() -> None:
        at[-1].alive()

    patience = Patience(stop, alive, metrics.again)
    scoring, following = _scoring(settings, cluster)
    server = None
    try:
        if settings.consume_port >= 0:
            server = StatusServer(
                settings.consume_host,
                settings.consume_port,
                answers(lambda: at[-1], scoring, following, metrics, settings),
                "SLIPWAY_CONSUME_PORT",
            )
            server.start()
        consumer = _consumer(settings, scoring, metrics, patience)
        at.append(consumer)
        log.info(
            "consuming",
            application=settings.application,
            consumer=consumer.me,
            port=server.port if server else None,
        )
        consumer.run()
    except Stopped as stopped:
        log.warning("stopped before it began", why=str(stopped))
    finally:
        if following:
            following.stop()
        if server:
            server.close()
    log.info("stopped")


def answers(
    consumer: Callable[[], Consumer | _Waiting],
    scoring: Callable[[], Scoring | None],
    following: Following | None,
    metrics: StreamMetrics,
    settings: ConsumeSettings,
) -> Answers:
    """Path -> answer of the consumer's port."""

    def idle() -> bool:
        return following is not None and following.idle and not scoring()

    def why() -> str:
        if scoring():
            return consumer().trouble
        return "no model is promoted yet" if idle() else "the promoted model is not loaded yet"

    def status(_query: str) -> Answer:
        now, reader = scoring(), consumer()
        return document(
            200,
            {
                "application": settings.application,
                "consumer": reader.me,
                "shards": {
                    name: {"sequence": held.lease.sequence, "behind": held.behind}
                    for name, held in sorted(dict(reader.held).items())
                },
                "model_version": now.stable.release.version if now else None,
                "candidate": now.trial.release.version if now and now.trial else None,
                "weight": now.weight if now else 0,
                "trouble": why() or None,
            },
        )

    def ready(_query: str) -> Answer:
        # As a slot without a model is: nothing can be waited for.
        told = "" if idle() else why()
        return document(503 if told else 200, {"ready": not told, "why": told})

    def lives(_query: str) -> Answer:
        hung = time.monotonic() - consumer().seen > HUNG
        return document(503 if hung else 200, {"alive": not hung})

    return {
        "/status": status,
        "/metrics": lambda _query: (200, CONTENT_TYPE_LATEST, metrics.expose()),
        "/readyz": ready,
        "/livez": lives,
    }


def _scoring(
    settings: ConsumeSettings, cluster: Cluster | None
) -> tuple[Callable[[], Scoring | None], Following | None]:
    """What gives the scoring of the moment, and what follows the cluster for it."""
    name, most = settings.stream_name, settings.max_record_bytes
    if cluster is None:
        loaded = obtain(settings)
        if loaded is None:
            raise InvalidConfig("SLIPWAY_RELEASE_FILE: there is no such file")
        processor = Processor(
            loaded.scorer, loaded.release, name, max_bytes=most, tries=settings.tries
        )
        pinned = Scoring(processor)
        return lambda: pinned, None
    following = Following(
        cluster,
        settings,
        functools.partial(processor_of, stream=name, max_bytes=most, tries=settings.tries),
        functools.partial(candidate_of, settings, stream=name, max_bytes=most),
        settings.follow_seconds,
    )
    following.start()
    return lambda: following.scoring, following


def _consumer(
    settings: ConsumeSettings,
    scoring: Callable[[], Scoring | None],
    metrics: StreamMetrics,
    patience: Patience,
) -> Consumer:
    kinesis = aws_client("kinesis", settings.kinesis_endpoint)
    dynamo = aws_client("dynamodb", settings.dynamodb_endpoint or settings.kinesis_endpoint)
    source = KinesisStream(kinesis, settings.stream_name)
    made = patience.until_done(source.made)
    group = group_of(settings.application, settings.stream_name, made)
    pod = settings.pod or socket.gethostname()
    output = KinesisStream(kinesis, settings.output_stream)
    letters: Letters = _no_letters
    if settings.dead_letters:
        letters = letters_to(
            settings.dead_letters,
            kinesis,
            settings.s3_endpoint,
            settings.application,
            settings.stream_name,
            patience,
        )
    checkpoints = DynamoCheckpoints(dynamo, settings.checkpoint_table, group)
    since = time.time() if settings.start_at == "newest" else 0.0
    return Consumer(
        # A process of its own: whoever holds a shard must be one.
        f"{pod}_{uuid.uuid4().hex[:8]}",
        Places(source, output, letters, checkpoints),
        scoring,
        patience,
        metrics,
        Rules(settings.batch_records, settings.poll_seconds, settings.silent_seconds, since),
    )


def _no_letters(_bad: object) -> None:
    """Nobody asked for letters; the log has a line for each bad record."""
