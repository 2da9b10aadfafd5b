"""Puts events out and bad records aside. What was not taken is put again, and only that."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from slipway.clients.kinesis import KinesisStream
from slipway.clients.streams import Entry, Stream
from slipway.clients.tables import Store, is_s3
from slipway.errors import Throttled
from slipway.stream.patience import Patience
from slipway.stream.processor import Bad

# Kinesis' limits for one PutRecords, a little less than they are.
MAX_ENTRIES, MAX_BYTES = 500, 4_000_000
# Of a bad record's data this much goes into its letter.
MAX_KEPT = 256 * 1024

Letters = Callable[[Sequence[Bad]], None]


def put_all(stream: Stream, entries: Sequence[Entry], patience: Patience) -> None:
    """Put all of them, in as few requests as the limits allow. Raises Stopped."""
    for chunk in chunks(entries):
        left = list(chunk)

        def once() -> None:
            nonlocal left
            left = [left[index] for index in stream.put(left)]
            if left:
                raise Throttled(f"the stream {stream.name} did not take all records")

        patience.until_done(once)


def chunks(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Lists of entries within the limits of one request."""
    chunk: list[Entry] = []
    size = 0
    for entry in entries:
        weight = len(entry.data) + len(entry.key.encode())
        if chunk and (len(chunk) == MAX_ENTRIES or size + weight > MAX_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(entry)
        size += weight
    if chunk:
        yield chunk


def letter(bad: Bad, application: str, stream: str) -> bytes:
    """The dead letter of a bad record: all that is needed to find it, mend it and send it again."""
    record = bad.record
    return msgspec.json.encode(
        {
            "reason": bad.reason,
            "detail": bad.detail,
            "application": application,
            "stream": stream,
            "shard": record.shard,
            "sequence_number": record.sequence,
            "partition_key": record.key,
            "arrived": record.arrived,
            "tries": bad.tries,
            "bytes": len(record.data),
            "data": base64.b64encode(record.data[:MAX_KEPT]).decode(),
            "cut": len(record.data) > MAX_KEPT,
        }
    )


def letters_to(
    where: str, kinesis: Any, s3_endpoint: str, application: str, source: str, patience: Patience
) -> Letters:
    """Dead letters to a stream's name, s3://bucket/prefix or a folder's absolute path."""
    if is_s3(where) or where.startswith("/"):
        return letters_to_store(Store(s3_endpoint), where, application, source, patience)
    return letters_to_stream(KinesisStream(kinesis, where), application, source, patience)


def letters_to_stream(stream: Stream, application: str, source: str, patience: Patience) -> Letters:
    """Dead letters as records of a stream, keyed by the record's own key."""

    def send(bad: Sequence[Bad]) -> None:
        letters = [Entry(each.record.key, letter(each, application, source)) for each in bad]
        put_all(stream, letters, patience)

    return send


def letters_to_store(
    store: Store, uri: str, application: str, source: str, patience: Patience
) -> Letters:
    """Dead letters as objects; a name is the record's place, so a repeat replaces it."""

    def send(bad: Sequence[Bad]) -> None:
        for each in bad:
            place = f"{uri.rstrip('/')}/{application}/{source}/{each.record.shard}"
            text = letter(each, application, source).decode()
            target = f"{place}/{each.record.sequence}.json"
            patience.until_done(functools.partial(store.write_text, text, target))

    return send
