"""The local cluster: `python3 -m k8s.cluster up | down | load IMAGE… | env`.

    up      from whatever the machine has to a cluster that answers; safe to repeat
    down    remove it, and the Docker engine if `up` started it; safe to repeat
    load    bring images from the Docker engine into the cluster's node
    env     print `export …` lines for a shell: eval "$(python3 -m k8s.cluster env)"

`up` reads REGISTRY (auto or none) and SLIPWAY_CACHE (~/.cache/slipway). It needs Python 3.11 and
nothing else that is not on a fresh machine; what it lacks it installs, or says how to.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Sequence

from k8s.local.bring_up import Platform, bring_up, platform_that_is_up, setup, take_down
from k8s.local.context import Context
from k8s.local.errors import SetupFailed

INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Run one verb; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="python3 -m k8s.cluster",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", choices=["up", "down", "load", "env"])
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="of load")
    options = parser.parse_args(arguments)
    if bool(options.images) != (options.verb == "load"):
        parser.error("load takes the names of images, the other verbs none")
    # Ended by another program is the same as interrupted: leave nothing half-made.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(options.verb, options.images)
    except SetupFailed as error:
        print(f"\n{error.message}", file=sys.stderr)
        if error.advice:
            print(error.advice, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def run(verb: str, images: Sequence[str]) -> int:
    """One verb, its progress on standard output (`env`: only what a shell reads)."""
    out = sys.stderr if verb == "env" else sys.stdout
    with setup(os.environ, out, f"{verb}.log") as ctx:
        if verb == "up":
            show_up(ctx)
        elif verb == "down":
            take_down(ctx)
        elif verb == "env":
            for line in exports(needed(ctx).environment()):
                print(line)
        else:
            with ctx.progress.stage("Images into the node") as stage:
                loaded = needed(ctx).load(images)
                stage.outcome = f"{len(loaded)} of {len(images)} were not there"
    return 0


def show_up(ctx: Context) -> None:
    """`up`, with a word at the beginning and the end."""
    progress = ctx.progress
    progress.say(f"A cluster on this machine; details in {progress.log}")
    platform = bring_up(ctx, os.environ.get("REGISTRY") or "auto")
    progress.say(f"Ready after {progress.total()}: KUBECONFIG={platform.ctx.kubeconfig}")


def needed(ctx: Context) -> Platform:
    """The platform, or a sentence that it must be brought up first."""
    platform = platform_that_is_up(ctx)
    if platform is None:
        raise SetupFailed("no cluster of this checkout is there", "Bring it up first: make up")
    return platform


def exports(variables: dict[str, str]) -> list[str]:
    """Lines for a shell; the programs go first on its PATH."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return [*lines, f'export PATH={shlex.quote(variables["SLIPWAY_BIN"])}:"$PATH"']


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
