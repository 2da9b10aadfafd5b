"""Reading MLmodel files, real ones and hostile ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.artifacts import edit_mlmodel, save_ride_model

from slipway.errors import Untrusted
from slipway.models.mlmodel import MAX_BYTES, parse_mlmodel


def test_what_mlflow_wrote_is_understood(ride_model: Path) -> None:
    found = parse_mlmodel((ride_model / "MLmodel").read_bytes())
    assert (found.flavor, found.serialization) == ("sklearn", "skops")
    assert (ride_model / found.model_path).is_file()
    assert found.requires["scikit-learn"]
    assert found.signed
    assert found.inputs == ()
    assert found.metadata["use_case"] == "rides"


def test_a_column_signature_becomes_input_fields() -> None:
    inputs = (
        '[{"type": "string", "name": "PU_DO", "required": true},'
        ' {"type": "double", "name": "trip_distance", "required": false}]'
    )
    found = parse_mlmodel(_document(inputs))
    assert [(field.name, field.type, field.required) for field in found.inputs] == [
        ("PU_DO", "string", True),
        ("trip_distance", "double", False),
    ]


def test_a_single_unnamed_tensor_is_its_dtype_and_shape() -> None:
    spec = '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 4]}}]'
    assert parse_mlmodel(_document(spec)).tensor == ("float64", (-1, 4))


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"flavors: []",
        b"flavors: {}",
        b"\xff\xfe",
        b"a: b: c",
        b"!!python/object/apply:os.system ['true']",
        b"x" * (MAX_BYTES + 1),
        b'flavors: {sklearn: {}}\nsignature: {inputs: "[1]"}',
        b'flavors: {sklearn: {}}\nsignature: {inputs: "{"}',
    ],
)
def test_what_is_no_mlmodel_file_is_refused(document: bytes) -> None:
    with pytest.raises(Untrusted):
        parse_mlmodel(document)


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "..\\x"])
def test_B4_a_model_file_outside_of_the_artefact_is_refused(tmp_path: Path, path: str) -> None:
    folder = save_ride_model(tmp_path / "model")
    edit_mlmodel(folder, {"flavors.sklearn.pickled_model": path})
    with pytest.raises(Untrusted, match="outside"):
        parse_mlmodel((folder / "MLmodel").read_bytes())


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(document: bytes) -> None:
    try:
        parse_mlmodel(document)
    except Untrusted:
        return


def _document(inputs: str) -> bytes:
    flavors = "flavors: {sklearn: {serialization_format: skops}}"
    return f"{flavors}\nsignature: {{inputs: '{inputs}'}}".encode()
