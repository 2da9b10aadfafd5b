"""Compares what two releases take as input, before any traffic. Pure."""

from __future__ import annotations

from slipway.models.release import Release


def input_changes(stable: Release, candidate: Release) -> str:
    """What would break stable's clients, as a sentence; empty if nothing would.

    A client sends what stable takes: an input that is new and required, gone (its clients still
    send it, and unknown fields are refused), of another type, or no longer optional breaks it.
    """
    if stable.use_case != candidate.use_case:
        return f"the use case changed from {stable.use_case} to {candidate.use_case}"
    before = {field.name: field for field in stable.inputs}
    after = {field.name: field for field in candidate.inputs}
    told = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old is None and new is not None and new.required:
            told.append(f"{name} is new and required")
        elif new is None:
            told.append(f"{name} is gone")
        elif old is not None and old.type != new.type:
            told.append(f"{name} changed from {old.type} to {new.type}")
        elif old is not None and new.required and not old.required:
            told.append(f"{name} is now required")
    more = f" and {len(told) - 5} more" if len(told) > 5 else ""
    return "; ".join(told[:5]) + more
