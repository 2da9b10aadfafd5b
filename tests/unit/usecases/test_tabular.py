from __future__ import annotations

import json
import warnings
from datetime import date
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import mlflow.sklearn
import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.models.signature import ModelSignature
from mlflow.models.utils import _enforce_schema
from mlflow.types.schema import ColSpec, Schema, TensorSpec
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from slipway.errors import InvalidConfig, InvalidInput
from slipway.usecases.protocol import InputField, UseCase
from slipway.usecases.tabular import MAX_TEXT, Tabular

DTYPES = {
    "boolean": np.dtype("bool"),
    "integer": np.dtype("int32"),
    "long": np.dtype("int64"),
    "float": np.dtype("float32"),
    "double": np.dtype("float64"),
    "datetime": np.dtype("datetime64[ns]"),
}


def rows_of(tabular: Tabular, *texts: str) -> list[Any]:
    """Rows decoded from JSON, as the web part does it."""
    decoder = msgspec.json.Decoder(tabular.row_type())
    return [decoder.decode(text) for text in texts]


def one_column(word: str, *, required: bool = True) -> Tabular:
    return Tabular([InputField("x", word, required)])


def test_it_is_a_use_case() -> None:
    use_case: UseCase = one_column("double")
    assert (use_case.name, use_case.answer) == ("tabular", "prediction")
    assert use_case.inputs == (InputField("x", "double"),)


@pytest.mark.parametrize(
    ("word", "text", "value"),
    [
        ("double", "4", 4.0),
        ("double", "-0.0", -0.0),
        ("double", "5e-324", 5e-324),
        ("double", "18446744073709551616", 2.0**64),
        ("float", "0.5", 0.5),
        ("float", "3", 3.0),
        ("integer", "-2147483648", -(2**31)),
        ("long", "9223372036854775807", 2**63 - 1),
        ("boolean", "true", True),
        ("string", '"10_50"', "10_50"),
        ("string", '""', ""),
        ("datetime", '"2021-03-01T10:00:00"', pd.Timestamp("2021-03-01 10:00")),
        ("datetime", '"2021-03-01T10:00:00Z"', pd.Timestamp("2021-03-01 10:00")),
        ("datetime", '"2021-03-01T10:00:00.5+02:00"', pd.Timestamp("2021-03-01 08:00:00.5")),
    ],
)
def test_a_value_of_the_signatures_type_reaches_the_model(
    word: str, text: str, value: object
) -> None:
    tabular = one_column(word)
    frame = tabular.features(rows_of(tabular, f'{{"x": {text}}}'))
    assert frame["x"].iloc[0] == value
    assert frame["x"].dtype == DTYPES.get(word, frame["x"].dtype)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("double", '"4.0"'),
        ("double", "true"),
        ("double", "null"),
        ("double", "1e400"),
        ("double", "9" * 400),
        ("double", "[4]"),
        ("float", "1e39"),
        ("integer", "2147483648"),
        ("integer", "4.5"),
        ("long", "9223372036854775808"),
        ("long", '"4"'),
        ("boolean", "1"),
        ("string", "10"),
        ("string", json.dumps("x" * (MAX_TEXT + 1))),
        ("datetime", "1614592800"),
        ("datetime", '"tomorrow"'),
        ("datetime", '"1500-01-01T00:00:00"'),
        ("datetime", '"2300-01-01T00:00:00"'),
    ],
)
def test_a_value_of_another_type_is_refused(word: str, text: str) -> None:
    """FAULTS 1.6: 33 to 38, 42, 47 to 49, 54."""
    with pytest.raises(msgspec.ValidationError):
        rows_of(one_column(word), f'{{"x": {text}}}')


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("word", ["double", "float"])
def test_a_number_that_is_none_is_refused_however_it_comes(word: str, value: float) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"x": value}, one_column(word).row_type())


@pytest.mark.parametrize("text", ['{"x": 1, "y": 2}', "{}", '{"X": 1}', "[1]", "null"])
def test_exactly_the_columns_are_taken(text: str) -> None:
    """FAULTS 1.6: 27, 28, 30, 31."""
    with pytest.raises(msgspec.ValidationError):
        rows_of(one_column("double"), text)


def test_columns_may_have_any_name_and_come_in_any_order() -> None:
    names = ["petal length (cm)", "class", "0", "", "__post_init__", "f0", "Ünï"]
    tabular = Tabular([InputField(name, "double") for name in names])
    sent = {name: float(place) for place, name in enumerate(names)}
    shuffled = dict(reversed(sent.items()))
    frame = tabular.features(rows_of(tabular, json.dumps(sent), json.dumps(shuffled)))
    assert list(frame.columns) == names
    assert frame.to_numpy().tolist() == [list(sent.values())] * 2


def test_an_error_names_the_column() -> None:
    tabular = Tabular([InputField("petal length (cm)", "double")])
    with pytest.raises(msgspec.ValidationError, match=r"petal length \(cm\)"):
        rows_of(tabular, '{"petal length (cm)": "long"}')


def test_columns_keep_the_signatures_order_whatever_their_types() -> None:
    words = ["string", "double", "long", "double", "boolean", "integer", "float", "datetime"]
    inputs = [InputField(f"c{place}", word) for place, word in enumerate(words)]
    values = ["a", 1, 2, 3, True, 4, 5, "2021-03-01T00:00:00"]
    tabular = Tabular(inputs)
    text = json.dumps({field.name: value for field, value in zip(inputs, values, strict=True)})
    frame = tabular.features(rows_of(tabular, text, text))
    assert list(frame.columns) == [field.name for field in inputs]
    assert list(frame.iloc[1])[:7] == values[:7]
    for field in inputs[1:]:
        assert frame[field.name].dtype == DTYPES[field.type]


@pytest.mark.parametrize("word", ["double", "float", "string", "datetime", "boolean"])
@pytest.mark.parametrize("text", ["{}", '{"x": null}'])
def test_an_optional_value_may_be_missing(word: str, text: str) -> None:
    """MLflow infers an optional column where the training data had gaps."""
    tabular = one_column(word, required=False)
    frame = tabular.features(rows_of(tabular, text))
    assert frame["x"].isna().tolist() == [True]


@pytest.mark.parametrize("word", ["integer", "long"])
def test_an_optional_integer_is_given_in_all_rows_or_in_none(word: str) -> None:
    tabular = Tabular([InputField("x", word, required=False), InputField("y", "double")])
    none = tabular.features(rows_of(tabular, '{"y": 1}', '{"y": 2, "x": null}'))
    assert list(none.columns) == ["y"]
    both = tabular.features(rows_of(tabular, '{"y": 1, "x": 3}', '{"y": 2, "x": 4}'))
    assert both["x"].dtype == DTYPES[word]
    with pytest.raises(InvalidInput, match="'x'"):
        tabular.features(rows_of(tabular, '{"y": 1, "x": 3}', '{"y": 2}'))


NUMBERS = st.integers() | st.floats() | st.booleans() | st.none() | st.text(max_size=3)


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=5))
def test_what_is_accepted_is_finite_and_of_the_right_dtype(rows: list[tuple[Any, ...]]) -> None:
    words = ("double", "float", "integer")
    tabular = Tabular([InputField(word, word) for word in words])
    accepted = []
    for row in rows:
        try:
            document = dict(zip(words, row, strict=True))
            accepted.append(msgspec.convert(document, tabular.row_type()))
        except msgspec.ValidationError:
            continue
    frame = tabular.features(accepted)
    assert len(frame) == len(accepted)
    assert [frame[word].dtype for word in words] == [DTYPES[word] for word in words]
    assert np.isfinite(frame.to_numpy()).all()


def test_a_row_of_six_hundred_columns_keeps_its_values() -> None:
    tabular = Tabular([InputField(f"sensor {place}", "double") for place in range(600)])
    row = {f"sensor {place}": place / 7 for place in range(600)}
    frame = tabular.features(rows_of(tabular, json.dumps(row)))
    assert frame.iloc[0].to_dict() == row


@pytest.mark.parametrize(
    ("dtype", "shape", "text"),
    [
        ("float64", (-1, 3), "[1, 2.5, -3]"),
        ("float32", (-1, 1), "[4]"),
        ("int64", (-1, 2), "[1, -2]"),
        ("uint8", (-1, 2), "[0, 255]"),
        ("bool", (-1, 2), "[true, false]"),
        ("float64", (-1, 2, 2), "[[1, 2], [3, 4]]"),
        ("float64", (-1,), "7"),
    ],
)
def test_a_row_of_a_tensor_is_a_list_of_its_size(
    dtype: str, shape: tuple[int, ...], text: str
) -> None:
    tabular = Tabular((), (dtype, shape))
    features = tabular.features(rows_of(tabular, text, text))
    assert features.dtype == np.dtype(dtype)
    assert features.shape == (2, *shape[1:])
    assert features[1].tolist() == json.loads(text)


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        ("float64", "[1, 2]"),
        ("float64", "[1, 2, 3, 4]"),
        ("float64", '[1, 2, "3"]'),
        ("float64", "[1, 2, null]"),
        ("float64", '{"x": 1}'),
        ("float32", "[1, 2, 1e39]"),
        ("int64", "[1, 2, 3.5]"),
        ("uint8", "[1, 2, 256]"),
        ("uint8", "[1, 2, -1]"),
    ],
)
def test_another_list_is_refused(dtype: str, text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        rows_of(Tabular((), (dtype, (-1, 3))), text)


@pytest.mark.parametrize(
    ("inputs", "tensor"),
    [
        ([InputField("x", "binary")], None),
        ([InputField("x", "array")], None),
        ([InputField('"x"', "double")], None),
        ([InputField("x\n", "double")], None),
        ([InputField("x", "double"), InputField("x", "long")], None),
        ((), ("object", (-1, 3))),
        ((), ("datetime64[ns]", (-1, 3))),
        ((), ("qubit", (-1, 3))),
        ((), ("float64", ())),
        ((), ("float64", (3,))),
        ((), ("float64", (-1, -1))),
    ],
)
def test_a_signature_that_cannot_be_served_is_refused_at_once(
    inputs: list[InputField], tensor: tuple[str, tuple[int, ...]] | None
) -> None:
    with pytest.raises(InvalidConfig, match="signature"):
        Tabular(inputs, tensor)


def test_mlflows_enforcement_is_content_with_the_frame(tmp_path: Path) -> None:
    """FAULTS 1.5: by itself it refuses JSON's 4 for a double."""
    words = {
        "text": "string",
        "whole": "integer",
        "long": "long",
        "real": "double",
        "yes": "boolean",
    }
    frame = pd.DataFrame(
        {
            "text": ["a", "b", "a", "c"],
            "whole": np.array([1, 2, 3, 5], dtype=np.int32),
            "long": [1, 4, 2, 2],
            "real": [0.5, 1.5, 3.0, 4.0],
            "yes": [True, False, True, True],
        }
    )
    encoder = ColumnTransformer([("text", OneHotEncoder(), ["text"])], remainder="passthrough")
    model = make_pipeline(encoder, LinearRegression()).fit(frame, [1.0, 2.0, 3.0, 4.0])
    columns = [ColSpec(word, name) for name, word in words.items()]
    signature = ModelSignature(inputs=Schema(columns), outputs=Schema([ColSpec("double")]))
    served = save_and_load(model, signature, tmp_path / "model")

    sent = {"yes": True, "real": 4, "long": 2, "whole": 5, "text": "c"}
    with pytest.raises(mlflow.MlflowException):
        served.predict(pd.DataFrame([sent]))
    tabular = Tabular([InputField(name, word) for name, word in words.items()])
    features = tabular.features(rows_of(tabular, json.dumps(sent)))
    assert served.predict(features) == pytest.approx([4.0])
    assert model.predict(features) == pytest.approx([4.0])


def test_mlflows_enforcement_leaves_times_and_gaps_as_they_are() -> None:
    schema = Schema([ColSpec("datetime", "when", False), ColSpec("double", "real", False)])
    tabular = Tabular([InputField("when", "datetime", False), InputField("real", "double", False)])
    frame = tabular.features(rows_of(tabular, '{"when": "2021-03-01T00:00:00Z"}', '{"real": 4}'))
    assert frame["when"].iloc[0].date() == date(2021, 3, 1)
    pd.testing.assert_frame_equal(_enforce_schema(frame, schema), frame)


def test_mlflows_enforcement_is_content_with_the_tensor(tmp_path: Path) -> None:
    values = np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 5.0]])
    model = LinearRegression().fit(values, [3.0, 3.0, 8.0])
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype("float64"), (-1, 2))]),
        outputs=Schema([ColSpec("double")]),
    )
    served = save_and_load(model, signature, tmp_path / "model")
    tabular = Tabular((), ("float64", (-1, 2)))
    assert served.predict(tabular.features(rows_of(tabular, "[4, 5]"))) == pytest.approx([9.0])


def save_and_load(model: Any, signature: ModelSignature, folder: Path) -> Any:
    with warnings.catch_warnings():
        # MLflow warns of integer columns in general.
        warnings.simplefilter("ignore", UserWarning)
        mlflow.sklearn.save_model(
            model, str(folder), signature=signature, pip_requirements=["scikit-learn"]
        )
        return mlflow.pyfunc.load_model(str(folder))
