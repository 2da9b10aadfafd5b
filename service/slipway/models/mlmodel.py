"""Reads the `MLmodel` file of an artefact: what the model is, without touching the model. Pure.

The file is input from outside. It is parsed by YAML's safe loader and only known members are
taken; whether the artefact may be loaded is decided in `models/load.py`, never by this file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import yaml

from slipway.errors import Untrusted
from slipway.usecases.protocol import InputField

FILE = "MLmodel"
MAX_BYTES = 1 << 20
METADATA_KEY = "slipway"


@dataclass(frozen=True)
class ModelFile:
    """What an `MLmodel` file says.

    `flavor` is `sklearn`, or the loader module of `python_function` for any other kind.
    `model_path` is relative to the artefact's root. `signed` says whether there is a signature,
    `inputs` its columns, `tensor` its shape and dtype when it is one unnamed tensor. `example` is
    the path of an input example in the form of a request to MLflow's server.
    """

    flavor: str
    serialization: str
    model_path: str
    requires: Mapping[str, str]
    signed: bool
    inputs: tuple[InputField, ...]
    tensor: tuple[str, tuple[int, ...]] | None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    run_id: str | None = None
    model_id: str | None = None
    code: str | None = None
    predict_fn: str = "predict"
    example: str | None = None


def parse_mlmodel(document: bytes) -> ModelFile:
    """Read an MLmodel file; raises Untrusted with a sentence when it is not one."""
    if len(document) > MAX_BYTES:
        raise Untrusted(f"the MLmodel file is larger than {MAX_BYTES} bytes")
    try:
        content = yaml.safe_load(document)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise Untrusted("the MLmodel file is not YAML that can be read safely") from error
    flavors = content.get("flavors") if isinstance(content, dict) else None
    if not isinstance(flavors, dict) or not flavors:
        raise Untrusted("the MLmodel file names no flavors: this is no MLflow model")
    pyfunc = _mapping(flavors.get("python_function"))
    sklearn = _mapping(flavors.get("sklearn"))
    inputs, tensor = _signature_inputs(_mapping(content.get("signature")))
    metadata = _mapping(_mapping(content.get("metadata")).get(METADATA_KEY))
    loader = str(pyfunc.get("loader_module", "unknown"))
    return ModelFile(
        flavor="sklearn" if sklearn else loader.removeprefix("mlflow."),
        serialization=str(sklearn.get("serialization_format") or "pickle"),
        model_path=_safe_path(sklearn.get("pickled_model") or pyfunc.get("model_path") or "."),
        requires=_requires(sklearn, pyfunc),
        signed=bool(content.get("signature")),
        inputs=inputs,
        tensor=tensor,
        metadata=metadata,
        run_id=_text(content.get("run_id")),
        model_id=_text(content.get("model_id")),
        code=_text(sklearn.get("code") or pyfunc.get("code")),
        predict_fn=str(pyfunc.get("predict_fn") or "predict"),
        example=_example(_mapping(content.get("saved_input_example_info"))),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return str(value) if value else None


def _safe_path(value: Any) -> str:
    path = PurePosixPath(str(value))
    if path.is_absolute() or ".." in path.parts or "\\" in str(value):
        raise Untrusted("the MLmodel file names a model file outside of the artefact")
    return str(path)


def _example(info: Mapping[str, Any]) -> str | None:
    path = _text(info.get("serving_input_path"))
    return _safe_path(path) if path else None


def _requires(sklearn: Mapping[str, Any], pyfunc: Mapping[str, Any]) -> dict[str, str]:
    found = {"python": pyfunc.get("python_version"), "scikit-learn": sklearn.get("sklearn_version")}
    return {name: str(version) for name, version in found.items() if version}


def _signature_inputs(
    signature: Mapping[str, Any],
) -> tuple[tuple[InputField, ...], tuple[str, tuple[int, ...]] | None]:
    try:
        columns = json.loads(signature.get("inputs") or "[]")
        if [column["type"] for column in columns] == ["tensor"] and "name" not in columns[0]:
            spec = columns[0]["tensor-spec"]
            return (), (str(spec["dtype"]), tuple(int(size) for size in spec["shape"]))
        return tuple(
            InputField(str(column["name"]), str(column["type"]), bool(column.get("required", True)))
            for column in columns
        ), None
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise Untrusted("the MLmodel file's signature cannot be read") from error
