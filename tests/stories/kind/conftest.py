"""Namespaces for the stories, removed afterwards; without a cluster all of them are skipped."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping

import pytest
from tests.kind_installation import Installation, registered_runs
from tests.kind_rollout import log_versions
from tests.kind_server import KindServer, kind_server

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def kind() -> Iterator[KindServer]:
    """The cluster of `make up`."""
    with kind_server() as server:
        yield server


@pytest.fixture(scope="session")
def runs(kind: KindServer) -> tuple[str, str]:
    """The run ids of two versions of the example model."""
    first, second = registered_runs(kind)[:2]
    return first, second


@pytest.fixture(scope="session")
def versions(kind: KindServer) -> Mapping[str, str]:
    """What it is called -> run id, of models that know the rides of the load test."""
    return log_versions(kind)


@pytest.fixture(scope="module")
def empty(kind: KindServer) -> Iterator[Installation]:
    """A namespace in which nothing is installed yet."""
    place = Installation(kind, f"story-{os.getpid()}-{next(_numbers)}")
    yield place
    place.remove()


@pytest.fixture(scope="session")
def installed(kind: KindServer, runs: tuple[str, str]) -> Iterator[Installation]:
    """One installation with a model, for all stories that leave it as they found it."""
    place = Installation(kind, f"story-{os.getpid()}-{next(_numbers)}")
    try:
        place.install_chart(
            {
                "model": {"runId": runs[0]},
                "batch": {
                    "output": f"s3://predictions/{place.namespace}",
                    "extraArgs": ["--year=2021", "--month=3"],
                },
            }
        )
        yield place
    finally:
        place.remove()


@pytest.fixture
def shop(installed: Installation, runs: tuple[str, str]) -> Installation:
    """Given an installation that serves the first model."""
    installed.serves(runs[0])
    return installed
