"""Models that misbehave in one chosen way, wrapped as the service takes them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slipway.errors import ModelFailed
from slipway.models.mlmodel import ModelFile
from slipway.models.obtain import Loaded
from slipway.models.release import Release
from slipway.scoring.scorer import Scorer
from slipway.usecases.rides import Rides

RUN_ID = "0123456789abcdef0123456789abcdef"
DIGEST = "sha256:" + "5e" * 32
# A ride of this distance is the one that a model trips over.
# Seven decimals: no time in a log line can look like it.
CURSED = 713.1250625

Features = list[dict[str, Any]]


def _minutes(features: Features) -> Any:
    return np.array([2.0 * ride["trip_distance"] for ride in features])


def _cursed(features: Features) -> bool:
    return any(ride["trip_distance"] == CURSED for ride in features)


def _raises(features: Features) -> Any:
    if _cursed(features):
        raise ValueError(f"secret {features}")
    return _minutes(features)


def _when_cursed(answer: Callable[[Features], Any]) -> Callable[[Features], Any]:
    return lambda features: answer(features) if _cursed(features) else _minutes(features)


def _slow(features: Features) -> Any:
    """Takes as many seconds as the longest ride has miles, five at most."""
    time.sleep(min(5.0, max(ride["trip_distance"] for ride in features)))
    return _minutes(features)


def _hangs(features: Features) -> Any:
    """Never answers the cursed ride."""
    if _cursed(features):
        threading.Event().wait()
    return _minutes(features)


def _replaced(value: Any) -> Callable[[Features], Any]:
    def answer(features: Features) -> Any:
        return [value if ride["trip_distance"] == CURSED else 1.0 for ride in features]

    return answer


def _scattered(features: Features) -> list[float]:
    """A number from 0 to 1 for each ride, the same in every process and of no pattern."""
    return [ride["trip_distance"] * 7919.77 % 1.0 for ride in features]


def _fails_a_fifth(features: Features) -> Any:
    if min(_scattered(features)) < 0.2:
        raise ValueError("one of those rides")
    return _minutes(features)


def _nan_for_a_fifth(features: Features) -> Any:
    return np.where(np.array(_scattered(features)) < 0.2, np.nan, _minutes(features))


def _taking(seconds: float, answer: Callable[[Features], Any] = _minutes) -> Any:
    def slowly(features: Features) -> Any:
        time.sleep(seconds)
        return answer(features)

    return slowly


MODELS: dict[str, Callable[[Features], Any]] = {
    "good": _minutes,
    "raises": _raises,
    "slow": _slow,
    "hangs": _hangs,
    "nan": _when_cursed(_replaced(float("nan"))),
    "infinite": _when_cursed(_replaced(float("inf"))),
    "none": _when_cursed(_replaced(None)),
    "text": _when_cursed(_replaced("12.5")),
    "too few": _when_cursed(lambda features: [1.0] * (len(features) - 1)),
    "too many": _when_cursed(lambda features: [1.0] * (len(features) + 1)),
    "a scalar": _when_cursed(lambda _features: 12.5),
    "two columns": _when_cursed(lambda features: [[1.0, 2.0]] * len(features)),
    "complex": _when_cursed(_replaced(1j)),
}
# What the service must not pass on.
WRONG = [kind for kind in MODELS if kind not in ("good", "slow", "hangs")]
# Those of the rollouts: on a busy machine two models of no time at all differ by chance.
MODELS |= {
    name: _taking(0.06, answer)
    for name, answer in {
        "steady": _minutes,
        "2 % higher": lambda features: 1.02 * _minutes(features),
        "distance in km": lambda features: 1.609344 * _minutes(features),
        "x 1.3": lambda features: 1.3 * _minutes(features),
        "constant": lambda features: np.full(len(features), 20.0),
        "permuted": lambda features: 40.0 * np.array(_scattered(features)),
        "fails a fifth": _fails_a_fifth,
        "NaN for a fifth": _nan_for_a_fifth,
        "3 times slower": _taking(0.12),
    }.items()
}


def _model(kind: str) -> Callable[[Features], Any]:
    """One of MODELS, or whichever of them is named in a file at the moment, as `@PATH`."""
    if not kind.startswith("@"):
        return MODELS[kind]
    named = Path(kind.removeprefix("@"))

    def answer(features: Features) -> Any:
        return MODELS[named.read_text()](features)

    return answer


def loaded(
    kind: str = "good",
    *,
    run_id: str | None = RUN_ID,
    buckets: Sequence[float] = (5.0, 50.0),
    digest: str = DIGEST,
) -> Loaded:
    """A release of `rides` whose model is one of MODELS, or of a file that names one."""
    use_case = Rides()
    release = Release(
        reference="stub",
        uri="stub",
        digest=digest,
        size=1,
        flavor="sklearn",
        serialization="skops",
        use_case="rides",
        resolved_at="2026-01-01T00:00:00Z",
        run_id=run_id,
        inputs=list(use_case.inputs),
        buckets=list(buckets),
    )
    model_file = ModelFile("sklearn", "skops", "model.skops", {}, True, use_case.inputs, None)
    return Loaded(release, model_file, Scorer(use_case, _model(kind)))


def obtain(kind: str, digest: str = DIGEST) -> Loaded:
    """The same, or the failure to load that `kind` names."""
    if kind == "cannot be loaded":
        raise ModelFailed("the model cannot be loaded: EOFError")
    return loaded(kind, digest=digest)
