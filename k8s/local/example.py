"""Two versions of the example model in the cluster's registry, a month of rides in its store.

Training is no part of the image: it runs here, from the checkout, through port-forwards.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from k8s.local.commands import Argument, ask
from k8s.local.context import PROJECT, Context
from k8s.local.dependencies import Kubectl, credentials
from k8s.local.errors import SetupFailed

PYTHON = PROJECT / ".venv" / "bin" / "python"
MODEL = "ride-duration"
TRAININGS = (("--alias", "champion"), ("--model", "ridge", "--no-alias", "--no-twin"))
MONTH = ("green", "2021", "3")
ROWS = 60_000
BUCKET, FOLDER = "rides", "months"

VERSIONS = """
import json, sys
from mlflow import MlflowClient
found = MlflowClient(sys.argv[1]).search_model_versions(f"name='{sys.argv[2]}'")
runs = {int(version.version): version.run_id for version in found}
print(json.dumps([runs[number] for number in sorted(runs)]))
"""
UPLOAD = """
import sys, tempfile

from slipway.clients.objects import s3_client
from slipway.examples.synthetic import Recipe, write_month
endpoint, bucket, folder, kind, year, month, rows = sys.argv[1:]
recipe = Recipe(kind, int(year), int(month), rows=int(rows))
client = s3_client(endpoint)
key = f"{folder}/{recipe.file_name}"
there = client.list_objects_v2(Bucket=bucket, Prefix=key).get("KeyCount", 0)
if not there:
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / recipe.file_name
        write_month(path, recipe)
        client.upload_file(str(path), bucket, key)
print("there" if there else "made")
"""


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
        }
        with ctx.progress.stage("Models") as stage:
            run_ids = _versions(environment, tracking)
            for options in TRAININGS[len(run_ids) :]:
                train: list[Argument] = [PYTHON, "-m", "slipway", "train", *options]
                ctx.runner.run(train, env=environment)
            stage.outcome = "there" if len(run_ids) >= len(TRAININGS) else "trained, registered"
            run_ids = _versions(environment, tracking)
        with ctx.progress.stage("A month of rides") as stage:
            upload: list[Argument] = [
                PYTHON,
                "-c",
                UPLOAD,
                store,
                BUCKET,
                FOLDER,
                *MONTH,
                str(ROWS),
            ]
            stage.outcome = ctx.runner.read(upload, env=environment).strip()
    return Example(run_ids)


def _versions(environment: dict[str, str], tracking: str) -> list[str]:
    command: list[Argument] = ["env", *(f"{name}={value}" for name, value in environment.items())]
    printed = ask([*command, PYTHON, "-c", VERSIONS, tracking, MODEL], timeout=60)
    if printed is None:
        raise SetupFailed("the tracking server in the cluster does not answer", "Try: make up")
    found: list[str] = json.loads(printed.splitlines()[-1])
    return found
