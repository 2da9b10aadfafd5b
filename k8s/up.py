"""`make up`: from whatever the machine has to a platform that predicts. Safe to repeat.

Cluster, images, dependencies, two trained versions, the chart; then a prediction on both ways in.
Needs the project's environment (`make env`), because it trains; reads what `k8s.cluster` reads.
"""

from __future__ import annotations

import os
import signal
import sys

from k8s.cluster import INTERRUPTED
from k8s.local.bring_up import bring_up, setup
from k8s.local.context import Context
from k8s.local.dependencies import Kubectl, ensure_dependencies
from k8s.local.errors import SetupFailed
from k8s.local.example import ensure_example
from k8s.local.images import MLFLOW, MOTO, ensure_images, product
from k8s.local.release import ensure_release, next_commands, show_prediction


def main() -> int:
    """Run it; gives the exit code."""
    # Ended by another program is the same as interrupted: leave nothing half-made.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with setup(os.environ, sys.stdout, "up.log") as ctx:
            up(ctx)
    except SetupFailed as error:
        print(f"\n{error.message}", file=sys.stderr)
        if error.advice:
            print(error.advice, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def up(ctx: Context) -> None:
    """All stages, in order; raises SetupFailed at the first that does not work."""
    progress = ctx.progress
    progress.say(f"Slipway on a cluster of this machine; details in {progress.log}")
    platform = bring_up(ctx, os.environ.get("REGISTRY") or "auto")
    ours = product()
    images = ensure_images(ctx, [ours, MLFLOW, MOTO], registry=platform.registry)
    with progress.stage("Images into the node") as stage:
        loaded = platform.load(images)
        stage.outcome = f"{len(loaded)} of {len(images)} were not there"
    kubectl = Kubectl(ctx, platform.programs / "kubectl")
    ensure_dependencies(ctx, kubectl)
    example = ensure_example(ctx, kubectl)
    ensure_release(ctx, kubectl, platform.programs / "helm", ours.name, example.run_ids[0])
    show_prediction(ctx, kubectl)
    progress.say(f"Ready after {progress.total()}.")
    progress.say(next_commands(ctx.kubeconfig, platform.programs, example.run_ids))


if __name__ == "__main__":
    sys.exit(main())
