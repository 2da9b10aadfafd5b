"""The command line as a whole: quick, lazy, with sentences for errors."""

from __future__ import annotations

import subprocess
import sys

import pytest

from slipway.cli.verbs import SUMMARIES, VERBS


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "slipway", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_verb_has_a_summary() -> None:
    assert list(VERBS) == list(SUMMARIES)


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_shows_its_help(verb: str) -> None:
    shown = run(verb, "--help")
    assert shown.returncode == 0
    assert verb in shown.stdout


@pytest.mark.parametrize(
    "verb", ["", "smoke", "router", "status", "set-model", "rollback", "local"]
)
def test_a_light_verb_does_not_wait_for_heavy_libraries(verb: str) -> None:
    imported = run(*filter(None, [verb]), "--help").stderr
    names = {line.rpartition("|")[2].strip() for line in imported.splitlines()}
    assert "click" in names
    assert not names & {"mlflow", "sklearn", "pandas", "boto3", "pyarrow", "kubernetes", "flask"}


@pytest.mark.parametrize("verb", ["score", "backfill", "status", "stream", "train"])
def test_no_verb_waits_for_a_library_that_reads_options_by_their_types(verb: str) -> None:
    """click alone reads them: an option costs no validator of its own at each start."""
    imported = run(verb, "--help").stderr
    names = {line.rpartition("|")[2].strip() for line in imported.splitlines()}
    assert {"click", "slipway.cli.commands"} <= names
    assert not names & {"typer", "pydantic", "pydantic_core"}


def test_an_error_is_one_sentence_and_an_exit_code() -> None:
    failed = run("fetch", "no-reference")
    assert failed.returncode == 2
    lines = [line for line in failed.stderr.splitlines() if not line.startswith("import time:")]
    assert len(lines) == 1
    assert lines[0].startswith("slipway: InvalidConfig: this is no model reference")


def test_an_unknown_verb_is_a_usage_error() -> None:
    assert run("fly").returncode == 2
