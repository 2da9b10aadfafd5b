"""Which images a node has already."""

from __future__ import annotations

import pytest
from k8s.local.load import full_name, images_of, is_there

# As `ctr images ls` prints: the kubelet's side lists each image by name and by id.
LISTING = """\
REF                              TYPE                      DIGEST      SIZE      PLATFORMS   LABELS
docker.io/library/slipway:dev    application/vnd.docker    sha256:aa   1.2 GiB   linux/amd64 x=y
sha256:1111                      application/vnd.docker    sha256:aa   1.2 GiB   linux/amd64 x=y
sha256:2222                      application/vnd.docker    sha256:bb   1.2 GiB   linux/amd64 x=y
registry.k8s.io/pause:3.10       application/vnd.docker    sha256:cc   2.0 MiB   linux/amd64 -
"""


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("slipway:dev", "docker.io/library/slipway:dev"),
        ("slipway", "docker.io/library/slipway:latest"),
        ("me/slipway", "docker.io/me/slipway:latest"),
        ("localhost/slipway:1", "localhost/slipway:1"),
        ("registry.test:5000/a/slipway", "registry.test:5000/a/slipway:latest"),
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
        ("slipway@sha256:ab", "docker.io/library/slipway@sha256:ab"),
    ],
)
def test_names_are_spelled_out_as_containerd_does(image: str, name: str) -> None:
    assert full_name(image) == name


def test_an_image_is_there_only_if_its_name_means_that_very_image() -> None:
    images = images_of(LISTING)
    assert is_there("slipway:dev", "sha256:1111", images)
    # Rebuilt under the same name; the node still has the old one.
    assert not is_there("slipway:dev", "sha256:2222", images)
    assert not is_there("slipway:dev", "sha256:3333", images)
    assert not is_there("slipway:other", "sha256:1111", images)
    assert not is_there("registry.k8s.io/pause:3.10", "sha256:4444", images)


def test_an_empty_node_has_none() -> None:
    assert images_of("REF TYPE DIGEST SIZE PLATFORMS LABELS\n") == {}
