"""The table of transitions, walked at random and against the catalogue itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.lifecycle import GATHERING, TERMINAL, TRANSITIONS, Event, State, advance, diagram, sources
from medqa.errors import CatalogueRefused


@given(st.lists(st.sampled_from(list(Event)), max_size=30))
def test_a_walk_stays_on_the_table(events: list[Event]) -> None:
    state = State.RECEIVING
    for event in events:
        if (state, event) in TRANSITIONS:
            state = advance(state, event)
        else:
            with pytest.raises(CatalogueRefused, match=f"{event} does not apply to a series that is {state}"):
                advance(state, event)
    assert state in State


@given(st.lists(st.sampled_from(list(Event)), max_size=40))
def test_a_revision_is_judged_at_most_once(events: list[Event]) -> None:
    state, judged = State.RECEIVING, 0
    for event in events:
        if (state, event) in TRANSITIONS:
            judged += event is Event.JUDGED
            state = advance(state, event)
    assert judged <= 1


def test_every_state_is_reached_and_only_the_terminal_ones_end() -> None:
    reached = {State.RECEIVING}
    for _ in State:
        reached |= {after for (before, _event), after in TRANSITIONS.items() if before in reached}
    assert reached == set(State)
    assert {state for state in State if not any(before is state for before, _ in TRANSITIONS)} == TERMINAL


def test_objects_join_only_a_revision_without_a_final_verdict() -> None:
    assert set(sources(Event.ARRIVED)) == GATHERING
    assert State.JUDGED not in GATHERING


def test_the_diagram_shows_every_transition() -> None:
    drawn = diagram()
    assert drawn.startswith("stateDiagram-v2\n")
    for (before, event), after in TRANSITIONS.items():
        assert f"{before} --> {after}: {event}" in drawn
