"""Makes each peer's own environment from its lock, once, outside of the repository."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

LOCKS = Path(__file__).parent / "locks"
CACHE = Path("~/.cache/slipway/peers").expanduser()
# Seconds that pip may take for one environment.
PATIENCE = 1800
TOLD = 800

_VERSIONS = """
import importlib.metadata, json, sys
def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
print(json.dumps({name: version(name) for name in sys.argv[1:] if version(name)}))
"""


class NotMade(Exception):
    """An environment cannot be had; the text says why."""


def python_of(name: str) -> Path:
    """The interpreter of the environment that `locks/NAME.lock` describes, made if need be.

    Raises NotMade with the end of what was told when it cannot be made.
    """
    lock = LOCKS / f"{name}.lock"
    content = lock.read_bytes() + sys.version.encode()
    folder = CACHE / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}"
    python, made = folder / "bin" / "python", folder / ".made"
    if made.exists():
        return python
    print(f"making the environment of {name} (a minute or two the first time)", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    install: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    make: list[str | Path] = [sys.executable, "-m", "venv", folder]
    for command in (make, [*install, "--require-hashes", "--requirement", lock]):
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=PATIENCE, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotMade(f"{name}: {error}") from error
        if done.returncode:
            raise NotMade(f"{name}: {(done.stderr or done.stdout).strip()[-TOLD:]}")
    made.touch()
    return python


def versions(python: Path, packages: tuple[str, ...]) -> dict[str, str]:
    """The versions of those of the packages that an environment has."""
    done = subprocess.run(
        [python, "-c", _VERSIONS, *packages], capture_output=True, text=True, check=True
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found
