"""The documents that `slipway local up` writes in people's place: the model and the policy."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from pathlib import Path

from slipway.cluster.protocol import Cluster, Document
from slipway.errors import InvalidConfig
from slipway.rollout.policy import PRESETS
from slipway.rollout.policy_document import read_policy
from slipway.rollout.remote import write_desired

# What the last `up` was given. As with the chart, the last change wins: the same again is none.
GIVEN_MODEL = "slipway.io/chart-model"
POLICY_KEY = "policy.yaml"
DEFAULT_POLICY = "fast"


def write_wishes(
    cluster: Cluster, model: str | None, policy: str | None, replicas: int, now: datetime
) -> None:
    """Write the two documents; raises InvalidConfig for a policy or reference that is none."""
    _write_policy(cluster, policy, replicas)
    found = cluster.read("model")
    if found is None:
        found = cluster.write(Document("model", {"MODEL_RUN_ID": "", "MODEL_URI": ""}))
    if model is not None and found.annotations.get(GIVEN_MODEL) != model:
        write_desired(cluster, model, now)
        written = cluster.read("model") or found
        annotations = {**written.annotations, GIVEN_MODEL: model}
        cluster.write(dataclasses.replace(written, annotations=annotations))


def _write_policy(cluster: Cluster, policy: str | None, replicas: int) -> None:
    known = cluster.read("policy")
    if known is not None and policy is None:
        return
    text = _text_of(policy or DEFAULT_POLICY, replicas)
    document = dataclasses.replace(known or Document("policy"), data={POLICY_KEY: text})
    # Not one that only the controller would refuse.
    read_policy(document)
    cluster.write(document)


def _text_of(policy: str, replicas: int) -> str:
    if policy in PRESETS:
        return f"preset: {policy}\nreplicas: {replicas}\n"
    try:
        return Path(policy).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfig(
            f"--policy: {policy} is no preset ({', '.join(PRESETS)}) and no file that can be read"
        ) from error
