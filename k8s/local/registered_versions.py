"""Prints the run ids of a registered model's versions, oldest first, as JSON.

A program of its own, because MLflow's import and its variables are of no use to the setup:
`python -m k8s.local.registered_versions TRACKING_URI NAME`.
"""

from __future__ import annotations

import json
import sys


def main(tracking_uri: str, name: str) -> None:
    """Ask the tracking server."""
    from mlflow import MlflowClient

    found = MlflowClient(tracking_uri).search_model_versions(f"name='{name}'")
    runs = {int(version.version): version.run_id for version in found}
    print(json.dumps([runs[number] for number in sorted(runs)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
