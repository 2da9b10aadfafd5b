"""A place without surprises, in which the simulator's rollouts go on. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from msgspec.structs import replace

from slipway.cluster.protocol import SLOTS, Pod, SlotName, Workload
from slipway.models.release import Release
from slipway.rollout.decide import Decision, decide
from slipway.rollout.measures import Window
from slipway.rollout.policy import Policy
from slipway.rollout.snapshot import Desired, Memory, Resolution, RouterView, SlotView, Snapshot
from slipway.rollout.state import State
from slipway.rollout.verdict import Verdict

_START = datetime(2026, 1, 1, tzinfo=UTC)
_MARK = "candidate"


class SimulatedPlace:
    """Obeys each decision at once: pods are ready, routers load, nobody interferes."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._memory: Memory | None = None
        self._routing: dict[str, Any] | None = None
        self._filled: dict[SlotName, Release] = {}
        self._stored: State | None = None
        self._now = _START
        self._wanted = _release("stable")
        while not (self.state.stable and self.state.phase == "idle"):
            self.tick(0.0, None, ())
        self._wanted = _release(_MARK)

    @property
    def state(self) -> State:
        """The stored state."""
        return self._stored or State()

    def tick(
        self, elapsed: float, window: Window | None, verdicts: tuple[Verdict, ...]
    ) -> Decision:
        """One decision, obeyed."""
        decision = decide(self._snapshot(elapsed, window, verdicts), self._policy)
        self._memory = decision.memory
        self._now += timedelta(seconds=elapsed)
        if decision.state is not None:
            # Nobody reads this history, and it would be carried through a million looks.
            self._stored = replace(decision.state, history=())
        if decision.routing is not None:
            self._routing = decision.routing
        for fill in decision.fills:
            if fill.filling:
                self._filled[fill.slot] = _BY_DIGEST[fill.filling.digest]
        return decision

    def _snapshot(
        self, elapsed: float, window: Window | None, verdicts: tuple[Verdict, ...]
    ) -> Snapshot:
        release = self._wanted
        epoch = self._routing["epoch"] if self._routing else 0
        return Snapshot(
            now=self._now,
            elapsed=elapsed,
            stored=self._stored,
            memory=self._memory,
            desired=Desired(release.reference, release.digest),
            resolution=Resolution(release.digest, release=release),
            slots={slot: _view(self._filled.get(slot)) for slot in SLOTS},
            routers=(RouterView("router", epoch),),
            routing=self._routing,
            window=window,
            verdicts=verdicts,
        )


@cache
def _release(name: str) -> Release:
    mark = name.encode().hex()[:32]
    return Release(
        reference=f"models:/{name}/1",
        uri=f"/simulated/{name}",
        digest="sha256:" + mark.ljust(64, "0"),
        size=0,
        flavor="simulated",
        serialization="none",
        use_case="tabular",
        resolved_at="",
        run_id=mark.ljust(32, "0"),
    )


_BY_DIGEST = {_release(name).digest: _release(name) for name in ("stable", _MARK)}


def _view(release: Release | None) -> SlotView:
    return _filled_view(release.digest) if release else SlotView(None, Workload(0))


@cache
def _filled_view(digest: str) -> SlotView:
    pods = tuple(Pod(f"pod-{n}", "", "", digest, ready=True) for n in range(2))
    return SlotView(_BY_DIGEST[digest], Workload(2, digest, pods=pods))
