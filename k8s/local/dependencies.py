"""What stands around the product on a local cluster: namespace, credentials, servers."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from k8s.local.commands import Argument, ask
from k8s.local.context import PROJECT, Context
from k8s.local.errors import SetupFailed
from k8s.local.port_forward import port_forward

NAMESPACE = "slipway"
SECRET = "slipway-s3"  # noqa: S105 - the name of one
DEPLOYMENTS = ("s3", "mlflow", "prometheus", "kinesis")
WAIT = "300s"


@dataclass(frozen=True)
class Kubectl:
    """kubectl on our cluster, in our namespace."""

    ctx: Context
    program: Argument

    def command(self, *arguments: Argument) -> list[Argument]:
        """The whole command line."""
        place: list[Argument] = ["--kubeconfig", self.ctx.kubeconfig, "--namespace", NAMESPACE]
        return [self.program, *place, *arguments]

    def run(self, *arguments: Argument, stdin: Path | None = None) -> None:
        """Run it; raises SetupFailed."""
        self.ctx.runner.run(self.command(*arguments), stdin=stdin)

    def ask(self, *arguments: Argument) -> str | None:
        """What it prints, None if it fails."""
        return ask(self.command(*arguments))

    def forward(self, service: str, port: int) -> contextlib.AbstractContextManager[str]:
        """The address of a Service's port on this machine, for a while; raises SetupFailed."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            local = int(probe.getsockname()[1])
        log = self.ctx.progress.log
        return port_forward(self.command(), f"service/{service}", port, local, log)


def ensure_dependencies(ctx: Context, kubectl: Kubectl) -> None:
    """S3, MLflow, Prometheus and a Kinesis stand-in are ready afterwards; shown as a stage."""
    with ctx.progress.stage("Dependencies") as stage:
        began = kubectl.ask("get", "deployment", "mlflow", "--output", "name")
        _ensure_namespace(kubectl)
        _ensure_credentials(ctx, kubectl)
        kubectl.run("apply", "--kustomize", PROJECT / "k8s" / "deps")
        for name in DEPLOYMENTS:
            kubectl.run("rollout", "status", f"deployment/{name}", f"--timeout={WAIT}")
        kubectl.run("wait", "job/s3-buckets", "--for=condition=complete", f"--timeout={WAIT}")
        stage.outcome = "there" if began else ", ".join(DEPLOYMENTS)


def credentials(kubectl: Kubectl) -> dict[str, str]:
    """The store's keys, as boto3's variables."""
    found = kubectl.ask("get", "secret", SECRET, "--output", "jsonpath={.data}")
    if not found:
        raise SetupFailed(f"the Secret {SECRET} is not there", "Try again: make up")
    return {name: base64.b64decode(value).decode() for name, value in json.loads(found).items()}


def _ensure_namespace(kubectl: Kubectl) -> None:
    """Ours admits only what Kubernetes calls restricted, as users' namespaces may."""
    if kubectl.ask("get", "namespace", NAMESPACE) is None:
        kubectl.run("create", "namespace", NAMESPACE)
    label = "pod-security.kubernetes.io/enforce=restricted"
    kubectl.run("label", "--overwrite", "namespace", NAMESPACE, label)


def _ensure_credentials(ctx: Context, kubectl: Kubectl) -> None:
    """Made here and kept in the cluster alone; a file hands them over, so no log shows them."""
    if kubectl.ask("get", "secret", SECRET) is not None:
        return
    keys = {
        "AWS_ACCESS_KEY_ID": "slipway" + secrets.token_hex(6),
        "AWS_SECRET_ACCESS_KEY": secrets.token_hex(20),
    }
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET},
        "stringData": keys,
    }
    document = ctx.folder / "credentials.json"
    document.touch(mode=0o600)
    try:
        document.write_text(json.dumps(manifest))
        kubectl.run("create", "--filename", document)
    finally:
        document.unlink()
