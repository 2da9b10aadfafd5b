"""The way to a cluster on machines that cannot go it, with a `docker` that behaves as theirs."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from k8s.local.bring_up import bring_up, platform_that_is_up, setup, take_down
from k8s.local.context import Context
from k8s.local.errors import SetupFailed

Docker = Callable[[str], None]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Docker:
    """Makes the machine's `docker` the given shell script."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")

    def install(script: str) -> None:
        (programs / "docker").write_text(f"#!/bin/sh\n{script}\n")
        (programs / "docker").chmod(0o755)

    return install


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    settings = {"SLIPWAY_CACHE": str(tmp_path / "cache")}
    with setup(settings, io.StringIO(), "up.log", tmp_path / "folder") as context:
        yield context


def test_a_registry_setting_that_means_nothing_is_refused(ctx: Context, docker: Docker) -> None:
    docker('[ "$1" = version ] && echo 20.10')
    with pytest.raises(SetupFailed, match="'perhaps': neither auto nor none"):
        bring_up(ctx, "perhaps")


def test_an_engine_elsewhere_that_does_not_answer_is_named(
    ctx: Context, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker("exit 1")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(SetupFailed, match="DOCKER_HOST") as failure:
        bring_up(ctx, "auto")
    assert "unset DOCKER_HOST" in failure.value.advice


def test_no_platform_is_up_where_no_engine_answers(ctx: Context, docker: Docker) -> None:
    docker("exit 1")
    assert platform_that_is_up(ctx) is None


def test_down_where_nothing_is_up_is_content_twice(ctx: Context, docker: Docker) -> None:
    docker("exit 1")
    ctx.kubeconfig.write_text("of a cluster that is gone")
    for _ in range(2):
        take_down(ctx)
        assert not ctx.kubeconfig.exists()


def test_down_removes_a_broken_cluster_by_docker_alone(
    ctx: Context, docker: Docker, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    docker(
        f'echo "$*" >>{calls}; '
        'case "$1" in version) echo 28.0;; ps) echo 0123;; network) exit 1;; esac'
    )
    take_down(ctx)
    assert "rm -f -v 0123" in calls.read_text().splitlines()


def test_down_names_what_docker_cannot_remove(ctx: Context, docker: Docker) -> None:
    docker('case "$1" in version) echo 28.0;; ps) echo 0123;; rm) exit 1;; esac')
    with pytest.raises(SetupFailed, match="cannot remove the node") as failure:
        take_down(ctx)
    assert "docker rm -f 0123" in failure.value.advice
