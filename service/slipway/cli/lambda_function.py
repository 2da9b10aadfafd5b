"""`slipway lambda`: the stream's handler under AWS Lambda, or answering here as Lambda does."""

from __future__ import annotations

import os
import signal
import threading

import click
import structlog

from slipway import logs
from slipway.errors import SlipwayError
from slipway.settings import LambdaSettings, read_settings
from slipway.stream.lambda_handler import handler_of
from slipway.stream.lambda_runtime import INVOCATIONS, LocalFront, Runtime

log = structlog.get_logger(__name__)


@click.command("lambda")
@click.option("--host", help="The address to listen on [127.0.0.1].")
@click.option("--port", type=int, help="The port to listen on [8080].")
def lambda_function(host: str | None, port: int | None) -> None:
    """Run the stream's handler: Lambda's container image has this as its command.

    Lambda itself is found by the variable AWS_LAMBDA_RUNTIME_API. Without it a local server takes
    events at /2015-03-31/functions/function/invocations.
    """
    logs.configure()
    runtime = os.environ.get("AWS_LAMBDA_RUNTIME_API")
    try:
        settings = read_settings(LambdaSettings, lambda_host=host, lambda_port=port)
        handler = handler_of(settings)
    except SlipwayError as error:
        if runtime:
            Runtime(runtime).refuse(error)
        raise
    if runtime:
        Runtime(runtime).serve(lambda event, _context: handler(event))
        return
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    front = LocalFront(
        settings.lambda_host, settings.lambda_port, lambda event, _context: handler(event)
    )
    front.start()
    log.info("answering", port=front.port, path=INVOCATIONS)
    stop.wait()
    front.close()
