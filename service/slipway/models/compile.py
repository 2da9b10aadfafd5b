"""Reads a fitted scikit-learn pipeline and makes the form that answers in its place.

    vectoriser                                   estimator
    DictVectorizer                               linear models            -> Linear
    ColumnTransformer of one-hot encoders and    trees, forests, boosting -> Steps, else Trees
    numbers passed through; or none at all

Types are compared exactly: a class of its own may do anything else. Whatever is not on these lists
is not compiled and answers natively; and what is compiled is only used once it has been compared
with the native model (`models/agreement.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from slipway.scoring.encoding import Categories, Encoding, Floats, Number, Term
from slipway.scoring.forms import Form
from slipway.scoring.linear import Linear
from slipway.scoring.steps import NotUnfoldable, unfold
from slipway.scoring.trees import LEAF, Ensemble, Trees
from slipway.usecases.protocol import OPTIONAL, TEXT, WHOLE, UseCase

# More nodes than these (some 500 MB while they are read) are left to the native model.
MAX_NODES = 5_000_000
LINEAR = (
    *("LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV"),
    *("SGDRegressor", "BayesianRidge", "HuberRegressor", "Lars", "LassoLars", "LinearSVR"),
)
# Losses whose sum of leaves is the prediction itself.
PLAIN_LOSSES = ("squared_error", "absolute_error", "huber", "quantile")


class NotCompilable(Exception):
    """The model has no form of ours; the message says why."""


def compile_model(predict: Callable[[Any], Any], use_case: UseCase) -> Form:
    """The form of a loaded model's `predict`; raises NotCompilable with the reason."""
    vectorizer, estimator = _steps(predict)
    kinds = use_case.kinds()
    if kinds is None:
        raise NotCompilable("its inputs are not only texts and numbers")
    encoding, dense = _encoding(vectorizer, kinds)
    kind = _sklearn_name(estimator)
    if int(estimator.n_features_in_) != encoding.width:
        raise NotCompilable("its vectoriser and its estimator have other columns")
    if kind in LINEAR:
        return _linear(estimator, encoding)
    read = ENSEMBLES.get(kind)
    if read is None:
        raise NotCompilable(f"{type(estimator).__name__} has no compiled form")
    return _trees(read(estimator, dense), encoding, kind, kinds)


def _steps(predict: Any) -> tuple[Any, Any]:
    """The vectoriser (None where there is none) and the estimator."""
    from sklearn.pipeline import Pipeline

    steps = getattr(predict, "steps", None)
    if steps is None:
        model = getattr(predict, "__self__", None)
        if getattr(predict, "__name__", "") != "predict" or model is None:
            raise NotCompilable("it is no scikit-learn model that is asked by its predict")
        if type(model) is not Pipeline:
            return None, model
        steps = model.steps
    if len(steps) != 2:
        raise NotCompilable(f"its pipeline has {len(steps)} steps, not a vectoriser and a model")
    return steps[0][1], steps[1][1]


def _sklearn_name(thing: Any) -> str:
    """The name of a class of scikit-learn's own, else an empty text."""
    kind = type(thing)
    return kind.__name__ if kind.__module__.startswith("sklearn.") else ""


def _encoding(vectorizer: Any, kinds: Mapping[str, str]) -> tuple[Encoding, bool]:
    """The encoding, and whether the estimator gets a dense matrix."""
    name = _sklearn_name(vectorizer)
    if vectorizer is None:
        if TEXT in kinds.values():
            raise NotCompilable("it takes texts and has no vectoriser")
        numbers = [Number(column, place) for place, column in enumerate(kinds)]
        return Encoding(numbers, len(numbers), single=False), True
    if name == "DictVectorizer":
        return _of_dicts(vectorizer, kinds), not vectorizer.sparse
    if name == "ColumnTransformer":
        return _of_columns(vectorizer, kinds), not vectorizer.sparse_output_
    raise NotCompilable(f"its vectoriser is a {type(vectorizer).__name__}")


def _of_dicts(vectorizer: Any, kinds: Mapping[str, str]) -> Encoding:
    if vectorizer.dtype not in (np.float64, np.float32):
        raise NotCompilable("its vectoriser makes no floating-point numbers")
    vocabulary: Mapping[str, int] = vectorizer.vocabulary_
    terms: list[Term] = []
    for name, kind in kinds.items():
        if kind == TEXT:
            before = f"{name}{vectorizer.separator}"
            known = {
                feature.removeprefix(before): int(column)
                for feature, column in vocabulary.items()
                if feature.startswith(before)
            }
            terms.append(Categories(name, known))
        elif name in vocabulary:
            terms.append(Number(name, int(vocabulary[name])))
    # A sparse row is summed in the order of its columns.
    terms.sort(key=_first_column)
    return Encoding(terms, len(vocabulary), single=vectorizer.dtype == np.float32)


def _first_column(term: Term) -> int:
    return term.column if isinstance(term, Number) else min(term.columns.values(), default=-1)


def _of_columns(transformer: Any, kinds: Mapping[str, str]) -> Encoding:
    if transformer.transformer_weights:
        raise NotCompilable("its columns are weighted")
    terms: list[Term] = []
    width = 0
    for name, step, columns in transformer.transformers_:
        if isinstance(step, str) and step == "drop":
            continue
        names = _names(columns, list(kinds))
        if missing := [column for column in names if column not in kinds]:
            raise NotCompilable(f"its column {missing[0]} is no input")
        before, width = width, transformer.output_indices_[name].stop
        if _sklearn_name(step) == "OneHotEncoder":
            terms += _one_hot(step, names, before)
        elif _passes_through(step):
            if any(kinds[column] == TEXT for column in names):
                raise NotCompilable("it passes texts through")
            terms += [Number(column, before + place) for place, column in enumerate(names)]
        else:
            raise NotCompilable(f"its column transformer has a {type(step).__name__}")
    if len({term.name for term in terms}) != len(terms):
        raise NotCompilable("it takes a column more than once")
    return Encoding(terms, width, single=False)


def _names(columns: Any, inputs: Sequence[str]) -> list[str]:
    given = [columns] if isinstance(columns, str) else columns
    if not isinstance(given, list):
        raise NotCompilable("its columns are chosen by no list of names")
    return [column if isinstance(column, str) else inputs[int(column)] for column in given]


def _passes_through(step: Any) -> bool:
    if isinstance(step, str):
        return step == "passthrough"
    return _sklearn_name(step) == "FunctionTransformer" and step.func is None


def _one_hot(encoder: Any, names: Sequence[str], before: int) -> list[Term]:
    plain = encoder.drop is None and encoder.min_frequency is None
    if not plain or encoder.max_categories is not None:
        raise NotCompilable("its one-hot encoder drops or groups values")
    if encoder.handle_unknown not in ("ignore", "error"):
        raise NotCompilable("its one-hot encoder has a way of its own with unknown values")
    terms: list[Term] = []
    for name, values in zip(names, encoder.categories_, strict=True):
        known = {value: before + place for place, value in enumerate(values.tolist())}
        if not all(type(value) in (str, int) for value in known):
            raise NotCompilable("its one-hot encoder knows other values than texts and integers")
        terms.append(Categories(name, known, strict=encoder.handle_unknown == "error"))
        before += len(known)
    return terms


def _linear(estimator: Any, encoding: Encoding) -> Form:
    coefficients = np.asarray(estimator.coef_)
    intercept = np.ravel(np.asarray(estimator.intercept_, dtype=np.float64))
    if coefficients.size != encoding.width or len(intercept) != 1:
        raise NotCompilable("it predicts more than one number")
    if coefficients.dtype != np.float64:
        raise NotCompilable("its coefficients are not of double precision")
    return Linear(encoding, coefficients.reshape(-1), float(intercept[0]))


def _trees(ensemble: Ensemble, encoding: Encoding, kind: str, kinds: Mapping[str, str]) -> Form:
    if len(ensemble.feature) > MAX_NODES:
        raise NotCompilable(f"its trees have more than {MAX_NODES} nodes")
    # Histogram boosting alone takes numbers in double precision.
    single = encoding.single or kind != "HistGradientBoostingRegressor"
    if single and not encoding.categories and set(kinds.values()) == {WHOLE}:
        # From int64 to single precision in one step is another rounding than in two.
        raise NotCompilable("its trees take whole numbers only")
    encoding = Encoding(encoding.terms, encoding.width, single=single)
    if ensemble.missing and encoding.numbers:
        # Steps know no missing number; where the inputs may lack one, questions are asked.
        optional = any(kinds[term.name] == OPTIONAL for term in encoding.numbers)
        if optional:
            return Trees(encoding, ensemble)
    try:
        return unfold(encoding, ensemble)
    except NotUnfoldable:
        return Trees(encoding, ensemble)


def _joined(
    trees: Sequence[Any], *, start: float, divide: float, scale: float = 1.0, missing: bool
) -> Ensemble:
    """scikit-learn's `Tree`s, one after the other."""
    counts = np.array([tree.node_count for tree in trees], dtype=np.int64)
    roots = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    offset = np.repeat(roots, counts)
    left, right, feature = (
        np.concatenate([getattr(tree, name) for tree in trees]).astype(np.int64)
        for name in ("children_left", "children_right", "feature")
    )
    leaf = left == -1
    if any(tree.value.shape[1:] != (1, 1) for tree in trees):
        raise NotCompilable("it predicts more than one number")
    return Ensemble(
        roots=roots,
        feature=np.where(leaf, LEAF, feature),
        threshold=np.concatenate([tree.threshold for tree in trees]),
        left=np.where(leaf, 0, left + offset),
        right=np.where(leaf, 0, right + offset),
        missing_left=np.concatenate([tree.missing_go_to_left for tree in trees]).astype(bool),
        value=scale * np.concatenate([tree.value[:, 0, 0] for tree in trees]),
        start=start,
        divide=divide,
        missing=missing,
    )


def _decision_tree(estimator: Any, dense: bool) -> Ensemble:
    missing = dense and estimator.monotonic_cst is None
    return _joined([estimator.tree_], start=0.0, divide=1.0, missing=missing)


def _forest(estimator: Any, dense: bool) -> Ensemble:
    trees = [each.tree_ for each in estimator.estimators_]
    missing = dense and estimator.monotonic_cst is None
    return _joined(trees, start=0.0, divide=float(len(trees)), missing=missing)


def _boosting(estimator: Any, _dense: bool) -> Ensemble:
    if estimator.loss not in PLAIN_LOSSES or estimator.estimators_.shape[1] != 1:
        raise NotCompilable("its loss has a link")
    start = 0.0
    if estimator.init_ != "zero":
        if _sklearn_name(estimator.init_) != "DummyRegressor":
            raise NotCompilable("it begins with another model")
        start = float(np.ravel(estimator.init_.constant_)[0])
    trees = [each.tree_ for each in estimator.estimators_[:, 0]]
    return _joined(
        trees, start=start, divide=1.0, scale=float(estimator.learning_rate), missing=False
    )


def _histogram_boosting(estimator: Any, _dense: bool) -> Ensemble:
    if estimator.loss not in PLAIN_LOSSES or estimator.n_trees_per_iteration_ != 1:
        raise NotCompilable("its loss has a link")
    nodes = [each[0].nodes for each in estimator._predictors]  # noqa: SLF001 - its only home
    counts = np.array([len(each) for each in nodes], dtype=np.int64)
    if not len(counts):
        raise NotCompilable("it has no trees")
    roots = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    offset, table = np.repeat(roots, counts), np.concatenate(nodes)
    if table["is_categorical"].any():
        raise NotCompilable("its trees ask for sets of categories")
    leaf = table["is_leaf"].astype(bool)
    baseline: Floats = np.ravel(estimator._baseline_prediction)  # noqa: SLF001 - as above
    return Ensemble(
        roots=roots,
        feature=np.where(leaf, LEAF, table["feature_idx"].astype(np.int64)),
        threshold=table["num_threshold"].astype(np.float64),
        left=np.where(leaf, 0, table["left"].astype(np.int64) + offset),
        right=np.where(leaf, 0, table["right"].astype(np.int64) + offset),
        missing_left=table["missing_go_to_left"].astype(bool),
        value=table["value"].astype(np.float64),
        start=float(baseline[0]),
        divide=1.0,
        missing=True,
    )


ENSEMBLES: dict[str, Callable[[Any, bool], Ensemble]] = {
    "DecisionTreeRegressor": _decision_tree,
    "ExtraTreeRegressor": _decision_tree,
    "RandomForestRegressor": _forest,
    "ExtraTreesRegressor": _forest,
    "GradientBoostingRegressor": _boosting,
    "HistGradientBoostingRegressor": _histogram_boosting,
}
