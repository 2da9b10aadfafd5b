"""Writes container images as files, without an engine: the format of `docker save`.

An image is its layers (tar files) and a description; its id is the hash of the description, so
the same inputs always give the same image. The format is read by `docker load` and by
`ctr images import`; it is written down as "Image Tarball" in Docker's image specification 1.2.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Nothing of the moment goes into an image, or the same inputs would give another one tomorrow.
CREATED = "1970-01-01T00:00:00Z"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True)
class ImageSettings:
    """What a container of the image runs, and under which variables."""

    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    def described(self) -> dict[str, object]:
        """As image descriptions spell them."""
        variables = {"PATH": PATH, **self.environment}
        return {
            "Env": [f"{name}={value}" for name, value in variables.items()],
            "Entrypoint": list(self.entrypoint) or None,
            "Cmd": list(self.command) or None,
            "Labels": dict(self.labels) or None,
        }


def architecture() -> str:
    """This machine's, by Go's and Docker's word for it."""
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def write_layer(target: Path, files: Iterable[tuple[Path, str, int]]) -> None:
    """A layer of `(source, path in the image, mode)`; all belongs to root and has no date.

    A source that is a symbolic link stays one.
    """
    with tarfile.open(target, "w") as layer:
        folders: set[str] = set()
        for source, place, mode in sorted(files, key=lambda file: file[1]):
            for parent in reversed(Path(place).parents[:-1]):
                if str(parent) not in folders:
                    folders.add(str(parent))
                    layer.addfile(_entry(str(parent), tarfile.DIRTYPE, 0o755))
            if source.is_symlink():
                link = _entry(place, tarfile.SYMTYPE, 0o777)
                link.linkname = str(source.readlink())
                layer.addfile(link)
                continue
            entry = _entry(place, tarfile.REGTYPE, mode)
            entry.size = source.stat().st_size
            with source.open("rb") as content:
                layer.addfile(entry, content)


def write_image(target: Path, name: str, layers: Sequence[Path], settings: ImageSettings) -> str:
    """An image of that name; gives its id (`sha256:…`)."""
    digests = [_digest(layer) for layer in layers]
    description = json.dumps(
        {
            "architecture": architecture(),
            "os": "linux",
            "created": CREATED,
            "config": settings.described(),
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
            "history": [{"created": CREATED} for _ in layers],
        },
        sort_keys=True,
    ).encode()
    identity = hashlib.sha256(description).hexdigest()
    places = [f"{digest}/layer.tar" for digest in digests]
    manifest = [{"Config": f"{identity}.json", "RepoTags": [name], "Layers": places}]
    with tarfile.open(target, "w") as archive:
        _add_bytes(archive, f"{identity}.json", description)
        for place, layer in zip(places, layers, strict=True):
            entry = _entry(place, tarfile.REGTYPE, 0o644)
            entry.size = layer.stat().st_size
            with layer.open("rb") as content:
                archive.addfile(entry, content)
        _add_bytes(archive, "manifest.json", json.dumps(manifest).encode())
    return f"sha256:{identity}"


def image_id(archive: Path) -> str:
    """The id of the (one) image in a file that was written here or by `docker save`."""
    with tarfile.open(archive) as tar:
        manifest = tar.extractfile("manifest.json")
        if manifest is None:
            raise tarfile.ReadError("manifest.json is no file")
        config = str(json.load(manifest)[0]["Config"])
    return "sha256:" + Path(config).name.removesuffix(".json")


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.mode = mode
    return entry


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = _entry(name, tarfile.REGTYPE, 0o644)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
