"""A backfill as an Indexed Job of Kubernetes: the CronJob's pod, a month an index. Pure.

The release is pinned: its lock stands in the pod template, which no one can change after the Job
is made, and reaches the pods as the same file that a scheduled run reads. So every month is scored
by the one release, whatever is promoted while the Job runs.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from slipway.errors import InvalidConfig

Json = dict[str, Any]

RELEASE = "slipway.io/release"
DIGEST = "slipway.io/digest"
INDEX = "batch.kubernetes.io/job-completion-index"
# Wrong settings, a month that is not there or cannot be read: repetition does not mend them.
FINAL_CODES = (1, 2, 3)
RETRIES = 3


@dataclass(frozen=True)
class Backfill:
    """Which months (as `2021-03..2022-04`, `count` of them), how many at once, by which release.

    `environment` is set in the container that scores, over the CronJob's own.
    """

    months: str
    count: int
    parallel: int
    lock: str
    digest: str
    environment: Mapping[str, str] = field(default_factory=dict)
    force: bool = False


def job_of(cronjob: Json, backfill: Backfill) -> Json:
    """The Job; raises InvalidConfig if the CronJob is none of this chart."""
    template = cronjob["spec"]["jobTemplate"]
    spec = copy.deepcopy(template["spec"])
    spec |= {
        "completionMode": "Indexed",
        "completions": backfill.count,
        "parallelism": min(backfill.parallel, backfill.count),
        # A month that fails stops no other one.
        "backoffLimitPerIndex": spec.pop("backoffLimit", RETRIES),
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "Ignore",
                    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                },
                {
                    "action": "FailIndex",
                    "onExitCodes": {"operator": "In", "values": list(FINAL_CODES)},
                },
            ]
        },
    }
    if deadline := spec.get("activeDeadlineSeconds"):
        spec["activeDeadlineSeconds"] = deadline * math.ceil(backfill.count / spec["parallelism"])
    _pin(spec["template"], backfill)
    labels = (template.get("metadata") or {}).get("labels") or {}
    name = cronjob["metadata"]["name"].removesuffix("-batch")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "generateName": f"{name}-backfill-",
            "labels": labels,
            "annotations": {"slipway.io/months": backfill.months, DIGEST: backfill.digest},
        },
        "spec": spec,
    }


def _pin(template: Json, backfill: Backfill) -> None:
    metadata, pod = template.setdefault("metadata", {}), template["spec"]
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        RELEASE: backfill.lock,
        DIGEST: backfill.digest,
    }
    volume = next((each for each in pod.get("volumes", ()) if each["name"] == "release"), None)
    score = next((each for each in pod["containers"] if each["name"] == "score"), None)
    if volume is None or score is None:
        raise InvalidConfig("the CronJob has no container `score` with a release: is it ours?")
    volume.clear()
    reference = {"fieldPath": f"metadata.annotations['{RELEASE}']"}
    volume |= {
        "name": "release",
        "downwardAPI": {"items": [{"path": "release.json", "fieldRef": reference}]},
    }
    given: list[Json] = [
        {"name": "SLIPWAY_MONTHS", "value": backfill.months},
        {
            "name": "SLIPWAY_INDEX",
            "valueFrom": {"fieldRef": {"fieldPath": f"metadata.annotations['{INDEX}']"}},
        },
        *({"name": name, "value": value} for name, value in backfill.environment.items()),
    ]
    names = {each["name"] for each in given}
    kept = [each for each in score.get("env", ()) if each["name"] not in names]
    score["env"] = [*kept, *given]
    if backfill.force:
        score["args"] = [*score.get("args", ()), "--force"]
