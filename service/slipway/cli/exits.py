"""One table from errors to exit codes, so that scripts and orchestrators can decide.

0 ok · 1 failed · 2 usage · 3 not found · 4 timeout · 5 rollout aborted · 75 try again.
"""

from __future__ import annotations

from slipway import errors

FAILED = 1

_CODES: dict[type[errors.SlipwayError], int] = {
    errors.InvalidConfig: 2,
    errors.Unresolvable: 3,
    errors.InputDataMissing: 3,
    errors.NotInstalled: 3,
    errors.TimedOut: 4,
    errors.RolloutAborted: 5,
    errors.Conflict: 75,
    errors.Unavailable: 75,
    errors.AccessDenied: 1,
}


def exit_code(error: errors.SlipwayError) -> int:
    """The exit code of a process that ends by this error."""
    for kind in type(error).__mro__:
        if kind in _CODES:
            return _CODES[kind]
    return FAILED
