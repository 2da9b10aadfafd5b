"""Exit codes: one table, every error in it."""

from __future__ import annotations

import pytest

from slipway import errors
from slipway.cli.exits import exit_code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidConfig("x"), 2),
        (errors.Unresolvable("x"), 3),
        (errors.ArtifactMissing("x"), 3),
        (errors.InputDataMissing("x"), 3),
        (errors.InputDataInvalid("x"), 1),
        (errors.DigestMismatch("x"), 1),
        (errors.VersionMismatch("x"), 1),
        (errors.NotInstalled("x"), 3),
        (errors.TimedOut("x"), 4),
        (errors.RolloutAborted("x"), 5),
        (errors.RequestRefused("x"), 1),
        (errors.Conflict("x"), 75),
        (errors.Unavailable("x"), 75),
        (errors.AccessDenied("x"), 1),
    ],
)
def test_an_error_ends_the_process_with_its_code(error: errors.SlipwayError, code: int) -> None:
    assert exit_code(error) == code
