"""The limit: the columns of a month read and written again by pyarrow: MODEL INPUT OUTPUT."""

from __future__ import annotations

import sys

import pyarrow.parquet as pq

COLUMNS = [
    *("tpep_pickup_datetime", "tpep_dropoff_datetime"),
    *("PULocationID", "DOLocationID", "trip_distance"),
]


def main(source: str, target: str) -> None:
    """Read and write, a row group at a time."""
    month = pq.ParquetFile(source)
    writer = None
    for batch in month.iter_batches(columns=COLUMNS):
        writer = writer or pq.ParquetWriter(target, batch.schema)
        writer.write_batch(batch)
    if writer:
        writer.close()


if __name__ == "__main__":
    main(*sys.argv[2:])
