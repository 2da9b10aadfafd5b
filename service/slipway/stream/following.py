"""Keeps the stream's scoring at what is promoted, as web and batch have it.

It looks every few seconds on a thread of its own and loads there too, so that no batch waits for a
model. While the API server or the store does not answer, the last scoring holds; a batch that has
begun ends with what it began with.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from slipway.cluster.protocol import Cluster
from slipway.errors import SlipwayError
from slipway.models.obtain import obtain_release
from slipway.models.release import Release, parse_release
from slipway.settings import ModelSettings
from slipway.stream.candidate import Candidate, Loading
from slipway.stream.processor import Processor
from slipway.stream.scoring import Scoring

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Promoted:
    """What the state says: stable's release, and the candidate's with its share of 10,000."""

    stable: Release | None = None
    trial: Release | None = None
    weight: int = 0


def promoted_of(data: Mapping[str, str]) -> Promoted:
    """Read the state's document; raises InvalidConfig. Pure."""
    trial, weight = data.get("trial") or "", int(data.get("weight") or 0)
    stable = data.get("promoted") or ""
    return Promoted(
        parse_release(stable.encode()) if stable else None,
        parse_release(trial.encode()) if trial and weight else None,
        weight if trial else 0,
    )


class Following:
    """`scoring` is what scores now; None until something is promoted and loaded.

    `idle` where the last look found nothing promoted: there is nothing to wait for then.
    """

    def __init__(
        self,
        cluster: Cluster,
        settings: ModelSettings,
        make: Callable[[ModelSettings, Release], Processor],
        candidate: Callable[[Release], Candidate],
        seconds: float = 2.0,
    ) -> None:
        self.scoring: Scoring | None = None
        self.idle = False
        self._cluster = cluster
        self._settings = settings
        self._make = make
        self._candidate = candidate
        self._seconds = seconds
        self._trial: Candidate | None = None
        self._trouble = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="following", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more, and end the candidate's process."""
        self._stop.set()
        if self._trial:
            self._trial.close()

    def look(self) -> None:
        """Look once, and load what is new."""
        try:
            self._follow()
            self._tell("")
        except SlipwayError as error:
            self._tell(error.message)
        # The edge of the thread: whatever is wrong with one look, there is a next one.
        except Exception as error:  # noqa: BLE001
            self._tell(type(error).__name__, error)

    def _follow(self) -> None:
        document = self._cluster.read("state")
        wanted = promoted_of(document.data) if document else Promoted()
        self.idle = wanted.stable is None
        if wanted.stable is None:
            return
        known = self.scoring
        stable = known.stable if known else None
        if stable is None or stable.release.digest != wanted.stable.digest:
            stable = self._make(self._settings, wanted.stable)
            log.info("scoring with what is promoted", run_id=stable.release.version)
        trial = self._trial
        if (trial.release if trial else None) != wanted.trial:
            # A batch that still asks the old one gets nothing from it, and goes to stable.
            if trial:
                trial.close()
            trial = self._candidate(wanted.trial) if wanted.trial else None
            self._trial = trial
        self.scoring = Scoring(stable, trial, wanted.weight)

    def _run(self) -> None:
        while not self._stop.is_set():
            self.look()
            self._stop.wait(self._seconds)

    def _tell(self, trouble: str, error: Exception | None = None) -> None:
        if trouble and trouble != self._trouble:
            log.warning("what is promoted cannot be followed", why=trouble, exc_info=error)
        self._trouble = trouble


def processor_of(
    settings: ModelSettings, release: Release, stream: str, max_bytes: int, tries: int
) -> Processor:
    """Load a release as stable."""
    loaded = obtain_release(settings, release)
    return Processor(loaded.scorer, release, stream, max_bytes=max_bytes, tries=tries)


def candidate_of(
    settings: ModelSettings, release: Release, stream: str, max_bytes: int
) -> Candidate:
    """Prepare a release as candidate."""
    return Candidate(release, Loading(settings, release, stream, max_bytes))
