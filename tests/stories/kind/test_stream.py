"""Given an installation with consumers, when rides are sent, then each one has its event."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.chart_render import ROOT
from tests.cluster_worlds import FULLNAME
from tests.kind_installation import Installation, scaled_to_zero
from tests.kind_server import KindServer
from tests.kinesis_stand_in import CREDENTIALS, StandIn, ride_record
from tests.waiting import until

from slipway.clients.kinesis import KinesisStream
from slipway.clients.streams import Position
from slipway.stream.processor import in_share

pytestmark = [pytest.mark.platform, pytest.mark.kind, pytest.mark.timeout(400)]

KINESIS = str(ROOT / "k8s" / "deps" / "kinesis")
SECONDS = 90
# The policy waits for a person at each step.
VALUES: dict[str, Any] = {
    "slots": {"replicas": 1},
    "router": {"replicas": 1},
    "rollout": {"preset": "manual", "steps": [25], "shadow": {"enabled": False}},
}
MAIN, OTHER = "ride_predictions", "other_predictions"


class Streams:
    """The stand-in for Kinesis in an installation's namespace, and what has come out of it."""

    def __init__(self, place: Installation, url: str) -> None:
        self.place = place
        self.server = StandIn(url)
        # Ids that no test before this one used.
        self.next = 0
        self._places: dict[tuple[str, str], str | None] = {}
        self._events: dict[str, list[dict[str, Any]]] = {}

    def send(self, count: int) -> range:
        """So many sound rides; gives their ids."""
        numbers = range(self.next, self.next + count)
        self.next += count
        self.server.send("ride_events", map(ride_record, numbers))
        return numbers

    def events(self, name: str) -> list[dict[str, Any]]:
        """All of a stream's documents, those that are there by now."""
        stream = KinesisStream(self.server.client("kinesis"), name)
        found = self._events.setdefault(name, [])
        for shard in stream.shards():
            key = (name, shard.name)
            place: str | None = self._places.get(key) or stream.iterator(shard.name, Position())
            while place:
                batch = stream.read(shard.name, place, 1000)
                found += [json.loads(record.data) for record in batch.records]
                place = batch.following
                if not batch.records:
                    break
            self._places[key] = place
        return found

    def wait(self, name: str, numbers: range) -> dict[int, list[dict[str, Any]]]:
        """Ride -> its events, as soon as each of these rides has one."""
        wanted = set(numbers)

        def look() -> dict[int, list[dict[str, Any]]] | None:
            found: dict[int, list[dict[str, Any]]] = {}
            for event in self.events(name):
                found.setdefault(event["prediction"]["ride_id"], []).append(event)
            return {n: found[n] for n in numbers} if wanted <= found.keys() else None

        try:
            return until(look, SECONDS)
        except AssertionError:
            raise AssertionError(f"{name} lacks rides after {SECONDS} s:\n{self.told()}") from None

    def told(self) -> str:
        """What the consumers say."""
        chosen = "--selector=app.kubernetes.io/component=stream"
        return self.place.kubectl("logs", chosen, "--tail=20", "--prefix")

    def consumers(self, name: str) -> dict[str, Any]:
        """Name -> pod, of one consumer's that are to stay."""
        pods = self.place.pods("stream")
        return {
            pod: found
            for pod, found in pods.items()
            if pod.startswith(f"{FULLNAME}-stream-{name}-")
            and "deletionTimestamp" not in found["metadata"]
        }

    def ask(self, pod: str, path: str) -> str:
        """What a consumer's port answers."""
        return self.place.server.text(f"{self.place.core}/pods/{pod}:9695/proxy{path}")

    def status(self) -> dict[str, Any]:
        """Pod -> the status of each main consumer."""
        return {pod: json.loads(self.ask(pod, "/status")) for pod in self.consumers("duration")}

    def follow(self, run_id: str) -> None:
        """Wait until all main consumers score with this run."""

        def look() -> bool:
            return all(each["model_version"] == run_id for each in self.status().values())

        until(look, 30, f"the consumers to score with {run_id}")

    def cli(self, *arguments: str, text: str = "") -> str:
        """`slipway stream …` as a person beside a port-forward types it."""
        place = {"KINESIS_ENDPOINT_URL": self.server.url, **CREDENTIALS}
        return self.place.slipway("stream", *arguments, text=text, **place)

    def replace(self, name: str, *how: str) -> None:
        """Delete a consumer's pod, and wait for the one in its place."""
        before = self.consumers(name)
        self.place.kubectl("delete", "pod", min(before), *how)
        new = until(lambda: set(self.consumers(name)) - set(before), 60, "another pod").pop()
        self.place.kubectl("wait", f"pod/{new}", "--for=condition=Ready", "--timeout=90s")


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def streams(kind: KindServer, runs: tuple[str, str]) -> Iterator[Streams]:
    """An installation whose main consumer follows what is promoted, and another does not."""
    place = Installation(kind, f"story-{os.getpid()}-stream")
    consumers = [
        {"name": "duration", "deadLetters": "dead_rides", "replicas": 2},
        {"name": "other", "model": runs[1], "output": OTHER},
    ]
    try:
        place.kubectl("apply", "--kustomize", KINESIS)
        place.kubectl("rollout", "status", "deployment/kinesis", "--timeout=120s")
        with pytest.MonkeyPatch.context() as patch, place.forward("service/kinesis", 4566) as url:
            for name, value in CREDENTIALS.items():
                patch.setenv(name, value)
            found = Streams(place, url)
            found.server.make(OTHER)
            said = place.install_chart({**VALUES, "stream": {"enabled": True,
                                                             "consumers": consumers}})  # fmt: skip
            assert "no model is named yet" in said
            place.want(runs[0])
            place.serves(runs[0])
            yield found
    finally:
        place.remove()


def versions(found: Mapping[int, list[dict[str, Any]]]) -> set[str]:
    return {event["version"] for events in found.values() for event in events}


def test_R1_R24_a_person_sends_rides_and_sees_what_became_of_them(
    streams: Streams, runs: tuple[str, str]
) -> None:
    """R1 (stream), R24, R25: by `slipway stream`; the installation was idle without a model."""
    numbers = range(streams.next, streams.next + 20)
    streams.next += 20
    lines = [ride_record(number)[1].decode() for number in numbers]
    streams.cli("send", text="\n".join([*lines, '{"ride": "poison", "ride_id": "p"}']))

    shown = streams.cli("read", "--limit", "20", "--seconds", "60").splitlines()

    events = [json.loads(line) for line in shown]
    assert {event["prediction"]["ride_id"] for event in events} == set(numbers)
    assert {event["version"] for event in events} == {runs[0]}
    [letter] = streams.cli("read", "--stream", "dead_rides", "--limit", "1").splitlines()
    assert json.loads(letter)["reason"] == "InvalidInput"
    rows = json.loads(streams.cli("lag", f"{FULLNAME}-duration", "-o", "json"))
    assert {(row["state"], row["behind"]) for row in rows} == {("reading", 0.0)}
    owners = {row["owner"].rpartition("_")[0] for row in rows}
    assert owners <= streams.consumers("duration").keys()
    assert versions(streams.wait(OTHER, numbers)) == {runs[1]}


def test_R5_R6_E8_pods_deleted_in_the_middle_lose_no_ride_and_touch_no_other_consumer(
    streams: Streams,
) -> None:
    """R5, R6, E8: one at once and one with its grace, while rides come."""
    numbers = [streams.send(1000)]
    streams.replace("duration", "--grace-period=0", "--force")
    numbers.append(streams.send(1000))
    streams.replace("duration")
    numbers.append(streams.send(1000))

    all_of = range(numbers[0].start, numbers[-1].stop)
    found = streams.wait(MAIN, all_of)
    assert {len({event["event_id"] for event in events}) for events in found.values()} == {1}
    others = streams.wait(OTHER, all_of)
    assert {len(events) for events in others.values()} == {1}


def test_R17_B9_B10_without_store_and_tracking_server_consumers_go_on_and_come_back(
    kind: KindServer, streams: Streams, runs: tuple[str, str]
) -> None:
    """R17, B9, B10 (stream): also of one that names a run, which it has resolved before."""
    with scaled_to_zero(kind, "mlflow", "s3"):
        for name in ("duration", "other"):
            streams.replace(name)
        numbers = streams.send(500)
        assert versions(streams.wait(MAIN, numbers)) == {runs[0]}
        assert versions(streams.wait(OTHER, numbers)) == {runs[1]}


def test_row_5_row_12_a_canarys_share_of_the_keys_then_the_next_batch_after_the_promotion(
    streams: Streams, runs: tuple[str, str]
) -> None:
    """Rows 5 and 12 (stream), R25: a quarter of 10,000 fixed keys, within a point."""
    stable, candidate = runs
    place = streams.place
    place.want(candidate)
    until(lambda: place.document("state").get("weight") == "2500", SECONDS, "the canary")
    until(
        lambda: all(each["candidate"] == candidate for each in streams.status().values()),
        30,
        "the consumers to know of it",
    )
    # A candidate is loaded when it is first asked; until it answers, stable scores for it.
    asked = 0
    while asked < 100 and candidate not in versions(streams.wait(MAIN, streams.send(40))):
        asked += 1
    numbers = streams.send(10_000)
    found = streams.wait(MAIN, numbers)
    by_candidate = {n for n, events in found.items() if events[0]["version"] == candidate}
    assert abs(len(by_candidate) - 2_500) <= 100
    assert by_candidate == {n for n in numbers if in_share(n, 2_500)}
    sources = "".join(streams.ask(pod, "/metrics") for pod in streams.consumers("duration"))
    assert 'source="candidate"' in sources
    assert 'source="stable"' in sources

    place.slipway("promote", "--full", "--force", "--reason", "the story says so")
    place.serves(candidate)
    streams.follow(candidate)
    assert versions(streams.wait(MAIN, streams.send(500))) == {candidate}
    assert versions(streams.wait(OTHER, range(streams.next))) == {candidate}
    place.slipway("rollback", "--reason", "the story says so")
    place.serves(stable)
    streams.follow(stable)
    assert versions(streams.wait(MAIN, streams.send(500))) == {stable}
