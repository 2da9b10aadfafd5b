"""Rights and network: each part may do what it does, and no more."""

from __future__ import annotations

from typing import Any

import pytest
from tests.chart_render import FULL, Object, named, render

pytestmark = pytest.mark.platform

# What a namespace's `edit` may do to what the chart's Roles speak of (Kubernetes 1.30 on).
EDIT = {
    ("", "configmaps"): {"get", "list", "watch", "create", "update", "patch", "delete"},
    ("", "pods"): {"get", "list", "watch", "create", "update", "patch", "delete"},
    ("", "services/proxy"): {"get", "list", "watch", "create", "update", "patch", "delete"},
    ("", "events"): {"get", "list", "watch", "create", "update", "patch", "delete"},
    ("apps", "deployments"): {"get", "list", "watch", "create", "update", "patch", "delete"},
    ("coordination.k8s.io", "leases"): {
        "get", "list", "watch", "create", "update", "patch", "delete",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def full() -> list[Object]:
    return render(FULL)


def granted(role: Object) -> set[tuple[str, str, str]]:
    """(resource, name or *, verb) of a Role."""
    return {
        (resource, name, verb)
        for rule in role["rules"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", ["*"])
        for verb in rule["verbs"]
    }


def test_all_rules_are_within_what_an_editor_may_grant(full: list[Object]) -> None:
    roles = [found for found in full if found["kind"] == "Role"]
    assert len(roles) == 4
    for role in roles:
        for rule in role["rules"]:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    assert set(rule["verbs"]) <= EDIT[group, resource], role["metadata"]["name"]


def test_nothing_is_asked_of_the_whole_cluster(full: list[Object]) -> None:
    kinds = {found["kind"] for found in full}
    assert not {kind for kind in kinds if kind.startswith("Cluster") or "Definition" in kind}
    assert "Namespace" not in kinds


def test_what_can_be_limited_by_name_is(full: list[Object]) -> None:
    """A create has no name yet, a list is of all, and events have names of their own."""
    for role in (found for found in full if found["kind"] == "Role"):
        for resource, name, verb in granted(role):
            free = verb in ("create", "list") or resource == "events"
            assert (name == "*") == free, (role["metadata"]["name"], resource, verb)


def test_the_router_only_reads(full: list[Object]) -> None:
    assert granted(named(full, "Role", "slipway-router")) == {
        ("configmaps", "slipway-routing", "get"),
        ("deployments", "slipway-blue", "get"),
        ("deployments", "slipway-green", "get"),
        ("pods", "*", "list"),
    }


def test_a_consumer_may_read_what_is_promoted_and_nothing_else(full: list[Object]) -> None:
    rights = granted(named(full, "Role", "slipway-stream"))
    assert rights == {("configmaps", "slipway-state", "get")}


def test_F6_a_consumer_reaches_kinesis_and_the_store_and_is_asked_for_metrics_alone(
    full: list[Object],
) -> None:
    policy = named(full, "NetworkPolicy", "slipway-stream")["spec"]
    (admin,) = policy["ingress"]
    assert (ports(admin), components(admin["from"])) == ({9695}, {"prometheus"})
    assert [ports(rule) for rule in policy["egress"]] == [{53}, {443, 6443}, {5000, 7070}, {4566}]
    without = render({**FULL, "networkPolicy": {"metricsFrom": []}})
    assert named(without, "NetworkPolicy", "slipway-stream")["spec"]["ingress"] == []


def test_the_controller_cannot_write_what_people_write(full: list[Object]) -> None:
    rights = granted(named(full, "Role", "slipway-controller"))
    written = {
        name for resource, name, verb in rights if (resource, verb) == ("configmaps", "patch")
    }
    assert written == {f"slipway-{name}" for name in ("state", "routing", "blue", "green")}


def test_an_operator_writes_requests_and_the_model_and_nothing_else(full: list[Object]) -> None:
    rights = granted(named(full, "Role", "slipway-operator"))
    assert {(kind, name) for kind, name, verb in rights if verb not in ("get", "list")} == {
        ("configmaps", "slipway-model"), ("configmaps", "slipway-control"), ("configmaps", "*")
    }  # fmt: skip
    (subject,) = named(full, "RoleBinding", "slipway-operator")["subjects"]
    assert subject["name"] == "people"


def test_without_subjects_the_operators_role_is_bound_to_nobody() -> None:
    objects = render({})
    named(objects, "Role", "slipway-operator")
    assert "slipway-operator" not in {
        o["metadata"]["name"] for o in objects if o["kind"] == "RoleBinding"
    }


def ports(rule: Any) -> set[int]:
    return {each["port"] for each in rule["ports"]}


def components(peers: list[Any]) -> set[str]:
    """The components among peers; what is none counts by its name."""
    labels = [peer["podSelector"]["matchLabels"] for peer in peers]
    return {
        each.get("app.kubernetes.io/component", each["app.kubernetes.io/name"]) for each in labels
    }


def test_F6_the_slots_are_reached_by_the_router_alone(full: list[Object]) -> None:
    policy = named(full, "NetworkPolicy", "slipway-slots")["spec"]
    api, admin = policy["ingress"]
    assert (ports(api), components(api["from"])) == ({9696}, {"router"})
    assert (ports(admin), components(admin["from"])) == ({9697}, {"controller", "prometheus"})
    assert [ports(rule) for rule in policy["egress"]] == [{53}, {5000, 7070}]


def test_F6_every_pod_but_the_tests_has_a_network_policy(full: list[Object]) -> None:
    covered = {
        o["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
        for o in full
        if o["kind"] == "NetworkPolicy"
    }
    assert covered == {"slot", "router", "controller", "batch", "stream"}
    for policy in (found for found in full if found["kind"] == "NetworkPolicy"):
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_F6_the_router_reaches_the_slots_and_the_api_server(full: list[Object]) -> None:
    dns, server, slots = named(full, "NetworkPolicy", "slipway-router")["spec"]["egress"]
    assert ports(dns) == {53}
    assert ports(server) == {443, 6443}
    assert (ports(slots), components(slots["to"])) == ({9696}, {"slot"})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {443}),
        ({"tracking": {"uri": "http://mlflow"}}, {80, 443}),
        (
            {
                "tracking": {"uri": "https://u:p@mlflow:8443/x"},
                "store": {"endpoint": "http://[fd00::1]:9000", "ambientCredentials": True},
                "networkPolicy": {"extraEgressPorts": [3128]},
            },
            {8443, 9000, 3128},
        ),
    ],
)
def test_F6_the_ports_of_tracking_server_and_store_are_open(
    values: dict[str, Any], expected: set[int]
) -> None:
    policy = named(render(values), "NetworkPolicy", "slipway-slots")["spec"]
    assert ports(policy["egress"][1]) == expected


def test_disruption_takes_one_pod_at_a_time(full: list[Object]) -> None:
    budgets = {o["metadata"]["name"]: o["spec"] for o in full if o["kind"] == "PodDisruptionBudget"}
    assert set(budgets) == {"slipway-blue", "slipway-green", "slipway-router"}
    assert {spec["maxUnavailable"] for spec in budgets.values()} == {1}
