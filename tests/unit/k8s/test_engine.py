"""An engine that was started here is known by its pid, unless the number means another process."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from k8s.local.cache import Cache
from k8s.local.engine import OwnEngine, builder


def test_without_a_pid_file_no_engine_is_ours(tmp_path: Path) -> None:
    assert OwnEngine.of(Cache(tmp_path)).pid() is None


@pytest.mark.parametrize("text", ["", "no number", "999999999", str(os.getpid())])
def test_a_stale_pid_file_names_no_engine(tmp_path: Path, text: str) -> None:
    """Half-written, of a process that ended, or of another one that got the number since."""
    own = OwnEngine.of(Cache(tmp_path))
    own.folder.mkdir()
    own.pid_file.write_text(text)
    assert own.pid() is None


def test_a_running_dockerd_is_ours_by_its_name(tmp_path: Path) -> None:
    sleep = shutil.which("sleep")
    assert sleep
    program = tmp_path / "dockerd"
    shutil.copy(sleep, program)
    own = OwnEngine.of(Cache(tmp_path))
    own.folder.mkdir()
    with subprocess.Popen([program, "60"]) as process:
        own.pid_file.write_text(f"{process.pid}\n")
        assert own.pid() == process.pid
        process.kill()
    assert own.pid() is None


def test_a_client_with_its_build_plugin_builds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\n[ "$1 $2" = "buildx version" ] && echo v0.20\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert (builder().docker, builder().environment) == ("docker", {})
