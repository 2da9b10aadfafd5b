"""Stands for Kinesis and DynamoDB: moto's server, put right where it is not as Kinesis is.

    python stand_in.py [--host HOST] [--port PORT] [NAME:SHARDS …]

It makes the streams that are named, and keeps all in memory. Put right are:

- After a split or merge moto moves the old records to other shards under new numbers, and puts new
  ones to the closed shard. Here what was put stays where it is, and what comes goes to open shards.
- A closed shard that is read to its end has no next iterator.
- Puts at the same time may take the same sequence number: here there is one request at a time.
- Each put costs a metric of CloudWatch that nobody reads.
"""

from __future__ import annotations

import argparse
import functools
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

import boto3
from moto.kinesis.models import KinesisBackend, Stream
from moto.kinesis.utils import decompose_shard_iterator
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

PORT = 4566
REGION = "us-east-1"
WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def application(lock: AbstractContextManager[Any]) -> WSGI:
    """The server's WSGI application; whoever holds `lock` sees it at rest."""
    put_moto_right()
    inner = DomainDispatcherApplication(create_backend_app)

    def one_at_a_time(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        with lock:
            return list(inner(environ, start))

    return one_at_a_time


class Quiet(WSGIRequestHandler):
    """Consumers ask several times a second: no line for each request."""

    def log_request(self, *_: Any) -> None:
        """Nothing; errors are logged still."""


@functools.cache
def put_moto_right() -> None:
    """Replace what differs from Kinesis, once and for the whole process."""
    for owner, name, change in (
        (Stream, "split_shard", _records_stay),
        (Stream, "merge_shards", _records_stay),
        (Stream, "get_shard_for_key", _among_open_shards),
        (KinesisBackend, "get_records", _none_after_the_end),
        (KinesisBackend, "_send_stream_metrics", lambda _: lambda *_args, **_kwargs: None),
    ):
        setattr(owner, name, change(getattr(owner, name)))


def _records_stay(reshard: Any) -> Any:
    @functools.wraps(reshard)
    def resharded(self: Any, *which: str) -> None:
        before = {name: shard.records.copy() for name, shard in self.shards.items()}
        reshard(self, *which)
        for name, shard in self.shards.items():
            shard.records = before.get(name, type(shard.records)())

    return resharded


def _among_open_shards(choose: Any) -> Any:
    @functools.wraps(choose)
    def chosen(self: Any, *key: str) -> Any:
        there = {name: shard for name, shard in self.shards.items() if shard.is_open}
        return choose(SimpleNamespace(shards=there), *key)

    return chosen


def _none_after_the_end(read: Any) -> Any:
    @functools.wraps(read)
    def found(self: Any, stream_arn: str | None, shard_iterator: str, limit: int | None) -> Any:
        following, records, behind = read(self, stream_arn, shard_iterator, limit)
        name, shard, _ = decompose_shard_iterator(shard_iterator)
        stream = self.describe_stream(stream_arn=stream_arn, stream_name=name)
        is_open = stream.get_shard(shard).is_open
        return following if records or is_open else None, records, behind

    return found


def make_streams(url: str, wanted: Sequence[str]) -> None:
    """Make the streams `NAME:SHARDS`."""
    session = boto3.Session(aws_access_key_id="any", aws_secret_access_key="any")  # noqa: S106
    client = session.client("kinesis", endpoint_url=url, region_name=REGION)
    for each in wanted:
        name, _, shards = each.partition(":")
        client.create_stream(StreamName=name, ShardCount=int(shards or 1))


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description="A stand-in for Kinesis and DynamoDB.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("streams", nargs="*", metavar="NAME:SHARDS")
    asked = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    wsgi = application(threading.Lock())
    server = make_server(asked.host, asked.port, wsgi, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    make_streams(f"http://127.0.0.1:{server.server_port}", asked.streams)
    print(f"http://{asked.host}:{server.server_port}", flush=True)
    stop.wait()
    server.shutdown()


if __name__ == "__main__":
    main()
