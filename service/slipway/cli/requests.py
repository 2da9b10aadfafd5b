"""`slipway promote`, `pause`, `resume`, `abort`, `retry`, `rollback`: asked of the controller.

Each writes one request into the control document and prints what the controller says to it: done,
or refused with its reason.
"""

from __future__ import annotations

import getpass
import uuid
from datetime import UTC, datetime
from typing import Unpack

import click

from slipway.cli.cluster_options import (
    Where,
    find_installation,
    installation_options,
    waiting_options,
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

reason_option = click.option(
    "--reason", "-m", default="", show_default=False, help="Why, for the history."
)


@click.command()
@click.option("--full", is_flag=True, help="To 100 % at once.")
@click.option("--force", is_flag=True, help="Also where a gate does not know enough.")
@reason_option
@installation_options
@waiting_options()
def promote(
    full: bool, force: bool, reason: str, wait: bool, timeout: float, **where: Unpack[Where]
) -> None:
    """Go on one step with the candidate.

    Never over a gate that says FAIL. With --wait until it has all traffic: the exit code is 4 if
    not in time, 5 if it is aborted.
    """
    configure_cli()
    cluster, _ = find_installation(**where)
    # What the gates let through was this step; for another one they have not been asked.
    state = _state(_seen(cluster))
    _ask(cluster, state, "promote", reason=reason, phase=state.phase, full=full, force=force)
    if wait:
        wait_and_tell(cluster, timeout)


@click.command()
@reason_option
@installation_options
@waiting_options()
def retry(reason: str, wait: bool, timeout: float, **where: Unpack[Where]) -> None:
    """Try the wanted model again, also where it was refused. --wait as with `set-model`."""
    configure_cli()
    cluster, _ = find_installation(**where)
    _ask(cluster, _state(_seen(cluster)), "retry", reason=reason)
    if wait:
        wait_and_tell(cluster, timeout)


@click.command()
@reason_option
@installation_options
@waiting_options(120.0)
def rollback(reason: str, wait: bool, timeout: float, **where: Unpack[Where]) -> None:
    """Give all traffic back to the version before, and refuse the one that is left.

    Says first how far that is. The refused one is tried again once it is wanted again (`set-model`)
    or by `retry`.
    """
    configure_cli()
    cluster, _ = find_installation(**where)
    seen = _seen(cluster)
    back = way_back(seen)
    if back:
        click.echo(
            f"back to {back.release.version} ({back.release.reference}); {PROMISES[back.heat]}",
            err=True,
        )
    _ask(cluster, _state(seen), "rollback", reason=reason)
    if wait and back:
        wait_for_release(Waiting(lambda: look(cluster), timeout, poll=POLL), back.release.digest)
        click.echo(f"{back.release.version} has all traffic", err=True)


def _plain(verb: Verb, told: str) -> click.Command:
    @click.command(verb, help=told)
    @reason_option
    @installation_options
    def run(reason: str, **where: Unpack[Where]) -> None:
        configure_cli()
        cluster, _ = find_installation(**where)
        _ask(cluster, _state(_seen(cluster)), verb, reason=reason)

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
    click.echo(answered.message or f"{verb}: done", err=True)


def _seen(cluster: Installation) -> Snapshot:
    return read_snapshot(cluster, datetime.now(UTC))


def _state(seen: Snapshot) -> State:
    return seen.stored if isinstance(seen.stored, State) else State()


def _actor() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
