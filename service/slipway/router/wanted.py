"""What the router should have loaded, given what it has and what was seen. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from slipway.cluster.protocol import Pod, SlotName
from slipway.errors import InvalidConfig
from slipway.router.route_conf import usable_address
from slipway.router.table import Table, parse_table

NO_TABLE = Table(epoch=0)


@dataclass(frozen=True)
class Wanted:
    """A table with its slots' pods as host:port; `known` if a document said so, not nobody.

    `refused` says why a newer document is not followed.
    """

    table: Table = NO_TABLE
    pods: Mapping[SlotName, tuple[str, ...]] = field(default_factory=dict)
    known: bool = False
    refused: str = ""


EMPTY = Wanted()


def wanted(current: Wanted, routing: str | None, pods: Mapping[SlotName, Iterable[Pod]]) -> Wanted:
    """The table of the document, unless that is older than the current one or cannot be read.

    A document that is gone changes nothing: the controller makes it anew. Its pods are those that
    are ready and run what the table says; where a slot has none, those whose node is silent: they
    most likely serve, and nothing else would.
    """
    table, refused = current.table, ""
    if routing is not None:
        try:
            found = parse_table(routing)
            if found.epoch < table.epoch:
                refused = f"epoch {found.epoch} is older than {table.epoch}, which is loaded"
            else:
                table = found
        except InvalidConfig as error:
            refused = error.message
    known = current.known or (routing is not None and not refused)
    return Wanted(table, _serving(table, pods), known, refused)


def is_answering(wanted: Wanted) -> bool:
    """Whether a router with this loaded does what the user asked for: serves, or has no model."""
    named_only = wanted.table.waiting and wanted.table.slot_of("stable") is None
    return wanted.known and not named_only


def _serving(
    table: Table, pods: Mapping[SlotName, Iterable[Pod]]
) -> dict[SlotName, tuple[str, ...]]:
    found: dict[SlotName, tuple[str, ...]] = {}
    for slot, entry in table.slots.items():
        fitting = [
            pod
            for pod in pods.get(slot, ())
            if pod.digest == entry.digest and usable_address(pod.address)
        ]
        ready = [pod for pod in fitting if pod.ready] or [pod for pod in fitting if pod.unheard]
        found[slot] = tuple(sorted(pod.address for pod in ready))
    return found
