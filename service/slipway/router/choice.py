"""Which way a request goes in `route`, and what the access log says of that. Pure.

    /-stable      live, answered by stable        /-mirrored   the same, and copied to the shadow
    /-candidate   live, and stable answers if it fails
    /-forced-...  as the client asked for, without copy and without stable in its place
    /-nothing     there is no stable slot

What is counted is read off the log by access_log.py, so the two must agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slipway.cluster.protocol import SlotName
from slipway.router.nginx_conf import indented, map_of
from slipway.router.table import WHOLE, Role, Table

Pods = Mapping[SlotName, Sequence[str]]
_PAIR, _ID = "$http_x_slipway_pair", "$http_x_request_id"


@dataclass(frozen=True)
class Target:
    """A way for a client's request: from the location `place` to a slot, as what, for how long."""

    place: str
    slot: SlotName
    role: Role
    source: str
    seconds: float


def targets(table: Table) -> list[Target]:
    """All ways that there are; none without a stable slot."""
    stable, candidate = table.slot_of("stable"), table.slot_of("candidate")
    if stable is None:
        return []
    total, short = table.timeouts.total, table.timeouts.candidate
    found = [Target("/-stable", stable, "stable", "live", total)]
    if table.shadow:
        found.append(Target("/-mirrored", stable, "stable", "live", total))
    if candidate:
        found.append(Target("/-candidate", candidate, "candidate", "live", short))
    if table.force_role:
        found.append(Target("/-forced-stable", stable, "stable", "forced", total))
    if table.force_role and candidate:
        found.append(Target("/-forced-candidate", candidate, "candidate", "forced", total))
    return found


def choice(table: Table, pods: Pods) -> str:
    """The variables from a request to `$slipway_target`, and from that to `$slipway_who`."""
    stable, candidate = table.slot_of("stable"), table.slot_of("candidate")
    weight = table.slots[candidate].weight if candidate else 0
    copied = table.shadow.share if table.shadow and pods.get(table.shadow.slot) else 0
    key, pair = "$http_x_slipway_key", "$http_x_slipway_pair"
    live = {"POST:stable:copied": "/-mirrored", "~:candidate:": "/-candidate"} if stable else {}
    asked = {"stable": "/-forced-stable", "candidate": "/-forced-candidate"}
    return (
        map_of(key, "$slipway_sticky", {"": pair}, key)
        + _split("$slipway_sticky", "$slipway_split", weight, "candidate", "stable")
        + _split(f"shadow{pair}", "$slipway_copied", copied, "copied", "only")
        + map_of(
            "$request_method:$slipway_split:$slipway_copied",
            "$slipway_live",
            live,
            "/-stable" if stable else "/-nothing",
        )
        + map_of(
            "$http_x_slipway_role",
            "$slipway_target",
            asked if stable and table.force_role else {},
            "$slipway_live",
        )
        + map_of("$slipway_target", "$slipway_who", _who(table), "none|none|live|none|none")
    )


def log_formats(table: Table) -> str:
    """The formats `route`, for clients' requests, and `shadow`, for the copies.

    A copy shares the variables of the request that it was made of, so its line has none of ours.
    Both have the pair id, so that the two answers to one request can be counted together.
    A HEAD has a length and no body, so its length says nothing.
    """
    attempts = "$status|$upstream_status|$upstream_header_time|$upstream_response_time"
    rest = "$upstream_response_length"
    shadow = ""
    if table.shadow:
        release = table.slots[table.shadow.slot].release
        who = f"{table.shadow.slot}|{release}|shadow|none|none"
        copy = f"{who}|$limit_conn_status|{attempts}|-|{rest}|{_PAIR}|{_ID}"
        shadow = f"    log_format shadow '{copy}';\n"
    length = map_of(
        "$request_method", "$slipway_length", {"HEAD": "-"}, "$upstream_http_content_length"
    )
    copied = map_of("$slipway_target", "$slipway_copy", {"/-mirrored": _PAIR}, "-")
    who = f"$slipway_who|-|{attempts}|$slipway_length|{rest}|$slipway_copy|{_ID}"
    return f"{length}{copied}    log_format route '{who}';\n{shadow}"


def _who(table: Table) -> dict[str, str]:
    """Target -> slot, release and source, and slot and release of who answers in its place."""
    who = {}
    for target in targets(table):
        fallback = "none|none"
        if target.place == "/-candidate" and (stable := table.slot_of("stable")):
            fallback = f"{stable}|{table.slots[stable].release}"
        release = table.slots[target.slot].release
        who[target.place] = f"{target.slot}|{release}|{target.source}|{fallback}"
    return who


def _split(source: str, target: str, share: int, chosen: str, other: str) -> str:
    """`share` of 10,000 get `chosen`. It comes first, so a key that has it keeps it as it grows."""
    # nginx takes neither 0 % nor a rest that nobody gets.
    parts = [f"{share / 100:.2f}% {chosen};"] if 0 < share < WHOLE else []
    rest = chosen if share == WHOLE else other
    lines = indented([*parts, f"* {rest};"], 8)
    return f'    split_clients "{source}" {target} {{\n{lines}    }}\n'
