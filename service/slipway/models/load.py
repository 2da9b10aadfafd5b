"""Deserialises a verified artefact, if the loading policy allows it.

The order is the point: this takes a `VerifiedArtifact`, so the digest has been checked; then the
`MLmodel` file is read as text; then the policy decides; only then does a deserialiser run. The
artefact's own list of trusted types is never looked at: whoever writes the model writes the list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import structlog

from slipway.errors import DigestMismatch, ModelFailed, Unsigned, Untrusted, VersionMismatch
from slipway.models import mlmodel
from slipway.models.cache import VerifiedArtifact
from slipway.models.form_store import FormStore, Kept
from slipway.models.mlmodel import ModelFile, parse_mlmodel
from slipway.models.release import Release
from slipway.models.resolve import PICKLE_PAIR, pickle_pair
from slipway.models.trusted_types import TRUSTED_TYPES
from slipway.scoring.forms import Form
from slipway.scoring.scorer import Predict, Scorer
from slipway.usecases.protocol import UseCase
from slipway.usecases.rides import Rides, takes_zones_apart
from slipway.usecases.tabular import Tabular

MAX_EXAMPLE_BYTES = 1 << 20
PREDICT_FUNCTIONS = ("predict", "predict_proba", "predict_log_proba", "score", "transform")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class LoadingPolicy:
    """What may be loaded; each exception is a setting of its own."""

    allow_pickle: bool = False
    allow_unsigned: bool = False
    allow_version_mismatch: bool = False


def load(
    artifact: VerifiedArtifact,
    release: Release,
    policy: LoadingPolicy,
    forms: FormStore | None = None,
    *,
    compiled: bool = True,
) -> tuple[ModelFile, Scorer]:
    """The model of a verified artefact, ready to score: compiled where that agrees, else native.

    With `compiled` false it is native always. With a store of forms a known artefact is not
    deserialised at all. Raises Untrusted, VersionMismatch or Unsigned before anything is
    deserialised, and ModelFailed when the deserialiser itself gives up.
    """
    if artifact.digest != release.digest:
        raise DigestMismatch("the artefact that was verified is not the release's")
    model_file = describe(artifact)
    use_case = use_case_of(model_file, release.use_case)
    check(model_file, policy, use_case)
    numeric = release.use_case == "rides"
    if kept := forms.find(artifact.digest) if forms and compiled else None:
        scorer = Scorer(
            _of_zones(use_case, apart=kept.apart),
            compiled=kept.form,
            why="it was compiled and compared at an earlier start",
            numeric=numeric,
        )
    else:
        predict = _deserialise(artifact.path, model_file)
        use_case = _of_zones(use_case, apart=isinstance(use_case, Rides) and _apart(predict))
        form, why = None, "SLIPWAY_COMPILED is false"
        if compiled:
            form, why = _compiled(predict, use_case, example_of(artifact, model_file))
        scorer = Scorer(use_case, predict, compiled=form, why=why, numeric=numeric)
        if form and forms:
            forms.keep(artifact.digest, Kept(form, isinstance(use_case, Rides) and use_case.apart))
    log.info("model loaded", form=scorer.form, why=scorer.why, digest=release.digest)
    return model_file, scorer


def _compiled(
    predict: Predict, use_case: UseCase, example: bytes | None
) -> tuple[Form | None, str]:
    """A form that agrees with the model, or None; and why."""
    from slipway.models.agreement import Disagreement, compare
    from slipway.models.compile import NotCompilable, compile_model

    try:
        form = compile_model(predict, use_case)
        rows = compare(form, predict, use_case, example)
    except NotCompilable as error:
        return None, f"it is not compiled: {error}"
    except Disagreement as error:
        return None, f"its compiled form is not used: {error}"
    # A model's attributes are whatever its file says; the model itself may do all the same.
    except Exception as error:  # noqa: BLE001
        return None, f"it cannot be compiled: {type(error).__name__}"
    return form, f"its compiled form agrees with it on {rows} rows"


def _apart(predict: Predict) -> bool:
    """Whether the model's vectoriser takes zones apart; raises ModelFailed if it knows no ride."""
    steps = getattr(predict, "steps", None) or getattr(
        getattr(predict, "__self__", None), "steps", None
    )
    names = getattr(steps[0][1], "feature_names_", None) if steps else None
    return names is not None and takes_zones_apart(names)


def _of_zones(use_case: UseCase, *, apart: bool) -> UseCase:
    return Rides(use_case.answer, apart=True) if apart else use_case


def describe(artifact: VerifiedArtifact) -> ModelFile:
    """What the artefact says of itself, read as text."""
    if artifact.path.is_file():
        return pickle_pair(str(artifact.path))
    document = artifact.path / mlmodel.FILE
    if not document.is_file():
        raise Untrusted("the artefact holds no MLmodel file")
    return parse_mlmodel(document.read_bytes())


def example_of(artifact: VerifiedArtifact, model_file: ModelFile) -> bytes | None:
    """The artefact's input example as a request to /invocations; None if there is none of use."""
    if model_file.example is None:
        return None
    path = artifact.path / model_file.example
    try:
        return path.read_bytes() if path.stat().st_size <= MAX_EXAMPLE_BYTES else None
    except OSError:
        return None


def use_case_of(model_file: ModelFile, name: str) -> UseCase:
    """The use case that serves the model."""
    if name == "rides":
        return Rides(str(model_file.metadata.get("answer") or "duration"))
    return Tabular(model_file.inputs, model_file.tensor)


def check(model_file: ModelFile, policy: LoadingPolicy, use_case: UseCase) -> None:
    """Apply the policy to what the artefact says of itself."""
    if model_file.code:
        raise Untrusted("the model brings code of its own (code_paths), which is never run here")
    if not (model_file.signed or policy.allow_unsigned):
        raise Unsigned(
            "the model has no signature, so nothing says what it takes; log it with one, "
            "or set SLIPWAY_ALLOW_UNSIGNED=true together with SLIPWAY_USE_CASE"
        )
    if use_case.name == "tabular" and not (model_file.inputs or model_file.tensor):
        raise Unsigned(
            "the model's signature says nothing of its inputs; log it with an input signature, "
            "or set SLIPWAY_USE_CASE to the use case that knows them"
        )
    safe = model_file.flavor == "sklearn" and model_file.serialization == "skops"
    if not (safe or policy.allow_pickle):
        raise Untrusted(
            f"the model is kept as {model_file.serialization} ({model_file.flavor}), which runs "
            "its author's code when it is loaded; log it as skops, or set SLIPWAY_ALLOW_PICKLE=true"
        )
    check_versions(model_file, policy)


def check_versions(
    model_file: ModelFile,
    policy: LoadingPolicy,
    installed: Callable[[str], str] = installed_version,
) -> None:
    """Refuse another scikit-learn (major.minor) than the recorded one; warn of another patch."""
    recorded = model_file.requires.get("scikit-learn")
    if recorded is None:
        return
    ours = installed("scikit-learn")
    if recorded == ours:
        return
    sentence = f"the model was made with scikit-learn {recorded}, installed is {ours}"
    if _minor(recorded) != _minor(ours) and not policy.allow_version_mismatch:
        raise VersionMismatch(
            f"{sentence}; use an image with {_minor(recorded)}, train it again, "
            "or set SLIPWAY_ALLOW_VERSION_MISMATCH=true"
        )
    log.warning("another scikit-learn than the model's", recorded=recorded, installed=ours)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _deserialise(root: Path, model_file: ModelFile) -> Predict:
    path = root if root.is_file() else root / model_file.model_path
    # Deserialisers are foreign code: whatever they raise means that the model cannot be used.
    try:
        if model_file.flavor == PICKLE_PAIR:
            return _load_pair(path)
        if model_file.flavor != "sklearn":
            return _load_pyfunc(root)
        model = _load_skops(path) if model_file.serialization == "skops" else _load_pickle(path)
    except (Untrusted, ModelFailed):
        raise
    except Exception as error:
        raise ModelFailed(f"the model cannot be loaded: {type(error).__name__}") from error
    if model_file.predict_fn not in PREDICT_FUNCTIONS:
        raise Untrusted("the MLmodel file names a predict function that scikit-learn has not")
    predict: Predict = getattr(model, model_file.predict_fn)
    return predict


def _load_skops(path: Path) -> Any:
    from skops import io as skops_io

    needed = set(skops_io.get_untrusted_types(file=path))
    if refused := sorted(needed - TRUSTED_TYPES):
        raise Untrusted(
            "the model needs types that are not on Slipway's list: " + ", ".join(refused[:5])
        )
    return skops_io.load(path, trusted=sorted(needed))


def _load_pickle(path: Path) -> Any:
    import cloudpickle

    with path.open("rb") as stream:
        return cloudpickle.load(stream)


class _Pair:
    """The course's pickled (DictVectorizer, model) as one `predict`."""

    def __init__(self, vectorizer: Any, model: Any) -> None:
        self._vectorizer, self._model = vectorizer, model
        self.steps = [("vectorizer", vectorizer), ("model", model)]

    def __call__(self, features: list[Mapping[str, Any]]) -> Any:
        return self._model.predict(self._vectorizer.transform(features))


def _load_pair(path: Path) -> Predict:
    pair = _load_pickle(path)
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise Untrusted("the pickle does not hold a pair (DictVectorizer, model)")
    return _Pair(*pair)


def _load_pyfunc(root: Path) -> Predict:
    import mlflow.pyfunc

    predict: Predict = mlflow.pyfunc.load_model(str(root)).predict
    return predict
