"""The root command: what it does before and besides a verb."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from click.testing import CliRunner

from slipway.cli.verbs import SUMMARIES, app


def test_without_arguments_it_shows_every_verb_and_that_one_was_missing() -> None:
    shown = CliRunner().invoke(app, [])
    assert shown.exit_code == 2
    assert shown.stdout == ""
    for verb in SUMMARIES:
        assert f"\n  {verb} " in shown.stderr


def test_it_tells_its_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"{version('slipway')}\n"


def test_arguments_are_explained_and_defaults_shown() -> None:
    shown = CliRunner().invoke(app, ["backfill", "--help"]).output
    assert "FROM..TO  Months, as 2021-03..2022-04." in shown
    assert "[default: 2; 1<=x<=1000]" in shown


def test_ctrl_c_ends_a_verb_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a shell tells it of every other program: 128 and the signal's number."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("slipway.cli.smoke.asker", interrupted)
    ended = CliRunner().invoke(app, ["smoke", "http://127.0.0.1:1"])
    assert (ended.exit_code, ended.output) == (130, "")
