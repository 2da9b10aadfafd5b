"""The loading policy: what is refused, and that nothing was deserialised before."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import mlflow.sklearn
import msgspec
import numpy as np
import pandas as pd
import pytest
from mlflow.models.signature import ModelSignature
from mlflow.types.schema import ColSpec, Schema
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler
from tests.artifacts import RIDE, edit_mlmodel, ride_pipeline, save_ride_model
from tests.fitted_models import minutes, of_columns, of_dicts, rides

from slipway.errors import DigestMismatch, ModelFailed, Unsigned, Untrusted, VersionMismatch
from slipway.models import compile as compiler
from slipway.models import load as load_module
from slipway.models.compile import compile_model
from slipway.models.load import LoadingPolicy, load
from slipway.models.mlmodel import ModelFile
from slipway.models.obtain import Loaded, obtain
from slipway.models.trusted_types import TRUSTED_TYPES
from slipway.scoring.linear import Linear
from slipway.settings import ModelSettings, read_settings
from slipway.usecases.rides import Ride, ride_features, zone_features


def obtain_from(folder: Path, **settings: Any) -> Loaded:
    loaded = obtain(read_settings(ModelSettings, location=str(folder), **settings))
    assert loaded is not None
    return loaded


class Marker:
    """Unpickling this makes a file: the side effect that must not happen."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path(self.path),))


@pytest.fixture
def deserialisers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the deserialisers that ran; they run as always."""
    import cloudpickle
    from skops import io as skops_io

    ran: list[str] = []

    def spied(name: str, function: Any) -> Any:
        def spy(*args: Any, **kwargs: Any) -> Any:
            ran.append(name)
            return function(*args, **kwargs)

        return spy

    for module, name in ((skops_io, "load"), (skops_io, "get_untrusted_types"), (pickle, "load"),
                         (pickle, "loads"), (cloudpickle, "load")):  # fmt: skip
        monkeypatch.setattr(module, name, spied(f"{module.__name__}.{name}", getattr(module, name)))
    return ran


def test_a_verified_skops_model_predicts_as_the_pipeline_does(
    ride_model: Path, deserialisers: list[str]
) -> None:
    loaded = obtain_from(ride_model)
    expected = ride_pipeline().predict([{"PU_DO": "10_50", "trip_distance": 40.0}])
    assert loaded.scorer.score([Ride(**RIDE)]) == pytest.approx(expected, rel=1e-12)
    # The spies see what happens, so their silence below means something.
    assert "skops.io.load" in deserialisers


def flip_one_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty"])
def test_B3_a_changed_model_file_is_refused_before_any_deserialiser_runs(
    tmp_path: Path, deserialisers: list[str], damage: str
) -> None:
    folder = save_ride_model(tmp_path / "model")
    lock = tmp_path / "release.json"
    lock.write_bytes(obtain_from(folder).release.to_json())
    deserialisers.clear()
    model = folder / "model.skops"
    if damage == "flipped":
        flip_one_byte(model)
    else:
        model.write_bytes(model.read_bytes()[:1000] if damage == "truncated" else b"")
    with pytest.raises(DigestMismatch, match="digest mismatch"):
        obtain(read_settings(ModelSettings, release_file=lock))
    assert deserialisers == []


@pytest.mark.parametrize("serialization", ["pickle", "cloudpickle"])
def test_B4_a_pickle_is_refused_and_its_code_never_runs(
    tmp_path: Path, deserialisers: list[str], serialization: str
) -> None:
    folder = save_ride_model(tmp_path / "model", serialization="cloudpickle")
    marker = tmp_path / "marker"
    edit_mlmodel(folder, {"flavors.sklearn.serialization_format": serialization})
    (folder / "model.pkl").write_bytes(pickle.dumps(Marker(str(marker))))
    deserialisers.clear()
    with pytest.raises(Untrusted, match="SLIPWAY_ALLOW_PICKLE"):
        obtain_from(folder)
    assert deserialisers == []
    assert not marker.exists()
    # The marker works: where a setting allows pickles, its author's code does run.
    with pytest.raises((ModelFailed, AttributeError)):
        obtain_from(folder, allow_pickle=True)
    assert marker.exists()


def test_B4_a_pickle_under_the_name_of_skops_is_refused(
    tmp_path: Path, deserialisers: list[str]
) -> None:
    folder = save_ride_model(tmp_path / "model")
    marker = tmp_path / "marker"
    (folder / "model.skops").write_bytes(pickle.dumps(Marker(str(marker))))
    deserialisers.clear()  # MLflow loads what it has saved
    with pytest.raises(ModelFailed):
        obtain_from(folder)
    assert "skops.io.load" not in deserialisers
    assert "pickle.load" not in deserialisers
    assert not marker.exists()


def hostile(_rows: Any) -> Any:
    return None


def test_B5_the_models_own_list_of_trusted_types_decides_nothing(
    tmp_path: Path, deserialisers: list[str]
) -> None:
    """The model needs a function of ours and lists it as trusted in its own MLmodel."""
    import sklearn.pipeline

    name = f"{hostile.__module__}.{hostile.__name__}"
    pipeline = sklearn.pipeline.make_pipeline(FunctionTransformer(hostile), *ride_pipeline())
    folder = save_ride_model(tmp_path / "model", pipeline=pipeline, trusted=[name])
    deserialisers.clear()
    with pytest.raises(Untrusted, match="not on Slipway's list"):
        obtain_from(folder)
    assert "skops.io.load" not in deserialisers


def test_B6_another_minor_of_scikit_learn_is_refused_with_both_versions(
    tmp_path: Path, deserialisers: list[str]
) -> None:
    """R8 as well: the recorded version is compared before anything is loaded."""
    import sklearn

    folder = save_ride_model(tmp_path / "model")
    edit_mlmodel(folder, {"flavors.sklearn.sklearn_version": "0.24.2"})
    deserialisers.clear()
    with pytest.raises(VersionMismatch) as refused:
        obtain_from(folder)
    assert "0.24.2" in refused.value.message
    assert sklearn.__version__ in refused.value.message
    assert deserialisers == []
    allowed = obtain_from(folder, allow_version_mismatch=True)
    assert allowed.release.requires["scikit-learn"] == "0.24.2"


@pytest.mark.parametrize(
    ("recorded", "installed", "refused"),
    [
        ("1.9.1", "1.9.1", False),
        ("1.9.0", "1.9.1", False),
        ("1.8.2", "1.9.1", True),
        ("2.9.1", "1.9.1", True),
        ("1.10.0", "1.1.0", True),
    ],
)
def test_B6_only_major_and_minor_decide(recorded: str, installed: str, refused: bool) -> None:
    model = ModelFile("sklearn", "skops", "m", {"scikit-learn": recorded}, True, (), None)
    try:
        load_module.check_versions(model, LoadingPolicy(), lambda _name: installed)
    except VersionMismatch:
        assert refused
    else:
        assert not refused


def test_B7_a_model_without_a_signature_needs_two_settings(tmp_path: Path) -> None:
    folder = save_ride_model(tmp_path / "model", signed=False, metadata={})
    with pytest.raises(Unsigned, match="SLIPWAY_ALLOW_UNSIGNED"):
        obtain_from(folder)
    with pytest.raises(Unsigned, match="SLIPWAY_USE_CASE"):
        obtain_from(folder, allow_unsigned=True)
    loaded = obtain_from(folder, allow_unsigned=True, use_case="rides")
    assert np.isfinite(loaded.scorer.score([Ride(**RIDE)])).all()


def test_B7_outputs_only_with_a_known_use_case_counts_as_signed(ride_model: Path) -> None:
    assert obtain_from(ride_model).model_file.inputs == ()


def test_code_that_a_model_brings_along_is_refused(tmp_path: Path) -> None:
    folder = save_ride_model(tmp_path / "model")
    edit_mlmodel(folder, {"flavors.python_function.code": "code", "flavors.sklearn.code": "code"})
    with pytest.raises(Untrusted, match="code"):
        obtain_from(folder)


def test_R44_the_courses_pair_of_vectoriser_and_model_loads(tmp_path: Path) -> None:
    pipeline = ride_pipeline()
    pair = tmp_path / "model.bin"
    pair.write_bytes(pickle.dumps((pipeline[0], pipeline[1])))
    with pytest.raises(Untrusted, match="SLIPWAY_ALLOW_PICKLE"):
        obtain(read_settings(ModelSettings, file=str(pair)))
    loaded = obtain(read_settings(ModelSettings, file=str(pair), allow_pickle=True))
    assert loaded is not None
    expected = pipeline.predict([{"PU_DO": "10_50", "trip_distance": 40.0}])
    assert loaded.scorer.score([Ride(**RIDE)]).tolist() == expected.tolist()
    assert loaded.release.run_id is None
    assert loaded.release.version == loaded.release.digest[7:19]


def test_only_the_artefact_that_was_verified_is_loaded(ride_model: Path) -> None:
    loaded = obtain_from(ride_model)
    from slipway.models.cache import VerifiedArtifact

    other = VerifiedArtifact(ride_model, "sha256:" + "0" * 64)
    with pytest.raises(DigestMismatch):
        load(other, loaded.release, LoadingPolicy())


def test_F15_a_known_artefact_is_not_deserialised_again(
    tmp_path: Path, deserialisers: list[str]
) -> None:
    folder = save_ride_model(tmp_path / "model")
    first = obtain_from(folder)
    assert (first.scorer.form, "agrees with it" in first.scorer.why) == ("linear", True)
    deserialisers.clear()
    again = obtain_from(folder)
    assert deserialisers == []
    assert (again.scorer.form, "earlier start" in again.scorer.why) == ("linear", True)
    assert again.scorer.score([Ride(**RIDE)]) == first.scorer.score([Ride(**RIDE)])


def test_F15_a_kept_form_changes_nothing_of_what_is_refused(tmp_path: Path) -> None:
    """The digest, then the policy, and only then the kept form: as if there were none."""
    folder = save_ride_model(tmp_path / "model")
    lock = tmp_path / "release.json"
    lock.write_bytes(obtain_from(folder).release.to_json())
    flip_one_byte(folder / "model.skops")
    with pytest.raises(DigestMismatch):
        obtain(read_settings(ModelSettings, release_file=lock))
    pickled = save_ride_model(tmp_path / "pickled", serialization="cloudpickle")
    assert obtain_from(pickled, allow_pickle=True).scorer.form == "linear"
    assert "earlier" in obtain_from(pickled, allow_pickle=True).scorer.why
    with pytest.raises(Untrusted, match="SLIPWAY_ALLOW_PICKLE"):
        obtain_from(pickled)


def test_F14_with_compiling_switched_off_the_model_itself_answers(ride_model: Path) -> None:
    scorer = obtain_from(ride_model, compiled=False).scorer
    assert (scorer.form, scorer.why) == ("native", "SLIPWAY_COMPILED is false")


def test_F14_a_model_without_a_compiled_form_answers_itself_and_says_why(tmp_path: Path) -> None:
    learnt = rides(0)
    pipeline = make_pipeline(DictVectorizer(), MaxAbsScaler(), LinearRegression())
    pipeline.fit(learnt, minutes(learnt, 0))
    scorer = obtain_from(save_ride_model(tmp_path / "model", pipeline=pipeline)).scorer
    assert scorer.form == "native"
    assert (
        scorer.why == "it is not compiled: its pipeline has 3 steps, not a vectoriser and a model"
    )
    assert scorer.score([Ride(**RIDE)]) == pipeline.predict([ride_features("10_50", 40.0)])


def test_F14_a_form_that_disagrees_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For instance after an update of scikit-learn that changes what an attribute means."""

    def reads_it_wrongly(*read: Any) -> Any:
        form = compile_model(*read)
        return Linear(form.encoding, np.zeros(form.encoding.width), 0.0)

    monkeypatch.setattr(compiler, "compile_model", reads_it_wrongly)
    folder = save_ride_model(tmp_path / "model")
    scorer = obtain_from(folder).scorer
    assert scorer.form == "native"
    assert scorer.why.startswith("its compiled form is not used: it is off by 1")
    # Nor is it kept.
    monkeypatch.undo()
    assert "agrees" in obtain_from(folder).scorer.why


@pytest.mark.parametrize("kind", ["linear", "forest"])
def test_R45_a_model_of_zones_apart_is_asked_with_zones_apart(tmp_path: Path, kind: str) -> None:
    pipeline, _ = of_dicts(kind, apart=True)
    folder = save_ride_model(tmp_path / "model", pipeline=pipeline, trusted=sorted(TRUSTED_TYPES))
    expected = pipeline.predict([zone_features("10", "50", 40.0)])
    for _ in range(2):
        assert obtain_from(folder).scorer.score([Ride(**RIDE)]).tolist() == expected.tolist()


def test_F14_the_twin_with_columns_is_compiled_too(tmp_path: Path) -> None:
    pipeline, use_case = of_columns("forest")
    signature = ModelSignature(
        inputs=Schema([ColSpec(field.type, field.name) for field in use_case.inputs]),
        outputs=Schema([ColSpec("double")]),
    )
    mlflow.sklearn.save_model(
        pipeline,
        str(tmp_path / "model"),
        serialization_format="skops",
        signature=signature,
        skops_trusted_types=sorted(TRUSTED_TYPES),
        pip_requirements=["scikit-learn"],
    )
    features = pd.DataFrame(rides(9))
    for how in ("agrees", "earlier"):
        scorer = obtain_from(tmp_path / "model").scorer
        rows = msgspec.convert(rides(9), list[scorer.use_case.row_type()])  # type: ignore[misc]
        assert (scorer.form, how in scorer.why) == ("steps", True)
        assert scorer.score(rows).tolist() == pipeline.predict(features).tolist()
