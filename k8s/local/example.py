"""Two versions of the example model in the cluster's registry, a month of rides in its store.

Training is no part of the image: it runs here, from the checkout, through port-forwards.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from k8s.local.commands import Argument
from k8s.local.context import PROJECT, Context
from k8s.local.dependencies import Kubectl, credentials
from k8s.local.errors import SetupFailed

PYTHON = PROJECT / ".venv" / "bin" / "python"
MODEL = "ride-duration"
TRAININGS = (("--alias", "champion"), ("--model", "ridge", "--no-alias", "--no-twin"))
BUCKET = "rides"
MONTH = ("green", "2021", "3", "60000")


@dataclass(frozen=True)
class Example:
    """The run ids of the registered model's versions, oldest first."""

    run_ids: list[str]


def ensure_example(ctx: Context, kubectl: Kubectl) -> Example:
    """Models and month are there afterwards; shown as two stages. Raises SetupFailed."""
    if not PYTHON.exists():
        raise SetupFailed("the project's environment is missing", "Make it first: make env")
    with kubectl.forward("mlflow", 5000) as tracking, kubectl.forward("s3", 7070) as store:
        environment = {
            **credentials(kubectl),
            "AWS_DEFAULT_REGION": "us-east-1",
            "MLFLOW_TRACKING_URI": tracking,
            "MLFLOW_S3_ENDPOINT_URL": store,
            # MLflow's own would be a quarter of an hour before it says that nobody answers.
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
        }
        with ctx.progress.stage("Models") as stage:
            run_ids = _versions(ctx, environment, tracking)
            missing = TRAININGS[len(run_ids) :]
            for options in missing:
                train: list[Argument] = [PYTHON, "-m", "slipway", "train", *options]
                ctx.runner.run(train, env=environment)
            if missing:
                run_ids = _versions(ctx, environment, tracking)
            stage.outcome = "trained and registered" if missing else "there"
        with ctx.progress.stage("A month of rides") as stage:
            upload: list[Argument] = [PYTHON, "-m", "k8s.local.upload_month", store, BUCKET, *MONTH]
            stage.outcome = ctx.runner.read(upload, env=environment).strip()
    return Example(run_ids)


def _versions(ctx: Context, environment: Mapping[str, str], tracking: str) -> list[str]:
    command: list[Argument] = [PYTHON, "-m", "k8s.local.registered_versions", tracking, MODEL]
    found: list[str] = json.loads(ctx.runner.read(command, env=environment))
    return found
