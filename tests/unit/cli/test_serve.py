"""`slipway serve`: the settings are checked and handed over, then the process becomes gunicorn."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.stub_models import loaded

from slipway.cli import become_gunicorn as module
from slipway.cli.become_gunicorn import METRICS_DIR, prepare_metrics
from slipway.cli.serve import serve
from slipway.errors import InvalidConfig
from slipway.settings import ServeSettings, read_settings

RUN_ID = "0123456789abcdef0123456789abcdef"


class Became(BaseException):
    """What this process would be from here on: nothing after it would run."""

    def __init__(self, file: str, arguments: list[str]) -> None:
        self.command = [file, *arguments[1:]]
        assert arguments[0] == file


@pytest.fixture(autouse=True)
def _process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    def become(file: str, arguments: list[str]) -> None:
        raise Became(file, arguments)

    monkeypatch.setattr(os, "execvp", become)
    monkeypatch.setenv("SLIPWAY_TERMINATION_LOG", str(tmp_path / "termination-log"))
    monkeypatch.delenv(METRICS_DIR, raising=False)
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def run(model: str | None = None, **options: Any) -> None:
    """`slipway serve`, with what is told to users raised as it is."""
    given = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    serve.main([*([model] if model else []), *given], standalone_mode=False)


def served(model: str | None = None, **options: Any) -> ServeSettings:
    """The settings that gunicorn's processes will read from the environment."""
    with pytest.raises(Became):
        run(model, **options)
    return read_settings(ServeSettings)


def test_R10_it_becomes_gunicorn_with_our_configuration() -> None:
    with pytest.raises(Became) as became:
        run()
    *start, config, application = became.value.command
    assert start[-1] == "--config"
    assert Path(start[0]).name == "gunicorn" or start[:3] == [sys.executable, "-m", "gunicorn"]
    assert (config, application) == (module.CONFIG, module.APPLICATION)


def test_an_option_wins_over_the_environment_and_what_is_not_given_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLIPWAY_PORT", "1000")
    monkeypatch.setenv("SLIPWAY_SLOT", "green")
    settings = served(port=2000, admin_port=-1, host="::1", threads=2, log_level="debug")
    assert (settings.port, settings.slot, settings.admin_port) == (2000, "green", -1)
    assert (settings.host, settings.threads, settings.log_level) == ("::1", 2, "debug")
    assert settings.workers == 1


@pytest.mark.parametrize("variable", ["MODEL_RUN_ID", "MODEL_URI", "MODEL_LOCATION", "MODEL_FILE"])
def test_the_model_named_on_the_command_line_wins_over_every_reference(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, RUN_ID)
    assert served().reference == RUN_ID
    assert served("models:/ride-duration/3").reference == "models:/ride-duration/3"


def test_and_over_a_release_lock_of_the_environment_but_not_over_one_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who writes a model's name gets that model."""
    lock = tmp_path / "release.json"
    lock.write_bytes(loaded().release.to_json())
    monkeypatch.setenv("SLIPWAY_RELEASE_FILE", str(lock))
    assert served().release_file == lock
    assert served("models:/ride-duration/3", release_file=lock).release_file == lock
    assert served("models:/ride-duration/3").release_file is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"port": 70_000}, "SLIPWAY_PORT"),
        ({"threads": 0, "workers": 99}, "SLIPWAY_THREADS.*SLIPWAY_WORKERS"),
        ({"log_level": "loud"}, "SLIPWAY_LOG_LEVEL"),
        ({"model": "no-reference"}, "no model reference"),
        ({"slot": "two\nlines"}, "SLIPWAY_SLOT"),
        ({"slot": "слот"}, "SLIPWAY_SLOT"),
    ],
)
def test_B1_what_is_wrong_is_told_before_anything_starts(
    options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidConfig, match=said):
        run(**options)
    assert (tmp_path / "termination-log").read_text().startswith("InvalidConfig: ")


def test_a_wrong_reference_does_not_matter_where_there_is_a_release_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pod goes by the lock; the reference is then only what somebody wrote."""
    monkeypatch.setenv("MODEL_URI", "no-reference")
    lock = tmp_path / "release.json"
    with pytest.raises(InvalidConfig, match="no model reference"):
        run(release_file=lock)
    lock.write_text("{}")
    assert served(release_file=lock).release_file == lock


def test_R50_one_worker_keeps_its_metrics_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """FAULTS finding 11: files of metrics are what fills up."""
    monkeypatch.setenv(METRICS_DIR, "/nowhere")
    prepare_metrics(1)
    assert METRICS_DIR not in os.environ


def test_R50_several_workers_share_a_folder_without_an_earlier_starts_numbers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "metrics"
    monkeypatch.setenv(METRICS_DIR, str(folder))
    prepare_metrics(2)
    (folder / "counter_7.db").touch()
    (folder / "not-ours.txt").touch()
    prepare_metrics(2)
    assert [path.name for path in folder.iterdir()] == ["not-ours.txt"]
    assert os.environ[METRICS_DIR] == str(folder)


def test_R50_without_a_folder_named_they_get_one_of_their_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    prepare_metrics(2)
    assert Path(os.environ[METRICS_DIR]).parent == tmp_path


def test_A12_a_folder_that_cannot_be_made_is_told_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(METRICS_DIR, str(tmp_path / "file" / "below"))
    with pytest.raises(InvalidConfig, match=METRICS_DIR):
        run(workers=2)
    assert METRICS_DIR in (tmp_path / "termination-log").read_text()
