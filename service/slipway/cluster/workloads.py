"""Reads a Deployment and its pods, as the API server tells them in JSON, into a Workload. Pure.

Everything is optional here: a status may be empty, partial, or of an older generation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slipway.cluster.protocol import Pod, Workload

RUN_ID = "slipway.io/run-id"
DIGEST = "slipway.io/digest"
MAX_WHY, MAX_WORDS = 500, 400

# Nothing is wrong with a container that waits for these.
_STARTING = frozenset({"PodInitializing", "ContainerCreating"})
_GONE = frozenset({"Succeeded", "Failed"})


def template_annotations(deployment: Mapping[str, Any]) -> Mapping[str, str]:
    """The pod template's annotations."""
    return _at(deployment, "spec", "template", "metadata", "annotations")


def selector_of(deployment: Mapping[str, Any]) -> str:
    """The Deployment's own label selector, as a list request takes it."""
    labels = _at(deployment, "spec", "selector", "matchLabels")
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def workload_of(
    deployment: Mapping[str, Any], pods: Sequence[Mapping[str, Any]], port: int, admin_port: int
) -> Workload:
    """The Deployment with those of its pods that have not ended."""
    replicas = _at(deployment, "spec").get("replicas")
    replicas = 1 if replicas is None else int(replicas)
    failed, why = _trouble(deployment)
    return Workload(
        replicas=replicas,
        digest=template_annotations(deployment).get(DIGEST, ""),
        settled=_settled(deployment, replicas),
        failed=failed,
        why=why,
        pods=tuple(
            pod_of(pod, port, admin_port)
            for pod in pods
            if _at(pod, "status").get("phase") not in _GONE
        ),
    )


def pod_of(pod: Mapping[str, Any], port: int, admin_port: int) -> Pod:
    """One pod; a pod that is being deleted takes no new work, so it is not ready."""
    metadata, status = _at(pod, "metadata"), _at(pod, "status")
    address = status.get("podIP") or ""
    host = f"[{address}]" if ":" in address else address
    leaving = bool(metadata.get("deletionTimestamp"))
    ready = not leaving and _condition(status, "Ready").get("status") == "True"
    # The control plane takes back the one, the kubelet alone the other.
    answered = _condition(status, "ContainersReady").get("status") == "True"
    return Pod(
        name=metadata.get("name", ""),
        address=f"{host}:{port}" if host else "",
        admin=f"{host}:{admin_port}" if host else "",
        digest=_at(metadata, "annotations").get(DIGEST, ""),
        ready=ready,
        restarts=sum(int(each.get("restartCount", 0)) for each in _containers(status)),
        why="" if ready else _shortened("is being deleted" if leaving else _why(status)),
        unheard=answered and not ready and not leaving,
    )


def _settled(deployment: Mapping[str, Any], replicas: int) -> bool:
    status = _at(deployment, "status")
    generation = _at(deployment, "metadata").get("generation", 0)
    return bool(
        status.get("observedGeneration", 0) >= generation
        and (status.get("updatedReplicas") or 0) == replicas
        and (status.get("replicas") or 0) == replicas
    )


def _trouble(deployment: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether Kubernetes has given up on the newest template, and what it complains of."""
    status = _at(deployment, "status")
    if status.get("observedGeneration", 0) < _at(deployment, "metadata").get("generation", 0):
        return False, ""
    progress = _condition(status, "Progressing")
    failed = progress.get("reason") == "ProgressDeadlineExceeded"
    # Pods that cannot even be made (a quota, an admission hook) are told of here only.
    refused = _condition(status, "ReplicaFailure")
    if refused.get("status") == "True":
        return failed, _shortened(_said(refused))
    return failed, _shortened(_said(progress)) if failed else ""


def _why(status: Mapping[str, Any]) -> str:
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") == "False":
        return _said(scheduled)
    containers = _containers(status)
    for container in containers:
        if told := _container_trouble(container):
            return told
    for container in containers:
        waiting = _at(container, "state", "waiting")
        if waiting:
            return _said(waiting)
    ended = next((text for each in containers if (text := _ended(each, "lastState"))), "")
    unready = _said(_condition(status, "Ready")) or str(status.get("phase") or "is not known yet")
    return f"{unready}; it was restarted after {ended}" if ended else unready


def _container_trouble(container: Mapping[str, Any]) -> str:
    waiting = _at(container, "state", "waiting")
    if waiting and waiting.get("reason") not in _STARTING:
        # What the process said before it ended says more than that it is started again later.
        ended = _ended(container, "lastState")
        return f"{ended}, {waiting.get('reason')}" if ended else _said(waiting)
    return _ended(container, "state")


def _ended(container: Mapping[str, Any], where: str) -> str:
    """How a container's process ended, if it did so badly; its last words first, if it had any."""
    ended = _at(container, where, "terminated")
    if not ended or ended.get("exitCode") == 0:
        return ""
    said = " ".join(str(ended.get("message") or "").split())
    how = f"{ended.get('reason') or 'Error'}, exit code {ended.get('exitCode')}"
    return f"{_shortened(said, MAX_WORDS)} ({how})" if said else how


def _containers(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ]


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    found = (each for each in status.get("conditions") or () if each.get("type") == kind)
    return next(found, {})


def _said(source: Mapping[str, Any]) -> str:
    return ": ".join(str(source[key]) for key in ("reason", "message") if source.get(key))


def _at(source: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """A member of a member; an empty one for what is missing or null."""
    found: Any = source
    for name in path:
        found = found.get(name) or {}
    return found if isinstance(found, Mapping) else {}


def _shortened(text: str, length: int = MAX_WHY) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
