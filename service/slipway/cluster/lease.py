"""Who leads, by a lease that expires. Pure: the clock is given.

Whether a lease has expired is judged by the time since *this* process last saw it change, on a
clock that only goes forward: clocks of two machines are never compared (Kubernetes' own election
does it the same way).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Record:
    """A lease as stored. `version` changes with every renewal; no holder means free."""

    holder: str = ""
    seconds: float = 0.0
    transitions: int = 0
    version: str = ""


class Watcher:
    """Remembers when a lease was last seen to change; times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._version: str | None = None
        self._since = 0.0

    def wanted(self, record: Record, holder: str, seconds: float, now: float) -> Record | None:
        """What to write in order to hold the lease, None while somebody else holds it.

        No seconds: what to write in order to give it back, None where it is not held.
        """
        if record.version != self._version:
            self._version, self._since = record.version, now
        if seconds <= 0:
            given_back = Record("", 0.0, record.transitions, record.version)
            return given_back if record.holder == holder else None
        if record.holder == holder:
            return Record(holder, seconds, record.transitions, record.version)
        expired = now - self._since > record.seconds
        if record.holder and not expired:
            return None
        return Record(holder, seconds, record.transitions + 1, record.version)
