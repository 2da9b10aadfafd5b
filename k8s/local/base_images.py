"""The images that others are built on, or run as they are, where none can be pulled.

| image | stands for | has |
|---|---|---|
| `slipway-debian:12` | `debian:12-slim` | a shell, ca-certificates |
| `slipway-base:3.11` | `python:3.11-slim` | python3, venv, pip; nginx, which the router runs |
| `slipway-prometheus:2.42` | `prom/prometheus` | Debian's prometheus |
| `slipway-versitygw:1.8.0` | `versity/versitygw` | the one static program |
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from k8s.local import archives, versions
from k8s.local.archives import ImageSettings, image_id, write_image, write_layer
from k8s.local.cache import key_of
from k8s.local.commands import ask
from k8s.local.context import Context
from k8s.local.debian import PLAIN, PROMETHEUS, PYTHON, RootFs, build_rootfs
from k8s.local.golang import build_programs, program_key
from k8s.local.versions import VERSITYGW_PROGRAM, Program


@dataclass(frozen=True)
class BaseImage:
    """An image of a Debian root file system, or of one program alone."""

    name: str
    content: RootFs | Program
    settings: ImageSettings

    @property
    def key(self) -> str:
        """Of its content, its settings and the code that writes it."""
        content = self.content
        inside = content.key if isinstance(content, RootFs) else program_key(content)
        return key_of([self.name, inside, repr(self.settings)], [Path(archives.__file__)])


_LANGUAGE = {"LANG": "C.UTF-8"}
DEBIAN_IMAGE = BaseImage(
    "slipway-debian:12", PLAIN, ImageSettings(command=["bash"], environment=_LANGUAGE)
)
PYTHON_IMAGE = BaseImage(
    "slipway-base:3.11", PYTHON, ImageSettings(command=["python3"], environment=_LANGUAGE)
)
PROMETHEUS_IMAGE = BaseImage(
    "slipway-prometheus:2.42", PROMETHEUS, ImageSettings(entrypoint=["/usr/bin/prometheus"])
)
VERSITYGW_IMAGE = BaseImage(
    f"slipway-versitygw:{versions.VERSITYGW}",
    VERSITYGW_PROGRAM,
    ImageSettings(entrypoint=["/usr/local/bin/versitygw"]),
)
BASE_IMAGES = (DEBIAN_IMAGE, PYTHON_IMAGE, PROMETHEUS_IMAGE, VERSITYGW_IMAGE)


def image_archive(ctx: Context, image: BaseImage) -> Path:
    """The image as a file in the cache; built if it is not there."""
    name = image.name.split(":", 1)[0]
    target = ctx.cache.path("images", name, image.key, ".tar")
    if not target.exists():
        layer = _layer(ctx, image)
        with ctx.cache.making(target) as partial:
            write_image(partial, image.name, [layer], image.settings)
    ctx.cache.prune(target, name, ".tar")
    return target


def load_into_engine(ctx: Context, name: str, archive: Path) -> bool:
    """The engine has the archive's image under that name afterwards; says if it had to be read."""
    if ask(["docker", "image", "inspect", "--format", "{{.Id}}", name]) == image_id(archive):
        return False
    ctx.runner.run(["docker", "load", "-q", "-i", archive])
    return True


def ensure_base_images(ctx: Context) -> None:
    """All base images are in the engine afterwards."""
    files = {image.name: image_archive(ctx, image) for image in BASE_IMAGES}
    with ctx.progress.stage("Base images") as stage:
        loaded = [name for name, file in files.items() if load_into_engine(ctx, name, file)]
        stage.outcome = f"{len(loaded)} of {len(files)} new to the engine" if loaded else "there"


def _layer(ctx: Context, image: BaseImage) -> Path:
    if isinstance(image.content, RootFs):
        return build_rootfs(ctx, image.content)
    program = build_programs(ctx, [image.content])[image.content.name]
    layer = ctx.cache.work("layers") / f"{image.content.name}.tar"
    write_layer(layer, [(program, f"usr/local/bin/{image.content.name}", 0o755)])
    return layer
