"""A folder with processes on one machine as a Cluster.

Documents are files, one each, that are replaced as a whole. What a slot is to run is a file too;
`local_supervisor` reads it, starts and ends the processes, and writes what became of it beside it.
"""

from __future__ import annotations

import http.client
import json
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from slipway.cluster.lease import Record, Watcher
from slipway.cluster.local_files import (
    Asked,
    LocalFolder,
    Observed,
    read_as,
    read_file,
    replace_file,
)
from slipway.cluster.protocol import (
    Document,
    DocumentName,
    Event,
    Filling,
    Part,
    SlotName,
    Workload,
)
from slipway.errors import Conflict, SlipwayError, Unavailable

# Seconds for the controller's answer: it must not hold up what people see without it.
SOON = 2.0
# Bytes of told events after which the older half is forgotten.
MAX_EVENTS = 1 << 20


class _Stored(msgspec.Struct):
    """A document's file. `written` makes each writing another one."""

    data: dict[str, str] = {}
    annotations: dict[str, str] = {}
    written: str = ""


class _StoredLease(msgspec.Struct):
    holder: str = ""
    seconds: float = 0.0
    transitions: int = 0
    renewed: str = ""


class LocalCluster:
    """The Cluster in `folder`, which `slipway local up` has made."""

    def __init__(self, folder: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._files = LocalFolder(folder)
        self._monotonic = monotonic
        self._lease = Watcher()

    def read(self, name: DocumentName) -> Document | None:
        """The document; one that a person made unreadable is there, and empty."""
        content = read_file(self._files.document(name))
        return None if content is None else _document(name, content)

    def write(self, document: Document) -> Document:
        """Replace the file, if it still is what the version says."""
        path = self._files.document(document.name)
        with self._files.locked():
            known = self.read(document.name)
            if document.version != (known.version if known else ""):
                raise Conflict(f"{path} was changed by somebody else meanwhile")
            if known and _same(known, document):
                return known
            stored = _Stored(dict(document.data), dict(document.annotations), uuid.uuid4().hex)
            return _document(document.name, replace_file(path, stored))

    def fill(self, slot: SlotName, filling: Filling | None, replicas: int | None) -> None:
        """The slot's document first, then what it is to run."""
        if filling is not None:
            known = self.read(slot) or Document(slot)
            self.write(Document(slot, filling.data, known.annotations, known.version))
        with self._files.locked():
            asked = read_as(Asked, self._files.asked(slot))
            if asked is None:
                raise Unavailable(
                    f"there is no slot {slot} in {self._files.root}; `slipway local up` makes it"
                )
            digest = asked.digest if filling is None else filling.digest
            size = asked.replicas if replicas is None else replicas
            if (digest, size) != (asked.digest, asked.replicas):
                wanted = Asked(size, digest, asked.generation + 1)
                replace_file(self._files.asked(slot), wanted)

    def workload(self, part: Part) -> Workload | None:
        """What is asked for, with the processes as the supervisor saw them last."""
        asked = read_as(Asked, self._files.asked(part))
        if asked is None:
            return None
        seen = read_as(Observed, self._files.observed(part)) or Observed()
        current = [pod for pod in seen.pods if pod.digest == asked.digest]
        settled = (
            seen.generation == asked.generation
            and len(seen.pods) == len(current)
            and len(current) == asked.replicas
        )
        return Workload(asked.replicas, asked.digest, settled, pods=seen.pods)

    def hold_lease(self, holder: str, seconds: float) -> bool:
        """Take, renew or (no seconds) give back the lease; whoever is second gets False."""
        path = self._files.lease
        with self._files.locked():
            content = read_file(path)
            wanted = self._lease.wanted(_record(content), holder, seconds, self._monotonic())
            if wanted is None:
                return False
            replace_file(
                path,
                _StoredLease(wanted.holder, wanted.seconds, wanted.transitions, uuid.uuid4().hex),
            )
        return bool(wanted.holder)

    def record(self, event: Event) -> None:
        """A line in `events.jsonl`."""
        line = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "type": "Warning" if event.warning else "Normal",
            "reason": event.reason,
            "message": event.message,
        }
        try:
            with self._files.locked():
                _forget_old(self._files.events)
                with self._files.events.open("ab") as file:
                    file.write(msgspec.json.encode(line) + b"\n")
        except (SlipwayError, OSError):
            return

    def live_status(self) -> dict[str, Any] | None:
        """What the controller itself says at this moment; None where it cannot be reached."""
        try:
            seen = read_as(Observed, self._files.observed("controller"))
            if not seen or not seen.pods:
                return None
            connection = http.client.HTTPConnection(seen.pods[0].admin, timeout=SOON)
            connection.request("GET", "/status")
            found: dict[str, Any] = json.loads(connection.getresponse().read())
            connection.close()
        except (SlipwayError, OSError, http.client.HTTPException, ValueError):
            return None
        return found


def install(folder: LocalFolder) -> None:
    """What the chart makes: two slots of no size, and a router; what is there stays."""
    with folder.locked():
        for part, size in (("blue", 0), ("green", 0), ("router", 1)):
            path = folder.asked(part)  # type: ignore[arg-type]
            if read_as(Asked, path) is None:
                replace_file(path, Asked(size))


def _document(name: DocumentName, content: bytes) -> Document:
    # By its bytes, so what a person wrote with an editor is another version too.
    version = blake2b(content, digest_size=16).hexdigest()
    try:
        stored = msgspec.json.decode(content, type=_Stored)
    except (msgspec.DecodeError, UnicodeDecodeError):
        stored = _Stored()
    return Document(name, stored.data, stored.annotations, version)


def _same(known: Document, document: Document) -> bool:
    return (dict(known.data), dict(known.annotations)) == (
        dict(document.data),
        dict(document.annotations),
    )


def _record(content: bytes | None) -> Record:
    try:
        stored = msgspec.json.decode(content or b"{}", type=_StoredLease)
    except (msgspec.DecodeError, UnicodeDecodeError):
        stored = _StoredLease()
    return Record(stored.holder, stored.seconds, stored.transitions, stored.renewed)


def _forget_old(events: Path) -> None:
    if events.exists() and events.stat().st_size > MAX_EVENTS:
        lines = events.read_bytes().splitlines(keepends=True)
        events.write_bytes(b"".join(lines[len(lines) // 2 :]))
