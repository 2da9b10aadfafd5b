"""An engine that was started here is known by its pid, unless the number means another process."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from k8s.local.cache import Cache
from k8s.local.commands import Runner
from k8s.local.context import Context
from k8s.local.engine import OwnEngine, builder, stop
from k8s.local.progress import Progress


def test_without_a_pid_file_no_engine_is_ours(tmp_path: Path) -> None:
    assert OwnEngine.of(Cache(tmp_path)).pid() is None


@pytest.mark.parametrize(
    "text",
    ["", "no number", "999999999", str(os.getpid())],
    ids=["empty", "no number", "nobody", "another program"],
)
def test_a_stale_pid_file_names_no_engine(tmp_path: Path, text: str) -> None:
    """Half-written, of a process that ended, or of another one that got the number since."""
    own = OwnEngine.of(Cache(tmp_path))
    own.folder.mkdir()
    own.pid_file.write_text(text)
    assert own.pid() is None


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnEngine]:
    """An engine of ours that runs: a process called dockerd, its number in the pid file."""
    programs = tmp_path / "programs"
    programs.mkdir()
    shutil.copy(shutil.which("cat") or "", programs / "dockerd")
    (programs / "docker").write_text(f"#!/bin/sh\ncat {tmp_path}/containers\n")
    (programs / "docker").chmod(0o755)
    (tmp_path / "containers").touch()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    engine = OwnEngine.of(Cache(tmp_path / "cache"))
    engine.folder.mkdir(parents=True)
    pipe = subprocess.PIPE
    with subprocess.Popen([programs / "dockerd"], stdin=pipe, stdout=pipe) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"it runs\n")
        process.stdin.flush()
        process.stdout.readline()
        engine.pid_file.write_text(f"{process.pid}\n")
        yield engine
        process.kill()


def context(tmp_path: Path) -> Context:
    progress = Progress(tmp_path / "log", io.StringIO())
    return Context(tmp_path, Cache(tmp_path / "cache"), progress, Runner(progress.log))


def test_a_running_engine_is_ours_by_its_name_and_is_ended(own: OwnEngine, tmp_path: Path) -> None:
    assert own.pid() is not None
    assert stop(context(tmp_path)) == "stopped"
    assert own.pid() is None
    assert stop(context(tmp_path)) is None
    assert not own.pid_file.exists()


def test_an_engine_with_containers_of_others_goes_on(own: OwnEngine, tmp_path: Path) -> None:
    (tmp_path / "containers").write_text("somebodys-database\n")
    assert stop(context(tmp_path)) == "left running: 1 other containers"
    assert own.pid() is not None


def test_a_client_with_its_build_plugin_builds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\n[ "$1 $2" = "buildx version" ] && echo v0.20\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert (builder().docker, builder().environment) == ("docker", {})
