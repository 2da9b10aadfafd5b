"""Helm against a real API server: rights, restricted pods, and who wins over F-model.

Nothing runs here; what the controller does to its objects is done by its own code.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from tests.chart_render import CHART, FULL, helm, pod_templates, render
from tests.cluster_worlds import KubeWorld
from tests.kube_apiserver import ApiServer, api_server
from tests.programs import program

from slipway.cluster.kube import KubeCluster
from slipway.cluster.kube_api import Place, connect
from slipway.cluster.protocol import SLOTS, Document, DocumentName, Event, Filling
from slipway.errors import AccessDenied
from slipway.rollout.remote import read_status, write_desired, write_request
from slipway.rollout.snapshot import Request

pytestmark = pytest.mark.platform

NOW = datetime(2026, 11, 1, tzinfo=UTC)
OTHER = "b" * 32
FILLING = Filling("{}", "c" * 32, "s3://mlflow/1", f"sha256:{'d' * 64}")
_numbers = itertools.count(1)


class Installation(KubeWorld):
    """A namespace with Helm in it, as a user who may edit it and make Roles there."""

    def __init__(self, server: ApiServer) -> None:
        super().__init__(server, f"chart-{next(_numbers)}")
        self.bind("role-maker")

    def helm(self, *arguments: str, values: Mapping[str, Any] | None = None) -> tuple[int, str]:
        """Exit code, and all that was said."""
        config = self.server.kubeconfig("somebody", self.namespace)
        done = helm(
            *arguments, *(["--values=-"] if values is not None else []),
            text=yaml.safe_dump(dict(values or {})), KUBECONFIG=str(config),
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def install_chart(self, values: Mapping[str, Any] | None = None) -> str:
        code, said = self.helm("install", "slipway", str(CHART), values=values or {})
        assert code == 0, said
        return said

    def upgrade(self, *options: str, values: Mapping[str, Any] | None = None) -> None:
        code, said = self.helm("upgrade", "slipway", str(CHART), *options, values=values)
        assert code == 0, said

    def get(self, kind: str, name: str) -> Any:
        base = self.apps if kind == "deployments" else self.core
        return self.server.ask("GET", f"{base}/{kind}/{name}")

    def model(self) -> dict[str, str]:
        """The data of F-model."""
        return dict(self.get("configmaps", "slipway-model")["data"])

    def edit(self, **data: str) -> None:
        """`kubectl edit`, as a person does it."""
        path = f"{self.core}/configmaps/slipway-model"
        self.server.ask("PATCH", path, {"data": data}, "merge-patch+json")

    def everything(self) -> KubeCluster:
        """The cluster as its administrator sees it."""
        config = self.server.kubeconfig("admin", self.namespace)
        return KubeCluster(connect(Place(kubeconfig=str(config)), timeout=5.0), "slipway")

    def only(self, role: str) -> KubeCluster:
        """The cluster as somebody sees it who has this Role and nothing else."""
        self.unbind()
        self.bind(role, "Role")
        place = Place(kubeconfig=str(self.server.kubeconfig("somebody", self.namespace)))
        return KubeCluster(connect(place, timeout=5.0), "slipway")


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    program("helm")
    with api_server() as found:
        rule = {
            "apiGroups": ["rbac.authorization.k8s.io"],
            "resources": ["roles", "rolebindings"],
            "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"],
        }
        found.ask(
            "POST",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            {"metadata": {"name": "role-maker"}, "rules": [rule]},
        )
        yield found


@pytest.fixture
def place(server: ApiServer) -> Installation:
    return Installation(server)


def test_an_editor_who_may_make_roles_can_install_and_remove_it(place: Installation) -> None:
    said = place.install_chart(FULL)
    assert f"{'a' * 32} is wanted" in said
    for name in ("blue", "green", "router", "controller"):
        assert place.get("deployments", f"slipway-{name}")
    place.everything().write(Document("state", {"phase": "idle"}))
    code, said = place.helm("uninstall", "slipway")
    assert code == 0, said
    left = {each["metadata"]["name"] for each in place.get("configmaps", "")["items"]}
    assert "slipway-state" in left
    assert not left & {"slipway-model", "slipway-policy"}


def test_wrong_values_leave_nothing_half_installed(place: Installation) -> None:
    code, said = place.helm("install", "slipway", str(CHART), values={"rollout": {"steps": [150]}})
    assert code != 0
    assert "out of range" in said
    assert place.get("secrets", "")["items"] == []
    assert place.get("deployments", "")["items"] == []


def test_f1_pods_are_admitted_where_restricted_is_enforced(place: Installation) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    path = f"/api/v1/namespaces/{place.namespace}"
    place.server.ask("PATCH", path, {"metadata": {"labels": labels}}, "merge-patch+json")
    for name, pod in pod_templates(render(FULL)):
        spec = {key: value for key, value in pod["spec"].items() if key != "priorityClassName"}
        # The Deployment's and the Job's controllers would fill these in.
        spec.setdefault("restartPolicy", "Always")
        body = {"metadata": {"name": name}, "spec": spec}
        made = place.server.ask("POST", f"{place.core}/pods?dryRun=All", body)
        assert made["metadata"]["name"] == name
    rooted = {"metadata": {"name": "root"}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        place.server.ask("POST", f"{place.core}/pods?dryRun=All", rooted)


def test_an_unchanged_upgrade_after_an_edit_moves_nothing(place: Installation) -> None:
    place.install_chart(FULL)
    place.edit(MODEL_RUN_ID=OTHER)
    before = {name: place.get("deployments", f"slipway-{name}")["metadata"]["generation"]
              for name in (*SLOTS, "router", "controller")}  # fmt: skip
    place.upgrade(values=FULL)
    place.upgrade("--reuse-values")
    assert place.model() == {"MODEL_RUN_ID": OTHER, "MODEL_URI": ""}
    for name, generation in before.items():
        found = place.get("deployments", f"slipway-{name}")["metadata"]["generation"]
        assert found == generation, name


def test_a_changed_value_wins_over_an_earlier_edit(place: Installation) -> None:
    place.install_chart(FULL)
    place.edit(MODEL_RUN_ID="", MODEL_URI="models:/ride/3")
    place.upgrade("--reuse-values", f"--set=model.runId={OTHER}")
    assert place.model() == {"MODEL_RUN_ID": OTHER, "MODEL_URI": ""}
    place.edit(MODEL_RUN_ID="c" * 32)
    place.upgrade("--reuse-values", "--set=slots.threads=2")
    assert place.model()["MODEL_RUN_ID"] == "c" * 32


def test_a_model_named_after_an_idle_installation_stays(place: Installation) -> None:
    place.install_chart()
    write_desired(place.everything(), "models:/ride@champion", NOW)
    place.upgrade(values={})
    assert place.model() == {"MODEL_RUN_ID": "", "MODEL_URI": "models:/ride@champion"}
    annotations = place.get("configmaps", "slipway-model")["metadata"]["annotations"]
    assert annotations["slipway.io/requested-at"] == NOW.isoformat()
    assert annotations["slipway.io/chart-model"] == ""


def test_a_rollback_of_the_chart_wants_the_model_of_then(place: Installation) -> None:
    place.install_chart(FULL)
    place.upgrade("--reuse-values", f"--set=model.runId={OTHER}")
    code, said = place.helm("rollback", "slipway", "1")
    assert code == 0, said
    assert place.model()["MODEL_RUN_ID"] == "a" * 32


def test_size_and_release_of_the_slots_survive_an_upgrade_of_the_image(place: Installation) -> None:
    place.install_chart(FULL)
    cluster = place.only("slipway-controller")
    cluster.fill("blue", FILLING, 3)
    place.bind("system:aggregate-to-edit")
    place.bind("system:aggregate-to-view")
    place.bind("role-maker")
    place.upgrade("--reuse-values", "--set=image.tag=next")
    spec = place.get("deployments", "slipway-blue")["spec"]
    assert spec["replicas"] == 3
    assert spec["template"]["spec"]["containers"][0]["image"] == "slipway:next"
    assert spec["template"]["metadata"]["annotations"]["slipway.io/digest"] == FILLING.digest


def test_the_controllers_role_is_enough_for_all_that_it_does(place: Installation) -> None:
    place.install_chart(FULL)
    cluster = place.only("slipway-controller")
    assert cluster.read("model")
    assert cluster.read("policy")
    assert cluster.read("control") is None
    documents: tuple[DocumentName, ...] = ("state", "routing")
    for name in documents:
        made = cluster.write(Document(name, {"a": "1"}))
        cluster.write(Document(name, {"a": "2"}, version=made.version))
    for _ in range(2):
        cluster.fill("green", FILLING, 2)
    cluster.fill("green", Filling("{}", "e" * 32, "s3://mlflow/2", f"sha256:{'e' * 64}"), 1)
    for part in (*SLOTS, "router"):
        assert cluster.workload(part)
    assert cluster.hold_lease("me", 15)
    assert cluster.hold_lease("me", 15)
    cluster.hold_lease("me", 0)
    for _ in range(2):
        cluster.record(Event("Started", "it is prepared"))
    (event,) = place.get("events", "")["items"]
    assert event["count"] == 2
    model = cluster.read("model")
    assert model
    with pytest.raises(AccessDenied):
        cluster.write(model)


def test_the_routers_role_is_enough_to_read_and_no_more(place: Installation) -> None:
    place.install_chart(FULL)
    cluster = place.only("slipway-router")
    assert cluster.read("routing") is None
    for slot in SLOTS:
        assert cluster.workload(slot)
    with pytest.raises(AccessDenied):
        cluster.read("state")
    with pytest.raises(AccessDenied):
        cluster.fill("blue", None, 5)


def test_the_operators_role_is_enough_for_the_verbs_and_no_more(place: Installation) -> None:
    place.install_chart(FULL)
    cluster = place.only("slipway-operator")
    write_desired(cluster, OTHER, NOW)
    assert read_status(cluster, NOW).desired.reference == OTHER
    for number in (1, 2):
        write_request(cluster, Request(id=str(number), verb="pause"))
    control = cluster.read("control")
    assert control
    assert json.loads(control.data["request.json"])["id"] == "2"
    with pytest.raises(AccessDenied):
        cluster.fill("blue", None, 5)
    with pytest.raises(AccessDenied):
        cluster.hold_lease("me", 15)
