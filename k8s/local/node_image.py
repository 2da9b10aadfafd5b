"""Makes the kind node image: a Debian with systemd and containerd, kind's own files, Kubernetes.

kind's node files (entrypoint, units, containerd's settings) come from kind's module, at the
version of the kind that starts the node; ours, in `k8s/node-image/files`, are laid over them. The
control plane's images are each one static program; kubeadm says how they must be called.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from k8s.local import golang, versions
from k8s.local.archives import ImageSettings, write_image, write_layer
from k8s.local.base_images import DEBIAN_IMAGE, image_archive, load_into_engine
from k8s.local.cache import files_below, key_of
from k8s.local.commands import ask
from k8s.local.context import NODE_IMAGE, Context
from k8s.local.debian import NODE, PLAIN, build_rootfs
from k8s.local.errors import SetupFailed
from k8s.local.golang import build_programs
from k8s.local.load import CTR, full_name, images_of

FILES = NODE_IMAGE / "files"
PROVISIONER_IMAGE = "slipway-local-path-provisioner:node"
REPOSITORY = "slipway-node"
BASE_TAG = f"{REPOSITORY}:unprepared"
BUILDER = "slipway-node-builder"
# Debian's places of what kind's files expect elsewhere.
LINKS = {
    "usr/local/bin/containerd": "/usr/bin/containerd",
    "usr/local/bin/ctr": "/usr/bin/ctr",
    "opt/cni/bin": "/usr/lib/cni",
}
_SANDBOX = re.compile(r'^\s*sandbox_image = "([^"]+)"', re.MULTILINE)


def node_image_key() -> str:
    """Of all that goes into the node image."""
    programs = [f"{program.name}={golang.program_key(program)}" for program in versions.PROGRAMS]
    facts = [versions.KIND, NODE.key, DEBIAN_IMAGE.key, *programs]
    here = Path(__file__)
    return key_of(facts, [*files_below(NODE_IMAGE), here, here.with_name("archives.py")])


def node_image_name() -> str:
    """The image's name in the engine."""
    return f"{REPOSITORY}:{node_image_key()}"


def ensure_node_image(ctx: Context) -> str:
    """The node image is in the engine afterwards; gives its name."""
    name = node_image_name()
    archive = ctx.cache.path("images", "node", node_image_key(), ".tar")
    if archive.exists():
        load_into_engine(ctx, name, archive)
        return name
    programs = build_programs(ctx, versions.PROGRAMS)
    node, plain = build_rootfs(ctx, NODE), build_rootfs(ctx, PLAIN)
    helper = image_archive(ctx, DEBIAN_IMAGE)
    with ctx.progress.stage("Node image") as stage:
        with tempfile.TemporaryDirectory(dir=ctx.cache.work("node")) as folder:
            build = _Build(ctx, Path(folder), programs)
            build.base(node)
            with build.container():
                build.prepare()
                build.import_archive(helper)
                images = build.images(plain)
                for image in images:
                    build.import_image(image)
                build.check([DEBIAN_IMAGE.name, *(image.name for image in images)])
                build.commit(name)
        with ctx.cache.making(archive) as partial:
            ctx.runner.run(["docker", "save", "-o", partial, name])
        stage.outcome = f"{archive.stat().st_size / 1e6:.0f} MB"
    ctx.cache.prune(archive, "node", ".tar")
    return name


@dataclass(frozen=True)
class NodeProgram:
    """An image of one program, at `place`, over the layers `below`."""

    name: str
    program: Path
    place: str
    below: list[Path]


@dataclass
class _Build:
    """One making of the node image, in a folder that is removed afterwards."""

    ctx: Context
    folder: Path
    programs: dict[str, Path]

    def base(self, rootfs: Path) -> None:
        """The image that the builder starts from: Debian, and all files over it."""
        kind = golang.module_folder(self.ctx, versions.KIND_PROGRAM.module, versions.KIND)
        self.kind_files = kind / "images" / "base" / "files"
        layer, archive = self.folder / "files.tar", self.folder / "base.tar"
        write_layer(layer, self._files())
        settings = ImageSettings(entrypoint=["/bin/sleep", "infinity"])
        write_image(archive, BASE_TAG, [rootfs, layer], settings)
        layer.unlink()
        self.ctx.runner.run(["docker", "load", "-q", "-i", archive])
        archive.unlink()

    def _files(self) -> list[tuple[Path, str, int]]:
        files = {}
        for folder in (self.kind_files, FILES):
            for path in files_below(folder):
                place = path.relative_to(folder).as_posix()
                files[place] = (path, place, 0o755 if "/bin/" in f"/{place}" else 0o644)
        for program in versions.NODE_PROGRAMS:
            place = f"usr/bin/{program.name}"
            files[place] = (self.programs[program.name], place, 0o755)
        for number, (place, target) in enumerate(LINKS.items()):
            link = self.folder / f"link-{number}"
            link.symlink_to(target)
            files[place] = (link, place, 0o777)
        version = self.folder / "version"
        version.write_text(f"v{versions.KUBERNETES}\n")
        files["kind/version"] = (version, "kind/version", 0o644)
        return list(files.values())

    @contextlib.contextmanager
    def container(self) -> Iterator[None]:
        """The container that becomes the node image; gone afterwards."""
        self._remove()
        try:
            command = ["docker", "run", "-d", "--privileged", "--network=none", "--name", BUILDER]
            # What `docker stop` sends to systemd; a commit keeps it, and cannot set it.
            command += ["--stop-signal", "SIGRTMIN+3"]
            self.ctx.runner.run([*command, BASE_TAG], env=self._without_client_settings())
            yield
        finally:
            self._remove()

    def _without_client_settings(self) -> dict[str, str]:
        """A person's client may give every container a proxy, which would stay in the image."""
        empty = self.folder / "docker-config"
        empty.mkdir(exist_ok=True)
        endpoint = "{{.Endpoints.docker.Host}}"
        host = ask(["docker", "context", "inspect", "--format", endpoint])
        return {"DOCKER_CONFIG": str(empty)} | ({"DOCKER_HOST": host} if host else {})

    def prepare(self) -> None:
        """Arrange the units and start the containerd that will take the images."""
        command = ["docker", "exec", "-i", BUILDER, "sh", "-s"]
        self.ctx.runner.run(command, stdin=NODE_IMAGE / "prepare-node.sh")
        self.ctx.runner.run(["docker", "exec", "-d", BUILDER, "/usr/local/bin/containerd"])
        wait = (
            "for i in $(seq 100); do ctr version >/dev/null 2>&1 && exit; sleep 0.1; done; exit 1"
        )
        self.ctx.runner.run(["docker", "exec", BUILDER, "sh", "-c", wait])

    def images(self, plain: Path) -> list[NodeProgram]:
        """The images that a node needs before it could pull any, each as kubeadm calls it."""
        version = f"v{versions.KUBERNETES}"
        kubeadm = str(self.programs[versions.KUBEADM.name])
        command = [kubeadm, "config", "images", "list", "--kubernetes-version", version]
        names = self.ctx.runner.read(command).split()
        # containerd's settings may name another pause than kubeadm does.
        sandbox = _SANDBOX.search((self.kind_files / "etc/containerd/config.toml").read_text())
        if sandbox is None:
            raise SetupFailed("kind's settings for containerd name no sandbox_image")
        pause = golang.build_file(self.ctx, NODE_IMAGE / "pause.go", self.folder / "pause")
        programs = {**self.programs, "pause": pause}
        images = []
        for name in [*dict.fromkeys([*names, sandbox[1]]), PROVISIONER_IMAGE]:
            program = name.rsplit("/", 1)[-1].split(":", maxsplit=1)[0].removeprefix("slipway-")
            below = [plain] if program == versions.KUBE_PROXY.name else []
            images.append(NodeProgram(name, programs[program], f"usr/local/bin/{program}", below))
        return images

    def import_image(self, image: NodeProgram) -> None:
        """Write the image and put it into the node."""
        layer, archive = self.folder / "program.tar", self.folder / "image.tar"
        write_layer(layer, [(image.program, image.place, 0o755)])
        settings = ImageSettings(entrypoint=[f"/{image.place}"])
        write_image(archive, image.name, [*image.below, layer], settings)
        self.import_archive(archive)

    def import_archive(self, archive: Path) -> None:
        """Put an image's bytes into the node's store; the node unpacks them when it runs them."""
        command = ["docker", "exec", "-i", BUILDER, *CTR, "import"]
        self.ctx.runner.run([*command, "--all-platforms", "--no-unpack", "-"], stdin=archive)

    def check(self, names: Iterable[str]) -> None:
        """Raises SetupFailed if the node lacks an image: it would find out minutes later."""
        listing = self.ctx.runner.read(["docker", "exec", BUILDER, *CTR, "ls"])
        missing = [name for name in names if full_name(name) not in images_of(listing)]
        if missing:
            raise SetupFailed(f"the node image lacks {', '.join(missing)}")

    def commit(self, name: str) -> None:
        """The container as it stands becomes the node image."""
        stop = "kill $(pidof containerd); while pidof containerd >/dev/null; do sleep 0.1; done"
        self.ctx.runner.run(["docker", "exec", BUILDER, "sh", "-c", stop])
        changes = [
            "ENV container=docker",
            'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]',
        ]
        options = [word for change in changes for word in ("-c", change)]
        self.ctx.runner.run(["docker", "commit", *options, BUILDER, name])

    def _remove(self) -> None:
        ask(["docker", "rm", "-f", "-v", BUILDER], timeout=60)


def remove_old_images(keep: str) -> None:
    """Of the node images in the engine only `keep` stays; one in use is left by Docker itself."""
    names = ask(["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", REPOSITORY]) or ""
    for name in names.split():
        if name != keep:
            ask(["docker", "rmi", name], timeout=60)
