"""Keeps compiled forms in the pod's own scratch volume, so that a restart need not make them again.

Never in the shared cache: what one release's process writes must not be read for another one. A
file is named by the digest and by what compiled it, and begins with a hash of the rest. One that is
damaged, of another version or gone means that the form is made again; a disk that is full or
read-only means that it is not kept. Nothing here can call anything: the content is JSON and arrays
of numbers and texts.

    compiled/<64 hex>-<12 hex>.form   magic line, sha256 line, JSON line, arrays one after another
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import structlog

from slipway.scoring.forms import Form, from_arrays, to_arrays

# To be raised with every change of what the compiler makes of a model.
COMPILER = 1
MAGIC = b"slipway compiled form\n"
# Bytes of all forms together: the newest that fit are kept. The chart's volumes are larger.
ROOM = 128 << 20
_PLAIN_KINDS = "biufU"

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Kept:
    """A compiled form, and whether its rides have their zones apart."""

    form: Form
    apart: bool = False


class FormStore:
    """Forms below a folder that need not be there, nor writable."""

    def __init__(self, root: Path) -> None:
        self._root = root.expanduser() / "compiled"

    def find(self, digest: str) -> Kept | None:
        """The form of an artefact of this digest, or None where there is no sound one."""
        path = self._path(digest)
        try:
            return _read(path.read_bytes(), digest)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("the kept form of the model cannot be used; it is made again",
                        path=str(path), why=str(error))  # fmt: skip
            return None

    def keep(self, digest: str, kept: Kept) -> None:
        """Write the form down if that is possible; it appears whole or not at all."""
        path = self._path(digest)
        try:
            document = _document(kept, digest)
            if len(document) > ROOM:
                log.info("the compiled form is too large to be kept", bytes=len(document))
                return
            self._root.mkdir(parents=True, exist_ok=True)
            with _new_file(self._root) as new:
                new.write_bytes(document)
                new.replace(path)
            self._sweep(path, len(document))
        except OSError as error:
            log.warning("the compiled form could not be kept; the next start makes it again",
                        path=str(path), why=error.strerror)  # fmt: skip

    def _path(self, digest: str) -> Path:
        name = f"{digest.removeprefix('sha256:')}-{compiler()}.form"
        return self._root / name

    def _sweep(self, newest: Path, size: int) -> None:
        others = [(path, path.stat()) for path in self._root.iterdir() if path != newest]
        for path, found in sorted(others, key=lambda each: each[1].st_mtime, reverse=True):
            size += found.st_size
            if size > ROOM:
                path.unlink(missing_ok=True)


def compiler() -> str:
    """What a form depends on besides the artefact, as 12 hex digits."""
    others = [installed_version(name) for name in ("slipway", "scikit-learn", "numpy")]
    return hashlib.sha256(repr([COMPILER, *others]).encode()).hexdigest()[:12]


@contextlib.contextmanager
def _new_file(folder: Path) -> Iterator[Path]:
    """A file of a name of its own, removed if it is still there at the end."""
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".new", delete=False) as made:
        path = Path(made.name)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _document(kept: Kept, digest: str) -> bytes:
    arrays = to_arrays(kept.form)
    header = {
        "digest": digest,
        "form": kept.form.name,
        "apart": kept.apart,
        "arrays": [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()],
    }
    content = json.dumps(header).encode() + b"\n"
    content += b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values())
    return MAGIC + hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def _read(document: bytes, digest: str) -> Kept:
    """Raises ValueError, KeyError or TypeError for what `_document` did not write."""
    magic, said, content = (*document.split(b"\n", 2), b"", b"")[:3]
    if magic + b"\n" != MAGIC or hashlib.sha256(content).hexdigest().encode() != said:
        raise ValueError("it is damaged")
    head, _, body = content.partition(b"\n")
    header: dict[str, Any] = json.loads(head)
    if header["digest"] != digest:
        raise ValueError("it is another artefact's")
    arrays = _arrays(header["arrays"], body)
    return Kept(from_arrays(header["form"], arrays), bool(header["apart"]))


def _arrays(described: list[Any], body: bytes) -> Mapping[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {}
    start = 0
    for name, written, shape in described:
        dtype = np.dtype(written)
        if dtype.kind not in _PLAIN_KINDS:
            raise ValueError("it holds an array of another kind")
        count = math.prod(shape)
        # A copy, as arrays over bytes can be neither written nor aligned.
        array = np.frombuffer(body, dtype, count, start) if count else np.empty(0, dtype)
        arrays[name] = array.reshape(shape).copy()
        start += count * dtype.itemsize
    return arrays
