"""The words in which conditions, events, history and log say why. Pure."""

from __future__ import annotations

from typing import Literal, get_args

Reason = Literal[
    # What holds or ends a rollout.
    "InvalidConfig", "Unresolvable", "DigestMismatch", "VersionMismatch", "SchemaMismatch",
    "Untrusted", "NotReady", "RouterRejected", "InsufficientData", "GateFailed", "Superseded",
    "Refused", "Paused", "WaitsForPromote", "WaitsForWatch",
    # What people asked for.
    "Aborted", "RolledBack", "Promoting", "Resumed", "Retried", "RequestRefused",
    # How it goes on.
    "Resolving", "Started", "ShadowStarted", "StepStarted", "Promoted", "ReturnToWarm",
    "WatchEnded", "WarmReleased", "FailedReleased", "AlreadyServing",
    # What keeps the documents true.
    "Rebuilt", "NewerState", "RoutingRestored", "SlotRestored",
]  # fmt: skip
REASONS: frozenset[str] = frozenset(get_args(Reason))
# The words with which a pod's own sentence may begin, as in "DigestMismatch: ...".
_PODS = {"DigestMismatch", "VersionMismatch", "Untrusted", "Unresolvable", "InvalidConfig"}


def reason_of_pod(why: str) -> Reason:
    """The reason for a pod that does not become ready, by the first word that it says."""
    word = why.partition(":")[0].strip()
    found: Reason = word if word in _PODS else "NotReady"  # type: ignore[assignment]
    return found
