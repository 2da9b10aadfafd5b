"""`slipway stream send | read | lag`: a stream at a terminal."""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from slipway.cli.commands import AtLeast, Group, WholeNumber
from slipway.clients.checkpoints import DynamoCheckpoints, Lease, group_of
from slipway.clients.kinesis import KinesisStream, aws_client
from slipway.clients.streams import Entry, Position, Shard, Stream
from slipway.errors import (
    InvalidConfig,
    InvalidInput,
    IteratorExpired,
    Throttled,
    TimedOut,
)
from slipway.logs import configure_cli
from slipway.settings import ConsumeSettings, read_settings
from slipway.stream.patience import Patience, Stopped, within
from slipway.stream.shares import is_read_out
from slipway.stream.sink import put_all

POLL_SECONDS = 0.3
# Seconds in which a stream that is throttled is asked again.
PATIENCE_SECONDS = 20.0

stream_option = click.option("--stream", "named", help="The stream's name.")


@click.group(cls=Group)
def stream() -> None:
    """Send rides to a stream, read events from one, see how far consumers are."""
    configure_cli("warning")


@stream.command()
@click.argument(
    "file",
    type=Path,
    required=False,
    help="Lines of JSON, one record each; without it standard input.",
)
@stream_option
def send(file: Path | None, named: str | None) -> None:
    """Put records on the stream of rides: {"ride": {...}, "ride_id": 256}, one a line.

    What a line holds is not checked but for being JSON: bad records can be sent too.
    """
    settings = read_settings(ConsumeSettings, stream_name=named)
    source = KinesisStream(aws_client("kinesis", settings.kinesis_endpoint), settings.stream_name)
    text = file.read_bytes() if file else sys.stdin.buffer.read()
    entries = [_entry(number, line) for number, line in enumerate(text.splitlines(), 1) if line]
    with _patient() as patience:
        put_all(source, entries, patience)
    click.echo(f"sent {len(entries)} records to {source.name}", err=True)


@stream.command()
@stream_option
@click.option("--limit", type=WholeNumber(1), default=10, help="Records at most.")
@click.option("--seconds", type=AtLeast(0), default=5.0, help="Seconds to wait for them.")
@click.option("--newest", is_flag=True, help="Only what comes from now on.")
def read(named: str | None, limit: int, seconds: float, newest: bool) -> None:
    """Show a stream's records, one a line; without --stream those of the events.

    It has no checkpoint: what it shows is taken from nobody.
    """
    settings = read_settings(ConsumeSettings, output_stream=named)
    source = KinesisStream(aws_client("kinesis", settings.kinesis_endpoint), settings.output_stream)
    position = Position(since=time.time() if newest else 0.0)
    for shown, data in enumerate(_tail(source, position, time.monotonic() + seconds), 1):
        click.echo(data.decode("utf-8", "backslashreplace"))
        if shown == limit:
            return


@stream.command()
@click.argument("application", required=False, help="The consumer's name.")
@stream_option
@click.option("--output", "-o", default="text", help="text or json.")
def lag(application: str | None, named: str | None, output: str) -> None:
    """Show how far an application is, shard by shard: who reads it, and how many seconds behind."""
    settings = read_settings(ConsumeSettings, application=application, stream_name=named)
    if output not in ("text", "json"):
        raise InvalidInput("--output is text or json")
    if not settings.application:
        raise InvalidConfig("SLIPWAY_APPLICATION: name the consumer, as in `stream lag NAME`")
    source = KinesisStream(aws_client("kinesis", settings.kinesis_endpoint), settings.stream_name)
    dynamo = aws_client("dynamodb", settings.dynamodb_endpoint or settings.kinesis_endpoint)
    group = group_of(settings.application, settings.stream_name, source.made())
    table = DynamoCheckpoints(dynamo, settings.checkpoint_table, group, makes_table=False)
    leases, _ = table.rows()
    if not leases:
        told = f"no consumer {settings.application} has begun with {source.name}"
        click.echo(told, err=True)
    known = {lease.shard: lease for lease in leases}
    with _patient() as patience:
        rows = [
            patience.until_done(functools.partial(_row, source, shard, known.get(shard.name)))
            for shard in source.shards()
        ]
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo(
            f"{row['shard']}  {row['state']:<9}  {row['behind']:>8.1f} s behind"
            f"  after {row['sequence'] or '-'}  {row['owner'] or 'nobody'}"
        )


@contextmanager
def _patient() -> Iterator[Patience]:
    """A patience with a stream that is throttled; what is wrong otherwise is said at once."""
    try:
        with within(PATIENCE_SECONDS, mends=(Throttled,)) as patience:
            yield patience
    except Stopped as stopped:
        raise TimedOut(f"given up after {PATIENCE_SECONDS:.0f} s: {stopped}") from stopped


def _entry(number: int, line: bytes) -> Entry:
    try:
        told = json.loads(line)
    except ValueError as error:
        raise InvalidInput(f"line {number} is no JSON") from error
    key = told.get("ride_id") if isinstance(told, Mapping) else None
    return Entry(str(number if key in (None, "") else key)[:256], line)


def _tail(source: Stream, position: Position, deadline: float) -> Iterator[bytes]:
    # None where a shard is read to its end.
    iterators: dict[str, str | None] = {}
    shown: dict[str, Position] = {}
    while True:
        found = False
        for name in [shard.name for shard in source.shards()]:
            try:
                if name not in iterators:
                    iterators[name] = source.iterator(name, shown.get(name, position))
                if (iterator := iterators[name]) is None:
                    continue
                batch = source.read(name, iterator, 1000)
            except IteratorExpired:
                # Whoever reads the lines took longer over them than an iterator holds.
                del iterators[name]
                found = True
                continue
            except Throttled:
                continue
            iterators[name] = batch.following
            for record in batch.records:
                found = True
                shown[name] = Position(record.sequence)
                yield record.data
        if not found:
            if time.monotonic() >= deadline:
                return
            time.sleep(POLL_SECONDS)


def _row(source: Stream, shard: Shard, lease: Lease | None) -> dict[str, Any]:
    held = lease or Lease(shard.name)
    behind, state = 0.0, "finished"
    if not held.finished:
        position = Position(held.sequence, held.since)
        batch = source.read(shard.name, source.iterator(shard.name, position), 1)
        first = batch.records[0].arrived if batch.records else 0.0
        # Of the first record that was not read, or what the server says where it tells more.
        behind = max(batch.behind, time.time() - first if first else 0.0)
        done = not batch.records and is_read_out(shard, held.sequence)
        state = "read out" if done else "reading" if lease else "not begun"
    return {
        "shard": shard.name,
        "state": state,
        "behind": round(behind, 3),
        "sequence": held.sequence,
        "owner": held.owner,
    }
