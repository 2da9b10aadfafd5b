"""Creates the kind cluster, or uses the one that is there if it answers and fits.

What a cluster was made from is written into its node as a key, so any checkout can tell whether
the cluster fits its own files.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from k8s.local.cache import key_of
from k8s.local.commands import Argument, ask
from k8s.local.context import PROJECT, Context
from k8s.local.errors import SetupFailed

CONFIG = PROJECT / "kind-config.yaml"
KEY_PLACE = "/kind/slipway-key"
ANSWER_SECONDS = 90.0
READY_TIMEOUT = "180s"
NETWORK = "kind"
# For a node that cannot be pulled. The kubelet then tolerates what it may not set, as on a
# machine that holds a capability back; the node image brings its own network plugin.
WITHOUT_REGISTRY = """\
featureGates:
  KubeletInUserNamespace: true
networking:
  disableDefaultCNI: true
"""


@dataclass(frozen=True)
class ClusterSpec:
    """What the cluster is to be; two specs with one key are the same cluster."""

    image: str
    config: str

    @property
    def name(self) -> str:
        """From the configuration."""
        return cluster_name(self.config)

    @property
    def node(self) -> str:
        """The container of its one node."""
        return f"{self.name}-control-plane"

    @property
    def key(self) -> str:
        """Of image and configuration."""
        return key_of([self.image, self.config])


def cluster_name(config: str) -> str:
    """The configuration's `name`."""
    match = re.search(r"^name: (\S+)$", config, re.MULTILINE)
    if not match:
        raise SetupFailed(f"{CONFIG.name} has no line `name: …`")
    return match[1]


def with_additions(config: str, additions: str) -> str:
    """The configuration with more top-level keys; raises SetupFailed if it has one already."""
    present = set(re.findall(r"^(\w+):", config, re.MULTILINE))
    for key in re.findall(r"^(\w+):", additions, re.MULTILINE):
        if key in present:
            raise SetupFailed(
                f"{CONFIG.name} sets `{key}`, which a machine without a registry needs itself",
                f"Take `{key}` out of {CONFIG.name}; k8s/local/kind.py adds it where it must.",
            )
    return f"{config.rstrip()}\n{additions}"


def cluster_spec(image: str, *, registry: bool) -> ClusterSpec:
    """The cluster of this checkout."""
    config = CONFIG.read_text()
    return ClusterSpec(image, config if registry else with_additions(config, WITHOUT_REGISTRY))


def node_exists(node: str) -> bool:
    """Whether the container is there, running or not."""
    return ask(["docker", "inspect", "--type=container", node]) is not None


def found_key(node: str) -> str | None:
    """What the cluster that is there was made from; None if there is none, or a half-made one."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "key"
        if ask(["docker", "cp", f"{node}:{KEY_PLACE}", copy]) is None:
            return None
        return copy.read_text().strip()


def delete_cluster(name: str) -> bool:
    """Remove a cluster in whatever state, its volumes and kind's network; says if there was one.

    By Docker's own means, so that it works where kind was never installed.
    """
    label = f"label=io.x-k8s.kind.cluster={name}"
    nodes = (ask(["docker", "ps", "-aq", "--filter", label]) or "").split()
    if nodes and ask(["docker", "rm", "-f", "-v", *nodes], timeout=120) is None:
        raise SetupFailed(
            f"Docker cannot remove the node of the cluster {name}", f"Try: docker rm -f {nodes[0]}"
        )
    # Docker refuses where another kind cluster is on it, which is what we want.
    ask(["docker", "network", "rm", NETWORK])
    return bool(nodes)


@dataclass(frozen=True)
class Cluster:
    """The cluster of a spec, and the programs that the setup uses on it."""

    ctx: Context
    spec: ClusterSpec
    kind: Argument
    kubectl: Argument

    def ensure(self) -> None:
        """A cluster that fits answers afterwards; shown as a stage."""
        with self.ctx.progress.stage("Cluster") as stage:
            if not node_exists(self.spec.node):
                self.create()
                stage.outcome = "created"
            elif found_key(self.spec.node) != self.spec.key:
                self.recreate()
                stage.outcome = "made anew: it was of other files"
            elif not self.revive():
                self.recreate()
                stage.outcome = "made anew: it did not answer"
            else:
                stage.outcome = "there, and it fits"

    def create(self) -> None:
        """Create it and wait until its own pods run; raises SetupFailed."""
        with tempfile.TemporaryDirectory() as folder:
            config, key = Path(folder) / "kind.yaml", Path(folder) / "key"
            config.write_text(self.spec.config)
            key.write_text(self.spec.key)
            command = [self.kind, "create", "cluster", "--config", config, "--wait", READY_TIMEOUT]
            command += ["--image", self.spec.image, "--kubeconfig", self.ctx.kubeconfig]
            try:
                self.ctx.runner.run(command)
            except SetupFailed as error:
                raise SetupFailed(error.message, advice_for(self._log_end())) from error
            for namespace in ("kube-system", "local-path-storage"):
                wait = ["-n", namespace, "rollout", "status", "deployment", "--timeout=180s"]
                self.ctx.runner.run([*self._kubectl(), *wait])
            # Last: a cluster that has its key was finished.
            self.ctx.runner.run(["docker", "cp", key, f"{self.spec.node}:{KEY_PLACE}"])

    def recreate(self) -> None:
        """Remove what is there, whatever its state, and create."""
        delete_cluster(self.spec.name)
        self.create()

    def revive(self) -> bool:
        """Start the node if it stands still and wait for its API server; False if in vain."""
        ask(["docker", "start", self.spec.node], timeout=60)
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            if self.export_kubeconfig() and self.answers():
                return True
            time.sleep(1)
        return False

    def export_kubeconfig(self) -> bool:
        """Write the way to this cluster into our own file; says if it worked."""
        command = [self.kind, "export", "kubeconfig", "--name", self.spec.name]
        return ask([*command, "--kubeconfig", self.ctx.kubeconfig]) is not None

    def answers(self) -> bool:
        """Whether the API server says that it is ready, and the node that it is."""
        if ask([*self._kubectl(), "get", "--raw", "/readyz"]) != "ok":
            return False
        wait = ["wait", "--for=condition=Ready", "node", "--all", "--timeout=10s"]
        return ask([*self._kubectl(), *wait]) is not None

    def _kubectl(self) -> list[Argument]:
        return [self.kubectl, "--kubeconfig", os.fspath(self.ctx.kubeconfig)]

    def _log_end(self) -> str:
        return self.ctx.progress.log.read_text(errors="replace")[-20_000:]


# What kind's messages mean, for a person who has not met them.
_ADVICE = {
    "unable to apply caps": (
        "This machine holds a capability back, and the running Docker engine does not know.\n"
        "Stop that engine; make up then starts one that does."
    ),
    "port is already allocated": "Something uses port 9696 of this machine; end it, then again.",
    "address already in use": "Something uses port 9696 of this machine; end it, then again.",
    "no space left on device": "The disk is full; `docker system prune` frees what is unused.",
}


def advice_for(log: str) -> str:
    """What to do about the failure that the end of a log shows; empty if it is a new one."""
    return next((advice for sign, advice in _ADVICE.items() if sign in log), "")
