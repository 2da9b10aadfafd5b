"""Writes which pods of this namespace ask to be scraped, as Prometheus reads targets from a file.

Debian's Prometheus is built without the discovery of pods, so this is done beside it, in one way
for every image of Prometheus. A pod asks by the usual annotations prometheus.io/scrape, /port and
/path. Standard library only: the image is whichever has a Python.
"""

from __future__ import annotations

import json
import ssl
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
API = "https://kubernetes.default.svc"
ASK = "prometheus.io/"
EVERY_SECONDS = 5.0
TIMEOUT_SECONDS = 10.0


def targets(pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Target groups (Prometheus' file_sd format) of the running pods that ask; the others none."""
    return [_target(pod) for pod in pods if _asks(pod)]


def _asks(pod: dict[str, Any]) -> bool:
    wishes = pod["metadata"].get("annotations", {})
    status = pod.get("status", {})
    port = wishes.get(f"{ASK}port", "")
    return (
        wishes.get(f"{ASK}scrape") == "true"
        and port.isdecimal()
        and status.get("phase") == "Running"
        and bool(status.get("podIP"))
    )


def _target(pod: dict[str, Any]) -> dict[str, Any]:
    about = pod["metadata"]
    wishes, address = about["annotations"], pod["status"]["podIP"]
    host = f"[{address}]" if ":" in address else address
    return {
        "targets": [f"{host}:{wishes[f'{ASK}port']}"],
        "labels": {
            "__metrics_path__": wishes.get(f"{ASK}path", "/metrics"),
            "pod": about["name"],
            "namespace": about["namespace"],
            "component": about.get("labels", {}).get("app.kubernetes.io/component", ""),
        },
    }


def _pods() -> list[dict[str, Any]]:
    namespace = (ACCOUNT / "namespace").read_text()
    # Read each time: the kubelet exchanges the token.
    token = (ACCOUNT / "token").read_text()
    asking = urllib.request.Request(  # noqa: S310 - the API server
        f"{API}/api/v1/namespaces/{namespace}/pods", headers={"Authorization": f"Bearer {token}"}
    )
    trusted = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(asking, timeout=TIMEOUT_SECONDS, context=trusted) as answer:  # noqa: S310
        pods: list[dict[str, Any]] = json.load(answer)["items"]
        return pods


def main(target: Path) -> None:
    """For ever: ask, and put the file in place whole; what was known stays while nobody answers."""
    while True:
        try:
            partial = target.with_suffix(".partial")
            partial.write_text(json.dumps(targets(_pods())))
            partial.rename(target)
        except OSError as error:
            print(f"the pods cannot be listed: {error}", file=sys.stderr)
        time.sleep(EVERY_SECONDS)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
