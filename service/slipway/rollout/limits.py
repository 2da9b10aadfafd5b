"""Which limit, quantile and level a step's gates take from the policy. Pure."""

from __future__ import annotations

from slipway.rollout.policy import WHOLE, Policy
from slipway.rollout.readings import Levels
from slipway.rollout.state import State
from slipway.rollout.verdict import GateName

# Where both sides answer each request, and where the requests are split between them.
MIRRORED: tuple[GateName, ...] = ("errors", "latency", "mean", "correlation")
SPLIT: tuple[GateName, ...] = ("errors", "latency", "mean", "distance")


def gates_of(state: State) -> tuple[GateName, ...]:
    """The gates of the state's phase."""
    return SPLIT if state.phase == "canary" else MIRRORED


def decides(policy: Policy, name: GateName) -> bool:
    """Whether a gate decides under this policy, or is only shown."""
    if name == "ready":
        return True
    gates = policy.gates
    return {
        "errors": gates.errors.decides,
        "latency": gates.latency.decides,
        "mean": gates.mean.decides,
        "correlation": gates.correlation.decides,
        "distance": gates.distance.decides,
    }[name]


def statistics(policy: Policy) -> int:
    """How many statistics can FAIL in a whole rollout by this policy."""
    mirrored = (1 if policy.shadow.enabled else 0) + (1 if policy.watch.seconds > 0 else 0)
    return mirrored * sum(decides(policy, name) for name in MIRRORED) + len(policy.steps) * sum(
        decides(policy, name) for name in SPLIT
    )


def levels_of(policy: Policy, *, brief: bool = False) -> Levels:
    """PASS: a bad model must fool the one gate that it violates, so the level is not split.

    FAIL: any one stops the rollout, so it is split over all that can (Berger 1982).
    """
    failing = policy.gates.fail_level / max(statistics(policy), 1)
    return Levels(policy.gates.pass_level, failing, brief)


def next_weight(state: State) -> int:
    """The candidate's weight after this step, of 10,000."""
    step = state.step + 1 if state.phase == "canary" else 0
    after = state.policy.weights[step:]
    return after[0] if after and state.phase != "promoted" else WHOLE


def is_early(state: State) -> bool:
    """Whether the step is a small one, with few requests to judge by."""
    return state.phase == "canary" and state.weight < state.policy.gates.early_below * WHOLE / 100


def errors_limit(state: State) -> float:
    """The difference of failure shares that may go on: the risk budget over the traffic to come.

    A defect is found after a number of the candidate's requests, whatever its weight, so the same
    budget of failed requests allows more at a smaller weight.
    """
    errors = state.policy.gates.errors
    return max(errors.limit, min(errors.ceiling, errors.budget * WHOLE / next_weight(state)))


def latency_quantile(state: State) -> float:
    """The quantile that is compared."""
    latency = state.policy.gates.latency
    return latency.early_quantile if is_early(state) else latency.quantile


def group_mean_limit(state: State) -> float:
    """The difference of means between two groups that may go on."""
    mean = state.policy.gates.mean
    return mean.early if is_early(state) else mean.limit
