"""Why a service does not start: in the log, and where Kubernetes looks for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.web.conftest import Lines

from slipway.errors import DigestMismatch, InvalidConfig
from slipway.web import termination
from slipway.web.termination import MAX_BYTES, tell_why


def test_the_reason_is_told_in_one_line_and_in_the_file(log_lines: Lines, tmp_path: Path) -> None:
    file = tmp_path / "termination-log"
    tell_why(DigestMismatch("two\nlines"), str(file))
    (line,) = log_lines()
    assert (line["level"], line["reason"], line["detail"]) == (
        "error",
        "DigestMismatch",
        "two\nlines",
    )
    assert file.read_text() == "DigestMismatch: two\nlines\n"


def test_kubernetes_own_file_is_written_only_where_it_is(
    log_lines: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "dev-termination-log"
    monkeypatch.setattr(termination, "TERMINATION_LOG", str(own))
    tell_why(InvalidConfig("first"), None)
    assert not own.exists()
    own.touch()
    tell_why(InvalidConfig("second"), "")
    assert own.read_text() == "InvalidConfig: second\n"


def test_no_more_is_written_than_kubernetes_shows_and_no_half_character(tmp_path: Path) -> None:
    file = tmp_path / "termination-log"
    tell_why(InvalidConfig("é" * MAX_BYTES), str(file))
    assert MAX_BYTES - 2 < file.stat().st_size <= MAX_BYTES
    assert set(file.read_text("utf-8")) == set("InvalidConfig: é")


def test_a_file_that_cannot_be_written_hides_no_reason(log_lines: Lines, tmp_path: Path) -> None:
    tell_why(InvalidConfig("the reason"), str(tmp_path / "no folder" / "file"))
    error, warning = log_lines()
    assert (error["detail"], warning["level"]) == ("the reason", "warning")
