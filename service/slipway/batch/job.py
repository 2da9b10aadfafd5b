"""The whole batch: one month or period in, one object out by one put, a summary beside it.

The output is a function of the input's bytes and the release alone: no clock, no chance. A run
that is killed leaves nothing under the output's name, and the next one makes the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from slipway.batch.forms import HOMEWORK, OWN, Form
from slipway.batch.output import writing
from slipway.batch.ride_model import RideModel
from slipway.batch.shards import Part, Shard, names_file
from slipway.batch.table_model import TableModel
from slipway.batch.table_scorer import TableScorer
from slipway.batch.tables import (
    MonthScorer,
    Totals,
    count_rows,
    open_month,
    read_month,
    spare_pandas,
)
from slipway.clients.tables import Source, Store, is_web
from slipway.errors import InputDataInvalid, InvalidConfig
from slipway.models.release import Release
from slipway.scoring.scorer import Scorer

SCHEMA = "1"

Progress = Callable[[int, int], None]
# The scored rows, and those left out.
_Batches = tuple[pa.RecordBatch, pa.RecordBatch]


@dataclass(frozen=True)
class Job:
    """What is scored, from where and to where; `replace` does it over whatever is there.

    The input is a folder, or one file, or a pattern of files that make up the month; the output a
    folder or one file. Both may be in a store, the input also on a web server.
    """

    part: Part
    input: str
    output: str
    uuids: bool = False
    replace: bool = False
    form: Form = OWN
    max_dropped: float = 1.0
    """The share of rides that may be left out; with more of them nothing is written."""
    keep_dropped: bool = False
    """Write the ids of the rides that were left out, with the reasons, beside the output."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """What the file calls the inputs of a model of tables, where that is another name."""
    keep: tuple[str, ...] = ()
    """Columns of the file that are written beside the predictions of a model of tables."""

    def __post_init__(self) -> None:
        """Refuse what would fail after all the work only."""
        if is_web(self.output):
            raise InvalidConfig(
                "nothing can be written to a web server; the output is a folder or s3://bucket"
            )

    @property
    def input_uri(self) -> str:
        """The month's file, or the pattern of its files."""
        return self.part.input_uri(self.input)

    def output_uri(self, version: str, candidate: str = "") -> str:
        """The output without its ending; one with a candidate's column has a name of its own."""
        filled = self.part.fill(self.output)
        if names_file(filled):
            return filled.removesuffix(".parquet")
        beside = f".candidate-{candidate}" if candidate else ""
        return f"{filled.rstrip('/')}/{self.part.output_key(version)}{self.form.suffix}{beside}"

    def check_models(self, use_case: str, candidate: str = "") -> None:
        """Refuse what does not fit a model of this use case, and a candidate of that."""
        if candidate and candidate != use_case:
            raise InvalidConfig(f"the candidate is a model of {candidate}, the model of {use_case}")
        if candidate and not (use_case == "tabular" or self.form.beside):
            raise InvalidConfig("the homework's form has no place for a candidate")
        if use_case == "rides" and (self.columns or self.keep):
            raise InvalidConfig(
                "a model of rides finds the TLC's columns by itself; --column and --keep are for "
                "models of any other table"
            )
        if use_case != "rides" and self.form is HOMEWORK:
            raise InvalidConfig("the homework's form is one of rides; this model is none of them")


class Model(Protocol):
    """A release, and what predicts with it: looked at only where there is something to score."""

    @property
    def release(self) -> Release:
        """The release lock."""

    @property
    def scorer(self) -> Scorer:
        """The model, loaded."""


@dataclass(frozen=True)
class _Models:
    """The model, and the candidate beside it if there is one."""

    model: Model
    candidate: Model | None

    @property
    def all(self) -> list[Model]:
        """One or two."""
        return [self.model, self.candidate] if self.candidate else [self.model]

    @property
    def answer(self) -> str:
        """What is predicted; raises InvalidConfig where the two differ in that."""
        answer, *other = (each.scorer.use_case.answer for each in self.all)
        if other and other != [answer]:
            raise InvalidConfig(f"the candidate predicts {other[0]}, the model {answer}")
        return answer


@dataclass(frozen=True)
class Outcome:
    """A job's summary, where its output lies, and whether it was there before."""

    summary: dict[str, Any]
    uri: str
    already_there: bool


def run(
    job: Job,
    model: Model,
    store: Store,
    progress: Progress = lambda *_: None,
    candidate: Model | None = None,
) -> Outcome:
    """Score the month, by a candidate too if there is one.

    Raises InputDataMissing, InputDataInvalid, ModelFailed or Unavailable.
    """
    models = _Models(model, candidate)
    job.check_models(*(each.release.use_case for each in models.all))
    uri = job.output_uri(*(each.release.version for each in models.all))
    with tempfile.TemporaryDirectory(prefix="slipway-") as scratch:
        sources = read_input(job, store, Path(scratch))
        made_from = _made_from(job, models, sources)
        known = None if job.replace else _known(store, uri, made_from)
        if known is not None:
            return Outcome(known, f"{uri}.parquet", already_there=True)
        if model.release.use_case == "rides" and all(each.scorer.compiled for each in models.all):
            spare_pandas()
        made_from |= {"answer": models.answer}
        scored, dropped = Path(scratch, "output.parquet"), Path(scratch, "dropped.parquet")
        scorer = _scorer(job, models, made_from)
        _score(job, scorer, sources, (scored, dropped), progress)
        summary = made_from | scorer.summary
        if job.keep_dropped:
            store.write(dropped, f"{uri}.dropped.parquet")
        store.write(scored, f"{uri}.parquet")
        store.write_text(json.dumps(summary, indent=2) + "\n", f"{uri}.summary.json")
    return Outcome(summary, f"{uri}.parquet", already_there=False)


def check(job: Job, store: Store) -> dict[str, Any]:
    """Read and judge the month, without a model and without an output: the first step alone."""
    if not isinstance(job.part, Shard):
        raise InvalidConfig("only months of rides can be checked without a model")
    totals = Totals()
    with tempfile.TemporaryDirectory(prefix="slipway-") as scratch:
        sources = read_input(job, store, Path(scratch))
        _rows(sources)
        for source in sources:
            with open_month(source) as month:
                for rides in read_month(month, "duration"):
                    totals.judge(rides)
                    totals.scored += len(rides.positions)
        _check(totals, job.max_dropped, "rides")
        return {
            **job.part.fields,
            "input": identify(sources),
            "rows": totals.rows,
            "usable": totals.scored,
            "dropped": {reason: count for reason, count in totals.dropped.items() if count},
        }


def read_input(job: Job, store: Store, scratch: Path) -> list[Source]:
    """The month's files on the local disk, sorted by their names; raises InputDataMissing."""
    uris = store.matching(job.input_uri)
    return [store.read(uri, scratch / f"input-{n}.parquet") for n, uri in enumerate(uris)]


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


def _made_from(job: Job, models: _Models, sources: Sequence[Source]) -> dict[str, Any]:
    """What the output is a function of, as far as it can be said without the model itself."""
    release = models.model.release
    beside = models.candidate.release if models.candidate else None
    return {
        **job.part.fields,
        "model_version": release.version,
        "model_digest": release.digest,
        **(
            {"candidate_version": beside.version, "candidate_digest": beside.digest}
            if beside
            else {}
        ),
        **(
            {"form": job.form.name}
            if release.use_case == "rides"
            else {"columns": dict(job.columns), "keep": list(job.keep)}
        ),
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
    if not isinstance(summary, dict) or not summary.items() >= made_from.items():
        return None
    # Where the output is one named file, an earlier one may have had a candidate's column.
    asked = made_from.get("candidate_digest")
    return summary if summary.get("candidate_digest") == asked else None


class _Scorer(Protocol):
    """Scores one file after another."""

    totals: Totals

    @property
    def summary(self) -> dict[str, Any]:
        """The figures of the run."""

    def batches(self, file: pq.ParquetFile, /) -> Iterator[_Batches]:
        """The scored rows of a file, and those left out with their reasons."""

    def check(self) -> None:
        """Raise ModelFailed if the model failed at some of the rows."""


def _scorer(job: Job, models: _Models, made_from: dict[str, Any]) -> _Scorer:
    metadata = {"slipway.schema": SCHEMA, "slipway.made_from": json.dumps(made_from)}
    model, beside = models.model, models.candidate
    if model.release.use_case == "rides":
        return MonthScorer(
            job.part,
            RideModel(model.scorer, model.release.version),
            job.form,
            uuids=job.uuids,
            schema=job.form.schema(models.answer, metadata, candidate=beside is not None),
            candidate=RideModel(beside.scorer, beside.release.version) if beside else None,
        )
    return TableScorer(
        job.part,
        TableModel(model.scorer, model.release.version),
        renamed=job.columns,
        keep=job.keep,
        uuids=job.uuids,
        metadata=metadata,
        candidate=TableModel(beside.scorer, beside.release.version) if beside else None,
    )


def _score(
    job: Job,
    scorer: _Scorer,
    sources: Sequence[Source],
    targets: tuple[Path, Path],
    progress: Progress,
) -> None:
    rows = _rows(sources)
    files = [(targets[0], job.form.compression), (targets[1], "zstd")]
    with writing(files if job.keep_dropped else files[:1]) as write:
        for source in sources:
            with open_month(source) as month:
                for both in scorer.batches(month):
                    write(both)
                    progress(scorer.totals.rows, rows)
    scorer.check()
    noun = "rides" if isinstance(scorer, MonthScorer) else "rows"
    _check(scorer.totals, job.max_dropped, noun)


def _rows(sources: Sequence[Source]) -> int:
    rows = sum(count_rows(source) for source in sources)
    if rows == 0:
        raise InputDataInvalid(f"{sources[0].name} holds no rides")
    return rows


def _check(totals: Totals, max_dropped: float, noun: str) -> None:
    left_out = totals.rows - totals.scored
    most = max(totals.dropped, key=lambda reason: totals.dropped[reason])
    if totals.scored == 0:
        raise InputDataInvalid(
            f"none of the {noun} of the file can be scored, most of them for {most}; "
            "the columns may be mixed up"
        )
    if left_out > max_dropped * totals.rows:
        raise InputDataInvalid(
            f"{left_out} of {totals.rows} {noun} cannot be scored, most of them for {most}; "
            f"the limit is {max_dropped:.1%} (--max-dropped)"
        )
