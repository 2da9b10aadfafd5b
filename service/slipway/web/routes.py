"""What is served at which path. Pure."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING, Any

import msgspec

from slipway.settings import ServeSettings
from slipway.web.formats import Format, Written, invocations_format, predict_format
from slipway.web.open_inference import (
    PREFIX,
    infer_format,
    model_metadata,
    model_paths,
    server_metadata,
)
from slipway.web.openapi import openapi, reading_page
from slipway.web.warmup import Example

if TYPE_CHECKING:
    from slipway.models.obtain import Loaded

MODEL, OPENAPI, DOCS = "/model", "/openapi.json", "/docs"


def formats(loaded: Loaded | None, settings: ServeSettings) -> dict[str, Format | None]:
    """The format of each path that predicts, None where there is no model."""
    paths = ["/predict", "/invocations"]
    inferences = [f"{path}/infer" for path in model_paths(settings.model_name, _version(loaded))]
    if loaded is None:
        return dict.fromkeys([*paths, *inferences])
    use_case, version, most = loaded.scorer.use_case, loaded.release.version, settings.max_rows
    infer = infer_format(use_case, settings.model_name, version, most)
    return {
        "/predict": predict_format(use_case, version, most),
        "/invocations": invocations_format(use_case, most),
        **dict.fromkeys(inferences, infer),
    }


def documents(
    loaded: Loaded | None, example: Example | None, settings: ServeSettings
) -> dict[str, Written | None]:
    """What each path shows to GET, None where there is no model to tell of."""
    slipway = importlib.metadata.version("slipway")
    models = model_paths(settings.model_name, _version(loaded))
    shown: dict[str, Written | None] = {
        PREFIX: Written(server_metadata(slipway)),
        DOCS: reading_page(),
        **dict.fromkeys([MODEL, OPENAPI, *models]),
    }
    if loaded is None or example is None:
        return shown
    use_case, release, name = loaded.scorer.use_case, loaded.release, settings.model_name
    metadata = model_metadata(name, release.version, release.flavor, use_case, example.prediction)
    told = {
        MODEL: describe(loaded, example.row, settings),
        OPENAPI: openapi(use_case, example, settings, release.version, slipway),
        **dict.fromkeys(models, metadata),
    }
    return shown | {path: Written(document) for path, document in told.items()}


def describe(loaded: Loaded, row: Any, settings: ServeSettings) -> bytes:
    """The document of GET /model; `row` is shown as an example of what /predict takes."""
    release, scorer = loaded.release, loaded.scorer
    return msgspec.json.encode(
        {
            "name": settings.model_name,
            "model_version": release.version,
            "run_id": release.run_id,
            "model_id": release.model_id,
            "digest": release.digest,
            "slot": settings.slot,
            "flavor": release.flavor,
            "form": scorer.form,
            "form_reason": scorer.why,
            "use_case": scorer.use_case.name,
            "answer": scorer.use_case.answer,
            "inputs": [
                {"name": field.name, "type": field.type, "required": field.required}
                for field in scorer.use_case.inputs
            ],
            "requires": release.requires,
            "example": row,
        }
    )


def _version(loaded: Loaded | None) -> str:
    return loaded.release.version if loaded else ""
