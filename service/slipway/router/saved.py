"""The last loaded table and its pods on disk, so that a restart needs no API server."""

from __future__ import annotations

from pathlib import Path

import msgspec

from slipway.cluster.protocol import SlotName
from slipway.errors import InvalidConfig
from slipway.router.table import Table, parse_table
from slipway.router.wanted import Wanted


class _Saved(msgspec.Struct):
    table: msgspec.Raw
    pods: dict[SlotName, tuple[str, ...]]


def save(path: Path, loaded: Wanted) -> None:
    """Write it down, whole or not at all; a full disk costs the next cold start, nothing now."""
    document = _Saved(msgspec.Raw(loaded.table.to_json()), dict(loaded.pods))
    new = path.with_suffix(".new")
    try:
        new.write_bytes(msgspec.json.encode(document))
        new.replace(path)
    except OSError:
        return


def restore(path: Path) -> Wanted | None:
    """What was saved, None if that is nothing that can be read."""
    try:
        saved = msgspec.json.decode(path.read_bytes(), type=_Saved)
        table: Table = parse_table(bytes(saved.table))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, InvalidConfig):
        return None
    return Wanted(table, saved.pods, known=True)
