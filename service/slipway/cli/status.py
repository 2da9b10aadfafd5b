"""`slipway status`: what serves, what is tried, and why it does not move."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Unpack

import click
import msgspec
import yaml

from slipway.cli.cluster_options import (
    Verb,
    Where,
    find_installation,
    installation_options,
    waiting_options,
)
from slipway.cli.commands import OneOf
from slipway.cli.watch import watch
from slipway.cluster.protocol import Installation
from slipway.logs import configure_cli
from slipway.rollout.remote import Waiting, read_status, wait_for_rest
from slipway.rollout.status import ReleaseStatus, Status


class Output(StrEnum):
    """How a status or a history is written."""

    TEXT = "text"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


def output_option(wide: str) -> Callable[[Verb], Verb]:
    """--output; `wide` says what there is more of in that form."""
    told = f"text, wide ({wide}), json or yaml."
    return click.option("--output", "-o", type=OneOf(Output), default=Output.TEXT.value, help=told)


@click.command()
@installation_options
@output_option("with digests")
@click.option("--watch", "-w", "watched", is_flag=True, help="Show it live until Ctrl-C.")
@waiting_options()
def status(
    output: Output, watched: bool, wait: bool, timeout: float, **where: Unpack[Where]
) -> None:
    """Show the rollout: what serves, what is tried, and why it does not move.

    With --wait the exit code says how it went: 0 the wanted model has all traffic, 3 it leads
    nowhere, 4 not in time, 5 aborted.
    """
    configure_cli()
    cluster, _ = find_installation(**where)
    if watched:
        watch(lambda: look(cluster))
        return
    found = wait_and_tell(cluster, timeout) if wait else look(cluster)
    click.echo(shown(found, output), nl=False)


def wait_and_tell(cluster: Installation, seconds: float) -> Status:
    """Wait for the desired model to have all traffic; each change is a line on stderr."""
    last = ""

    def tell(found: Status) -> None:
        nonlocal last
        line = progress(found)
        if line != last:
            click.echo(line, err=True)
        last = line

    return wait_for_rest(Waiting(lambda: look(cluster), seconds, tell))


def look(cluster: Installation) -> Status:
    """The rollout as it is now, with the controller's own word where that can be had."""
    return read_status(cluster, datetime.now(UTC), cluster.live_status())


def shown(found: Status, output: Output) -> str:
    """The status as text, with a final newline."""
    if output is Output.JSON:
        return msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n"
    if output is Output.YAML:
        return yaml.safe_dump(msgspec.to_builtins(found), sort_keys=False, allow_unicode=True)
    lines = [f"{label:<12}{text}\n" for label, text in _rows(found, wide=output is Output.WIDE)]
    return "".join(lines)


def progress(found: Status) -> str:
    """One line for people who wait."""
    parts = [_phase(found), *(_pods(slot, found) for slot in found.slots)]
    if found.condition:
        parts.append(f"{found.condition.reason}: {found.condition.message}")
    return " | ".join(part for part in parts if part)


def _rows(found: Status, *, wide: bool) -> Iterator[tuple[str, str]]:
    yield "phase", _phase(found)
    wanted = found.desired.reference or "no model is named yet"
    waits = "" if found.desired.taken_up or not found.desired.reference else " (not taken up yet)"
    yield "wanted", wanted + (" (refused)" if found.desired.refused else waits)
    yield "stable", _release(found.stable, wide) or "none"
    if found.spare:
        yield found.spare.role, _release(found.spare, wide)
    for slot in found.slots:
        yield slot, _pods(slot, found).removeprefix(f"{slot} ")
    if found.condition:
        yield "condition", f"{found.condition.reason}: {found.condition.message}"
    if found.why:
        yield "waits for", found.why
    for gate in found.gates:
        yield gate.gate, f"{gate.outcome}: {gate.sentence}"
    for each in found.shown:
        yield each.name, f"shown: {each.sentence}"
    for entry in found.history[-10 if wide else -3 :]:
        yield "", f"{entry.at}  {entry.reason}: {entry.message}"


def _phase(found: Status) -> str:
    told: str = found.phase
    if found.phase == "canary":
        told = f"canary, step {found.step} of {found.steps}, {found.weight / 100:g} %"
    return f"{told}, paused" if found.paused else told


def _release(release: ReleaseStatus | None, wide: bool) -> str:
    if release is None:
        return ""
    where = f" in {release.slot}" if release.slot else ""
    told = f"{release.version}{where} ({release.reference})"
    return f"{told} {release.digest}" if wide else told


def _pods(name: str, found: Status) -> str:
    slot = found.slots[name]
    if not slot.replicas:
        return f"{name} empty"
    why = f" ({slot.why})" if slot.why else ""
    return f"{name} {slot.ready} of {slot.replicas} pods ready{why}"
