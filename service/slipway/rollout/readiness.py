"""The ready gate: whether a slot's pods are there and stay there. Pure."""

from __future__ import annotations

from slipway.cluster.protocol import SlotName
from slipway.rollout.policy import Policy
from slipway.rollout.snapshot import Memory, Snapshot
from slipway.rollout.state import Placement, State
from slipway.rollout.verdict import Outcome, Verdict


def serving(snapshot: Snapshot, placement: Placement | None) -> int:
    """How many Ready pods of its slot run its release: all that the router can send to."""
    if placement is None or placement.slot is None:
        return 0
    view = snapshot.slots.get(placement.slot)
    if view is None or view.workload is None:
        return 0
    digest = placement.release.digest
    return sum(pod.ready and pod.digest == digest for pod in view.workload.pods)


def live_replicas(snapshot: Snapshot, state: State) -> int:
    """Stable's size as it is now, which is the user's; the policy's where nothing serves yet."""
    view = snapshot.slots.get(state.base.slot) if state.base and state.base.slot else None
    live = view.workload.replicas if view and view.workload else 0
    return live or state.policy.replicas


def restarts(snapshot: Snapshot, slot: SlotName | None, digest: str) -> int:
    """The restarts of a slot's pods that run this release."""
    view = snapshot.slots.get(slot) if slot else None
    if view is None or view.workload is None:
        return 0
    return sum(pod.restarts for pod in view.workload.pods if pod.digest == digest)


def settled(snapshot: Snapshot, placement: Placement | None) -> bool:
    """Whether the slot's newest template is the only one that runs."""
    if placement is None or placement.slot is None:
        return True
    view = snapshot.slots.get(placement.slot)
    return view is None or view.workload is None or view.workload.settled


def why_not_ready(snapshot: Snapshot, placement: Placement) -> str:
    """What the first pod that is not ready says, else what its Deployment says.

    Pods of the release itself come first: what the slot held before may still be leaving it.
    """
    view = snapshot.slots.get(placement.slot) if placement.slot else None
    if view is None or view.workload is None:
        return f"there is no Deployment for slot {placement.slot}"
    told = [pod for pod in view.workload.pods if not pod.ready and pod.why]
    own = [pod for pod in told if pod.digest == placement.release.digest]
    return (own or told)[0].why if told else view.workload.why


def ready_gate(snapshot: Snapshot, placement: Placement, policy: Policy, memory: Memory) -> Verdict:
    """PASS when all pods are ready with the release, FAIL when they will not be or do not stay."""
    view = snapshot.slots.get(placement.slot) if placement.slot else None
    workload = view.workload if view else None
    ready, asked = serving(snapshot, placement), workload.replicas if workload else 0
    again = restarts(snapshot, placement.slot, placement.release.digest) - placement.restarts
    current = workload is not None and workload.digest == placement.release.digest
    failed = ""
    if again >= policy.ready.restarts:
        failed = f"its pods restarted {again} times"
    elif memory.flaps >= policy.ready.flaps:
        failed = f"its pods went from ready to not ready {memory.flaps} times"
    elif workload is not None and current and workload.failed:
        failed = workload.why or "its Deployment does not complete"
    whole = workload is not None and current and workload.settled and 0 < asked <= ready
    outcome = Outcome.FAIL if failed else Outcome.PASS if whole else Outcome.UNKNOWN
    return Verdict(
        gate="ready",
        outcome=outcome,
        sentence=failed or f"{ready} of {asked} pods ready",
        estimate=float(ready),
        limit=float(asked),
        samples=ready,
    )
