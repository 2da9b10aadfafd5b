"""`slipway explain`: why the rollout is where it is, and what a person can do about it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Unpack

import click

from slipway.cli.cluster_options import Where, find_installation, installation_options
from slipway.cli.history import figures
from slipway.cli.status import look
from slipway.cli.watch import measured
from slipway.logs import configure_cli
from slipway.rollout.remote import read_snapshot
from slipway.rollout.status import ReleaseStatus, Status
from slipway.rollout.way_back import WayBack, way_back

# What each phase does, for somebody who sees it for the first time.
PHASES = {
    "idle": "Nothing is rolling out.",
    "resolving": "The wanted reference is looked up, and its objects are hashed.",
    "preparing": "The candidate's processes start and test themselves; no traffic reaches it.",
    "shadow": "The candidate gets a copy of the requests; all answers come from stable.",
    "canary": "The candidate answers a share of the requests and is compared with stable.",
    "promoted": "The new version has all traffic, and is still compared with the one before.",
    "aborted": "The rollout was ended, and stable has all traffic.",
}


@click.command()
@installation_options
def explain(**where: Unpack[Where]) -> None:
    """Say in whole sentences why the rollout is where it is, and what can be done."""
    configure_cli()
    cluster, _ = find_installation(**where)
    back = way_back(read_snapshot(cluster, datetime.now(UTC)))
    for line in explained(look(cluster), back):
        click.echo(line)


def explained(found: Status, back: WayBack | None) -> Iterator[str]:
    """The lines; figures where the controller could be asked."""
    yield f"The phase is {found.phase}. {PHASES[found.phase]}"
    yield from _who(found)
    if found.desired.problem:
        yield f"What is wanted cannot be used: {found.desired.problem}"
    elif found.desired.reference and not found.desired.taken_up:
        yield f"{found.desired.reference} is wanted, and not taken up yet."
    if found.condition:
        yield f"{found.condition.reason}: {found.condition.message}."
    if found.why and not (found.condition and found.why == found.condition.message):
        yield f"It waits: {found.why}."
    yield from _trouble(found)
    if found.window:
        yield f"Measured: {measured(found.window)}."
    for gate in found.gates:
        shown = "" if gate.decides else " (shown only)"
        yield f"  {figures(gate)}{shown}: {gate.sentence}"
    yield "What can be done:"
    yield from (f"  {line}" for line in _choices(found, back))


def _who(found: Status) -> Iterator[str]:
    share = found.weight / 100
    if found.stable:
        yield f"Stable is {_named(found.stable)}, with {100 - share:g} % of the traffic."
    else:
        yield "No version serves."
    if found.spare and found.spare.role == "candidate":
        yield f"The candidate is {_named(found.spare)}, with {share:g} %."
    elif found.spare:
        yield f"Beside it there is the {found.spare.role} version {_named(found.spare)}."


def _trouble(found: Status) -> Iterator[str]:
    for name, slot in found.slots.items():
        if slot.ready < slot.replicas:
            why = f": {slot.why}" if slot.why else ""
            yield f"Of slot {name} {slot.ready} of {slot.replicas} processes are ready{why}."
    for router in found.routers:
        if router.rejected:
            yield f"{router.name} refuses the routing table: {router.rejected}"
        elif router.loaded_epoch != found.epoch:
            yield f"{router.name} has not loaded table {found.epoch} yet."


def _choices(found: Status, back: WayBack | None) -> Iterator[str]:
    rolling = found.spare is not None and found.spare.role == "candidate"
    if found.phase in ("shadow", "canary", "promoted"):
        yield "slipway promote      go on one step; --force where a gate does not know enough"
    if rolling:
        yield "slipway abort        take all traffic from the candidate, and refuse it"
        yield f"slipway {'resume' if found.paused else 'pause'}"
    elif back:
        yield f"slipway rollback     back to {back.release.version}, which is {back.heat}"
    if found.phase in ("idle", "aborted") and found.desired.reference:
        yield "slipway retry        try the wanted version again"
    yield "slipway set-model    name another version"


def _named(release: ReleaseStatus) -> str:
    where = f" in slot {release.slot}" if release.slot else ""
    return f"{release.version} ({release.reference}){where}"
