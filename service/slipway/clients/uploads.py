"""Puts one file into a store by one put, within a time over all tries.

The store's own time-outs are for each piece of a transfer: one that gets on by a few bytes in each
of them would go on for days.
"""

from __future__ import annotations

import time
from typing import Any, BinaryIO

from botocore.exceptions import HTTPClientError

from slipway.clients.objects import s3_errors
from slipway.errors import Unavailable


def upload(client: Any, stream: BinaryIO, uri: str, seconds: float) -> None:
    """Put what `stream` holds at `s3://bucket/key`; all tries together take `seconds` at most.

    Besides them, each wait for the store's answer has the client's own limit. A put that is broken
    off leaves nothing: an object is there once its last byte has come. Raises Unavailable,
    AccessDenied, and ArtifactMissing where there is no such bucket.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = _Timed(stream, time.monotonic() + seconds)
    with s3_errors(uri):
        try:
            client.put_object(Bucket=bucket, Key=key, Body=body)
        except (_Late, HTTPClientError) as error:
            if not body.late:
                raise
            raise Unavailable(
                f"the object store (bucket {bucket}) takes {key.rsplit('/', 1)[-1]} too slowly; "
                "SLIPWAY_TRANSFER_SECONDS is the time that it has"
            ) from error


class _Late(Exception):
    """Raised out of a read; boto3 wraps it where it sends, and not where it signs."""


class _Timed:
    """A file of which nothing more is read after a time; boto3 reads, seeks and tells."""

    def __init__(self, stream: BinaryIO, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline
        self.late = False

    def read(self, amount: int = -1) -> bytes:
        self.late = time.monotonic() > self._deadline
        if self.late:
            raise _Late
        return self._stream.read(amount)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()
