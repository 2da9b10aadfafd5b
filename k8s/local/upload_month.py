"""Puts a made-up month of rides into a bucket, unless it is there; says which.

`python -m k8s.local.upload_month ENDPOINT BUCKET TAXI_TYPE YEAR MONTH ROWS`, with the store's
credentials in boto3's own variables.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path


def main(endpoint: str, bucket: str, taxi_type: str, year: str, month: str, rows: str) -> None:
    """Make and upload it."""
    from slipway.clients.objects import s3_client
    from slipway.examples.synthetic import Recipe, write_month

    recipe = Recipe(taxi_type, int(year), int(month), rows=int(rows))
    client = s3_client(endpoint)
    there = client.list_objects_v2(Bucket=bucket, Prefix=recipe.file_name)["KeyCount"]
    if not there:
        with tempfile.TemporaryDirectory() as made:
            path = Path(made) / recipe.file_name
            write_month(path, recipe)
            client.upload_file(str(path), bucket, recipe.file_name)
    print("there" if there else f"{recipe.file_name} made")


if __name__ == "__main__":
    main(*sys.argv[1:])
