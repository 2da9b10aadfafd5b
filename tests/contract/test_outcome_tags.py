"""What became of a version, as tags on a real tracking server."""

from __future__ import annotations

from collections.abc import Iterator

import mlflow
import pytest
from mlflow import MlflowClient
from tests.fixtures_mlflow import mlflow_server
from tests.service_process import free_port

from slipway.clients.registry import Registry
from slipway.errors import Unavailable
from slipway.examples.log_model import Logged
from slipway.examples.training import Plan, run
from slipway.models.resolve import resolver_for
from slipway.settings import ResolveSettings, read_settings

TAGS = {"slipway.outcome": "refused", "slipway.outcome_because": "GateFailed: mean: 33 % lower"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as address:
        yield address


@pytest.fixture(scope="module")
def logged(server: str) -> list[Logged]:
    mlflow.set_tracking_uri(server)
    mlflow.set_registry_uri(server)
    plan = Plan("ride-duration", rows=300, twin=False)
    return [*run(plan, server), *run(plan, server)]


def test_row_4_run_model_and_version_are_tagged_and_no_others(
    server: str, logged: list[Logged]
) -> None:
    first, second = logged
    settings = read_settings(ResolveSettings, tracking_uri=server)
    release = resolver_for(settings).resolve(f"models:/ride-duration/{first.version}")
    Registry(server).tag(release.run_id, release.model_id, TAGS)
    client = MlflowClient(server)
    assert release.model_id
    tagged = (
        client.get_run(first.run_id).data.tags,
        client.get_logged_model(release.model_id).tags,
        client.get_model_version("ride-duration", first.version).tags,
    )
    for tags in tagged:
        assert TAGS.items() <= tags.items()
    others = (
        client.get_run(second.run_id).data.tags,
        client.get_model_version("ride-duration", second.version).tags,
    )
    for tags in others:
        assert not TAGS.keys() & tags.keys()


def test_what_is_gone_is_left_out(server: str) -> None:
    Registry(server).tag("0" * 32, "m-" + "0" * 32, TAGS)


def test_a_server_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.clients.registry.RETRIES", 0)
    with pytest.raises(Unavailable):
        Registry(f"http://127.0.0.1:{free_port()}", 1.0).tag("0" * 32, None, TAGS)
