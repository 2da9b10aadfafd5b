"""One training from rides to registered models: what `slipway train` and the demo both do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from slipway.examples import log_model, ride_models
from slipway.examples.log_model import Logged, ModelLog
from slipway.examples.ride_models import Trained, TrainingRides
from slipway.examples.synthetic import Recipe, make_month

SYNTHETIC_ROWS = 20_000
TWIN = "-onehot"

# Opens a step that is named; what is appended to the list says how it went.
Step = Callable[[str], AbstractContextManager[list[str]]]


@dataclass(frozen=True)
class Plan:
    """What to train on what, and where it goes; `alias` may be empty for none.

    `data` are months of rides, none of them for a synthetic month; `rows` is how many rides to
    take of them at most, or to make.
    """

    name: str
    model: str = "linear"
    target: str = "duration"
    data: tuple[Path, ...] = ()
    rows: int | None = None
    seed: int = 0
    alias: str = "champion"
    twin: bool = True


@contextlib.contextmanager
def silent(_doing: str) -> Iterator[list[str]]:
    """A step that nobody hears of."""
    yield []


def run(plan: Plan, tracking_uri: str, timeout: float = 5.0, step: Step = silent) -> list[Logged]:
    """Train and register the model, and its twin after it if the plan says so.

    `timeout` in seconds is for one request to the server. Raises InvalidConfig, InputDataInvalid,
    InputDataMissing, Unavailable or AccessDenied.
    """
    with step("asking the tracking server"):
        log_model.check_server(tracking_uri, plan.name, timeout)
    with step("reading the rides" if plan.data else "making synthetic rides") as said:
        rides = _rides(plan)
        learnt, held_out = ride_models.split(rides, plan.seed)
        said.append(f"{len(learnt)} to learn from, {len(held_out)} held out")
    log = ModelLog(tracking_uri, _params(plan, rides), log_model.lineage(rides.sha256))
    logged = [_dict_model(plan, log, learnt, held_out, step)]
    if plan.twin:
        logged.append(_onehot_model(plan, log, learnt, held_out, step))
    return logged


def _dict_model(
    plan: Plan, log: ModelLog, learnt: TrainingRides, held_out: TrainingRides, step: Step
) -> Logged:
    pipeline = ride_models.dict_pipeline(ride_models.make_estimator(plan.model, plan.seed))
    with step(f"training {plan.model}") as said:
        trained = ride_models.fit(
            pipeline, learnt.dicts(), learnt.target, held_out.dicts(), held_out.target
        )
        said.append(_how_good(plan, trained))
    form = log_model.dict_form(plan.target)
    with step(f"logging {plan.name}") as said:
        example = held_out.dicts()[0]
        logged = log.log(trained, form, plan.name, example, plan.alias or None)
        said.append(f"version {logged.version}")
    return logged


def _onehot_model(
    plan: Plan, log: ModelLog, learnt: TrainingRides, held_out: TrainingRides, step: Step
) -> Logged:
    pipeline = ride_models.onehot_pipeline(ride_models.make_estimator(plan.model, plan.seed))
    with step("training its twin with columns") as said:
        trained = ride_models.fit(
            pipeline, learnt.frame(), learnt.target, held_out.frame(), held_out.target
        )
        said.append(_how_good(plan, trained))
    name = plan.name + TWIN
    with step(f"logging {name}") as said:
        example = held_out.frame().head(1)
        logged = log.log(trained, log_model.onehot_form(), name, example, plan.alias or None)
        said.append(f"version {logged.version}")
    return logged


def _rides(plan: Plan) -> TrainingRides:
    if plan.data:
        rides = ride_models.read_rides(plan.data, plan.target)
        return ride_models.sample(rides, plan.rows or len(rides), plan.seed)
    recipe = Recipe("green", 2021, 2, plan.rows or SYNTHETIC_ROWS, plan.seed)
    source = f"synthetic {recipe.file_name}"
    return ride_models.rides_of_table(make_month(recipe), plan.target, source)


def _params(plan: Plan, rides: TrainingRides) -> dict[str, str | int]:
    return {
        "model": plan.model,
        "target": plan.target,
        "seed": plan.seed,
        "rides": len(rides),
        # MLflow takes 6,000 characters.
        "source": rides.source[:1_000],
    }


def _how_good(plan: Plan, trained: Trained) -> str:
    return f"off by {trained.mae:.2f} {ride_models.TARGETS[plan.target]} on average"
