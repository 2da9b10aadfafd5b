"""Runs the load test as a user does: locust, headless, with the users of loadtest/.

with load_test(url, tmp_path, "--rate", "50") as running:
    ...                                 # what happens under load
    verdict = running.interrupt()       # or running.wait(), to the end of its seconds
assert verdict.code == 0, verdict.said
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.service_process import ROOT, bare_environment

# Any service that answers at all meets these: where only the answers matter.
WIDE = """
requests_per_second = 20
answered_share = 0.5
failed_share = 0.0
p95 = 5000
p99 = 10000
"""


@dataclass(frozen=True)
class Verdict:
    """How a load test ended; `report` is None if it could not run."""

    code: int
    said: str
    report: dict[str, Any] | None


class LoadTest:
    """A load test that is under way."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, report: Path) -> None:
        self.process = process
        self._log = log
        self._report = report

    def wait(self, seconds: float = 180) -> Verdict:
        """Until it ends by itself."""
        code = self.process.wait(seconds)
        report = json.loads(self._report.read_text()) if self._report.exists() else None
        return Verdict(code, self._log.read_text(), report)

    def go_on(self, seconds: float) -> None:
        """Let it run on, so that it meets what is there now; fails if it ends by itself."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return
        raise AssertionError(f"the load ended with {code}: {self._log.read_text()}")

    def interrupt(self) -> Verdict:
        """End it now; what is in flight is still counted."""
        self.process.send_signal(signal.SIGINT)
        return self.wait()


@contextlib.contextmanager
def load_test(url: str, folder: Path, *options: str, limits: str = WIDE) -> Iterator[LoadTest]:
    """Load on `url` with reports in `folder`; ended by force if it still runs."""
    (folder / "limits.toml").write_text(limits)
    log, report = folder / "load.log", folder / "load.json"
    command = [sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--headless"]
    command += ["--host", url, "--limits", str(folder / "limits.toml"), "--only-summary"]
    command += ["--report", str(report), "--html", str(folder / "load.html"), *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=bare_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield LoadTest(process, log, report)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
