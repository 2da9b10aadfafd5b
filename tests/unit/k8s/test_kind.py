"""The cluster's configuration and when a cluster that is there fits."""

from __future__ import annotations

import pytest
import yaml
from k8s.local.errors import SetupFailed
from k8s.local.kind import (
    CONFIG,
    WITHOUT_REGISTRY,
    advice_for,
    cluster_name,
    cluster_spec,
    with_additions,
)
from k8s.local.node_image import FILES


def test_R11_the_mapped_port_is_this_machines_own_and_the_examples() -> None:
    config = yaml.safe_load(CONFIG.read_text())
    (mapping,) = config["nodes"][0]["extraPortMappings"]
    assert (mapping["listenAddress"], mapping["hostPort"]) == ("127.0.0.1", 9696)
    assert 30000 <= mapping["containerPort"] <= 32767
    assert cluster_name(CONFIG.read_text()) == config["name"]


def test_without_a_registry_the_same_configuration_has_more() -> None:
    plain = yaml.safe_load(CONFIG.read_text())
    more = yaml.safe_load(cluster_spec("image", registry=False).config)
    added = yaml.safe_load(WITHOUT_REGISTRY)
    assert more == plain | added
    assert not set(plain) & set(added)


def test_a_key_that_is_there_already_is_not_added_twice() -> None:
    with pytest.raises(SetupFailed, match="networking") as failure:
        with_additions("name: x\nnetworking:\n  ipFamily: ipv6\n", WITHOUT_REGISTRY)
    assert "networking" in failure.value.advice


def test_a_configuration_without_a_name_is_refused() -> None:
    with pytest.raises(SetupFailed, match="no line `name"):
        cluster_name("kind: Cluster\n")


def test_another_image_or_configuration_is_another_cluster() -> None:
    spec = cluster_spec("a", registry=True)
    keys = {spec.key, cluster_spec("b", registry=True).key, cluster_spec("a", registry=False).key}
    assert len(keys) == 3
    assert cluster_spec("a", registry=True).key == spec.key


@pytest.mark.parametrize(
    ("log", "word"),
    [
        ("OCI runtime create failed: unable to apply caps: operation not permitted", "capability"),
        ("Bind for 127.0.0.1:9696 failed: port is already allocated", "9696"),
        ("write /x: no space left on device", "full"),
        ("something new", ""),
    ],
)
def test_known_failures_come_with_advice(log: str, word: str) -> None:
    advice = advice_for(log)
    assert word in advice
    assert bool(advice) is bool(word)


def test_the_nodes_own_manifests_are_sound_and_their_storage_is_the_default() -> None:
    manifest = (FILES / "kind/manifests/default-storage.yaml").read_text()
    documents = list(yaml.safe_load_all(manifest))
    (storage,) = (document for document in documents if document["kind"] == "StorageClass")
    assert storage["metadata"]["name"] == "standard"
    assert (
        storage["metadata"]["annotations"]["storageclass.kubernetes.io/is-default-class"] == "true"
    )
