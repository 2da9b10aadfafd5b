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


def _show_lines(lines: Iterable[tuple[str, str]]) -> None:
    """Names and values, in two columns."""
    told = list(lines)
    width = max(len(name) for name, _ in told)
    for name, value in told:
        click.echo(f"{name:{width}}  {value}")


def _counts(summary: dict[str, Any], kept: str) -> Iterator[tuple[str, str]]:
    yield "rides" if "taxi_type" in summary else "rows", f"{summary['rows']:,}"
    yield kept, f"{summary[kept]:,}"
    for reason, count in summary["dropped"].items():
        yield f"  left out: {reason.replace('_', ' ')}", f"{count:,}"


def _lines(summary: dict[str, Any]) -> Iterator[tuple[str, str]]:
    unit = {"duration": " minutes", "tip": " dollars"}.get(summary["answer"], "")
    yield from _counts(summary, "scored")
    if summary["mean_predicted"] is not None:
        yield "mean predicted", f"{summary['mean_predicted']:.2f}{unit}"
        yield "  standard deviation", f"{summary['std_predicted']:.2f}{unit}"
    if "mean_actual" in summary:
        yield "mean actual", f"{summary['mean_actual']:.2f}{unit}"
        yield "mean absolute error", f"{summary['mean_absolute_error']:.2f}{unit}"
        yield f"off by more than 10{unit}", f"{summary['share_beyond_10']:.1%}"
    yield "model", summary["model_version"]
