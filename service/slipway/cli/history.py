"""`slipway history`: every decision that the state still has, with the figures that it rests on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Unpack

import click
import msgspec
import yaml

from slipway.cli.cluster_options import Where, find_installation, installation_options
from slipway.cli.status import Output, output_option
from slipway.logs import configure_cli
from slipway.rollout.remote import read_snapshot
from slipway.rollout.state import Entry, State
from slipway.rollout.verdict import Verdict


@click.command()
@installation_options
@output_option("with the gates' figures")
def history(output: Output, **where: Unpack[Where]) -> None:
    """Show every decision, by machine or person, the oldest first.

    The state keeps the last hundred, or fewer where they are long.
    """
    configure_cli()
    cluster, _ = find_installation(**where)
    stored = read_snapshot(cluster, datetime.now(UTC)).stored
    click.echo(written(stored.history if isinstance(stored, State) else (), output), nl=False)


def written(entries: tuple[Entry, ...], output: Output) -> str:
    """The history as text, with a final newline where there is any."""
    if output is Output.JSON:
        return msgspec.json.format(msgspec.json.encode(entries), indent=2).decode() + "\n"
    if output is Output.YAML:
        return yaml.safe_dump(msgspec.to_builtins(entries), sort_keys=False, allow_unicode=True)
    return "".join(f"{line}\n" for line in _lines(entries, wide=output is Output.WIDE))


def _lines(entries: tuple[Entry, ...], *, wide: bool) -> Iterator[str]:
    for entry in entries:
        by = f" ({entry.actor})" if entry.actor else ""
        yield f"{entry.at}  {entry.phase:<10} {entry.reason}: {entry.message}{by}"
        if wide:
            if entry.digest:
                yield f"    {entry.digest}"
            yield from (f"    {figures(verdict)}" for verdict in entry.verdicts)


def figures(verdict: Verdict) -> str:
    """A verdict in one line: outcome, estimate, interval, limit, samples."""
    ends = [f"{end:.4g}" if end is not None else "?" for end in (verdict.lower, verdict.upper)]
    estimate = "?" if verdict.estimate is None else f"{verdict.estimate:.4g}"
    limit = "" if verdict.limit is None else f", limit {verdict.limit:.4g}"
    return (
        f"{verdict.gate:<12}{verdict.outcome.value:<8} {estimate} [{ends[0]}, {ends[1]}]{limit}, "
        f"n = {verdict.samples}"
    )
