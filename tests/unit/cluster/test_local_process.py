"""A process is the one that we mean, or none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.waiting import until

from slipway.cluster.local_pod import FIRST_DELAY, LEAVE_SECONDS, Launch, LocalPod
from slipway.cluster.local_process import Process, identity_of
from slipway.cluster.protocol import Pod

WAITS = "import sys; sys.stdin = None; import time; time.sleep(60)"
NOBODY = "127.0.0.1:9"


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    started = Process.start([sys.executable, "-c", WAITS], {}, tmp_path / "log")
    yield started
    started.kill()


def test_a_process_is_known_by_its_start_too_and_another_is_left_alone(process: Process) -> None:
    mine = process.identity
    for other in (
        msgspec.structs.replace(mine, began=mine.began + 1),
        msgspec.structs.replace(mine, boot="of another boot"),
    ):
        stale = Process(other)
        assert not stale.is_alive()
        stale.terminate()
        stale.kill()
    assert process.is_alive()
    assert identity_of(mine.pid) == mine


def test_a_process_of_a_supervisor_before_us_is_ended_like_our_own(process: Process) -> None:
    adopted = Process(process.identity)
    assert adopted.is_alive()
    adopted.terminate()
    until(lambda: not process.is_alive(), 10, "the process to end")
    assert not adopted.is_alive()
    assert (process.exit_code, adopted.exit_code) == (-15, None)


def test_one_that_has_ended_and_is_not_reaped_counts_as_ended(process: Process) -> None:
    process.terminate()
    until(lambda: identity_of(process.identity.pid) is None, 10, "the process to end")


def test_one_that_ends_before_anybody_looks_has_its_exit_code_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    popen = subprocess.Popen

    def slowly(*arguments: Any, **options: Any) -> Any:
        """As where the machine has better things to do than us."""
        child = popen(*arguments, **options)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        return child

    monkeypatch.setattr(subprocess, "Popen", slowly)
    started = Process.start([sys.executable, "-c", "raise SystemExit(3)"], {}, tmp_path / "log")
    assert not started.is_alive()
    assert started.exit_code == 3


@dataclass
class Bench:
    """A pod that runs a piece of Python, and its time."""

    folder: Path
    program: str
    now: float = 100.0

    def __post_init__(self) -> None:
        self.pod = self.made()

    def made(self, *, outlived: bool = False) -> LocalPod:
        files = self.folder / "log", self.folder / "last-words"
        return LocalPod("blue", Pod("one", "", ""), self.launch, files, outlived=outlived)

    def launch(self) -> Launch:
        words = {"WORDS": str(self.folder / "last-words")}
        return Launch([sys.executable, "-c", self.program], words, NOBODY, NOBODY)

    def runs(self) -> bool:
        return self.pod.process is not None

    def until_ended(self) -> None:
        """Step without time going by until the process has ended by itself."""

        def look() -> bool:
            self.pod.step(self.now)
            return self.pod.process is None

        until(look, 20, "the process to end")


def test_a_process_that_ends_says_why_and_is_started_again_later_each_time(tmp_path: Path) -> None:
    words = "open(os.environ['WORDS'], 'w').write('Untrusted: a pickle\\n')"
    bench = Bench(tmp_path, f"import os, sys; {words}; sys.exit(3)")
    for times in range(4):
        bench.pod.step(bench.now)
        assert bench.runs()
        bench.until_ended()
        assert bench.pod.pod.restarts == times
        assert bench.pod.pod.why == "Untrusted: a pickle (exit code 3), it is started again"
        delay = FIRST_DELAY * 2**times
        bench.now += delay - 0.1
        bench.pod.step(bench.now)
        assert not bench.runs(), "too early"
        bench.now += 0.2


def test_one_that_leaves_is_asked_to_end_after_a_while_and_ends(tmp_path: Path) -> None:
    bench = Bench(tmp_path, WAITS)
    bench.pod.step(bench.now)
    bench.pod.leave(bench.now)
    bench.pod.finish(bench.now + LEAVE_SECONDS - 0.1, LEAVE_SECONDS, 60)
    assert bench.pod.process
    assert bench.pod.process.is_alive()
    assert (bench.pod.pod.ready, bench.pod.pod.why) == (False, "is being deleted")
    bench.pod.finish(bench.now + LEAVE_SECONDS, LEAVE_SECONDS, 60)
    bench.until_ended()
    bench.now += 1000
    bench.pod.step(bench.now)
    assert bench.pod.gone, "and it is not started again"


def test_one_that_does_not_end_is_killed(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    ready = "open(os.environ['WORDS'], 'w').write('deaf')"
    bench = Bench(tmp_path, f"import os; {deaf}; {ready}; time.sleep(60)")
    bench.pod.step(bench.now)
    until((tmp_path / "last-words").exists, 20, "it to be deaf")
    bench.pod.leave(bench.now)
    bench.pod.finish(bench.now, 0, 5)
    bench.pod.step(bench.now)
    assert bench.pod.process
    bench.pod.finish(bench.now + 5, 0, 5)
    bench.until_ended()
    assert bench.pod.gone


def test_a_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    bench = Bench(tmp_path, WAITS)
    bench.launch = lambda: Launch([str(tmp_path / "none")], {}, NOBODY, NOBODY)  # type: ignore[method-assign]
    bench.pod = bench.made()
    bench.pod.step(bench.now)
    assert "cannot be started: No such file" in bench.pod.pod.why


def test_an_agent_that_ended_counts_as_ready_because_its_nginx_serves_on(tmp_path: Path) -> None:
    """Otherwise its silence would be taken for a table that everybody has loaded."""
    bench = Bench(tmp_path, "pass")
    for outlived in (True, False):
        bench.pod = bench.made(outlived=outlived)
        bench.pod.step(bench.now)
        bench.pod._set(ready=True)
        bench.until_ended()
        assert bench.pod.pod.ready is outlived
