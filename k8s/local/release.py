"""The product in the cluster: installed by Helm, asked for a prediction on both ways in."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from k8s.local.commands import Argument
from k8s.local.context import PROJECT, Context
from k8s.local.dependencies import NAMESPACE, Kubectl
from k8s.local.errors import SetupFailed

RELEASE = "slipway"
CHART = PROJECT / "helm" / "slipway"
TIMEOUT = "5m"
MAPPED = "http://127.0.0.1:9696"
RIDE = {"PULocationID": 10, "DOLocationID": 50, "trip_distance": 40}
ANSWER_SECONDS = 60.0
POLL_SECONDS = 0.5


def ensure_release(ctx: Context, kubectl: Kubectl, helm: Argument, image: str, run_id: str) -> None:
    """The chart is installed with this image afterwards; a release that is there keeps its model.

    Raises SetupFailed.
    """
    repository, _, tag = image.partition(":")
    installed = kubectl.ask("get", "configmap", f"{RELEASE}-model", "--output", "name")
    with ctx.progress.stage("Release") as stage:
        values = [f"image.repository={repository}", f"image.tag={tag}"]
        if not installed:
            values.append(f"model.runId={run_id}")
        command: list[Argument] = [helm, "--kubeconfig", ctx.kubeconfig, "--namespace", NAMESPACE]
        command += ["upgrade", "--install", RELEASE, CHART, "--wait", "--timeout", TIMEOUT]
        command += ["--values", CHART / "values-kind.yaml"]
        # What a person has set since is not ours to reset.
        command += ["--reset-then-reuse-values"] if installed else []
        command += [word for value in values for word in ("--set-string", value)]
        ctx.runner.run(command)
        stage.outcome = "upgraded" if installed else "installed"


def show_prediction(ctx: Context, kubectl: Kubectl) -> None:
    """One prediction through a port-forward, one through the mapped port; raises SetupFailed."""
    with (
        ctx.progress.stage("Prediction, kubectl port-forward") as stage,
        kubectl.forward(RELEASE, 9696) as address,
    ):
        stage.outcome = _predict(address)
    with ctx.progress.stage("Prediction, port 9696") as stage:
        stage.outcome = _predict(MAPPED)


def _predict(address: str) -> str:
    """What a person would see, shortened; a model that is still being brought in is waited for."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        status, body = _ask(address)
        if status == 200:
            answer = json.loads(body)
            return f"{answer['duration']:.2f} minutes, {answer['model_version'][:12]}…"
        if time.monotonic() > deadline:
            raise SetupFailed(
                f"{address}/predict answers {status}: {body[:200]}",
                "See: kubectl get pods; kubectl get events",
            )
        time.sleep(POLL_SECONDS)


def _ask(address: str) -> tuple[int, str]:
    request = urllib.request.Request(  # noqa: S310 - 127.0.0.1
        f"{address}/predict", json.dumps(RIDE).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(errors="replace")
    except OSError as error:
        return 0, str(error)


def next_commands(kubeconfig: Path, programs: Path, run_ids: Sequence[str]) -> str:
    """What to try now."""
    second = run_ids[-1] if run_ids else "RUN_ID"
    return f"""
Try next:
  curl 127.0.0.1:9696/predict -H 'Content-Type: application/json' -d '{json.dumps(RIDE)}'
  export KUBECONFIG={kubeconfig} PATH={programs}:$PATH && kubectl -n {NAMESPACE} get pods
A rollout to watch, in three terminals:
  make load
  .venv/bin/slipway status --watch --namespace {NAMESPACE} --kubeconfig {kubeconfig}
  .venv/bin/slipway set-model {second} --wait --namespace {NAMESPACE} --kubeconfig {kubeconfig}
Its policy is `fast`. For gates that decide: helm upgrade slipway helm/slipway -n {NAMESPACE} \\
  --reuse-values --set rollout.preset=test   (and LOAD='--rate 100 --seconds 300')
A consumer of a stream of rides, then (beside the port-forward) a ride and its event:
  helm upgrade slipway helm/slipway -n {NAMESPACE} --reuse-values --set stream.enabled=true
  kubectl -n {NAMESPACE} port-forward svc/kinesis 4566
  export KINESIS_ENDPOINT_URL=http://127.0.0.1:4566 AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any
  echo '{json.dumps({"ride": RIDE, "ride_id": 256})}' | .venv/bin/slipway stream send
  .venv/bin/slipway stream read && .venv/bin/slipway stream lag {RELEASE}-duration"""
