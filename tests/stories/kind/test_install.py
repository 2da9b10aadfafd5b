"""Given an installation with a model, by somebody who may only edit its namespace."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from tests.chart_render import ROOT
from tests.cluster_worlds import FULLNAME
from tests.kind_installation import RELEASE, Installation
from tests.kind_server import KindServer
from tests.waiting import until

pytestmark = [pytest.mark.platform, pytest.mark.kind, pytest.mark.timeout(300)]

CLUSTER_WIDE = (
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
)
PROMETHEUS = str(ROOT / "k8s" / "deps" / "prometheus")


def test_F7_R51_an_editor_of_a_restricted_namespace_installs_it_and_nothing_reaches_beyond(
    kind: KindServer, shop: Installation
) -> None:
    """F7, R51: rights are the namespace's `edit` and to make Roles; no ClusterRole, no CRD."""
    assert "would violate" not in shop.warnings, shop.warnings
    sizes = {name: len(shop.pods(name)) for name in ("slot", "router", "controller")}
    assert sizes == {"slot": 2, "router": 2, "controller": 1}
    items = [item for path in CLUSTER_WIDE for item in kind.ask("GET", path)["items"]]
    assert items
    assert not [item for item in items if shop.namespace in str(item) or FULLNAME in str(item)]


def test_R11_helm_test_port_forward_and_smoke_client_are_content(
    shop: Installation, runs: tuple[str, str]
) -> None:
    """R1 (web), R11: on every way in that a user has, the same prediction."""
    assert "Succeeded" in shop.helm("test", RELEASE, "--timeout=2m")

    with shop.forward(f"service/{FULLNAME}", 9696) as url:
        forwarded = shop.predict(url)[1]
        assert runs[0] in shop.slipway("smoke", url)

    assert forwarded["model_version"] == runs[0]
    assert forwarded == shop.predict()[1]


def test_R50_prometheus_finds_the_pods_and_its_sums_are_what_was_asked(shop: Installation) -> None:
    """R50 (what a cluster can show): the counters of all pods, as Prometheus adds them up."""
    shop.kubectl("apply", "--kustomize", PROMETHEUS)
    shop.kubectl("rollout", "status", "deployment/prometheus", "--timeout=120s")
    until(lambda: len(asked(shop, 'up{job="pods"} == 1')) == 5, 60, "all pods to be scraped")
    before = requests(shop)

    answers = [shop.predict()[0] for _ in range(40)]

    assert answers == [200] * 40
    until(lambda: requests(shop) == {part: n + 40 for part, n in before.items()}, 60, "the sums")
    [info] = asked(shop, "group by (run_id, form) (slipway_release_info)")
    assert info["metric"]["run_id"] == shop.document("state")["stable"]


def requests(shop: Installation) -> dict[str, int]:
    """What slots and routers say that they have answered."""
    names = {"slot": "slipway_requests_total", "router": "slipway_router_requests_total"}
    return {
        part: sum(int(found["value"][1]) for found in asked(shop, f'sum({name}{{code="200"}})'))
        for part, name in names.items()
    }


def asked(shop: Installation, query: str) -> list[dict[str, Any]]:
    """What Prometheus answers to a query."""
    service = f"{shop.core}/services/prometheus:9090/proxy"
    answer = shop.server.ask("GET", f"{service}/api/v1/query?{urlencode({'query': query})}")
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found
