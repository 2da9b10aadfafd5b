"""The options by which all rollout verbs find their installation, named as kubectl's are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slipway.cluster.kube import KubeCluster
from slipway.cluster.kube_api import Place, connect
from slipway.cluster.local import LocalCluster
from slipway.cluster.protocol import Installation
from slipway.errors import InvalidConfig, NotInstalled
from slipway.settings import ClusterSettings, read_settings

Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="The namespace [the context's].")
]
Name = Annotated[str | None, typer.Option(help="The installation's name [slipway].")]
Context = Annotated[str | None, typer.Option(help="The kubeconfig's context [its current one].")]
Kubeconfig = Annotated[str | None, typer.Option(help="The kubeconfig file [KUBECONFIG's].")]
Local = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The folder of a `slipway local up`, in place of a cluster."),
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it has come to rest.")]
Timeout = Annotated[float, typer.Option(help="Seconds to wait at most.", min=0)]


def cluster_of(
    settings: ClusterSettings,
    context: str | None = None,
    kubeconfig: str | None = None,
    local: Path | None = None,
) -> Installation:
    """The installation; raises InvalidConfig if there is no API server to talk to."""
    if local is not None:
        if context or kubeconfig:
            raise InvalidConfig("--local names a folder; leave --context and --kubeconfig out")
        if not local.is_dir():
            raise NotInstalled(f"there is no folder {local}; `slipway local up {local}` makes it")
        return LocalCluster(local)
    place = Place(settings.namespace, context or "", kubeconfig or "")
    return KubeCluster(connect(place, timeout=settings.api_timeout), settings.fullname)


def find_installation(
    namespace: str | None,
    name: str | None,
    context: str | None,
    kubeconfig: str | None,
    local: Path | None,
) -> tuple[Installation, str]:
    """What a verb's options name, and what to call it before people."""
    settings = read_settings(ClusterSettings, namespace=namespace, fullname=name)
    return cluster_of(settings, context, kubeconfig, local), str(local or settings.fullname)
