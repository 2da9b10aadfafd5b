"""The one place where tests wait: until something holds, or a deadline has passed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(look: Callable[[], Found | None], seconds: float = 20.0, what: str = "") -> Found:
    """What `look` returns as soon as that is true; fails when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        # The last look comes after the end: a machine may have stood still since the one before.
        over = time.monotonic() >= deadline
        found = look()
        if found:
            return found
        assert not over, f"waited {seconds} s in vain: {what}"
        time.sleep(0.02)
