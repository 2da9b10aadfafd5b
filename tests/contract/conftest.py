"""Places where a Cluster is real."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest
from tests.cluster_worlds import KubeWorld
from tests.kind_server import KindServer, kind_server
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


@pytest.fixture(scope="session")
def kind() -> Iterator[KindServer]:
    """The cluster of `make up`."""
    with kind_server() as server:
        yield server


@pytest.fixture
def kind_world(kind: KindServer) -> Iterator[KubeWorld]:
    """A namespace of its own in the real cluster, deleted afterwards."""
    world = KubeWorld(kind, f"test-{os.getpid()}-{next(_numbers)}")
    yield world
    world.remove()
