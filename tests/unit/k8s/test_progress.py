"""What a person sees of a setup."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from k8s.local.errors import SetupFailed
from k8s.local.progress import TAIL_LINES, Progress, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (95.0, "1 min 35 s"), (3600, "60 min 0 s")],
)
def test_times_are_whole_seconds(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_stage_is_one_line_of_title_outcome_and_time(tmp_path: Path) -> None:
    out = io.StringIO()
    with Progress(tmp_path / "up.log", out).stage("kubelet 1.34.4") as stage:
        stage.outcome = "built"
    assert out.getvalue().split() == ["kubelet", "1.34.4", "built", "0", "s"]
    assert out.getvalue().count("\n") == 1


def test_the_title_is_seen_while_the_stage_runs(tmp_path: Path) -> None:
    out = io.StringIO()
    with Progress(tmp_path / "up.log", out).stage("kubelet"):
        assert "kubelet" in out.getvalue()


def test_a_terminal_shows_the_same_line_in_the_end(tmp_path: Path) -> None:
    out = Terminal()
    with Progress(tmp_path / "up.log", out).stage("kubelet") as stage:
        stage.outcome = "built"
    assert out.getvalue().count("\n") == 1
    assert out.getvalue().rsplit("\r", 1)[-1].split() == ["kubelet", "built", "0", "s"]


def test_a_failure_shows_the_end_of_its_own_part_of_the_log(tmp_path: Path) -> None:
    out, log = io.StringIO(), tmp_path / "up.log"
    progress = Progress(log, out)

    def write(lines: list[str]) -> None:
        with log.open("a") as file:
            file.write("\n".join(lines) + "\n")

    with progress.stage("first"):
        write(["of the first stage"])

    def break_off() -> None:
        with progress.stage("second"):
            write([f"line {number}" for number in range(100)])
            write(["go: downloading what nobody needs to see"])
            raise SetupFailed("it broke")

    with pytest.raises(SetupFailed):
        break_off()
    shown = out.getvalue()
    assert "failed" in shown
    assert "line 99" in shown
    assert shown.count("    | ") == TAIL_LINES
    assert "of the first stage" not in shown
    assert "go: downloading" not in shown


def test_an_interruption_is_no_failure_of_the_stage(tmp_path: Path) -> None:
    out = io.StringIO()
    with pytest.raises(KeyboardInterrupt), Progress(tmp_path / "up.log", out).stage("kubelet"):
        raise KeyboardInterrupt
    assert "interrupted" in out.getvalue()
    assert "    | " not in out.getvalue()


def test_each_setup_begins_a_log_of_its_own(tmp_path: Path) -> None:
    log = tmp_path / "new" / "up.log"
    for title in ("old", "new"):
        with Progress(log, io.StringIO()).stage(title):
            pass
    assert "old" not in log.read_text()
