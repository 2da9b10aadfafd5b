"""Every place that a few disturbances lead to, searched through; and faults that it must find."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.rollout import world as place
from tests.unit.rollout.search import Search, Violation

from slipway.rollout import decide, moves, phases, plan, readiness, rebuild, situation, start, verbs
from slipway.rollout.moves import Move
from slipway.rollout.situation import Situation
from slipway.rollout.state import State
from slipway.rollout.verdict import Outcome
from slipway.router.table import parse_table

# 4 is the larger bound: 28,000 states and 150,000 edges, half a minute.
DISTURBANCES = int(os.environ.get("SLIPWAY_TEST_DISTURBANCES", "3"))


@pytest.mark.timeout(3600)
def test_D1_D18_no_place_and_no_move_breaks_a_rule_and_every_place_comes_to_rest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """I1 to I6, I8, I10 to I12, T1, T2, L1 to L3; any verdict, any late router, any cut write."""
    search = Search()
    search.explore(DISTURBANCES)
    search.settle()
    with capsys.disabled():
        print(
            f"\n  decide: {len(search.worlds)} states, {search.edges} edges with up to "
            f"{DISTURBANCES} disturbances; {search.runs} runs to rest, at most "
            f"{search.longest} ticks"
        )
    _read_by_the_router(search)
    phases_seen = {w.state.phase for w in search.worlds.values() if w.state}
    assert phases_seen == {"idle", "preparing", "shadow", "canary", "promoted", "aborted"}
    assert len(search.worlds) > 500


def _read_by_the_router(search: Search) -> None:
    """Every table that is ever written is one that the router's own parser takes."""
    tables = {w.routing.json: w.routing for w in search.worlds.values() if w.routing}
    for table in tables.values():
        document = table.whole()
        parsed = parse_table(json.dumps(document))
        assert {str(slot): entry.weight for slot, entry in parsed.slots.items()} == {
            slot: row["weight"] for slot, row in document["slots"].items()
        }
    assert len(tables) > 10


Patch = Callable[[pytest.MonkeyPatch], None]
MUTANTS: dict[str, Patch] = {}


def mutant(patch: Patch) -> Patch:
    MUTANTS[patch.__name__] = patch
    return patch


@mutant
def fills_without_waiting_for_routers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide, "fills_of", lambda s, snap, _acked: plan.fills_of(s, snap, acked=True))


@mutant
def takes_every_table_for_loaded(patch: pytest.MonkeyPatch) -> None:
    for module in (decide, situation):
        patch.setattr(module, "acked_by_all", lambda _epoch, _snapshot: True)


@mutant
def takes_silence_for_consent(patch: pytest.MonkeyPatch) -> None:
    for module in (decide, situation):
        patch.setattr(module, "acked_by_all", lambda epoch, snap: not plan.behind(epoch, snap))


@mutant
def acts_before_it_saves(patch: pytest.MonkeyPatch) -> None:
    def applied(world: place.World, decision: decide.Decision) -> list[place.World]:
        found = [world]
        for part in (
            decide.Decision(None, decision.memory, routing=decision.routing, fills=decision.fills),
            decide.Decision(decision.state, decision.memory, write=decision.write),
        ):
            found += real(found[-1], part)[1:]
        return found

    real = place.applied
    patch.setattr(place, "applied", applied)


@mutant
def leaves_traffic_where_no_pod_is_ready(patch: pytest.MonkeyPatch) -> None:
    _drop(patch, phases.lost_traffic)


@mutant
def lets_an_abort_wait(patch: pytest.MonkeyPatch) -> None:
    rules = decide._RULES
    patch.setattr(decide, "_RULES", (*rules[1:], rules[0]))


@mutant
def never_takes_up_what_is_wanted(patch: pytest.MonkeyPatch) -> None:
    _drop(patch, start.take_up)


@mutant
def takes_unknown_for_pass(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Situation, "passing", property(lambda self: not self.failing))


@mutant
def overlooks_fail(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Situation, "failing", property(lambda _self: ()))


@mutant
def goes_on_before_the_table_is_loaded(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(phases, "_may_advance", lambda s: not s.state.paused and not s.pending)


@mutant
def goes_on_though_paused(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(phases, "_may_advance", lambda s: s.acked and not s.pending)


@mutant
def trusts_counts_of_another_table(patch: pytest.MonkeyPatch) -> None:
    def verdicts(snapshot: Any, _state: State, *, usable: bool) -> tuple[Any, ...]:
        return snapshot.verdicts if snapshot.window and usable is not None else ()

    patch.setattr(situation, "_verdicts", verdicts)


@mutant
def aborts_and_keeps_the_weight(patch: pytest.MonkeyPatch) -> None:
    def abort(state: State, candidate: Any, cause: Any, *rest: Any, **named: Any) -> Move:
        move = moves.abort(state, candidate, cause, *rest, **named)
        kept = replace(move.state, phase=state.phase, spare=candidate, weight=state.weight)
        return Move(kept, move.notes)

    for module in (phases, verbs):
        patch.setattr(module, "abort", abort)


@mutant
def forgets_what_it_refused(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(moves, "refusing", lambda state, _digest: state)
    _rule(patch, start.take_up, _without_memory)


def _without_memory(situation_: Situation) -> Move | None:
    forgetful = replace(situation_.state, desired=None, refused=())
    quiet = situation_.state.phase in ("idle", "aborted")
    return start.take_up(_with_state(situation_, forgetful) if quiet else situation_)


def _with_state(situation_: Situation, state: State) -> Situation:
    values = {name: getattr(situation_, name) for name in Situation.__dataclass_fields__}
    return Situation(**{**values, "state": state})


@mutant
def gives_a_superseding_release_the_old_ones_weight(patch: pytest.MonkeyPatch) -> None:
    def placed(state: State, *rest: Any, **named: Any) -> State:
        found = moves.place(state, *rest, **named)
        return replace(found, phase=state.phase, weight=state.weight) if state.weight else found

    patch.setattr(start, "place", placed)


@mutant
def keeps_a_spare_for_ever(patch: pytest.MonkeyPatch) -> None:
    _drop(patch, phases.release_spare)


@mutant
def lets_go_of_the_warm_release_in_the_watch(patch: pytest.MonkeyPatch) -> None:
    def hasty(found: Situation) -> Move | None:
        watch = found.state.phase == "promoted" and found.state.warm
        return Move(replace(found.state, spare=None)) if watch else phases.release_spare(found)

    rules = tuple(r for r in decide._RULES if r is not phases.release_spare)
    patch.setattr(decide, "_RULES", (hasty, *rules))


@mutant
def keeps_the_epoch_of_a_changed_table(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide, "_with_epoch", lambda state, *_rest: state)


@mutant
def never_ends_a_watch(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(phases._RULES, "promoted", lambda _situation: None)


@mutant
def skips_the_last_steps(patch: pytest.MonkeyPatch) -> None:
    def hasty(found: Situation, candidate: Any, told: Any, **_named: Any) -> Move:
        return moves.promote(found.state, candidate, told)

    patch.setattr(phases, "next_step", hasty)


@mutant
def returns_to_a_warm_release_without_pods(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(verbs, "serving", lambda _snapshot, placement: 1 if placement else 0)


@mutant
def takes_a_slot_without_pods_for_ready(patch: pytest.MonkeyPatch) -> None:
    def ready(*given: Any) -> Any:
        return replace(readiness.ready_gate(*given), outcome=Outcome.PASS)

    patch.setattr(situation, "ready_gate", ready)


@mutant
def promotes_and_forgets_the_old_stable(patch: pytest.MonkeyPatch) -> None:
    def promote(*given: Any) -> Move:
        move = moves.promote(*given)
        return Move(replace(move.state, spare=None), move.notes)

    patch.setattr(phases, "promote", promote)


@mutant
def sends_every_release_round_the_gates(patch: pytest.MonkeyPatch) -> None:
    def placed(*given: Any, **named: Any) -> State:
        return moves.place(*given, **{**named, "path": "direct"})

    patch.setattr(start, "place", placed)


@mutant
def overwrites_the_warm_release_in_the_watch(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(start, "waits_for_watch", lambda _situation, _release: False)


@mutant
def rebuilds_with_the_lighter_slot(patch: pytest.MonkeyPatch) -> None:
    def lighter(table: Any) -> Any:
        slot = real(table)
        other = "green" if slot == "blue" else "blue"
        return other if slot and table.release(other) else slot

    real = rebuild._Table.stable
    patch.setattr(rebuild._Table, "stable", lighter)


@mutant
def rebuilds_with_an_old_epoch(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide, "seen_epoch", lambda _snapshot: 0)
    patch.setattr(rebuild, "seen_epoch", lambda _snapshot: 0)


@mutant
def writes_the_same_table_again(patch: pytest.MonkeyPatch) -> None:
    def conclude(*given: Any) -> decide.Decision:
        found = real(*given)
        values = {name: getattr(found, name) for name in decide.Decision.__dataclass_fields__}
        table = plan.routing_of(found.state) if found.state else None
        return decide.Decision(**{**values, "routing": table})

    real = decide._conclude
    patch.setattr(decide, "_conclude", conclude)


@mutant
def changes_phase_without_a_word(patch: pytest.MonkeyPatch) -> None:
    def silent(*given: Any) -> Move:
        return Move(moves.to_shadow(*given).state)

    patch.setattr(phases, "to_shadow", silent)


def _drop(patch: pytest.MonkeyPatch, rule: Any) -> None:
    patch.setattr(decide, "_RULES", tuple(r for r in decide._RULES if r is not rule))


def _rule(patch: pytest.MonkeyPatch, old: Any, new: Any) -> None:
    patch.setattr(decide, "_RULES", tuple(new if r is old else r for r in decide._RULES))


@pytest.fixture(autouse=True)
def _rules_stay(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = decide._RULES
    yield
    monkeypatch.undo()
    assert before == decide._RULES


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_the_search_finds_a_controller_that(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTANTS[name](monkeypatch)
    search = Search()
    with pytest.raises(Violation):
        _explored(search)


def _explored(search: Search) -> None:
    for disturbances in (1, 2, 3):
        search.__init__()  # type: ignore[misc]
        search.explore(disturbances)
        search.settle()
