"""A consumer follows what is promoted: through a folder's documents, and past what goes wrong."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from slipway.cluster.local import LocalCluster
from slipway.cluster.protocol import Document
from slipway.errors import InvalidConfig, ModelFailed, Unavailable
from slipway.models.release import Release
from slipway.settings import ModelSettings, read_settings
from slipway.stream.following import Following, Promoted, promoted_of


def release(letter: str) -> Release:
    return Release(
        reference=letter, uri=f"s3://models/{letter}", digest="sha256:" + letter * 64, size=1,
        flavor="sklearn", serialization="skops", use_case="rides", resolved_at="",
    )  # fmt: skip


def text(letter: str) -> str:
    return release(letter).to_json().decode()


class Trial:
    """Stands for a candidate's process."""

    def __init__(self, found: Release) -> None:
        self.release = found
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Scene:
    """An installation's folder, and a follower that is looked through step by step."""

    def __init__(self, folder: Path) -> None:
        self.cluster = LocalCluster(folder)
        self.loads: list[str] = []
        self.trials: list[Trial] = []
        self.fault: Exception | None = None
        make: Any = self._make
        candidate: Any = self._candidate
        self.following = Following(self.cluster, read_settings(ModelSettings), make, candidate)

    def says(self, **data: str) -> None:
        known = self.cluster.read("state")
        self.cluster.write(Document("state", data, {}, known.version if known else ""))
        self.following.look()

    @property
    def stable(self) -> str | None:
        scoring = self.following.scoring
        return scoring.stable.release.reference if scoring else None

    def _make(self, _settings: ModelSettings, found: Release) -> SimpleNamespace:
        if self.fault:
            raise self.fault
        self.loads.append(found.reference)
        return SimpleNamespace(release=found)

    def _candidate(self, found: Release) -> Trial:
        self.trials.append(Trial(found))
        return self.trials[-1]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_nothing_scores_until_something_is_promoted(scene: Scene) -> None:
    assert not scene.following.idle, "it has not looked yet"
    scene.following.look()
    assert (scene.stable, scene.following.idle) == (None, True)
    scene.says(phase="preparing", promoted="")
    assert (scene.stable, scene.following.idle) == (None, True)
    scene.fault = Unavailable("the store is down")
    scene.says(promoted=text("a"))
    assert (scene.stable, scene.following.idle) == (None, False)
    scene.fault = None
    scene.following.look()
    assert (scene.stable, scene.following.idle) == ("a", False)


def test_a_release_is_loaded_once_and_a_new_one_takes_its_place(scene: Scene) -> None:
    for letter in "aab":
        scene.says(promoted=text(letter), weight="0")
    assert (scene.loads, scene.stable) == (["a", "b"], "b")


@pytest.mark.parametrize("fault", [Unavailable("the store is down"), ModelFailed("broken")])
def test_while_the_new_one_cannot_be_loaded_the_old_one_scores(
    scene: Scene, fault: Exception
) -> None:
    scene.says(promoted=text("a"))
    scene.fault = fault
    scene.says(promoted=text("b"))
    assert scene.stable == "a"
    scene.fault = None
    scene.following.look()
    assert scene.stable == "b"


@pytest.mark.parametrize("data", [{"promoted": "{"}, {"weight": "many"}])
def test_a_document_that_cannot_be_read_changes_nothing(scene: Scene, data: Any) -> None:
    scene.says(promoted=text("a"))
    scene.says(**data)
    assert scene.stable == "a"


def test_a_candidate_is_there_with_its_weight_and_is_ended_with_it(scene: Scene) -> None:
    scene.says(promoted=text("a"), trial=text("b"), weight="500")
    scene.says(promoted=text("a"), trial=text("b"), weight="2500")
    scoring = scene.following.scoring
    assert scoring
    assert scoring.weight == 2500
    assert scoring.trial is not None
    assert [trial.release.reference for trial in scene.trials] == ["b"]
    scene.says(promoted=text("a"), trial=text("c"), weight="500")
    assert [(trial.release.reference, trial.closed) for trial in scene.trials] == [
        ("b", True),
        ("c", False),
    ]
    scene.says(promoted=text("c"), trial="", weight="0")
    assert scene.trials[1].closed
    assert scene.following.scoring
    assert scene.following.scoring.trial is None
    assert scene.stable == "c"


def test_a_trial_without_weight_is_none(scene: Scene) -> None:
    assert promoted_of({"promoted": text("a"), "trial": text("b"), "weight": "0"}) == Promoted(
        release("a")
    )
    with pytest.raises(InvalidConfig):
        promoted_of({"promoted": "{}"})
