"""What a Deployment and its pods say in the API's JSON, and what is made of it."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.cluster.workloads import pod_of, selector_of, workload_of

DIGEST = "sha256:" + "d" * 64


def deployment(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {"generation": 4},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"b": "2", "a": "1"}},
            "template": {"metadata": {"annotations": {"slipway.io/digest": DIGEST}}},
        },
        "status": {"observedGeneration": 4, "replicas": 2, "updatedReplicas": 2, **status},
    }


def pod(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "blue-1", "annotations": {"slipway.io/digest": DIGEST}},
        "status": {"phase": "Pending", "podIP": "10.1.2.3", **status},
    }


def condition(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def container(state: dict[str, Any], last: dict[str, Any] | None = None, count: int = 0) -> Any:
    return {"state": state, "lastState": last or {}, "restartCount": count}


def why(**status: Any) -> str:
    return pod_of(pod(**status), 9696, 9697).why


def test_a_settled_deployment() -> None:
    found = workload_of(deployment(), [], 9696, 9697)
    assert (found.replicas, found.digest, found.settled, found.failed) == (2, DIGEST, True, False)


@pytest.mark.parametrize(
    "status",
    [
        {"observedGeneration": 3},
        {"updatedReplicas": 1},
        {"replicas": 3},
        {"replicas": None, "updatedReplicas": None},
    ],
)
def test_a_deployment_whose_newest_template_does_not_run_alone_is_not_settled(
    status: dict[str, Any],
) -> None:
    assert not workload_of(deployment(**status), [], 9696, 9697).settled


def test_D11_a_deployment_that_passed_its_deadline_has_failed_and_says_why() -> None:
    late = condition("Progressing", "False", "ProgressDeadlineExceeded", "has timed out")
    found = workload_of(deployment(conditions=[late]), [], 9696, 9697)
    assert (found.failed, found.why) == (True, "ProgressDeadlineExceeded: has timed out")
    old = deployment(conditions=[late], observedGeneration=3)
    assert not workload_of(old, [], 9696, 9697).failed


def test_D11_a_quota_that_forbids_the_pods_is_told_though_there_is_no_pod() -> None:
    quota = condition("ReplicaFailure", "True", "FailedCreate", "exceeded quota: pods=2")
    found = workload_of(deployment(conditions=[quota]), [], 9696, 9697)
    assert (found.failed, found.why) == (False, "FailedCreate: exceeded quota: pods=2")


def test_no_size_in_the_deployment_is_one_as_kubernetes_has_it() -> None:
    bare = deployment()
    del bare["spec"]["replicas"]
    assert workload_of(bare, [], 9696, 9697).replicas == 1
    bare["spec"]["replicas"] = 0
    assert workload_of(bare, [], 9696, 9697).replicas == 0


def test_the_selector_is_the_deployments_own() -> None:
    assert selector_of(deployment()) == "a=1,b=2"


def test_a_ready_pod() -> None:
    found = pod_of(
        pod(
            phase="Running",
            conditions=[condition("Ready", "True")],
            containerStatuses=[container({"running": {}}, count=3)],
            initContainerStatuses=[container({"terminated": {"exitCode": 0}}, count=1)],
        ),
        9696,
        9697,
    )
    assert (found.name, found.address, found.admin) == ("blue-1", "10.1.2.3:9696", "10.1.2.3:9697")
    assert (found.digest, found.ready, found.restarts, found.why) == (DIGEST, True, 4, "")


def test_a_pod_without_an_address_has_none() -> None:
    assert pod_of(pod(podIP=None), 9696, 9697).address == ""
    assert pod_of(pod(podIP="fd00::1"), 9696, 9697).address == "[fd00::1]:9696"


def test_F3_a_pod_whose_node_is_silent_was_ready_when_that_was_last_heard_of() -> None:
    said = [condition("Ready", "False"), condition("ContainersReady", "True")]
    found = pod_of(pod(conditions=said), 9696, 9697)
    assert (found.ready, found.unheard) == (False, True)
    told = [condition("Ready", "False"), condition("ContainersReady", "False")]
    assert not pod_of(pod(conditions=told), 9696, 9697).unheard
    leaving = pod(conditions=said)
    leaving["metadata"]["deletionTimestamp"] = "2026-11-28T00:00:00Z"
    assert not pod_of(leaving, 9696, 9697).unheard


def test_A6_a_pod_that_is_being_deleted_is_not_ready_whatever_it_says_itself() -> None:
    leaving = pod(conditions=[condition("Ready", "True")])
    leaving["metadata"]["deletionTimestamp"] = "2026-11-24T12:00:00Z"
    found = pod_of(leaving, 9696, 9697)
    assert (found.ready, found.why) == (False, "is being deleted")


def test_pods_that_have_ended_are_left_out() -> None:
    ended = [pod(phase=phase) for phase in ("Succeeded", "Failed")]
    assert workload_of(deployment(), [*ended, pod()], 9696, 9697).pods == (
        pod_of(pod(), 9696, 9697),
    )


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"conditions": [condition("PodScheduled", "False", "Unschedulable", "0/1 nodes: cpu")]},
         "Unschedulable: 0/1 nodes: cpu"),
        ({"containerStatuses": [container({"waiting": {"reason": "ImagePullBackOff",
                                                       "message": "no such image"}})]},
         "ImagePullBackOff: no such image"),
        ({"containerStatuses": [container({"waiting": {"reason": "CreateContainerConfigError",
                                                       "message": "no secret"}})]},
         "CreateContainerConfigError: no secret"),
        ({"containerStatuses": [container(
            {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
            {"terminated": {"reason": "Error", "exitCode": 1,
                            "message": "VersionMismatch: made with 1.2\n"}})]},
         "VersionMismatch: made with 1.2 (Error, exit code 1), CrashLoopBackOff"),
        ({"containerStatuses": [container({"terminated": {"reason": "OOMKilled",
                                                          "exitCode": 137}})]},
         "OOMKilled, exit code 137"),
        ({"initContainerStatuses": [container({"terminated": {"reason": "Error", "exitCode": 3,
                                                              "message": "Unresolvable: gone"}})],
          "containerStatuses": [container({"waiting": {"reason": "PodInitializing"}})]},
         "Unresolvable: gone (Error, exit code 3)"),
        ({"containerStatuses": [container({"waiting": {"reason": "ContainerCreating"}})]},
         "ContainerCreating"),
        ({"conditions": [condition("Ready", "False", "ContainersNotReady", "unready: [slipway]")],
          "containerStatuses": [container({"running": {}})]},
         "ContainersNotReady: unready: [slipway]"),
        ({"conditions": [condition("Ready", "False", "ContainersNotReady", "unready: [slipway]")],
          "containerStatuses": [container({"running": {}}, {"terminated": {
              "reason": "OOMKilled", "exitCode": 137}})]},
         "ContainersNotReady: unready: [slipway]; it was restarted after OOMKilled, exit code 137"),
        ({}, "Pending"),
        ({"phase": None}, "is not known yet"),
    ],
)  # fmt: skip
def test_D11_a_pod_that_is_not_ready_says_why(status: dict[str, Any], expected: str) -> None:
    assert why(**status) == expected


def test_last_words_are_kept_short() -> None:
    long = {"terminated": {"reason": "Error", "exitCode": 1, "message": "x" * 4096}}
    told = why(containerStatuses=[container(long)])
    assert len(told) <= 500
    assert told.endswith("(Error, exit code 1)")


@pytest.mark.parametrize("empty", [{}, {"metadata": None, "spec": None, "status": None}])
@pytest.mark.parametrize("part", [{}, {"metadata": {"annotations": None}, "status": {}}])
def test_what_the_api_server_leaves_out_breaks_nothing(
    empty: dict[str, Any], part: dict[str, Any]
) -> None:
    found = workload_of(empty, [part, empty], 9696, 9697)
    assert (found.digest, found.failed) == ("", False)
    assert [(each.name, each.address, each.ready) for each in found.pods] == [("", "", False)] * 2
    assert selector_of(empty) == ""
