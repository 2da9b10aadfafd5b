"""Looking at the cluster: the last view holds while it does not answer."""

from __future__ import annotations

import json

import pytest

from slipway import logs
from slipway.cluster.protocol import (
    Document,
    DocumentName,
    Event,
    Filling,
    Part,
    Pod,
    SlotName,
    Workload,
)
from slipway.errors import Unavailable
from slipway.router.follower import Follower, View

POD = Pod("p", "a:1", "a:2", "sha256:x", True)


class FakeCluster:
    """What a router reads of a cluster, in memory; `trouble` is raised by every call."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None
        self.document: Document | None = Document("routing", {"routing.json": "{}"})
        self.workloads: dict[Part, Workload] = {"blue": Workload(1, pods=(POD,))}

    def read(self, name: DocumentName) -> Document | None:
        assert name == "routing"
        if self.trouble:
            raise self.trouble
        return self.document

    def workload(self, part: Part) -> Workload | None:
        if self.trouble:
            raise self.trouble
        return self.workloads.get(part)

    def write(self, document: Document) -> Document:
        raise NotImplementedError

    def fill(self, slot: SlotName, filling: Filling | None, replicas: int | None) -> None:
        raise NotImplementedError

    def hold_lease(self, holder: str, seconds: float) -> bool:
        raise NotImplementedError

    def record(self, event: Event) -> None:
        raise NotImplementedError


def test_a_view_is_the_document_and_all_pods() -> None:
    follower = Follower(FakeCluster(), 1)
    assert follower.view is None
    follower.look()
    assert follower.view == View("{}", {"blue": (POD,), "green": ()})


def test_no_document_is_a_fact() -> None:
    cluster = FakeCluster()
    cluster.document = None
    follower = Follower(cluster, 1)
    follower.look()
    assert follower.view == View(None, {"blue": (POD,), "green": ()})


@pytest.mark.parametrize("trouble", [Unavailable("no route"), ValueError("a bug")])
def test_C6_while_the_cluster_does_not_answer_the_last_view_holds(
    trouble: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure()
    cluster = FakeCluster()
    follower = Follower(cluster, 1)
    follower.look()
    before = follower.view
    cluster.trouble = trouble
    for _ in range(3):
        follower.look()
    assert follower.view is before
    cluster.trouble = None
    cluster.workloads = {}
    follower.look()
    assert follower.view == View("{}", {"blue": (), "green": ()})
    said = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert said == ["the cluster does not answer", "the cluster answers again"]
