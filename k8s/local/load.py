"""Brings images from the Docker engine into the node, those that it does not have yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from k8s.local.commands import ask
from k8s.local.context import Context
from k8s.local.errors import SetupFailed

# containerd's own client in the node, on the images that the kubelet sees.
CTR = ["ctr", "-n", "k8s.io", "images"]


def full_name(image: str) -> str:
    """As containerd spells it: `slipway:dev` is `docker.io/library/slipway:dev`."""
    name, _, digest = image.partition("@")
    host, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif not ("." in host or ":" in host or host == "localhost"):
        name = f"docker.io/{name}"
    if digest:
        return f"{name}@{digest}"
    return name if ":" in name.rsplit("/", 1)[-1] else f"{name}:latest"


def images_of(listing: str) -> dict[str, str]:
    """`{name: digest}` of what `ctr images ls` prints.

    The kubelet's side of containerd lists an image under its id as well, with the same digest.
    """
    rows = (line.split() for line in listing.splitlines()[1:])
    return {row[0]: row[2] for row in rows if len(row) > 2}


def is_there(image: str, identity: str, images: Mapping[str, str]) -> bool:
    """Whether the node has the image by that name, and by that name that very image."""
    digest = images.get(full_name(image))
    return digest is not None and digest == images.get(identity)


def load_images(ctx: Context, node: str, images: Sequence[str]) -> list[str]:
    """Load those that the node lacks, layers that they share but once; gives their names."""
    wanted = {image: _identity(image) for image in dict.fromkeys(images)}
    present = images_of(ctx.runner.read(["docker", "exec", node, *CTR, "ls"]))
    missing = [
        image for image, identity in wanted.items() if not is_there(image, identity, present)
    ]
    if missing:
        take = ["docker", "exec", "-i", node, *CTR, "import", "--all-platforms", "-"]
        ctx.runner.pipe(["docker", "save", *missing], take)
    return missing


def _identity(image: str) -> str:
    identity = ask(["docker", "image", "inspect", "--format", "{{.Id}}", image])
    if identity is None:
        raise SetupFailed(f"the Docker engine has no image {image}", "Build or pull it first.")
    return identity
