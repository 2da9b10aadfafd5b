"""Kinesis as a Stream, by boto3; its exceptions end here.

Nothing is repeated in here: whoever reads or writes decides how long to be patient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from slipway.clients.streams import Batch, Entry, Position, Record, Shard
from slipway.errors import (
    AccessDenied,
    InputDataMissing,
    InvalidConfig,
    IteratorExpired,
    SlipwayError,
    Throttled,
    Unavailable,
)

_THROTTLED = frozenset(
    [
        "LimitExceededException",
        "KMSThrottlingException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
    ]
)
_DENIED = frozenset(
    [
        "AccessDeniedException",
        "ExpiredTokenException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    ]
)
_REFUSED = frozenset(["InvalidArgumentException", "ValidationException"])


def aws_client(service: str, endpoint: str = "") -> Any:
    """A boto3 client that asks once and gives up within seconds."""
    config = Config(
        connect_timeout=2, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 1}
    )
    session = boto3.session.Session()
    region = session.region_name or "us-east-1"
    return session.client(
        service,  # type: ignore[call-overload]
        endpoint_url=endpoint or None,
        region_name=region,
        config=config,
    )


@contextmanager
def aws_errors(what: str) -> Iterator[None]:
    """Turns what boto3 raises within the block into our own errors; `what` is asked."""
    try:
        yield
    except NoCredentialsError as error:
        raise AccessDenied(
            f"no credentials for {what}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from error
    except ClientError as error:
        told = error.response.get("Error", {})
        raise _of_code(what, told.get("Code", ""), told.get("Message", "")) from error
    except (BotoCoreError, OSError) as error:
        address = getattr(error, "kwargs", {}).get("endpoint_url")
        where = f" at {address}" if address else ""
        raise Unavailable(f"{what} does not answer{where}: {type(error).__name__}") from error


def _of_code(what: str, code: str, message: str) -> SlipwayError:
    if code in _THROTTLED:
        return Throttled(f"{what} wants to be asked less often ({code})")
    if code == "ExpiredIteratorException":
        return IteratorExpired(f"{what}: the shard iterator has timed out")
    if code == "ResourceNotFoundException":
        return InputDataMissing(f"{what} is not there")
    if code in _DENIED:
        return AccessDenied(f"{what} refuses the credentials ({code})")
    if code in _REFUSED:
        return InvalidConfig(f"{what} refuses what it was asked for: {message[:200]}")
    return Unavailable(f"{what} answers {code or 'an error'}")


class KinesisStream:
    """One stream of Kinesis, or of what speaks its protocol."""

    def __init__(self, client: Any, name: str) -> None:
        self.name = name
        self._client = client
        self._what = f"the stream {name}"

    def made(self) -> str:
        """The second of its creation."""
        with aws_errors(self._what):
            told = self._client.describe_stream_summary(StreamName=self.name)
        return str(int(told["StreamDescriptionSummary"]["StreamCreationTimestamp"].timestamp()))

    def shards(self) -> list[Shard]:
        """All shards, by pages."""
        found: list[Shard] = []
        asked: dict[str, Any] = {"StreamName": self.name}
        while True:
            with aws_errors(self._what):
                page = self._client.list_shards(**asked)
            found += [_shard(told) for told in page["Shards"]]
            if not page.get("NextToken"):
                return found
            asked = {"NextToken": page["NextToken"]}

    def iterator(self, shard: str, position: Position) -> str:
        """A shard iterator; it holds for five minutes."""
        where: dict[str, Any] = {"ShardIteratorType": "TRIM_HORIZON"}
        if position.after:
            where = {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "StartingSequenceNumber": position.after,
            }
        elif position.since:
            since = datetime.fromtimestamp(position.since, UTC)
            where = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": since}
        with aws_errors(self._what):
            told = self._client.get_shard_iterator(StreamName=self.name, ShardId=shard, **where)
        return str(told["ShardIterator"])

    def read(self, shard: str, iterator: str, limit: int) -> Batch:
        """One GetRecords."""
        with aws_errors(self._what):
            told = self._client.get_records(ShardIterator=iterator, Limit=limit)
        records = tuple(
            Record(
                shard,
                record["SequenceNumber"],
                record["PartitionKey"],
                record["Data"],
                record["ApproximateArrivalTimestamp"].timestamp(),
            )
            for record in told["Records"]
        )
        behind = (told.get("MillisBehindLatest") or 0) / 1000
        return Batch(records, told.get("NextShardIterator"), behind)

    def put(self, entries: Sequence[Entry]) -> list[int]:
        """One PutRecords."""
        records = [{"Data": entry.data, "PartitionKey": entry.key} for entry in entries]
        with aws_errors(self._what):
            told = self._client.put_records(StreamName=self.name, Records=records)
        if not told.get("FailedRecordCount"):
            return []
        return [index for index, each in enumerate(told["Records"]) if each.get("ErrorCode")]


def _shard(told: dict[str, Any]) -> Shard:
    parents = (told.get("ParentShardId"), told.get("AdjacentParentShardId"))
    ending = told.get("SequenceNumberRange", {}).get("EndingSequenceNumber") or ""
    return Shard(told["ShardId"], tuple(name for name in parents if name), ending)
