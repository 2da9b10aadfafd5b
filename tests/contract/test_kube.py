"""What only a real API server can show: rights, silence, other people's members of an object."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tests.cluster_worlds import FULLNAME, KubeWorld
from tests.fault_proxy import FaultProxy
from tests.kube_apiserver import ApiServer, api_server
from tests.waiting import until

from slipway.cluster.kube import KubeCluster
from slipway.cluster.kube_api import Place, connect
from slipway.cluster.protocol import SLOTS, Document, Event, Filling, SlotName
from slipway.errors import AccessDenied, InvalidConfig, Unavailable

pytestmark = pytest.mark.platform

DIGEST = "sha256:" + "a" * 64
FILLING = Filling(lock='{"schema": 1}', run_id="b" * 32, uri="s3://bucket/1", digest=DIGEST)
READY = {"type": "Ready", "status": "True"}


@pytest.fixture
def cluster(kube_world: KubeWorld) -> KubeCluster:
    return kube_world.view()


@pytest.fixture(scope="module")
def own_server() -> Iterator[ApiServer]:
    """One that may be stopped."""
    with api_server() as server:
        yield server


def test_labels_and_owners_of_a_document_are_kept(
    kube_world: KubeWorld, cluster: KubeCluster
) -> None:
    """F-model is the chart's: what Helm wrote there stays there."""
    name = f"{FULLNAME}-model"
    labels = {"app.kubernetes.io/managed-by": "Helm"}
    body = {
        "metadata": {"name": name, "labels": labels, "annotations": {"meta.helm.sh/x": "y"}},
        "data": {"MODEL_URI": ""},
    }
    kube_world.server.ask("POST", f"{kube_world.core}/configmaps", body)
    found = cluster.read("model")
    assert found is not None
    annotations = {**found.annotations, "slipway.io/requested-at": "now"}
    cluster.write(Document("model", {"MODEL_URI": "models:/a/1"}, annotations, found.version))
    now = kube_world.server.ask("GET", f"{kube_world.core}/configmaps/{name}")
    assert now["metadata"]["labels"] == labels
    assert now["metadata"]["annotations"] == annotations
    assert now["data"] == {"MODEL_URI": "models:/a/1"}


def test_what_the_controller_makes_has_no_owner(
    kube_world: KubeWorld, cluster: KubeCluster
) -> None:
    cluster.write(Document("state", {}))
    found = kube_world.server.ask("GET", f"{kube_world.core}/configmaps/{FULLNAME}-state")
    assert "ownerReferences" not in found["metadata"]
    assert found["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "slipway"


def test_the_rest_of_a_deployment_is_kept(kube_world: KubeWorld, cluster: KubeCluster) -> None:
    kube_world.install()
    path = f"{kube_world.apps}/deployments/{FULLNAME}-blue"
    annotations = {"prometheus.io/scrape": "true"}
    patch = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    kube_world.server.ask("PATCH", path, patch, "merge-patch+json")
    cluster.fill("blue", FILLING, 2)
    spec = kube_world.server.ask("GET", path)["spec"]
    assert spec["template"]["metadata"]["annotations"] == {
        **annotations,
        "slipway.io/run-id": FILLING.run_id,
        "slipway.io/digest": DIGEST,
    }
    assert spec["template"]["spec"]["containers"][0]["image"] == "slipway.invalid/none:1"


def test_filling_twice_makes_no_new_generation(kube_world: KubeWorld, cluster: KubeCluster) -> None:
    kube_world.install()
    path = f"{kube_world.apps}/deployments/{FULLNAME}-blue"
    cluster.fill("blue", FILLING, 2)
    before = kube_world.server.ask("GET", path)["metadata"]
    cluster.fill("blue", FILLING, 2)
    after = kube_world.server.ask("GET", path)["metadata"]
    assert (after["generation"], after["resourceVersion"]) == (
        before["generation"],
        before["resourceVersion"],
    )


def test_the_pods_of_a_slot_and_no_others(kube_world: KubeWorld, cluster: KubeCluster) -> None:
    kube_world.install()
    cluster.fill("blue", FILLING, 2)
    running = {"phase": "Running", "podIP": "10.9.8.7", "conditions": [READY]}
    kube_world.add_pod("blue", "blue-x", DIGEST, running)
    kube_world.add_pod("green", "green-x", "", running)
    words = {"exitCode": 1, "reason": "Error", "message": "DigestMismatch: other bytes"}
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off"}
    failing = {
        "name": "slipway",
        "image": "x",
        "imageID": "x",
        "ready": False,
        "restartCount": 4,
        "state": {"waiting": waiting},
        "lastState": {"terminated": words},
    }
    kube_world.add_pod("blue", "blue-y", DIGEST, {"containerStatuses": [failing]})
    workload = cluster.workload("blue")
    assert workload is not None
    good, bad = sorted(workload.pods, key=lambda pod: pod.name)
    assert (good.address, good.admin, good.ready, good.digest) == (
        "10.9.8.7:9696",
        "10.9.8.7:9697",
        True,
        DIGEST,
    )
    assert (bad.ready, bad.restarts) == (False, 4)
    assert bad.why.startswith("DigestMismatch: other bytes")


def test_a_deployment_is_settled_when_its_controller_says_so(
    kube_world: KubeWorld, cluster: KubeCluster
) -> None:
    kube_world.install()
    cluster.fill("blue", FILLING, 2)
    status = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2}
    kube_world.set_status("blue", status)
    workload = cluster.workload("blue")
    assert workload is not None
    assert workload.settled


def test_an_event_is_found_by_kubectl_describe_and_counts(
    kube_world: KubeWorld, cluster: KubeCluster
) -> None:
    """`describe` asks by the object's uid; the same event again is one event with a count."""
    cluster.write(Document("model", {"MODEL_URI": ""}))
    for _ in range(3):
        cluster.record(Event("GateFailed", "errors: 20 %", warning=True))
    # Another process does not know of the first one's.
    again = kube_world.view()
    again.read("model")
    again.record(Event("GateFailed", "errors: 20 %", warning=True))
    (event,) = kube_world.server.ask("GET", f"{kube_world.core}/events")["items"]
    model = kube_world.server.ask("GET", f"{kube_world.core}/configmaps/{FULLNAME}-model")
    assert event["involvedObject"]["uid"] == model["metadata"]["uid"]
    assert event["count"] >= 2
    assert event["lastTimestamp"] >= event["firstTimestamp"]


def test_D17_a_missing_right_is_named(kube_world: KubeWorld, cluster: KubeCluster) -> None:
    kube_world.install()
    kube_world.unbind()
    for act, words in (
        (lambda: cluster.read("state"), "get configmaps"),
        (lambda: cluster.write(Document("state", {})), "create configmaps"),
        (lambda: cluster.workload("blue"), "get deployments"),
        (lambda: cluster.fill("blue", None, 1), "get deployments"),
        (lambda: cluster.hold_lease("a", 15), "get leases"),
    ):
        with pytest.raises(AccessDenied, match=f"no right to {words} in the namespace"):
            act()
    cluster.record(Event("Started", "nobody may hear it"))


def test_D17_the_slots_document_comes_before_its_template(
    kube_world: KubeWorld, cluster: KubeCluster
) -> None:
    """Without the right to change Deployments, the document is written and the template is not."""
    kube_world.install()
    kube_world.unbind()
    rules = [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    ]
    kube_world.server.ask(
        "POST",
        f"/apis/rbac.authorization.k8s.io/v1/namespaces/{kube_world.namespace}/roles",
        {"metadata": {"name": "half"}, "rules": rules},
    )
    kube_world.bind("half", "Role")
    with pytest.raises(AccessDenied, match="patch deployments"):
        cluster.fill("blue", FILLING, 1)
    document, workload = cluster.read("blue"), cluster.workload("blue")
    assert document is not None
    assert document.data["MODEL_DIGEST"] == DIGEST
    assert workload is not None
    assert workload.digest == ""


def test_R51_the_controllers_own_role_is_enough(
    kube_world: KubeWorld, cluster: KubeCluster
) -> None:
    """Each object by its name, as the chart's Role gives it; nothing else may be touched."""
    kube_world.install()
    kube_world.unbind()
    kube_world.server.ask(
        "POST",
        f"/apis/rbac.authorization.k8s.io/v1/namespaces/{kube_world.namespace}/roles",
        {"metadata": {"name": "controller"}, "rules": RULES},
    )
    kube_world.bind("controller", "Role")
    assert cluster.hold_lease("a", 15)
    assert cluster.hold_lease("a", 15)
    for name in ("model", "policy", "control", "state", "routing", "blue", "green"):
        assert cluster.read(name) is None
    for document in (Document("state", {"x": "1"}), Document("routing", {"x": "1"})):
        written = cluster.write(document)
        cluster.write(Document(document.name, {"x": "2"}, {}, written.version))
    for slot in SLOTS:
        cluster.fill(slot, FILLING, 1)
        cluster.fill(slot, Filling("{}", "", "s3://other", "sha256:" + "b" * 64), 0)
        assert cluster.workload(slot) is not None
    assert cluster.workload("router") is None
    cluster.record(Event("Started", "x"))
    cluster.record(Event("Started", "x"))
    assert len(kube_world.events()) == 1
    with pytest.raises(AccessDenied):
        cluster.write(Document("model", {}, {}, "1"))


def named(*parts: str) -> list[str]:
    return [f"{FULLNAME}-{part}" for part in parts]


def rule(group: str, resource: str, verbs: str, *names: str) -> dict[str, list[str]]:
    found = {"apiGroups": [group], "resources": [resource], "verbs": verbs.split()}
    return {**found, "resourceNames": named(*names)} if names else found


RULES = [
    rule("", "configmaps", "get", "model", "policy", "control"),
    rule("", "configmaps", "get patch", "state", "routing", *SLOTS),
    rule("", "configmaps", "create"),
    rule("apps", "deployments", "get patch", *SLOTS),
    rule("apps", "deployments", "get", "router"),
    rule("", "pods", "list"),
    rule("coordination.k8s.io", "leases", "get update", "controller"),
    rule("coordination.k8s.io", "leases", "create"),
    rule("", "events", "create patch"),
]


def test_wrong_credentials_are_told_apart_from_missing_rights(kube_world: KubeWorld) -> None:
    kubeconfig = kube_world.server.kubeconfig("nobody", kube_world.namespace)
    cluster = KubeCluster(connect(Place(kubeconfig=str(kubeconfig))), FULLNAME)
    with pytest.raises(AccessDenied, match="does not accept our credentials"):
        cluster.read("state")


def test_B21_what_is_too_big_is_refused_with_a_sentence(cluster: KubeCluster) -> None:
    with pytest.raises(InvalidConfig, match="does not take what we create configmaps"):
        cluster.write(Document("state", {"x": "x" * ((1 << 20) + 1)}))


@pytest.mark.parametrize("mode", ["refuse", "silent", "reset", "cut"])
def test_D3_D4_a_broken_connection_ends_in_time(
    kube_server: ApiServer, kube_world: KubeWorld, mode: str
) -> None:
    """Between the two stands a proxy that breaks what it passes on."""
    server = f"https://127.0.0.1:{kube_server.port}"
    path = kube_world.server.kubeconfig("somebody", kube_world.namespace)
    with FaultProxy(server.replace("https", "http"), mode) as proxy:
        broken = path.with_name(f"broken-{mode}.yaml")
        broken.write_text(path.read_text().replace(server, proxy.url.replace("http:", "https:")))
        api = connect(Place(kubeconfig=str(broken)), timeout=1.0)
        began = time.monotonic()
        with pytest.raises(Unavailable):
            KubeCluster(api, FULLNAME).read("state")
        assert time.monotonic() - began < 15


def test_D3_a_silent_api_server_ends_every_call_in_time(own_server: ApiServer) -> None:
    world = KubeWorld(own_server, "silent")
    world.install()
    cluster = world.view()
    cluster.read("state")
    own_server.pause()
    try:
        for act in (
            lambda: cluster.read("state"),
            lambda: cluster.write(Document("state", {})),
            lambda: cluster.workload("blue"),
            lambda: cluster.fill("blue", FILLING, 1),
            lambda: cluster.hold_lease("a", 15),
        ):
            began = time.monotonic()
            with pytest.raises(Unavailable):
                act()
            assert time.monotonic() - began < 10
        began = time.monotonic()
        cluster.record(Event("Started", "x"))
        assert time.monotonic() - began < 10
    finally:
        own_server.resume()


def test_D2_an_api_server_that_comes_back_is_used_again(own_server: ApiServer) -> None:
    world = KubeWorld(own_server, "restarted")
    cluster = world.view()
    written = cluster.write(Document("state", {"phase": "idle"}))
    own_server.stop()
    with pytest.raises(Unavailable):
        cluster.read("state")
    own_server.start()
    assert cluster.read("state") == written


def test_no_cluster_to_talk_to_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION"
    monkeypatch.setattr(usual, "/nowhere")
    for place in (Place(kubeconfig="/nowhere/config"), Place(context="no-such"), Place()):
        with pytest.raises(InvalidConfig, match="--kubeconfig and --context"):
            connect(place)


def test_the_namespace_is_the_contexts_unless_it_is_named(kube_world: KubeWorld) -> None:
    path = str(kube_world.server.kubeconfig("somebody", kube_world.namespace))
    assert connect(Place(kubeconfig=path)).namespace == kube_world.namespace
    assert connect(Place("other", kubeconfig=path)).namespace == "other"
    assert connect(Place(context="test", kubeconfig=path)).namespace == kube_world.namespace
    with pytest.raises(InvalidConfig):
        connect(Place(context="unknown", kubeconfig=path))


@pytest.mark.kind
def test_D11_pods_of_a_real_cluster_say_why_they_do_not_start(kind_world: KubeWorld) -> None:
    """Kubelet and scheduler in their own words: no such image, no such node."""
    kind_world.install()
    cluster = kind_world.view()
    path = f"{kind_world.apps}/deployments/{FULLNAME}-green"
    container = {"name": "slipway", "resources": {"requests": {"cpu": "1000"}}}
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    kind_world.server.ask("PATCH", path, patch, "strategic-merge-patch+json")
    cluster.fill("blue", FILLING, 1)
    cluster.fill("green", FILLING, 1)

    def why(slot: SlotName, *words: str) -> bool:
        workload = cluster.workload(slot)
        assert workload is not None
        return any(word in pod.why for pod in workload.pods for word in words)

    until(lambda: why("blue", "ErrImagePull", "ImagePullBackOff"), 60, "the image's trouble")
    until(lambda: why("green", "Unschedulable"), 60, "the scheduler's trouble")
    workload = cluster.workload("blue")
    assert workload is not None
    assert [(pod.digest, pod.ready) for pod in workload.pods] == [(DIGEST, False)]


@pytest.mark.kind
def test_D11_a_quota_of_a_real_cluster_is_told(kind_world: KubeWorld) -> None:
    kind_world.install()
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    kind_world.server.ask("POST", f"{kind_world.core}/resourcequotas", quota)
    cluster = kind_world.view()
    cluster.fill("blue", FILLING, 1)

    def told() -> bool:
        workload = cluster.workload("blue")
        return workload is not None and "exceeded quota" in workload.why

    until(told, 60, "the quota to be named")
