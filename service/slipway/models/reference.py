"""What a person writes to name a model, read into one of six kinds. Pure.

| written | kind |
|---|---|
| 32 hex digits, or `runs:/<run id>/<path>` | RunModel |
| `models:/name/3` | RegisteredVersion |
| `models:/name@alias` | RegisteredAlias |
| `models:/m-<32 hex>` | LoggedModelId |
| `s3://…`, `mlflow-artifacts:/…`, `file://…`, a folder | ArtifactUri |
| a file | PickleFile: the course's `(dv, model)` pair |
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from slipway.errors import InvalidConfig

MAX_LENGTH = 1024
ARTIFACT_SCHEMES = ("s3", "file", "mlflow-artifacts")

_RUN_ID = re.compile(r"[0-9a-f]{32}")
_MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
# What MLflow's registry itself takes for names: anything but a slash, a colon, an at sign.
_NAME = r"[^/:@\s][^/:@]*"
_REGISTERED = re.compile(rf"models:/(?P<name>{_NAME})/(?P<version>[0-9]{{1,9}})")
_ALIASED = re.compile(rf"models:/(?P<name>{_NAME})@(?P<alias>[A-Za-z0-9][\w.-]*)")
_RUNS = re.compile(r"runs:/(?P<run>[0-9a-f]{32})/(?P<path>.+)")
_PICKLES = (".bin", ".pkl", ".pickle")


@dataclass(frozen=True)
class RunModel:
    """The model logged by a run; without `path` the one named `model`, else the only one."""

    run_id: str
    path: str | None = None


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a registered model."""

    name: str
    version: str


@dataclass(frozen=True)
class RegisteredAlias:
    """The version that an alias of a registered model points to: the only kind that moves."""

    name: str
    alias: str


@dataclass(frozen=True)
class LoggedModelId:
    """A logged model of MLflow 3, by its own id."""

    model_id: str


@dataclass(frozen=True)
class ArtifactUri:
    """The folder of an artefact, without MLflow's registry in between."""

    uri: str


@dataclass(frozen=True)
class PickleFile:
    """One file that holds a pickled pair of vectoriser and model."""

    path: str


Reference = (
    RunModel | RegisteredVersion | RegisteredAlias | LoggedModelId | ArtifactUri | PickleFile
)


def is_moving(reference: Reference) -> bool:
    """Whether the same reference may lead elsewhere tomorrow by intention."""
    return isinstance(reference, RegisteredAlias)


def parse_reference(text: str) -> Reference:
    """Read a model reference; raises InvalidConfig with a sentence that lists the forms."""
    _check_characters(text)
    if _RUN_ID.fullmatch(text):
        return RunModel(text)
    if found := _RUNS.fullmatch(text):
        return RunModel(found["run"], _inside(found["path"]))
    if text.startswith("models:/"):
        return _parse_registered(text)
    return _parse_place(text)


def _check_characters(text: str) -> None:
    if not text:
        raise InvalidConfig("the model reference is empty; give a run id or a URI")
    if len(text) > MAX_LENGTH:
        raise InvalidConfig(f"the model reference is longer than {MAX_LENGTH} characters")
    if text != text.strip() or any(ord(c) < 32 or ord(c) == 127 for c in text):
        raise InvalidConfig(
            "the model reference has spaces at an end, a line break or a control character; "
            "remove them"
        )


def _parse_registered(text: str) -> Reference:
    if found := _REGISTERED.fullmatch(text):
        return RegisteredVersion(found["name"], str(int(found["version"])))
    if found := _ALIASED.fullmatch(text):
        return RegisteredAlias(found["name"], found["alias"])
    rest = text.removeprefix("models:/")
    if _MODEL_ID.fullmatch(rest):
        return LoggedModelId(rest)
    raise InvalidConfig(
        "a registered model is written models:/name/3 or models:/name@alias, "
        "and a logged one models:/m-<32 hex digits>"
    )


def _parse_place(text: str) -> Reference:
    scheme = urlsplit(text).scheme if "://" in text or text.startswith("mlflow-artifacts:") else ""
    if scheme == "file":
        text, scheme = unquote(urlsplit(text).path), ""
    if scheme and scheme not in ARTIFACT_SCHEMES:
        raise InvalidConfig(
            f"artefacts are read from {', '.join(ARTIFACT_SCHEMES)} and folders, not from {scheme}"
        )
    if scheme:
        if ".." in PurePosixPath(urlsplit(text).path).parts:
            raise InvalidConfig("an artefact URI must not hold '..'")
        return ArtifactUri(text.rstrip("/"))
    if text.endswith(_PICKLES):
        return PickleFile(text)
    if "/" in text or text in (".", ".."):
        return ArtifactUri(text.rstrip("/") or "/")
    raise InvalidConfig(
        "this is no model reference: give a run id (32 hex digits), models:/name/3, "
        "models:/name@alias, s3://bucket/path or a folder (./model)"
    )


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts:
        raise InvalidConfig("the path after the run id must lie inside the run's artefacts")
    return path.rstrip("/")
