"""The names that the node image, its manifests and the base images share."""

from __future__ import annotations

import json

from k8s.local.base_images import BASE_IMAGES, DEBIAN_IMAGE, VERSITYGW_IMAGE
from k8s.local.node_image import FILES, PROVISIONER_IMAGE, node_image_key, node_image_name

MANIFEST = (FILES / "kind/manifests/default-storage.yaml").read_text()


def test_storage_runs_on_images_that_are_in_the_node() -> None:
    images = {line.split(": ")[1] for line in MANIFEST.splitlines() if " image: " in line}
    assert images == {PROVISIONER_IMAGE, DEBIAN_IMAGE.name}
    assert f"--helper-image={DEBIAN_IMAGE.name}" in MANIFEST


def test_the_nodes_network_is_a_bridge_with_mapped_ports() -> None:
    network = json.loads((FILES / "etc/cni/net.d/10-kind.conflist").read_text())
    assert [plugin["type"] for plugin in network["plugins"]] == ["bridge", "portmap"]


def test_the_images_name_carries_its_key() -> None:
    assert node_image_name() == f"slipway-node:{node_image_key()}"


def test_base_images_have_names_of_their_own_and_no_moving_tag() -> None:
    names = [image.name for image in BASE_IMAGES]
    assert len(set(names)) == len(names)
    assert not any(name.endswith(":latest") or ":" not in name for name in names)
    assert len({image.key for image in BASE_IMAGES}) == len(names)
    assert VERSITYGW_IMAGE.settings.entrypoint == ["/usr/local/bin/versitygw"]
