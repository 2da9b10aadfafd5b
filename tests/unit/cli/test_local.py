"""What `slipway local up` writes before it starts anything, and what it says where it cannot."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.local_installation import slipway
from tests.raw_http import HOST
from tests.service_process import free_port

from slipway.cli.cluster_options import cluster_of
from slipway.cli.local_documents import write_wishes
from slipway.cluster.local import LocalCluster
from slipway.cluster.local_launch import check_port, free_ports
from slipway.errors import InvalidConfig, NotInstalled
from slipway.rollout.policy_document import read_policy
from slipway.rollout.remote import write_desired
from slipway.rollout.wishes import read_desired
from slipway.settings import ClusterSettings, read_settings

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ONE, TWO = "models:/ride/1", "models:/ride/2"


@pytest.fixture
def cluster(tmp_path: Path) -> LocalCluster:
    return LocalCluster(tmp_path / "i")


def up(
    cluster: LocalCluster, model: str | None = None, policy: str | None = None, replicas: int = 1
) -> None:
    write_wishes(cluster, model, policy, replicas, NOW)


def wanted(cluster: LocalCluster) -> str:
    return read_desired(cluster.read("model")).reference


def test_the_last_change_of_the_model_wins(cluster: LocalCluster) -> None:
    up(cluster, ONE)
    assert wanted(cluster) == ONE
    write_desired(cluster, TWO, NOW)
    up(cluster, ONE)
    assert wanted(cluster) == TWO, "what `up` is given has not changed, what was set since has"
    up(cluster)
    assert wanted(cluster) == TWO
    up(cluster, "models:/ride/3")
    assert wanted(cluster) == "models:/ride/3"


def test_the_same_again_is_not_written_again(cluster: LocalCluster) -> None:
    up(cluster, ONE)
    before = cluster.read("model")
    up(cluster, ONE)
    assert cluster.read("model") == before


def test_without_a_model_there_is_none_and_the_policy_stays(cluster: LocalCluster) -> None:
    up(cluster, policy="careful", replicas=3)
    assert wanted(cluster) == ""
    up(cluster)
    policy = read_policy(cluster.read("policy"))
    assert (policy.preset, policy.replicas) == ("careful", 3)


def test_a_policy_may_be_a_file(cluster: LocalCluster, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("preset: careful\nsteps: [1, 50]\n")
    up(cluster, policy=str(tmp_path / "mine.yaml"))
    assert read_policy(cluster.read("policy")).steps == (1.0, 50.0)


@pytest.mark.parametrize(
    ("text", "said"), [(None, "is no preset"), ("preset: careful\nstep: [1]\n", "step")]
)
def test_C5_a_wrong_policy_leaves_the_old_one(
    cluster: LocalCluster, tmp_path: Path, text: str | None, said: str
) -> None:
    up(cluster, policy="fast")
    before = cluster.read("policy")
    if text:
        (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(InvalidConfig, match=said):
        up(cluster, policy=str(tmp_path / "mine.yaml"))
    assert cluster.read("policy") == before


def test_a_port_that_is_taken_is_said_before_anything_is_started() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        with pytest.raises(InvalidConfig, match="cannot listen on port"):
            check_port(taken.getsockname()[1])
    check_port(free_port())
    assert len(set(free_ports(5))) == 5


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(NotInstalled, match="`slipway local up"):
        cluster_of(read_settings(ClusterSettings), local=tmp_path / "none")
    for verb in (("local", "down"), ("local", "status"), ("rollback", "--local")):
        ended = slipway(*verb, str(tmp_path / "none"))
        assert ended.returncode == 3, ended.stderr
        assert "slipway local up" in ended.stderr
