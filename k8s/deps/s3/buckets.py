"""Makes the buckets that are named; waits until the store answers, two minutes at most."""

from __future__ import annotations

import sys
import time

import boto3
from botocore.exceptions import ClientError, EndpointConnectionError

WAIT_SECONDS = 120.0
POLL_SECONDS = 1.0
THERE = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")


def main(names: list[str]) -> None:
    """Endpoint and credentials are boto3's own variables; any other refusal ends with a trace."""
    client = boto3.client("s3")
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            client.list_buckets()
            break
        except EndpointConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)
    for name in names:
        try:
            client.create_bucket(Bucket=name)
            print(f"{name}: made")
        except ClientError as error:
            if error.response["Error"]["Code"] not in THERE:
                raise
            print(f"{name}: there")


if __name__ == "__main__":
    main(sys.argv[1:])
