"""The options by which all rollout verbs find their installation, named as kubectl's are."""

from __future__ import annotations

from typing import Annotated

import typer

from slipway.cluster.kube import KubeCluster
from slipway.cluster.kube_api import Place, connect
from slipway.settings import ClusterSettings

Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="The namespace [the context's].")
]
Name = Annotated[str | None, typer.Option(help="The installation's name [slipway].")]
Context = Annotated[str | None, typer.Option(help="The kubeconfig's context [its current one].")]
Kubeconfig = Annotated[str | None, typer.Option(help="The kubeconfig file [KUBECONFIG's].")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it has come to rest.")]
Timeout = Annotated[float, typer.Option(help="Seconds to wait at most.", min=0)]


def cluster_of(
    settings: ClusterSettings, context: str | None, kubeconfig: str | None
) -> KubeCluster:
    """The installation; raises InvalidConfig if there is no API server to talk to."""
    place = Place(settings.namespace, context or "", kubeconfig or "")
    return KubeCluster(connect(place, timeout=settings.api_timeout), settings.fullname)
