"""Builds the Go programs of the versions table, each once, into the cache.

Most come with a module of their own and build as they are. Kubernetes does not: its `go.mod`
takes thirty parts of itself from folders beside it, which a module's archive lacks, so its
programs (and etcd with them) build in a module written here that names the parts' own releases.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from k8s.local import versions
from k8s.local.cache import key_of
from k8s.local.commands import ask
from k8s.local.context import Context
from k8s.local.errors import SetupFailed
from k8s.local.versions import Program

KUBERNETES_MODULE = "k8s.io/kubernetes"
IN_KUBERNETES_MODULE = {KUBERNETES_MODULE, "go.etcd.io/etcd/server/v3"}
_STAGING = re.compile(r"^\s*(\S+) => \./staging/src/\S+$", re.MULTILINE)
_GO_LINE = re.compile(r"^go (\S+)$", re.MULTILINE)

NO_GO = (
    "Install Go {}.{} or later and put it on PATH (go.dev/dl has it for every system).\n"
    "Debian 12's own golang is 1.19: too old; its backports, Debian 13 and later have new ones."
).format(*versions.GO)


@dataclass(frozen=True)
class Go:
    """The compiler that was found."""

    path: str

    @property
    def environment(self) -> dict[str, str]:
        """Static programs, whatever the person's own Go settings for other work are."""
        return {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}


def find_go() -> Go:
    """Go from PATH or its usual place; raises SetupFailed if there is none that is new enough."""
    found = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if not found:
        raise SetupFailed("what the cluster needs must be compiled here, and Go is missing", NO_GO)
    text = ask([found, "env", "GOVERSION"]) or ""
    if not is_new_enough(text) and ask([found, "env", "GOTOOLCHAIN"]) != "auto":
        raise SetupFailed(f"Go at {found} is {text or 'broken'}, which is too old", NO_GO)
    return Go(found)


def is_new_enough(version: str) -> bool:
    """Whether `go1.25.3` compiles everything in the table."""
    parts = re.match(r"go(\d+)\.(\d+)", version)
    return parts is not None and (int(parts[1]), int(parts[2])) >= versions.GO


def go_mod(kubernetes_go_mod: str) -> str:
    """The module that Kubernetes is built in: its parts at the releases that belong to it."""
    language = _GO_LINE.search(kubernetes_go_mod)
    parts = _STAGING.findall(kubernetes_go_mod)
    if not language or not parts:
        raise SetupFailed("the go.mod of Kubernetes is not as expected: no parts of its own in it")
    release = "v0." + versions.KUBERNETES.split(".", 1)[1]
    lines = [
        "module slipway.invalid/kubernetes",
        f"go {language[1]}",
        f"require {KUBERNETES_MODULE} v{versions.KUBERNETES}",
        f"require go.etcd.io/etcd/server/v3 v{versions.ETCD}",
        *(f"replace {part} => {part} {release}" for part in parts),
    ]
    return "\n".join(lines) + "\n"


def program_key(program: Program) -> str:
    """Of all that decides the program but the compiler: a newer Go is no reason to build anew."""
    stamps = [f"{name}={value}" for name, value in sorted(program.stamps.items())]
    beside = [versions.KUBERNETES] if program.module in IN_KUBERNETES_MODULE else []
    return key_of([program.package, program.version, platform.machine(), *stamps, *beside])


def linker_flags(program: Program) -> str:
    """Without symbols, with the program's stamps."""
    return " ".join(["-s -w", *(f"-X {name}={value}" for name, value in program.stamps.items())])


def build_programs(ctx: Context, programs: Iterable[Program]) -> dict[str, Path]:
    """Every program's path by its name; builds what the cache lacks, a stage for each."""
    programs = tuple(programs)
    paths = {
        program.name: ctx.cache.path("programs", program.name, program_key(program))
        for program in programs
    }
    missing = [program for program in programs if not paths[program.name].exists()]
    if missing:
        go = find_go()
    for program in missing:
        with ctx.progress.stage(program.title) as stage:
            _build(ctx, go, program, paths[program.name])
            stage.outcome = "built"
    for name, path in paths.items():
        ctx.cache.link(path, name)
        ctx.cache.prune(path, name)
    return paths


def module_folder(ctx: Context, module: str, version: str) -> Path:
    """A module's files in Go's own module cache, fetched if they are not there."""
    go = find_go()
    command = [go.path, "-C", str(ctx.cache.work("empty")), "mod", "download", "-json"]
    answer = ctx.runner.read([*command, f"{module}@v{version}"], env=go.environment)
    return Path(json.loads(answer)["Dir"])


def build_file(ctx: Context, source: Path, target: Path) -> Path:
    """Compile one file that needs nothing but Go's standard library."""
    go = find_go()
    command = [go.path, "build", "-trimpath", "-ldflags", "-s -w", "-o", str(target), str(source)]
    ctx.runner.run(command, env=go.environment)
    return target


def _module_mode(go: Go) -> dict[str, str]:
    return go.environment | {"GOFLAGS": "-buildvcs=false -mod=mod"}


def _build(ctx: Context, go: Go, program: Program, target: Path) -> None:
    flags = ["-trimpath", "-ldflags", linker_flags(program)]
    # The machine stays usable while it compiles.
    nice = ["nice", "-n", "10"] if shutil.which("nice") else []
    with ctx.cache.making(target) as partial:
        if program.module in IN_KUBERNETES_MODULE:
            folder = _kubernetes_module(ctx)
            command = [*nice, go.path, "build", *flags, "-o", str(partial), program.package]
            ctx.runner.run(command, cwd=folder, env=_module_mode(go))
            return
        folder = ctx.cache.work(f"install-{program.name}")
        source = f"{program.package}@v{program.version}"
        environment = go.environment | {"GOBIN": os.fspath(folder)}
        ctx.runner.run([*nice, go.path, "install", *flags, source], cwd=folder, env=environment)
        (folder / program.package.rsplit("/", 1)[-1]).replace(partial)


def _kubernetes_module(ctx: Context) -> Path:
    """The folder with the written module; `go build` completes its lists and sums."""
    folder = ctx.cache.work(f"kubernetes-{versions.KUBERNETES}-{versions.ETCD}")
    if not (folder / "go.mod").exists():
        source = module_folder(ctx, KUBERNETES_MODULE, versions.KUBERNETES)
        with ctx.cache.making(folder / "go.mod") as partial:
            partial.write_text(go_mod((source / "go.mod").read_text()))
    return folder
