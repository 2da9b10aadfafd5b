"""The chart on the cluster of `make up`, installed as its users do: with rights in one namespace.

Each installation has a namespace of its own, in which only `restricted` pods are admitted. The
tracking server, the store and their models are those of `make up`.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from k8s.local.dependencies import NAMESPACE as PLATFORM
from k8s.local.images import product
from k8s.local.port_forward import port_forward
from tests.chart_render import CHART
from tests.cluster_worlds import FULLNAME, KubeWorld
from tests.containers import docker
from tests.kind_server import KindServer
from tests.programs import program
from tests.service_process import ROOT, SLIPWAY, bare_environment, free_port, post
from tests.waiting import until

from slipway.clients.objects import s3_client

NODE = "slipway-control-plane"
# Of `docker`: what asks the node for its images.
ON_NODE = ("exec", NODE, "ctr", "--namespace=k8s.io", "images")
SECRET = "slipway-s3"
RELEASE = "shop"
MODEL = "ride-duration"
RIDE = {"PULocationID": 10, "DOLocationID": 50, "trip_distance": 40}
SECURITY = "pod-security.kubernetes.io"
RBAC = "rbac.authorization.k8s.io"
# Besides the role `edit`: what a user of the chart must be allowed.
MAKES_ROLES = {"apiGroups": [RBAC], "resources": ["roles", "rolebindings"], "verbs": ["*"]}

Answer = tuple[int, Any, dict[str, str]]


class Installation(KubeWorld):
    """The release `shop` in a namespace; `ask` is the administrator, all else an editor."""

    server: KindServer

    def __init__(self, server: KindServer, namespace: str) -> None:
        super().__init__(server, namespace)
        labels = {f"{SECURITY}/enforce": "restricted", f"{SECURITY}/warn": "restricted"}
        path = f"/api/v1/namespaces/{namespace}"
        server.ask("PATCH", path, {"metadata": {"labels": labels}}, "merge-patch+json")
        roles = f"/apis/{RBAC}/v1/namespaces/{namespace}/roles"
        server.ask("POST", roles, {"metadata": {"name": "makes-roles"}, "rules": [MAKES_ROLES]})
        self.bind("makes-roles", "Role")
        keys = server.ask("GET", f"/api/v1/namespaces/{PLATFORM}/secrets/{SECRET}")["data"]
        secret = {"metadata": {"name": SECRET}, "data": keys}
        server.ask("POST", f"{self.core}/secrets", secret)
        self.kubeconfig = server.kubeconfig("somebody", namespace)
        self.image = os.environ.get("TEST_IMAGE") or product().name
        here = docker(*ON_NODE, "ls", "-q", f"name==docker.io/library/{self.image}").stdout
        assert here, f"the image {self.image} is not on the node; `make up` brings it there"
        # All that was said besides.
        self.warnings = ""
        self._port = 0

    # What a person types.

    def helm(self, *arguments: str, values: Mapping[str, Any] | None = None) -> str:
        """What Helm says; fails with its words where it does not do it."""
        command = [program("helm"), *arguments, *(["--values=-"] if values is not None else [])]
        return self._run(command, yaml.safe_dump(dict(values or {})))

    def install_chart(self, values: Mapping[str, Any] | None = None, chart: Path = CHART) -> str:
        """`helm install --wait`, with the values of `make up` for a namespace beside it."""
        repository, _, tag = self.image.partition(":")
        above = {
            "image": {"repository": repository, "tag": tag},
            "service": {"nodePort": None},
            "tracking": {"uri": f"http://mlflow.{PLATFORM}:5000"},
            "store": {"endpoint": f"http://s3.{PLATFORM}:7070"},
            **(values or {}),
        }
        given = ("--values", str(chart / "values-kind.yaml"), "--wait", "--timeout=3m")
        said = self.helm("install", RELEASE, str(chart), *given, values=above)
        # Asked for now: after a restart of the node an editor's rights are not known at once.
        self._port = int(self.get("service", FULLNAME)["spec"]["ports"][0]["nodePort"])
        return said

    def upgrade(self, *options: str) -> str:
        """`helm upgrade --reuse-values --wait` with these options."""
        keep = ("--reuse-values", "--wait", "--timeout=5m")
        return self.helm("upgrade", RELEASE, str(CHART), *keep, *options)

    def revision(self) -> int:
        """Helm's number of what is installed now."""
        found = json.loads(self.helm("history", RELEASE, "--max=1", "--output=json"))
        return int(found[0]["revision"])

    def kubectl(self, *arguments: str, **variables: str) -> str:
        """What kubectl says; fails with its words where it does not do it."""
        return self._run([program("kubectl"), *arguments], **variables)

    def slipway(self, *arguments: str, text: str = "", **variables: str) -> str:
        """What a command of this checkout says, given a text to read; it must end well."""
        return self._run([*SLIPWAY, *arguments], text, **variables)

    def want(self, run_id: str) -> None:
        """Write a run id into the model's ConfigMap, with kubectl."""
        data = json.dumps({"data": {"MODEL_RUN_ID": run_id}})
        self.kubectl("patch", "configmap", f"{FULLNAME}-model", "--type=merge", f"--patch={data}")

    def apply(self, document: Mapping[str, Any]) -> None:
        """`kubectl apply` of one object."""
        self._run([program("kubectl"), "apply", "--filename=-"], json.dumps(document))

    # What is there.

    @property
    def url(self) -> str:
        """The Service's port on the node, whose address a restart may change."""
        networks = docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", NODE)
        return f"http://{json.loads(networks.stdout)['kind']['IPAddress']}:{self._port}"

    def get(self, kind: str, name: str = "", **labels: str) -> Any:
        """An object, or a list of those with the labels, as kubectl gets them."""
        chosen = ",".join(f"{key.replace('_', '-')}={value}" for key, value in labels.items())
        select = [f"--selector={chosen}"] if chosen else []
        found = json.loads(
            self.kubectl("get", kind, *([name] if name else []), *select, "--output=json")
        )
        return found if name else found["items"]

    def pods(self, component: str) -> dict[str, Any]:
        """Name -> pod, of one of the chart's components."""
        path = f"{self.core}/pods?labelSelector=app.kubernetes.io/component={component}"
        return {pod["metadata"]["name"]: pod for pod in self.server.ask("GET", path)["items"]}

    def images(self) -> set[str]:
        """Of all pods of the chart that stay."""
        pods = self.pods("slot") | self.pods("router") | self.pods("controller")
        return {
            container["image"]
            for pod in pods.values()
            if "deletionTimestamp" not in pod["metadata"]
            for container in pod["spec"]["containers"]
        }

    def document(self, name: str) -> dict[str, str]:
        """The data of the ConfigMap F-name; empty when there is none."""
        found = self.server.ask("GET", f"{self.core}/configmaps/{FULLNAME}-{name}")
        return (found or {}).get("data") or {}

    @property
    def routing(self) -> dict[str, Any]:
        """The routing table."""
        table: dict[str, Any] = json.loads(self.document("routing")["routing.json"])
        return table

    def predict(self, url: str = "") -> Answer:
        """The answer to the ride of every example; status 0 where there is none."""
        try:
            return post(f"{url or self.url}/predict", RIDE, seconds=10)
        except OSError as error:
            return 0, str(error), {}

    def serves(self, run_id: str, seconds: float = 90) -> None:
        """Wait until this run answers, and nothing else has any traffic."""

        def look() -> bool:
            status, document, _ = self.predict()
            return status == 200 and document["model_version"] == run_id

        until(look, seconds, f"an answer of {run_id}")

        def alone() -> bool:
            found = self.document("state")
            return found.get("stable") == run_id and not found.get("candidate")

        until(alone, 30, f"{run_id} to be stable, and no candidate beside it")

    def forward(self, target: str, port: int) -> contextlib.AbstractContextManager[str]:
        """`kubectl port-forward`, for a while; gives the address on this machine."""
        return _forward(target, port, "--kubeconfig", str(self.kubeconfig))

    def _environment(self) -> dict[str, str]:
        place = {"KUBECONFIG": str(self.kubeconfig), "SLIPWAY_NAMESPACE": self.namespace,
                 "SLIPWAY_FULLNAME": FULLNAME}  # fmt: skip
        return bare_environment() | place

    def _run(self, command: list[str], text: str = "", **variables: str) -> str:
        done = subprocess.run(
            command,
            input=text,
            cwd=ROOT,
            env=self._environment() | variables,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self.warnings += done.stderr
        return done.stdout


@contextlib.contextmanager
def other_image(place: Installation) -> Iterator[str]:
    """Another tag of the same image on the node, for a while."""
    repository, _, tag = place.image.partition(":")
    whole = f"docker.io/library/{repository}"
    docker(*ON_NODE, "tag", f"{whole}:{tag}", f"{whole}:{tag}-next")
    try:
        yield f"{tag}-next"
    finally:
        docker(*ON_NODE, "rm", f"{whole}:{tag}-next")


@contextlib.contextmanager
def scaled_to_zero(server: KindServer, *names: str, namespace: str = PLATFORM) -> Iterator[None]:
    """Deployments without a pod for a while; all are ready again afterwards."""
    apps = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    sizes = {name: server.ask("GET", f"{apps}/{name}")["spec"]["replicas"] for name in names}
    try:
        for name in names:
            _scale(server, f"{apps}/{name}", 0)
        yield
    finally:
        for name, size in sizes.items():
            _scale(server, f"{apps}/{name}", size)


def _scale(server: KindServer, path: str, size: int) -> None:
    server.ask("PATCH", f"{path}/scale", {"spec": {"replicas": size}}, "merge-patch+json")

    def reached() -> bool:
        status = server.ask("GET", path)["status"]
        return bool(status.get("replicas", 0) == status.get("readyReplicas", 0) == size)

    until(reached, 120, f"{path} to have {size} pods")


def platform(server: KindServer, target: str, port: int) -> contextlib.AbstractContextManager[str]:
    """A port-forward, as its administrator, to one of the servers of `make up`."""
    return _forward(target, port, "--kubeconfig", str(server.path), "--namespace", PLATFORM)


@contextlib.contextmanager
def platform_store(server: KindServer) -> Iterator[Any]:
    """A client of the object store of `make up`."""
    keys = server.ask("GET", f"/api/v1/namespaces/{PLATFORM}/secrets/{SECRET}")["data"]
    with platform(server, "service/s3", 7070) as address, pytest.MonkeyPatch.context() as patch:
        for name, value in keys.items():
            patch.setenv(name, base64.b64decode(value).decode())
        client = s3_client(address)
        yield client
        client.close()


def keys_below(store: Any, bucket: str, prefix: str) -> set[str]:
    """The keys of a bucket that begin so."""
    found = store.list_objects_v2(Bucket=bucket, Prefix=prefix)
    return {each["Key"] for each in found.get("Contents", ())}


def _forward(target: str, port: int, *place: str) -> contextlib.AbstractContextManager[str]:
    kubectl = [program("kubectl"), *place]
    return port_forward(kubectl, target, port, free_port(), Path(os.devnull))


def registered_runs(server: KindServer) -> list[str]:
    """The run ids of the example model's versions, oldest first."""
    wanted = urllib.parse.urlencode({"filter": f"name='{MODEL}'"})
    mlflow = f"/api/v1/namespaces/{PLATFORM}/services/mlflow:5000/proxy/api/2.0/mlflow"
    found = server.ask("GET", f"{mlflow}/model-versions/search?{wanted}")["model_versions"]
    return [each["run_id"] for each in sorted(found, key=lambda each: int(each["version"]))]


def edit_script(folder: Path, old: str, new: str) -> str:
    """An EDITOR for `kubectl edit` that replaces a text."""
    script = folder / "editor"
    script.write_text(f"#!/bin/sh\nexec sed -i 's/{old}/{new}/' \"$1\"\n")
    script.chmod(0o755)
    return str(script)
