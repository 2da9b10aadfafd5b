"""The options by which all rollout verbs find their installation, named as kubectl's are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import click

from slipway.cli.commands import AtLeast
from slipway.cluster.kube import KubeCluster
from slipway.cluster.kube_api import Place, connect
from slipway.cluster.local import LocalCluster
from slipway.cluster.protocol import Installation
from slipway.errors import InvalidConfig, NotInstalled
from slipway.settings import ClusterSettings, read_settings

Verb = TypeVar("Verb", bound=Callable[..., Any])


class Where(TypedDict):
    """What `installation_options` give a verb."""

    namespace: str | None
    name: str | None
    context: str | None
    kubeconfig: str | None
    local: Path | None


namespace_option = click.option("--namespace", "-n", help="The namespace [the context's].")
name_option = click.option("--name", help="The installation's name [slipway].")
context_option = click.option("--context", help="The kubeconfig's context [its current one].")
kubeconfig_option = click.option("--kubeconfig", help="The kubeconfig file [KUBECONFIG's].")
local_option = click.option(
    "--local",
    type=Path,
    metavar="DIR",
    help="The folder of a `slipway local up`, in place of a cluster.",
)


def cluster_options(verb: Verb) -> Verb:
    """Those of an installation in a cluster."""
    return namespace_option(name_option(context_option(kubeconfig_option(verb))))


def installation_options(verb: Verb) -> Verb:
    """Those of an installation anywhere."""
    return cluster_options(local_option(verb))


def waiting_options(seconds: float = 600.0) -> Callable[[Verb], Verb]:
    """--wait, and --timeout with so many seconds by default."""

    def with_options(verb: Verb) -> Verb:
        timeout = click.option(
            "--timeout", type=AtLeast(0), default=seconds, help="Seconds to wait at most."
        )
        wait = click.option("--wait", is_flag=True, help="Wait until it has come to rest.")
        return wait(timeout(verb))

    return with_options


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
