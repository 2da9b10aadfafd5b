"""What a process serves with, apart from any framework."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slipway.metrics import PodMetrics
from slipway.settings import ServeSettings
from slipway.web.answer import Answers
from slipway.web.health import Health
from slipway.web.open_inference import model_paths
from slipway.web.routes import documents, formats
from slipway.web.sample import SampleRing
from slipway.web.warmup import Example

if TYPE_CHECKING:
    from slipway.models.obtain import Loaded


class Service:
    """A release, or none, with everything that serving it needs; made once for each process."""

    def __init__(
        self,
        settings: ServeSettings,
        loaded: Loaded | None,
        *,
        example: Example | None = None,
        pod: str = "local",
        multiprocess_dir: str = "",
    ) -> None:
        release = loaded.release if loaded else None
        self.metrics = PodMetrics(
            slot=settings.slot,
            release=release.label if release else "",
            run_id=release.version if release else "",
            form=loaded.scorer.form if loaded else "",
            buckets=release.buckets if release else (),
            multiprocess_dir=multiprocess_dir,
        )
        self.ring = SampleRing(pod, release.digest if release else "", settings.sample)
        self.health = Health(
            idle=loaded is None, threads=settings.threads, stuck_seconds=settings.stuck_seconds
        )
        self.model_paths = model_paths(settings.model_name, release.version if release else "")
        self.answers = Answers(
            loaded,
            self.metrics,
            self.ring,
            self.health,
            slot=settings.slot,
            formats=formats(loaded, settings),
            documents=documents(loaded, example, settings),
        )
