"""`slipway`: runs the verb, turns errors into a sentence and an exit code."""

from __future__ import annotations

import sys

from slipway.errors import SlipwayError


def main() -> None:
    """The entry point: data on stdout, talk and errors on stderr."""
    try:
        if sys.argv[1:] == ["serve"]:
            # What a pod's container runs. There are no options to read, and whatever is imported
            # here the pod's first answer waits for, though gunicorn takes nothing of it over.
            from slipway.cli.become_gunicorn import become_gunicorn

            become_gunicorn()
        from slipway.cli.verbs import app

        app()
    except SlipwayError as error:
        from slipway.cli.exits import exit_code

        sys.stderr.write(f"slipway: {error.reason}: {error.message}\n")
        sys.exit(exit_code(error))
