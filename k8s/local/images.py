"""Builds the images that are ours: the product's, and the servers' of `k8s/deps`.

A tag or a label carries the key of all that an image is made from, so nothing is built twice.
Where no registry answers, no package index is asked from inside a build either: the wheels are
fetched here, with this machine's own settings, and lie in the build's context.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from k8s.local.base_images import PROMETHEUS_IMAGE, PYTHON_IMAGE, VERSITYGW_IMAGE
from k8s.local.cache import key_of
from k8s.local.commands import Argument, ask
from k8s.local.context import PROJECT, Context
from k8s.local.engine import builder

REGISTRY_BASE_IMAGE = "python:3.11-slim"
# What the base images stand for, where they can be pulled.
PULLED = {
    PROMETHEUS_IMAGE.name: "prom/prometheus:v2.42.0",
    VERSITYGW_IMAGE.name: "versity/versitygw:v1.8.0",
}
KEY_LABEL = "io.slipway.key"
IGNORED = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.pyc")


@dataclass(frozen=True)
class Build:
    """An image from a Dockerfile of ours; `content` is what goes into its context."""

    name: str
    dockerfile: str
    lock: str
    content: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()


PRODUCT_FILES = ("pyproject.toml", "README.md", "requirements.in", "service")
DEPENDENCIES = "k8s/deps/Dockerfile"
MLFLOW = Build(
    "slipway-mlflow:3.17.2",
    DEPENDENCIES,
    "requirements-mlflow.lock",
    arguments=("LOCK=requirements-mlflow.lock",),
)
MOTO = Build(
    "slipway-moto:5.2.5",
    DEPENDENCIES,
    "k8s/deps/kinesis/requirements.lock",
    arguments=("LOCK=k8s/deps/kinesis/requirements.lock",),
)


def product() -> Build:
    """The product's image; its tag is the version and a key of the files it is made of."""
    files = [PROJECT / "Dockerfile", PROJECT / "requirements.lock"]
    for place in PRODUCT_FILES:
        path = PROJECT / place
        files += [path] if path.is_file() else sorted(path.rglob("*.py"))
    with (PROJECT / "pyproject.toml").open("rb") as stream:
        version = tomllib.load(stream)["project"]["version"]
    key = key_of([str(file.relative_to(PROJECT)) for file in files], files)
    return Build(f"slipway:{version}-{key}", "Dockerfile", "requirements.lock", PRODUCT_FILES)


def ensure_images(ctx: Context, builds: Sequence[Build], *, registry: bool) -> list[str]:
    """All images that a local platform runs are in the engine afterwards; gives their names."""
    base = REGISTRY_BASE_IMAGE if registry else PYTHON_IMAGE.name
    for build in builds:
        with ctx.progress.stage(f"Image {build.name.split(':')[0]}") as stage:
            key = key_of(
                [build.name, _identity(base), *build.arguments],
                [PROJECT / build.dockerfile, PROJECT / build.lock],
            )
            if _label(build.name) == key:
                stage.outcome = "there"
                continue
            _build(ctx, build, base, key, registry=registry)
            size = ask(["docker", "image", "inspect", "--format", "{{.Size}}", build.name])
            stage.outcome = f"built, {int(size or 0) / 1e6:.0f} MB"
    pulled = list(PULLED)
    if registry:
        _pull(ctx)
    return [build.name for build in builds] + pulled


def _build(ctx: Context, build: Build, base: str, key: str, *, registry: bool) -> None:
    with tempfile.TemporaryDirectory(dir=ctx.cache.work("context")) as made:
        context = Path(made)
        for place in (build.dockerfile, build.lock, *build.content):
            _copy(PROJECT / place, context / place)
        if not registry:
            shutil.copytree(wheels(ctx, build.lock), context / "wheels", copy_function=os.link)
        tool = builder()
        arguments = [f"BASE_IMAGE={base}", *build.arguments]
        command = [tool.docker, "build", "--tag", build.name, "--label", f"{KEY_LABEL}={key}"]
        command += [word for argument in arguments for word in ("--build-arg", argument)]
        command += ["--file", os.fspath(context / build.dockerfile), os.fspath(context)]
        ctx.runner.run(command, env=tool.environment)


def wheels(ctx: Context, lock: str) -> Path:
    """The folder of a lock's wheels in the cache, fetched if it is not there."""
    source = PROJECT / lock
    name = "wheels-" + source.parent.name + "-" + source.stem
    target = ctx.cache.path("wheels", name, key_of([], [source]))
    if not target.is_dir():
        with ctx.cache.making(target) as partial:
            pip: list[Argument] = [sys.executable, "-m", "pip", "download", "--quiet"]
            pip += ["--disable-pip-version-check", "--only-binary", ":all:", "--no-deps"]
            ctx.runner.run([*pip, "--require-hashes", "-r", source, "-d", partial])
    ctx.cache.prune(target, name)
    return target


def _pull(ctx: Context) -> None:
    for name, there in PULLED.items():
        if ask(["docker", "image", "inspect", name]) is None:
            with ctx.progress.stage(f"Image {name.split(':')[0]}") as stage:
                ctx.runner.run(["docker", "pull", "--quiet", there])
                ctx.runner.run(["docker", "tag", there, name])
                stage.outcome = "pulled"


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=IGNORED)
    else:
        shutil.copy2(source, target)


def _identity(image: str) -> str:
    return ask(["docker", "image", "inspect", "--format", "{{.Id}}", image]) or image


def _label(image: str) -> str | None:
    found = ask(["docker", "image", "inspect", "--format", "{{json .Config.Labels}}", image])
    labels = json.loads(found) if found else None
    return labels.get(KEY_LABEL) if labels else None
