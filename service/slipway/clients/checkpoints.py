"""Where an application's consumers are in their stream: one DynamoDB table for all applications.

A row is a shard's lease or a consumer's sign of life. Whoever takes a lease raises its epoch; every
later write of it demands owner and epoch, so a consumer that was paused or cut off past its time
can move no checkpoint any more. No clock is compared: who is alive is seen by beats that change.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.exceptions import ClientError

from slipway.clients.kinesis import aws_errors
from slipway.errors import Conflict, InputDataMissing, SlipwayError

_SHARD, _WORKER = "shard#", "worker#"
_KEYS = ("application", "item")
_NAMES = {"#owner": "owner", "#epoch": "epoch"}


@dataclass(frozen=True)
class Lease:
    """A shard, who reads it, and up to where: everything up to `sequence` has been put.

    `since` is where a shard is begun that has no checkpoint (seconds since 1970; 0: its beginning).
    """

    shard: str
    owner: str = ""
    epoch: int = 0
    sequence: str = ""
    since: float = 0.0
    finished: bool = False


@dataclass(frozen=True)
class Worker:
    """A consumer's sign of life: a number that changes while it lives."""

    name: str
    beat: int


class Checkpoints(Protocol):
    """The rows of one application and stream. All calls raise Unavailable."""

    def rows(self) -> tuple[list[Lease], list[Worker]]:
        """All of them, as they are now."""

    def beat(self, worker: str, beat: int) -> None:
        """Show that a consumer lives."""

    def leave(self, worker: str) -> None:
        """Remove a consumer's sign of life."""

    def take(self, lease: Lease, owner: str) -> Lease:
        """Take a lease in a new epoch; raises Conflict if its epoch is not the one that was seen.

        The answer has the checkpoint as it is now.
        """

    def save(self, lease: Lease, *, release: bool = False) -> None:
        """Write a lease that is held, and give it back if asked; raises Conflict if it is lost."""

    def forget(self, lease: Lease) -> None:
        """Remove a finished shard's row."""


def group_of(application: str, stream: str, made: str) -> str:
    """An application with its stream, which was `made` at a time.

    A stream that is made anew under the same name has other records under the same numbers.
    """
    return f"{application}/{stream}/{made}"


class DynamoCheckpoints:
    """Checkpoints in DynamoDB; `group` as group_of makes it.

    Who only looks does not make the table.
    """

    def __init__(self, client: Any, table: str, group: str, *, makes_table: bool = True) -> None:
        self._client = client
        self._table = table
        self._group = group
        self._makes_table = makes_table
        self._what = f"the checkpoint table {table}"

    def rows(self) -> tuple[list[Lease], list[Worker]]:
        """One consistent query, by pages; the first makes the table if there is none."""
        try:
            items = list(self._query())
        except InputDataMissing:
            if self._makes_table:
                self._create()
            items = []
        leases = [_lease(item) for item in items if item["item"]["S"].startswith(_SHARD)]
        workers = [
            Worker(item["item"]["S"].removeprefix(_WORKER), int(item["beat"]["N"]))
            for item in items
            if item["item"]["S"].startswith(_WORKER)
        ]
        return leases, workers

    def beat(self, worker: str, beat: int) -> None:
        """One put."""
        item = self._key(_WORKER + worker) | {"beat": {"N": str(beat)}}
        with aws_errors(self._what):
            self._client.put_item(TableName=self._table, Item=item)

    def leave(self, worker: str) -> None:
        """One delete."""
        with aws_errors(self._what):
            self._client.delete_item(TableName=self._table, Key=self._key(_WORKER + worker))

    def take(self, lease: Lease, owner: str) -> Lease:
        """One update: epoch and owner, and `since` where the row is new."""
        condition, values = "attribute_not_exists(#epoch)", {":next": {"N": str(lease.epoch + 1)}}
        if lease.epoch:
            condition = "#epoch = :seen"
            values[":seen"] = {"N": str(lease.epoch)}
        with _conflicts(f"the shard {lease.shard} was taken by another"), aws_errors(self._what):
            told = self._client.update_item(
                TableName=self._table,
                Key=self._key(_SHARD + lease.shard),
                UpdateExpression="SET #owner = :owner, #epoch = :next, "
                "#since = if_not_exists(#since, :since)",
                ConditionExpression=condition,
                ExpressionAttributeNames=_NAMES | {"#since": "since"},
                ExpressionAttributeValues={
                    **values,
                    ":owner": {"S": owner},
                    ":since": {"N": repr(lease.since)},
                },
                ReturnValues="ALL_NEW",
            )
        return _lease(told["Attributes"])

    def save(self, lease: Lease, *, release: bool = False) -> None:
        """One put of the whole row, if owner and epoch are still these."""
        written = dataclasses.replace(lease, owner="") if release else lease
        self._if_held(
            lease, self._client.put_item, Item=self._key(_SHARD + lease.shard) | _item(written)
        )

    def forget(self, lease: Lease) -> None:
        """One delete, if owner and epoch are still these."""
        self._if_held(lease, self._client.delete_item, Key=self._key(_SHARD + lease.shard))

    def _if_held(self, lease: Lease, call: Any, **given: Any) -> None:
        with _conflicts(f"the shard {lease.shard} was taken by another"), aws_errors(self._what):
            call(
                TableName=self._table,
                ConditionExpression="#owner = :owner AND #epoch = :epoch",
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues={
                    ":owner": {"S": lease.owner},
                    ":epoch": {"N": str(lease.epoch)},
                },
                **given,
            )

    def _query(self) -> Iterator[dict[str, Any]]:
        asked: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "application = :group",
            "ExpressionAttributeValues": {":group": {"S": self._group}},
            "ConsistentRead": True,
        }
        while True:
            with aws_errors(self._what):
                page = self._client.query(**asked)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _create(self) -> None:
        """Several consumers may do this at once; a table that is being made is none yet."""
        try:
            with aws_errors(self._what):
                self._client.create_table(
                    TableName=self._table,
                    BillingMode="PAY_PER_REQUEST",
                    KeySchema=[
                        {"AttributeName": name, "KeyType": kind}
                        for name, kind in zip(_KEYS, ("HASH", "RANGE"), strict=True)
                    ],
                    AttributeDefinitions=[
                        {"AttributeName": name, "AttributeType": "S"} for name in _KEYS
                    ],
                )
        except SlipwayError as error:
            if _code_of(error) != "ResourceInUseException":
                raise

    def _key(self, item: str) -> dict[str, Any]:
        return {"application": {"S": self._group}, "item": {"S": item}}


@contextmanager
def _conflicts(told: str) -> Iterator[None]:
    """A condition that does not hold is a fact of its own, no failure of the table."""
    try:
        yield
    except SlipwayError as error:
        if _code_of(error) == "ConditionalCheckFailedException":
            raise Conflict(told) from error
        raise


def _code_of(error: SlipwayError) -> str:
    cause = error.__cause__
    return (
        str(cause.response.get("Error", {}).get("Code", ""))
        if isinstance(cause, ClientError)
        else ""
    )


def _lease(item: dict[str, Any]) -> Lease:
    return Lease(
        shard=item["item"]["S"].removeprefix(_SHARD),
        owner=item.get("owner", {}).get("S", ""),
        epoch=int(item["epoch"]["N"]),
        sequence=item.get("sequence", {}).get("S", ""),
        since=float(item.get("since", {}).get("N", 0)),
        finished=item.get("finished", {}).get("BOOL", False),
    )


def _item(lease: Lease) -> dict[str, Any]:
    return {
        "owner": {"S": lease.owner},
        "epoch": {"N": str(lease.epoch)},
        "sequence": {"S": lease.sequence},
        "since": {"N": repr(lease.since)},
        "finished": {"BOOL": lease.finished},
    }
