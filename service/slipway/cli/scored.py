"""How `slipway score` tells what it does: a bar on the way, a table at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from slipway.batch.job import Outcome
from slipway.batch.job import Progress as Report
from slipway.batch.shards import Part


@contextmanager
def progress(part: Part) -> Iterator[Report]:
    """A bar where a person watches, silence elsewhere; what is said goes to stderr."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    # Its import is a tenth of a small month's time.
    from rich import progress as rich
    from rich.console import Console

    bar = rich.Progress(
        rich.TextColumn("scoring {task.description}"),
        rich.BarColumn(),
        rich.TaskProgressColumn(),
        rich.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task(str(part), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def show(outcome: Outcome, seconds: float) -> None:
    """The summary for a person; the last line is the one that the course's homework asks for."""
    summary = outcome.summary
    _show_lines(_lines(summary))
    said = "was there already, made from just this" if outcome.already_there else "written"
    click.echo(f"{outcome.uri}\n{said}, {seconds:.1f} s")
    if "form" in summary:
        click.echo(f"predicted mean {summary['answer']}: {summary['mean_predicted']}")


def show_check(found: dict[str, Any]) -> None:
    """What `--check` found, for a person."""
    _show_lines([*_counts(found, "usable")])


def _show_lines(lines: Iterable[tuple[str, ...]]) -> None:
    """Names and one or two values, in columns."""
    told = list(lines)
    widths = [max(len(line[place]) for line in told if place < len(line)) for place in (0, 1)]
    for name, value, *beside in told:
        line = f"{name:{widths[0]}}  {value:{widths[1]}}  {''.join(beside)}"
        click.echo(line.rstrip())


def _counts(summary: dict[str, Any], kept: str) -> Iterator[tuple[str, ...]]:
    yield "rides" if "taxi_type" in summary else "rows", f"{summary['rows']:,}"
    yield kept, f"{summary[kept]:,}"
    for reason, count in summary["dropped"].items():
        yield f"  left out: {reason.replace('_', ' ')}", f"{count:,}"


def _lines(summary: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """What the candidate's figure is stands beside the model's."""
    unit = {"duration": " minutes", "tip": " dollars"}.get(summary["answer"], "")
    yield from _counts(summary, "scored")
    if "mean_actual" in summary:
        yield "mean actual", f"{summary['mean_actual']:.2f}{unit}"
    columns = ["", "candidate_"] if "candidate_version" in summary else [""]
    versions = [summary[f"{prefix or 'model_'}version"] for prefix in columns]
    yield ("model and candidate" if len(columns) > 1 else "model", *versions)
    for name, figure, shown in (
        ("mean predicted", "mean_predicted", "{:.2f}" + unit),
        ("  standard deviation", "std_predicted", "{:.2f}" + unit),
        ("mean absolute error", "mean_absolute_error", "{:.2f}" + unit),
        (f"off by more than 10{unit}", "share_beyond_10", "{:.1%}"),
    ):
        values = [summary.get(prefix + figure) for prefix in columns]
        if any(value is not None for value in values):
            yield (name, *("-" if value is None else shown.format(value) for value in values))
    apart = summary.get("candidate_mean_absolute_difference")
    if apart is not None:
        yield "mean distance of the two", f"{apart:.2f}{unit}"
