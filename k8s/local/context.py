"""What every step of the setup gets: where things lie and how to show and run them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from k8s.local.cache import Cache
from k8s.local.commands import Runner
from k8s.local.progress import Progress

PROJECT = Path(__file__).resolve().parent.parent.parent
NODE_IMAGE = PROJECT / "k8s" / "node-image"


@dataclass(frozen=True)
class Context:
    """`folder` is the project's own place for what a cluster leaves: log, kubeconfig."""

    folder: Path
    cache: Cache
    progress: Progress
    runner: Runner

    @property
    def kubeconfig(self) -> Path:
        """Of our cluster only; the person's own is left alone."""
        return self.folder / "kubeconfig"
