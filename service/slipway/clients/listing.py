"""Which files a pattern with `*`, `?` and `[…]` means, in folders and in stores."""

from __future__ import annotations

import fnmatch
import glob
from pathlib import Path
from typing import Any

from slipway.clients.objects import S3Objects

WILDCARDS = frozenset("*?[")


def is_pattern(uri: str) -> bool:
    """Whether a name means many files; a file of just this name is itself."""
    return bool(WILDCARDS & set(uri)) and not Path(uri).exists()


def local_files(pattern: str) -> list[str]:
    """The files that match, sorted; `**` means folders of any depth."""
    # Path.glob takes no absolute pattern.
    found = glob.glob(pattern, recursive=True)  # noqa: PTH207
    return sorted(path for path in found if Path(path).is_file())


def stored_objects(client: Any, bucket: str, pattern: str) -> list[str]:
    """The keys that match, sorted. As in folders a `*` does not reach over a `/`."""
    wanted = pattern.split("/")
    fixed = next(place for place, part in enumerate(wanted) if WILDCARDS & set(part))
    root = "/".join(wanted[:fixed])
    found = S3Objects(client).list(f"s3://{bucket}/{root}")
    keys = [f"{root}/{entry.path}" if root else entry.path for entry in found]
    return [key for key in keys if _fits(key.split("/"), wanted)]


def _fits(parts: list[str], wanted: list[str]) -> bool:
    if not wanted:
        return not parts
    if wanted[0] == "**":
        return any(_fits(parts[skip:], wanted[1:]) for skip in range(len(parts) + 1))
    fits = bool(parts) and fnmatch.fnmatchcase(parts[0], wanted[0])
    return fits and _fits(parts[1:], wanted[1:])
