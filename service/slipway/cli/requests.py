"""`slipway promote`, `pause`, `resume`, `abort`, `retry`, `rollback`: asked of the controller.

Each writes one request into the control document and prints what the controller says to it: done,
or refused with its reason.
"""

from __future__ import annotations

import getpass
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import typer

from slipway.cli.cluster_options import (
    Context,
    Kubeconfig,
    Local,
    Name,
    Namespace,
    Timeout,
    Wait,
    find_installation,
)
from slipway.cli.status import look, wait_and_tell
from slipway.cluster.protocol import Installation
from slipway.logs import configure_cli
from slipway.rollout.remote import (
    Waiting,
    read_snapshot,
    wait_for_answer,
    wait_for_release,
    write_request,
)
from slipway.rollout.snapshot import Request, Snapshot, Verb
from slipway.rollout.state import State
from slipway.rollout.way_back import way_back

# Seconds within which a controller that runs has looked at the control document.
ANSWER_SECONDS = 30.0
# Seconds between two looks at whether it has.
POLL = 0.3
# What is promised of a rollback, and said before it acts.
PROMISES = {
    "running": "it is running: all traffic is back within 5 s",
    "warm": "its processes are ready: all traffic is back within 5 s",
    "cold": "its processes have to be started: all traffic is back within 60 s",
}

Reason = Annotated[str, typer.Option("--reason", "-m", help="Why, for the history.")]


def promote(
    full: Annotated[bool, typer.Option("--full", help="To 100 % at once.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also where a gate does not know enough.")
    ] = False,
    reason: Reason = "",
    namespace: Namespace = None,
    name: Name = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    local: Local = None,
    wait: Wait = False,
    timeout: Timeout = 600.0,
) -> None:
    """Go on one step with the candidate.

    Never over a gate that says FAIL. With --wait until it has all traffic: the exit code is 4 if
    not in time, 5 if it is aborted.
    """
    configure_cli()
    cluster, _ = find_installation(namespace, name, context, kubeconfig, local)
    # What the gates let through was this step; for another one they have not been asked.
    state = _state(_seen(cluster))
    _ask(cluster, state, "promote", reason=reason, phase=state.phase, full=full, force=force)
    if wait:
        wait_and_tell(cluster, timeout)


def retry(
    reason: Reason = "",
    namespace: Namespace = None,
    name: Name = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    local: Local = None,
    wait: Wait = False,
    timeout: Timeout = 600.0,
) -> None:
    """Try the wanted model again, also where it was refused. --wait as with `set-model`."""
    configure_cli()
    cluster, _ = find_installation(namespace, name, context, kubeconfig, local)
    _ask(cluster, _state(_seen(cluster)), "retry", reason=reason)
    if wait:
        wait_and_tell(cluster, timeout)


def rollback(
    reason: Reason = "",
    namespace: Namespace = None,
    name: Name = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    local: Local = None,
    wait: Wait = False,
    timeout: Timeout = 120.0,
) -> None:
    """Give all traffic back to the version before, and refuse the one that is left.

    Says first how far that is. The refused one is tried again once it is wanted again (`set-model`)
    or by `retry`.
    """
    configure_cli()
    cluster, _ = find_installation(namespace, name, context, kubeconfig, local)
    seen = _seen(cluster)
    back = way_back(seen)
    if back:
        typer.echo(
            f"back to {back.release.version} ({back.release.reference}); {PROMISES[back.heat]}",
            err=True,
        )
    _ask(cluster, _state(seen), "rollback", reason=reason)
    if wait and back:
        wait_for_release(Waiting(lambda: look(cluster), timeout, poll=POLL), back.release.digest)
        typer.echo(f"{back.release.version} has all traffic", err=True)


def _plain(verb: Verb, told: str) -> Callable[..., None]:
    def run(
        reason: Reason = "",
        namespace: Namespace = None,
        name: Name = None,
        context: Context = None,
        kubeconfig: Kubeconfig = None,
        local: Local = None,
    ) -> None:
        configure_cli()
        cluster, _ = find_installation(namespace, name, context, kubeconfig, local)
        _ask(cluster, _state(_seen(cluster)), verb, reason=reason)

    run.__doc__ = told
    return run


pause = _plain("pause", "Hold the rollout where it is; a gate that says FAIL still ends it.")
resume = _plain("resume", "Let a paused rollout go on.")
abort = _plain("abort", "Take all traffic from the candidate, and refuse it.")


def _ask(
    cluster: Installation,
    state: State,
    verb: Verb,
    *,
    reason: str,
    phase: str = "",
    full: bool = False,
    force: bool = False,
) -> None:
    request = Request(
        id=uuid.uuid4().hex,
        verb=verb,
        phase=phase,
        digest=state.subject.release.digest if state.subject else "",
        actor=_actor(),
        reason=reason,
        full=full,
        force=force,
    )
    write_request(cluster, request)
    waiting = Waiting(lambda: look(cluster), ANSWER_SECONDS, poll=POLL)
    answered = wait_for_answer(waiting, request)
    typer.echo(answered.message or f"{verb}: done", err=True)


def _seen(cluster: Installation) -> Snapshot:
    return read_snapshot(cluster, datetime.now(UTC))


def _state(seen: Snapshot) -> State:
    return seen.stored if isinstance(seen.stored, State) else State()


def _actor() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
