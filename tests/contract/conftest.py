"""Places where a Cluster is real."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from tests.cluster_worlds import KubeWorld
from tests.kube_apiserver import ApiServer, api_server

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def kube_server() -> Iterator[ApiServer]:
    """An API server for all tests of this process that neither stop nor pause it."""
    with api_server() as server:
        yield server


@pytest.fixture
def kube_world(kube_server: ApiServer) -> KubeWorld:
    """A namespace of its own."""
    return KubeWorld(kube_server, f"test-{next(_numbers)}")


@pytest.fixture
def kind_world() -> None:
    pytest.skip("no cluster")
