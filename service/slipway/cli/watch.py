"""`slipway status --watch`: the rollout live on a terminal, or as lines where there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from slipway.errors import Unavailable
from slipway.rollout.status import HistogramStatus, Status, WindowStatus
from slipway.rollout.verdict import Outcome, Verdict

POLL = 1.0
WIDTH = 40
RECENT = 5
COLOURS = {Outcome.PASS: "green", Outcome.FAIL: "red", Outcome.UNKNOWN: "yellow"}


def watch(look: Callable[[], Status], console: Console | None = None) -> None:
    """Show what `look` gives, again and again, until Ctrl-C; a cluster that is away is said."""
    shown = console or Console()
    try:
        with Live(console=shown, auto_refresh=False, screen=shown.is_terminal) as live:
            while True:
                live.update(_looked(look), refresh=True)
                time.sleep(POLL)
    except KeyboardInterrupt:
        return


def _looked(look: Callable[[], Status]) -> RenderableType:
    try:
        return picture(look())
    except Unavailable as error:
        return Panel(Text(error.message, "red"), title="no answer")


def picture(found: Status) -> RenderableType:
    """One status as what a terminal shows: weights, phase, gates against limits, what happened."""
    parts: list[RenderableType] = [_heading(found), _weights(found)]
    if found.gates:
        parts.append(_gates(found))
    if found.window:
        parts.append(Text(measured(found.window), "dim"))
        if found.window.histogram:
            parts.append(histogram(found.window.histogram))
    parts.append(_events(found))
    return Panel(Group(*parts), title="slipway", subtitle=f"table {found.epoch}, {found.preset}")


def _heading(found: Status) -> Text:
    step = f", step {found.step} of {found.steps}" if found.step else ""
    paused = ", paused" if found.paused else ""
    text = Text(f"{found.phase}{step}{paused}\n", "bold")
    text.append(f"wanted: {found.desired.reference or 'no model is named yet'}\n", "dim")
    if found.condition:
        text.append(f"{found.condition.reason}: {found.condition.message}\n", "yellow")
    if found.why and not (found.condition and found.why == found.condition.message):
        text.append(f"{found.why}\n", "yellow")
    return text


def _weights(found: Status) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    candidate = found.weight if found.spare and found.spare.role == "candidate" else 0
    for release, weight in ((found.stable, 10_000 - candidate), (found.spare, candidate)):
        if release is None:
            continue
        slot = found.slots.get(str(release.slot))
        pods = f"{slot.ready}/{slot.replicas} ready" if slot else ""
        full = round(weight * WIDTH / 10_000)
        bar = Text("█" * full, "cyan") + Text("░" * (WIDTH - full), "dim")
        share = f"{weight / 100:g} %"
        table.add_row(release.role, release.version[:12], str(release.slot or ""), bar, share, pods)
    return table


def _gates(found: Status) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("gate", "", "interval against ┃limit", "n", ""):
        table.add_column(title)
    for gate in found.gates:
        needed = f"/{gate.needed}" if gate.needed else ""
        outcome = Text(gate.outcome.value, COLOURS[gate.outcome] if gate.decides else "dim")
        samples = f"{gate.samples}{needed}"
        table.add_row(gate.gate, outcome, interval(gate), samples, Text(gate.sentence, "dim"))
    for each in found.shown:
        told = Text(each.sentence, "dim")
        table.add_row(each.name, Text("shown", "dim"), "", str(each.samples), told)
    return table


def interval(gate: Verdict, width: int = WIDTH) -> str:
    """An interval with its estimate and limit on a scale that holds 0 and all of them.

    `●` is the estimate, `━` the interval, `┃` the limit; an end that is not known is left open.
    """
    known = [v for v in (gate.lower, gate.upper, gate.estimate, gate.limit) if v is not None]
    if not known:
        return " " * width
    low, high = min(0.0, *known), max(0.0, *known)
    span = (high - low) or 1.0

    def column(value: float) -> int:
        return round((value - low) / span * (width - 1))

    cells = ["·"] * width
    if gate.lower is not None or gate.upper is not None:
        first = column(low if gate.lower is None else gate.lower)
        last = column(high if gate.upper is None else gate.upper)
        cells[first : last + 1] = "━" * (last + 1 - first)
    for value, mark in ((gate.limit, "┃"), (gate.estimate, "●")):
        if value is not None:
            cells[column(value)] = mark
    return "".join(cells)


def histogram(found: HistogramStatus, width: int = WIDTH) -> Table:
    """Both versions' answers side by side: what share of each lies in each column."""
    table = Table(box=None, pad_edge=False)
    for title in ("answers", "stable", "", "candidate", ""):
        table.add_column(title)
    sides = [_shares(found.stable), _shares(found.candidate)]
    highest = max((*sides[0], *sides[1])) or 1.0
    for label, *shares in zip(_columns(found.edges), *sides, strict=True):
        row: list[RenderableType] = [label]
        for share, colour in zip(shares, ("cyan", "magenta"), strict=True):
            bar = "█" * round(share / highest * width / 2)
            row += [Text(bar.ljust(width // 2), colour), Text(f"{100 * share:4.1f} %", "dim")]
        table.add_row(*row)
    return table


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts)
    return [count / total if total else 0.0 for count in counts]


def _columns(edges: Sequence[float]) -> list[str]:
    between = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    return [f"up to {edges[0]:g}", *between, f"over {edges[-1]:g}"]


def measured(window: WindowStatus) -> str:
    """What the gates went by, in one line."""
    dropped = f", {window.dropped} not counted" if window.dropped else ""
    return (
        f"{window.seconds:g} s in {window.looks} looks{dropped}; "
        f"candidate {window.candidate_failed} of {window.candidate} failed, "
        f"stable {window.control_failed} of {window.control}; "
        f"answers compared: {window.candidate_answers} with {window.control_answers}"
    )


def _events(found: Status) -> Text:
    lines = [f"{entry.at}  {entry.reason}: {entry.message}" for entry in found.history[-RECENT:]]
    return Text("\n".join(["", *lines]), "dim")
