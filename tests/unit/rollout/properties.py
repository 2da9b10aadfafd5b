"""What must hold in every place and for every move; a sentence each, named as in FAULTS 3.3."""

from __future__ import annotations

from collections.abc import Callable

from tests.unit.rollout.world import RELEASES, Step, World

from slipway.cluster.protocol import SLOTS
from slipway.rollout.state import Placement, State
from slipway.rollout.verdict import Outcome

_MEASURED = ("shadow", "canary")


def _digest(placement: Placement | None) -> str:
    return placement.release.digest if placement else ""


def _serves(world: World, placement: Placement | None) -> bool:
    if placement is None or placement.slot is None:
        return False
    return world.slot(placement.slot).serves(placement.release.digest)


def _acked(world: World, state: State) -> bool:
    return world.loaded is not None and world.loaded.epoch == state.epoch


def broken_place(world: World) -> str:
    """The first rule that this place breaks, empty if none."""
    for table in (world.loaded, world.routing):
        if table is None:
            continue
        weights = [table.weight(slot) for slot in SLOTS]
        if sum(weights) not in (0, 10_000):
            return "I2: the weights do not add up"
        for name in SLOTS:
            row = table.content["slots"].get(name)
            slot = world.slot(name)
            if table is world.loaded and table.touches(name) and slot.template != row["digest"]:
                return "I3: a slot was changed while a router sends to it"
    state = world.state
    if state and world.routing and world.routing.epoch > state.epoch:
        return "a table without a state behind it"
    if state and state.weight and state.phase != "canary":
        return "I1: weight outside a canary"
    return ""


def broken_move(before: World, step: Step) -> str:
    """The first rule that this move breaks, empty if none."""
    for rule in _FOR_TICKS if step.decision else ():
        if told := rule(before, step):
            return told
    return broken_place(step.after)


def _nothing_without_a_state(_before: World, step: Step) -> str:
    decision = step.decision
    if decision and decision.state is None and (decision.routing or decision.fills):
        return "D18: acted without a state"
    return ""


def _rises_by_rule(before: World, step: Step) -> str:
    old, new = before.state, step.decision.state if step.decision else None
    if old is None or new is None or _risen(old, new) <= 0:
        return ""
    asked = step.request == "promote"
    gated = old.path == "gated" and old.base is not None
    next_step = old.step + 1 if old.phase == "canary" else 0
    rules = {
        "I1: weight for what has no ready pod": _serves(before, new.candidate or new.stable),
        "I2: a rise before the table in force was loaded": _acked(before, old),
        "I2: more than one step": new.phase != "canary" or new.step <= next_step,
        "I2: a rise without every gate passing on samples of this table": not gated
        or (step.outcome is Outcome.PASS and _window_fits(before, old)),
        "a rise while paused": asked or not old.paused,
    }
    return _first_broken(rules)


def _first_broken(rules: dict[str, bool]) -> str:
    return next((words for words, holds in rules.items() if not holds), "")


def _risen(old: State, new: State) -> int:
    """By how much a candidate's weight rises; a promotion is a rise to the whole."""
    if old.candidate is None or old.base is None:
        return 0
    if _digest(new.stable) == _digest(old.candidate):
        return 10_000 - old.weight
    return new.weight - old.weight if _digest(new.candidate) == _digest(old.candidate) else 0


def _window_fits(world: World, state: State) -> bool:
    measuring = world.process.measuring if world.process else None
    return measuring == (state.epoch, _digest(state.candidate), _digest(state.base))


def _silence_holds(before: World, step: Step) -> str:
    """A router that does not answer may have any table: nothing rises and no slot is taken."""
    old, new = before.state, step.decision.state if step.decision else None
    if step.heard or old is None or new is None or step.decision is None:
        return ""
    if _risen(old, new) > 0:
        return "I2: a rise while a router did not answer"
    stable = new.base.slot if new.base else None
    if any(fill.slot != stable for fill in step.decision.fills):
        return "I3: a slot is filled or sized while a router did not answer"
    return ""


def _slots_change_without_traffic(before: World, step: Step) -> str:
    for fill in step.decision.fills if step.decision else ():
        if before.loaded and before.loaded.touches(fill.slot):
            return "I3: a slot is filled or sized while a router sends to it"
        if before.routing and before.routing.touches(fill.slot):
            return "I3: a slot is filled or sized while the table sends to it"
    return ""


def _stable_moves_by_promotion_or_return(before: World, step: Step) -> str:
    old, new = before.state, step.decision.state if step.decision else None
    if old is None or new is None or _digest(old.stable) == _digest(new.stable):
        return ""
    reasons = {note.reason for note in step.decision.notes} if step.decision else set()
    if not reasons & {"Promoted", "ReturnToWarm"}:
        return "I4: stable moved without a promotion or a return"
    if not _serves(before, new.stable):
        return "I4: stable moved to what has no ready pod"
    if _digest(new.stable) not in (_digest(old.candidate), _digest(old.warm)):
        return "I4: stable moved to what was neither candidate nor warm"
    return ""


def _rebuilt_as_it_serves(before: World, step: Step) -> str:
    new = step.decision.state if step.decision else None
    if before.state is not None or new is None or before.routing is None:
        return ""
    rows = before.routing.content["slots"].values()
    stable = [row["digest"] for row in rows if row["role"] == "stable"]
    if stable and stable != [_digest(new.stable)]:
        return "D18: rebuilt with another stable than the table's"
    if new.candidate or new.weight:
        return "D18: rebuilt with a candidate"
    return ""


def _abort_wins(before: World, step: Step) -> str:
    old, new = before.state, step.decision.state if step.decision else None
    if old is None or new is None or step.request not in ("abort", "rollback"):
        return ""
    if old.candidate and (new.candidate or new.weight):
        return "I6: an abort did not win"
    return ""


def _a_failing_gate_stops(before: World, step: Step) -> str:
    old, new = before.state, step.decision.state if step.decision else None
    if old is None or new is None or old.phase not in _MEASURED:
        return ""
    failed = step.outcome is Outcome.FAIL and _window_fits(before, old) and _acked(before, old)
    if failed and step.request is None and _digest(new.candidate) == _digest(old.candidate):
        return "FAIL did not stop the candidate"
    return ""


def _changes_have_reasons(before: World, step: Step) -> str:
    old, new = before.state, step.decision.state if step.decision else None
    if old is None or new is None or step.decision is None:
        return ""
    if (old.phase, old.weight) != (new.phase, new.weight) and not step.decision.notes:
        return "I11: a change of phase or weight without a reason"
    return ""


def _tables_have_epochs(before: World, step: Step) -> str:
    table, new = step.decision.routing if step.decision else None, step.decision
    if table is None or new is None or before.routing is None:
        return ""
    content = {**table, "epoch": 0} != {**before.routing.whole(), "epoch": 0}
    if content and table["epoch"] <= before.routing.epoch:
        return "another table with the same epoch"
    return ""


def _news_is_taken_up(before: World, step: Step) -> str:
    """T1: the candidate that is not wanted any more loses its traffic in the next tick."""
    old, new = before.state, step.decision.state if step.decision else None
    wanted = RELEASES[before.desired].digest
    if old is None or new is None or step.request or old.candidate is None or old.desired is None:
        return ""
    if wanted != _digest(old.candidate) and before.desired != old.desired.mark and new.weight:
        return "T1: a superseded candidate keeps its traffic"
    return ""


def _traffic_leaves_what_is_not_ready(before: World, step: Step) -> str:
    """T2: not ready with traffic, while stable is: weight 0 is asked in the next tick."""
    old, new = before.state, step.decision.state if step.decision else None
    if old is None or new is None or step.request or not old.weight:
        return ""
    alone = not _serves(before, old.candidate) and _serves(before, old.base)
    if alone and new.weight:
        return "T2: traffic stays with a candidate that has no ready pod"
    return ""


def _refused_is_not_tried(before: World, step: Step) -> str:
    old, new = before.state, step.decision.state if step.decision else None
    if old is None or new is None or old.desired is None or step.request:
        return ""
    same = old.desired.mark == before.desired
    began = new.candidate and _digest(new.candidate) != _digest(old.candidate)
    if same and began and _digest(new.candidate) in old.refused:
        return "a refused digest is tried again"
    return ""


def _direct_only_back(before: World, step: Step) -> str:
    """Without the gates only what stable replaced comes back, and only stable's former self."""
    old, new = before.state, step.decision.state if step.decision else None
    if old is None or new is None or new.candidate is None or old.base is None:
        return ""
    began = _digest(new.candidate) != _digest(old.candidate)
    former = {_digest(old.warm), old.previous.digest if old.previous else ""}
    if began and new.path == "direct" and _digest(new.candidate) not in former:
        return "a new release goes round the gates"
    return ""


def _promotion_is_the_last_step(before: World, step: Step) -> str:
    old, new = before.state, step.decision.state if step.decision else None
    if old is None or new is None or old.path == "direct" or old.base is None:
        return ""
    if _digest(new.stable) != _digest(old.candidate):
        return ""
    if old.phase != "canary" or old.step + 1 < len(old.policy.steps):
        return "I2: promoted before the last step"
    if _digest(new.warm) != _digest(old.base):
        return "I4: the old stable is not kept warm"
    return ""


def _the_watch_keeps_its_way_back(before: World, step: Step) -> str:
    old, new = before.state, step.decision.state if step.decision else None
    if old is None or new is None or old.phase != "promoted" or old.warm is None:
        return ""
    if new.phase == "promoted" and _digest(new.warm) != _digest(old.warm):
        return "the warm release is given up in the watch"
    if new.candidate and _digest(new.candidate) != _digest(old.warm):
        return "the warm release is overwritten in the watch"
    return ""


def _quiet_writes_nothing(before: World, step: Step) -> str:
    """I8: a tick that leaves the state as it is writes no table and fills no slot that is right."""
    decision = step.decision
    if decision is None or decision.state is None or before.routing is None:
        return ""
    same = decision.routing == before.routing.whole()
    return "I8: the same table is written again" if same else ""


_FOR_TICKS: tuple[Callable[[World, Step], str], ...] = (
    _nothing_without_a_state,
    _rebuilt_as_it_serves,
    _rises_by_rule,
    _silence_holds,
    _slots_change_without_traffic,
    _stable_moves_by_promotion_or_return,
    _abort_wins,
    _a_failing_gate_stops,
    _changes_have_reasons,
    _tables_have_epochs,
    _news_is_taken_up,
    _traffic_leaves_what_is_not_ready,
    _refused_is_not_tried,
    _direct_only_back,
    _promotion_is_the_last_step,
    _the_watch_keeps_its_way_back,
    _quiet_writes_nothing,
)


def broken_rest(world: World, outcome: Outcome) -> str:
    """What is wrong with a place that has come to rest in a quiet environment.

    L1: rest at all (the search asks for it). L2: a good candidate is promoted. L3: a bad one is
    not, and stable has everything. I5: nothing of an aborted one is left.
    """
    state = world.state
    if state is None or world.loaded is None:
        return "L1: at rest without a state"
    base, wanted = state.base, RELEASES[world.desired].digest
    share = world.loaded.weight(str(base.slot)) if base else 0
    taken = state.desired is not None and state.desired.mark == world.desired
    free = taken and not state.paused and wanted not in state.refused
    over = not state.paused and state.phase in ("idle", "aborted")
    spare = [world.slot(n) for n in SLOTS if base is None or n != base.slot]
    return _first_broken(
        {
            "L1: stable's traffic is not whole": share + state.weight == 10_000,
            "L1: in the midst of something": state.paused
            or state.phase not in ("resolving", "preparing"),
            "L1: what is wanted was not taken up": taken or state.paused,
            "L2: a good candidate is not promoted": not free
            or outcome is not Outcome.PASS
            or _digest(base) == wanted,
            "L3: a failing candidate is still there": outcome is not Outcome.FAIL
            or state.phase not in _MEASURED,
            "I5: a spare is kept for ever": not over or state.spare is None,
            "I5: an empty slot keeps its pods": not over or not any(s.sized for s in spare),
        }
    )
