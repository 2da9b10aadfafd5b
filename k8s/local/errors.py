"""The one error of the setup: what went wrong, and what to do about it.

It stands outside `slipway.errors`, because the setup runs before Slipway can be imported.
"""

from __future__ import annotations


class SetupFailed(Exception):
    """A step of the setup did not work; `advice` says what to do, where something can be done."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
