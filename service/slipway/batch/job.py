"""The whole batch: one month in, one object out by one put, a summary beside it.

The output is a function of the input's bytes and the release alone: no clock, no chance. A run
that is killed leaves nothing under the output's name, and the next one makes the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from slipway.batch.forms import OWN, Form
from slipway.batch.shards import Shard, names_file
from slipway.batch.tables import (
    DROPPED,
    MonthScorer,
    Totals,
    count_rows,
    open_month,
    read_month,
)
from slipway.clients.tables import Source, Store, is_web
from slipway.errors import InputDataInvalid, InvalidConfig
from slipway.models.obtain import Loaded

SCHEMA = "1"

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Job:
    """What is scored, from where and to where; `replace` does it over whatever is there.

    The input is a folder, or one file, or a pattern of files that make up the month; the output a
    folder or one file. Both may be in a store, the input also on a web server.
    """

    shard: Shard
    input: str
    output: str
    uuids: bool = False
    replace: bool = False
    form: Form = OWN
    max_dropped: float = 1.0
    """The share of rides that may be left out; with more of them nothing is written."""
    keep_dropped: bool = False
    """Write the ids of the rides that were left out, with the reasons, beside the output."""

    def __post_init__(self) -> None:
        """Refuse what would fail after all the work only."""
        if is_web(self.output):
            raise InvalidConfig(
                "nothing can be written to a web server; the output is a folder or s3://bucket"
            )

    @property
    def input_uri(self) -> str:
        """The month's file, or the pattern of its files."""
        return self.shard.input_uri(self.input)

    def output_uri(self, version: str) -> str:
        """The output without its ending."""
        filled = self.shard.fill(self.output)
        if names_file(filled):
            return filled.removesuffix(".parquet")
        return f"{filled.rstrip('/')}/{self.shard.output_key(version)}{self.form.suffix}"


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
        sources = read_input(job, store, Path(scratch))
        made_from = _made_from(job, loaded, sources)
        known = None if job.replace else _known(store, uri, made_from)
        if known is not None:
            return Outcome(known, f"{uri}.parquet", already_there=True)
        scored, dropped = Path(scratch, "output.parquet"), Path(scratch, "dropped.parquet")
        totals = _score(job, loaded, sources, (scored, dropped), made_from, progress)
        summary = made_from | summarise(totals)
        if job.keep_dropped:
            store.write(dropped, f"{uri}.dropped.parquet")
        store.write(scored, f"{uri}.parquet")
        store.write_text(json.dumps(summary, indent=2) + "\n", f"{uri}.summary.json")
    return Outcome(summary, f"{uri}.parquet", already_there=False)


def check(job: Job, store: Store) -> dict[str, Any]:
    """Read and judge the month, without a model and without an output: the first step alone."""
    totals = Totals()
    with tempfile.TemporaryDirectory(prefix="slipway-") as scratch:
        sources = read_input(job, store, Path(scratch))
        _rows(sources)
        for source in sources:
            with open_month(source) as month:
                for rides in read_month(month, "duration"):
                    totals.judge(rides)
                    totals.scored += len(rides.positions)
        _check(totals, job.max_dropped)
        return {
            **asdict(job.shard),
            "input": identify(sources),
            "rows": totals.rows,
            "usable": totals.scored,
            "dropped": {reason: count for reason, count in totals.dropped.items() if count},
        }


def read_input(job: Job, store: Store, scratch: Path) -> list[Source]:
    """The month's files on the local disk, sorted by their names; raises InputDataMissing."""
    uris = store.matching(job.input_uri)
    return [store.read(uri, scratch / f"input-{n}.parquet") for n, uri in enumerate(uris)]


def summarise(totals: Totals) -> dict[str, Any]:
    """The figures of a run; means are None where no ride was scored."""
    count = totals.scored
    return {
        "rows": totals.rows,
        "scored": count,
        "dropped": {reason: number for reason, number in totals.dropped.items() if number},
        "mean_predicted": totals.predicted / count if count else None,
        "std_predicted": totals.deviation,
        "mean_actual": totals.actual / count if count else None,
        "mean_absolute_error": totals.error / count if count else None,
        "share_beyond_10": totals.beyond / count if count else None,
    }


def identify(sources: Sequence[Source]) -> dict[str, Any]:
    """What names the input's bytes; of several files the digest is over their digests."""
    digest = sources[0].sha256
    if len(sources) > 1:
        lines = "".join(f"{each.sha256} {each.name}\n" for each in sources)
        digest = hashlib.sha256(lines.encode()).hexdigest()
    return {
        "name": sources[0].name,
        "files": len(sources),
        "bytes": sum(each.size for each in sources),
        "sha256": digest,
    }


def _made_from(job: Job, loaded: Loaded, sources: Sequence[Source]) -> dict[str, Any]:
    return {
        **asdict(job.shard),
        "answer": loaded.scorer.use_case.answer,
        "model_version": loaded.release.version,
        "model_digest": loaded.release.digest,
        "form": job.form.name,
        "ids": "uuid5" if job.uuids else "row",
        "input": identify(sources),
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
    sources: Sequence[Source],
    targets: tuple[Path, Path],
    made_from: dict[str, Any],
    progress: Progress,
) -> Totals:
    metadata = {"slipway.schema": SCHEMA, "slipway.made_from": json.dumps(made_from)}
    schema = job.form.schema(loaded.scorer.use_case.answer, metadata)
    scorer = MonthScorer(
        job.shard, loaded.scorer, loaded.release.version, job.form, uuids=job.uuids
    )
    rows = _rows(sources)
    with (
        pq.ParquetWriter(targets[0], schema, compression=job.form.compression) as writer,
        pq.ParquetWriter(targets[1], DROPPED, compression="zstd") as dropped,
    ):
        for source in sources:
            with open_month(source) as month:
                for scored, left_out in scorer.batches(month, schema):
                    writer.write_batch(scored)
                    if job.keep_dropped:
                        dropped.write_batch(left_out)
                    progress(scorer.totals.rows, rows)
    _check(scorer.totals, job.max_dropped)
    return scorer.totals


def _rows(sources: Sequence[Source]) -> int:
    rows = sum(count_rows(source) for source in sources)
    if rows == 0:
        raise InputDataInvalid(f"{sources[0].name} holds no rides")
    return rows


def _check(totals: Totals, max_dropped: float) -> None:
    left_out = totals.rows - totals.scored
    most = max(totals.dropped, key=lambda reason: totals.dropped[reason])
    if totals.scored == 0:
        raise InputDataInvalid(
            f"no ride of the file can be scored, most of them for {most}; "
            "the columns may be mixed up"
        )
    if left_out > max_dropped * totals.rows:
        raise InputDataInvalid(
            f"{left_out} of {totals.rows} rides cannot be scored, most of them for {most}; "
            f"the limit is {max_dropped:.1%} (--max-dropped)"
        )
