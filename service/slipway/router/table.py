"""The routing table as it stands in `routing.json`: which slot gets which share. Pure.

The controller writes it, the agent reads it. A document is taken whole or not at all: whatever
does not add up is refused with a sentence, and the router keeps what it has.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec

from slipway.cluster.protocol import SLOTS, SlotName
from slipway.errors import InvalidConfig

SCHEMA = 1
WHOLE = 10_000

Role = Literal["stable", "candidate", "warm"]
Share = Annotated[int, msgspec.Meta(ge=0, le=WHOLE)]
# The router answers within a minute whatever the table says: `front`, which is never reloaded,
# waits a little longer than that for `route`.
Seconds = Annotated[float, msgspec.Meta(ge=0.1, le=60)]
Digest = Annotated[str, msgspec.Meta(pattern="^sha256:[0-9a-f]{64}$")]


class SlotEntry(msgspec.Struct, frozen=True):
    """What a slot plays, the digest that its pods must run, its share of 10,000."""

    role: Role
    digest: Digest
    weight: Share = 0

    @property
    def release(self) -> str:
        """The digest's first 12 hex digits: the label `release` of metrics."""
        return self.digest.removeprefix("sha256:")[:12]


class Shadow(msgspec.Struct, frozen=True):
    """The slot that gets copies, and of how many requests of 10,000."""

    slot: SlotName
    share: Share = WHOLE


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds until stable is asked in the candidate's place, and until the router gives up."""

    candidate: Seconds = 2.0
    total: Seconds = 30.0


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """The document; CONTRACT.md says what each member means."""

    schema: int = SCHEMA
    epoch: Annotated[int, msgspec.Meta(ge=0)]
    waiting: bool = False
    slots: dict[SlotName, SlotEntry] = {}
    shadow: Shadow | None = None
    sample: Share = WHOLE
    timeouts: Timeouts = Timeouts()
    force_role: bool = False

    def slot_of(self, role: Role) -> SlotName | None:
        """The slot that plays a role, None if none does."""
        players = (slot for slot in SLOTS if slot in self.slots and self.slots[slot].role == role)
        return next(players, None)

    def to_json(self) -> bytes:
        """The document, its members always in the same order."""
        return msgspec.json.encode(self)

    @property
    def checksum(self) -> str:
        """sha256 of the document as `to_json` writes it: what a router reports as loaded."""
        return "sha256:" + hashlib.sha256(self.to_json()).hexdigest()


def parse_table(document: bytes | str) -> Table:
    """Read `routing.json`; raises InvalidConfig with what is wrong. Unknown members are ignored.

    A document of a newer schema is refused: what it says may mean something else.
    """
    try:
        schema = msgspec.json.decode(document, type=_Versioned).schema
        if schema > SCHEMA:
            raise InvalidConfig(
                f"routing.json has schema {schema}, this Slipway knows {SCHEMA}; update it"
            )
        return checked(msgspec.json.decode(document, type=Table))
    except (msgspec.DecodeError, UnicodeError) as error:
        raise InvalidConfig(f"routing.json cannot be read: {error}") from error


def table_of(
    epoch: int,
    stable: tuple[SlotName, str] | None = None,
    candidate: tuple[SlotName, str] | None = None,
    warm: tuple[SlotName, str] | None = None,
    *,
    weight: int = 0,
    shadow: int = 0,
) -> Table:
    """A table from who plays what, each as (slot, digest).

    `weight` is the candidate's share, stable gets the rest. `shadow` is the share of the requests
    that is copied to the candidate, or, where there is none, to the warm slot. Raises
    InvalidConfig if that makes no table. For the other members use `msgspec.structs.replace`.
    """
    slots: dict[SlotName, SlotEntry] = {}
    if stable:
        slots[stable[0]] = SlotEntry("stable", stable[1], WHOLE - weight)
    for role, occupant in (("candidate", candidate), ("warm", warm)):
        if occupant and occupant[0] in slots:
            raise InvalidConfig(f"slot {occupant[0]} cannot play two roles")
        if occupant:
            share = weight if role == "candidate" else 0
            slots[occupant[0]] = SlotEntry(role, occupant[1], share)  # type: ignore[arg-type]
    copied = candidate or warm
    mirror = Shadow(copied[0], shadow) if shadow and copied else None
    return checked(Table(epoch=epoch, slots=slots, shadow=mirror))


def checked(table: Table) -> Table:
    """The table, if its members fit together; raises InvalidConfig that says which do not."""
    for fault in (_roles(table), _weights(table), _shadow(table)):
        if fault:
            raise InvalidConfig(f"routing.json: {fault}")
    if table.timeouts.candidate > table.timeouts.total:
        raise InvalidConfig("routing.json: timeouts.candidate is longer than timeouts.total")
    return table


def is_failure(code: str) -> bool:
    """Whether a status code is one that a release is blamed for: 422, and all of 500 and more."""
    return code == "422" or code >= "500"


class _Versioned(msgspec.Struct):
    schema: int = SCHEMA


def _roles(table: Table) -> str:
    roles = [entry.role for entry in table.slots.values()]
    return "two slots play the same role" if len(set(roles)) < len(roles) else ""


def _weights(table: Table) -> str:
    total = sum(entry.weight for entry in table.slots.values())
    stable = table.slot_of("stable")
    if stable is None:
        return "there is weight and no stable slot" if total else ""
    if any(entry.role == "warm" and entry.weight for entry in table.slots.values()):
        return "a warm slot has weight"
    return "" if total == WHOLE else f"the weights add up to {total}, not to {WHOLE}"


def _shadow(table: Table) -> str:
    if table.shadow is None:
        return ""
    entry = table.slots.get(table.shadow.slot)
    if entry is None or entry.role == "stable" or table.slot_of("stable") is None:
        return "shadow.slot must be a slot beside the stable one"
    return ""
