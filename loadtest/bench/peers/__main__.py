"""`make bench-peers`: Slipway beside what a user would take instead, judged; docs/bench.md.

    python -m loadtest.bench.peers [--only NAME ...] [--models linear trees] [--seconds 5]
                                   [--rounds 5] [--starts 3] [--resume] [--page]

Each part is written into the report as soon as it is measured. `--only` measures those systems
anew and keeps what the report has of the others, `--resume` measures what the report lacks. Exits
with 1 when a goal is missed, and says which.
"""

from __future__ import annotations

import argparse
import compileall
import datetime as dt
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from loadtest.bench.peers.driver import drive_version
from loadtest.bench.peers.environments import versions
from loadtest.bench.peers.page import in_page, plot, told
from loadtest.bench.peers.rounds import Plan, each_group, groups, import_seconds
from loadtest.bench.peers.systems import ROUTER, SLIPWAY_NAME, SYSTEMS, Rides
from loadtest.bench.peers.verdict import goals

MODELS = ("linear", "trees")
ROOT = Path(__file__).parents[3]
REPORT = ROOT / "reports" / "peers.json"
PAGE = ROOT / "docs" / "bench.md"
IMPORTS = 5


def main(arguments: Sequence[str]) -> int:
    """Measure, write, judge; the exit code."""
    given = _parser().parse_args(arguments)
    # What was started is ended also when this is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    report = _begun(given)
    if not given.page:
        with tempfile.TemporaryDirectory(prefix="slipway-peers-") as folder:
            _measure(given, report, Path(folder))
    if given.write_page or given.page:
        _write_page(report)
    return _judge(report)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Measure Slipway beside its peers (the default plan takes about 40 minutes)."
    )
    names = [name for name in SYSTEMS if name not in ("course", "floor")]
    parser.add_argument("--only", nargs="+", choices=names, default=[], metavar="NAME",
                        help=f"measure these alone: {', '.join(names)}")  # fmt: skip
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seconds", type=int, default=5, help="of each run [5]")
    parser.add_argument("--rounds", type=int, default=5, help="of each cell [5]")
    parser.add_argument("--starts", type=int, default=3, help="of each system [3]")
    parser.add_argument("--resume", action="store_true", help="measure what the report lacks")
    parser.add_argument("--page", action="store_true",
                        help="measure nothing, write docs/bench.md from the report")  # fmt: skip
    parser.add_argument("--write-page", action="store_true", help="write docs/bench.md afterwards")
    parser.add_argument("--report", type=Path, default=REPORT)
    return parser


def _begun(given: argparse.Namespace) -> dict[str, Any]:
    """The report so far: that of the file where it is to be gone on with, else an empty one."""
    fresh = {
        "machine": machine(),
        "driver": drive_version(),
        "titles": {name: system.title for name, system in SYSTEMS.items()}
        | {ROUTER: "Slipway, two pods, through its router"},
        "versions": {},
        "measured": {},
    }
    if not (given.only or given.resume or given.page):
        return fresh
    try:
        kept: dict[str, Any] = json.loads(given.report.read_text())
    except FileNotFoundError:
        return fresh
    if not given.page and kept["machine"] != fresh["machine"]:
        raise SystemExit(f"{given.report} is of another machine; measure all of it anew")
    return kept


def _measure(given: argparse.Namespace, report: dict[str, Any], folder: Path) -> None:
    # As pip does for every peer, and as the image is built: no start compiles source code.
    compileall.compile_dir(ROOT / "service" / "slipway", quiet=1)
    print("training the two models", flush=True)
    subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "loadtest.bench.peers.models", str(folder)],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    made = json.loads((folder / "rides.json").read_text())
    plan = Plan(given.seconds, given.rounds, given.starts)
    today = dt.datetime.now(dt.UTC).date().isoformat()
    how = f"{today}, Slipway {_slipway_version()}, {plan}"
    imports: dict[str, list[float]] = {}
    for model in given.models:
        rides = Rides(folder, model, made["features"], made["rides"], made["answers"][model])
        known = report["measured"].setdefault(model, {})
        wanted = [
            group
            for group in groups(given.only)
            if not (given.resume and "driven" in known.get(group[-1], {}))
        ]
        for name, document in each_group(wanted, rides, folder / "runs", plan, _tell):
            if "error" not in document:
                document["columns"] = made["columns"][model]
                document["imports"] = {
                    each: imports.setdefault(each, import_seconds(each, IMPORTS))
                    for each in document["starts"]
                    if each in SYSTEMS
                }
                _note_versions(report, document["starts"])
            known[name] = {**document, "how": how}
            given.report.parent.mkdir(parents=True, exist_ok=True)
            given.report.write_text(json.dumps(report, indent=1) + "\n")


def _note_versions(report: dict[str, Any], names: Iterable[str]) -> None:
    for name in names:
        if name in SYSTEMS:
            system = SYSTEMS[name]
            report["versions"][name] = versions(system.python(), system.packages)


def _judge(report: Mapping[str, Any]) -> int:
    """Every goal on a line; 1 if a binding one is missed or Slipway could not be measured."""
    found = goals(report["measured"])
    for goal in found:
        verdict = "" if goal.met else "   MISSED" if goal.binding else "   not reached"
        print(f"{goal.name:<60} {goal.value!s:<26} {goal.wanted}{verdict}")
    for model, documents in report["measured"].items():
        for name, document in documents.items():
            if "error" in document:
                print(f"{model}: {report['titles'][name]} was not measured: {document['error']}")
    missed = [goal for goal in found if goal.binding and not goal.met]
    print(f"{len(missed)} of {sum(goal.binding for goal in found)} goals missed")
    ours = [documents.get(SLIPWAY_NAME, {}) for documents in report["measured"].values()]
    return 1 if missed or not found or any("error" in document for document in ours) else 0


def _write_page(report: Mapping[str, Any]) -> None:
    folder = PAGE.parent / "bench"
    folder.mkdir(exist_ok=True)
    plots = {}
    for model, documents in report["measured"].items():
        if any("driven" in document for document in documents.values()):
            (folder / f"{model}.svg").write_text(plot(report, model))
            plots[model] = f"bench/{model}.svg"
    PAGE.write_text(in_page(PAGE.read_text(), told(report, plots)))
    print(f"wrote {PAGE.relative_to(ROOT)} and its plots")


def machine() -> dict[str, Any]:
    """What the figures depend on; nothing that names this machine."""
    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": model[1] if model else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 1e9),
        "kernel": ".".join(platform.release().split(".")[:2]),
        "python": platform.python_version(),
    }


def _slipway_version() -> str:
    """The version, with the commit where there is one."""
    done = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    commit = done.stdout.strip()
    return f"{version('slipway')} ({commit})" if commit else version("slipway")


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
