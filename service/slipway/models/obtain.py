"""The whole way in one call: settings → resolve → release → cache → load."""

from __future__ import annotations

from dataclasses import dataclass

from slipway.models.mlmodel import ModelFile
from slipway.models.release import Release
from slipway.scoring.scorer import Scorer
from slipway.settings import ModelSettings


@dataclass(frozen=True)
class Loaded:
    """A release and what predicts with it, ready to use."""

    release: Release
    model_file: ModelFile
    scorer: Scorer


def obtain(settings: ModelSettings) -> Loaded | None:
    """The model that the settings name, or None when they name none (an idle slot).

    Raises any of SlipwayError's model errors; nothing is deserialised before its digest matched.
    """
    raise NotImplementedError
