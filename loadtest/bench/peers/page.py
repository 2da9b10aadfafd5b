"""What docs/bench.md shows of a report: tables, the verdict, and a plot as SVG. Pure."""

from __future__ import annotations

import html
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from loadtest.bench.peers.verdict import (
    AGAIN,
    COURSE,
    FLOOR,
    ROUTER,
    SLIPWAY,
    Ratio,
    goals,
    memory_ratio,
    number,
    ratio,
    spread,
    start_ratio,
)

BEGIN, END = "<!-- peers -->", "<!-- /peers -->"
_LEFT, _WIDTH, _BAR, _GAP, _TOP = 310, 820, 18, 8, 46


def in_page(page: str, told: str) -> str:
    """The page with what stands between the marks replaced.

    Raises ValueError if they are not there.
    """
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page lacks {BEGIN} … {END}")
    return f"{head}{BEGIN}\n\n{told}\n{END}{tail}"


def told(report: Mapping[str, Any], plots: Mapping[str, str]) -> str:
    """Everything between the marks; `plots` says which picture belongs to a model."""
    machine = report["machine"]
    where = (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, "
        f"Linux {machine['kernel']}, Python {machine['python']}; {_when(report)}."
    )
    parts = [where]
    for model, title in (("linear", "Linear model"), ("trees", "50 trees")):
        documents = report["measured"].get(model, {})
        if not documents:
            continue
        parts.append(f"### {title}")
        if model in plots:
            parts.append(f"![Throughput beside the course's way, {title.lower()}]({plots[model]})")
        parts.append(_table(documents, report["titles"]))
        parts.append(_absolute(documents))
        if failed := _failed(documents, report["titles"]):
            parts.append(failed)
    parts += ["### Goals", _goals(report), "### Versions", _versions(report)]
    return "\n\n".join(parts) + "\n"


def _when(report: Mapping[str, Any]) -> str:
    """When and how long each was measured; said once where that is the same for all."""
    found: dict[str, list[str]] = {}
    for model, documents in report["measured"].items():
        for name, document in documents.items():
            found.setdefault(document["how"], []).append(f"{name} ({model})")
    if len(found) == 1:
        return next(iter(found))
    return "; ".join(f"{how}: {', '.join(names)}" for how, names in found.items())


def _rows(documents: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """(system, what it is called in the runs, the document that has its runs)."""
    rows: list[tuple[str, str, Mapping[str, Any]]] = []
    for name, document in documents.items():
        if "driven" not in document:
            continue
        if name == SLIPWAY:
            rows.append((FLOOR, FLOOR, document))
        rows.append((name, name, document))
        if ROUTER in document:
            rows.append((ROUTER, ROUTER, {**document, **document[ROUTER]}))
    return rows


def _table(documents: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """Ratios to the course's way, with the spread over the rounds."""
    levels = _levels(documents)
    head = [
        "times the course's way",
        *(f"requests/s, {level}" for level in levels),
        *(f"median ms, {level}" for level in levels),
        *(f"p99 ms, {level}" for level in levels if level == "16"),
        "CPU a request, 16",
        "memory",
        "first answer",
        "import",
    ]
    lines = [_line(head), _line(["---"] * len(head))]
    for name, key, document in _rows(documents):
        driven = document["driven"]
        cells = [titles[name]]
        cells += [str(ratio(driven[level], "rate", key, COURSE)) for level in levels]
        cells += [number(ratio(driven[level], "median_ms", key, COURSE).median) for level in levels]
        cells.append(number(ratio(driven["16"], "p99_ms", key, COURSE).median))
        cells.append(number(ratio(driven["16"], "cpu_ms", key, COURSE).median))
        if name == ROUTER:
            # Its memory is told by its own sum: the pods' and the router's.
            whole = document["megabytes"] / documents[SLIPWAY]["megabytes"][COURSE]
            cells += [number(whole), "-", "-"]
        else:
            cells += [number(memory_ratio(document, key).median), _start(document, key)]
            cells.append(_import(document, key))
        lines.append(_line(cells))
    return "\n".join(lines)


def _start(document: Mapping[str, Any], key: str) -> str:
    first = number(start_ratio(document, key).median)
    if key != SLIPWAY:
        return first
    return f"{number(start_ratio(document, AGAIN).median)}; the first time {first}"


def _import(document: Mapping[str, Any], key: str) -> str:
    imports = document.get("imports", {})
    if not imports.get(key) or not imports.get(COURSE):
        return "-"
    return number(statistics.median(imports[key]) / statistics.median(imports[COURSE]))


def _absolute(documents: Mapping[str, Any]) -> str:
    """What the course's way did itself, over all rounds, and what the driver took."""
    rounds: dict[str, list[Mapping[str, Any]]] = {}
    for document in documents.values():
        for level, runs in document.get("driven", {}).items():
            rounds.setdefault(level, []).extend(runs)
    if not rounds:
        return ""
    parts = []
    for level, runs in rounds.items():
        rate = statistics.median(run[COURSE]["rate"] for run in runs)
        median = statistics.median(run[COURSE]["median_ms"] for run in runs)
        parts.append(f"{rate:.0f} requests/s and {median:.2f} ms at {level}")
    alive = [d for d in documents.values() if "megabytes" in d]
    memory = statistics.median(d["megabytes"][COURSE] for d in alive)
    start = statistics.median(s for d in alive for s in d["starts"][COURSE])
    drivers = [run["cores"] for runs in rounds.values() for each in runs for run in each.values()]
    broken = sum(
        r["broken"] + r["refused"] for rs in rounds.values() for e in rs for r in e.values()
    )
    return (
        f"The course's way itself: {'; '.join(parts)}; {memory:.0f} MB; first answer after "
        f"{start:.1f} s. The driver took {statistics.median(drivers):.2f} of a core, "
        f"{max(drivers):.2f} at most; {broken} requests failed in all runs."
    )


def _failed(documents: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    lines = [
        f"- **{titles[name]}** could not be measured here: `{' '.join(document['error'].split())}`"
        for name, document in documents.items()
        if "error" in document
    ]
    return "\n".join(lines)


def _goals(report: Mapping[str, Any]) -> str:
    lines = [_line(["figure", "goal", "measured", ""]), _line(["---"] * 4)]
    for goal in goals(report["measured"]):
        verdict = "met" if goal.met else "**missed**" if goal.binding else "not reached"
        lines.append(_line([goal.name, goal.wanted, _value(goal.value), verdict]))
    return "\n".join(lines)


def _value(value: Ratio) -> str:
    return f"{value.median:.1e}" if 0 < value.median < 1e-3 else str(value)


def _versions(report: Mapping[str, Any]) -> str:
    lines = [
        f"- {report['titles'][name]}: "
        + ", ".join(f"{package} {version}" for package, version in packages.items())
        for name, packages in report["versions"].items()
    ]
    return "\n".join([*lines, f"- driver: {report['driver']}"])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _levels(documents: Mapping[str, Any]) -> list[str]:
    for document in documents.values():
        if "driven" in document:
            return list(document["driven"])
    return []


def plot(report: Mapping[str, Any], model: str) -> str:
    """Throughput as a multiple of the course's way, a bar for each number of connections."""
    documents = report["measured"][model]
    levels = _levels(documents)
    rows = [("course", [spread([1.0])] * len(levels))]
    rows += [
        (name, [ratio(document["driven"][level], "rate", key, COURSE) for level in levels])
        for name, key, document in _rows(documents)
    ]
    largest = max(value.high for _, values in rows for value in values)
    scale = (_WIDTH - _LEFT - 60) / largest
    colours = ("#b9c7d8", "#6f8fb3", "#2f5581")
    height = _TOP + len(rows) * (len(levels) * _BAR + _GAP) + 10
    size = f'width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
    font = 'font-family="sans-serif" font-size="12" fill="#222"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>',
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        '<text x="10" y="18" font-size="14">Throughput as a multiple of the course\'s way</text>',
    ]
    for place, level in enumerate(levels):
        x = 10 + 130 * place
        parts.append(f'<rect x="{x}" y="27" width="10" height="10" fill="{colours[place]}"/>')
        word = "connection" if level == "1" else "connections"
        parts.append(f'<text x="{x + 15}" y="36">{level} {word}</text>')
    y = _TOP + 4
    for name, values in rows:
        middle = y + len(levels) * _BAR / 2 + 4
        title = html.escape(report["titles"][name].replace("`", ""))
        parts.append(f'<text x="{_LEFT - 8}" y="{middle:.0f}" text-anchor="end">{title}</text>')
        for place, value in enumerate(values):
            parts += _bar(value, y + place * _BAR, scale, colours[place])
        y += len(levels) * _BAR + _GAP
    return "\n".join([*parts, "</svg>", ""])


def _bar(value: Ratio, y: float, scale: float, colour: str) -> list[str]:
    """A bar to the median, a line over the spread, the figure behind both."""
    width, low, high = (scale * each for each in (value.median, value.low, value.high))
    middle = y + _BAR / 2 - 1
    x, base = _LEFT + max(width, high) + 5, y + _BAR - 6
    return [
        f'<rect x="{_LEFT}" y="{y:.1f}" width="{width:.1f}" height="{_BAR - 3}" fill="{colour}"/>',
        f'<path d="M{_LEFT + low:.1f} {middle:.1f}H{_LEFT + high:.1f}" stroke="#c0392b"/>',
        f'<text x="{x:.1f}" y="{base:.1f}">{number(value.median)}</text>',
    ]
