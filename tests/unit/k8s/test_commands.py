"""Programs that are run for the setup."""

from __future__ import annotations

from pathlib import Path

import pytest
from k8s.local.commands import Runner, ask, shown
from k8s.local.errors import SetupFailed


def test_a_question_that_cannot_be_answered_is_none() -> None:
    assert ask(["sh", "-c", "echo yes; echo no >&2"]) == "yes"
    assert ask(["sh", "-c", "echo yes; exit 1"]) is None
    assert ask(["no-such-program-here"]) is None
    assert ask(["sleep", "30"], timeout=0.1) is None


def test_a_command_and_all_that_it_says_are_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    Runner(log).run(["sh", "-c", 'echo "$WORD"; echo "bad" >&2'], env={"WORD": "good"})
    assert log.read_text().startswith("$ sh -c ")
    assert "good\nbad\n" in log.read_text()


def test_a_failure_names_the_command_and_its_code(tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match=r"`sh -c 'exit 3'` ended with 3"):
        Runner(tmp_path / "log").run(["sh", "-c", "exit 3"])
    with pytest.raises(SetupFailed, match="`no-such-program-here` is not installed here"):
        Runner(tmp_path / "log").run(["no-such-program-here"])
    with pytest.raises(SetupFailed, match="did not end within 0 s"):
        Runner(tmp_path / "log").run(["sleep", "30"], timeout=0.1)


def test_what_is_read_is_not_mixed_with_what_is_logged(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert Runner(log).read(["sh", "-c", "echo answer; echo talk >&2"]) == "answer\n"
    assert "talk" in log.read_text()
    with pytest.raises(SetupFailed):
        Runner(log).read(["false"])


def test_a_pipe_fails_if_either_end_does(tmp_path: Path) -> None:
    runner, copy = Runner(tmp_path / "log"), tmp_path / "copy"
    runner.pipe(["echo", "bytes"], ["tee", copy])
    assert copy.read_text() == "bytes\n"
    with pytest.raises(SetupFailed, match="`false`"):
        runner.pipe(["false"], ["cat"])
    with pytest.raises(SetupFailed, match="`false`"):
        runner.pipe(["echo", "bytes"], ["false"])


def test_long_commands_are_cut_where_they_are_shown() -> None:
    assert shown(["echo", "two words"]) == "echo 'two words'"
    assert len(shown(["echo", "x" * 500])) == 120
