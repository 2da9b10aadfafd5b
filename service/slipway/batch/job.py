"""The whole batch: one month in, one object out by one put, a summary beside it.

The output is a function of the input's bytes and the release alone: no clock, no chance. A run
that is killed leaves nothing under the output's name, and the next one makes the same bytes.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from slipway.batch.shards import Shard
from slipway.batch.tables import MonthScorer, Totals, open_month, output_schema
from slipway.clients.tables import Source, Store
from slipway.errors import InputDataInvalid, InvalidConfig
from slipway.models.obtain import Loaded

SCHEMA = "1"

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Job:
    """What is scored, from where and to where; `replace` does it over whatever is there."""

    shard: Shard
    input: str
    output: str
    uuids: bool = False
    replace: bool = False

    @property
    def input_uri(self) -> str:
        """The month's file: the input itself if it is one, else the month below it."""
        if self.input.endswith(".parquet"):
            return self.input
        return f"{self.input.rstrip('/')}/{self.shard.input_name}"

    def output_uri(self, version: str) -> str:
        """The output without its ending."""
        return f"{self.output.rstrip('/')}/{self.shard.output_key(version)}"


@dataclass(frozen=True)
class Outcome:
    """A job's summary, where its output lies, and whether it was there before."""

    summary: dict[str, Any]
    uri: str
    already_there: bool


def run(job: Job, loaded: Loaded, store: Store, progress: Progress = lambda *_: None) -> Outcome:
    """Score the month; raises InputDataMissing, InputDataInvalid, ModelFailed or Unavailable."""
    if loaded.release.use_case != "rides":
        raise InvalidConfig(
            f"the model's use case is {loaded.release.use_case!r}; months of rides need 'rides'"
        )
    version = loaded.release.version
    uri = job.output_uri(version)
    with tempfile.TemporaryDirectory(prefix="slipway-") as scratch:
        source = store.read(job.input_uri, Path(scratch, "input.parquet"))
        made_from = _made_from(job, loaded, source)
        known = None if job.replace else _known(store, uri, made_from)
        if known is not None:
            return Outcome(known, f"{uri}.parquet", already_there=True)
        scored = Path(scratch, "output.parquet")
        totals = _score(job, loaded, source, scored, made_from, progress)
        summary = made_from | summarise(totals)
        store.write(scored, f"{uri}.parquet")
        store.write_text(json.dumps(summary, indent=2) + "\n", f"{uri}.summary.json")
    return Outcome(summary, f"{uri}.parquet", already_there=False)


def summarise(totals: Totals) -> dict[str, Any]:
    """The figures of a run; means are None where no ride was scored."""
    count = totals.scored
    return {
        "rows": totals.rows,
        "scored": count,
        "dropped": {reason: number for reason, number in totals.dropped.items() if number},
        "mean_predicted": totals.predicted / count if count else None,
        "mean_actual": totals.actual / count if count else None,
        "mean_absolute_error": totals.error / count if count else None,
        "share_beyond_10": totals.beyond / count if count else None,
    }


def _made_from(job: Job, loaded: Loaded, source: Source) -> dict[str, Any]:
    return {
        **asdict(job.shard),
        "answer": loaded.scorer.use_case.answer,
        "model_version": loaded.release.version,
        "model_digest": loaded.release.digest,
        "ids": "uuid5" if job.uuids else "row",
        "input": {"name": source.name, "bytes": source.size, "sha256": source.sha256},
    }


def _known(store: Store, uri: str, made_from: dict[str, Any]) -> dict[str, Any] | None:
    """The summary of an output that was made from just this, or None."""
    text = store.read_text(f"{uri}.summary.json")
    if text is None or not store.exists(f"{uri}.parquet"):
        return None
    try:
        summary = json.loads(text)
    except ValueError:
        return None
    same = isinstance(summary, dict) and summary.items() >= made_from.items()
    return summary if same else None


def _score(
    job: Job,
    loaded: Loaded,
    source: Source,
    target: Path,
    made_from: dict[str, Any],
    progress: Progress,
) -> Totals:
    answer = loaded.scorer.use_case.answer
    metadata = {"slipway.schema": SCHEMA, "slipway.made_from": json.dumps(made_from)}
    schema = output_schema(answer, metadata)
    scorer = MonthScorer(
        job.shard, loaded.scorer, loaded.release.version, schema=schema, uuids=job.uuids
    )
    with (
        open_month(source.path) as month,
        pq.ParquetWriter(target, schema, compression="zstd") as writer,
    ):
        for batch in scorer.batches(month):
            writer.write_batch(batch)
            progress(scorer.totals.rows, month.metadata.num_rows)
    if scorer.totals.scored == 0:
        raise InputDataInvalid("no ride of the file can be scored; the columns may be mixed up")
    return scorer.totals
