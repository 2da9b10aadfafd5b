"""The whole way from a machine to a cluster that answers, and back.

Later stages (dependencies, the product's own image, the release) begin where `bring_up` ends:
with the platform that it gives, in further `progress.stage(…)` blocks.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from k8s.local import engine
from k8s.local.base_images import PYTHON_IMAGE, ensure_base_images
from k8s.local.cache import Cache
from k8s.local.commands import Runner
from k8s.local.context import PROJECT, Context
from k8s.local.engine import ensure_engine, server_version
from k8s.local.errors import SetupFailed
from k8s.local.golang import build_programs
from k8s.local.kind import (
    CONFIG,
    Cluster,
    ClusterSpec,
    cluster_name,
    cluster_spec,
    delete_cluster,
    found_key,
)
from k8s.local.load import load_images
from k8s.local.node_image import ensure_node_image, node_image_name, remove_old_images
from k8s.local.progress import Progress
from k8s.local.registry import registry_answers
from k8s.local.versions import CLIENTS, REGISTRY_NODE_IMAGE

REGISTRY_BASE_IMAGE = "python:3.11-slim"


@dataclass(frozen=True)
class Platform:
    """A cluster that answers, and what is needed to work with it."""

    ctx: Context
    cluster: Cluster
    registry: bool

    @property
    def programs(self) -> Path:
        """The folder of kind, helm and kubectl."""
        return self.ctx.cache.bin

    def load(self, images: Sequence[str]) -> list[str]:
        """Bring images from the Docker engine into the node; gives those that it lacked."""
        return load_images(self.ctx, self.cluster.spec.node, images)

    def environment(self) -> dict[str, str]:
        """The variables with which a person, or a later stage, works with this cluster."""
        builder = engine.builder()
        return {
            "KUBECONFIG": str(self.ctx.kubeconfig),
            "SLIPWAY_BIN": str(self.programs),
            "SLIPWAY_NODE": self.cluster.spec.node,
            "SLIPWAY_REGISTRY": "yes" if self.registry else "none",
            "BASE_IMAGE": REGISTRY_BASE_IMAGE if self.registry else PYTHON_IMAGE.name,
            "DOCKER_BUILD": builder.docker,
            **builder.environment,
        }


@contextmanager
def setup(
    environment: Mapping[str, str], out: TextIO, log: str, folder: Path = PROJECT / ".slipway"
) -> Iterator[Context]:
    """The context of one setup, which has the cache for itself; `log` is the log's name."""
    home = environment.get("SLIPWAY_CACHE") or "~/.cache/slipway"
    cache = Cache(Path(home).expanduser().resolve())
    progress = Progress(folder / log, out)
    with cache.alone(waiting=lambda: progress.say("waiting for another setup on this machine …")):
        yield Context(folder, cache, progress, Runner(progress.log))


def bring_up(ctx: Context, choice: str) -> Platform:
    """A cluster of this checkout answers afterwards; `choice` is the person's REGISTRY.

    Raises SetupFailed.
    """
    ensure_engine(ctx)
    registry = registry_of_a_fitting_cluster(choice)
    if registry is None:
        registry = registry_answers(ctx, choice)
    programs = clients(ctx, registry=registry)
    if registry:
        image = REGISTRY_NODE_IMAGE
    else:
        image = ensure_node_image(ctx)
        ensure_base_images(ctx)
    spec = cluster_spec(image, registry=registry)
    cluster = Cluster(ctx, spec, programs["kind"], programs["kubectl"])
    cluster.ensure()
    if not registry:
        remove_old_images(keep=image)
    return Platform(ctx, cluster, registry)


def platform_that_is_up(ctx: Context) -> Platform | None:
    """The cluster of this checkout if it is there; nothing is made or started."""
    registry = registry_of_a_fitting_cluster("auto")
    if registry is None:
        return None
    programs = ctx.cache.bin
    cluster = Cluster(ctx, _spec(registry=registry), programs / "kind", programs / "kubectl")
    # It may have been made from another checkout of the same files.
    if not ctx.kubeconfig.exists():
        cluster.export_kubeconfig()
    return Platform(ctx, cluster, registry)


def take_down(ctx: Context) -> None:
    """No cluster, no network of kind's and no engine of ours afterwards; the cache stays."""
    name = cluster_name(CONFIG.read_text())
    with ctx.progress.stage("Cluster") as stage:
        if server_version() is None and engine.OwnEngine.of(ctx.cache).folder.exists():
            # The machine was started anew; what our engine held is still on its disk.
            engine.start(ctx)
        if server_version() is None:
            stage.outcome = "no Docker engine answers: none"
        else:
            stage.outcome = "deleted" if delete_cluster(name) else "there was none"
        ctx.kubeconfig.unlink(missing_ok=True)
    with ctx.progress.stage("Docker engine") as stage:
        stage.outcome = engine.stop(ctx) or "left alone: not started here"


def clients(ctx: Context, *, registry: bool) -> dict[str, Path]:
    """kind, helm and kubectl, all linked in the cache's `bin`.

    Where the machine is an ordinary one, the person's own are taken, and only what is missing is
    built; else the ones that belong to the node image.
    """
    own = {program.name: shutil.which(program.name) if registry else None for program in CLIENTS}
    found = {name: Path(path) for name, path in own.items() if path}
    for name, path in found.items():
        ctx.cache.link(path, name)
    missing = [program for program in CLIENTS if program.name not in found]
    try:
        return found | build_programs(ctx, missing)
    except SetupFailed as error:
        names = ", ".join(program.name for program in missing)
        raise SetupFailed(f"missing: {names}; {error.message}", error.advice) from error


def registry_of_a_fitting_cluster(choice: str) -> bool | None:
    """Whether the cluster that is there was made with a registry; None if none is there that fits.

    So that a second `make up` asks no registry.
    """
    for registry in (False, True) if choice == "auto" else (False,):
        spec = _spec(registry=registry)
        if found_key(spec.node) == spec.key:
            return registry
    return None


def _spec(*, registry: bool) -> ClusterSpec:
    return cluster_spec(REGISTRY_NODE_IMAGE if registry else node_image_name(), registry=registry)
